"""What an end without the flag costs, as it is changed while games are played."""

from __future__ import annotations

import numpy as np
import pytest

import warpzone
from warpzone.errors import ConfigError, LevelError
from warpzone.smb.actions import ACTION_SETS

RIGHT = ACTION_SETS["simple"].index(["right"])


def last_reward(envs: warpzone.MarioVectorEnv) -> float:
    """Walks into the first enemy; returns what that step paid."""
    envs.reset(seed=0)
    for _ in range(200):
        _, rewards, terminated, _, _ = envs.step(np.full(1, RIGHT))
        if terminated[0]:
            return float(rewards[0])
    raise AssertionError("no enemy")


@pytest.mark.parametrize("reward", ["progress", "landed"])
def test_the_newest_penalty_counts(reward: str) -> None:
    envs = warpzone.make_vec("1-1", 1, threads=1, reward=reward, end_penalty=3.0)
    first = last_reward(envs)
    envs.set_end_penalties({"1-1": 5.0})
    assert last_reward(envs) == pytest.approx(first - 2.0, abs=1e-4)
    envs.set_end_penalties({"1-1": 0.0})
    assert last_reward(envs) == pytest.approx(first + 3.0, abs=1e-4)
    envs.set_end_penalties({"1-2": 9.0})
    assert last_reward(envs) == first  # levels that are not named cost what the settings say
    envs.close()


def test_other_rewards_know_no_penalty_and_wrong_ones_change_nothing() -> None:
    envs = warpzone.make_vec("1-1", 1, threads=1)
    first = last_reward(envs)
    for penalty in (-1.0, 101.0, float("nan")):
        with pytest.raises(
            ConfigError, match=r"end_penalty must be from 0 to 100|must be a finite"
        ):
            envs.set_end_penalties({"1-1": penalty})
    with pytest.raises(LevelError, match="9-9"):
        envs.set_end_penalties({"9-9": 1.0})
    assert last_reward(envs) == first
    envs.close()
    gym = warpzone.make_vec("1-1", 1, threads=1, reward="gym")
    with pytest.raises(ConfigError, match="end_penalty is for the rewards progress and landed"):
        gym.set_end_penalties({"1-1": 5.0})
    gym.close()
