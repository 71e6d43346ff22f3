"""Partial episodes: short ones that begin where the agent has most to learn.

A way through the level is searched once, over snapshots of the game, or somebody has demonstrated
one or several. Moments along it are divided into segments. An episode that begins at one of them
is cut after some steps, and is a success if it got as far as the way does in half of these;
segments are drawn by how often episodes from there fail. So all parts of a long level are learnt
side by side, and what is hard gets most of the time.

After Salimans & Chen 2018, "Learning Montezuma's Revenge from a Single Demonstration", who moved
one frontier back from the end: with a reward for progress there is no need to wait for it. The way
is never imitated: its actions only lead to the starts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from warpzone.cpu import available_cores
from warpzone.smb.search import Trajectory
from warpzone.training.config import TrainConfig
from warpzone.training.level_env import LevelEnv
from warpzone.training.step_result import StepResult

LEAST_WEIGHT = 0.1
"""Of a segment that never fails; one that always does has 1 more."""
BIG = " big"
"""After the name of a level: the way of a big Mario."""
MEMORY = 30
"""Episodes over which the success rate of a segment is averaged."""


class Curriculum:
    """Where training episodes of one or several levels begin."""

    def __init__(
        self,
        config: TrainConfig,
        env: LevelEnv,
        demonstrated: Mapping[str, Sequence[Trajectory]] | None = None,
        searched: dict[str, Trajectory] | None = None,
        log: Callable[[str], None] = lambda text: None,
    ) -> None:
        """`demonstrated`: ways by level, as many as there are. `searched`: ways through the other
        levels, as an earlier process found them; None: search. `log` receives lines meanwhile.

        Where episodes may begin with a big Mario, who has a harder time below low ceilings, ways
        for him are searched too."""
        self.config, self.env = config.curriculum, env
        self.level_weights = config.env.levels
        assert config.env.start_steps is not None
        reach = config.env.start_steps // 2
        demonstrated = demonstrated or {}
        found = searched or search(config, env, ways_wanted(config, demonstrated), log)
        self.searched = {
            name: replace(way, begin=env.big_start(level_of(name)) if name.endswith(BIG) else None)
            for name, way in found.items()
        }
        """A way through each level that nobody has demonstrated; after its name with `BIG`, one for
        a big Mario."""
        self.trajectories = {
            level: list(demonstrated[level])
            if level in demonstrated
            else [self.searched[name] for name in (level, level + BIG) if name in self.searched]
            for level in config.env.levels
        }
        starts: list[Any] = []
        segments: list[np.ndarray] = []
        goals: list[np.ndarray] = []
        factors: list[np.ndarray] = []
        of_level: list[np.ndarray] = []
        count = 0
        for level, trajectory in [
            (level, trajectory)
            for level, trajectories in self.trajectories.items()
            for trajectory in trajectories
        ]:
            along = env.record_initial_states(level, trajectory)
            if not along:
                continue
            starts += along
            steps = np.array([start.step for start in along])
            progress = np.array([start.progress for start in along])
            then = np.searchsorted(steps, steps + reach)
            beyond = then >= len(along)
            reached = progress[np.minimum(then, len(along) - 1)]
            # Where a whole way ends is not in it: the last goals are the flag, which ends an
            # episode. That of another is its end.
            flag = beyond & trajectory.cleared
            goals.append(np.where(flag, np.iinfo(np.int64).max, reached - progress))
            # Only segments with starts: one without would never have a success.
            filled, segment = np.unique(steps // self.config.segment, return_inverse=True)
            segments.append(count + segment)
            count += len(filled)
            share = 1 / len(self.trajectories[level])
            factors.append(np.full(len(along), share / len(np.unique(steps))))
            of_level.append(np.full(len(along), list(config.env.levels).index(level)))
        env.set_initial_states(starts)
        if self.config.progress_mask:
            # Where no way leads to the end there is more to be found than they know.
            whole = {
                level: trajectories
                for level, trajectories in self.trajectories.items()
                if any(trajectory.cleared for trajectory in trajectories)
            }
            env.set_progress_masks(whole)
        none = [np.zeros(0, np.int64)]
        self.segments = np.concatenate(segments or none)
        """Of each start."""
        self.goals = np.concatenate(goals or none)
        """Of each start: px of progress that make an episode a success."""
        self.factors = np.concatenate(factors or [np.zeros(0)])
        """Of each start: those of a level sum up to the same, whatever its length."""
        self.levels = np.concatenate(of_level or none)
        """Of each start: which of the levels it is in."""
        self.rates = np.zeros(count)
        """Of each segment: share of lately ended episodes from there that were a success."""
        self.episodes = np.zeros(count, np.int64)

    def observe(self, step: StepResult) -> None:
        """Takes in the episodes that ended."""
        for row in step.finished:
            start = int(step.signals["start"][row])
            if not 0 <= start < len(self.goals):
                continue
            far = step.score[row] >= self.goals[start]
            success = bool(step.success[row]) or (far and not step.terminated[row])
            segment = self.segments[start]
            self.episodes[segment] += 1
            pace = 1 / min(int(self.episodes[segment]), MEMORY)
            self.rates[segment] += pace * (success - self.rates[segment])

    def weights(self, levels: Mapping[str, float] | None = None) -> np.ndarray:
        """Returns weights float64 [k] of the starts, where `levels` are those of all levels, in the
        order of the configuration; None: as there."""
        of_levels = np.array(list((levels or self.level_weights).values()))[self.levels]
        weights: np.ndarray = (1 + LEAST_WEIGHT - self.rates[self.segments]) * self.factors
        weights *= of_levels
        return weights

    def share(self, competence: float) -> float:
        """Returns the share of partial episodes: the better the agent, the smaller it is."""
        if not len(self.segments):
            return 0.0
        return self.config.share + competence * (self.config.last_share - self.config.share)

    def apply(self, competence: float, levels: Mapping[str, float] | None = None) -> None:
        """Lets games begin accordingly. `levels`: see `weights`."""
        if len(self.segments):
            self.env.set_start_weights(self.weights(levels), self.share(competence))

    @property
    def success_rate(self) -> float:
        """Returns the mean over the segments."""
        return float(self.rates.mean()) if len(self.rates) else 0.0

    def summary(self) -> dict[str, float]:
        """Returns metrics by name."""
        return {
            "curriculum/success_rate": self.success_rate,
            "curriculum/worst_segment": float(self.rates.min(initial=1.0)),
        }

    def state(self) -> dict[str, Any]:
        """Returns all of it between two rollouts, as JSON can hold it."""
        return {
            **_ways_state(self.searched),
            "rates": self.rates.tolist(),
            "episodes": self.episodes.tolist(),
        }

    @staticmethod
    def searched_in(state: dict[str, Any]) -> dict[str, Trajectory]:
        """Returns the ways that an earlier process found."""
        cleared = state.get("cleared", {})  # written since there are demonstrations
        return {
            level: Trajectory(bytes.fromhex(inputs), cleared.get(level, True))
            for level, inputs in state["ways"].items()
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Goes on from `state`, of a curriculum made with the same ways.

        Raises:
            ValueError: it is of other ways.
        """
        if not len(state["rates"]) == len(state["episodes"]) == len(self.rates):
            raise ValueError(
                f"{len(state['rates'])} success rates and {len(state['episodes'])} counts of"
                f" episodes for {len(self.rates)} stretches"
            )
        self.rates = np.array(state["rates"])
        self.episodes = np.array(state["episodes"], np.int64)


