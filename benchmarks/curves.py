"""What a run's `metrics.jsonl` says over time, curves of several seeds as a band, and how to draw.

Shared by `first_level.py` and `ablations.py`; nothing here is run by itself.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from warpzone.errors import WarpzoneError
from warpzone.training.metrics import WINDOW

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe & Ito 2008: told apart by people who are colour-blind too."""


@dataclass
class Curve:
    """A run, a value for each update."""

    steps: list[int] = field(default_factory=list)
    """Agent steps up to then."""
    seconds: list[float] = field(default_factory=list)
    """Of playing and learning up to then; measurements and start-up are not in it."""
    clear_rate: list[float] = field(default_factory=list)
    """Of the last 100 training episodes, of fewer at the beginning."""
    best_x: list[float] = field(default_factory=list)
    """Farthest x of any game in the rollout."""
    episodes: list[float] = field(default_factory=list)
    measured: list[dict[str, float]] = field(default_factory=list)
    """`step`, `seconds`, `clear_rate` and `mean_progress` of each measurement."""

    def first_at(self, rate: float) -> float:
        """Steps after which a whole window of training episodes first had this clear rate, or
        infinity."""
        for step, got, episodes in zip(self.steps, self.clear_rate, self.episodes, strict=True):
            if got >= rate and episodes >= WINDOW:
                return step
        return math.inf

    def measured_at(self, rate: float) -> dict[str, float] | None:
        """The first measurement with this clear rate."""
        return next((m for m in self.measured if m["clear_rate"] >= rate), None)


def read_curve(run: Path) -> Curve:
    """The curve of the run directory `run`, of one level."""
    curve, seconds = Curve(), 0.0
    for text in (run / "metrics.jsonl").read_text().splitlines():
        line: dict[str, float] = json.loads(text)
        if "eval/clear_rate" in line:
            progress = [v for name, v in line.items() if name.startswith("eval/mean_progress/")]
            curve.measured.append(
                {
                    "step": line["step"],
                    "seconds": seconds,
                    "clear_rate": line["eval/clear_rate"],
                    "mean_progress": statistics.fmean(progress),
                }
            )
        if "charts/rollout_seconds" in line:
            seconds += line["charts/rollout_seconds"] + line["charts/update_seconds"]
            curve.steps.append(int(line["step"]))
            curve.seconds.append(seconds)
            curve.clear_rate.append(line["rollout/clear_rate"])
            curve.best_x.append(line["rollout/best_x"])
            curve.episodes.append(line["rollout/episodes"])
    return curve


def grid(curves: Sequence[Curve], spacing: int) -> list[int]:
    """Multiples of `spacing` from 0 to where the shortest curve ends."""
    return list(range(0, min(curve.steps[-1] for curve in curves) + 1, spacing))


def band(
    curves: Sequence[tuple[Sequence[float], Sequence[float]]], at: Sequence[float]
) -> dict[str, list[float]]:
    """Median, smallest and largest of curves (x, y) that begin at (0, 0), interpolated `at` x."""
    rows = np.array([np.interp(at, [0, *x], [0, *y]) for x, y in curves])
    return {
        "median": np.median(rows, axis=0).tolist(),
        "min": rows.min(axis=0).tolist(),
        "max": rows.max(axis=0).tolist(),
    }


def figure(
    rows: int, columns: int, width: float, height: float, *, shared: bool = True
) -> tuple[Any, list[list[Axes]]]:
    """A figure of `rows` × `columns` panels of `width` × `height` inches, without a window;
    `shared`: all have one y axis, of shares.

    Raises:
        WarpzoneError: matplotlib is missing.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise WarpzoneError(
            "plots need matplotlib: pip install '.[plots]', or leave out --plot"
        ) from None
    style: Any = {  # matplotlib's stubs want names out of a list
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.3,
    }
    with mpl.rc_context(style):
        drawing = Figure(figsize=(columns * width, rows * height), layout="constrained", dpi=160)
        axes = drawing.subplots(rows, columns, squeeze=False, sharey=shared)
        for panel in axes.flat if shared else ():
            panel.set_ylim(-0.02, 1.02)
            panel.yaxis.set_major_formatter("{x:.0%}")
    return drawing, axes.tolist()


def steps_axis(panel: Axes) -> None:
    """Label the x axis with agent steps as 200k or 1M."""
    from matplotlib.ticker import EngFormatter

    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    panel.set_xlim(left=0)
