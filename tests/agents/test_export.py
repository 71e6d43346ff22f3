"""Agents as programs for others: the same numbers, and the same episode, action for action."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from typer.testing import CliRunner

from warpzone.agents.agent import Agent
from warpzone.agents.export import DESCRIPTION, STATE, description, export_agent
from warpzone.cli.app import app
from warpzone.errors import AgentError, ConfigError, MissingPackageError
from warpzone.games.catch import GAME, cartridge
from warpzone.nes import make as make_game
from warpzone.ppo.losses import sample
from warpzone.ppo.policy import ARRAY, SCALARS, Shapes, as_dict, shapes_of
from warpzone.smb import tile_layout
from warpzone.smb.config import EnvConfig
from warpzone.smb.spaces import observation_space
from warpzone.training import network_registry, register_network
from warpzone.training.agent_file import AgentInfo, PolicyMode, save_agent
from warpzone.training.config import AlgorithmName, GameTraining, NetworkConfig
from warpzone.training.networks import make_policy
from warpzone.training.recurrent import RecurrentPolicy

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
        remembered = {STATE: observation.pop(STATE)} if STATE in observation else {}
        with torch.inference_mode():
            return [out.numpy() for out in module(observation=observation, **remembered)]

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


class Rows(torch.nn.Module):
    """A network of somebody's own: convolutions over the map, and the scalars beside them."""

    def __init__(self, shapes: Shapes, hidden: tuple[int, ...], filters: int = 4) -> None:
        super().__init__()
        planes, rows, columns = shapes["tiles"]
        self.convolution = torch.nn.Conv2d(planes, filters, 3, padding=1)
        width = filters * rows * columns + shapes[SCALARS][0]
        self.dense = torch.nn.Linear(width, hidden[-1])

    def forward(self, observation: dict[str, Tensor]) -> Tensor:
        seen = torch.relu(self.convolution(observation["tiles"] / 255)).flatten(1)
        return torch.relu(self.dense(torch.cat((seen, observation[SCALARS]), 1)))


