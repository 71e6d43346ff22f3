"""The levels that episodes draw, as they are weighed while games are played."""

from __future__ import annotations

import numpy as np
import pytest

import warpzone
from warpzone.errors import ConfigError, LevelError


def levels_of(envs: warpzone.MarioVectorEnv, resets: int = 20) -> dict[int, int]:
    """Plays no step; counts the levels that episodes begin in."""
    found = [envs.reset()[1]["level"] for _ in range(resets)]
    numbers, counts = np.unique(np.concatenate(found), return_counts=True)
    return dict(zip(numbers.tolist(), counts.tolist(), strict=True))


def test_episodes_draw_their_levels_by_the_newest_weights() -> None:
    envs = warpzone.make_vec("1-1", 16, threads=1, seed=3)
    envs.reset(seed=3)
    assert levels_of(envs) == {0: 320}
    envs.set_level_weights({"1-2": 1.0, "8-4": 3.0})
    counts = levels_of(envs)
    assert counts.keys() == {1, 31}
    assert 190 < counts[31] < 290, "three quarters of 320"
    envs.set_level_weights({"1-1": 0.0, "2-1": 0.5})
    assert levels_of(envs) == {4: 320}
    envs.close()


def test_weights_that_make_no_sense_change_nothing() -> None:
    envs = warpzone.make_vec("1-2", 2, threads=1, seed=3)
    envs.reset(seed=3)
    for weights in ({"1-1": -1.0}, {"1-1": 0.0}, {"1-1": float("nan")}, {}):
        with pytest.raises(ConfigError, match="level"):
            envs.set_level_weights(weights)
    with pytest.raises(LevelError, match="9-9"):
        envs.set_level_weights({"9-9": 1.0})
    assert levels_of(envs) == {1: 40}
    envs.close()
