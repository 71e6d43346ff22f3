"""The run directory: one place for everything that a training run leaves behind.

config.json         the settings, all of them
status.json         running, finished, interrupted or failed; steps, and clear rates as measured
changes.jsonl       a line for each time that it went on with other settings
metrics.jsonl       a line for each update; TensorBoard events lie beside it
trackers/           how far each tracker has come with them (see `warpzone.trackers`)
episode_ends.jsonl  where and how training episodes ended (see `warpzone.training.episode_writer`)
episodes/           some of them, to be played again
live/               those that are being played
demonstrations/     the recorded games that it began with, if there are any
checkpoints/        the last few, to go on from
milestones/         a few agents from the course of the run, to see how it learnt
agent.safetensors   the agent as of the last checkpoint; at the end the final one
best.safetensors    the agent with the best measured clear rate
.lock, .lock.json   whoever trains holds the first, and says in the second which process it is

Knows which files there are and who may write them; not what training does between two of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
from pydantic import ValidationError
from pydantic_core import from_json

from warpzone.errors import (
    AgentError,
    CheckpointError,
    ConfigError,
    FileError,
    RunError,
    TrainingError,
    is_out_of_memory,
)
from warpzone.files import (
    make_directory,
    open_to_change,
    read_regular_file,
    remove_leftovers,
    write_atomically,
)
from warpzone.nes.rom import Rom
from warpzone.training.agent_file import AgentInfo, save_agent
from warpzone.training.checkpoint import Checkpoints, Snapshot
from warpzone.training.config import TrainConfig
from warpzone.training.launch import Launch
from warpzone.training.migration import EPISODE_ENDS, MILESTONES, rename_files, run_file
from warpzone.training.milestones import Milestones
from warpzone.training.run_settings import (
    LARGEST_DOCUMENT,
    LOCK,
    OWNER,
    SettingChange,
    begun_with,
    differences,
    lookup,
    read_config,
    read_status,
    reason_of,
    require_same,
    require_utf8,
    undone_after,
)

_DOCUMENTS = ("config.json", "status.json", "agent.safetensors", "best.safetensors", OWNER)
TRACKERS = "trackers"
_FOLDERS = ("checkpoints", MILESTONES, "history", "demonstrations", "episodes", "live")


class RunDirectory:
    """Names of a run's files, and the rules for beginning and going on."""

    def __init__(self, path: Path, config: TrainConfig, launch: Launch | None = None) -> None:
        """`launch`: which of several processes trains in it; None: one that torchrun did not
        start."""
        self.path, self.config, self.launch = path, config, launch or Launch()
        self.rom: Rom | None = None
        """That is trained on, to be told in status.json."""
        self.checkpoints = Checkpoints(path / "checkpoints", config.keep_checkpoints)
        self.milestones = Milestones(run_file(path, MILESTONES), config.batch)
        self.agent = path / "agent.safetensors"
        self.best = path / "best.safetensors"

    @contextlib.contextmanager
    def locked(self, wait: float = 0.0) -> Iterator[None]:
        """Keeps every other training out of the directory, which is made if it is missing; waits
        for so many seconds for one that is there already.

        If nothing is written to it meanwhile, the directory is as before afterwards.

        Raises:
            RunError: another process trains in it.
            ConfigError: it cannot be made or written; or its name is not UTF-8, in which the run's
                files could not name each other.
        """
        require_utf8(self.path)
        missing = [p for p in (self.path, *self.path.parents) if not os.path.lexists(p)]
        try:
            make_directory(self.path)
            lock = filelock.FileLock(self.path / LOCK)
            lock.acquire(timeout=wait)
        except filelock.Timeout:
            raise RunError(
                f"{self._owner()} trains in {str(self.path)!r} already. Wait for it, or end it with"
                " Ctrl-C there; or choose another directory with --out"
            ) from None
        except OSError as error:
            for folder in missing:
                with contextlib.suppress(OSError):
                    folder.rmdir()
            raise ConfigError(
                f"cannot write a run to {str(self.path)!r}: {error.strerror or error}; choose"
                " another directory with --out"
            ) from error
        try:
            me = {"pid": os.getpid(), "host": socket.gethostname()}
            with contextlib.suppress(FileError):  # a full disk is told when it matters
                write_atomically(self.path / OWNER, json.dumps(me).encode(), durable=False)
            self._tidy_up()
            yield
        finally:
            for name in (OWNER, *((LOCK,) if missing and not self._begun() else ())):
                with contextlib.suppress(OSError):
                    (self.path / name).unlink()
            lock.release()
            for folder in missing:
                with contextlib.suppress(OSError):  # it holds something by now
                    folder.rmdir()

    def _owner(self) -> str:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, OverflowError):
            found = from_json(read_regular_file(self.path / OWNER, LARGEST_DOCUMENT))
            return f"process {int(found['pid'])} on {str(found['host'])[:80]!r}"
        return "another process"

    def _begun(self) -> bool:
        return os.path.lexists(self.path / "config.json")

    def _tidy_up(self) -> None:
        """Removes what trainings that were killed while they wrote have left."""
        remove_leftovers(self.path, _DOCUMENTS)
        for name in _FOLDERS:
            if not os.path.islink(self.path / name):
                remove_leftovers(self.path / name)

    def check(self, resume: bool) -> None:
        """Refuses what would destroy a run, or go on with what is none.

        Raises:
            ConfigError: a new run where one lies already, or going on with settings that are fixed.
            CheckpointError: to go on without settings, or without checkpoints.
        """
        begun = self._begun()
        if begun and not resume:
            raise ConfigError(
                f"{self.path} holds a run already. Go on with it: {self.command()};"
                " or choose another directory with --out"
            )
        results = self._results()
        if not begun and results:
            raise CheckpointError(
                f"{self.path} has {results[0].name}, but no config.json: put it back to go on with"
                " that run, or choose another directory with --out"
            )
        files = (*_DOCUMENTS, "metrics.jsonl", "changes.jsonl", EPISODE_ENDS)
        for name in (*files, *_FOLDERS, TRACKERS):
            # A run directory may come from anywhere, and what is not in it is not the run's.
            if os.path.islink(self.path / name):
                raise CheckpointError(
                    f"{self.path / name} is a symbolic link, and a training writes and deletes"
                    " nothing outside of its directory: put what it leads to there, or let the"
                    " whole directory be a link"
                )
        for name in files:
            # Opening a pipe to write to it would wait for somebody who reads.
            if os.path.lexists(self.path / name) and not os.path.isfile(self.path / name):
                raise CheckpointError(f"{self.path / name} is not a file; move it away")
        if not begun:
            return
        saved = read_config(self.path)
        require_same(saved, self.config, self.path)
        begun_with(saved, self.changes())
        if results and not self.checkpoints.paths():
            agent = next((p for p in (self.best, self.agent) if p in results), None)
            instead = f": --set init={shlex.quote(str(agent))}" if agent else ""
            raise CheckpointError(
                f"{self.path} has {', '.join(p.name for p in results)}, but no checkpoint to go on"
                f" from: that would begin anew and overwrite them. Put {self.checkpoints.directory}"
                f" back, or begin a new run with another --out{instead}"
            )

    def _results(self) -> list[Path]:
        """What a run has written that beginning anew would destroy."""
        metrics = self.path / "metrics.jsonl"
        files = [*self.checkpoints.paths()[-1:], self.agent, self.best]
        files += self.milestones.paths()[-1:]
        found = [path for path in files if os.path.lexists(path)]
        with contextlib.suppress(OSError):
            if metrics.stat().st_size > 0:
                found.insert(0, metrics)
        return found

    def open(self) -> None:
        """Writes down the settings; after `check`.

        Raises:
            FileError: they cannot be written.
        """
        with contextlib.suppress(OSError):
            rename_files(self.path)
        self.milestones.directory = run_file(self.path, MILESTONES)
        self.write_config()

    def write_config(self) -> None:
        """Raises: FileError: it cannot be written."""
        data = self.config.model_dump_json(indent=2).encode()
        write_atomically(self.path / "config.json", data)

    def changes(self) -> list[SettingChange]:
        """What was set anew each time that the run went on, oldest first.

        Raises:
            CheckpointError: changes.jsonl is damaged.
        """
        file = self.path / "changes.jsonl"
        try:
            lines = read_regular_file(file, LARGEST_DOCUMENT).splitlines()
            return [SettingChange.model_validate_json(line) for line in lines]
        except FileNotFoundError:
            return []
        except (OSError, ValidationError) as error:
            raise CheckpointError(f"cannot read {file}: {reason_of(error)}") from error

    def log_changes(self, step: int) -> SettingChange | None:
        """Writes down what is set otherwise than before from `step` on; before `open`.

        Returns:
            What that is; None: nothing.

        Raises:
            CheckpointError: the settings before cannot be read.
            FileError: it cannot be written.
        """
        if not self._begun():
            return None
        before = read_config(self.path).model_dump(mode="json")
        now = self.config.model_dump(mode="json")
        told = self.changes()
        # Those of steps that have been lost since are no longer true; what they set still holds.
        known, later = undone_after(told, step)
        settings = {name: (old, lookup(now, name)) for name, (old, _) in later.items()}
        for name, new in differences(before, now).items():
            settings.setdefault(name, (lookup(before, name), new))
        settings = {name: pair for name, pair in settings.items() if pair[0] != pair[1]}
        change = SettingChange(step=step, settings=settings) if settings else None
        if change is not None or known != told:
            kept = known if change is None else [*known, change]
            lines = "".join(f"{each.model_dump_json()}\n" for each in kept)
            write_atomically(self.path / "changes.jsonl", lines.encode())
        return change

    def finished(self) -> dict[str, Any] | None:
        """What status.json says of a run to whose end the settings add nothing; None: it goes on.

        A run is finished that has had all of its steps, or whose agent was measured as good as
        wanted.
        """
        status = read_status(self.path)
        if status.get("state") != "finished":
            return None
        step, best = status.get("step"), status.get("best_clear_rate")
        target = self.config.target_clear_rate
        if not isinstance(step, int):
            return None
        enough = step >= self.config.total_steps
        good = isinstance(best, int | float) and target is not None and best >= target
        return status if enough or good else None

    def save(self, snapshot: Snapshot, info: AgentInfo) -> None:
        """Write a checkpoint, and the agent as it is in it."""
        self.checkpoints.save(snapshot)
        save_agent(self.agent, snapshot.weights, info)

    def failed(self, snapshot: Snapshot, info: AgentInfo, error: Exception) -> TrainingError:
        """Saves what can be saved of a run that `error` has ended, and says so in status.json.

        Where the directory has been removed meanwhile, it is made again.

        Returns:
            What to tell of an `error` that is about the disk or about memory.
        """
        memory, best = is_out_of_memory(error), snapshot.values["judge"]["best"]
        if isinstance(error, FileError):
            what = error.reason
        elif memory:
            what = "out of memory"
        else:
            what = getattr(error, "strerror", None) or str(error)
        # What saving meets on top of that helps nobody.
        with contextlib.suppress(FileError, MemoryError, CheckpointError, AgentError):
            self.save(snapshot, info)
        with contextlib.suppress(FileError):
            self.write_config()
        try:
            self.write_status("failed", step=info.steps, best_clear_rate=best, error=what)
        except FileError:
            # A full disk may have no room for another file, and has that of the one that is there.
            self._overwrite_status("failed", step=info.steps, best_clear_rate=best, error=what)
        if memory:
            text = "out of memory. End other programs, then go on with what is saved"
        else:
            text = f"cannot write to {self.path}: {what}. Make room, then go on with what is saved"
        return TrainingError(f"{text}: {self.command()}")

    def _overwrite_status(self, state: str, **values: Any) -> None:
        with contextlib.suppress(OSError), open_to_change(self.path / "status.json") as file:
            file.write(json.dumps({"state": state, **values, **self._origin()}).encode())
            file.truncate()

    def write_status(self, state: str, **values: Any) -> None:
        told = {"state": state, **values, **self._origin()}
        write_atomically(self.path / "status.json", json.dumps(told, indent=2).encode())

    def _origin(self) -> dict[str, Any]:
        """What status.json says of a run in whatever state: who started it, how many ranks train,
        and its cartridge."""
        told: dict[str, Any] = {}
        if self.launch.name is not None:
            told["launch"] = self.launch.name
        if self.launch.size > 1:
            told["ranks"] = self.launch.size
        if self.rom is not None:
            told["rom"] = {"revision": self.rom.revision, "sha1": self.rom.sha1}
        return told

    def command(self) -> str:
        """The line that goes on with this run."""
        return shlex.join(["warpzone", "train", "--resume", "--out", str(self.path)])
