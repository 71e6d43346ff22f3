"""Where training episodes ended, as a run's `episode_ends.jsonl` tells, read on as it grows."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from warpzone.errors import WarpzoneError
from warpzone.maps.cache import LevelMap, middle_of_mario
from warpzone.maps.renderer import COLUMN, HEIGHT, Strip
from warpzone.runs.lines import LineReader
from warpzone.smb.levels import LEVELS
from warpzone.smb.signals import DEATH_TEXTS, DEATHS

NAME, OLD_NAME = "episode_ends.jsonl", "ends.jsonl"
"""The file of a run, and what older versions called it."""


class Kind(NamedTuple):
    """Says how an episode can end: its name, and what people are shown."""

    name: str
    text: str
    colour: str


_TEXTS = {**DEATH_TEXTS, "cut": "cut off, no progress", "cleared": "cleared"}
_COLOURS = ("#d55e00", "#0072b2", "#b8a500", "#aa4499", "#117733", "#777777", "#009e73")
END_KINDS = tuple(
    Kind(name, text, colour) for (name, text), colour in zip(_TEXTS.items(), _COLOURS, strict=True)
)
"""The ways to die; cut off by a limit of steps; at the flag. Colours are told apart by people who
see them otherwise, too (Okabe & Ito)."""
KINDS = tuple(kind.name for kind in END_KINDS)
ROWS = HEIGHT // COLUMN
UNKNOWN = -1
"""Where a line does not say which map it means."""
MOST = 1 << 16
"""What a coordinate is below: 256 screens."""
MOST_ENDS = 1 << 21
"""Of a run, the latest; 56 bytes each."""


class EndsError(WarpzoneError):
    """A run does not tell where episodes ended."""


class _File:
    """Holds what one file tells.

    Attributes:
        table: int64[n, 7], columns as in `Ends.FIELDS`; another array after each change.
        skipped: lines that made no sense.
    """

    def __init__(self, path: Path) -> None:
        self._reader = LineReader(path)
        self._clear()

    @property
    def problem(self) -> str | None:
        """Returns why the file is not read, for people; None: it is, or there is none."""
        return self._reader.problem

    def _clear(self) -> None:
        self.table = np.empty((0, len(Ends.FIELDS)), np.int64)
        self.skipped = 0

    def refresh(self) -> None:
        blocks = self._reader.blocks()
        if blocks is None:  # it has become another file
            self._clear()
            blocks = self._reader.blocks() or iter(())
        for block in blocks:
            rows = []
            for line in block.splitlines():
                try:
                    rows.append(_row(line))
                except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
                    self.skipped += 1
            if rows:
                self.table = np.vstack([self.table, np.array(rows, np.int64)])[-MOST_ENDS:]


class Ends:
    """Holds the ends of one run, up to date after `refresh`; several threads may use it."""

    FIELDS = ("level", "area", "map", "x", "y", "kind", "own")

    def __init__(self, run: Path) -> None:
        # A run that an older version began and this one resumed has both.
        self._files = [_File(run / name) for name in (OLD_NAME, NAME)]
        self._table = self._files[0].table
        self._lock = threading.Lock()

    @property
    def skipped(self) -> int:
        """Returns how many lines made no sense."""
        return sum(file.skipped for file in self._files)

    @property
    def problem(self) -> str | None:
        """Returns why a file is not read, for people; None: nothing is wrong."""
        return "; ".join(file.problem for file in self._files if file.problem) or None

    def refresh(self) -> None:
        """Reads on. A file that is not there is an empty one."""
        with self._lock:
            for file in self._files:
                file.refresh()
            older, newer = (file.table for file in self._files)
            self._table = np.vstack([older, newer]) if len(older) else newer

    def __len__(self) -> int:
        return len(self._table)

    def of_level(self, level: str, last: int | None = None) -> NDArray[np.int64]:
        """Returns the ends in a level, oldest first, columns as in `FIELDS`: int64[n, 7].

        Args:
            level: "1-1" to "8-4".
            last: only so many, the latest; None: all.
        """
        table = self._table
        found: NDArray[np.int64] = table[table[:, 0] == LEVELS.index(level)]
        return found if last is None else found[max(len(found) - last, 0) :]

    def levels(self) -> dict[str, int]:
        """Returns how many ends there are in each level that has some."""
        counts = np.bincount(self._table[:, 0], minlength=len(LEVELS))
        return {LEVELS[i]: int(counts[i]) for i in np.flatnonzero(counts)}


def _row(line: bytes) -> tuple[int, ...]:
    """Returns columns as in `Ends.FIELDS`; raises what Python does where a line makes no sense."""
    given = json.loads(line)
    kind = _kind(bool(given["cleared"]), int(given["death"]))
    area, x, y, map = (int(given.get(name, UNKNOWN)) for name in ("area", "x", "y", "map"))
    if min(area, x, y) < 0 or max(area, x, y, abs(map)) > MOST:
        raise ValueError("no place")
    own = bool(given.get("own", True))
    return (LEVELS.index(given["level"]), area, map, x, y, kind, int(own))


def _kind(cleared: bool, death: int) -> int:
    if not 0 <= death < len(DEATHS):
        raise ValueError("no death")
    if cleared:
        return KINDS.index("cleared")
    return KINDS.index("cut") if death == 0 else KINDS.index(DEATHS[death])


def cells(
    ends: NDArray[np.int64], level_map: LevelMap
) -> tuple[list[tuple[int, int, int, int, int]], int]:
    """Counts ends in cells of 16×16 px.

    Args:
        ends: as from `Ends.of_level`.
        level_map: of the same level.

    Returns:
        (strip, column, row, kind, count), columns and rows of its picture, kinds of `KINDS`; and
        how many ends lie on no strip.
    """
    _, area, map, x, y, kind, _ = ends.T
    strip = np.full(len(ends), -1)
    column, row = np.zeros((2, len(ends)), np.int64)
    for number, shown in enumerate(level_map.strips):
        here = (strip < 0) & (area == shown.area) & ((map == shown.map) | (map == UNKNOWN))
        here &= (shown.left <= x) & (x < shown.right)
        strip[here] = number
        column[here], row[here] = cells_of(shown, x[here], y[here], kind[here])
    placed = strip >= 0
    shape = (len(level_map.strips), MOST // COLUMN, ROWS, len(KINDS))
    parts = tuple(part[placed] for part in (strip, column, row, kind))
    keys, counts = np.unique(np.ravel_multi_index(parts, shape), return_counts=True)
    fields = (*np.unravel_index(keys, shape), counts)
    counted = [*zip(*(field.tolist() for field in fields), strict=True)]
    return counted, int((~placed).sum())


def cells_of(
    strip: Strip, x: NDArray[np.int64], y: NDArray[np.int64], kind: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns columns and rows of the cells where Mario ended, from the signals `x` and `y`: [n]
    each."""
    # Below the screen the signal y begins again at its top.
    screen_y = np.where(kind == KINDS.index("pit"), 239, 255 - y)
    middle_x, middle_y = middle_of_mario(x - strip.left, screen_y)
    columns = np.clip(middle_x, 0, strip.width - 1) // COLUMN
    return columns, np.clip(middle_y // COLUMN, 0, ROWS - 1)


def total(counted: Sequence[tuple[int, int, int, int, int]], kinds: Sequence[str]) -> int:
    """Returns how many of these kinds were counted."""
    wanted = {KINDS.index(kind) for kind in kinds}
    return sum(count for *_, kind, count in counted if kind in wanted)
