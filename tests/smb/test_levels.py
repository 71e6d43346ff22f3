"""Names of levels, and what stands behind each name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from warpzone import Console
from warpzone.errors import LevelError
from warpzone.nes.rom import Rom
from warpzone.smb.levels import LEVELS, level_index, level_kind, parse_levels
from warpzone.smb.starts import start_level

PLAYING = 8
# The game loads its "walk to a pipe" as an area of its own in these worlds, before stage 2.
WORLDS_WITH_A_WALK = {1, 2, 4, 7}
# Levels that the game itself repeats, harder: the same map, to the byte.
REPEATED = [{"1-3", "5-3"}, {"1-4", "6-4"}, {"2-2", "7-2"}, {"2-3", "7-3"}, {"2-4", "5-4"}]


def test_there_are_32() -> None:
    assert len(LEVELS) == len(set(LEVELS)) == 32
    assert (LEVELS[0], LEVELS[5], LEVELS[31]) == ("1-1", "2-2", "8-4")
    assert [level_index(name) for name in LEVELS] == list(range(32))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param("1-1", {"1-1": 1.0}, id="one"),
        pytest.param("2-1, 1-2", {"1-2": 1.0, "2-1": 1.0}, id="comma"),
        pytest.param(["8-4", "1-1"], {"1-1": 1.0, "8-4": 1.0}, id="list, in the game's order"),
        pytest.param(("1-1", "1-1"), {"1-1": 1.0}, id="twice"),
        pytest.param({"1-2": 3, "1-1": 0.5}, {"1-1": 0.5, "1-2": 3.0}, id="weights"),
        pytest.param({"1-2": 1, "1-1": 0}, {"1-2": 1.0}, id="weight 0"),
        pytest.param("all", dict.fromkeys(LEVELS, 1.0), id="all"),
    ],
)
def test_ways_to_choose(spec: str | list[str] | dict[str, float], expected: object) -> None:
    parsed = parse_levels(spec)
    assert parsed == expected
    assert list(parsed) == [name for name in LEVELS if name in parsed]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        pytest.param("9-1", "there is no level '9-1': levels are 1-1 to 8-4", id="unknown"),
        pytest.param("1_2", "did you mean 1-2?", id="underscore"),
        pytest.param("1-1,1-22", "no level '1-22': .* did you mean 1-2", id="in a list"),
        pytest.param("", "there is no level ''", id="empty"),
        pytest.param([], "no level is chosen", id="none"),
        pytest.param({"1-1": 0.0}, "no level is chosen", id="all weights 0"),
        pytest.param({"1-1": -1.0}, "weight of level 1-1 is -1.0; it must be 0 or more", id="neg"),
        pytest.param({"1-1": float("inf")}, "weight of level 1-1 is inf", id="infinite"),
        pytest.param({"1-1": float("nan")}, "weight of level 1-1 is nan", id="not a number"),
    ],
)
def test_what_is_refused_and_why(spec: str | list[str] | dict[str, float], words: str) -> None:
    with pytest.raises(LevelError, match=words):
        parse_levels(spec)


def test_kinds() -> None:
    assert [level_kind(name) for name in ("1-1", "1-2", "1-3", "1-4", "2-2", "2-3", "8-4")] == [
        "overground", "underground", "treetops", "castle", "water", "bridges", "castle maze",
    ]  # fmt: skip


def area_number(world: int, stage: int) -> int:
    return stage + (1 if world in WORLDS_WITH_A_WALK and stage >= 2 else 0)


@pytest.mark.parametrize("level", LEVELS)
def test_each_level_begins_as_itself(rom: Rom, level: str) -> None:
    console = Console(rom)
    start_level(console, level)
    ram = console.ram
    world, stage = map(int, level.split("-"))
    assert (ram[0x075F] + 1, ram[0x075C] + 1) == (world, stage)
    assert ram[0x0760] + 1 == area_number(world, stage)
    assert (ram[0x0770], ram[0x0772], ram[0x000E]) == (1, 3, PLAYING)
    assert ram[0x075A] == 2, "three lives"
    assert ram[0x0756] == 0, "small"
    timer = int("".join(str(digit) for digit in ram[0x07F8:0x07FB]))
    assert timer in (300, 400)
    assert ram[0x07DE:0x07E4].tolist() == [0] * 6, "no points yet"
    kinds = {"water": 0, "overground": 1, "treetops": 1, "bridges": 1, "underground": 2}
    assert ram[0x074E] == kinds.get(level_kind(level), 3)


@pytest.mark.parametrize("level", LEVELS)
def test_mario_obeys(rom: Rom, level: str) -> None:
    idle, moving = Console(rom), Console(rom)
    for console, buttons in ((idle, 0), (moving, 128)):
        start_level(console, level)
        console.step(buttons, 30)
    x = [int(c.ram[0x6D]) * 256 + int(c.ram[0x86]) for c in (idle, moving)]
    assert x[1] - x[0] > 10


def test_maps_differ_but_for_those_that_the_game_repeats(rom: Rom) -> None:
    """Levels chosen too early would all silently become 1-1."""
    console = Console(rom)
    maps: dict[bytes, set[str]] = {}
    for level in LEVELS:
        start_level(console, level)
        pointers = console.ram[0xE7:0xEB].tobytes()  # of the map's data and its enemies' data
        maps.setdefault(pointers, set()).add(level)
    shared = sorted((names for names in maps.values() if len(names) > 1), key=min)
    assert shared == REPEATED


def test_starting_a_level_again_is_exact(rom: Rom) -> None:
    console = Console(rom)
    start_level(console, "4-1")
    begin = console.save()
    console.step(129, 100)
    start_level(console, "4-1")
    assert console.save() == begin
    other = Console(rom)
    start_level(other, "4-1")
    assert other.save() == begin
    assert np.array_equal(console.screen(), other.screen())


@pytest.mark.parametrize("spec", [None, 5, {"1-1": None}, {"1-1": "much"}, {"1-1": 10**400}, [[]]])
def test_what_names_no_levels_is_a_level_error(spec: Any) -> None:
    with pytest.raises(LevelError):
        parse_levels(spec)
