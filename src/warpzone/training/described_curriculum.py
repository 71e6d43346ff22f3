"""Partial episodes of described games: short ones that begin along recorded games, where the agent
has most to learn.

As `warpzone.training.curriculum` has them for levels, but that every place has a success rate of
its own, and that nothing is searched: places come from demonstrations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpzone.training.config import CurriculumConfig
from warpzone.training.curriculum import LEAST_WEIGHT, MEMORY
from warpzone.training.described_games import DescribedEnv, Places
from warpzone.training.step_result import StepResult


class DescribedCurriculum:
    """Where training episodes of a described game begin.

    Args:
        config: how many of them are partial ones.
        env: the games.
        places: where these begin, `env.places`.
    """

    def __init__(self, config: CurriculumConfig, env: DescribedEnv, places: Places) -> None:
        self.config, self.env, self.places = config, env, places
        count = len(places.goals)
        self.rates = np.zeros(count)
        """Of each place: share of lately ended episodes from there that were a success."""
        self.episodes = np.zeros(count, np.int64)

    def observe(self, step: StepResult) -> None:
        """Takes in the episodes that ended."""
        for row in step.finished:
            place = int(step.signals["start"][row])
            if not 0 <= place < len(self.rates):
                continue
            far = step.score[row] >= self.places.goals[place]
            success = bool(step.success[row]) or (bool(far) and not step.terminated[row])
            self.episodes[place] += 1
            pace = 1 / min(int(self.episodes[place]), MEMORY)
            self.rates[place] += pace * (success - self.rates[place])

    def weights(self, competence: float) -> NDArray[np.float64]:
        """Returns weights float64[1 + places] that sum up to 1, of the game's own start first."""
        share = self.config.share + competence * (self.config.last_share - self.config.share)
        each = 1 + LEAST_WEIGHT - self.rates
        return np.concatenate([[1 - share], share * each / each.sum()])

    def apply(self, competence: float, levels: Mapping[str, float] | None = None) -> None:
        """Lets games begin accordingly; there are no `levels`."""
        steps = [0, *[self.places.steps] * len(self.rates)]
        self.env.games.set_start_weights(self.weights(competence), steps)

    @property
    def success_rate(self) -> float:
        """Returns the mean over the places."""
        return float(self.rates.mean())

    def summary(self) -> dict[str, float]:
        """Returns metrics by name."""
        return {
            "curriculum/success_rate": self.success_rate,
            "curriculum/worst_segment": float(self.rates.min()),
        }

    def state(self) -> dict[str, Any]:
        """Returns all of it between two rollouts, as JSON can hold it."""
        return {"ways": {}, "rates": self.rates.tolist(), "episodes": self.episodes.tolist()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Goes on from `state`, of a curriculum along the same recorded games.

        Raises:
            ValueError: it is of others.
        """
        if not len(state["rates"]) == len(state["episodes"]) == len(self.rates):
            raise ValueError(
                f"{len(state['rates'])} success rates and {len(state['episodes'])} counts of"
                f" episodes for {len(self.rates)} places"
            )
        self.rates = np.array(state["rates"])
        self.episodes = np.array(state["episodes"], np.int64)