class Lstm(torch.nn.Module):
    """Another, which remembers."""

    def __init__(self, shapes: Shapes, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.state_width = 2 * hidden[-1]
        self.cell = torch.nn.LSTMCell(shapes[SCALARS][0], hidden[-1])

    def encode(self, observation: dict[str, Tensor]) -> Tensor:
        return observation[SCALARS]

    def step(self, seen: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        hidden, cell = self.cell(seen, state.chunk(2, 1))
        return hidden, torch.cat((hidden, cell), 1)


NET = {"hidden": (32, 16)}
PLAYED: dict[str, tuple[dict[str, Any], dict[str, Any], AlgorithmName]] = {
    "tiles": ({}, {"piecewise_linear": True}, "ppo"),
    "tiles, taught by PQN": ({}, {}, "pqn"),
    "ram": ({"observation": "ram"}, {}, "ppo"),
    "patches": ({"observation": "pixels"}, {"kind": "patches"}, "ppo"),
    "cnn": ({"observation": "pixels"}, {"kind": "cnn"}, "ppo"),
    "tutorial": ({"observation": "pixels", "consecutive": True}, {"kind": "tutorial"}, "ppo"),
    "gru": ({}, {"kind": "gru"}, "ppo"),
    "gru over cnn": (
        {"observation": "pixels"},
        {"kind": "gru", "options": {"trunk": "cnn"}},
        "ppo",
    ),
    "own": ({}, {"kind": "rows", "options": {"filters": 3}}, "ppo"),
    "own, with a memory": ({}, {"kind": "lstm"}, "ppo"),
}
"""Settings of the environment and of the network, and the algorithm."""


def untrained(file: Path, kind: str) -> Agent:
    """Returns an agent of a kind of network that chooses all kinds of actions."""
    settings, network, algorithm = PLAYED[kind]
    env = EnvConfig(no_progress_steps=40, **settings)
    shapes = shapes_of(observation_space(env))
    config = NetworkConfig(**{**NET, **network})
    torch.manual_seed(3)
    policy = make_policy(config, shapes, len(env.action_list), algorithm)
    torch.nn.init.normal_(policy.heads.weight)
    info = AgentInfo(
        env=env,
        network=config,
        algorithm=algorithm,
        shapes=shapes,
        actions=len(env.action_list),
        preset="tiles",
        seed=0,
        steps=1,
    )
    save_agent(file, policy.state_dict(), info)
    return Agent.load(file)


def episode(env: Any, act: Callable[[Any], int], seed: int) -> tuple[list[int], int]:
    """Plays until an episode ends; returns the actions, and how far it came."""
    actions: list[int] = []
    with closing(env):
        observation, info = env.reset(seed=seed)
        done = False
        while not done:
            actions.append(act(observation))
            observation, _, terminated, truncated, info = env.step(actions[-1])
            done = terminated or truncated
        return actions, int(info["progress"])


def same_episode(
    agent: Agent, file: Path, make: Callable[[], Any], mode: PolicyMode, seed: int
) -> tuple[list[int], int]:
    """Plays an episode by `agent` and by a program of it, drawn actions from the same random
    numbers; returns the actions, and how far it came."""
    ours, theirs = agent.random(5), agent.random(5)
    memory = agent.memory(1)
    run = FORMATS[file.suffix](file)
    width = agent.policy.state_width if isinstance(agent.policy, RecurrentPolicy) else 0
    state = np.zeros((1, width), np.float32)

    def act(observation: Any) -> int:
        return agent.decide(observation, mode, ours, memory).action

    def program(observation: Any) -> int:
        nonlocal state
        arrays = {name: np.asarray(array)[None] for name, array in as_dict(observation).items()}
        logits, _, *states = run({**arrays, STATE: state} if width else arrays)
        (state,) = states or [state]
        if mode == "argmax":
            return int(logits.argmax())
        return int(sample(torch.from_numpy(logits), theirs)[0])

    expected, progress = episode(make(), act, seed)
    actions, reached = episode(make(), program, seed)
    assert actions == expected
    assert reached == progress
    return actions, progress


def of_mario(agent: Agent) -> Callable[[], Any]:
    return lambda: agent.make_env(agent.level, noop_max=30, repeat_action_probability=0.0)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_program_of_an_agent_that_comes_along_clears_its_level(
    suffix: str, tmp_path: Path
) -> None:
    if suffix == ".onnx":
        pytest.importorskip("onnxscript")
    agent = Agent.load("1-1")
    file = tmp_path / f"program{suffix}"
    export_agent(agent, file)
    modes: list[tuple[PolicyMode, int]] = [("argmax", 3), ("sample", 4)]
    for mode, seed in modes:
        _, progress = same_episode(agent, file, of_mario(agent), mode, seed)
        if mode == agent.policy_mode:
            assert progress > 3000


@pytest.mark.parametrize("kind", PLAYED)
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_program_plays_the_same_episode(
    suffix: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if suffix == ".onnx":
        pytest.importorskip("onnxscript")
    monkeypatch.setattr(network_registry, "_registered", dict(network_registry._registered))
    register_network("rows")(Rows)
    register_network("lstm")(Lstm)
    agent = untrained(tmp_path / "agent.safetensors", kind)
    file = tmp_path / f"program{suffix}"
    export_agent(agent, file)
    actions, _ = same_episode(agent, file, of_mario(agent), "sample", 4)
    assert len(actions) > 20
    assert len(set(actions)) > 1
    same_episode(agent, file, of_mario(agent), "argmax", 3)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_program_plays_the_same_episode_of_a_described_game(suffix: str, tmp_path: Path) -> None:
    if suffix == ".onnx":
        pytest.importorskip("onnxscript")
    cartridge(tmp_path / "catch.nes")

    def make() -> Any:
        env = make_game(tmp_path / "catch.nes", GAME, observation="variables", noop_max=9)
        named = gymnasium.spaces.Dict({SCALARS: env.observation_space})
        return gymnasium.wrappers.TransformObservation(env, lambda seen: {SCALARS: seen}, named)

    with closing(make()) as env:
        shapes, count = shapes_of(env.observation_space), int(env.action_space.n)
    network = NetworkConfig(hidden=(16,))
    torch.manual_seed(3)
    policy = make_policy(network, shapes, count)
    torch.nn.init.normal_(policy.heads.weight)
    info = AgentInfo(
        env=EnvConfig(),
        game=GameTraining(name="catch", observation="variables"),
        network=network,
        shapes=shapes,
        actions=count,
        preset="tiles",
        seed=0,
        steps=1,
    )
    save_agent(tmp_path / "agent.safetensors", policy.state_dict(), info)
    agent = Agent.load(tmp_path / "agent.safetensors")
    file = tmp_path / f"program{suffix}"
    export_agent(agent, file)
    actions, _ = same_episode(agent, file, make, "sample", 4)
    assert len(actions) > 20
    assert len(set(actions)) == count
    same_episode(agent, file, make, "argmax", 3)


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
    run = FORMATS[suffix](tmp_path / f"program{suffix}")
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
