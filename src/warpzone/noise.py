"""Random numbers that a seed and a place decide: whoever asks for them, in whatever order."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def gumbel(
    seed: int, first: int, shape: tuple[int, ...], stride: int | None = None
) -> NDArray[np.float32]:
    """Returns standard Gumbel noise for the decisions of a run from number `first` on: the largest
    of logits + noise draws an action from their softmax (https://arxiv.org/abs/1411.0030).

    The bits are those of SplitMix64 (https://doi.org/10.1145/2660193.2660195), whose number n is a
    hash of n alone. `native/batch/play.h` has the same numbers.

    Args:
        seed: 0 to 2**64 - 1.
        first: at least 0.
        shape: of the decisions, in their order, and last the number of actions.
        stride: decisions of the run from one row of `shape`, of two dimensions or more, to the
            next; None: as many as are in a row.
    """
    if stride is None or len(shape) < 2:
        rows, width, apart = 1, math.prod(shape), 0
    else:
        rows, width, apart = shape[0], math.prod(shape[1:]), stride * shape[-1]
    begins = first * shape[-1] + 1 + apart * np.arange(rows)
    numbers = (begins[:, None] + np.arange(width)).ravel().astype(np.uint64)
    bits = _mix(_mix(np.array([seed], np.uint64)) + numbers * np.uint64(0x9E3779B97F4A7C15))
    # 23 bits and a half: exact, and neither 0 nor 1.
    uniform = ((bits >> np.uint64(41)) + 0.5) * 2.0**-23
    noise: NDArray[np.float64] = -np.log(-np.log(uniform))
    return noise.astype(np.float32).reshape(shape)


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
