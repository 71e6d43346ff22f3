"""What lies where in the observation `tiles`, as the native core draws it (`native/smb/tiles.h`).

`tiles` is uint8[`PLANES`, `ROWS`, `COLUMNS`]: cells of `CELL` px from `MAP_TOP` px below the top of
the screen down, the first column `COLUMNS_BEHIND` cells left of Mario. `scalars` is
float32[`SCALARS`]: Mario's, then those of `OBJECTS` objects, nearest first, then one-hot the page
that Mario is on and the level.
"""

from __future__ import annotations

import warpzone._native as _native

PLANE_NAMES: tuple[str, ...] = _native.TILE_PLANES
PLANES: int
ROWS: int
COLUMNS: int
PLANES, ROWS, COLUMNS = _native.TILE_SHAPE
CELL: int = _native.CELL
"""px of a cell."""
MAP_TOP: int = _native.MAP_TOP
"""px of the status bar above the map."""
COLUMNS_BEHIND: int = _native.COLUMNS_BEHIND
"""Columns of the map to the left of the one that Mario stands in."""
OBJECTS: int = _native.OBJECTS
"""Most things that move."""

SCALARS: int = _native.SCALARS
MARIO_SCALARS: int = _native.MARIO_SCALARS
"""How many of them are Mario's."""
OBJECT_SCALARS: int = _native.OBJECT_SCALARS
"""How many each object has."""
_MARIO: dict[str, tuple[int, float]] = dict(_native.MARIO_SCALAR_NAMES)
_OBJECT: dict[str, tuple[int, float]] = dict(_native.OBJECT_SCALAR_NAMES)


def mario_scalar(name: str) -> int:
    """Returns the index of a scalar of Mario, such as "x_speed"."""
    return _MARIO[name][0]


def mario_unit(name: str) -> float:
    """Returns what 1 stands for in a scalar of Mario: px, 1/16 px a frame for "x_speed"."""
    return _MARIO[name][1]


def object_scalar(name: str, number: int = 0) -> int:
    """Returns the index of a scalar, such as "x_distance", of object 0 (the nearest) to 5."""
    return MARIO_SCALARS + number * OBJECT_SCALARS + _OBJECT[name][0]


def object_unit(name: str) -> float:
    """Returns what 1 stands for in a scalar of an object: px for "x_distance"."""
    return _OBJECT[name][1]


def scalar_names() -> list[str]:
    """Returns a name for each of the `SCALARS`, those of objects as "object0.x_distance"."""
    objects = [f"object{number}.{name}" for number in range(OBJECTS) for name in _OBJECT]
    rest = SCALARS - len(_MARIO) - len(objects)
    levels = [f"level_{number}" for number in range(rest // 2)]
    return [*_MARIO, *objects, *(f"page_{number}" for number in range(rest - len(levels))), *levels]
