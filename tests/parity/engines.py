"""The backends of the engine that are compared with another emulator: how to make a console."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from warpzone import _native
from warpzone.nes.recompiler.loader import load
from warpzone.nes.recompiler.translate import translate

MakeConsole: TypeAlias = Callable[[Path], _native.Console]


def interpreted(path: Path) -> _native.Console:
    return _native.Console(_native.Cartridge(path.read_bytes()))


def compiled(path: Path) -> _native.Console:
    cartridge = _native.Cartridge(path.read_bytes())
    code = load(translate(cartridge).object_code)
    cartridge.use(code.enter, code.unknown, code.regions, code.region_count)
    return _native.Console(cartridge)


ENGINES: dict[str, MakeConsole] = {"interpreter": interpreted, "compiled": compiled}

each_engine = pytest.mark.parametrize("make_console", ENGINES.values(), ids=ENGINES.keys())
"""Runs a test once for each backend, as its argument `make_console`."""
