"""What two sides reach in turns: medians, and the ratio within each turn."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any


def summary(turns: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Returns `before`, `after` and `ratio`, medians of pairs (before, after), and all `turns`."""
    return {
        "before": statistics.median(was for was, _ in turns),
        "after": statistics.median(now for _, now in turns),
        "ratio": statistics.median(now / was for was, now in turns),
        "turns": turns,
    }


def row(found: dict[str, Any], *names: str) -> str:
    """Returns a line of a Markdown table: what is named of a summary, then its figures, and of the
    ratio the smallest and the largest, too."""
    ratios = [now / was for was, now in found["turns"]]
    cells = [*(found[name] for name in names), f"{found['before']:,.0f}", f"{found['after']:,.0f}"]
    cells.append(f"{found['ratio']:.1f} ({min(ratios):.1f}–{max(ratios):.1f})")
    return f"| {' | '.join(cells)} |"
