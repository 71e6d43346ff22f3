"""What descriptions of games that are seen from the side have in common: how px and ends are paid,
and a view of the tiles and objects around the player.

Knows no game: addresses and layouts are theirs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpzone.nes.variables import Values

STEP, LOST, WON = 0.01, 2.5, 5.0
PX = 1 / 20
MOST = 40
"""Px of a step that are paid: pipes and doors move the player farther."""

ROWS, COLUMNS = 13, 16
ABOVE, LEFT = 7, 5
"""How many of those rows and columns lie before the player's."""
NEAREST = 5
"""Objects that are told one by one."""


def paid(now: Values, before: Values, won: Any, lost: Any) -> Any:
    """Returns a reward: new-best px, less a little for each step; the goal, and death."""
    gained = np.clip(now["best_progress"] - before["best_progress"], 0, MOST)
    return gained * PX - STEP + WON * won - LOST * lost


def around(x: NDArray[np.int64], y: NDArray[np.int64]) -> tuple[Any, Any]:
    """Returns the rows [n, 13, 1] and columns [n, 1, 16] of tiles of 16 × 16 px around places in
    px, [n]."""
    rows = (y >> 4)[:, None, None] + (np.arange(ROWS) - ABOVE)[:, None]
    columns = (x >> 4)[:, None, None] + (np.arange(COLUMNS) - LEFT)
    return rows, columns


def seen_objects(
    there: NDArray[np.bool_], dx: NDArray[np.int64], dy: NDArray[np.int64], *more: NDArray[Any]
) -> NDArray[np.float32]:
    """Returns what is seen of objects, float32[n, k]: a plane of 13 × 16 tiles in which they are
    marked, then of the nearest ones whether there is one, where it is, coarsely and finely, and
    `more` of it.

    Args:
        there: bool[n, objects].
        dx, dy: int64[n, objects], px from the player.
        more: float[n, objects] each.
    """
    n = len(there)
    rows, columns = (dy + 8 >> 4) + ABOVE, (dx + 8 >> 4) + LEFT
    inside = there & (rows >= 0) & (rows < ROWS) & (columns >= 0) & (columns < COLUMNS)
    plane = np.zeros((n, ROWS, COLUMNS), np.float32)
    game, which = np.nonzero(inside)
    plane[game, rows[game, which], columns[game, which]] = 1
    far = np.where(there, np.abs(dx) + np.abs(dy), 1 << 20)
    near = np.argsort(far, axis=1, kind="stable")[:, :NEAREST, None]
    told = [
        np.ones(there.shape),
        np.clip(dx / 128, -1, 1),
        np.clip(dy / 128, -1, 1),
        np.clip(dx / 32, -1, 1),
        np.clip(dy / 32, -1, 1),
        *more,
    ]
    each = np.stack([values * there for values in told], axis=2)
    one = np.take_along_axis(each, near, axis=1)
    return np.concatenate([plane.reshape(n, -1), one.reshape(n, -1)], axis=1, dtype=np.float32)


def finely(place: NDArray[np.int64]) -> NDArray[np.float32]:
    """Returns where in its tile something is, float32[n, 8]: one of eight steps of 2 px."""
    steps: NDArray[np.float32] = np.eye(8, dtype=np.float32)[(place & 15) >> 1]
    return steps
