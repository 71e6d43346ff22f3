"""Evaluations by actors give what one process gives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.agents import write_agent
from tests.support.commands import error_of, run

from warpzone.agents.agent import Agent
from warpzone.agents.evaluate import evaluate
from warpzone.errors import AgentError, ConfigError
from warpzone.fleet.cluster import session
from warpzone.fleet.evaluation import evaluate_on_ray

pytest.importorskip("ray.tune")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with session(cpus=2):
        yield


@pytest.mark.slow
def test_actors_measure_what_one_process_measures(tmp_path: Path, cluster: None) -> None:
    names: list[str | Path] = [
        write_agent(tmp_path / "agent.safetensors"),
        "1-1",
    ]  # and one that comes along
    levels = ["1-1", "1-2"]
    settings: dict[str, Any] = {
        "episodes": 6,
        "noop_max": 20,
        "seed": 3,
        "repeat_action_probability": 0.25,
    }
    lines: list[str] = []
    found = evaluate_on_ray(names, levels, log=lines.append, **settings)
    assert len(lines) == 4
    for name in names:
        agent = Agent.load(name)
        alone = evaluate(agent, levels, policy=agent.policy_mode, **settings)
        assert found[str(name)] == alone
        assert list(found[str(name)].levels) == levels
    first, second = found.values()
    assert first.levels["1-1"] != second.levels["1-1"]

    arguments = ("eval", names[0], "--levels", "1-1,1-2", "--episodes", "4", "--json")
    alone_told, told = run(*arguments), run(*arguments, "--ray")
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout) == json.loads(alone_told.stdout)

    with pytest.raises(ConfigError, match="episodes is 0"):
        evaluate_on_ray(names, levels, episodes=0)
    with pytest.raises(ConfigError, match="named twice"):
        evaluate_on_ray([names[0], names[0]], levels)
    with pytest.raises(AgentError, match="no-such"):
        evaluate_on_ray(["no-such"], levels)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--address", "auto"), "--address is for --ray"),
        (("--ray", "--game"), "--ray divides levels"),
        (("--ray", "--threads", "2"), "--ray divides levels"),
    ],
)
def test_what_is_refused(arguments: tuple[str, ...], told: str) -> None:
    assert told in error_of("eval", "1-1", *arguments)
