"""The run directory: one place for everything that a training run leaves behind.

config.json         the settings, all of them
status.json         running, finished, interrupted or failed; steps, and clear rates as measured
metrics.jsonl       a line for each update; TensorBoard events lie beside it
ends.jsonl          where and how training episodes ended (see `warpzone.training.recorder`)
episodes/           some of them, to be played again
live/               those that are being played
demonstrations/     the recorded games that it began with, if there are any
checkpoints/        the last few, to go on from
history/            a few agents from the course of the run, to see how it learnt
agent.safetensors   the agent as of the last checkpoint; at the end the final one
best.safetensors    the agent with the best measured clear rate
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from warpzone.errors import CheckpointError, ConfigError
from warpzone.files import write_atomically
from warpzone.settings import describe
from warpzone.training.agent_file import AgentInfo, save_agent
from warpzone.training.checkpoint import Checkpoints, Snapshot
from warpzone.training.config import TrainConfig
from warpzone.training.migration import migrate
from warpzone.training.milestones import History

# What may change between an interruption and going on, without changing what was learnt.
FREE = frozenset(
    {"total_steps", "target_clear_rate", "eval_every", "eval_episodes", "eval_noop_max"}
    | {"checkpoint_every", "keep_checkpoints", "watched_games", "epoch_lines"}
    | {"device", "threads", "amp"}
)


class RunDirectory:
    """Names of a run's files, and the rules for beginning and going on."""

    def __init__(self, path: Path, config: TrainConfig) -> None:
        self.path, self.config = path, config
        self.checkpoints = Checkpoints(path / "checkpoints", config.keep_checkpoints)
        self.history = History(path / "history", config.batch)
        self.agent = path / "agent.safetensors"
        self.best = path / "best.safetensors"

    def open(self, resume: bool) -> None:
        """Make the directory ready, and write down the settings.

        Raises:
            ConfigError: a new run where one lies already, going on with other settings, or a name
                that is not UTF-8, in which the run's files could not name each other.
        """
        if not _is_utf8(str(self.path.absolute())):
            raise ConfigError(
                f"cannot write a run to {str(self.path)!r}: the name is not UTF-8; choose another"
            )
        file = self.path / "config.json"
        if file.exists() and not resume:
            raise ConfigError(
                f"{self.path} holds a run already. Go on with it: {self.command()};"
                " or choose another directory with --out"
            )
        if not file.exists() and any(self.checkpoints.paths()):
            raise CheckpointError(f"{self.path} has checkpoints, but no config.json")
        if file.exists():
            _require_same(read_config(self.path), self.config, self.path)
        write_atomically(file, self.config.model_dump_json(indent=2).encode())

    def save(self, snapshot: Snapshot, info: AgentInfo) -> None:
        """Write a checkpoint, and the agent as it is in it."""
        self.checkpoints.save(snapshot)
        save_agent(self.agent, snapshot.weights, info)

    def write_status(self, state: str, **values: Any) -> None:
        write_atomically(
            self.path / "status.json", json.dumps({"state": state, **values}, indent=2).encode()
        )

    def command(self) -> str:
        """The line that goes on with this run."""
        return shlex.join(["warpzone", "train", "--resume", "--out", str(self.path)])


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that the file system allows and no text has
        return False
    return True


def read_config(path: Path) -> TrainConfig:
    """The settings of the run in directory `path`.

    Raises:
        CheckpointError: there is none, or it is not readable by this version.
    """
    file = path / "config.json"
    try:
        return TrainConfig.model_validate(migrate(json.loads(file.read_bytes())))
    except FileNotFoundError:
        raise CheckpointError(f"{path} holds no run: there is no config.json in it") from None
    except (OSError, ValueError) as error:
        reason = describe(error) if isinstance(error, ValidationError) else str(error)
        raise CheckpointError(f"cannot read {file}: {reason}") from error


def _require_same(saved: TrainConfig, given: TrainConfig, path: Path) -> None:
    changed = {
        name: (old, new)
        for name, new in differences(saved.model_dump(), given.model_dump()).items()
        if name not in FREE and (old := _lookup(saved.model_dump(), name)) != new
    }
    if changed:
        lines = [f"{name}: {old!r} then, {new!r} now" for name, (old, new) in changed.items()]
        raise ConfigError(
            f"the run in {path} was begun with other settings:\n"
            + "\n".join(lines)
            + "\nGo on as it was begun, or begin another run with another --out"
        )


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings of `new` by dotted name that `old` has otherwise; levels, and distillation
    policies, are one."""
    result: dict[str, Any] = {}
    for name, value in new.items():
        if isinstance(value, dict) and prefix + name not in ("env.levels", "distillation_policies"):
            result |= differences(old[name], value, f"{prefix}{name}.")
        elif value != old[name]:
            result[prefix + name] = value
    return result


def _lookup(settings: Any, name: str) -> Any:
    for part in name.split("."):
        settings = settings[part]
    return settings
