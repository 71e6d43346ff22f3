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
from warpzone.nes.variables import Memory, Values, Variable

ROWS, COLUMNS = 20, 10
FIELD = Memory(address=0x0400, size=ROWS * COLUMNS)
EMPTY = 0xEF
"""What is in a cell of the playfield where no tile lies."""
SHAPES = np.array(
    [
        *([(0, -1), (0, 0), (0, 1), (-1, 0)], [(-1, 0), (0, 0), (0, 1), (1, 0)]),  # T
        *([(0, -1), (0, 0), (0, 1), (1, 0)], [(-1, 0), (0, -1), (0, 0), (1, 0)]),
        *([(-1, 0), (0, 0), (1, -1), (1, 0)], [(-1, -1), (0, -1), (0, 0), (0, 1)]),  # J
        *([(-1, 0), (-1, 1), (0, 0), (1, 0)], [(0, -1), (0, 0), (0, 1), (1, 1)]),
        *([(0, -1), (0, 0), (1, 0), (1, 1)], [(-1, 1), (0, 0), (0, 1), (1, 0)]),  # Z
        [(0, -1), (0, 0), (1, -1), (1, 0)],  # the square
        *([(0, 0), (0, 1), (1, -1), (1, 0)], [(-1, 0), (0, 0), (0, 1), (1, 1)]),  # S
        *([(-1, 0), (0, 0), (1, 0), (1, 1)], [(0, -1), (0, 0), (0, 1), (1, -1)]),  # L
        *([(-1, -1), (-1, 0), (0, 0), (1, 0)], [(-1, 1), (0, -1), (0, 0), (0, 1)]),
        *([(-2, 0), (-1, 0), (0, 0), (1, 0)], [(0, -2), (0, -1), (0, 0), (0, 1)]),  # I
    ]
)
"""int[19, 4, 2]: of each piece in each of its positions the rows and columns of its tiles, from the
place that `y` and `x` tell."""
PIECES = len(SHAPES)
FALLS, LOCKS = 1, 2
"""Phases: a piece falls, or has come to lie and is put into the field next."""
LINE_POINTS = np.array([0, 1, 3, 5, 8])
"""What so many lines at once are worth."""
PLACED = 0.5
"""What a piece that comes to lie is worth: who only loses by pieces learns to keep them up."""
HOLE, HEIGHT, STEP, LOST = 0.3, 0.05, 0.05, 5.0
"""What is taken for a new hole under tiles, for each row that a column grows, for each row by which
it differs more from the next one, and for the end."""


def field(now: Values) -> NDArray[np.bool_]:
    """Returns where tiles lie: bool[n, 20, 10]."""
    tiles: NDArray[np.bool_] = (now["field"] != EMPTY).reshape(-1, ROWS, COLUMNS)
    return tiles


