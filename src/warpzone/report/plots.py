"""Curves as SVG, for pages that must stay small: a file with plotly's code in it is 5 MB larger."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 380, 190
LEFT, RIGHT, TOP, BOTTOM = 52, 8, 8, 24
MOST_POINTS = 240


@dataclass(frozen=True)
class Line:
    """Holds values over agent steps.

    Attributes:
        title: for people.
        steps: float64[n], rising.
        values: float64[n], finite.
        percent: whether values are shares, 0-1.
        points: (step, value) that are drawn as dots.
    """

    title: str
    steps: NDArray[np.float64]
    values: NDArray[np.float64]
    percent: bool = False
    points: Sequence[tuple[float, float]] = ()

    def text(self, value: float) -> str:
        """Returns a value as people read it."""
        return f"{value:.0%}" if self.percent else short(value)


def short(value: float) -> str:
    """Returns a number in four characters or so: 950, 1.2k, 3M, 0.012."""
    size = abs(value)
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size >= unit:
            return f"{value / unit:.3g}{letter}"
    return f"{value:.3g}"


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Returns round numbers from `low` to `high`, at the most so many."""
    raw = (high - low) / max(most - 1, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [step * k for k in range(first, math.floor(high / step + 1e-9) + 1)]


def svg(curve: Line) -> str:
    """Returns the mean over segments of steps as a line, and a band from lowest to highest.

    Colours are the page's: `currentColor`, `--accent`, `--soft`, `--line`.
    """
    steps, low, mean, high = _segments(curve.steps, curve.values)
    dots = list(curve.points)
    bottom, top = _range(np.concatenate([low, high, [v for _, v in dots]]), curve.percent)
    last = max([float(steps[-1]) if len(steps) else 0.0, *(s for s, _ in dots), 1.0])

    def x(step: float) -> str:
        return f"{LEFT + step / last * (WIDTH - LEFT - RIGHT):.1f}"

    def y(value: float) -> str:
        share = (value - bottom) / (top - bottom)
        return f"{HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP):.1f}"

    parts = []
    for value in ticks(bottom, top):
        parts.append(f'<path class="grid" d="M{LEFT} {y(value)}H{WIDTH - RIGHT}"/>')
        parts.append(
            f'<text x="{LEFT - 6}" y="{float(y(value)) + 4:.1f}" text-anchor="end">'
            f"{curve.text(value)}</text>"
        )
    for step in ticks(0.0, last, 6):
        end = "end" if step > 0.95 * last else "middle"
        parts.append(
            f'<text x="{x(step)}" y="{HEIGHT - 6}" text-anchor="{end}">{short(step)}</text>'
        )
    if len(steps):
        there = [f"{x(s)} {y(v)}" for s, v in zip(steps, high, strict=True)]
        back = [f"{x(s)} {y(v)}" for s, v in zip(steps[::-1], low[::-1], strict=True)]
        line = [f"{x(s)} {y(v)}" for s, v in zip(steps, mean, strict=True)]
        parts.append(f'<path class="band" d="M{"L".join(there + back)}Z"/>')
        parts.append(f'<path class="line" d="M{"L".join(line)}"/>')
    parts += [f'<circle class="dot" r="3.5" cx="{x(s)}" cy="{y(v)}"/>' for s, v in dots]
    label = escape(f"{curve.title} over agent steps: {summary(curve)}")
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
    )


def summary(curve: Line) -> str:
    """Returns first, highest and last value, in words."""
    values = curve.values if len(curve.values) else np.array([v for _, v in curve.points])
    first, most, last = (curve.text(float(v)) for v in (values[0], values.max(), values[-1]))
    return f"from {first} to {last}, at most {most}"


def interval_svg(rate: float, low: float, high: float) -> str:
    """Returns a share and its confidence interval, 0-1, as a bar."""
    return (
        '<svg class="interval" viewBox="0 0 100 12" preserveAspectRatio="none" '
        'aria-hidden="true">'
        '<path class="grid" d="M0 6H100"/>'
        f'<rect class="band" y="2" height="8" x="{100 * low:.2f}" '
        f'width="{100 * (high - low):.2f}"/>'
        f'<rect class="mark" x="{100 * rate - 0.6:.2f}" y="0" width="1.2" height="12"/></svg>'
    )


def _segments(
    steps: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], ...]:
    """Returns steps, lowest, mean and highest values of at most `MOST_POINTS` segments."""
    if not len(steps):
        return steps, values, values, values
    parts = np.array_split(np.arange(len(steps)), min(len(steps), MOST_POINTS))
    rows = [(steps[p].mean(), values[p].min(), values[p].mean(), values[p].max()) for p in parts]
    return tuple(np.array(rows, np.float64).T)


def _range(values: NDArray[np.float64], percent: bool) -> tuple[float, float]:
    if percent:
        return 0.0, 1.0
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    room = (high - low) * 0.05 or 1.0
    return low - (room if low < 0 else 0.0), high + room
