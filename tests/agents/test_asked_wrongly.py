"""What an agent is asked with: checked before native code or PyTorch sees it."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import warpzone
from warpzone.agents.agent import Agent
from warpzone.errors import AgentError, ConfigError


@pytest.fixture
def seen(agent: Agent) -> dict[str, Any]:
    envs = agent.make_envs("1-1", 2, noop_max=0, repeat_action_probability=0.0, threads=1)
    envs.reset(seed=0)
    found = {name: np.array(rows) for name, rows in envs.observations().items()}  # type: ignore[union-attr]
    envs.close()
    return found


def test_observations_of_other_games_are_refused(agent: Agent, seen: dict[str, Any]) -> None:
    wrong: list[Any] = [
        {**seen, "tiles": seen["tiles"][:, :-1]},
        {**seen, "tiles": seen["tiles"][:1]},
        {**seen, "tiles": seen["tiles"].astype(np.float32)},
        {**seen, "scalars": seen["scalars"].astype(np.float64)},
        {**seen, "more": seen["tiles"]},
        {"tiles": seen["tiles"]},
        {**seen, "scalars": None},
        seen["tiles"],
        None,
    ]
    for given in wrong:
        with pytest.raises(AgentError, match="plays by observations of n games"):
            agent.act(given, "argmax", agent.random(0))
    assert agent.act(seen, "argmax", agent.random(0)).shape == (2,)


def test_other_words_than_sample_and_argmax_are_refused(agent: Agent, seen: dict[str, Any]) -> None:
    """Any other word was argmax."""
    wrong: list[Any] = ["greedy", "", None, []]
    for policy in wrong:
        with pytest.raises(ConfigError, match=r"policy is .*: it must be 'sample' or 'argmax'"):
            agent.act(seen, policy, agent.random(0))
    with pytest.raises(ConfigError, match="policy is 'greedy'"):
        warpzone.evaluate(agent, ["1-1"], episodes=1, policy="greedy")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="generator is None"):
        agent.act(seen, "sample", None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="memory is 'm'"):
        agent.act(seen, "argmax", agent.random(0), "m")  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [None, "a", 1.5, -1, 2**64])
def test_no_seeds(agent: Agent, value: Any) -> None:
    with pytest.raises(ConfigError, match="seed is"):
        agent.random(value)
    with pytest.raises(ConfigError, match=r"episodes is|seed is"):
        warpzone.evaluate(agent, ["1-1"], episodes=1, seed=value)


def test_an_agent_that_has_played_is_copied(agent: Agent, seen: dict[str, Any]) -> None:
    """TypeError: cannot pickle 'Network' object."""
    expected = agent.act(seen, "argmax", agent.random(0)).tolist()
    for other in (copy.deepcopy(agent), pickle.loads(pickle.dumps(agent)), copy.copy(agent)):
        assert other.act(seen, "argmax", other.random(0)).tolist() == expected


def test_no_names_and_no_devices(agent: Agent) -> None:
    wrong: list[Any] = [5, None, b"1-1", []]
    for name in wrong:
        with pytest.raises(ConfigError, match=r"name is .*: it must be a file"):
            Agent.load(name)
    for device in (None, 3):
        with pytest.raises(ConfigError, match="device is"):
            Agent.load(agent.path, device)  # type: ignore[arg-type]
