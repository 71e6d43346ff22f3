"""Where levels begin: their first moments in which Mario obeys, as the native core drives there."""

from __future__ import annotations

import warpzone._native as _native
from warpzone.errors import EngineError
from warpzone.nes.cartridge import register_starts
from warpzone.nes.console import Console
from warpzone.smb.levels import LEVELS, level_index


def start_level(console: Console, level: str) -> None:
    """Goes to the first moment of a level in which Mario obeys.

    Args:
        console: with Super Mario Bros. in it.
        level: "1-1" to "8-4".

    Raises:
        LevelError: there is no such level.
        EngineError: the cartridge does not behave like Super Mario Bros.
    """
    index = level_index(level)
    try:
        console.native.start_level(index)
    except RuntimeError as error:
        raise EngineError(str(error)) from None


@register_starts
def level_starts(levels: _native.Levels) -> list[bytes]:
    """Returns snapshots of the first moments of all levels; none where this is another game."""
    try:
        return [levels.start(level) for level in range(len(LEVELS))]
    except RuntimeError:
        return []
