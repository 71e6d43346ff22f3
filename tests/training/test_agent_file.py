"""Agents as files: they come back as they were, and what is no agent is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from warpzone.errors import AgentError
from warpzone.ppo.policy import Policy, Shapes
from warpzone.smb.config import EnvConfig
from warpzone.training.agent_file import AgentInfo, load_agent, save_agent
from warpzone.training.config import NetworkConfig

SHAPES: Shapes = {"scalars": (2,), "tiles": (3, 2, 2)}


def agent(tmp_path: Path, **changes: Any) -> Path:
    torch.manual_seed(0)
    network = NetworkConfig(hidden=(8,))
    info = AgentInfo(
        env=EnvConfig(levels={"1-2": 1.0}),
        network=network,
        shapes=SHAPES,
        actions=4,
        preset="tiles",
        seed=1,
        steps=2,
        **changes,
    )
    path = tmp_path / "agent.safetensors"
    save_agent(path, Policy(network, SHAPES, 4).state_dict(), info)
    return path


def test_an_agent_acts_after_loading_as_before_saving(tmp_path: Path) -> None:
    path = agent(tmp_path, clear_rate=0.75)
    torch.manual_seed(0)
    original = Policy(NetworkConfig(hidden=(8,)), SHAPES, 4)
    loaded, info = load_agent(path)
    observation = {
        "scalars": torch.randn(5, 2),
        "tiles": torch.randint(0, 256, (5, 3, 2, 2), dtype=torch.uint8),
    }
    for ours, theirs in zip(loaded(observation), original(observation), strict=True):
        assert torch.equal(ours, theirs)
    assert info.env.levels == {"1-2": 1.0}
    assert info.clear_rate == 0.75


def test_errors_of_agents_name_the_file_and_the_fault(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="there is no agent"):
        load_agent(tmp_path / "none.safetensors")
    path = agent(tmp_path, format=99)
    with pytest.raises(AgentError, match="format 99"):
        load_agent(path)
    whole = agent(tmp_path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AgentError, match="not a whole"):
        load_agent(path)
    path.write_bytes(safetensors.torch.save({"a": torch.zeros(1)}))
    with pytest.raises(AgentError, match="not an agent"):
        load_agent(path)
    network = NetworkConfig(hidden=(9,))
    info = load_agent(agent(tmp_path))[1]
    save_agent(path, Policy(network, SHAPES, 4).state_dict(), info)
    with pytest.raises(AgentError, match="own description"):
        load_agent(path)


def test_half_precision_halves_the_file_and_keeps_the_actions(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = NetworkConfig(hidden=(64, 64))
    policy = Policy(network, SHAPES, 4)
    # Logits as far apart as those of a trained policy, not as those of a new one.
    with torch.no_grad():
        policy.heads.weight.mul_(100)
    info = load_agent(agent(tmp_path))[1].model_copy(update={"network": network})
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    save_agent(whole, policy.state_dict(), info)
    save_agent(half, policy.state_dict(), info, half=True)
    tensors = safetensors.torch.load_file(half)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    loaded, read = load_agent(half)
    assert read == info
    assert {tensor.dtype for tensor in loaded.state_dict().values()} == {torch.float32}
    observation = {
        "scalars": torch.randn(2000, 2),
        "tiles": torch.randint(0, 256, (2000, 3, 2, 2), dtype=torch.uint8),
    }
    same = loaded(observation)[0].argmax(1) == policy(observation)[0].argmax(1)
    assert same.float().mean() >= 0.99


def test_files_of_before_agents_told_where_they_come_from(tmp_path: Path) -> None:
    info = load_agent(agent(tmp_path))[1]
    assert (info.seconds, info.threads, info.commit, info.command) == (None, None, None, None)
