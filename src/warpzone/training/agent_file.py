"""The file of an agent: its weights, and beside them as JSON all that is needed to use them.

Nothing in a file can execute code.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from warpzone.errors import AgentError
from warpzone.files import write_atomically
from warpzone.ppo.policy import Policy, Shapes
from warpzone.smb.config import EnvConfig
from warpzone.smb.levels import LEVELS
from warpzone.training.config import NetworkConfig
from warpzone.training.migration import migrate

AGENT_FORMAT = 2


class Stage(BaseModel):
    """A training whose agent a later one began with (`TrainConfig.init`)."""

    model_config = ConfigDict(frozen=True)

    command: str | None
    commit: str | None
    steps: int
    seconds: float | None
    threads: int | None


class AgentInfo(BaseModel):
    """What must be known about an agent to use it."""

    model_config = ConfigDict(frozen=True)

    format: int = AGENT_FORMAT
    env: EnvConfig
    """As it was trained."""
    network: NetworkConfig
    shapes: Shapes
    actions: int
    preset: str
    seed: int
    steps: int
    """Agent steps it was trained for."""
    rom_revision: str | None = None
    rom_sha1: str | None = None
    clear_rate: float | None = None
    """As measured in training, mean over its levels; None if it was not measured."""
    eval_episodes: int = 0
    seconds: float | None = None
    """Spent playing and learning until then, measurements aside; None: an older file."""
    threads: int | None = None
    """CPU threads that it was trained with."""
    commit: str | None = None
    """Of the code that trained it, `-dirty` behind it if that was changed; None: no checkout."""
    command: str | None = None
    """The line that trains it again."""
    earlier: tuple[Stage, ...] = ()
    """What came before, first things first: the agent of each was what the next began with."""

    @property
    def stage(self) -> Stage:
        """Of the training that saved it."""
        return Stage.model_validate(self.model_dump(include=set(Stage.model_fields)))


def save_agent(
    path: Path, weights: Mapping[str, Tensor], info: AgentInfo, *, half: bool = False
) -> None:
    """Write a policy's `state_dict` and everything needed to use it as one safetensors file.

    Args:
        path: the file.
        weights: by name; where they are does not matter.
        info: what `load_agent` needs to rebuild the policy, and where it comes from.
        half: store weights in float16, half the size. Actions stay the same but where two of them
            are all but equally likely.

    Raises:
        FileError: the disk is full or the directory cannot be written.
    """
    tensors = {
        name: (tensor.half() if half and tensor.is_floating_point() else tensor)
        .detach()
        .cpu()
        .contiguous()
        for name, tensor in weights.items()
    }
    metadata = {"warpzone": info.model_dump_json()}
    write_atomically(path, safetensors.torch.save(tensors, metadata))


def trained_folder() -> Path:
    """Where the packaged agents are installed."""
    # A module with native code is never imported from within an archive, so this is a real folder.
    return Path(str(importlib.resources.files("warpzone").joinpath("trained")))


def agent_file(name: str | Path) -> Path:
    """The file that is meant: itself, the best agent of a run directory, or by a level's name
    the agent that is packaged for it.

    Raises:
        AgentError: no agent is packaged for the level.
    """
    path = Path(name)
    if str(name) in LEVELS and not path.exists():
        folder = trained_folder()
        try:
            index = json.loads((folder / "agents.json").read_bytes())
            return folder / str(index["levels"][str(name)]["file"])
        except (OSError, ValueError, KeyError, TypeError):
            raise AgentError(
                f"no agent is packaged for level {name}; name a file or a run directory"
            ) from None
    return path / "best.safetensors" if path.is_dir() else path


def load_agent(path: Path, device: torch.device | None = None) -> tuple[Policy, AgentInfo]:
    """Read what `save_agent` wrote; the policy is ready to act, in float32.

    Raises:
        AgentError: no such file, damaged, not an agent, or of another format.
    """
    device = device or torch.device("cpu")
    try:
        with safetensors.safe_open(path, "pt", device=str(device)) as file:
            metadata = file.metadata() or {}
            # The file is no mapping: it has keys() and cannot be iterated.
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise AgentError(f"there is no agent {path}") from None
    except (OSError, safetensors.SafetensorError) as error:
        raise AgentError(f"{path} is not a whole safetensors file: {error}") from error
    if "warpzone" not in metadata:
        raise AgentError(f"{path} is a safetensors file, but not an agent of warpzone")
    written = json.loads(metadata["warpzone"])
    found = written.get("format")
    if found != AGENT_FORMAT:
        raise AgentError(
            f"{path} has agent format {found}, this warpzone reads format {AGENT_FORMAT};"
            " install the version that wrote it"
        )
    try:
        info = AgentInfo.model_validate(migrate(written))
        policy = Policy(info.network, info.shapes, info.actions)
        policy.load_state_dict(weights)  # which turns float16 into float32
    except (ValidationError, RuntimeError) as error:
        raise AgentError(f"{path} does not fit its own description: {error}") from error
    return policy.to(device).requires_grad_(False).eval(), info
