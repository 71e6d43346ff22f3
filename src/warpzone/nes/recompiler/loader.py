"""Puts an object file that `translate` has made into memory."""

from __future__ import annotations

import ctypes
import mmap
import sys
from dataclasses import dataclass

import llvmlite.binding as llvm

from warpzone.errors import EngineError
from warpzone.nes.recompiler.translate import target_machine

SYMBOLS = ("enter", "unknown", "regions", "region_count")


@dataclass(frozen=True)
class Loaded:
    """Addresses of what is in memory."""

    enter: int
    unknown: int
    regions: int
    region_count: int


def load(object_code: bytes) -> Loaded:
    """Links the object file into this process.

    Raises:
        EngineError: LLVM cannot load it on this computer, or there is no memory for it.
    """
    _need_memory(2 * len(object_code) + mmap.PAGESIZE)
    machine = target_machine()  # makes LLVM ready
    try:
        parsed = llvm.ObjectFileRef.from_data(object_code)
        if not parsed._as_parameter_:  # null, which llvmlite does not look for
            parsed.detach()
            raise ValueError("it is no object file")
        # Code reaches its tables by distances of 32 bits, and a large process has its free
        # addresses further apart: llvmlite's own memory manager, which LLJIT does not offer, asks
        # for one piece. Without it LLVM ends the process. On Windows it has not been tried.
        in_one_piece = None if sys.platform == "win32" else True
        module = llvm.parse_assembly("")
        engine = llvm.create_mcjit_compiler(module, machine, use_lmm=in_one_piece)
        try:
            engine.add_object_file(parsed)
            engine.finalize_object()
            addresses = {symbol: engine.get_global_value_address(symbol) for symbol in SYMBOLS}
        finally:
            engine.detach()  # never freed: games may be running in it until the process ends
    except (RuntimeError, ValueError) as error:
        raise EngineError(f"LLVM cannot load the compiled cartridge: {error}") from None
    count = ctypes.c_uint64.from_address(addresses.pop("region_count")).value
    return Loaded(**addresses, region_count=count)


def _need_memory(size: int) -> None:
    """Asks for `size` bytes and gives them back: where LLVM gets none it ends the process."""
    try:
        mmap.mmap(-1, size).close()
    except (OSError, MemoryError, ValueError) as error:
        raise EngineError(f"no memory for the compiled cartridge: {error}") from None
