"""Practice where it fails: partial episodes that begin shortly before the agent died or got stuck.

An episode that fails from a level's start on, or from where the game went on into it, gives moments
some steps before that, at the agent's own states and speeds, in whatever phase enemies and lifts
were. Of each level the newest are kept. An episode from one is a success if it gets past the place
of the failure by a margin; moments are drawn by how often episodes from there fail. So what kills
the agent now is played over and over, until it no longer does.

Moments are kept as what was played, and recorded anew from that when a run goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from warpzone.errors import WarpzoneError
from warpzone.smb.transition import InputLog
from warpzone.training.config import TrainConfig
from warpzone.training.curriculum import LEAST_WEIGHT, MEMORY, Curriculum
from warpzone.training.level_env import LoggedEnv
from warpzone.training.step_result import StepResult

MARGIN = 48
"""px beyond the place of a failure, three tiles: who comes that far has mastered it."""
FARTHER = 128
"""px beyond that from which on even a death does not count: some twelve agent steps of running."""
SAMPLES_PER_FAILURE = 4096
"""Of the failures in a rollout one for so many samples is looked at: each is played again."""
MOMENTS_PER_FAILURE = 2
MOST_EARLIER = 20
"""Agent steps that a moment may lie before the one wanted, so that no cutscene leads to it."""
HOPELESS = 60
"""Episodes from a moment without any success, after which it counts like one that is mastered:
nothing may lead on from there."""


@dataclass(slots=True)
class Moment:
    """Where practice begins."""

    level: str
    """Where the game began that led there."""
    buttons: str
    """Of all frames since then, two hexadecimal digits each, as a checkpoint has them."""
    step: int
    """Agent steps of that episode."""
    back: int
    """Agent steps from here to the failure."""
    goal: int
    """px of progress from here that make an episode a success."""
    born: int
    """Agent steps of each game in the run when it was put in its place."""
    rate: float = 0.0
    """Share of lately ended episodes from here that were a success."""
    episodes: int = 0
    searched: bool = False
    """Whether a correction has been looked for (see `warpzone.training.corrections`)."""
    hopeless: bool = False
    """Whether nothing led on from here, as far as was searched."""
    variation: int = 0
    """Of the level's start, see `InputLog`."""

    def count(self, success: bool) -> None:
        """Takes in an episode."""
        self.episodes += 1
        self.rate += (success - self.rate) / min(self.episodes, MEMORY)

    @property
    def weight(self) -> float:
        """How often it is drawn."""
        if self.rate == 0 and (self.hopeless or self.episodes >= HOPELESS):
            return LEAST_WEIGHT
        return 1 + LEAST_WEIGHT - self.rate


@dataclass(frozen=True, slots=True)
class Failure:
    """An episode that was not a success and did not begin within a level."""

    log: InputLog
    end: int
    """Agent steps of it up to where it went wrong."""
    progress: int
    """px it had come."""


