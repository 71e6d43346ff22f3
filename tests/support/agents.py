"""An agent that knows nothing, saved as training would save it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from warpzone.agents.agent import Agent
from warpzone.nes.cartridge import open_rom
from warpzone.ppo.policy import shapes_of
from warpzone.smb.config import EnvConfig
from warpzone.smb.spaces import observation_space
from warpzone.training.agent_file import AgentInfo, save_agent
from warpzone.training.config import NetworkConfig
from warpzone.training.networks import make_policy

ENV = EnvConfig(levels=["1-1", "1-2"], noop_max=30, no_progress_steps=12)


def write_agent(path: Path, env: EnvConfig = ENV, *, seed: int = 0, steps: int = 1000) -> Path:
    """Save an untrained agent for `env`, with the rest of its description made up."""
    kind = "tiles" if env.observation == "tiles" else "cnn"
    network = NetworkConfig(kind=kind, hidden=(16,))
    shapes = shapes_of(observation_space(env))
    torch.manual_seed(seed)
    policy = make_policy(network, shapes, len(env.action_list))
    rom = open_rom()
    info = AgentInfo(
        env=env,
        network=network,
        shapes=shapes,
        actions=len(env.action_list),
        preset=env.observation,
        seed=seed,
        steps=steps,
        rom_revision=rom.revision,
        rom_sha1=rom.sha1,
    )
    save_agent(path, policy.state_dict(), info)
    return path


@pytest.fixture
def one_torch_thread() -> Iterator[None]:
    """Two threads that wait for each other are slow where tests share the cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def agent_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_agent(tmp_path_factory.mktemp("agent") / "agent.safetensors")


@pytest.fixture
def agent(agent_file: Path) -> Agent:
    return Agent.load(agent_file)
