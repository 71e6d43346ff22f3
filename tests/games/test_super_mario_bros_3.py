"""Super Mario Bros. 3: stages are reached, and its numbers are those on the screen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from warpzone import Console
from warpzone.agents.agent import Agent
from warpzone.agents.described import evaluate_described
from warpzone.games.side_view import ABOVE, COLUMNS, LEFT, ROWS
from warpzone.games.super_mario_bros_3 import PANELS, SCREEN, tiles_around
from warpzone.nes import make, make_vec
from warpzone.nes.rom import Rom

NAME = "super-mario-bros-3"


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


def test_the_packaged_agent_clears_a_stage(found: Callable[[str], Rom]) -> None:
    measured = evaluate_described(
        Agent.load(NAME), episodes=20, policy="argmax", seed=4, rom=found(NAME), threads=1
    )
    assert measured.start == "1-1"
    assert measured.result.clear_rate >= 0.9


def test_stages_differ(found: Callable[[str], Rom]) -> None:
    envs = make_vec(found(NAME), NAME, len(PANELS), starts=list(PANELS), noop_max=0)
    obs = [envs.reset(options={"start": stage})[0][0] for stage in PANELS]
    assert len({one.tobytes() for one in obs}) == len(PANELS)
    assert envs.tasks() == list(PANELS)


def test_a_stage_that_is_cleared(
    found: Callable[[str], Rom], played: Callable[[str], list[int]]
) -> None:
    rom, goal = found(NAME), played("super-mario-bros-3-1-1")
    game = make(rom, NAME, noop_max=0).game
    bytes_ = sorted(set(goal))
    buttons = ["A", "B", "select", "start", "up", "down", "left", "right"]
    actions = [[name for bit, name in enumerate(buttons) if byte >> bit & 1] for byte in bytes_]
    env = make(rom, type(game)(**{**vars(game), "actions": actions}), noop_max=0, frame_skip=1)
    env.reset(seed=0)
    total = 0.0
    for byte in [*goal, *[0] * 60]:
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


def test_what_is_seen_of_tiles_and_objects(
    found: Callable[[str], Rom], played: Callable[[str], list[int]]
) -> None:
    """Along the way to the goal: tile by tile, what bears Mario, and the first goomba."""
    rom = found(NAME)
    envs = make_vec(rom, NAME, 1, noop_max=0, observation="variables")
    console = Console(rom)
    envs.reset()
    console.load(envs.console_state(0))
    stood = goombas = 0
    for frame, byte in enumerate(played("super-mario-bros-3-1-1")):
        console.step(byte)
        if frame % 24:
            continue
        observation, infos = envs.reset(options={"state": console.save()})
        now = envs.values()
        solid, bears = tiles_around(now)
        x, y = int(infos["x"][0]), int(infos["y"][0])
        tiles, limits = console.prg_ram[: 15 * SCREEN], console.prg_ram[0x1E94:0x1E9C]
        for row in range(ROWS):
            for column in range(COLUMNS):
                r, c = (y + 16) // 16 + row - ABOVE, (x + 8) // 16 + column - LEFT
                kind = (False, False)
                if 0 <= r < 27 and 0 <= c < 240:
                    tile = int(tiles[c // 16 * SCREEN + r * 16 + c % 16])
                    full = tile >= limits[4 + tile // 64]
                    kind = full, tile >= limits[tile // 64] and not full
                assert (solid[0, row, column], bears[0, row, column]) == kind
        planes = observation[0, : 3 * ROWS * COLUMNS].reshape(3, ROWS, COLUMNS)
        assert np.array_equal(planes[:2], [solid[0], bears[0]])
        ram = console.ram.astype(int)
        if ram[0xD8] == 0 and y % 16 == 0:  # he stands: on the tile below one of his feet
            feet = [(x + side) // 16 - (x + 8) // 16 + LEFT for side in (4, 11)]
            assert (solid | bears)[0, ABOVE + 1, feet].any(), (frame, x, y)
            stood += 1
        for k in range(8):
            dx, dy = (
                ram[0x91 + k] + 256 * ram[0x76 + k] - x,
                ram[0xA3 + k] + 256 * ram[0x88 + k] - y,
            )
            if ram[0x661 + k] == 2 and 0 <= dx < 150 and abs(dy) < 60:
                assert planes[2, ABOVE + (dy + 8) // 16, LEFT + (dx + 8) // 16] == 1
                goombas += 1
    assert stood > 15
    assert goombas > 5


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
