"""Tetris (Nintendo, 1989), type A: what is in its memory, where a game begins, and what a line is
worth.

Addresses are those of Data Crystal's RAM map
(https://datacrystal.tcrf.net/wiki/Tetris_(NES,_Nintendo)/RAM_map). Knows nothing of other games.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpzone.nes.game import Game
from warpzone.nes.game_start import Startup
from warpzone.nes.variables import Values, Variable

ROWS, COLUMNS = 20, 10
EMPTY = 0xEF
"""What is in a cell of the playfield where no tile lies."""
PIECES = 19
"""Pieces in each of their positions."""
LINE_POINTS = np.array([0, 1, 3, 5, 8])
"""What so many lines at once are worth."""
HOLE, HEIGHT, LOST = 0.3, 0.03, 5.0
"""What is taken for a new hole under tiles, for each row that a column grows, and for the end."""

_CELLS = {
    f"_cell_{row}_{column}": Variable(address=0x0400 + row * COLUMNS + column)
    for row in range(ROWS)
    for column in range(COLUMNS)
}


def field(now: Values) -> NDArray[np.bool_]:
    """Returns where tiles lie: bool[n, 20, 10]."""
    cells = np.stack([now[name] for name in _CELLS], axis=1)
    tiles: NDArray[np.bool_] = (cells != EMPTY).reshape(-1, ROWS, COLUMNS)
    return tiles


def heights(tiles: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Returns how many rows high each column is: int64[n, 10]."""
    return np.where(tiles.any(axis=1), ROWS - tiles.argmax(axis=1), 0)


def holes(tiles: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Returns how many cells are empty under a tile: int64[n]."""
    covered = np.logical_or.accumulate(tiles, axis=1) & ~tiles
    found: NDArray[np.int64] = covered.sum(axis=(1, 2))
    return found


def _potential(now: Values) -> NDArray[np.float64]:
    tiles = field(now)
    worth: NDArray[np.float64] = -HOLE * holes(tiles) - HEIGHT * heights(tiles).sum(axis=1)
    return worth


def reward(now: Values, before: Values) -> Any:
    """Returns the points of lines, less what holes and height take; a lost game takes five."""
    lines = np.clip(now["lines"] - before["lines"], 0, 4)
    # Rows that are being cleared are counted as lines before they are taken away: what the field
    # is worth is asked only while a piece falls.
    falls = (now["phase"] == 1) & (before["phase"] == 1)
    shaped = np.where(falls, _potential(now) - _potential(before), 0.0)
    return LINE_POINTS[lines] + shaped - LOST * over(now, before)


def over(now: Values, before: Values) -> Any:
    """Returns whether the curtain has begun to fall."""
    return now["_curtain"] != 0


def info(now: Values, before: Values) -> dict[str, Any]:
    """Returns what the field is like: rows of the highest column, holes."""
    tiles = field(now)
    return {"height": heights(tiles).max(axis=1), "holes": holes(tiles)}


def observe(now: Values, before: Values) -> Any:
    """Returns float32[n, 240]: the field, the piece that falls and the next one, each one-hot, and
    where it is."""
    kinds = np.eye(PIECES + 1, dtype=np.float32)
    return np.concatenate(
        [
            field(now).reshape(-1, ROWS * COLUMNS),
            kinds[np.minimum(now["piece"], PIECES)][:, :PIECES],
            kinds[np.minimum(now["next_piece"], PIECES)][:, :PIECES],
            np.stack([now["x"] / COLUMNS, now["y"] / ROWS], axis=1),
        ],
        axis=1,
        dtype=np.float32,
    )


def first_piece(play: Startup) -> None:
    """Goes through the menus, as they are, to the first piece."""
    play.until(lambda now: now["_screen"] == 4 and now["phase"] == 1, "start")


GAME = Game(
    name="tetris",
    cartridge="tetris",
    contents=["fd9079cb5e8479eb06d93c2ae5175bfce871746a"],
    variables={
        "score": Variable(address=0x0053, width=3, coding="bcd"),
        "lines": Variable(address=0x0050, width=2, coding="bcd"),
        "level": Variable(address=0x0044),
        "piece": Variable(address=0x0042),
        "next_piece": Variable(address=0x00BF),
        "x": Variable(address=0x0040),
        "y": Variable(address=0x0041),
        "phase": Variable(address=0x0048),
        "_curtain": Variable(address=0x0058),
        "_screen": Variable(address=0x00C0),
        **_CELLS,
    },
    actions=[[], ["left"], ["right"], ["down"], ["A"], ["B"]],
    starts={"A": first_piece},
    reward=reward,
    done=over,
    progress=lambda now, before: now["lines"],
    info=info,
    observe=observe,
    settings={"noop_max": 30},
)
