"""Games from elsewhere, trained by the same trainer."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from rich.console import Console
from tests.support.toy import toy_config

from warpzone.errors import ConfigError
from warpzone.ppo.rollout import Rollout, collect
from warpzone.training import resolve, train
from warpzone.training.config import CurriculumConfig, NetworkConfig
from warpzone.training.gymnasium_adapter import GymnasiumEnv, gymnasium_games
from warpzone.training.learner import Learner
from warpzone.training.networks import make_policy
from warpzone.training.progress import LineDisplay


def cartpoles(count: int, mode: Any = AutoresetMode.SAME_STEP, **settings: Any) -> Any:
    return gymnasium.make_vec(
        "CartPole-v1",
        count,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode},
        **settings,
    )


def cartpole_config(**changes: Any) -> Any:
    settings = {
        "num_envs": 8,
        "rollout_steps": 128,
        "minibatch_size": 256,
        "update_epochs": 8,
        "total_steps": 8 * 128 * 30,
        "network": {"hidden": [64, 64]},
        "gamma": 0.98,
        "schedule": "constant",
        "entropy_coef": 0.0,
        "target_clear_rate": None,
        "eval_episodes": 8,
        "device": "cpu",
        "threads": 1,
        "amp": False,
    }
    return resolve(**{**settings, **changes})


def test_cartpole_is_learnt_by_a_whole_run(tmp_path: Path) -> None:
    display = LineDisplay(Console(file=io.StringIO()))
    result = train(
        cartpole_config(seed=1), tmp_path, make_env=gymnasium_games(cartpoles), display=display
    )
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    returns = [row["rollout/episode_return"] for row in rows if "rollout/episode_return" in row]
    assert returns[0] < 40
    assert returns[-1] > 100
    measured = result.measured["CartPole-v1"]
    assert measured.mean_progress > 100  # the return of a whole episode
    assert measured.mean_progress > 3 * returns[0]


class Counting(gymnasium.Env[np.ndarray, np.int64]):
    """Counts its steps; ends after `end` of them or is cut short after `limit`."""

    observation_space = gymnasium.spaces.Box(-100, 100, (2,), np.float64)
    action_space = gymnasium.spaces.Discrete(3, start=-1)

    def __init__(self, end: int, limit: int) -> None:
        self.end, self.limit, self.count = end, limit, 0
        self.acted: list[int] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, Any]:
        self.count = 0
        return np.array([0.0, self.end]), {}

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, Any]:
        assert self.action_space.contains(action)
        self.count += 1
        state = np.array([float(self.count), self.end])
        return state, 0.5, self.count == self.end, self.count == self.limit, {}


def counting(mode: AutoresetMode) -> GymnasiumEnv:
    games = [lambda: Counting(3, 99), lambda: Counting(99, 4), lambda: Counting(5, 5)]
    return GymnasiumEnv(gymnasium.vector.SyncVectorEnv(games, autoreset_mode=mode), threshold=2.0)


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
def test_every_transition_is_spelt_out(mode: AutoresetMode) -> None:
    env = counting(mode)
    for t in range(1, 13):
        env.send(0, np.array([0, 1, 2]))
        step = env.recv(0)
        ended = [t % 3 == 0, t % 4 == 0, t % 5 == 0]
        assert step.terminated.tolist() == [ended[0], False, ended[2]]
        assert step.truncated.tolist() == [False, ended[1], ended[2]]
        assert step.finished.tolist() == [row for row in range(3) if ended[row]]
        lengths = [3, 4, 5]
        # What is acted on next is the new episode's, what ended it is kept beside it.
        now = [t % length for length in lengths]
        assert step.obs["scalars"][:, 0].tolist() == now
        assert step.final_obs["scalars"][:, 0].tolist() == [lengths[row] for row in step.finished]
        score = [0.5 * (t % length or length) for length in lengths]
        assert step.score.tolist() == score
        assert step.success.tolist() == [value >= 2.0 for value in score]
        assert step.signals["steps"].tolist() == [t % length or length for length in lengths]


def test_what_was_cut_short_goes_on_from_the_value_of_its_own_last_observation() -> None:
    env = counting(AutoresetMode.SAME_STEP)
    torch.manual_seed(0)
    policy = make_policy(NetworkConfig(hidden=(8,)), {"scalars": (2,)}, 3)
    rollout = Rollout(12, env, torch.device("cpu"))
    collect(env, policy, rollout, 0, 0, lambda first, step: None)
    with torch.no_grad():
        _, value = policy({"scalars": torch.tensor([[4.0, 99.0]])})
    ends = torch.arange(12) % 4 == 3
    torch.testing.assert_close(rollout.next_values[ends, 1], value.expand(3))
    assert (rollout.next_values[torch.arange(12) % 3 == 2, 0] == 0).all()
    assert (rollout.next_values[[4, 9], 2] == 0).all()  # terminated, and cut off at once


def test_what_cannot_be_trained_with_is_refused() -> None:
    with pytest.raises(ConfigError, match="SAME_STEP"):
        GymnasiumEnv(cartpoles(2, AutoresetMode.NEXT_STEP))
    envs = gymnasium.make_vec(
        "Pendulum-v1", 2, vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
    )  # fmt: skip
    with pytest.raises(ConfigError, match="actions must be Discrete"):
        GymnasiumEnv(envs)


def test_settings_that_need_levels_are_refused() -> None:
    env = GymnasiumEnv(cartpoles(16))
    config = toy_config(env={"start_steps": 4}, curriculum=CurriculumConfig(share=0.5))
    with pytest.raises(
        ConfigError, match=r"curriculum\.share needs games .* GymnasiumEnv has none"
    ):
        Learner(config, env)
    with pytest.raises(ConfigError, match="distillation_policies needs games"):
        Learner(toy_config(distillation_policies={"1-1": "1-1"}), env)


def test_an_atari_game_is_played_and_learnt_from(tmp_path: Path) -> None:
    ale = pytest.importorskip("ale_py.vector_env")

    def make(count: int) -> Any:
        return ale.AtariVectorEnv(
            "pong", count, num_threads=1, autoreset_mode=AutoresetMode.SAME_STEP, frameskip=4
        )

    config = resolve(
        "pixels", num_envs=4, rollout_steps=32, minibatch_size=64, total_steps=4 * 32 * 2,
        threads=1, device="cpu", env={"frame_stack": 4},
    )  # fmt: skip
    learner = Learner(config, gymnasium_games(make)(config.env, 4, 2, 0))
    before = learner.policy.heads.weight.clone()
    for _ in range(2):
        metrics = learner.improve()
    assert learner.rollout.observations["array"].shape == (33, 4, 4, 84, 84)
    assert learner.rollout.observations["array"][32].float().std() > 10  # it has seen pictures
    assert not torch.equal(before, learner.policy.heads.weight)
    assert np.isfinite(metrics["losses/value_loss"])
    learner.close()
    learner.env.close()
