"""How an episode ended, and what people are told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from warpzone.nes.console import FRAMES_PER_SECOND
from warpzone.smb.signals import DEATH_TEXTS, DEATHS

UNNAMED = -1
"""The `death` of an episode of a described game: descriptions do not name how episodes end."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Says how one episode ended.

    Attributes:
        cleared: flagpole or axe reached; of a described game, whether it is a success.
        death: an index into `warpzone.smb.signals.DEATHS`; 0: alive; or `UNNAMED`.
        progress: best progress in pixels; of a described game in its own unit.
        frames: emulated frames in the episode.
    """

    cleared: bool
    death: int
    progress: int
    frames: int

    @classmethod
    def from_signals(cls, signals: Mapping[str, Any]) -> Outcome:
        """Returns the outcome that the signals after the last step tell of, of Super Mario Bros. or
        of a described game."""
        if "success" in signals:  # what descriptions cannot call a variable
            progress = signals.get("best_progress", signals["episode_return"])
            return cls(
                cleared=bool(signals["success"]),
                death=UNNAMED,
                progress=int(progress),
                frames=int(signals["frames"]),
            )
        return cls(
            cleared=bool(signals["flag"]),
            death=int(signals["death"]),
            progress=int(signals["progress"]),
            frames=int(signals["frames"]),
        )

    def __str__(self) -> str:
        """Says it in words."""
        if self.cleared:
            return f"cleared in {self.frames / FRAMES_PER_SECOND:.1f} s"
        if self.death == UNNAMED:
            return f"over at {self.progress:,} after {self.frames / FRAMES_PER_SECOND:.1f} s"
        return f"{_ending(self.death)} at {self.progress} px"


def _ending(death: int) -> str:
    return DEATH_TEXTS[DEATHS[death]] if 0 < death < len(DEATHS) else "gave up"
