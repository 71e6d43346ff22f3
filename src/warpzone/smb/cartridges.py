"""Which cartridges are Super Mario Bros., by the hash of what is in them.

Environments read the game's memory, so that another game in the console would be nonsense.
"""

from __future__ import annotations

import warnings

import warpzone._native as _native
from warpzone.errors import RomError
from warpzone.nes.rom import REVISIONS, Rom

NAMES: dict[str, str] = {
    "0c4992fc08d2278697339d3b48066e7b5f943598": "Europe",
    "facee9c577a5262dbe33ac4930bb0b58c8c037f7": "World",
    "654e0715c470b812a284eeb22b775ce676558bb5": "Europe, pixel",
    "f5a3ce83636b60cd9b4f6972bbb3b35da37e1bd1": "Europe, rectangle",
    "09e98cc66320c9a4210602008ab1890143237e38": "Europe, downsample",
}
"""SHA-1 of program and pictures, without the file's header → what it is called.

The two revisions of the game (https://datomatic.no-intro.org), and the variants with plainer
pictures that gym-super-mario-bros 7.4.0 brings: `pixel`, `rectangle` and `downsample`."""

OTHER_GAMES: dict[str, str] = {
    "f3b998073241fe588e28ff6b6f63ba01b4c237bb": "Super Mario Bros. 2 (The Lost Levels)",
    "2a82548e2f8fe32cd617408e5e1e3580dac6e64b": "Super Mario Bros. 2 (The Lost Levels), downsample",
}
"""The same of cartridges that pass for Super Mario Bros. but have other levels."""


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
        raise RomError(f"{source} is {OTHER_GAMES[digest]}, which has other levels. {use}")
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
