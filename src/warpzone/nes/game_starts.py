"""Snapshots of where the episodes of a game begin."""

from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from warpzone.errors import ConfigError, EngineError
from warpzone.files import read_regular_file
from warpzone.nes.console import Console
from warpzone.nes.game import Game
from warpzone.nes.game_start import Startup
from warpzone.nes.rom import Rom

_MOST_BYTES = 1 << 20
_played: weakref.WeakKeyDictionary[Game, dict[tuple[str, str], bytes]] = weakref.WeakKeyDictionary()
"""Of starts that are played to, by cartridge and name."""


def snapshot_of(game: Game, name: str, rom: Rom, engine: str | None) -> bytes:
    """Returns a snapshot of one of the game's starts; it is played to once in a process.

    Raises:
        ConfigError: its file cannot be read.
        EngineError: the game does not get there.
    """
    start = game.starts[name]
    if isinstance(start, bytes):
        return start
    if isinstance(start, str | Path):
        try:
            return read_regular_file(Path(start), _MOST_BYTES)
        except OSError as error:
            reason = error.strerror or error
            raise ConfigError(
                f"start {name!r} of {game.name}: {str(start)!r} cannot be read: {reason}"
            ) from None
    known = _played.setdefault(game, {})
    if (rom.sha256, name) not in known:
        console = Console(rom, engine=engine)
        start(Startup(console, game.variables))
        known[rom.sha256, name] = console.save()
    return known[rom.sha256, name]


def checked_snapshot(game: Game, name: str, rom: Rom, engine: str | None) -> bytes:
    """Returns what `snapshot_of` does, if it is one of this cartridge.

    Raises:
        ConfigError: its file cannot be read, or it is none.
        EngineError: the game does not get there.
    """
    snapshot = snapshot_of(game, name, rom, engine)
    try:
        Console(rom, engine=engine).load(snapshot)
    except EngineError as error:
        raise ConfigError(f"start {name!r} of {game.name}: {error}") from None
    return snapshot


def values_at(
    game: Game, name: str, rom: Rom, engine: str | None
) -> tuple[dict[str, int], dict[str, NDArray[np.uint8]]]:
    """Returns variables and memory at a start. Raises as `snapshot_of` does."""
    console = Console(rom, engine=engine)
    console.load(snapshot_of(game, name, rom, engine))
    memory = {
        name: stretch.view(console.ram, console.prg_ram).copy()
        for name, stretch in game.memory.items()
    }
    return Startup(console, game.variables).values(), memory
