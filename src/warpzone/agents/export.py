"""An agent as a program for others: an ONNX file, or one of `torch.export`.

Both hold the network and its weights and need neither warpzone nor a class of it. What is native
code here (a first layer that skips inputs which are 0) is written as the matrix product that it
computes. Beside the network lies a description, JSON, of what it sees and what its actions are.
"""

from __future__ import annotations

import copy
import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from warpzone.agents.agent import Agent
from warpzone.errors import AgentError, MissingPackageError
from warpzone.extras import install_line, need
from warpzone.files import check_output_path, write_atomically
from warpzone.nes.buttons import action_names
from warpzone.nes.game import game_named, game_names
from warpzone.ppo.policy import SCALARS, Observation, Policy
from warpzone.training.recurrent import RecurrentPolicy
from warpzone.version import VERSION

ONNX, TORCH = ".onnx", ".pt2"
SUFFIXES = (ONNX, TORCH)
DESCRIPTION = "warpzone.json"
"""The name of the description in a file of `torch.export`; in an ONNX file it is the metadata
property `warpzone`."""
OUTPUTS = ("logits", "value")
STATE, NEXT_STATE = "state", "next_state"
"""Of a network with a memory, one input and one output more: zeros where an episode begins, then
what came out."""
BATCH = "batch"
"""The name of the first dimension, of any size."""
OPSET = 20
_NOISY = "torch.onnx._internal.exporter._registration"
"""Logs that torchvision is not installed, of which nothing is needed."""


def export_agent(agent: Agent, path: str | Path) -> dict[str, Any]:
    """Writes the network of `agent` with its weights as a program.

    Its inputs are the arrays of an observation by name, each with a first axis of any length (in a
    file of `torch.export` they are one argument, `observation`, a dict); its outputs are `logits`
    float32 [B, actions] and `value` float32 [B]. A network with a memory has one input more,
    `state` float32 [B, S], zeros where an episode begins, and one output more, `next_state`.
    Numbers are those of the agent within rounding.

    Args:
        agent: from `Agent.load`, on any device.
        path: `FILE.onnx` for ONNX, `FILE.pt2` for `torch.export.load`.

    Returns:
        The description that is in the file too, see `description`.

    Raises:
        ConfigError: another suffix, or no place for a file.
        MissingPackageError: ONNX is asked for, and its packages are not installed.
        AgentError: the network is none that can be written so; the text says why.
        FileError: the file cannot be written.
    """
    path = check_output_path(Path(path), "an exported agent", SUFFIXES)
    suffix = path.suffix.lower()
    if suffix == ONNX:
        need(f"An {ONNX} file (a {TORCH} file needs nothing more)", onnx=("onnx", "onnxscript"))
    told = description(agent)
    text = json.dumps(told)
    with torch.no_grad(), _quiet():
        try:
            program = _traced(agent)
            data = _onnx(program, told, text) if suffix == ONNX else _saved(program, text)
        except ImportError as error:
            raise MissingPackageError(
                f"the installed onnx and onnxscript do not fit this PyTorch ({error}):"
                f" {install_line(['onnx'])} --upgrade",
                name="onnxscript",
            ) from error
        # Whatever a network of somebody's own does that cannot be traced.
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            raise AgentError(
                f"{agent.path} cannot be exported: its network does what {suffix} has no word for:"
                f" {type(error).__name__}: {reason}"
            ) from error
    write_atomically(path, data)
    return told


def description(agent: Agent) -> dict[str, Any]:
    """Returns what an exported file says of itself, as JSON can hold it.

    `inputs` → name → `dtype`, `shape` (without the first axis); `outputs`; `actions`: what each
    number stands for, and `buttons`, where the game's description is at hand, which hold together;
    `levels` that it was trained on, or `game`; `observation`; `frame_skip`, frames per decision;
    `policy`, what it plays best with, as far as is known; `rom` → `revision`, `sha1`; `agent`: all
    that its own file says, settings of the environment included; `warpzone`: the version.
    """
    info = agent.info
    of_game = info.game.name is not None
    settings = info.game if of_game else info.env
    buttons = _buttons(agent)
    inputs = {
        name: {"dtype": "float32" if name == SCALARS else "uint8", "shape": list(shape)}
        for name, shape in info.shapes.items()
    }
    outputs = list(OUTPUTS)
    if isinstance(agent.policy, RecurrentPolicy):
        inputs[STATE] = {"dtype": "float32", "shape": [agent.policy.state_width]}
        outputs.append(NEXT_STATE)
    return {
        "warpzone": VERSION,
        "inputs": inputs,
        "outputs": outputs,
        "actions": None if buttons is None else action_names(buttons),
        "buttons": buttons,
        "levels": [] if of_game else list(agent.levels),
        "game": info.game.name,
        "observation": settings.observation,
        "frame_skip": settings.frame_skip,
        "policy": agent.policy_mode,
        "rom": {"revision": info.rom_revision, "sha1": info.rom_sha1},
        "agent": info.model_dump(mode="json"),
    }


def _buttons(agent: Agent) -> list[list[str]] | None:
    """Which buttons each action holds; None: the game's description is not here."""
    name = agent.info.game.name
    if name is None:
        return [list(names) for names in agent.info.env.action_list]
    return [list(names) for names in game_named(name).actions] if name in game_names() else None


class _Program(nn.Module):
    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, observation: Observation) -> tuple[Tensor, Tensor]:
        logits, value = self.policy(observation)
        return logits, value


class _RememberingProgram(nn.Module):
    def __init__(self, policy: RecurrentPolicy) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, observation: Observation, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.policy.step(observation, state)


def _traced(agent: Agent) -> torch.export.ExportedProgram:
    policy = agent.policy
    if agent.device.type != "cpu":
        policy = copy.deepcopy(policy).cpu()
    # Two rows: a first axis of one would be taken for a constant.
    seen = {
        name: torch.zeros((2, *shape), dtype=torch.float32 if name == SCALARS else torch.uint8)
        for name, shape in agent.info.shapes.items()
    }
    batch = torch.export.Dim(BATCH, min=1)
    given: dict[str, Any] = {"observation": seen}
    axes: dict[str, Any] = {"observation": {name: {0: batch} for name in seen}}
    program: nn.Module = _Program(policy)
    if isinstance(policy, RecurrentPolicy):
        program = _RememberingProgram(policy)
        given[STATE], axes[STATE] = torch.zeros(2, policy.state_width), {0: batch}
    return torch.export.export(program.eval(), (), given, dynamic_shapes=axes)


def _saved(program: torch.export.ExportedProgram, text: str) -> bytes:
    file = io.BytesIO()
    torch.export.save(program, file, extra_files={DESCRIPTION: text})
    return file.getvalue()


def _onnx(program: torch.export.ExportedProgram, told: dict[str, Any], text: str) -> bytes:
    import onnx

    written = torch.onnx.export(
        program,
        input_names=list(told["inputs"]),
        output_names=told["outputs"],
        opset_version=OPSET,
        verbose=False,
    )
    assert written is not None
    model = written.model_proto
    del model.graph.value_info[:]  # shapes in between, which whoever reads the file finds again
    for array in (*model.graph.input, *model.graph.output):
        for extent in array.type.tensor_type.shape.dim:
            if extent.dim_param:
                extent.dim_param = BATCH
    onnx.helper.set_model_props(model, {"warpzone": text})
    model.producer_name, model.producer_version = "warpzone", VERSION
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    return data


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps back what the exporter says about itself."""
    logger = logging.getLogger(_NOISY)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
