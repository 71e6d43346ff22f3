"""When to measure an agent in training, and whether it is good enough to stop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from warpzone.ppo.rollout import VectorEnv
from warpzone.smb.config import EnvConfig, level_played
from warpzone.training.config import TrainConfig
from warpzone.training.evaluation import EvalResult, quotas, together
from warpzone.training.learner import Learner

# (configuration, number of games, number of groups, seed) → games
MakeEnv = Callable[[EnvConfig, int, int, int], VectorEnv]

# Each game plays two of 100 episodes: few games wait long for the last of them.
MAX_GAMES = 50

# A measurement costs as much as several updates, so it must promise a better agent: one that fails
# at most half as often as the best did.
FEWER_FAILURES = 0.5


class EvaluationSchedule:
    """Measures by the protocol of `warpzone eval`: idle frames at the start, sampled actions."""

    def __init__(self, config: TrainConfig, make_env: MakeEnv) -> None:
        self.config, self.make_env = config, make_env
        self.results: dict[str, EvalResult] = {}
        """By task (level), of the latest measurement."""
        self.measured_at = 0
        """Updates that the agent had then learnt from."""
        self.best: float | None = None
        """Highest mean clear rate of any measurement."""

    def due(self, learner: Learner) -> bool:
        """Returns whether to measure now: training episodes reach the target, or far fewer fail."""
        rate, target = learner.stats.clear_rate, self.config.target_clear_rate
        return (
            learner.updates >= self.measured_at + self.config.eval_every
            and learner.stats.full
            and (
                1 - rate <= FEWER_FAILURES * (1 - (self.best or 0.0))
                or (target is not None and rate >= target)
            )
        )

    def measure(self, learner: Learner) -> bool:
        """Plays the episodes; returns whether no agent was better so far."""
        return self.take([self.play(learner)], learner.updates)

    def play(self, learner: Learner, rank: int = 0, ranks: int = 1) -> dict[str, EvalResult]:
        """Plays the episodes, or those of one rank of several, and returns what they showed by
        task: {} if there are too few for it."""
        config = self.config
        episodes = int(quotas(config.eval_episodes, ranks)[rank])
        if not episodes:
            return {}
        # Other starts each time, the same ones when a resumed run measures again.
        tasks = list(learner.stats.recent)
        own = [rank] if ranks > 1 else []
        seeds = np.random.SeedSequence([config.seed, learner.updates, *own])
        results = {}
        for task, seed in zip(tasks, seeds.generate_state(len(tasks)), strict=True):
            env_config = config.env.model_copy(
                update={
                    "levels": {task: 1.0} if task in config.env.levels else config.env.levels,
                    "noop_max": config.eval_noop_max,
                    "repeat_action_probability": config.eval_repeat_action_probability,
                    "sticky_share": 1.0,
                    "row_share": 0.0,
                    "life_share": 0.0,
                    "phase_share": 0.0,
                    "power_share": 0.0,
                    "start_halt_share": 0.0,
                    "end_thrown_back": False,
                    **_own_starts(config, task),
                }
            )
            games = min(episodes, -(-MAX_GAMES // ranks))
            with contextlib.closing(
                self.make_env(env_config, games, min(2, games), int(seed))
            ) as env:
                results[task] = learner.measure(env, episodes, int(seed))
        return results

    def take(self, parts: Sequence[Mapping[str, EvalResult]], updates: int) -> bool:
        """Takes in what `play` returned in each rank after so many updates; returns whether no
        agent was better so far."""
        played = [part for part in parts if part]
        self.results = {task: together([part[task] for part in played]) for task in played[0]}
        self.measured_at = updates
        good = self.best is None or self.clear_rate >= self.best  # of equals the latest
        if good:
            self.best = self.clear_rate
        return good

    @property
    def clear_rate(self) -> float:
        """Returns that of the latest measurement, mean over tasks (levels)."""
        return sum(result.clear_rate for result in self.results.values()) / len(self.results)

    @property
    def satisfied(self) -> bool:
        """Returns whether the latest measurement reached the target."""
        target = self.config.target_clear_rate
        return target is not None and bool(self.results) and self.clear_rate >= target

    def metrics(self) -> dict[str, float]:
        """Returns the latest measurement, by name."""
        metrics = {"eval/clear_rate": self.clear_rate}
        for level, result in self.results.items():
            metrics[f"eval/clear_rate/{level}"] = result.clear_rate
            metrics[f"eval/mean_progress/{level}"] = result.mean_progress
        return metrics

    def state(self) -> dict[str, Any]:
        """Returns what a resumed run must know, as JSON can hold it."""
        results = {task: result.as_dict() for task, result in self.results.items()}
        return {"measured_at": self.measured_at, "best": self.best, "results": results}

    def load_state(self, state: dict[str, Any]) -> None:
        self.measured_at, self.best = state["measured_at"], state["best"]
        self.results = {
            task: EvalResult(**{**result, "ci95": tuple(result["ci95"])})
            for task, result in state.get("results", {}).items()
        }


def _own_starts(config: TrainConfig, task: str) -> dict[str, Any]:
    """What the games of a measurement on a level are told of a user's moments: where all episodes
    begin at them, measured ones do too."""
    all_begin_there = config.env.start_states and config.env.start_state_share == 1
    own = config.env.start_states if all_begin_there else ()
    of_level = tuple(state for state in own if level_played(state) == task)
    idle = {"start_noop_max": config.eval_noop_max} if of_level else {}
    return {"start_states": of_level, "start_state_share": 1.0, **idle}
