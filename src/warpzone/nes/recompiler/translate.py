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

PLAYERS, LONG_FRAMES, MENU_FRAMES, START = 8, 3000, 400, 8
"""Where nobody has told from where to play: so many players from power-on, for so many frames each,
who leave the menus with Start."""

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
    marks = np.zeros(0x8000 if cartridge.plain else len(cartridge.program) * 4, np.uint8)
    random = np.random.default_rng(0)
    starts = list(starts)
    for start in (None, *starts):
        if start is not None:
            console.load(start)
        buttons = random.integers(0, 256, frames // HELD_FRAMES, dtype=np.uint8)
        console.trace(np.repeat(buttons, HELD_FRAMES).tobytes(), marks)
    for _ in range(0 if starts else PLAYERS):
        held = np.array([0, 1, 2, 16, 32, 64, 65, 66, 128, 129, 130, 131], np.uint8)
        buttons = random.choice(held, LONG_FRAMES // HELD_FRAMES)
        menus = MENU_FRAMES // HELD_FRAMES
        buttons[:menus] = np.where(random.integers(0, 3, menus) == 0, START, 0)
        console.reset()
        console.trace(np.repeat(buttons, HELD_FRAMES).tobytes(), marks)
    return Observed(_places(marks & 1), _places(marks & 2))


def _places(marks: np.ndarray) -> frozenset[int]:
    """The places that are marked: 32,768 bytes for each bank, from $8000 on."""
    bank, offset = np.divmod(np.flatnonzero(marks), 0x8000)
    return frozenset((bank << 16 | offset | PRG_START).tolist())


def translate(
    cartridge: _native.Cartridge, starts: Sequence[bytes] = (), wanted: Iterable[int] = ()
) -> Translation:
    """Translates a cartridge's program.

    Args:
        cartridge: the cartridge.
        starts: snapshots to play on from, so that more of the program is seen.
        wanted: places known to be jumped to.
    """
    begin = time.perf_counter()
    program = flow.program_of(cartridge)
    known = frozenset(wanted)
    observed = observe(cartridge, starts) | Observed(known, known)
    code = flow.reachable(program, observed)
    regions = flow.regions(code, flow.entries(program, code, observed))
    module = ModuleWriter(program, regions, machine()).module
    module.triple = llvm.get_default_triple()
    object_code = compile_module(str(module))
    return Translation(object_code, len(code), len(regions), time.perf_counter() - begin)


def _context() -> llvm.ContextRef | None:
    """Returns what the module belongs to; None: what LLVM takes by itself.

    llvmlite 0.44, with LLVM 15, takes one in which every pointer has a type, unless a variable of
    the environment says otherwise, and then for all who use it. One of our own is nobody else's.
    """
    if llvm.llvm_version_info >= (17,):
        return None
    return llvm.ContextRef(llvm.ffi.lib.LLVMPY_ContextCreate(True))


def compile_module(assembly: str) -> bytes:
    """LLVM IR to an object file for this computer."""
    target = target_machine()
    module = llvm.parse_assembly(assembly, _context())
    module.verify()
    tuning = llvm.create_pipeline_tuning_options(speed_level=OPTIMISATION)
    builder = llvm.create_pass_builder(target, tuning)
    builder.getModulePassManager().run(module, builder)
    code: bytes = target.emit_object(module)
    return code