def heights(tiles: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Returns how many rows high each column is: int64[n, 10]."""
    return np.where(tiles.any(axis=1), ROWS - tiles.argmax(axis=1), 0)


def holes(tiles: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Returns how many cells are empty under a tile: int64[n]."""
    covered = np.logical_or.accumulate(tiles, axis=1) & ~tiles
    found: NDArray[np.int64] = covered.sum(axis=(1, 2))
    return found


def without_full_rows(tiles: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Returns the field as it is once the game has taken its full rows away."""
    full: NDArray[np.bool_] = np.logical_and.reduce(tiles, axis=2)
    order = np.argsort(~full, axis=1, kind="stable")[:, :, None]
    return np.take_along_axis(tiles & ~full[:, :, None], order, axis=1)


def landing(
    tiles: NDArray[np.bool_], piece: NDArray[Any], x: NDArray[Any], y: NDArray[Any]
) -> NDArray[np.bool_]:
    """Returns where pieces come to lie if they fall straight down: bool[n, 20, 10]; nothing where
    there is no piece, or no place for it."""
    n, games = len(tiles), np.arange(len(tiles))[:, None]
    shape = SHAPES[np.minimum(piece, PIECES - 1)]
    rows, columns = y[:, None] + shape[:, :, 0], x[:, None] + shape[:, :, 1]
    there = (piece < PIECES) & ((columns >= 0) & (columns < COLUMNS) & (rows < ROWS)).all(axis=1)
    rows = np.where(there[:, None], rows, 0)
    columns = np.where(there[:, None], columns, 0)
    filled = np.where(tiles, np.arange(ROWS)[:, None], ROWS)
    below = np.minimum.accumulate(filled[:, ::-1], axis=1)[:, ::-1]
    falls = (below[games, np.maximum(rows, 0), columns] - rows - 1).min(axis=1)
    rows = rows + falls[:, None]
    lies = there[:, None] & (falls[:, None] >= 0) & (rows >= 0)
    found = np.zeros((n, ROWS, COLUMNS), np.bool_)
    game, which = np.nonzero(lies)
    found[game, rows[game, which], columns[game, which]] = True
    return found


def _landing(now: Values, tiles: NDArray[np.bool_]) -> NDArray[np.bool_]:
    there = (now["phase"] == FALLS) | (now["phase"] == LOCKS)
    found = landing(tiles, now["piece"], now["x"], now["y"])
    found &= there[:, None, None]
    return found


def worth(tiles: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Returns what fields are worth once their full rows are taken away, float64[n], at most 0."""
    tiles = without_full_rows(tiles)
    height = heights(tiles)
    uneven = np.abs(np.diff(height, axis=1)).sum(axis=1)
    found: NDArray[np.float64] = -HOLE * holes(tiles) - HEIGHT * height.sum(axis=1) - STEP * uneven
    return found


def _potential(now: Values) -> NDArray[np.float64]:
    """What the field is worth with the piece where it would come to lie: so each move is paid at
    once."""
    tiles = field(now)
    return worth(tiles | _landing(now, tiles))


def reward(now: Values, before: Values) -> Any:
    """Returns the points of lines and pieces, less what holes, height and steps take; a lost game
    takes five."""
    lines = np.clip(now["lines"] - before["lines"], 0, 4)
    lost = over(now, before)
    placed = field(now).sum(axis=(1, 2)) > field(before).sum(axis=(1, 2))
    shaped = PLACED * placed + _potential(now) - _potential(before)
    return LINE_POINTS[lines] + np.where(lost, 0.0, shaped) - LOST * lost


def over(now: Values, before: Values) -> Any:
    """Returns whether the curtain has begun to fall."""
    return now["_curtain"] != 0


def info(now: Values, before: Values) -> dict[str, Any]:
    """Returns what the field is like: rows of the highest column, holes."""
    tiles = field(now)
    return {"height": heights(tiles).max(axis=1), "holes": holes(tiles)}


def observe(now: Values, before: Values) -> Any:
    """Returns float32[n, 607]: the field; where the piece would come to lie; the piece that falls,
    the next one, column and row, each one-hot; how high columns are, beside each other and beside
    the piece; and what is held."""
    tiles = field(now)
    height = heights(tiles)
    x = np.clip(now["x"], 0, COLUMNS - 1)
    beside = x[:, None] + np.arange(-2, 4)
    walled = np.pad(height, ((0, 0), (2, 3)), constant_values=ROWS)
    near = np.take_along_axis(walled, beside + 2, axis=1) - height.min(axis=1, keepdims=True)
    held = now["_held"][:, None] >> np.array([0, 1, 2, 6, 7]) & 1
    scalars = np.column_stack([height / ROWS, holes(tiles) / 20, now["phase"] == FALLS, held])
    return np.concatenate(
        [
            tiles.reshape(-1, ROWS * COLUMNS),
            _landing(now, tiles).reshape(-1, ROWS * COLUMNS),
            _one_hot(now["piece"], PIECES),
            _one_hot(now["next_piece"], PIECES),
            _one_hot(x, COLUMNS),
            _one_hot(now["y"], ROWS),
            _one_hot(np.diff(height, axis=1) + 3, 7).reshape(-1, 7 * (COLUMNS - 1)),
            _one_hot(near, 10).reshape(-1, 60),
            scalars,
        ],
        axis=1,
        dtype=np.float32,
    )


def _one_hot(numbers: NDArray[Any], size: int) -> NDArray[np.float32]:
    rows: NDArray[np.float32] = np.eye(size, dtype=np.float32)[np.clip(numbers, 0, size - 1)]
    return rows


def first_piece(play: Startup) -> None:
    """Goes through the menus, as they are, to the first piece."""
    play.until(lambda now: now["_screen"] == 4 and now["phase"] == FALLS, "start")


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
        "_held": Variable(address=0x00F7),
        "_curtain": Variable(address=0x0058),
        "_screen": Variable(address=0x00C0),
    },
    memory={"field": FIELD},
    # None of them waits: a piece that is not moved falls fast, or most steps would decide nothing.
    actions=[["down"], ["left"], ["right"], ["A"], ["B"]],
    starts={"A": first_piece},
    reward=reward,
    done=over,
    progress=lambda now, before: now["lines"],
    info=info,
    observe=observe,
    settings={"noop_max": 30},
)
