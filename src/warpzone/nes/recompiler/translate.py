"""From a cartridge's program to an object file: observe, find the regions, generate, optimise."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import llvmlite.binding as llvm
import numpy as np

from warpzone import _native
from warpzone.nes.recompiler import flow
from warpzone.nes.recompiler.flow import PRG_START, Observed
from warpzone.nes.recompiler.module import ModuleWriter
from warpzone.nes.recompiler.values import Machine

OBSERVED_FRAMES = 1200
"""Frames of random play from each start that show what is code: 20 seconds of the game."""

HELD_FRAMES = 10
OPTIMISATION = 1
"""Of LLVM's levels: at 2 the code is as fast and takes longer to make."""


@dataclass(frozen=True)
class Translation:
    """An object file and what is worth knowing about it."""

    object_code: bytes
    instructions: int
    regions: int
    seconds: float


@cache
def target_machine() -> llvm.TargetMachine:
    """LLVM's idea of this computer."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=2,
        reloc="pic",
        codemodel="small",
    )


def machine() -> Machine:
    """The native core that is installed."""
    return Machine(_native.MACHINE["state"], _native.MACHINE["context"])


def observe(
    cartridge: _native.Cartridge, starts: Iterable[bytes], frames: int = OBSERVED_FRAMES
) -> Observed:
    """Plays with random buttons from power-on and from each of some snapshots."""
    console = _native.Console(cartridge)
    marks = np.zeros(0x8000, np.uint8)
    random = np.random.default_rng(0)
    for start in (None, *starts):
        if start is not None:
            console.load(start)
        buttons = random.integers(0, 256, frames // HELD_FRAMES, dtype=np.uint8)
        console.trace(np.repeat(buttons, HELD_FRAMES).tobytes(), marks)
    return Observed(_addresses(marks & 1), _addresses(marks & 2))


def _addresses(marks: np.ndarray) -> frozenset[int]:
    return frozenset((np.flatnonzero(marks) + PRG_START).tolist())


def translate(
    cartridge: _native.Cartridge, starts: Sequence[bytes] = (), wanted: Iterable[int] = ()
) -> Translation:
    """Translates a cartridge's program.

    Args:
        cartridge: the cartridge.
        starts: snapshots to play on from, so that more of the program is seen.
        wanted: addresses known to be jumped to.
    """
    begin = time.perf_counter()
    program = flow.Program(cartridge.program, _native.MACHINE["cycles"])
    known = frozenset(wanted)
    observed = observe(cartridge, starts) | Observed(known, known)
    code = flow.reachable(program, observed)
    regions = flow.regions(code, flow.entries(program, code, observed))
    module = ModuleWriter(program, regions, machine()).module
    module.triple = llvm.get_default_triple()
    object_code = compile_module(str(module))
    return Translation(object_code, len(code), len(regions), time.perf_counter() - begin)


def compile_module(assembly: str) -> bytes:
    """LLVM IR to an object file for this computer."""
    target = target_machine()
    module = llvm.parse_assembly(assembly)
    module.verify()
    tuning = llvm.create_pipeline_tuning_options(speed_level=OPTIMISATION)
    builder = llvm.create_pass_builder(target, tuning)
    builder.getModulePassManager().run(module, builder)
    code: bytes = target.emit_object(module)
    return code
