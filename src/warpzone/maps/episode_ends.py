"""Where training episodes ended, as a run's `ends.jsonl` tells, read on as it grows."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from warpzone.errors import WarpzoneError
from warpzone.maps.cache import Atlas, middle_of_mario
from warpzone.maps.renderer import COLUMN, HEIGHT, Strip
from warpzone.runs.metrics import LineReader
from warpzone.smb.levels import LEVELS
from warpzone.smb.signals import DEATHS

NAME = "ends.jsonl"
KINDS = (*DEATHS[1:], "cut", "cleared")
"""How an episode can end: the deaths of `DEATHS`; cut off by a limit of steps; at the flag."""
ROWS = HEIGHT // COLUMN
UNKNOWN = -1
"""Where a line does not say which map it means."""
MOST = 1 << 16
"""What a coordinate is below: 256 screens."""


class EndsError(WarpzoneError):
    """A run does not tell where episodes ended."""


class Ends:
    """The ends of one run. `refresh` reads what was added since; may be used from several threads.

    Attributes:
        skipped: lines that made no sense.
    """

    FIELDS = ("level", "area", "map", "x", "y", "kind", "own")

    def __init__(self, run: Path) -> None:
        self.skipped = 0
        self._reader = LineReader(run / NAME)
        self._table = self._empty()
        self._lock = threading.Lock()

    def _empty(self) -> NDArray[np.int64]:
        return np.empty((0, len(self.FIELDS)), np.int64)

    def refresh(self) -> None:
        """Read on. A file that is not there is an empty one."""
        with self._lock:
            while (blocks := self._reader.blocks()) is None:  # it has become another file
                self.skipped, self._table = 0, self._empty()
            rows = []
            for line in b"".join(blocks).splitlines():
                try:
                    rows.append(_row(line))
                except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
                    self.skipped += 1
            if rows:  # another array: who reads has the one before
                self._table = np.vstack([self._table, np.array(rows, np.int64)])

    def __len__(self) -> int:
        return len(self._table)

    def of_level(self, level: str, last: int | None = None) -> NDArray[np.int64]:
        """The ends in a level, oldest first, columns as in `FIELDS`: int64[n, 7].

        Args:
            level: "1-1" to "8-4".
            last: only so many, the latest; None: all.
        """
        table = self._table
        found: NDArray[np.int64] = table[table[:, 0] == LEVELS.index(level)]
        return found if last is None else found[max(len(found) - last, 0) :]

    def levels(self) -> dict[str, int]:
        """How many ends there are in each level that has some."""
        counts = np.bincount(self._table[:, 0], minlength=len(LEVELS))
        return {LEVELS[i]: int(counts[i]) for i in np.flatnonzero(counts)}


def _row(line: bytes) -> tuple[int, ...]:
    """Columns as in `Ends.FIELDS`. Raises what Python raises where a line makes no sense."""
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
    ends: NDArray[np.int64], atlas: Atlas
) -> tuple[list[tuple[int, int, int, int, int]], int]:
    """Count ends in cells of 16×16 px.

    Args:
        ends: as from `Ends.of_level`.
        atlas: of the same level.

    Returns:
        (strip, column, row, kind, count), columns and rows of its picture, kinds of `KINDS`; and
        how many ends lie on no strip.
    """
    _, area, map, x, y, kind, _ = ends.T
    strip = np.full(len(ends), -1)
    column, row = np.zeros((2, len(ends)), np.int64)
    for number, shown in enumerate(atlas.strips):
        here = (strip < 0) & (area == shown.area) & ((map == shown.map) | (map == UNKNOWN))
        here &= (shown.left <= x) & (x < shown.right)
        strip[here] = number
        column[here], row[here] = cells_of(shown, x[here], y[here], kind[here])
    placed = strip >= 0
    shape = (len(atlas.strips), MOST // COLUMN, ROWS, len(KINDS))
    parts = tuple(part[placed] for part in (strip, column, row, kind))
    keys, counts = np.unique(np.ravel_multi_index(parts, shape), return_counts=True)
    fields = (*np.unravel_index(keys, shape), counts)
    counted = [*zip(*(field.tolist() for field in fields), strict=True)]
    return counted, int((~placed).sum())


def cells_of(
    strip: Strip, x: NDArray[np.int64], y: NDArray[np.int64], kind: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Columns and rows of the cells where Mario ended, from the signals `x` and `y`: [n] each."""
    # Below the screen the signal y begins again at its top.
    screen_y = np.where(kind == KINDS.index("pit"), 239, 255 - y)
    middle_x, middle_y = middle_of_mario(x - strip.left, screen_y)
    columns = np.clip(middle_x, 0, strip.width - 1) // COLUMN
    return columns, np.clip(middle_y // COLUMN, 0, ROWS - 1)


def total(counted: Sequence[tuple[int, int, int, int, int]], kinds: Sequence[str]) -> int:
    """How many of these kinds were counted."""
    wanted = {KINDS.index(kind) for kind in kinds}
    return sum(count for *_, kind, count in counted if kind in wanted)
