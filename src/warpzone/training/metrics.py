"""What a run says about itself: statistics of episodes, and the files that curves are read from."""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from warpzone.extras import is_there
from warpzone.files import append_to
from warpzone.training.step_result import StepResult

WINDOW = 100


class EpisodeResult(NamedTuple):
    """A finished training episode."""

    cleared: bool
    end_x: int
    """Where it ended: in pixels from the left, or of other games the score."""
    reward: float
    length: int
    """Agent steps."""


class EpisodeStats:
    """The last 100 training episodes of each level from its own start, and the extremes of the
    current rollout."""

    def __init__(self, trained: Sequence[str], tasks: Sequence[str]) -> None:
        """`trained`: names of those of an environment's `tasks` (levels) that are trained."""
        self.tasks = tasks
        self.recent: dict[str, deque[EpisodeResult]] = {
            name: deque(maxlen=WINDOW) for name in trained
        }
        self.episodes = 0
        self.start_rollout()

    def start_rollout(self) -> None:
        self.best_x: int | None = None
        self.nearest_end: int | None = None

    def reach(self, x: np.ndarray) -> None:
        """Takes in where games stand."""
        if len(x) > 0:
            farthest = int(x.max())
            self.best_x = farthest if self.best_x is None else max(self.best_x, farthest)

    def observe(self, step: StepResult) -> None:
        """Takes in what steps of games led to."""
        signals, x = step.signals, step.position
        self.reach(x)
        partial = step.partial
        for row in step.finished:
            if partial[row]:
                continue  # it says nothing of the whole level
            episode = EpisodeResult(
                bool(step.success[row]),
                int(x[row]),
                float(signals["episode_return"][row]),
                int(signals["steps"][row]),
            )
            self.recent[self.tasks[int(step.task[row])]].append(episode)
            self.episodes += 1
            if self.nearest_end is None or episode.end_x < self.nearest_end:
                self.nearest_end = episode.end_x

    @property
    def clear_rates(self) -> dict[str, float]:
        """Share of cleared episodes of each level that has ended any."""
        return {
            name: float(np.mean([e.cleared for e in episodes]))
            for name, episodes in self.recent.items()
            if episodes
        }

    @property
    def clear_rate(self) -> float:
        """Mean over levels; one without a finished episode counts as 0."""
        return sum(self.clear_rates.values()) / len(self.recent)

    @property
    def full(self) -> bool:
        """Whether each level has ended the 100 episodes that a clear rate is judged by."""
        return all(len(episodes) == WINDOW for episodes in self.recent.values())

    def summary(self) -> dict[str, float]:
        """Metrics by name."""
        result = {
            "rollout/clear_rate": self.clear_rate,
            "rollout/best_x": float(self.best_x or 0),
            "rollout/episodes": float(self.episodes),
        }
        if self.nearest_end is not None:
            result["rollout/nearest_end_x"] = float(self.nearest_end)
        everything = [episode for episodes in self.recent.values() for episode in episodes]
        if everything:
            result["rollout/episode_return"] = float(np.mean([e.reward for e in everything]))
            result["rollout/episode_length"] = float(np.mean([e.length for e in everything]))
        if len(self.recent) > 1:
            rates = self.clear_rates.items()
            result |= {f"rollout/clear_rate/{name}": rate for name, rate in rates}
        return result

    def state(self) -> dict[str, Any]:
        """All of it between two rollouts, as JSON can hold it."""
        recent = {name: [list(e) for e in episodes] for name, episodes in self.recent.items()}
        return {"recent": recent, "episodes": self.episodes}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`.

        Raises:
            ValueError: it is of other levels.
        """
        if state["recent"].keys() != self.recent.keys():
            raise ValueError(f"statistics of levels {', '.join(state['recent'])}")
        self.episodes = state["episodes"]
        for name, episodes in state["recent"].items():
            self.recent[name] = deque((EpisodeResult(*e) for e in episodes), maxlen=WINDOW)


class MetricsWriter:
    """`metrics.jsonl`, a line for each update, and if wanted the same as TensorBoard events."""

    def __init__(
        self, directory: Path, *, offset: int, step: int, tensorboard: bool | None = None
    ) -> None:
        """Go on after `offset` bytes and `step`; what an earlier process wrote later is dropped.

        Args:
            directory: of the run.
            offset: bytes of `metrics.jsonl` that stay.
            step: the last one that is in them.
            tensorboard: whether TensorBoard's events are written; None: where it is installed.

        Raises:
            OSError: the files cannot be written.
        """
        self._path = directory / "metrics.jsonl"
        self._file = append_to(self._path)
        try:
            if offset < self._file.tell():
                self._file.truncate(offset)
            if tensorboard is None:
                tensorboard = has_tensorboard()
            self._events = _EventFile(directory, step) if tensorboard else None
        except BaseException:
            self._file.close()
            raise

    def offset(self) -> int:
        """Bytes written up to now."""
        return self._file.seek(0, os.SEEK_END)

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Add a line.

        Raises:
            OSError: the disk is full, or the directory has been removed.
        """
        # What is written to a file that somebody has removed would be lost without a word.
        try:
            same = os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            same = False
        if not same:
            raise FileNotFoundError(errno.ENOENT, f"{self._path.name} in it has been removed")
        self._file.write(json.dumps({"step": step, **metrics}).encode() + b"\n")
        self._file.flush()
        if self._events is not None:
            self._events.write(step, metrics)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Closing writes what is left, and on a full disk fails as the writing before did: then that
        # has been told already. The lines themselves are on the disk after each `write`.
        for file in (self._file, self._events):
            with suppress(OSError):
                if file is not None:
                    file.close()


def has_tensorboard() -> bool:
    """Returns whether the package is installed."""
    return is_there("tensorboard")


class _EventFile:
    """Scalars as TensorBoard reads them. Every fault is that of the call in which it happens,
    which a writer with a thread of its own (torch's) cannot do."""

    FLUSH_EVERY = 10.0
    """Seconds, after which what has been told since is written: all at once costs a third."""

    def __init__(self, directory: Path, step: int) -> None:
        """What other files of `directory` have after `step` no longer counts."""
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        self._records = RecordWriter((directory / name).open("xb"))
        self._flushed = time.monotonic()
        self._waiting: list[tuple[float, int, dict[str, float]]] = []
        begin = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._add(time.time(), file_version="brain.Event:2")
        self._add(time.time(), step=step + 1, session_log=begin)
        self._records.flush()

    def write(self, step: int, metrics: dict[str, float]) -> None:
        self._waiting.append((time.time(), step, metrics))
        if time.monotonic() >= self._flushed + self.FLUSH_EVERY:
            self._flushed = time.monotonic()
            self._write_waiting()
            self._records.flush()

    def _write_waiting(self) -> None:
        for at, step, metrics in self._waiting:
            values = [
                self._summary.Value(tag=name, simple_value=value) for name, value in metrics.items()
            ]
            self._add(at, step=step, summary=self._summary(value=values))
        self._waiting.clear()

    def _add(self, at: float, **fields: Any) -> None:
        event = self._event(wall_time=at, **fields)
        self._records.write(event.SerializeToString())

    def close(self) -> None:
        try:
            self._write_waiting()
        finally:
            self._records.close()
