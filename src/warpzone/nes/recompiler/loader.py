"""Puts an object file that `translate` has made into memory."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm

from warpzone.errors import EngineError
from warpzone.nes.recompiler.translate import target_machine

SYMBOLS = ("enter", "unknown", "regions", "region_count")

_kept: list[Any] = []
"""Code in memory is never given back: games may be running in it until the process ends."""


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
        EngineError: LLVM cannot load it on this computer.
    """
    target_machine()  # makes LLVM ready
    try:
        compiler = llvm.create_lljit_compiler()
        builder = llvm.JITLibraryBuilder().add_object_img(object_code)
        for symbol in SYMBOLS:
            builder.export_symbol(symbol)
        library = builder.link(compiler, "cartridge")
        addresses = {symbol: library[symbol] for symbol in SYMBOLS}
    except (RuntimeError, KeyError, ValueError) as error:
        raise EngineError(f"LLVM cannot load the compiled cartridge: {error}") from None
    _kept.append((compiler, library))
    count = ctypes.c_uint64.from_address(addresses.pop("region_count")).value
    return Loaded(**addresses, region_count=count)
