"""Agents as programs for others: the same numbers, and the same episode, action for action."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.support.agents import write_agent
from typer.testing import CliRunner

from warpzone.agents.agent import Agent
from warpzone.agents.export import DESCRIPTION, description, export_agent
from warpzone.cli.app import app
from warpzone.errors import AgentError, ConfigError, MissingPackageError
from warpzone.ppo.losses import sample
from warpzone.ppo.policy import ARRAY, SCALARS, Shapes
from warpzone.smb import tile_layout
from warpzone.smb.config import EnvConfig
from warpzone.training.agent_file import AgentInfo, PolicyMode, save_agent
from warpzone.training.config import NetworkConfig
from warpzone.training.networks import make_policy

Run = Callable[[dict[str, NDArray[Any]]], list[NDArray[np.float32]]]

NETWORKS: dict[str, tuple[NetworkConfig, Shapes]] = {
    "tiles with piecewise-linear features": (
        NetworkConfig(hidden=(32, 16), piecewise_linear=True),
        {SCALARS: (tile_layout.SCALARS,), "tiles": (3, 14, 18)},
    ),
    "floats alone": (NetworkConfig(hidden=(16,)), {SCALARS: (9,)}),
    "bytes alone": (NetworkConfig(hidden=(16,)), {ARRAY: (2048,)}),
    "patches": (NetworkConfig(kind="patches", hidden=(16,)), {ARRAY: (4, 84, 84)}),
    "cnn": (NetworkConfig(kind="cnn", hidden=(16,)), {ARRAY: (4, 84, 84)}),
    "tutorial": (NetworkConfig(kind="tutorial", hidden=(16,)), {ARRAY: (120, 128, 3)}),
}


def made(tmp_path: Path, network: NetworkConfig, shapes: Shapes) -> Agent:
    torch.manual_seed(3)
    policy = make_policy(network, shapes, 7)
    torch.nn.init.normal_(policy.heads.weight)  # so that logits differ
    info = AgentInfo(
        env=EnvConfig(), network=network, shapes=shapes, actions=7, preset="tiles", seed=0, steps=1
    )
    file = tmp_path / "agent.safetensors"
    save_agent(file, policy.state_dict(), info)
    return Agent.load(file)


def drawn(shapes: Shapes, count: int) -> dict[str, NDArray[Any]]:
    random = np.random.default_rng(count)
    return {
        name: random.normal(size=(count, *shape)).astype(np.float32)
        if name == SCALARS
        else random.integers(0, 256, (count, *shape), np.uint8)
        for name, shape in shapes.items()
    }


def of_onnx(file: Path) -> Run:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(file)
    return lambda arrays: list(session.run(None, arrays))


def of_torch(file: Path) -> Run:
    module = torch.export.load(file).module()

    def run(arrays: dict[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        observation = {name: torch.from_numpy(array) for name, array in arrays.items()}
        with torch.inference_mode():
            return [out.numpy() for out in module(observation=observation)]

    return run


FORMATS = {".onnx": of_onnx, ".pt2": of_torch}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_program_computes_what_the_agent_does(suffix: str, network: str, tmp_path: Path) -> None:
    if suffix == ".onnx":
        pytest.importorskip("onnxscript")
    config, shapes = NETWORKS[network]
    agent = made(tmp_path, config, shapes)
    file = tmp_path / f"program{suffix}"
    export_agent(agent, file)
    run = FORMATS[suffix](file)
    for count in (1, 2, 5):
        arrays = drawn(shapes, count)
        with torch.inference_mode():
            tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
            logits, value = (out.numpy() for out in agent.policy(tensors))
        assert logits.std() > 0.1
        found = run(arrays)
        assert [out.shape for out in found] == [(count, 7), (count,)]
        assert [out.dtype for out in found] == [np.float32, np.float32]
        np.testing.assert_allclose(found[0], logits, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(found[1], value, rtol=1e-4, atol=1e-4)


def episode(agent: Agent, act: Callable[[Any], int], seed: int) -> tuple[list[int], int]:
    """Plays until an episode ends; returns the actions, and how far it came in px."""
    env = agent.make_env(agent.level, noop_max=30, repeat_action_probability=0.0)
    actions: list[int] = []
    with closing(env):
        observation, info = env.reset(seed=seed)
        done = False
        while not done:
            actions.append(act(observation))
            observation, _, terminated, truncated, info = env.step(actions[-1])
            done = terminated or truncated
        return actions, int(info["progress"])


def batched(observation: Any) -> dict[str, NDArray[Any]]:
    arrays = observation if isinstance(observation, dict) else {ARRAY: observation}
    return {name: array[None] for name, array in arrays.items()}


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("sees", ["packaged tiles", "pixels"])
def test_a_program_plays_the_same_episode(suffix: str, sees: str, tmp_path: Path) -> None:
    """Action for action; drawn actions from the same random numbers."""
    if suffix == ".onnx":
        pytest.importorskip("onnxscript")
    if sees == "pixels":
        env = EnvConfig(levels=["1-1"], observation="pixels", no_progress_steps=40)
        agent = Agent.load(write_agent(tmp_path / "agent.safetensors", env))
    else:
        agent = Agent.load("1-1")
    file = tmp_path / f"program{suffix}"
    export_agent(agent, file)
    run = FORMATS[suffix](file)
    modes: list[tuple[PolicyMode, int]] = [("argmax", 3), ("sample", 4)]
    for mode, seed in modes:
        ours, theirs = agent.random(5), agent.random(5)

        def act(observation: Any) -> int:
            return agent.decide(observation, mode, ours).action  # noqa: B023

        def program(observation: Any) -> int:
            logits = run(batched(observation))[0]
            if mode == "argmax":  # noqa: B023
                return int(logits.argmax())
            return int(sample(torch.from_numpy(logits), theirs)[0])  # noqa: B023

        expected, progress = episode(agent, act, seed)
        actions, reached = episode(agent, program, seed)
        assert actions == expected
        assert reached == progress
        assert len(actions) > 30
        if sees != "pixels" and mode == agent.policy_mode:
            assert progress > 3000


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_program_remembers_as_the_agent_does(suffix: str, tmp_path: Path) -> None:
    if suffix == ".onnx":
        pytest.importorskip("onnxscript")
    shapes: Shapes = {SCALARS: (9,)}
    agent = made(tmp_path, NetworkConfig(kind="gru", hidden=(16, 8)), shapes)
    told = export_agent(agent, tmp_path / f"program{suffix}")
    assert list(told["inputs"]) == [SCALARS, "state"]
    assert told["outputs"] == ["logits", "value", "next_state"]
    arrays = [drawn(shapes, 3) for _ in range(6)]
    for index, array in enumerate(arrays):
        array[SCALARS] *= index
    memory = agent.memory(3)
    assert memory is not None
    if suffix == ".onnx":
        run = of_onnx(tmp_path / "program.onnx")
    else:
        module = torch.export.load(tmp_path / "program.pt2").module()

        def run(arrays: dict[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
            seen = {SCALARS: torch.from_numpy(arrays[SCALARS])}
            with torch.inference_mode():
                state = torch.from_numpy(arrays["state"])
                return [out.numpy() for out in module(observation=seen, state=state)]

    state = np.zeros((3, 8), np.float32)
    said = []
    for array in arrays:
        tensors = {name: torch.from_numpy(values) for name, values in array.items()}
        expected = memory.decide(tensors)[0].numpy()
        logits, _, state = run({**array, "state": state})
        np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
        said.append(logits)
    assert np.abs(np.diff(said, axis=0)).max() > 0.1


def test_a_file_says_what_is_in_it(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    agent = Agent.load("1-1")
    told = export_agent(agent, tmp_path / "mario.onnx")
    assert told == description(agent)
    assert told["levels"] == list(agent.levels)
    assert told["actions"][0] == "nothing"
    assert len(told["actions"]) == len(told["buttons"]) == agent.info.actions
    assert told["rom"]["revision"] == agent.info.rom_revision
    assert told["observation"] == "tiles"
    assert told["agent"]["env"]["frame_skip"] == told["frame_skip"]

    model = onnx.load(tmp_path / "mario.onnx")
    (written,) = [entry.value for entry in model.metadata_props if entry.key == "warpzone"]
    assert json.loads(written) == told
    inputs = {
        array.name: [e.dim_param or e.dim_value for e in array.type.tensor_type.shape.dim]
        for array in model.graph.input
    }
    assert inputs == {name: ["batch", *array["shape"]] for name, array in told["inputs"].items()}
    assert [array.name for array in model.graph.output] == told["outputs"]

    export_agent(agent, tmp_path / "mario.pt2")
    extra = {DESCRIPTION: ""}
    torch.export.load(tmp_path / "mario.pt2", extra_files=extra)
    assert json.loads(extra[DESCRIPTION]) == told


def test_an_agent_of_another_game_names_its_game(tmp_path: Path) -> None:
    told = export_agent(Agent.load("tetris"), tmp_path / "tetris.pt2")
    assert told["game"] == "tetris"
    assert told["levels"] == []
    assert ["A"] in told["buttons"]


def test_without_onnx_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agent: Agent
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'warpzone\[onnx\]'"):
        export_agent(agent, tmp_path / "program.onnx")
    export_agent(agent, tmp_path / "program.pt2")


def test_what_cannot_be_written_is_refused(tmp_path: Path, agent: Agent) -> None:
    with pytest.raises(ConfigError, match=r"must end in \.onnx or \.pt2"):
        export_agent(agent, tmp_path / "program.pkl")
    with pytest.raises(ConfigError, match="there is no folder"):
        export_agent(agent, tmp_path / "none" / "program.pt2")

    class Odd(torch.nn.Module):
        def forward(self, observation: dict[str, torch.Tensor]) -> torch.Tensor:
            if observation["tiles"].sum() > 3:
                return torch.zeros(1)
            return torch.ones(1)

    agent.policy.trunk = Odd()
    with pytest.raises(AgentError, match="cannot be exported: its network does what"):
        export_agent(agent, tmp_path / "program.pt2")
    assert not list(tmp_path.glob("program*"))


def test_the_command_writes_a_file(tmp_path: Path, agent_file: Path) -> None:
    output = tmp_path / "program.pt2"
    result = CliRunner().invoke(app, ["export", str(agent_file), "-o", str(output)])
    assert result.exit_code == 0, result.output
    assert "outputs: logits, value" in result.output
    assert torch.export.load(output) is not None
