"""Super Mario Bros. 2 (USA): every stage is reached, and its numbers are those on the screen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from warpzone import Console
from warpzone.games.super_mario_bros_2_usa import GAME, STAGES, died
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
