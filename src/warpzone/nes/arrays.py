"""Observations of many games: one array, or a dict of them."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Arrays: TypeAlias = NDArray[Any] | dict[str, NDArray[Any]]
"""Observations: one array, or a dict of them, [n, ...] each."""


def rows_of(arrays: Arrays, rows: Any) -> Arrays:
    """Returns these rows of each array: views, unless they are picked one by one."""
    if isinstance(arrays, dict):
        return {name: array[rows] for name, array in arrays.items()}
    picked: NDArray[Any] = arrays[rows]
    return picked


def empty_like(arrays: Arrays) -> Arrays:
    """Returns new arrays of the same shapes and types, with anything in them."""
    if isinstance(arrays, dict):
        return {name: np.empty_like(array) for name, array in arrays.items()}
    return np.empty_like(arrays)


def copy_of(arrays: Arrays) -> Arrays:
    """Returns copies."""
    if isinstance(arrays, dict):
        return {name: array.copy() for name, array in arrays.items()}
    return arrays.copy()
