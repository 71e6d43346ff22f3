"""Curves of a run for a page: few enough points to draw, and later only what was added.

A point stands for a bucket of updates: their mean, lowest and highest value. The number of updates
in a bucket is a power of two, so buckets that are full stay as they are until it doubles.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from warpzone.dashboard.responses import json_response
from warpzone.runs.library import Library, Run
from warpzone.runs.metrics import Table

MOST_POINTS = 400
CURVES = {
    "clear_rate": "rollout/clear_rate",
    "best_x": "rollout/best_x",
    "episode_return": "rollout/episode_return",
    "entropy": "losses/entropy",
    "kl": "losses/approx_kl",
    "explained_variance": "losses/explained_variance",
    "steps_per_second": "charts/SPS",
}
"""Name of a curve → its column in metrics.jsonl."""


def routes(library: Library) -> list[BaseRoute]:
    """`/api/curves?run=NAME&after=TOKEN`, see `curves`."""

    def answer(request: Request) -> Response:
        run = library.run(request.query_params.get("run", ""))
        return json_response(curves(run, request.query_params.get("after", "")))

    return [Route("/api/curves", answer)]


def curves(run: Run, after: str = "") -> dict[str, Any]:
    """The curves of a run, or what has changed since the answer with the token `after`.

    Returns:
        `first`: index of the first bucket in this answer; 0: all that was known before is to be
        forgotten. `step`, `seconds`: at the end of each bucket. `curves`: by name `mean`, `low`
        and `high` of each bucket, None where there is no number. `measured`: `step`, `seconds` and
        `clear_rate` of every measurement. `updates`: rows in all, `bucket`: of them in a bucket,
        `skipped`: lines of the file that are no metrics. `token`: for the next call.
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
            "step": _numbers(table.steps[ends]),
            "seconds": _numbers(table.seconds[ends]),
            "curves": {
                name: _buckets(table, column, size, first)
                for name, column in CURVES.items()
                if column in table.names
            },
            "measured": {
                "step": _numbers(measured.steps),
                "seconds": _numbers(measured.seconds),
                "clear_rate": _numbers(measured.column("eval/clear_rate")),
            },
        }


def bucket_size(rows: int) -> int:
    """The smallest power of two that makes at most `MOST_POINTS` buckets of them."""
    size = 1
    while -(-rows // size) > MOST_POINTS:
        size *= 2
    return size


def _first(after: str, generation: int, size: int, rows: int) -> int:
    """The first bucket that whoever has the token `after` does not have, or not whole."""
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


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    """Seven digits are more than a screen shows; what is no finite number becomes None."""
    return [float(f"{x:.7g}") if np.isfinite(x) else None for x in values.tolist()]
