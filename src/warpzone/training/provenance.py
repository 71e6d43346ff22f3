"""Where an agent comes from: the code that trained it, and the line that trains it again."""

from __future__ import annotations

import functools
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from warpzone.settings import format_override
from warpzone.smb.levels import LEVELS
from warpzone.training.agent_file import LONGEST_TEXT
from warpzone.training.config import TrainConfig
from warpzone.training.presets import PRESETS
from warpzone.training.run_settings import SettingChange, begun_with, differences

OPTIONS = {"seed": "--seed", "total_steps": "--steps", "threads": "--threads"}
"""Settings that have an option of their own in `warpzone train`."""
CODE = (":(top)src", ":(top)native", ":(top,exclude)src/warpzone/trained")
"""What training depends on, as git is told."""


def command_of(config: TrainConfig, changes: Sequence[SettingChange] = ()) -> str:
    """Returns the `warpzone train` line that gives this configuration, quoted for a POSIX shell.

    If there were `changes` in the course of the run, it is the line that the run began with, and
    they follow as a comment. A line that is longer than an agent's file may have it is cut, and
    ends with "…" then.
    """
    if changes:
        told = "; ".join(f"from step {change.step} on {change.text}" for change in changes)
        return _cut(f"{command_of(begun_with(config, changes))}  # {told}")
    known = config.preset in PRESETS
    preset = config.preset if known else TrainConfig().preset
    levels = config.env.levels
    # As JSON has it: tuples are lists.
    settings = config.model_dump(mode="json")
    changed = differences(PRESETS[preset].model_dump(mode="json"), settings)
    for name in ("init", "distillation_policies"):
        if name in changed:
            changed[name] = portable(changed[name])
    for name in ("env.start_states", "game.start_states"):
        if name in changed:
            changed[name] = _files_of(changed[name])
    changed.pop("curriculum.demonstrations", None)
    # Whoever repeats a run has figures and accounts of their own.
    for name in ("trackers", "track_project"):
        changed.pop(name, None)
    # Named by the argument; only other weights than 1 need more.
    changed.pop("env.levels", None)
    if any(weight != 1.0 for weight in levels.values()):
        changed["env.levels"] = levels
    played = "all" if len(levels) == len(LEVELS) else ",".join(levels)
    words = ["warpzone", "train", changed.pop("game.name", None) or played]
    if preset != TrainConfig().preset:
        words += ["--preset", preset]
    for demonstration in config.curriculum.demonstrations:
        words += ["--demonstration", portable(demonstration.file)]
    for name, option in OPTIONS.items():
        if changed.get(name) is not None:
            words += [option, str(changed.pop(name))]
    for name, value in changed.items():
        words += ["--set", format_override(name, value)]
    return _cut(shlex.join(words))


def _cut(line: str) -> str:
    line = line.encode(errors="backslashreplace").decode()  # names of files may be no UTF-8
    return line if len(line) <= LONGEST_TEXT else f"{line[: LONGEST_TEXT - 1]}…"


def _files_of(states: list[dict[str, Any]]) -> Any:
    """Returns the files of start states as `--set` takes them, for what is in them is long."""
    weights = {state["name"]: state["weight"] for state in states}
    plain = set(weights.values()) == {1.0} and not any("," in name for name in weights)
    return ",".join(weights) if plain else weights


def portable(files: Any) -> Any:
    """Returns a path, or paths by name, without the folders of this machine, which mean nothing on
    another."""
    if isinstance(files, dict):
        return {level: portable(file) for level, file in files.items()}
    return Path(files).name if Path(files).is_absolute() else files


@functools.cache
def code_commit() -> str | None:
    """The git commit that this code was checked out from, with `-dirty` where it was changed.

    Asked once for each process, so that it is the code that runs. None without git, or for
    an installed copy: one that lies in some repository is still no part of it.
    """
    here = Path(__file__).resolve()
    if _git(here, "ls-files", "--error-unmatch", here.name) is None:
        return None
    changed = _git(here, "status", "--porcelain", "--untracked-files=no", "--", *CODE)
    commit = _git(here, "rev-parse", "HEAD")
    return f"{commit}-dirty" if commit and changed else commit


def _git(file: Path, *arguments: str) -> str | None:
    """What git says about the repository around `file`, or None where it has nothing to say."""
    try:
        done = subprocess.run(
            ["git", "-C", str(file.parent), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip() or None
