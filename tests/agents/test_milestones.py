"""The agents of a run over its course are those that training had then."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from warpzone import training
from warpzone.agents.agent import Agent
from warpzone.agents.milestones import milestone_agents
from warpzone.errors import CheckpointError
from warpzone.smb.vector_env import MarioVectorEnv
from warpzone.training.learner import Learner
from warpzone.training.run_directory import RunDirectory

TINY = {
    "num_envs": 4,
    "threads": 1,
    "device": "cpu",
    "rollout_steps": 8,
    "minibatch_size": 16,
    "network": {"hidden": [16]},
    "keep_checkpoints": 20,
    "env": {"levels": {"1-2": 1.0}},
}


def weights(agent: Agent | Learner) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in agent.policy.state_dict().values()]


def equal(ones: list[torch.Tensor], others: list[torch.Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(ones, others, strict=True))


@pytest.fixture(scope="module")
def run_and_weights(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, dict[int, list[torch.Tensor]]]:
    """A run of three updates with a checkpoint after each, and the weights by step."""
    path = tmp_path_factory.mktemp("runs") / "run"
    config = training.resolve("tiles", **TINY)
    envs = MarioVectorEnv(num_envs=config.num_envs, num_groups=2, config=config.env)
    learner = Learner(config, envs)
    run = RunDirectory(path, config)
    run.open()
    known = {0: weights(learner)}
    for _ in range(3):
        learner.improve()
        known[learner.step] = weights(learner)
        run.save(learner.snapshot(), learner.agent_info())
    envs.close()
    return path, known


def test_from_the_untrained_agent_to_the_last(
    run_and_weights: tuple[Path, dict[int, list[torch.Tensor]]],
) -> None:
    path, known = run_and_weights
    found = milestone_agents(path)
    assert [agent.info.steps for agent in found] == [0, 32, 64, 96]
    for agent in found:
        assert equal(weights(agent), known[agent.info.steps]), agent.info.steps
        assert agent.levels == ("1-2",)
    assert not equal(known[0], known[32])


def test_what_the_run_kept_of_its_course_comes_before_checkpoints(tmp_path: Path) -> None:
    config = training.resolve("tiles", **TINY)
    run = RunDirectory(tmp_path, config)
    run.open()
    envs = MarioVectorEnv(num_envs=config.num_envs, num_groups=2, config=config.env)
    learner = Learner(config, envs)
    known = {}
    for _ in range(12):
        learner.improve()
        known[learner.step] = weights(learner)
        if run.milestones.due(learner.step):
            run.milestones.add(learner.policy.state_dict(), learner.agent_info())
        run.save(learner.snapshot(), learner.agent_info())
    envs.close()
    found = milestone_agents(tmp_path)
    assert [agent.info.steps for agent in found] == [0, *range(64, 385, 64)]
    for agent in found[1:-1]:
        for one, other in zip(weights(agent), known[agent.info.steps], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_of_many_stages_some_are_taken_evenly(
    run_and_weights: tuple[Path, dict[int, list[torch.Tensor]]],
) -> None:
    path, _ = run_and_weights
    assert [agent.info.steps for agent in milestone_agents(path, most=2)] == [0, 96]
    assert [agent.info.steps for agent in milestone_agents(path, most=3)] == [0, 64, 96]


def test_what_has_no_stages(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no run"):
        milestone_agents(tmp_path / "nowhere")
    config = training.resolve("tiles", **TINY)
    RunDirectory(tmp_path / "new", config).open()
    with pytest.raises(CheckpointError, match="nothing yet to show progress"):
        milestone_agents(tmp_path / "new")


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    config = training.resolve("tiles", **TINY)
    RunDirectory(tmp_path, config).open()
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step-000000000032.ckpt").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"step-000000000032\.ckpt is not a checkpoint"):
        milestone_agents(tmp_path)