class Practice:
    """Where the agent failed, and the episodes that begin there.

    Args:
        config: all settings.
        env: the games, whose inputs are logged from now on.
        first: the number of the first initial state that is free for it, those before being the
            curriculum's.
    """

    def __init__(self, config: TrainConfig, env: LoggedEnv, first: int) -> None:
        self.config, self.env, self.first = config.practice, env, first
        assert config.env.start_steps is not None
        self.seed = config.seed
        self.most_failures = max(1, config.batch // SAMPLES_PER_FAILURE)
        self.stuck_steps = config.env.no_progress_steps
        self.most_steps = config.env.max_steps
        self.frame_skip = config.env.frame_skip
        longest = max(config.env.start_steps - self.config.nearest, self.config.nearest)
        self.farthest = min(self.config.farthest, longest)
        self.moments: list[Moment] = []
        """By the number of their initial state, less `first`."""
        self.starts: list[Any] = []
        """The same as initial states of the games."""
        self.places: dict[int, list[int]] = {}
        """Of each level, indices into `moments`."""
        self.failures = 0
        """That moments were taken of."""
        self._new: list[Failure] = []
        if first == 0:
            env.set_initial_states([])
        env.watch_games(range(env.num_envs))

    def observe(self, first: int, step: StepResult) -> None:
        """Takes in the episodes that ended in some steps; row 0 is sample `first` of the run."""
        logs: dict[int, list[tuple[InputLog, bytes] | None]] = {}
        seen: dict[int, int] = {}
        for row in step.finished:
            t, game = divmod(first + int(row), self.env.num_envs)
            number = seen[game] = seen.get(game, -1) + 1
            start = int(step.signals["start"][row])
            if start >= self.first:
                if start - self.first >= len(self.moments):
                    continue  # of an earlier process that practised
                moment = self.moments[start - self.first]
                # A game that began at a moment that has been replaced since says nothing of this.
                if t - int(step.signals["steps"][row]) >= moment.born:
                    # Who dies farther on died of something else.
                    beyond = step.score[row] - moment.goal
                    far = beyond >= (FARTHER if step.terminated[row] else 0)
                    moment.count(bool(step.success[row] or far))
            elif start < 0 and not step.success[row] and len(self._new) < self.most_failures:
                if game not in logs:
                    logs[game] = self.env.ended_input_logs(game, varied=True)
                found = logs[game][number]
                if found is not None:
                    self._new.append(self._failure(found[0], int(step.score[row]), step, int(row)))

    def apply(
        self,
        curriculum: Curriculum | None,
        competence: float,
        step: int,
        levels: Mapping[str, float] | None = None,
    ) -> None:
        """Takes moments of the failures of the last rollout, and lets games begin accordingly.

        Args:
            curriculum: whose partial episodes are played besides.
            competence: see `Learner.competence`.
            step: agent steps of the run.
            levels: see `Curriculum.weights`.
        """
        born = step // self.env.num_envs
        for failure in self._new:
            self._take(failure, born)
        self._new.clear()
        if not self.moments:
            if curriculum is not None:
                curriculum.apply(competence, levels)
            return
        weights, share = np.zeros(0), 0.0
        if curriculum is not None:
            weights, share = curriculum.weights(levels), curriculum.share(competence)
        own = np.array([moment.weight for moment in self.moments])
        share *= 1 - self.config.share
        if len(weights):
            weights = weights * (share / weights.sum())
        own *= self.config.share / own.sum()
        self.env.set_start_weights(np.concatenate([weights, own]), share + self.config.share)

    def summary(self) -> dict[str, float]:
        """Returns metrics by name."""
        rates = [moment.rate for moment in self.moments if moment.episodes > 0]
        return {
            "practice/moments": float(len(self.moments)),
            "practice/success_rate": float(np.mean(rates)) if rates else 0.0,
        }

    def state(self) -> dict[str, Any]:
        """Returns all of it between two rollouts that outlives them, as JSON can hold it."""
        moments = [
            {
                "level": moment.level,
                "buttons": moment.buttons,
                "step": moment.step,
                "back": moment.back,
                "goal": moment.goal,
                "born": moment.born,
                "rate": moment.rate,
                "episodes": moment.episodes,
                "searched": moment.searched,
                "hopeless": moment.hopeless,
                "variation": moment.variation,
            }
            for moment in self.moments
        ]
        new = [
            {
                "level": failure.log.level,
                "own_start": failure.log.own_start,
                "buttons": failure.log.buttons.hex(),
                "decided": failure.log.decided.tolist(),
                "variation": failure.log.variation,
                "end": failure.end,
                "progress": failure.progress,
            }
            for failure in self._new
        ]
        return {"moments": moments, "failures": self.failures, "new": new}

    def load_state(self, state: dict[str, Any]) -> None:
        """Goes on from `state`, right after it was made.

        Raises:
            ValueError: what was played does not lead to the moments, or there are too many.
        """
        for saved in state["moments"]:
            moment = Moment(**saved)
            buttons = bytes.fromhex(moment.buttons)
            try:
                at = [(len(buttons), moment.step)]
                (start,) = self.env.record_moments(moment.level, buttons, at, moment.variation)
            except WarpzoneError as error:
                raise ValueError(f"a moment of {moment.level} to practise from: {error}") from None
            self._put(moment, start)
        if len(self.moments) != len(state["moments"]):
            raise ValueError(f"more than {self.config.moments} moments of a level to practise from")
        self.failures = state["failures"]
        self._new = [
            Failure(
                InputLog(
                    saved["level"],
                    own_start=saved["own_start"],
                    buttons=bytes.fromhex(saved["buttons"]),
                    decided=np.array(saved["decided"], np.uint32),
                    variation=saved.get("variation", 0),  # written since starts are varied
                ),
                saved["end"],
                saved["progress"],
            )
            for saved in state["new"]
        ]

    def _failure(self, log: InputLog, progress: int, step: StepResult, row: int) -> Failure:
        end = len(log.decided)
        limit = self.most_steps is not None and end >= self.most_steps
        if not step.terminated[row] and not limit and self.stuck_steps is not None:
            end -= self.stuck_steps
        return Failure(log, end, progress)

    def _take(self, failure: Failure, born: int) -> None:
        draws = np.random.default_rng([self.seed, self.failures])
        self.failures += 1
        log = failure.log
        back = draws.integers(self.config.nearest, self.farthest + 1, MOMENTS_PER_FAILURE)
        steps = {self._usable(log, failure.end - int(steps)) for steps in back}
        at = [(int(log.decided[step]), step) for step in sorted(steps) if step >= 0]
        if not at:
            return
        first = [] if log.own_start else [(int(log.decided[0]), 0)]
        found = self.env.record_moments(log.level, log.buttons, first + at, log.variation)
        # Progress is that since the episode began, which may not be where the game did.
        before = found.pop(0).progress if first else 0
        for (frames, step), start in zip(at, found, strict=True):
            goal = max(failure.progress - (start.progress - before), 0) + MARGIN
            played = log.buttons[:frames].hex()
            reach = (failure.end - step, goal, born)
            self._put(Moment(log.level, played, step, *reach, variation=log.variation), start)

    def _usable(self, log: InputLog, wanted: int) -> int:
        """Returns the last step, `wanted` at most, behind enough whole steps without a cutscene; -1
        where there is none nearby."""
        leading = self.env.leading_frames
        steps = leading // self.frame_skip
        for step in range(wanted, max(wanted - MOST_EARLIER, steps) - 1, -1):
            if int(log.decided[step]) - int(log.decided[step - steps]) == leading:
                return step
        return -1

    def _put(self, moment: Moment, start: Any) -> None:
        places = self.places.setdefault(int(start.level), [])
        if len(places) < self.config.moments:
            places.append(len(self.moments))
            self.moments.append(moment)
            self.starts.append(start)
            place = places[-1]
        else:
            place = min(places, key=lambda place: self.moments[place].born)
            self.moments[place], self.starts[place] = moment, start
        self.env.put_initial_state(self.first + place, start)
