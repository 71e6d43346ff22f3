"""Where training episodes ended, as a run's `ends.jsonl` tells, read on as it grows."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from warpzone.errors import WarpzoneError
from warpzone.game.levels import LEVELS
from warpzone.game.signals import DEATHS
from warpzone.views.atlas import Atlas, middle_of_mario
from warpzone.views.metrics import LineReader
from warpzone.views.stitch import COLUMN, HEIGHT

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
        self._rows: list[tuple[int, ...]] = []
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Read on. A file that is not there is an empty one."""
        with self._lock:
            while (blocks := self._reader.blocks()) is None:  # it has become another file
                self.skipped, self._rows = 0, []
            for line in b"".join(blocks).splitlines():
                try:
                    self._rows.append(_row(line))
                except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
                    self.skipped += 1

    def __len__(self) -> int:
        return len(self._rows)

    def of_level(self, level: str, last: int | None = None) -> NDArray[np.int64]:
        """The ends in a level, oldest first, columns as in `FIELDS`: int64[n, 7].

        Args:
            level: "1-1" to "8-4".
            last: only so many, the latest; None: all.
        """
        table = self._table()
        found: NDArray[np.int64] = table[table[:, 0] == LEVELS.index(level)]
        return found if last is None else found[max(len(found) - last, 0) :]

    def levels(self) -> dict[str, int]:
        """How many ends there are in each level that has some."""
        counts = np.bincount(self._table()[:, 0], minlength=len(LEVELS))
        return {LEVELS[i]: int(counts[i]) for i in np.flatnonzero(counts)}

    def _table(self) -> NDArray[np.int64]:
        with self._lock:
            rows = self._rows
            return np.array(rows, np.int64).reshape(len(rows), len(self.FIELDS))


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
    counts: dict[tuple[int, int, int, int], int] = {}
    unplaced = 0
    places, numbers = np.unique(ends[:, 1:6], axis=0, return_counts=True)
    for (area, map, x, y, kind), number in zip(places.tolist(), numbers.tolist(), strict=True):
        strip = atlas.find(x, area=area, map=None if map == UNKNOWN else map)
        if strip is None:
            unplaced += number
            continue
        column, row = cell_of(atlas, strip, x, y, KINDS[kind])
        key = (strip, column, row, kind)
        counts[key] = counts.get(key, 0) + number
    return [(*key, count) for key, count in sorted(counts.items())], unplaced


def cell_of(atlas: Atlas, strip: int, x: int, y: int, kind: str) -> tuple[int, int]:
    """Column and row of the cell where Mario ended, from the signals `x` and `y`."""
    shown = atlas.strips[strip]
    # Below the screen the signal y begins again at its top.
    screen_y = 239 if kind == "pit" else 255 - y
    middle_x, middle_y = middle_of_mario(x - shown.left, screen_y)
    column = min(max(middle_x, 0), shown.width - 1) // COLUMN
    return column, min(max(middle_y // COLUMN, 0), ROWS - 1)


def total(counted: Sequence[tuple[int, int, int, int, int]], kinds: Sequence[str]) -> int:
    """How many of these kinds were counted."""
    wanted = {KINDS.index(kind) for kind in kinds}
    return sum(count for *_, kind, count in counted if kind in wanted)
