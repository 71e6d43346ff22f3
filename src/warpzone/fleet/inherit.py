"""One run goes on from a checkpoint of another: weights, optimiser, statistics, games.

What the run had learnt by itself ends there; its curves before that step, its best agent and its
seed stay its own, unless the other's best agent is better. `changes.jsonl` tells which run it was
and at which step, and so does each agent that the run saves from then on. Loads torch only where a
checkpoint is read: an actor that waits needs none.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
from pydantic import BaseModel, ConfigDict, ValidationError

from warpzone.errors import CheckpointError, FileError, RunError
from warpzone.files import lines_of, open_regular_file, read_regular_file, write_atomically
from warpzone.settings import describe
from warpzone.training.config import TrainConfig
from warpzone.training.migration import EPISODE_ENDS
from warpzone.training.run_settings import LOCK, Inherited, SettingChange, reason_of, undone_after

if TYPE_CHECKING:
    from warpzone.training.checkpoint import JudgeValues, Snapshot

CHECKPOINT, AGENT, ORIGIN = "state.ckpt", "best.safetensors", "origin.json"
"""What `hand_over` writes."""
LARGEST_ORIGIN = 1 << 16
LARGEST_AGENT = 1 << 31

_NAME = re.compile(r"step-(\d{12,})\.ckpt")


class Origin(BaseModel):
    """Says what a checkpoint is of: a run, and agent steps."""

    model_config = ConfigDict(extra="forbid")

    run: str
    step: int


@contextmanager
def alone_in(path: Path, seconds: float) -> Iterator[None]:
    """Waits until nobody trains in the run directory `path`, and keeps others out meanwhile.

    Raises:
        RunError: somebody still does after `seconds`.
        OSError: the lock cannot be written.
    """
    path.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path / LOCK)
    try:
        lock.acquire(timeout=seconds)
    except filelock.Timeout:
        raise RunError(
            f"another process trains in {str(path)!r}, and has not ended within {seconds:.0f} s"
        ) from None
    try:
        yield
    finally:
        lock.release()


def newest_step(path: Path) -> int:
    """Returns the agent steps of the newest checkpoint in the run directory `path`, 0: of none."""
    newest = _newest(path)
    return 0 if newest is None else newest[0]


def _newest(path: Path) -> tuple[int, Path] | None:
    with suppress(OSError):
        files = [(_NAME.fullmatch(file.name), file) for file in (path / "checkpoints").iterdir()]
        return max(((int(name[1]), file) for name, file in files if name), default=None)
    return None


def hand_over(path: Path, directory: Path) -> Origin:
    """Copies the newest checkpoint of the run in `path`, and its best agent, to `directory`.

    The run may be going on meanwhile.

    Raises:
        CheckpointError: there is no checkpoint yet.
        OSError: it cannot be copied.
    """
    for _ in range(3):
        newest = _newest(path)
        if newest is None:
            break
        with suppress(FileNotFoundError):  # a newer one has just taken its place
            shutil.copyfile(newest[1], directory / CHECKPOINT)
            with suppress(FileNotFoundError):
                shutil.copyfile(path / AGENT, directory / AGENT)
            origin = Origin(run=path.name, step=newest[0])
            write_atomically(directory / ORIGIN, origin.model_dump_json().encode())
            return origin
    raise CheckpointError(f"{path} has no checkpoint yet to go on from")


def has_inherited(path: Path, config: TrainConfig, identity: str) -> bool:
    """Returns whether the run in `path` has gone on from what was named `identity` before.

    Raises:
        CheckpointError: changes.jsonl is damaged.
    """
    from warpzone.training.run_directory import RunDirectory

    return any(
        change.inherited is not None and change.inherited.id == identity
        for change in RunDirectory(path, config).changes()
    )


def take_over(directory: Path, path: Path, config: TrainConfig, identity: str) -> Inherited:
    """Lets the run in `path` go on from what `hand_over` wrote to `directory`.

    To be called within `alone_in`. Either all of it is done or, if it fails before the end, the run
    goes on from its own state as before.

    Args:
        directory: with the checkpoint.
        path: a run directory, which may be empty yet.
        config: the run's settings.
        identity: of this one time.

    Raises:
        CheckpointError: what is in `directory`, or changes.jsonl, is damaged.
        FileError: the disk is full.
    """
    from warpzone.training.checkpoint import Snapshot
    from warpzone.training.run_directory import RunDirectory

    try:
        data = read_regular_file(directory / ORIGIN, LARGEST_ORIGIN)
        origin = Origin.model_validate_json(data)
    except (OSError, ValidationError) as error:
        raise CheckpointError(f"cannot read {directory / ORIGIN}: {reason_of(error)}") from error
    theirs = Snapshot.read(directory / CHECKPOINT)
    step = theirs.values["step"]
    run = RunDirectory(path, config)
    values: dict[str, Any] = dict(theirs.values)
    # Curves and ends of episodes stay this run's; what it did after that step is dropped.
    values["metrics_bytes"] = bytes_until(path / "metrics.jsonl", step)
    values["ends_bytes"] = bytes_until(path / EPISODE_ENDS, step)
    own = _best_of(run.checkpoints.paths())
    best = _judged(theirs, directory / CHECKPOINT).best
    better = best is not None and (own is None or best > own)
    # What was measured is another's: this one is not good enough by that.
    values["judge"] = {**values["judge"], "best": best if better else own, "results": {}}
    inherited = Inherited(run=origin.run, step=step, id=identity)
    change = SettingChange(step=step, settings={}, inherited=inherited)
    before = run.changes()
    known, later = undone_after(before, step)
    still = [SettingChange(step=step, settings=later)] if later else []

    written = run.checkpoints.directory / f"step-{step:012d}.ckpt"
    _write_changes(path, [*known, change, *still])
    try:
        write_atomically(written, Snapshot(theirs.tensors, values).pack())
    except FileError:
        _write_changes(path, before)
        raise
    if better and (directory / AGENT).is_file():
        agent = read_regular_file(directory / AGENT, LARGEST_AGENT)
        write_atomically(path / AGENT, agent)
    for old in run.checkpoints.paths():
        if old != written:
            old.unlink(missing_ok=True)
    return inherited


def _write_changes(path: Path, changes: list[SettingChange]) -> None:
    lines = "".join(f"{each.model_dump_json()}\n" for each in changes)
    write_atomically(path / "changes.jsonl", lines.encode())


def bytes_until(file: Path, step: int) -> int:
    """Returns the bytes of the lines of a file of JSON lines, as far as they tell of agent steps up
    to `step`; 0 where there is none."""
    size = 0
    try:
        with open_regular_file(file) as lines:
            for line in lines_of(lines):
                try:
                    later = json.loads(line)["step"] > step
                except (ValueError, LookupError, TypeError, RecursionError):
                    break
                if later or not line.endswith(b"\n"):
                    break
                size += len(line)
    except OSError:
        return 0
    return size


def _best_of(checkpoints: Sequence[Path]) -> float | None:
    """Returns the best measured clear rate of a run, as its newest whole checkpoint has it."""
    from warpzone.training.checkpoint import Snapshot

    for path in reversed(checkpoints):
        with suppress(CheckpointError):
            return _judged(Snapshot.read(path), path).best
    return None


def _judged(snapshot: Snapshot, path: Path) -> JudgeValues:
    """Returns what a checkpoint tells of measurements."""
    from warpzone.training.checkpoint import JudgeValues

    try:
        return JudgeValues.model_validate_json(json.dumps(snapshot.values.get("judge")))
    except ValidationError as error:
        raise CheckpointError(
            f"{path} is damaged: what it tells of measurements is wrong: {describe(error)}"
        ) from error


def last_line(file: Path, step: int | None = None) -> dict[str, Any]:
    """Returns the last whole line of metrics of an update, up to `step`; {}: none yet."""
    found: dict[str, Any] = {}
    try:
        with open_regular_file(file) as stream:
            end = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, end - (1 << 18)))
            lines = stream.read(1 << 18).split(b"\n")[:-1]
    except OSError:
        return found
    for line in reversed(lines):
        with suppress(ValueError, LookupError, TypeError, RecursionError):
            told = json.loads(line)
            if "rollout/clear_rate" in told and (step is None or told["step"] <= step):
                found = told
                break
    return found
