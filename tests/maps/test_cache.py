"""Pictures of levels are drawn once."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from warpzone.errors import FileError
from warpzone.maps import cache as level_map
from warpzone.maps.cache import LevelMap, open_map, pack, strip_png, unpack
from warpzone.maps.renderer import Strip
from warpzone.nes.rom import Rom


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(level_map, "directory", lambda: tmp_path / "maps")
    return tmp_path / "maps"


def assert_same(one: LevelMap, other: LevelMap) -> None:
    assert len(one.strips) == len(other.strips) > 0
    for a, b in zip(one.strips, other.strips, strict=True):
        assert (a.map, a.area, a.left) == (b.map, b.area, b.left)
        np.testing.assert_array_equal(a.picture, b.picture)
        np.testing.assert_array_equal(a.palette, b.palette)


def test_a_level_is_drawn_once(cache: Path, rom: Rom, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = open_map("1-2", rom)
    (file,) = cache.iterdir()
    assert rom.sha1[:16] in file.name
    with Image.open(file) as picture:  # a picture for people, too
        colours = np.array(picture.convert("RGB"))
    first = drawn.strips[0]
    np.testing.assert_array_equal(colours[:208, : first.width], first.rgb())

    def never(*arguments: object) -> list[Strip]:
        raise AssertionError("drawn again")

    monkeypatch.setattr(level_map, "render_level", never)
    assert_same(open_map("1-2", rom), drawn)


def test_what_is_damaged_is_drawn_again(cache: Path, rom: Rom) -> None:
    drawn = open_map("1-1", rom)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    other = io.BytesIO()
    Image.new("P", (300, 416)).save(other, "PNG")
    for damage in (b"", whole[: len(whole) // 2], whole[:60], b"no picture", other.getvalue()):
        file.write_bytes(damage)
        assert_same(open_map("1-1", rom), drawn)
        assert file.read_bytes() == whole


def test_without_a_cache_it_is_drawn_each_time(
    cache: Path, rom: Rom, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise FileError("no space")

    monkeypatch.setattr(level_map, "write_atomically", full)
    assert len(open_map("1-1", rom).strips) == 2
    assert not cache.exists()


def test_packing_keeps_everything(rom: Rom) -> None:
    drawn = open_map("8-4", rom)
    assert_same(LevelMap("8-4", unpack(pack(drawn.strips))), drawn)
    with Image.open(io.BytesIO(strip_png(drawn.strips[1]))) as image:
        np.testing.assert_array_equal(np.array(image.convert("RGB")), drawn.strips[1].rgb())


def test_places_are_found() -> None:
    def strip(map: int, area: int, left: int, width: int) -> Strip:
        return Strip(map, area, left, np.zeros((208, width), np.uint8), np.zeros(16, np.uint8))

    places = LevelMap(
        "1-2", [strip(64, 3, 0, 3000), strip(66, 3, 512, 256), strip(37, 3, 2816, 512)]
    )
    assert places.find(600) == 0
    assert places.find(600, map=66) == 1
    assert places.find(3100) == 2
    assert places.find(600, area=4) is None
    assert places.find(100, map=66) is None
    assert places.find(9000) is None
