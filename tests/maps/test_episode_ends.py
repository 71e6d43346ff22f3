"""Where episodes ended: read as the file grows, counted in cells."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tests.support.endings import end, random_ends, write_ends

from warpzone.maps import episode_ends as ending
from warpzone.maps.cache import LevelMap, open_map
from warpzone.maps.episode_ends import KINDS, NAME, OLD_NAME, Ends, cells, cells_of, total
from warpzone.maps.renderer import Strip
from warpzone.nes.rom import Rom

PLACES = LevelMap(
    "8-4",
    [
        Strip(map, 4, left, np.zeros((208, width), np.uint8), np.zeros(16, np.uint8))
        for map, left, width in ((101, 0, 5120), (2, 0, 1168))
    ],
)


def read(run: Path) -> Ends:
    ends = Ends(run)
    ends.refresh()
    return ends


def test_the_file_is_read_on_as_it_grows(tmp_path: Path) -> None:
    ends = read(tmp_path)
    assert (len(ends), ends.skipped, ends.levels()) == (0, 0, {})
    file = write_ends(tmp_path, [end(x=100), end(level="1-2", area=3)])
    half = json.dumps(end(x=200))
    with file.open("a") as writing:
        writing.write(half[:20])
    ends.refresh()
    assert ends.levels() == {"1-1": 1, "1-2": 1}
    with file.open("a") as writing:
        writing.write(half[20:] + "\n")
    ends.refresh()
    assert ends.of_level("1-1")[:, 3].tolist() == [100, 200]
    assert ends.of_level("1-1", last=1)[:, 3].tolist() == [200]
    assert ends.of_level("8-4").shape == (0, 7)
    assert ends.skipped == 0
    # A run that goes on from an earlier checkpoint has forgotten what came after it.
    file.write_text(json.dumps(end(x=150)) + "\n")
    ends.refresh()
    assert ends.of_level("1-1")[:, 3].tolist() == [150]
    # Also if it has written more since than it had before.
    write_ends(tmp_path, [end(x=160)])
    ends.refresh()
    file.write_text("".join(json.dumps(end(x=x)) + "\n" for x in (150, 161, 162, 163)))
    ends.refresh()
    assert ends.of_level("1-1")[:, 3].tolist() == [150, 161, 162, 163]
    file.unlink()
    ends.refresh()
    assert len(ends) == 0


def test_files_of_older_versions_are_read_and_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / OLD_NAME).write_text(json.dumps(end(x=100)) + "\n")
    ends = read(tmp_path)
    assert ends.of_level("1-1")[:, 3].tolist() == [100]
    write_ends(tmp_path, [end(x=200)])
    ends.refresh()
    assert ends.of_level("1-1")[:, 3].tolist() == [100, 200]
    assert ends.of_level("1-1", last=1)[:, 3].tolist() == [200]
    (tmp_path / OLD_NAME).unlink()
    ends.refresh()
    assert ends.of_level("1-1")[:, 3].tolist() == [200]


def test_of_very_many_the_latest_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "MOST_ENDS", 5)
    write_ends(tmp_path, [end(x=x) for x in range(100, 110)])
    assert read(tmp_path).of_level("1-1")[:, 3].tolist() == [105, 106, 107, 108, 109]


@pytest.mark.parametrize(
    "line",
    ["", "{", "[]", "3", "null", '{"level": "1-1"}', "\x00\xff", "[" * 100_000]
    + [json.dumps(end(**{name: value})) for name, value in
       (("level", "9-9"), ("x", "far"), ("x", None), ("death", 77), ("x", 1e400), ("area", []),
        ("x", -5), ("y", 10**30), ("death", -1), ("map", 10**30))],
)  # fmt: skip
def test_lines_without_sense_are_counted_and_left_out(tmp_path: Path, line: str) -> None:
    whole = json.dumps(end())
    (tmp_path / NAME).write_text(f"{whole}\n{line}\n{whole}\n", errors="surrogateescape")
    ends = read(tmp_path)
    assert (len(ends), ends.skipped) == (2, 1)
    assert len(ends.of_level("1-1")) == 2


def test_what_is_no_file_is_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    ends = read(tmp_path)
    assert len(ends) == 0
    assert ends.problem == f"{NAME} cannot be read: it is a folder, not a file"
    (tmp_path / NAME).rmdir()
    ends.refresh()
    assert ends.problem is None


def test_every_line_is_counted_once(tmp_path: Path, rom: Rom) -> None:
    lines = random_ends(500)
    write_ends(tmp_path, lines)
    ends, level_map = read(tmp_path), open_map("1-1", rom)
    counted, unplaced = cells(ends.of_level("1-1"), level_map)
    assert unplaced == 0
    assert sum(count for *_, count in counted) == 500
    names = {1: "enemy", 2: "pit", 3: "time", 4: "warp"}
    expected = Counter(
        "cleared" if line["cleared"] else names.get(line["death"], "cut") for line in lines
    )
    assert {kind: total(counted, [kind]) for kind in KINDS if total(counted, [kind])} == expected
    assert total(counted, ["enemy", "pit"]) == expected["enemy"] + expected["pit"]
    for strip, column, row, _, _ in counted:
        assert strip == 0
        assert 0 <= row < 13
        assert 0 <= column * 16 < level_map.strips[0].width


@pytest.mark.parametrize(
    ("x", "y", "kind", "cell"),
    [
        # On the ground his upper left corner is 176 px below the screen's top: small Mario stands
        # in the lower half of two rows, the eleventh row of the map.
        (320, 255 - 176, "enemy", (20, 10)),
        (328, 255 - 176, "enemy", (21, 10)),
        # In a pit, y has begun again at the top; above the screen it is more than 255.
        (320, 250, "pit", (20, 12)),
        (320, 400, "time", (20, 0)),
        (5119, 79, "enemy", (319, 10)),
    ],
)
def test_cells_are_where_mario_was(x: int, y: int, kind: str, cell: tuple[int, int]) -> None:
    arrays = (np.array([value]) for value in (x, y, KINDS.index(kind)))
    columns, rows = cells_of(PLACES.strips[0], *arrays)
    assert (columns.item(), rows.item()) == cell


def test_a_map_tells_places_apart_that_overlap(tmp_path: Path) -> None:
    lines = [end(level="8-4", area=4, x=500), end(level="8-4", area=4, x=500, map=2)]
    lines += [end(level="8-4", area=4, x=500, map=2, death=2), end(level="8-4", area=4, x=9000)]
    lines += [end(level="8-4", area=3, x=500)]
    write_ends(tmp_path, lines)
    counted, unplaced = cells(read(tmp_path).of_level("8-4"), PLACES)
    assert Counter({strip: 0 for strip, *_ in counted}) == Counter({0: 0, 1: 0})
    assert [count for strip, *_, count in counted if strip == 0] == [1]
    assert [count for strip, *_, count in counted if strip == 1] == [1, 1]
    assert unplaced == 2
