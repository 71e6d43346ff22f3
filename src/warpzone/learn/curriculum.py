"""Starts within a level, where the agent has most to learn.

A way through the level is searched once, over snapshots of the game. Moments along it are divided
into stretches, each with a clear rate of its own; episodes begin rather where it is neither 0 nor
1. So the frontier moves back by itself, from the flag to the start, as stretches become reliable
(Salimans & Chen 2018, "Learning Montezuma's Revenge from a Single Demonstration"). The way is
never imitated: its actions only lead to the starts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from warpzone.learn.config import TrainConfig
from warpzone.learn.rollout import Transition, VectorEnv

LEAST_WEIGHT = 0.1
"""Of a stretch that always or never leads to a clear; one that does half the time has 1."""
MEMORY = 30
"""Episodes over which the clear rate of a stretch is averaged."""


class Curriculum:
    """Where training episodes of one or several levels begin."""

    def __init__(
        self,
        config: TrainConfig,
        env: VectorEnv,
        ways: dict[str, bytes] | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """`ways`: actions by level, as an earlier process found them; None: search."""
        self.config, self.env = config.curriculum, env
        self.ways = ways or {
            level: env.explorer(level, config.seed).search(self.config.search_steps, check).actions
            for level in config.env.levels
        }
        """Actions from the start of each level, a byte for each."""
        starts: list[Any] = []
        stretches: list[int] = []
        factors: list[float] = []
        for number, (level, way) in enumerate(self.ways.items()):
            found = env.record_starts(level, way)
            starts += found
            within = [start.step * self.config.bins // (len(way) + 1) for start in found]
            stretches += [number * self.config.bins + stretch for stretch in within]
            factors += [config.env.levels[level]] * len(found)
        env.set_starts(starts)
        self.stretches = np.array(stretches, np.int64)
        """Of each start."""
        count = self.config.bins * len(self.ways)
        self.rates = np.full(count, 0.5)
        """Of each stretch: share of episodes from there that cleared the level, lately."""
        self.episodes = np.zeros(count, np.int64)
        # A stretch has its weight whatever the number of its moments, and a level its own.
        sizes = np.bincount(self.stretches, minlength=count)
        self.factors = np.array(factors) / sizes[self.stretches]

    def watch(self, step: Transition) -> None:
        """Take in the episodes that ended."""
        for row in step.finished:
            start = int(step.signals["start"][row])
            if start < 0:
                continue
            stretch = self.stretches[start]
            self.episodes[stretch] += 1
            pace = 1 / min(int(self.episodes[stretch]) + 1, MEMORY)
            cleared = float(step.signals["flag"][row])
            self.rates[stretch] += pace * (cleared - self.rates[stretch])

    def weights(self) -> np.ndarray:
        """Of each start, float64 [k]."""
        worth = 4 * self.rates * (1 - self.rates) + LEAST_WEIGHT
        weights: np.ndarray = worth[self.stretches] * self.factors
        return weights

    def apply(self, clear_rate: float) -> None:
        """Let the games begin accordingly; `clear_rate`: of episodes from levels' own starts."""
        if len(self.stretches):
            share = self.config.share + clear_rate * (self.config.last_share - self.config.share)
            self.env.weigh_starts(self.weights(), share)

    def state(self) -> dict[str, Any]:
        """All of it between two rollouts, as JSON can hold it."""
        return {
            "ways": {level: way.hex() for level, way in self.ways.items()},
            "rates": self.rates.tolist(),
            "episodes": self.episodes.tolist(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`, of a curriculum made with the same ways."""
        self.rates = np.array(state["rates"])
        self.episodes = np.array(state["episodes"], np.int64)
