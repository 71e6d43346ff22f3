"""`metrics.jsonl` as it grows: each call reads what was added since the last.

Whatever a file holds, a reader goes on: half-written last lines wait for their end, lines that are
no metrics are counted and left out, and a file that was cut back, as a resumed run does, is read
anew.
"""

from __future__ import annotations

import math
import os
import stat
import time
from array import array
from collections.abc import Sequence
from itertools import accumulate, groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json

BLOCK = 1 << 22
"""Bytes read at once."""
REMEMBERED = 256
"""Bytes before the place where reading goes on, which tell whether the file is still the same."""
LONGEST_LINE = 1 << 20
"""Of a line of metrics, in bytes; a longer one is no line."""
MOST_COLUMNS = 2_000
SECONDS = ("charts/rollout_seconds", "charts/update_seconds")
"""What an update took: playing and learning."""


class LineReader:
    """Reads a growing file of lines; never waits, writes or locks.

    Attributes:
        generation: another number each time that the file is read from its start.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.generation = time.time_ns()
        self._start_over()

    def _start_over(self) -> None:
        self._offset = 0
        self._before = b""
        self._stamp: tuple[int, int, int] | None = None

    def blocks(self) -> list[bytes] | None:
        """Whole lines that were added, in blocks; None where the file must be read anew.

        After None the next call begins at the start. A file that is not there is an empty one.
        """
        try:
            found = self.path.stat()
            if not stat.S_ISREG(found.st_mode):
                raise FileNotFoundError
            stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
            if stamp == self._stamp:
                return []
            with self.path.open("rb", buffering=0) as file:
                if found.st_size < self._offset or not self._unchanged(file.fileno()):
                    self._forget()
                    return None
                return self._read(file.fileno(), stamp)
        except OSError:
            if self._offset == 0:
                return []
            self._forget()
            return None

    def _forget(self) -> None:
        self._start_over()
        self.generation += 1

    def _unchanged(self, file: int) -> bool:
        os.lseek(file, self._offset - len(self._before), os.SEEK_SET)
        return os.read(file, len(self._before)) == self._before

    def _read(self, file: int, stamp: tuple[int, int, int]) -> list[bytes]:
        blocks = []
        rest = b""
        while added := os.read(file, BLOCK):
            data = rest + added
            whole = data.rfind(b"\n") + 1
            if whole:
                blocks.append(data[:whole])
                self._offset += whole
                self._before = (self._before + data[max(0, whole - REMEMBERED) : whole])[
                    -REMEMBERED:
                ]
            rest = data[whole:]
            if len(rest) > LONGEST_LINE:  # left out up to its end
                blocks.append(b"\n")
                self._offset += len(rest)
                self._before = rest[-REMEMBERED:]
                rest = b""
        self._stamp = stamp
        return blocks


class Table:
    """Rows of named numbers, each at a step.

    A column that a row lacks holds NaN there.
    """

    def __init__(self) -> None:
        self._steps = array("d")
        self._seconds = array("d")
        self._columns: dict[str, array[float]] = {}

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def names(self) -> list[str]:
        return list(self._columns)

    @property
    def steps(self) -> NDArray[np.float64]:
        """[N]: agent steps."""
        return np.array(self._steps)

    @property
    def seconds(self) -> NDArray[np.float64]:
        """[N]: of playing and learning up to then; NaN where the run does not tell."""
        return np.array(self._seconds)

    def column(self, name: str) -> NDArray[np.float64]:
        """[N]; all NaN if there is none of that name."""
        values = np.full(len(self), math.nan)
        found = np.array(self._columns.get(name, ()))
        values[: len(found)] = found
        return values

    def extend(
        self, steps: Sequence[float], seconds: Sequence[float], rows: Sequence[dict[str, object]]
    ) -> None:
        """Add rows, at least one, that all have the same names."""
        count = len(self._steps)
        self._steps.extend(steps)
        self._seconds.extend(seconds)
        for name in rows[0]:
            column = self._columns.get(name)
            if column is None:
                if len(self._columns) >= MOST_COLUMNS:
                    continue
                column = self._columns[name] = array("d")
            if len(column) < count:
                column.extend([math.nan] * (count - len(column)))
            column.extend(_numbers([row[name] for row in rows]))


def _numbers(values: list[object]) -> array[float]:
    """NaN for what is no number."""
    try:
        # What is no number raises, which is what is tried here.
        return array("d", values)  # type: ignore[arg-type]
    except (TypeError, OverflowError):  # text, or a number without end: look at each
        if len(values) == 1:
            return array("d", [math.nan])
        return array("d", [_numbers([value])[0] for value in values])


class Metrics:
    """What a run says about itself, up to date after `refresh`.

    Attributes:
        updates: a row for each update.
        measured: a row for each measurement, its columns begin with `eval/`.
        skipped: lines that are no metrics.
        generation: changes when the file was read anew; rows before then are gone.
    """

    def __init__(self, path: Path) -> None:
        self._reader = LineReader(path)
        self._clear()

    def _clear(self) -> None:
        self.updates, self.measured, self.skipped = Table(), Table(), 0
        self._seconds = 0.0

    @property
    def generation(self) -> int:
        return self._reader.generation

    def refresh(self) -> None:
        """Take in what was added to the file."""
        blocks = self._reader.blocks()
        if blocks is None:
            self._clear()
            blocks = self._reader.blocks() or []
        for block in blocks:
            rows = [parse(line) for line in block.split(b"\n") if line.strip()]
            good = [row for row in rows if row is not None]
            self.skipped += len(rows) - len(good)
            for names, alike in groupby(good, tuple):
                self._take(names, list(alike))

    def _take(self, names: tuple[str, ...], rows: list[dict[str, object]]) -> None:
        # `parse` lets no other step through than a number, which its type cannot say.
        steps: list[float] = [row.pop("step") for row in rows]  # type: ignore[misc]
        if any(name.startswith("eval/") for name in names):
            self.measured.extend(steps, [self._seconds] * len(rows), rows)
            return
        spent = [_numbers([row.get(name) for row in rows]) for name in SECONDS]
        seconds = [*accumulate(map(sum, zip(*spent, strict=True)), initial=self._seconds)][1:]
        self._seconds = seconds[-1]
        self.updates.extend(steps, seconds, rows)


def parse(line: bytes) -> dict[str, object] | None:
    """A line of metrics, with a finite `step`; None if it is none."""
    try:
        row = from_json(line)
        if not isinstance(row, dict) or not math.isfinite(row["step"]):
            return None
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
    return row


class Progress:
    """The last step and the best measured clear rate of a run, without reading all its numbers."""

    NAME = b'"eval/clear_rate":'

    def __init__(self, path: Path) -> None:
        self._reader = LineReader(path)
        self._clear()

    def _clear(self) -> None:
        self.step: int | None = None
        self.best: float | None = None

    def refresh(self) -> None:
        """Take in what was added to the file."""
        blocks = self._reader.blocks()
        if blocks is None:
            self._clear()
            blocks = self._reader.blocks() or []
        for block in blocks:
            self._find_measurements(block)
            for line in reversed(block.split(b"\n")[-8:]):
                row = parse(line)
                if row is not None:
                    # A number, see `parse`.
                    self.step = int(row["step"])  # type: ignore[call-overload]
                    break

    def _find_measurements(self, block: bytes) -> None:
        place = block.find(self.NAME)
        while place >= 0:
            start, end = block.rfind(b"\n", 0, place) + 1, block.find(b"\n", place)
            rate = (parse(block[start:end]) or {}).get("eval/clear_rate")
            if isinstance(rate, int | float) and math.isfinite(rate):
                self.best = max(rate, self.best or 0.0)
            place = block.find(self.NAME, end)
