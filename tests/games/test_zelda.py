"""The Legend of Zelda: the first screen, the cave, the sword."""

from __future__ import annotations

from collections.abc import Callable

from warpzone.games.zelda import CAVE, PLAY
from warpzone.nes import make
from warpzone.nes.rom import Rom

NOTHING, UP, DOWN, LEFT, RIGHT = range(5)


def test_the_sword_is_fetched(found: Callable[[str], Rom]) -> None:
    env = make(found("zelda"), "zelda", noop_max=0, frame_skip=1, max_steps=None)
    _, info = env.reset(seed=0)
    assert (info["mode"], info["room"], info["sword"]) == (PLAY, 0x77, 0)
    assert (info["hearts"], info["heart_containers"]) == (3.0, 3)
    total = 0.0

    def go(action: int, until: Callable[[dict[str, int]], bool], most: int = 800) -> bool:
        nonlocal info, total
        for _ in range(most):
            if until(info):
                return False
            _, reward, terminated, truncated, info = env.step(action)
            assert not truncated
            total += reward
            if terminated:
                return True
        raise AssertionError(info)

    go(LEFT, lambda now: now["x"] <= 64)
    go(UP, lambda now: now["mode"] == CAVE)
    steps = info["steps"]
    go(NOTHING, lambda now: now["steps"] > steps + 400)  # the old man speaks
    go(RIGHT, lambda now: now["x"] >= 120)
    assert go(UP, lambda now: False)
    assert info["success"]
    assert info["sword"] == 1
    assert 0 < total < 8  # a step costs a hundredth, and each was a frame


def test_another_room(found: Callable[[str], Rom]) -> None:
    env = make(found("zelda"), "zelda", noop_max=0)
    env.reset(seed=0)
    for _ in range(80):
        _, _, _, _, info = env.step(RIGHT)
        if info["room"] != 0x77:
            break
    assert info["room"] == 0x78
