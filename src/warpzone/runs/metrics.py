"""`metrics.jsonl` as numbers, read on as the file grows.

Whatever a file holds, a reader goes on: half-written last lines wait for their end, lines that are
no metrics are counted and left out, columns that nobody shows are not kept, nor are rows beyond a
size that no training reaches; a file that was cut back, as a resumed run does, is read anew.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json

from warpzone.runs.columns import MEASUREMENT, column_of
from warpzone.runs.lines import LineReader

MOST_CELLS = 1 << 24
"""Numbers that a table holds: 128 MB, a million updates with all the curves that are shown."""
MOST_COLUMNS = 256
"""Of a table; a measurement of all levels has 66."""
MOST_LAYOUTS = 4096
"""Rows have the names of few sets of columns; so many are remembered."""
SECONDS = ("charts/rollout_seconds", "charts/update_seconds")
"""What an update took: playing and learning."""

Row = dict[str, object]


class Table:
    """Holds rows of named numbers, each at a step. A column that a row lacks holds NaN there.

    Attributes:
        dropped: rows that found no room.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._steps = array("d")
        self._seconds = array("d")
        self._columns: dict[str, array[float]] = {}

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def names(self) -> list[str]:
        """Returns the names of the columns that any row has."""
        return list(self._columns)

    @property
    def steps(self) -> NDArray[np.float64]:
        """Returns agent steps, [N]."""
        return np.array(self._steps)

    @property
    def seconds(self) -> NDArray[np.float64]:
        """Returns seconds of playing and learning up to then, [N]; NaN where they are not told."""
        return np.array(self._seconds)

    def column(self, name: str) -> NDArray[np.float64]:
        """Returns its numbers, [N]; all are NaN if there is none of that name."""
        values = np.full(len(self), math.nan)
        found = np.array(self._columns.get(name, ()))
        values[: len(found)] = found
        return values

    def extend(self, steps: Sequence[float], seconds: Sequence[float], rows: Sequence[Row]) -> None:
        """Adds rows, or as many as there is room for."""
        names = dict.fromkeys(name for row in rows for name in row)
        new = [name for name in names if name not in self._columns]
        new = new[: max(MOST_COLUMNS - len(self._columns), 0)]
        room = MOST_CELLS // (len(self._columns) + len(new) + 2) - len(self)
        taken = min(max(room, 0), len(rows))
        self.dropped += len(rows) - taken
        if not taken:
            return
        count = len(self)
        self._steps.extend(steps[:taken])
        self._seconds.extend(seconds[:taken])
        for name in names:
            if name not in self._columns:
                if name not in new:
                    continue
                self._columns[name] = array("d")
            column = self._columns[name]
            column.extend([math.nan] * (count - len(column)))
            column.extend(_numbers([row.get(name) for row in rows[:taken]]))


def _numbers(values: list[object]) -> array[float]:
    """Returns them as an array, with NaN for what is no number."""
    try:
        # What is no number raises, which is what is tried here.
        return array("d", values)  # type: ignore[arg-type]
    except (TypeError, OverflowError):  # text, or a number without end: look at each
        if len(values) == 1:
            return array("d", [math.nan])
        return array("d", [_numbers([value])[0] for value in values])


def _number(value: object) -> float:
    if value is None:
        return math.nan
    return value if isinstance(value, float) else _numbers([value])[0]


class _Layout:
    """Says what is taken of rows that have the same names."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.is_measurement = any(name.startswith(MEASUREMENT) for name in names)
        taken = {column_of(name): name for name in names}
        taken.pop(None, None)
        self.taken = [
            (column, name)
            for column, name in taken.items()
            if column is not None and column.startswith(MEASUREMENT) == self.is_measurement
        ]


class Metrics:
    """Holds what a run says about itself, up to date after `refresh`.

    Attributes:
        updates: a row for each update.
        measured: a row for each measurement, its columns begin with `eval/`.
        skipped: lines that are no metrics.
    """

    def __init__(self, path: Path) -> None:
        self._reader = LineReader(path)
        self._layouts: dict[tuple[str, ...], _Layout] = {}
        self._clear()

    def _clear(self) -> None:
        self.updates, self.measured, self.skipped = Table(), Table(), 0
        self._seconds = 0.0

    @property
    def generation(self) -> int:
        """Returns a number that changes when the file was read anew; rows before then are gone."""
        return self._reader.generation

    @property
    def dropped(self) -> int:
        """Returns how many rows found no room."""
        return self.updates.dropped + self.measured.dropped

    @property
    def problem(self) -> str | None:
        """Returns why the file is not read, for people; None: it is."""
        return self._reader.problem

    def refresh(self) -> None:
        """Takes in what was added to the file."""
        blocks = self._reader.blocks()
        if blocks is None:
            self._clear()
            blocks = self._reader.blocks() or iter(())
        for block in blocks:
            self._take(block)

    def _take(self, block: bytes) -> None:
        updates: tuple[list[float], list[float], list[Row]] = ([], [], [])
        measured: tuple[list[float], list[float], list[Row]] = ([], [], [])
        for row in self._rows(block):
            layout = self._layout(tuple(row))
            if not layout.is_measurement:
                self._seconds += _number(row.get(SECONDS[0])) + _number(row.get(SECONDS[1]))
            steps, seconds, rows = measured if layout.is_measurement else updates
            steps.append(row["step"])  # type: ignore[arg-type]  # a number, see `parse`
            seconds.append(self._seconds)
            rows.append({column: row[name] for column, name in layout.taken})
        self.updates.extend(*updates)
        self.measured.extend(*measured)

    def _rows(self, block: bytes) -> Iterator[Row]:
        for line in block.split(b"\n"):
            if line.strip():
                row = parse(line)
                if row is None:
                    self.skipped += 1
                else:
                    yield row

    def _layout(self, names: tuple[str, ...]) -> _Layout:
        layout = self._layouts.get(names)
        if layout is None:
            layout = _Layout(names)
            if len(self._layouts) < MOST_LAYOUTS:
                self._layouts[names] = layout
        return layout


def parse(line: bytes) -> Row | None:
    """Returns a line of metrics, with a finite `step`; None if it is none."""
    try:
        row = from_json(line)
        if not isinstance(row, dict) or not math.isfinite(row["step"]):
            return None
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
    return row


class Progress:
    """Holds the last step and the best measured clear rate of a run, without all its numbers."""

    NAME = b'"eval/clear_rate":'

    def __init__(self, path: Path) -> None:
        self._reader = LineReader(path)
        self._clear()

    def _clear(self) -> None:
        self.step: int | None = None
        self.best: float | None = None

    @property
    def problem(self) -> str | None:
        """Returns why the file is not read, for people; None: it is."""
        return self._reader.problem

    def refresh(self) -> None:
        """Takes in what was added to the file."""
        blocks = self._reader.blocks()
        if blocks is None:
            self._clear()
            blocks = self._reader.blocks() or iter(())
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
            rate = _number((parse(block[start:end]) or {}).get("eval/clear_rate"))
            if math.isfinite(rate):
                self.best = max(rate, self.best or 0.0)
            place = block.find(self.NAME, end)
