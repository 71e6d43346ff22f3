"""Where levels begin: their first moments in which Mario obeys, as the native core drives there."""

from __future__ import annotations

import weakref

import warpzone._native as _native
from warpzone.errors import EngineError, LevelError
from warpzone.nes.cartridge import Cartridge, register_starts
from warpzone.nes.console import Console
from warpzone.smb.known_cartridges import LOST_LEVELS, levels_of
from warpzone.smb.levels import LEVELS, level_index

_known: weakref.WeakKeyDictionary[Cartridge, _native.LevelStarts] = weakref.WeakKeyDictionary()


def level_starts(cartridge: Cartridge) -> _native.LevelStarts:
    """Returns where the levels of a cartridge begin: one object for each cartridge in use, which
    boots a level when it is first wanted.

    Raises:
        EngineError: no such game can be in the cartridge.
    """
    lost_levels = levels_of(cartridge.contents_sha1) == LOST_LEVELS
    try:
        starts = _native.LevelStarts(cartridge.native, lost_levels)
    except ValueError as error:
        raise EngineError(str(error)) from None
    return _known.setdefault(cartridge, starts)


def start_level(console: Console, level: str) -> None:
    """Goes to the first moment of a level in which Mario obeys.

    Args:
        console: with Super Mario Bros. in it.
        level: "1-1" to "8-4"; of the Lost Levels to "4-4".

    Raises:
        LevelError: there is no such level, or the cartridge does not have it.
        EngineError: the cartridge does not behave like Super Mario Bros.
    """
    index, starts = level_index(level), level_starts(console.cartridge)
    if index >= starts.count:
        raise LevelError(
            f"the cartridge has no level {level}: its levels are {LEVELS[0]} to"
            f" {LEVELS[starts.count - 1]}"
        )
    try:
        console.load(starts.start(index))
    except RuntimeError as error:
        raise EngineError(str(error)) from None


@register_starts
def _first_moments(cartridge: Cartridge) -> list[bytes]:
    """Returns snapshots of the first moments of all levels; none where this is another game."""
    if not cartridge.native.plain:
        return []
    starts = level_starts(cartridge)
    try:
        return [starts.start(level) for level in range(starts.count)]
    except RuntimeError:
        return []
