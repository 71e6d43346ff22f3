"""The Lost Levels: another cartridge with the program of Super Mario Bros., played like it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.smb.test_tiles import check_carried, check_drawn, wander
from tests.support.scripts import ACTIONS, INDEX, LEAP, RUN

import warpzone
from warpzone.errors import LevelError
from warpzone.nes.cartridge import cartridge_of
from warpzone.nes.rom import Rom
from warpzone.smb.known_cartridges import LOST_LEVELS
from warpzone.smb.memory import MEMORY, map_number
from warpzone.smb.starts import level_starts, start_level

LOST = "lost-levels"
WALKS = {1, 3}
"""Worlds with a walk to a pipe before the second stage, as gym-super-mario-bros has them."""

SOLID_TILES, CLIMBED_TILES = bytes.fromhex("10 61 88 c4"), bytes.fromhex("24 6d 8a c6")
"""The first that is solid, and that is climbed, of each quarter of the tiles (doppelganger:
SolidMTileUpperExt, ClimbMTileUpperExt)."""
BLOCK_TILES = bytes.fromhex("c1 c0 5f 60 55 56 57 58 59 5a 5b 5c 5d 5e")
"""Question blocks, hidden ones and bricks (doppelganger: BrickQBlockMetatiles)."""


@pytest.mark.parametrize("level", LOST_LEVELS)
def test_each_level_begins(lost: Rom, level: str) -> None:
    console = warpzone.Console(lost)
    start_level(console, level)
    world, stage = map(int, level.split("-"))
    ram = console.ram
    there = [int(ram[MEMORY[name]]) + 1 for name in ("world", "stage", "area")]
    assert there == [world, stage, stage + (world in WALKS and stage > 1)]
    env = warpzone.make(level, rom=LOST, observation="ram")
    obs, info = env.reset()
    assert (info["world"], info["stage"], info["x"]) == (world, stage, 40)
    np.testing.assert_array_equal(obs, ram)


def test_no_two_levels_are_one_map(lost: Rom) -> None:
    console, maps = warpzone.Console(lost), set()
    for level in LOST_LEVELS:
        start_level(console, level)
        maps.add(map_number(console.ram))
    assert len(maps) == len(LOST_LEVELS)


def test_other_levels_are_refused(lost: Rom) -> None:
    words = r"has no level 5-1: its levels are 1-1 to 4-4"
    with pytest.raises(LevelError, match=words):
        warpzone.make("5-1", rom=lost)
    with pytest.raises(LevelError, match=words):
        warpzone.make_vec(["4-4", "5-1"], 2, rom=lost)
    with pytest.raises(LevelError, match=words):
        warpzone.make("1-1", last_level="5-1", rom=lost)
    env = warpzone.make("1-1", rom=lost)
    with pytest.raises(LevelError, match=words):
        env.reset(options={"level": "5-1"})
    with pytest.raises(LevelError, match=words):
        start_level(warpzone.Console(lost), "5-1")
    with pytest.raises(ValueError, match="no such level"):
        level_starts(cartridge_of(lost)).start(16)


def test_the_agent_that_comes_along_clears_1_1(lost: Rom) -> None:
    agent = warpzone.Agent.load("lost-levels")
    found = warpzone.evaluate(agent, ["1-1"], episodes=3, policy="argmax", seed=1, rom=lost)
    assert found.levels["1-1"].clear_rate == 1.0


def test_tiles_mean_the_same_in_its_program(rom: Rom, lost: Rom) -> None:
    """The tables by which both programs tell what carries Mario and what can be hit are equal:
    there are no poison mushrooms among the blocks."""
    for table in (SOLID_TILES, CLIMBED_TILES, BLOCK_TILES):
        assert rom.data.count(table) == lost.data.count(table) == 1


@pytest.mark.parametrize("level", LOST_LEVELS)
def test_the_view_is_what_is_drawn_and_what_carries(lost: Rom, level: str) -> None:
    swims, stood = level == "3-2", 0
    for seed in range(3):
        moments = list(wander(level, seed, rom=lost))
        assert check_drawn(iter(moments), castle=level.endswith("-4")) > 200
        stood += check_carried(iter(moments))
    assert swims or stood > 10


def test_compiled_and_interpreted_are_the_same(lost: Rom) -> None:
    """Over random play in all of its levels."""

    def play(engine: str) -> list[Any]:
        envs = warpzone.make_vec(
            list(LOST_LEVELS), 16, rom=lost, engine=engine, seed=4, threads=1, noop_max=30
        )
        rng = np.random.default_rng(0)
        seen: list[Any] = [envs.reset()[0]["tiles"]]
        for _ in range(200):
            obs, rewards, *_ = envs.step(rng.integers(0, 7, 16))
            seen += [obs["tiles"].copy(), obs["scalars"].copy(), rewards]
        envs.close()
        return seen

    for slow, fast in zip(play("interpreter"), play("compiled"), strict=True):
        np.testing.assert_array_equal(slow, fast)


def test_the_game_ends_with_its_fourth_castle(lost: Rom) -> None:
    mode, task = MEMORY["oper_mode"], MEMORY["oper_mode_task"]
    for level, ends in (("3-4", False), ("4-4", True)):
        env = warpzone.make(whole_game=True, actions=ACTIONS, rom=lost)
        env.reset(options={"level": level})
        env.step(INDEX[0])
        env.ram()[[mode, task]] = 2, 0  # what the axe does
        _, _, terminated, _, info = env.step(INDEX[0])
        assert (terminated, info["flag"], info["levels_cleared"]) == (ends, ends, 1)
        assert (info["world"], info["stage"]) == ((4, 4) if ends else (4, 1))


def test_the_game_begins_with_its_title(lost: Rom) -> None:
    env = warpzone.make(whole_game=True, actions=ACTIONS, rom=lost, lives=1)
    _, info = env.reset()
    assert (info["level"], info["lives"], info["time"]) == (0, 2, 400)
    farthest = 0
    for step in range(300):
        *_, terminated, _, info = env.step(INDEX[LEAP if step % 12 else RUN])
        farthest = max(farthest, info["x"])
        if terminated:
            break
    assert farthest > 150