def level_of(name: str) -> str:
    """Returns the level of a way, which may be one of a big Mario."""
    return name.removesuffix(BIG)


def ways_wanted(config: TrainConfig, demonstrated: Mapping[str, Any] | None) -> list[str]:
    """Returns the names of the ways that must be searched: levels, and ones with `BIG` behind."""
    wanted = [level for level in config.env.levels if level not in (demonstrated or {})]
    if config.env.power_share > 0:
        wanted += [level + BIG for level in wanted]
    return wanted


def search_part(
    config: TrainConfig,
    env: LevelEnv,
    demonstrated: Mapping[str, Any] | None,
    part: int,
    parts: int,
    log: Callable[[str], None],
) -> dict[str, Any]:
    """Returns some of the ways, as `Curriculum.state` has them: each of `parts` processes searches
    others."""
    found = search(config, env, ways_wanted(config, demonstrated)[part::parts], log)
    return _ways_state(found)


def merged_ways(parts: Sequence[dict[str, Any]]) -> dict[str, Trajectory]:
    """Returns what several processes have found."""
    found: dict[str, Trajectory] = {}
    for part in parts:
        found |= Curriculum.searched_in(part)
    return found


def _ways_state(ways: Mapping[str, Trajectory]) -> dict[str, Any]:
    return {
        "ways": {level: trajectory.inputs.hex() for level, trajectory in ways.items()},
        "cleared": {level: trajectory.cleared for level, trajectory in ways.items()},
    }


def search_way(
    config: TrainConfig, env: LevelEnv, name: str, stop: Callable[[], bool]
) -> Trajectory:
    """Returns a way through a level, without where it begins."""
    level, most = level_of(name), config.curriculum.search_steps
    if level == name:
        found: Trajectory = env.explorer(level, config.seed).search(most, stop)
        return found
    idle = bytes(config.env.frame_stack + 1)  # a moment has so many steps before it
    begin = env.record_initial_states(level, Trajectory(idle, begin=env.big_start(level)))[0]
    way: Trajectory = env.explorer_from(begin, config.seed).search(most, stop)
    return replace(way, inputs=idle[: begin.step] + way.inputs)


def search(
    config: TrainConfig, env: LevelEnv, names: Sequence[str], log: Callable[[str], None]
) -> dict[str, Trajectory]:
    """Returns a way for each of `names`, levels and ones with `BIG` behind, in this order. As many
    are searched at once as there are threads, which changes none of them."""
    found: dict[str, Trajectory] = {}
    stop = threading.Event()
    with ThreadPoolExecutor(config.threads or available_cores()) as pool:
        tasks = {name: pool.submit(search_way, config, env, name, stop.is_set) for name in names}
        try:
            for number, (name, task) in enumerate(tasks.items(), start=1):
                found[name] = task.result()
                if len(names) > 1:
                    log(f"a way through {name} searched, {number} of {len(names)}")
        except BaseException:  # a signal too: the threads must not search on
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return found
