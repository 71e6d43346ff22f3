"""TorchRL's wrapper around a vector environment, against the environment itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import warpzone

GAMES, STEPS = 3, 60
PICTURE = "observation"
SETTINGS: dict[str, Any] = {"noop_max": 30, "no_progress_steps": 12}


def named(obs: Any) -> dict[str, Any]:
    """By the names that TorchRL gives."""
    return obs if isinstance(obs, dict) else {PICTURE: obs}


@pytest.mark.parametrize("observation", ["tiles", "pixels"])
def test_rollouts_are_what_the_games_play(observation: Any) -> None:
    envs = pytest.importorskip("torchrl.envs")
    settings: dict[str, Any] = {**SETTINGS, "observation": observation}
    made = warpzone.make_vec("1-1", GAMES, autoreset="disabled", **settings)
    env = envs.GymWrapper(made, categorical_action_encoding=True)
    assert env.batch_size == (GAMES,)
    torch.manual_seed(0)
    env.set_seed(5)
    rollout = env.rollout(STEPS, break_when_any_done=False)

    plain = warpzone.make_vec("1-1", GAMES, **settings)
    plain.reset(seed=5)  # set_seed does so
    obs, _ = plain.reset()
    ends = 0
    for step in range(STEPS):
        now = rollout[:, step]
        for name, array in named(obs).items():
            np.testing.assert_array_equal(now[name].numpy(), array)
        obs, rewards, terminated, truncated, infos = plain.step(now["action"].numpy())
        np.testing.assert_array_equal(now["next", "reward"][:, 0].numpy(), rewards)
        np.testing.assert_array_equal(now["next", "terminated"][:, 0].numpy(), terminated)
        np.testing.assert_array_equal(now["next", "truncated"][:, 0].numpy(), truncated)
        for game in np.flatnonzero(terminated | truncated):
            for name, array in named(infos["final_obs"][game]).items():
                np.testing.assert_array_equal(now["next", name][game].numpy(), array)
            ends += 1
    assert ends >= 2
