"""Finding and loading agents, and what they do."""

from __future__ import annotations

import dataclasses
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from tests.support.agents import ENV, write_agent

from warpzone.agents.agent import Agent
from warpzone.errors import AgentError, ConfigError, LevelError
from warpzone.nes.cartridge import open_rom
from warpzone.smb.config import EnvConfig


def error_of(path: Path) -> str:
    with pytest.raises(AgentError) as caught:
        Agent.load(path)
    return str(caught.value)


def test_run_directory_gives_its_best_agent_else_its_final_one(tmp_path: Path) -> None:
    write_agent(tmp_path / "agent.safetensors", steps=20)
    assert Agent.load(tmp_path).info.steps == 20
    write_agent(tmp_path / "best.safetensors", steps=10)
    assert Agent.load(tmp_path).info.steps == 10
    assert Agent.load(tmp_path / "agent.safetensors").info.steps == 20


def test_nothing_there(tmp_path: Path) -> None:
    text = error_of(tmp_path / "nowhere")
    assert "nowhere" in text
    assert "warpzone train 1-1" in text


def test_directory_that_is_no_run(tmp_path: Path) -> None:
    assert "neither best.safetensors nor agent.safetensors" in error_of(tmp_path)


def test_directory_of_runs_names_them(tmp_path: Path) -> None:
    write_agent(tmp_path / "first" / "agent.safetensors")
    write_agent(tmp_path / "second" / "best.safetensors")
    text = error_of(tmp_path)
    assert str(tmp_path / "first") in text
    assert str(tmp_path / "second") in text


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl"])
def test_run_without_an_agent_yet(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")
    text = error_of(tmp_path)
    assert "no agent yet" in text
    assert "--resume" in text


@pytest.mark.parametrize("keep", [0, 5, 300, -1])
def test_file_cut_short(tmp_path: Path, agent_file: Path, keep: int) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(agent_file.read_bytes()[:keep])
    assert "cut.safetensors" in error_of(path)


def test_file_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "notes.safetensors"
    path.write_text("these are notes, and not a few of them")
    assert "not a whole safetensors file" in error_of(path)


def test_safetensors_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(3)}, path)
    assert "not an agent of warpzone" in error_of(path)


def rewrite(source: Path, target: Path, **changes: object) -> Path:
    """Copy an agent with changes in its description."""
    data = source.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    info = json.loads(header["__metadata__"]["warpzone"]) | changes
    header["__metadata__"]["warpzone"] = json.dumps(info)
    text = json.dumps(header).encode()
    target.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    return target


def test_description_of_another_format(tmp_path: Path, agent_file: Path) -> None:
    text = error_of(rewrite(agent_file, tmp_path / "new.safetensors", format=99))
    assert "format 99" in text


@pytest.mark.parametrize(
    "changes",
    [{"actions": 3}, {"network": {"kind": "tiles", "hidden": [8]}}, {"env": {"levels": "9-9"}}],
)
def test_description_that_does_not_fit_the_weights(
    tmp_path: Path, agent_file: Path, changes: dict[str, object]
) -> None:
    assert "does not fit" in error_of(rewrite(agent_file, tmp_path / "a.safetensors", **changes))


def test_observations_of_another_version(tmp_path: Path) -> None:
    path = write_agent(tmp_path / "a.safetensors")
    agent = Agent.load(path)
    info = agent.info.model_copy(update={"shapes": {"tiles": (1, 2, 3), "scalars": (4,)}})
    other = Agent(agent.policy, info, path)
    with pytest.raises(AgentError, match=r"\(1, 2, 3\).*train again"):
        other.make_env("1-1", noop_max=0, repeat_action_probability=0.0)
    with pytest.raises(AgentError, match="train again"):
        other.make_envs("1-1", 2, noop_max=0, repeat_action_probability=0.0)


def test_device_that_is_not_there(agent_file: Path) -> None:
    with pytest.raises(ConfigError, match="cuda:77"):
        Agent.load(agent_file, device="cuda:77")


def test_unknown_level(agent: Agent) -> None:
    with pytest.raises(LevelError, match="9-1"):
        agent.make_env("9-1", noop_max=0, repeat_action_probability=0.0)


def test_a_different_rom_is_worth_a_warning(agent: Agent) -> None:
    rom = open_rom()
    assert agent.rom_mismatch(rom) is None
    other = dataclasses.replace(rom, sha1="0" * 40, revision="World")
    warning = agent.rom_mismatch(other)
    assert warning is not None
    assert "'World'" in warning


def test_levels_and_title(agent: Agent) -> None:
    assert agent.levels == ("1-1", "1-2")
    assert agent.title == "tiles agent, 1,000 steps"


@pytest.mark.parametrize("observation", ["tiles", "pixels"])
def test_acting_on_any_level(tmp_path: Path, observation: str) -> None:
    env = EnvConfig(observation=observation, no_progress_steps=5)
    agent = Agent.load(write_agent(tmp_path / "a.safetensors", env))
    envs = agent.make_envs("4-2", 3, noop_max=0, repeat_action_probability=0.0, threads=1)
    observations, infos = envs.reset(seed=0)
    assert (infos["world"] == 4).all()
    actions = agent.act(observations, "sample", agent.random(0))
    assert (actions.shape, actions.dtype) == ((3,), np.dtype(np.int64))
    envs.step(actions)
    envs.close()


def test_sampling_follows_its_generator_and_argmax_the_logits(agent: Agent) -> None:
    envs = agent.make_envs("1-1", 64, noop_max=30, repeat_action_probability=0.0, threads=1)
    observations, _ = envs.reset(seed=0)
    envs.close()
    first = agent.act(observations, "sample", agent.random(1))
    np.testing.assert_array_equal(first, agent.act(observations, "sample", agent.random(1)))
    assert (first != agent.act(observations, "sample", agent.random(2))).any()
    assert isinstance(observations, dict)
    with torch.no_grad():
        arrays = {name: torch.from_numpy(array) for name, array in observations.items()}
        likeliest = agent.policy(arrays)[0].argmax(1).numpy()
    np.testing.assert_array_equal(agent.act(observations, "argmax", agent.random(1)), likeliest)


def test_games_keep_the_settings_of_the_training(agent: Agent) -> None:
    env = agent.make_env("1-3", noop_max=7, repeat_action_probability=0.25)
    config = env.config
    env.close()
    assert config == ENV.model_copy(
        update={
            "levels": {"1-3": 1.0},
            "noop_max": 7,
            "repeat_action_probability": 0.25,
            "autoreset": "disabled",
        }
    )


def test_sticky_buttons_are_in_every_episode_that_is_measured(tmp_path: Path) -> None:
    half = EnvConfig(
        levels={"1-1": 1, "1-2": 1},
        repeat_action_probability=0.25,
        sticky_share=0.5,
        row_share=0.5,
        life_share=0.5,
        phase_share=0.5,
        power_share=0.5,
        start_halt_share=0.5,
    )
    agent = Agent.load(write_agent(tmp_path / "a.safetensors", half))
    envs = agent.make_envs("1-1", 2, noop_max=0, repeat_action_probability=0.5, threads=1)
    config = envs.config
    envs.close()
    assert (config.repeat_action_probability, config.sticky_share) == (0.5, 1.0)
    assert config.row_share == config.life_share == config.phase_share == config.power_share == 0
    assert config.start_halt_share == 0
