"""A search, from a moment before a failure on, for actions that get the agent through.

The agent plays on from the moment again and again, under the disturbances that it will meet: draws
of its own, and buttons that stick. A correction is some holds of actions that it is made to do in
the course of that, whatever it would have done itself; before, between and after it plays as it
does. So what is judged is the agent with the correction, and it can answer to what is different
each time. Random corrections are tried, the best again and with changes, for some generations, and
the best of all beside the agent without any: by so much as it gets through more often, it is worth
learning. What is done with it is in `warpzone.training.corrections`. Only a training calls it,
never an agent that plays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from warpzone.noise import gumbel
from warpzone.ppo.policy import Decide, as_dict, to_tensors
from warpzone.ppo.rollout import Transition

SETTLE = 12
"""Agent steps that who got past the goal must live on for, the length of a jump."""
SAFE = 0.9
"""Share of replays that get through without any correction, from which on none is looked for."""
TIME = 72
"""Agent steps that a replay may take longer than it was to the failure."""
LONGEST_HOLD = 12
"""Agent steps."""
MOST_ROWS = 512
MOST_SHIFT = 4
"""Agent steps."""
GENERATIONS = 4
"""Rounds of changes to the best corrections so far."""
PARENTS = 8
"""One for so many replays of a round."""
AGAIN = 2
"""Replays of each of them in a round, beside its changes."""
EXPLORED = 20_000
"""Agent steps of searches over snapshots where no random correction gets through."""
MOST_WAYS = 8
SEEDS = GENERATIONS + 2
"""Rounds of a search."""
NEAR = 0.1
"""Worth of coming as far as the goal, beside that of getting through."""
OWN = -1
"""In a plan: the agent does what it would do."""

Plans = NDArray[np.int64]
"""[n, T]: for each replay and step an action, or `OWN`."""


class ReplayEnv(Protocol):
    """A vector environment in one group, all of whose episodes begin at the given moments and are
    never cut short; see `MarioVectorEnv` for what each method does."""

    num_envs: int

    def reset(self, *, seed: int) -> Any: ...
    def observations(self) -> Any: ...
    def send(self, group: int, actions: NDArray[np.int64]) -> None: ...
    def recv(self, group: int) -> Transition: ...
    def explorer_from(self, start: Any, seed: int) -> Any: ...
    def set_initial_states(self, starts: list[Any]) -> None: ...
    def set_start_weights(self, weights: NDArray[np.float64], share: float) -> None: ...


@dataclass(frozen=True)
class Found:
    """What a search from one moment came to."""

    own: float
    """Share of replays without a correction that got through."""
    corrected: float
    """The same with the best correction; 0: none got through even once."""
    steps: int
    """Agent steps that were played."""
    observations: dict[str, NDArray[Any]]
    """[k, ...]: what was seen in replays that got through, with the best correction or without any:
    up to `MOST_ROWS` where it says what to do, and as many where it does not."""
    actions: NDArray[np.int64]
    """[k]: what it says, or `OWN`."""
    log_probs: NDArray[np.float32]
    """[k, actions]: what the agent does."""

    @property
    def gain(self) -> float:
        """By how much the correction raises the share."""
        return self.corrected - self.own


@dataclass(frozen=True)
class _Seen:
    """Of a step of all games that were still running."""

    games: NDArray[np.int64]
    """[k]"""
    shown: dict[str, NDArray[Any]]
    """[k, ...]"""
    said: NDArray[np.int64]
    """[k]: what their plans say."""
    logits: NDArray[np.float32]
    """[k, actions]: of the agent."""


class _Tried:
    """Corrections and what came of them."""

    def __init__(self) -> None:
        self._results: dict[bytes, tuple[NDArray[np.int64], list[tuple[bool, float]]]] = {}

    def count(self, plans: Plans, passed: NDArray[np.bool_], reached: NDArray[np.float64]) -> None:
        """Takes in a replay of each plan: whether it got through, how far it came."""
        for plan, *result in zip(plans, passed.tolist(), reached.tolist(), strict=True):
            _, results = self._results.setdefault(plan.tobytes(), (plan.copy(), []))
            results.append((result[0], min(1.0, result[1])))

    @property
    def most_passed(self) -> int:
        """Returns how often the one that got through most often did."""
        return max(sum(passed for passed, _ in results) for _, results in self._results.values())

    def best(self, count: int) -> Plans:
        """Returns the plans that got through most surely, those first that did so more often; of
        those that never did, those that came farthest."""

        def worth(results: list[tuple[bool, float]]) -> float:
            passed = sum(passed for passed, _ in results) / (len(results) + 1)
            return passed + NEAR * sum(reached for _, reached in results) / len(results)

        order = sorted(self._results.values(), key=lambda tried: -worth(tried[1]))
        return np.array([plan for plan, _ in order[:count]])


class CorrectionSearch:
    """Searches by replays in some games.

    Args:
        env: at least 8 games, in one group.
        actions: how many there are.
        device: where the agent computes.
    """

    def __init__(self, env: ReplayEnv, actions: int, device: torch.device) -> None:
        self.env, self.actions, self.device = env, actions, device

    def search(
        self, starts: Sequence[Any], back: int, goal: int, decide: Decide, seed: int
    ) -> Found:
        """Looks for a correction.

        Args:
            starts: the moment, as initial states of the games, in one or several variants.
            back: agent steps from it to the failure.
            goal: px of progress from it that the failure lies before.
            decide: the agent.
            seed: of all that is drawn, 0 to 2**62.
        """
        self.env.set_initial_states(list(starts))
        self.env.set_start_weights(np.ones(len(starts)), 1.0)
        games, draws = self.env.num_envs, np.random.default_rng(seed)

        # Random ones, beside the agent without any.
        plain = games // 4
        length = back + TIME
        plans = np.full((games, length), OWN)
        for plan in plans[plain:]:
            self._hold(plan, back, draws)
        passed, reached, steps = self._replay(plans, goal, decide, SEEDS * seed)
        own = float(passed[:plain].mean())
        if own >= SAFE:
            return self._nothing(own, steps)
        tried = _Tried()
        tried.count(plans[plain:], passed[plain:], reached[plain:] / goal)
        if tried.most_passed == 0:
            # Nothing near what the agent does: ways that there are as long as nothing disturbs it.
            ways, played = self._explore(starts[0], goal, length, seed)
            steps += played
            tried.count(ways, np.ones(len(ways), np.bool_), np.ones(len(ways)))

        # The best of all again, and changes of them.
        for generation in range(1, GENERATIONS + 1):
            best = tried.best(games // PARENTS)
            again = np.repeat(best, AGAIN, axis=0)
            children = best[np.arange(games - len(again)) % len(best)]
            for child in children:
                self._change(child, back, draws)
            plans = np.concatenate([again, children])
            passed, reached, played = self._replay(plans, goal, decide, SEEDS * seed + generation)
            steps += played
            tried.count(plans, passed, reached / goal)
        if tried.most_passed == 0:
            return self._nothing(own, steps)
        chosen = tried.best(1)[0]

        # The best, beside the agent without it.
        half = games // 2
        plans = np.full_like(plans, OWN)
        plans[half:] = chosen
        seen: list[_Seen] = []
        passed, _, played = self._replay(plans, goal, decide, SEEDS * seed + SEEDS - 1, seen)
        through = [np.flatnonzero(passed[part.games]) for part in seen]

        def rows(arrays: list[NDArray[Any]]) -> NDArray[Any]:
            return np.concatenate([a[rows] for a, rows in zip(arrays, through, strict=True)])

        said = rows([part.said for part in seen])
        told = draws.permutation(np.flatnonzero(said != OWN))[:MOST_ROWS]
        others = draws.permutation(np.flatnonzero(said == OWN))[: len(told)]
        kept = draws.permutation(np.concatenate([told, others]))
        logits = torch.from_numpy(rows([part.logits for part in seen])[kept])
        return Found(
            own=float(passed[:half].mean()),
            corrected=float(passed[half:].mean()),
            steps=steps + played,
            observations={
                name: rows([part.shown[name] for part in seen])[kept]
                for name in as_dict(self.env.observations())
            },
            actions=said[kept],
            log_probs=logits.log_softmax(1).numpy(),
        )

    def _explore(self, start: Any, goal: int, length: int, seed: int) -> tuple[Plans, int]:
        """Returns ways to the goal that searches over snapshots find, and the steps played."""
        ways, played = np.full((MOST_WAYS, length), OWN), 0
        found = 0
        for number in range(MOST_WAYS):
            explorer = self.env.explorer_from(start, MOST_WAYS * seed + number)
            way = explorer.reach(goal, EXPLORED - played)
            played += explorer.steps
            if way is None:
                break
            ways[found, : len(way)] = list(way[:length])
            found += 1
        return ways[:found], played

    def _nothing(self, own: float, steps: int) -> Found:
        none = {name: array[:0].copy() for name, array in as_dict(self.env.observations()).items()}
        nobody = np.zeros((0, self.actions), np.float32)
        return Found(own, 0.0, steps, none, np.zeros(0, np.int64), nobody)

    def _hold(self, plan: NDArray[np.int64], back: int, draws: np.random.Generator) -> None:
        """Lets the plan say to hold some action at some time before the failure."""
        begin = int(draws.integers(min(back, len(plan))))
        end = begin + int(draws.integers(1, LONGEST_HOLD + 1))
        plan[begin:end] = draws.integers(self.actions)

    def _change(self, plan: NDArray[np.int64], back: int, draws: np.random.Generator) -> None:
        """Adds a hold, takes back what is said for some time, or says all of it sooner or later."""
        kind = draws.random()
        if kind < 0.5:
            self._hold(plan, back, draws)
        elif kind < 0.75:
            begin = int(draws.integers(min(back, len(plan))))
            plan[begin : begin + int(draws.integers(1, LONGEST_HOLD + 1))] = OWN
        else:
            plan[:] = np.roll(plan, int(draws.integers(-MOST_SHIFT, MOST_SHIFT + 1)))

    def _replay(
        self,
        plans: Plans,
        goal: int,
        decide: Decide,
        seed: int,
        seen: list[_Seen] | None = None,
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64], int]:
        """Plays each plan once.

        Returns whether each got past the goal and lived on, bool [n]; how far it came, px [n]; and
        the steps played.
        `seen` receives what was shown in each step.
        """
        env, (games, length) = self.env, plans.shape
        env.reset(seed=seed)
        noise = gumbel(seed, 0, (length, games, self.actions))
        running, through = np.ones(games, np.bool_), np.zeros(games, np.bool_)
        past = np.full(games, length)
        """The step in which each got past the goal."""
        reached = np.zeros(games)
        for t in range(length):
            shown = env.observations()
            logits = decide(to_tensors(shown, self.device))[0].float().cpu().numpy()
            plan = plans[:, t]
            own = (logits + noise[t]).argmax(1)
            if seen is not None:
                rows = np.flatnonzero(running)
                arrays = {name: array[rows].copy() for name, array in as_dict(shown).items()}
                seen.append(_Seen(rows, arrays, plan[rows], logits[rows]))
            env.send(0, np.where(plan == OWN, own, plan))
            step = env.recv(0)
            reached = np.where(running, np.maximum(reached, step.score), reached)
            past = np.where(step.score >= goal, np.minimum(past, t), past)
            ended = step.terminated | step.truncated
            through |= running & np.where(ended, step.success, t >= past + SETTLE)
            running &= ~ended & ~through
            if not running.any():
                break
        return through, reached, (t + 1) * games
