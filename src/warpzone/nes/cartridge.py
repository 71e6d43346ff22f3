"""Cartridges in use, one object for each in a process, and how their programs run."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from os import PathLike
from typing import Literal, TypeAlias, TypeVar

import warpzone._native as _native
from warpzone.console_text import shown
from warpzone.errors import ConfigError, EngineError, RomError
from warpzone.nes.recompiler import Engine
from warpzone.nes.rom import HELP, Rom, contents_sha1_of, load_rom

RomSource: TypeAlias = Rom | str | PathLike[str] | None


FindRom = TypeVar("FindRom", bound=Callable[..., Rom])

_default_rom: list[Callable[..., Rom]] = []


def register_default_rom(find: FindRom) -> FindRom:
    """Lets a game find the ROM that is meant where none is named, or one by a name that it knows;
    what is no such name is a file. Returns `find`."""
    _default_rom.append(find)
    return find


def open_rom(rom: RomSource = None) -> Rom:
    """Returns a `Rom` as it is, a file, one that is known by name, or (None) the one that is found
    or fetched.

    Raises:
        RomError: there is no such ROM, or it cannot be used.
    """
    if isinstance(rom, Rom):
        return rom
    if not isinstance(rom, str | os.PathLike | None):
        raise RomError(f"rom is {shown(rom)}: it must be a file, a Rom, a known name, or None")
    for find in _default_rom:
        return find(rom)
    if rom is not None:
        return load_rom(rom)
    raise RomError(f"no ROM is named. {HELP}")


EngineMode = Literal["auto", "interpreter", "compiled"]
ENGINE_MODES: tuple[EngineMode, ...] = ("auto", "interpreter", "compiled")


FindStarts: TypeAlias = Callable[["Cartridge"], Sequence[bytes]]
"""Returns snapshots from which play shows what of a cartridge is code; none of another game."""

_find_starts: list[FindStarts] = []


def register_starts(find: FindStarts) -> None:
    """Lets a game tell from where the recompiler is to play to see more of the program.

    Without it only play from power-on shows what is code, and the rest is found while games run.
    """
    _find_starts.append(find)


class Cartridge:
    """A ROM in use: the native core's cartridge, and its native code if it is to have some."""

    def __init__(self, data: bytes, *, translated: bool) -> None:
        self.native = _native.Cartridge(data)
        self.contents_sha1 = contents_sha1_of(data)
        self.engine = Engine(self.native, data, self._starts) if translated else None

    @property
    def running(self) -> str:
        """How games run at present, and why."""
        if self.engine is None:
            return "interpreter: chosen"
        return f"{'compiled' if self.engine.compiled else 'interpreter'}: {self.engine.reason}"

    def _starts(self) -> list[bytes]:
        return [start for find in _find_starts for start in find(self)]


_default_mode: EngineMode = "auto"
_cartridges: dict[tuple[bytes, bool], Cartridge] = {}
_making = threading.Lock()


def set_engine(mode: str) -> None:
    """Chooses how games run where nothing else is asked for.

    Args:
        mode: "interpreter"; "compiled": the cartridge's program translated to native code, made
            first where there is none yet (some ten seconds); "auto": begins at once and changes
            over to native code as soon as it is there. The games are the same, byte for byte.

    Raises:
        ConfigError: there is no such engine.
    """
    global _default_mode
    _default_mode = _check_mode(mode)


def _check_mode(mode: str) -> EngineMode:
    for known in ENGINE_MODES:
        if mode == known:
            return known
    raise ConfigError(f"there is no engine {mode!r}; choose {', '.join(ENGINE_MODES)}")


def cartridge_of(rom: Rom, engine: str | None = None) -> Cartridge:
    """The same object for the same ROM and engine (None: see `set_engine`) in one process.

    Raises:
        ConfigError: there is no such engine.
        EngineError: the ROM cannot be run, or not as native code when that is asked for.
    """
    mode = _default_mode if engine is None else _check_mode(engine)
    key = (rom.data, mode != "interpreter")
    with _making:
        if key not in _cartridges:
            try:
                _cartridges[key] = Cartridge(rom.data, translated=mode != "interpreter")
            except ValueError as error:
                raise EngineError(f"{rom.path}: {error}") from None
    cartridge = _cartridges[key]
    if mode == "compiled" and cartridge.engine is not None:
        cartridge.engine.wait()
    return cartridge
