"""How good is an agent: clear rates with their uncertainty, and how they were measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

Z95 = 1.959963984540054


def wilson(successes: int, trials: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a rate (Wilson 1927), 95 % by default.

    Unlike the normal interval it stays in [0, 1] and does not shrink to nothing at 0 or all.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials")
    rate = successes / trials
    spread = 1 + z * z / trials
    centre = (rate + z * z / (2 * trials)) / spread
    half = z * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials)) / spread
    return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True, slots=True)
class LevelResult:
    """What an agent did on one level.

    Attributes:
        clear_rate: share of the episodes that reached the flagpole or the axe.
        episodes: how many were played.
        ci95: 95 % interval of the clear rate (Wilson).
        mean_progress: mean over all episodes of the best progress, in pixels.
        mean_frames: mean emulated frames to the clear, over the cleared episodes; None without.
    """

    clear_rate: float
    episodes: int
    ci95: tuple[float, float]
    mean_progress: float
    mean_frames: float | None


@dataclass(frozen=True, slots=True)
class Protocol:
    """How an evaluation was made; results of different protocols do not compare.

    Attributes:
        policy: "sample" or "argmax".
        episodes: per level; each game plays a fixed share of them, so that quick deaths do not
            count more often than long runs.
        noops: each episode starts after 0 to this many frames without buttons, evenly drawn.
        sticky: probability per frame that the last buttons stay pressed.
        frame_skip: emulated frames per decision.
        max_steps: decisions after which an episode is cut, or None.
        no_progress_steps: decisions without progress after which an episode is cut, or None.
        seed: of everything random.
    """

    policy: str
    episodes: int
    noops: int
    sticky: float
    frame_skip: int
    max_steps: int | None
    no_progress_steps: int | None
    seed: int

    def __str__(self) -> str:
        parts = [
            f"{self.episodes} episodes per level",
            "sampled actions" if self.policy == "sample" else "likeliest actions",
            f"0–{self.noops} no-op frames at the start" if self.noops else "identical starts",
            f"sticky {self.sticky:g}",
            f"frame skip {self.frame_skip}",
        ]
        if self.max_steps is not None:
            parts.append(f"at most {self.max_steps} steps")
        if self.no_progress_steps is not None:
            parts.append(f"cut after {self.no_progress_steps} steps without progress")
        return ", ".join([*parts, f"seed {self.seed}"])


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Results by level, and how they came about."""

    levels: dict[str, LevelResult]
    protocol: Protocol
    rom: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """`levels` → level → numbers; `protocol`; `rom` → `revision`, `sha1`."""
        return asdict(self)


def summarise(
    cleared: Sequence[bool], progress: Sequence[int], frames: Sequence[int]
) -> LevelResult:
    """Make the result of a level from its episodes, one entry each."""
    episodes, clears = len(cleared), sum(map(bool, cleared))
    times = [f for f, clear in zip(frames, cleared, strict=True) if clear]
    return LevelResult(
        clear_rate=clears / episodes,
        episodes=episodes,
        ci95=wilson(clears, episodes),
        mean_progress=sum(progress) / episodes,
        mean_frames=sum(times) / len(times) if times else None,
    )
