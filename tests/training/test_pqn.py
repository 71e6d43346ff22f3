"""The second algorithm behind the same run directory: it learns, is saved, goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.support.toy import Corridor, toy_config
from tests.training.test_learner import CURRICULUM, PICTURES, assert_same, state
from tests.training.test_trainer import (
    Log,
    assert_same_curves,
    assert_same_state,
    newest,
    play,
    stopping,
)

from warpzone.agents.agent import Agent
from warpzone.errors import ConfigError
from warpzone.pqn.config import PQNConfig
from warpzone.pqn.network import QNetwork
from warpzone.training.agent_file import load_agent
from warpzone.training.checkpoint import Snapshot
from warpzone.training.config import NetworkConfig, TrainConfig
from warpzone.training.learner import Learner
from warpzone.training.native_update import why_not_native
from warpzone.training.networks import make_policy


def pqn_config(**changes: Any) -> TrainConfig:
    settings = {"lr_kl": TrainConfig().lr_kl, "algorithm": "pqn", "pqn": PQNConfig()}
    return toy_config(**{**settings, **changes})


def learner(config: TrainConfig) -> Learner:
    return Learner(config, Corridor(config.env, config.num_envs, 2, config.seed))


@pytest.mark.parametrize(
    "changes",
    [{}, {"schedule": "linear", "amp": True, "minibatch_size": 512}, CURRICULUM, PICTURES],
    ids=["plain", "bfloat16 and schedule", "curriculum", "pictures"],
)
def test_resumed_equals_uninterrupted_bit_for_bit(changes: dict[str, Any]) -> None:
    """And whatever the number of threads, which may change."""
    whole = learner(pqn_config(**changes, threads=1))
    for _ in range(4):
        whole.improve()
    first = learner(pqn_config(**changes, threads=2))
    for _ in range(2):
        first.improve()
    data = first.snapshot().pack()
    second = learner(pqn_config(**changes, threads=4))
    second.improve()  # whatever it was, it is replaced
    second.restore(Snapshot.unpack(data, "memory"))
    for _ in range(2):
        second.improve()
    assert_same(state(second), state(whole))


def test_it_learns_and_is_measured_and_saved_with_few_random_actions(tmp_path: Path) -> None:
    config = pqn_config(
        total_steps=16 * 32 * 40, target_clear_rate=0.9, eval_every=5, gamma=0.9, lr=5e-3
    )
    log = Log()
    result = play(config, tmp_path / "run", log)
    assert log.text.count("epsilon 0.0") > 3  # what a person is told of each update
    assert result.measured["1-1"].clear_rate >= 0.9
    assert result.steps < config.total_steps
    policy, info = load_agent(tmp_path / "run" / "best.safetensors")
    assert isinstance(policy, QNetwork)
    assert (info.algorithm, info.epsilon) == ("pqn", config.pqn.eval_epsilon)
    assert policy.epsilon == info.epsilon
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines if "charts/epsilon" in line]
    assert found[0]["charts/epsilon"] == 1.0
    assert found[-1]["charts/epsilon"] == config.pqn.epsilon_end
    assert found[-1]["losses/td_loss"] < found[0]["losses/td_loss"] * 2
    assert found[-1]["losses/explained_variance"] > 0.5


def test_a_run_that_is_stopped_goes_on_as_if_it_never_was(tmp_path: Path) -> None:
    config, whole, stopped = pqn_config(), tmp_path / "whole", tmp_path / "stopped"
    play(config, whole)
    assert play(config, stopped, make_env=stopping(after=200)).interrupted
    assert not play(config, stopped, resume=True).interrupted
    assert_same_state(newest(whole), newest(stopped))
    assert_same_curves(whole, stopped)


def test_its_agent_plays_by_values_whoever_asks(tmp_path: Path) -> None:
    play(pqn_config(), tmp_path / "run")
    agent = Agent.load(tmp_path / "run" / "agent.safetensors")
    env = Corridor(agent.info.env, 16, 1, 0)
    seen: Any = env.observations()
    greedy = agent.policy.q_values({k: torch.from_numpy(v) for k, v in seen.items()}).argmax(1)  # type: ignore[operator]
    acts = agent.act(seen, "argmax", agent.random(0))
    assert np.array_equal(acts, greedy.numpy())
    one = {name: array[0] for name, array in seen.items()}
    decision = agent.decide(one, "sample", agent.random(0))
    assert decision.probabilities.max() == pytest.approx(1 - 0.001 * 3 / 4)
    assert decision.probabilities.sum() == pytest.approx(1)


def test_agents_of_one_algorithm_do_not_begin_runs_of_the_other(tmp_path: Path) -> None:
    play(pqn_config(total_steps=16 * 32), tmp_path / "pqn")
    agent = str(tmp_path / "pqn" / "agent.safetensors")
    with pytest.raises(ConfigError, match=r"taught by pqn, .*; set algorithm=pqn"):
        learner(toy_config(init=agent)).begin()
    begun = learner(pqn_config(init=agent))
    begun.begin()
    policy, _ = load_agent(Path(agent))
    assert_same(begun.policy.state_dict(), policy.state_dict())


def test_the_algorithm_stays_as_the_run_began(tmp_path: Path) -> None:
    config = pqn_config(total_steps=16 * 32)
    play(config, tmp_path / "run")
    longer = {"total_steps": 16 * 32 * 2}
    with pytest.raises(ConfigError, match=r"algorithm: 'pqn' then, 'ppo' now: .*weights"):
        play(toy_config(**longer), tmp_path / "run", resume=True)


def test_the_native_learner_says_that_it_is_not_for_it() -> None:
    shapes = {"tiles": (3, 2, 2), "scalars": (34,)}
    policy = make_policy(NetworkConfig(hidden=(8,)), shapes, 3, "pqn")
    reason = why_not_native(policy, torch.device("cpu"))
    assert reason == "it is for the algorithm ppo"
