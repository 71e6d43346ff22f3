"""What callers give: actions, and arrays to write to."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from warpzone.errors import ConfigError

Scalar = TypeVar("Scalar", bound=np.generic)


def checked_action(action: Any, count: int) -> int:
    """Returns the action's number: a whole one, or an array or a tensor with one.

    Raises:
        ConfigError: it is none of `count`.
    """
    try:
        given = action.item() if hasattr(action, "item") else action
        number = -1 if isinstance(given, str | bytes) or int(given) != given else int(given)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        number = -1
    if not 0 <= number < count:
        raise ConfigError(f"there is no action {action!r}: actions are 0 to {count - 1}")
    return number


def checked_output(output: Any, shape: tuple[int, ...], dtype: type[Scalar]) -> NDArray[Scalar]:
    """Returns `output` if it can be written to as it is, or a new array if it is None.

    Raises:
        ConfigError: another shape or type, strided, or read-only.
    """
    if output is None:
        return np.empty(shape, dtype)
    array = np.asarray(output)
    if array.shape != shape:
        raise ConfigError(f"output shape must be {shape}, got {array.shape}")
    if array.dtype != dtype:
        raise ConfigError(f"output dtype must be {np.dtype(dtype)}, got {array.dtype}")
    if not array.flags.c_contiguous:
        raise ConfigError("output must be C-contiguous")
    if not array.flags.writeable:
        raise ConfigError("output must be writable")
    return array
