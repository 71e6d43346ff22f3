"""Super Mario Bros. 2 (USA): every stage is reached, and its numbers are those on the screen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from warpzone import Agent, Console
from warpzone.agents.described import evaluate_described
from warpzone.games.side_view import ABOVE, COLUMNS, LEFT, ROWS
from warpzone.games.super_mario_bros_2_usa import (
    BEARS,
    FOUGHT,
    GAME,
    SOLID,
    STAGES,
    died,
    progress,
    tiles_around,
)
from warpzone.nes import make, make_vec
from warpzone.nes.rom import Rom

NAME = "super-mario-bros-2-usa"
HEART, LOST_HEART = 0xFF, 0xFD


def test_every_stage_begins(found: Callable[[str], Rom]) -> None:
    envs = make_vec(found(NAME), NAME, 1, starts=STAGES, noop_max=0)
    seen = set()
    for number, stage in enumerate(STAGES):
        obs, infos = envs.reset(options={"start": stage})
        assert infos["stage"][0] == number
        assert infos["hearts"][0] == 2
        assert infos["lives"][0] == 3
        seen.add(obs.tobytes())
        x = infos["x"][0]
        for _ in range(8):
            _, _, _, _, infos = envs.step(np.array([1]))
        assert infos["x"][0] > x, stage
    assert len(seen) > 15  # some rooms look alike
    assert len(STAGES) == 20


def test_a_life_that_is_lost_ends_an_episode(found: Callable[[str], Rom]) -> None:
    """Into the waterfall of 1-3, or whatever else is to the right."""
    rom = found(NAME)
    env = make(rom, NAME, starts="1-3", noop_max=0)
    _, first = env.reset(seed=0)
    for _ in range(400):
        _, reward, terminated, truncated, info = env.step(1)
        assert not truncated
        if terminated:
            break
    assert terminated
    assert not info["success"]
    assert reward < -2
    console = Console(rom)
    console.load(env.console_state())
    console.step(0, 300)
    assert console.ram[0x4ED] == first["lives"] - 1


def test_a_stage_that_is_cleared(
    found: Callable[[str], Rom], played: Callable[[str], list[int]]
) -> None:
    """Down from the sky, up the vines, three eggs thrown back at Birdo, and into the mouth."""
    rom, way = found(NAME), played("super-mario-bros-2-usa-1-1")
    bytes_ = sorted(set(way))
    names = ["A", "B", "select", "start", "up", "down", "left", "right"]
    actions = [[name for bit, name in enumerate(names) if byte >> bit & 1] for byte in bytes_]
    game = dataclasses.replace(GAME, actions=actions)
    env = make(rom, game, noop_max=0, frame_skip=1, no_progress_steps=None)
    _, info = env.reset(seed=0)
    areas, reached, fought = [info["area"]], [info["progress"]], 0
    for frame, byte in enumerate(way):
        _, reward, terminated, _, info = env.step(bytes_.index(byte))
        if info["area"] != areas[-1]:
            areas.append(info["area"])
            reached.append(info["best_progress"])
            assert reward < FOUGHT
        fought += reward > FOUGHT and not terminated
        assert terminated is (frame == len(way) - 1)
    assert fought == 7  # three eggs caught, three hits, the ball
    assert info["success"]
    assert reward > 4
    assert areas == [0, 2, 1, 5]
    assert reached == sorted(reached)
    # Four hits and the ball, beside px.
    assert info["best_progress"] > 6 * 4096 + 4 * 512
    console = Console(rom)
    console.load(env.console_state())
    console.step(0, 300)
    assert console.ram[0x531] == STAGES.index("1-2")


def test_the_agent_that_comes_along_clears_it(found: Callable[[str], Rom]) -> None:
    agent = Agent.load(NAME)
    ended = evaluate_described(agent, episodes=3, rom=found(NAME), seed=1, policy="argmax")
    assert ended.start == "1-1"
    assert ended.result.clear_rate == 1.0


def test_what_is_seen_of_tiles(
    found: Callable[[str], Rom], played: Callable[[str], list[int]]
) -> None:
    """Along that way, in areas that lead down, to the right and up: tile by tile, and what bears
    Mario."""
    rom = found(NAME)
    envs = make_vec(rom, NAME, 1, noop_max=0, observation="variables")
    envs.reset()
    console = Console(rom)
    console.load(envs.console_state(0))
    stood = climbed = 0
    for frame, byte in enumerate(played("super-mario-bros-2-usa-1-1")[:-1]):
        console.step(byte)
        if frame % 40:
            continue
        envs.reset(options={"state": console.save()})
        now = envs.values()
        solid, bears, vines, _ = (plane[0] for plane in tiles_around(now))
        ram, tiles = console.ram.astype(int), console.prg_ram
        x, y = int(now["x"][0]), int(now["y"][0])
        for row in range(ROWS):
            for column in range(COLUMNS):
                r, c = (y + 16) // 16 + row - ABOVE, (x + 8) // 16 + column - LEFT
                wide, high = (160, 15) if ram[0xEC] else (16, 150)
                tile = 0
                if 0 <= r < high and 0 <= c < wide:
                    tile = int(tiles[c // 16 * 240 + r * 16 + c % 16])
                    assert solid[row, column] == (tile >= SOLID[tile // 64])
                assert (solid | bears)[row, column] == (tile >= BEARS[tile // 64])
        if ram[0x50] == 0 and ram[0x99] == 0 and ram[0x46] == 0:
            stood += bool((solid | bears)[ABOVE + 1, LEFT - 1 : LEFT + 2].any())
        climbed += bool(ram[0x50] == 1 and vines[ABOVE - 1 : ABOVE + 1, LEFT - 1 : LEFT + 2].any())
    assert stood > 20
    assert climbed > 3


def test_the_way_through_the_cave(
    found: Callable[[str], Rom], played: Callable[[str], list[int]]
) -> None:
    """In at a door of the fields, and out at another above them."""
    envs = make_vec(found(NAME), NAME, 1, noop_max=0)
    envs.reset()
    console = Console(found(NAME))
    console.load(envs.console_state(0))
    areas, best = [0], [0.0]
    way = played("super-mario-bros-2-usa-1-1-cave")
    for frame, byte in enumerate(way, start=1):
        console.step(byte)
        if frame % 16 == 0 or frame == len(way):
            envs.reset(options={"state": console.save()})
            now = envs.values()
            if now["area"][0] != areas[-1]:
                areas.append(int(now["area"][0]))
                best.append(0)
            best[-1] = max(best[-1], now["progress"][0])
    assert areas == [0, 2, 4, 3, 2]
    assert best == sorted(best)
    assert best[-1] > 4 * 4096


def test_far_is_what_lies_farther_along_it() -> None:
    def come(area: int, x: int, y: int, does: int = 0) -> float:
        given = {"x": x, "y": y, "area": area, "stage": 0, "_does": does}
        now: dict[str, np.ndarray] = {name: np.array([value]) for name, value in given.items()}
        now["page"] = np.zeros((1, 256), np.uint8)
        now["health_of"] = np.zeros((1, 9), np.uint8)
        return float(progress(now, now)[0])  # type: ignore[arg-type]

    assert come(2, 1650, 176) == come(2, 1600, 176) + 50
    assert come(2, 2280, 176) == come(2, 2016, 176)
    places = [(2, 2016, 176), (4, 272, 176), (4, 111, 176), (4, 111, -40)]
    places += [(3, 384, 240), (3, 384, 162), (3, 621, 176), (2, 2176, 64), (1, 32, 960)]
    far = [come(*place) for place in places]
    assert far == sorted(far)
    assert len({*far}) == len(far)
    assert come(1, 2528, -33, does=3) < come(1, 32, 960)  # still where the vine began


def test_what_is_told_of_how_a_stage_is_left() -> None:
    def values(**changed: int) -> dict[str, np.ndarray]:
        given = {"_left": 0, "_does": 0, "stage": 4, "lives": 3, **changed}
        return {name: np.array([value]) for name, value in given.items()}

    for left, success, death in ((0, False, False), (1, False, True), (2, False, True)):
        now = values(_left=left)
        assert bool(GAME.success(now, values())[0]) is success  # type: ignore[arg-type]
        assert bool(died(now, values())[0]) is death  # type: ignore[arg-type]
    assert GAME.success(values(_does=6), values())[0]  # type: ignore[arg-type]
    assert GAME.success(values(stage=5), values())[0]  # type: ignore[arg-type]
    for left in (3, 4):
        assert GAME.success(values(_left=left), values())[0]  # type: ignore[arg-type]
    assert died(values(lives=2), values())[0]  # type: ignore[arg-type]
