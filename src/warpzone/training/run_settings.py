"""What a run directory says of its settings: what they are, what was changed, what must stay.

Quick to import: it loads no torch. Knows no checkpoint and no agent.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from warpzone.console_text import one_line
from warpzone.errors import CheckpointError, ConfigError
from warpzone.files import is_leftover, read_regular_file
from warpzone.nes.game import game_named, game_names
from warpzone.settings import apply, describe, format_override
from warpzone.training.config import TrainConfig
from warpzone.training.migration import migrate
from warpzone.training.without_effect import refuse_without_effect

LOCK, OWNER = ".lock", ".lock.json"
"""Whoever trains in a run directory holds the first, and says in the second who that is."""
LARGEST_DOCUMENT = 1 << 22
"""Bytes of config.json, status.json and changes.jsonl."""

FIXED: dict[str, str] = {
    "algorithm": "the weights and the optimiser's state in the checkpoints are that one's",
    "preset": "it only says what the settings began as; give the settings themselves",
    "env": "a checkpoint holds the games as they stand, which were made with it, and the network"
    " has the shape of what they show",
    "game": "a checkpoint holds the games as they stand, which were made with it, and the network"
    " has the shape of what they show",
    "network": "the weights in the checkpoints have its shape",
    "init": "the weights have gone on from there",
    "curriculum.segment": "success rates in the checkpoints are of its segments",
    "curriculum.search_steps": "the search is over",
    "curriculum.demonstrations": "success rates in the checkpoints are of their segments",
    "practice.moments": "checkpoints hold so many of each level",
    "corrections.kept": "checkpoints hold so many",
    "gamma": "the critic has learnt what rewards are worth with that discount",
    "progress_gamma": "the critic has learnt what rewards are worth with that discount",
    "num_envs": "a checkpoint holds that many games as they stand",
    "rollout_steps": "updates are counted in rollouts of that length",
    "seed": "random numbers go on as a checkpoint has them; another seed is another run",
}
"""Settings, or groups of them, that stay as a run began, and why. All others may change."""


class Inherited(BaseModel):
    """The state of another run that a run went on from, see `warpzone.fleet.inherit`."""

    model_config = ConfigDict(frozen=True)

    run: str
    """Its name."""
    step: int
    """Agent steps that it had trained."""
    id: str
    """Of this one time."""


class SettingChange(BaseModel):
    """What was set anew when a run went on."""

    model_config = ConfigDict(frozen=True)

    step: int
    """From which on it holds."""
    settings: dict[str, tuple[Any, Any]]
    """Old and new values by dotted name, as JSON can hold them."""
    inherited: Inherited | None = None
    """Of another run: everything that is learnt; None: it went on from its own state."""

    @property
    def text(self) -> str:
        """As options of the command line, or in words what was inherited."""
        if self.inherited is not None:
            return f"the state of {self.inherited.run} at its step {self.inherited.step}"
        return " ".join(
            f"--set {shlex.quote(format_override(name, new))}"
            for name, (_, new) in self.settings.items()
        )


def read_config(path: Path) -> TrainConfig:
    """Returns the settings of the run in directory `path`.

    Raises:
        CheckpointError: there is none, or it is not readable by this version.
    """
    file = path / "config.json"
    try:
        settings = from_json(read_regular_file(file, LARGEST_DOCUMENT))
        if not isinstance(settings, dict):
            raise CheckpointError(f"cannot read {file}: it holds no JSON object")
        return TrainConfig.model_validate(migrate(settings))
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointError(
            f"{str(path)!r} holds no run: there is no config.json in it"
        ) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {file}: {reason_of(error)}") from error


def read_status(path: Path) -> dict[str, Any]:
    """Returns what status.json in the run directory `path` says; {}: nothing, or nothing whole."""
    with contextlib.suppress(OSError, ValueError):
        status = from_json(read_regular_file(path / "status.json", LARGEST_DOCUMENT))
        if isinstance(status, dict):
            return status
    return {}


def check_directory(path: Path, resume: bool) -> None:
    """Refuses a directory in which a run cannot begin, or go on; before anything slow is done.

    Raises:
        ConfigError: it is a file or not to be looked into; something lies in it, and `resume` is
            False; nothing lies in it, and `resume` is True.
    """
    try:
        # What a process that was killed before it had written anything whole leaves is nothing.
        names = (name for name in os.listdir(path) if not is_leftover(name))
        used = any(name not in (LOCK, OWNER) for name in names)
    except FileNotFoundError:
        used = False
    except (OSError, ValueError) as error:
        what = "it is a file" if isinstance(error, NotADirectoryError) else reason_of(error)
        raise ConfigError(
            f"cannot write a run to {str(path)!r}: {what}; choose another --out"
        ) from None
    if used and not resume:
        raise ConfigError(
            f"{str(path)!r} already holds something. Go on with that run: add --resume. "
            "Start a new one: choose another --out or --seed, or delete the directory"
        )
    if resume and not used:
        raise ConfigError(
            f"there is no run to go on with in {str(path)!r}; leave out --resume to start one"
        )


def resumed(path: Path, changes: Mapping[str, Any]) -> TrainConfig:
    """Returns the settings of the run in `path` with `changes` laid over them.

    What must not change in the course of a run is for `RunDirectory.check` to say.

    Raises:
        CheckpointError: there is no run, or it is not readable.
        ConfigError: an unknown setting, a value out of its range, or one of `changes` that has no
            effect beside the others.
    """
    config = saved = read_config(path)
    env = changes.get("env")
    if isinstance(env, Mapping) and "levels" in env:
        # Other levels would replace the run's, not join them.
        config = config.model_copy(update={"env": config.env.model_copy(update={"levels": {}})})
    if "distillation_policies" in changes:
        config = config.model_copy(update={"distillation_policies": {}})
    config = apply(config, changes)
    refuse_without_effect(config, changes, saved)
    return config


def undone_after(
    changes: Sequence[SettingChange], step: int
) -> tuple[list[SettingChange], dict[str, tuple[Any, Any]]]:
    """Parts the changes of a run that goes on from `step`, whatever it did after that.

    Returns:
        Those until then; and old and new values, by dotted name, of what was set later, which the
        run's settings still have: it holds from `step` on, so that `begun_with` finds the way back.
    """
    known = [change for change in changes if change.step <= step]
    later: dict[str, tuple[Any, Any]] = {}
    for change in changes:
        if change.step > step:
            for name, (old, new) in change.settings.items():
                later[name] = (later.get(name, (old, new))[0], new)
    return known, {name: pair for name, pair in later.items() if pair[0] != pair[1]}


def begun_with(config: TrainConfig, changes: Sequence[SettingChange]) -> TrainConfig:
    """Returns the settings that a run began with, whose present ones are `config`.

    Raises:
        CheckpointError: what changes.jsonl tells of are no settings.
    """
    settings = config.model_dump(mode="json")
    try:
        for change in reversed(changes):
            for name, (old, _) in change.settings.items():
                *path, last = name.split(".")
                lookup(settings, ".".join(path))[last] = old
        return TrainConfig.model_validate(settings)
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        what = reason_of(error) if isinstance(error, ValueError) else f"no such setting: {error}"
        raise CheckpointError(
            f"changes.jsonl tells of settings that cannot have been: {one_line(what)}. Put it back,"
            " or move it away: then it is forgotten what the run began with"
        ) from error


def fixed_because(name: str) -> str | None:
    """Why the setting of that dotted name stays as the run began; None: it may change."""
    parts = name.split(".")
    groups = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((FIXED[group] for group in groups if group in FIXED), None)


def require_same(saved: TrainConfig, given: TrainConfig, path: Path) -> None:
    """Refuses other settings than those that the run in `path` may go on with.

    Raises:
        ConfigError: one of `FIXED` is another; the text says why that may not be.
    """
    before = _with_start(saved)
    lines = [
        f"{name}: {lookup(before, name)!r} then, {new!r} now: {reason}"
        for name, new in differences(before, _with_start(given)).items()
        if (reason := fixed_because(name)) is not None
    ]
    then, now = saved.curriculum.share, given.curriculum.share
    if saved.practice.share > 0 and (then > 0) != (now > 0):
        lines.append(
            f"curriculum.share: {then!r} then, {now!r} now: with practice it stays above 0 or at 0,"
            " since checkpoints number moments of practice behind the curriculum's segments"
        )
    if lines:
        raise ConfigError(
            f"the run in {path} was begun with other settings, which must stay:\n"
            + "\n".join(lines)
            + "\nGo on as it was begun, or begin another run with another --out"
        )


def _with_start(config: TrainConfig) -> dict[str, Any]:
    """Returns all settings, the one start that is trained on by its name: it may have been left to
    the game which that is."""
    settings = config.model_dump()
    name, starts = config.game.name, config.game.starts
    if starts is None and name in game_names():
        starts = {next(iter(game_named(name).starts)): 1.0}
    settings["game"]["starts"] = None if starts is None else [n for n, w in starts.items() if w > 0]
    return settings


def require_utf8(path: Path) -> None:
    """Refuses a directory for runs in which their files could not name each other.

    Raises:
        ConfigError: its name is bytes that the file system allows and no text has.
    """
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        raise ConfigError(
            f"cannot write a run to {str(path)!r}: the name is not UTF-8; choose another"
        ) from None


def reason_of(error: Exception) -> str:
    """What an error of reading a file says, without the file's name."""
    if isinstance(error, ValidationError):
        return describe(error)
    return (isinstance(error, OSError) and error.strerror) or str(error)


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings of `new` by dotted name that `old` has otherwise; levels are one, and so are starts,
    distillation policies and a network's options."""
    whole = ("env.levels", "game.starts", "distillation_policies", "network.options")
    result: dict[str, Any] = {}
    for name, value in new.items():
        if isinstance(value, dict) and prefix + name not in whole:
            result |= differences(old[name], value, f"{prefix}{name}.")
        elif value != old[name]:
            result[prefix + name] = value
    return result


def lookup(settings: Any, name: str) -> Any:
    """The setting of that dotted name."""
    for part in filter(None, name.split(".")):
        settings = settings[part]
    return settings
