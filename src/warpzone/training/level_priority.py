"""Levels that fail get the time of those that do not.

Levels are drawn in proportion to their weight × (1 / 8 + the share of their last episodes that
were not cleared): one that is never cleared nine times as often as one that always is. Nothing is
forgotten for want of play, and nobody has to know beforehand which levels are hard. In the manner
of Jiang et al. 2021, "Prioritized Level Replay", with failures in place of the critic's errors.
"""

from __future__ import annotations

from collections.abc import Mapping

LEAST = 1 / 8
"""What a level that never fails is drawn by; one that always does has 1 more."""


def level_priorities(
    weights: Mapping[str, float], clear_rates: Mapping[str, float]
) -> dict[str, float]:
    """Returns the weights to draw levels by, of the same sum as `weights`.

    Args:
        weights: by level, at least 0 and not all 0.
        clear_rates: 0 to 1, of levels that have ended episodes; the others count as 0.
    """
    raw = {
        level: weight * (LEAST + 1 - clear_rates.get(level, 0.0))
        for level, weight in weights.items()
    }
    scale = sum(weights.values()) / sum(raw.values())
    return {level: weight * scale for level, weight in raw.items()}
