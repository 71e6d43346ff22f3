"""Curves of a run for a page: few enough points to draw, and later only what was added.

A point stands for a bucket of updates: their mean, lowest and highest value. The number of updates
in a bucket is a power of two, so buckets that are full stay as they are until it doubles.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpzone.runs.columns import CURVES
from warpzone.runs.library import Run
from warpzone.runs.metrics import Table

MOST_POINTS = 400
LARGEST = 1e30
"""Magnitude of what is drawn; browsers cannot draw what is far beyond."""


def curves(run: Run, after: str = "") -> dict[str, Any]:
    """Returns the curves of a run, or what has changed since the answer with the token `after`.

    Returns:
        `first`: index of the first bucket in this answer; 0: all that was known before is to be
        forgotten. `step`, `seconds`: at the end of each bucket. `curves`: by name `mean`, `low`
        and `high` of each bucket, None where there is no number. `measured`: `step`, `seconds` and
        `clear_rate` of every measurement. `updates`: rows in all, `bucket`: of them in a bucket,
        `skipped`: lines of the file that are no metrics, `dropped`: those beyond what is kept of a
        run. `problem`: why the file is not read, or None. `token`: for the next call.
    """
    with run.lock:
        metrics = run.metrics
        table, measured = metrics.updates, metrics.measured
        size = bucket_size(len(table))
        first = _first(after, metrics.generation, size, len(table))
        ends = np.minimum(np.arange(first + 1, -(-len(table) // size) + 1) * size, len(table)) - 1
        return {
            "token": f"{metrics.generation}-{size}-{len(table) // size}",
            "first": first,
            "updates": len(table),
            "bucket": size,
            "skipped": metrics.skipped,
            "dropped": metrics.dropped,
            "problem": metrics.problem,
            "step": _steps(table.steps[ends]),
            "seconds": _numbers(table.seconds[ends]),
            "curves": {
                curve.name: _buckets(table, curve.column, size, first)
                for curve in CURVES
                if curve.column in table.names
            },
            "measured": {
                "step": _steps(measured.steps),
                "seconds": _numbers(measured.seconds),
                "clear_rate": _numbers(measured.column("eval/clear_rate")),
            },
        }


def bucket_size(rows: int) -> int:
    """Returns the smallest power of two that makes at most `MOST_POINTS` buckets of them."""
    size = 1
    while -(-rows // size) > MOST_POINTS:
        size *= 2
    return size


def _first(after: str, generation: int, size: int, rows: int) -> int:
    """Returns the first bucket that whoever has the token `after` does not have, or not whole."""
    found = re.fullmatch(r"([0-9]{1,20})-([0-9]{1,12})-([0-9]{1,12})", after)
    if found is None:
        return 0
    known_generation, known_size, full = map(int, found.groups())
    same = known_generation == generation and known_size == size and full * size <= rows
    return full if same else 0


def _buckets(table: Table, column: str, size: int, first: int) -> dict[str, list[float | None]]:
    values = table.column(column)[first * size :]
    padded = np.full(-(-len(values) // size) * size, np.nan)
    padded[: len(values)] = values
    rows = padded.reshape(-1, size)
    there = np.isfinite(rows)
    count = there.sum(axis=1)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        mean = np.where(there, rows, 0.0).sum(axis=1) / count
    return {
        "mean": _numbers(mean),
        "low": _numbers(np.where(there, rows, np.inf).min(axis=1, initial=np.inf)),
        "high": _numbers(np.where(there, rows, -np.inf).max(axis=1, initial=-np.inf)),
    }


def _steps(values: NDArray[np.float64]) -> list[float | None]:
    """Returns them with all their digits: after a billion, updates lie together in the first seven;
    None for what is not finite."""
    return [(int(x) if x.is_integer() else x) if np.isfinite(x) else None for x in values.tolist()]


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    """Returns them with seven digits, more than a screen shows; None for what cannot be drawn."""
    return [float(f"{x:.7g}") if abs(x) < LARGEST else None for x in values.tolist()]
