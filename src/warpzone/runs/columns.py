"""The columns of `metrics.jsonl` that are shown: one list, for pages and for reports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Curve:
    """Says how a column of numbers is shown.

    Attributes:
        name: in addresses and answers.
        columns: of metrics.jsonl; the first is today's, others are of runs of older versions.
        title, note: for people.
        format, ticks: of its values and of its axis, as d3 (and so plotly) writes them.
    """

    name: str
    columns: tuple[str, ...]
    title: str
    note: str
    format: str
    ticks: str

    @property
    def column(self) -> str:
        """Returns its name in a `Table`, whichever version wrote it."""
        return self.columns[0]


CLEAR_RATE = "rollout/clear_rate"
CURVES = (
    Curve("clear_rate", (CLEAR_RATE,), "Clear rate", "last 100 episodes; ◆ measured", ".0%", ".0%"),
    Curve("best_x", ("rollout/best_x",), "Best x", "px, of an update's games", ",.0f", ".3~s"),
    Curve(
        "episode_return",
        ("rollout/episode_return",),
        "Return",
        "mean of the last episodes",
        ".1f",
        ".3~g",
    ),
    Curve("entropy", ("losses/entropy",), "Entropy", "of the policy, nats", ".3f", ".3~g"),
    Curve("kl", ("losses/kl", "losses/approx_kl"), "KL divergence", "of an update", ".4f", ".2~g"),
    Curve(
        "explained_variance",
        ("losses/explained_variance",),
        "Explained variance",
        "of the value",
        ".2f",
        ".2~g",
    ),
    Curve("steps_per_second", ("charts/SPS",), "Steps per second", "agent steps", ",.0f", ".3~s"),
)
COLUMN_OF = {column: curve.column for curve in CURVES for column in curve.columns}
"""Name in the file → name in a `Table`."""
MEASUREMENT = "eval/"
"""How the columns of a measurement begin."""
MEASURED = ("eval/clear_rate", "eval/mean_progress")
"""Columns of a measurement that are shown, over all levels and, with `/LEVEL`, of each."""


def column_of(name: str) -> str | None:
    """Returns what a column of the file is called in a `Table`; None: it is not shown."""
    if name.startswith(MEASUREMENT):
        return name if name in MEASURED or name.rpartition("/")[0] in MEASURED else None
    return COLUMN_OF.get(name)
