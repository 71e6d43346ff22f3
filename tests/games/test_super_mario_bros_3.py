"""Super Mario Bros. 3: stages are reached, and its numbers are those on the screen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from warpzone import Console
from warpzone.games.super_mario_bros_3 import PANELS
from warpzone.nes import make, make_vec
from warpzone.nes.rom import Rom

NAME = "super-mario-bros-3"
GOAL = (Path(__file__).parents[1] / "data" / "super-mario-bros-3-1-1.txt").read_text()
"""Buttons by frame with which 1-1 is cleared from where it begins: `byte*frames`."""


def goal() -> list[int]:
    played = []
    for word in GOAL.split():
        byte, _, frames = word.partition("*")
        played += [int(byte)] * int(frames)
    return played


def digits(tiles: np.ndarray) -> int:
    return int("".join(str(int(tile) - 0xF0) for tile in tiles))


@pytest.mark.parametrize("stage", PANELS)
def test_the_numbers_are_those_on_the_screen(found: Callable[[str], Rom], stage: str) -> None:
    rom = found(NAME)
    env = make(rom, NAME, starts=stage, noop_max=0)
    console = Console(rom)
    _, first = env.reset(seed=0)
    for action in (1, 2, 2, 1, 1, 0, 0, 0):
        _, _, _, _, info = env.step(action)
    assert info["x"] > first["x"] or stage == "1-5"  # slides down at first
    console.load(env.console_state())
    console.step(0, 1)
    bar = console.native.nametables[0x400 + 26 * 32 :][:32]
    assert digits(bar[17:20]) == info["time"]
    assert digits(bar[8:15]) == info["points"]
    assert bar[6] - 0xF0 == info["lives"]


def test_stages_differ(found: Callable[[str], Rom]) -> None:
    envs = make_vec(found(NAME), NAME, len(PANELS), starts=list(PANELS), noop_max=0)
    obs = [envs.reset(options={"start": stage})[0][0] for stage in PANELS]
    assert len({one.tobytes() for one in obs}) == len(PANELS)
    assert envs.tasks() == list(PANELS)


def test_a_stage_that_is_cleared(found: Callable[[str], Rom]) -> None:
    rom = found(NAME)
    game = make(rom, NAME, noop_max=0).game
    bytes_ = sorted(set(goal()))
    buttons = ["A", "B", "select", "start", "up", "down", "left", "right"]
    actions = [[name for bit, name in enumerate(buttons) if byte >> bit & 1] for byte in bytes_]
    env = make(rom, type(game)(**{**vars(game), "actions": actions}), noop_max=0, frame_skip=1)
    env.reset(seed=0)
    total = 0.0
    for byte in [*goal(), *[0] * 60]:
        _, reward, terminated, truncated, info = env.step(bytes_.index(byte))
        assert not truncated
        total += reward
        if terminated:
            break
    assert terminated
    assert info["success"]
    assert info["dying"] == 0
    assert info["x"] > 2600
    # And the game goes back to its map, with a card.
    console = Console(rom)
    console.load(env.console_state())
    console.step(0, 900)
    assert (console.ram[0x75], console.ram[0x79]) == PANELS["1-1"][:2]
    assert console.ram[0x736] == info["lives"]


def test_death_ends_an_episode(found: Callable[[str], Rom]) -> None:
    env = make(found(NAME), NAME, noop_max=0)
    _, first = env.reset(seed=0)
    for _ in range(200):
        _, reward, terminated, _, info = env.step(1)  # into the first goomba
        if terminated:
            break
    assert terminated
    assert not info["success"]
    assert reward < -2
    console = Console(found(NAME))
    console.load(env.console_state())
    console.step(0, 600)
    assert console.ram[0x736] == first["lives"] - 1
