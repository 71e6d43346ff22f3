"""Which cartridges environments take: those with the program of Super Mario Bros. in them.

Environments read the game's memory, so that another game in the console would be nonsense.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import warpzone._native as _native
from warpzone.errors import LevelError, RomError
from warpzone.nes.rom import REVISIONS, Rom
from warpzone.smb.known_cartridges import KNOWN, OTHER_REVISIONS, levels_of

NAMES: dict[str, str] = {
    **{known.contents_sha1: known.title for known in KNOWN.values() if known.levels},
    **OTHER_REVISIONS,
}
"""SHA-1 of program and pictures, without the file's header → what it is called: the two revisions
of the game, the variants with plainer pictures that gym-super-mario-bros 7.4.0 brings (`pixel`,
`rectangle` and `downsample`), and the Lost Levels, which are the same program with other levels."""

OTHER_GAMES: dict[str, str] = {
    known.contents_sha1: known.title for known in KNOWN.values() if not known.levels
}
"""The same of other games that are known."""


REVISIONS.update(NAMES)
REVISIONS.update(OTHER_GAMES)


class UnknownCartridge(UserWarning):
    """A cartridge that plays like Super Mario Bros. and is none of the known ones."""


def check(rom: Rom, levels: _native.LevelStarts) -> None:
    """Makes sure that a cartridge is Super Mario Bros., and warns where it is not a known one.

    Args:
        rom: the cartridge.
        levels: where its levels begin, as the native core has it.

    Raises:
        RomError: it is another game.
    """
    digest = rom.contents_sha1
    if digest in NAMES:
        return
    source = f"the ROM {str(rom.path)!r} (SHA-1 of its program and pictures {digest})"
    use = "`warpzone.Console` runs it; the environments need Super Mario Bros."
    if digest in OTHER_GAMES:
        raise RomError(f"{source} is {OTHER_GAMES[digest]}. {use}")
    try:
        levels.start(0)
    except RuntimeError:
        raise RomError(
            f"{source} is not Super Mario Bros.: level 1-1 does not begin. {use}"
        ) from None
    warnings.warn(
        f"{source} is no known revision of Super Mario Bros. It begins like it, but if its memory "
        "is used in another way, signals and rewards are wrong",
        UnknownCartridge,
        stacklevel=4,
    )


def check_levels(rom: Rom, names: Iterable[str]) -> None:
    """Makes sure that a cartridge has these levels.

    Raises:
        LevelError: it does not.
    """
    there = levels_of(rom.contents_sha1)
    missing = [name for name in names if name not in there]
    if missing:
        raise LevelError(
            f"{rom.revision} has no level {', '.join(missing)}: its levels are {there[0]} to"
            f" {there[-1]}"
        )


def all_levels(rom: Rom) -> tuple[str, ...]:
    """Returns the names of a cartridge's levels, in the order of the game."""
    return levels_of(rom.contents_sha1)
