"""A player without game or network, for tests of what is around one."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np

from warpzone.agents.playback import Moment
from warpzone.episodes.outcome import Outcome
from warpzone.training.agent_file import PolicyMode

PALETTE = np.random.default_rng(0).integers(0, 256, (64, 3), dtype=np.uint8)
STEP_FRAMES = 4
AFTERMATH_FRAMES = 6


class FakePlayback:
    """Plays episodes of a few steps; `clears` says which seeds reach the flag.

    Every frame is a picture of one colour: the seed in an episode's first, then counting up.
    """

    palette = PALETTE
    action_names: tuple[str, ...] = ("nothing", "right")
    agent = SimpleNamespace(title="a fake agent")
    saliency = False
    finds_saliency = True

    def __init__(
        self,
        level: str = "1-1",
        *,
        clears: tuple[int, ...] = (),
        steps: int = 3,
        score: int = 0,
    ) -> None:
        self.level = level
        self.policy: PolicyMode = "sample"
        self.played: list[int] = []
        self.closed = False
        self._clears = clears
        self._steps = steps
        self._score = score

    def episode(self, seed: int) -> Iterator[Moment]:
        self.played.append(seed)
        for step in range(self._steps):
            first = seed + step * STEP_FRAMES
            colours = np.arange(first, first + STEP_FRAMES, dtype=np.uint8) & 63
            last = step == self._steps - 1
            signals = {
                "flag": last and seed in self._clears,
                "death": 2 if last and seed not in self._clears else 0,
                "progress": self._score + 100 * step + seed,
                "frames": (step + 1) * STEP_FRAMES,
            }
            frames = np.broadcast_to(colours[:, None, None], (STEP_FRAMES, 240, 256))
            odds = np.array([0.25, 0.75], np.float32)
            yield Moment(step % 2, frames, signals, last, 10.0 * step, odds)

    def aftermath(self, outcome: Outcome) -> np.ndarray:
        return np.full((AFTERMATH_FRAMES, 240, 256), 63 if outcome.cleared else 62, np.uint8)

    def close(self) -> None:
        self.closed = True
