"""Search as a teacher: what gets the agent through where it failed is imitated.

From moments before failures (`warpzone.training.practice`) a search looks for corrections that the
agent gets through with more often than without (`warpzone.training.correction_search`). What was
seen in replays that got through, and what the correction said to do then, is kept; some of it is
learnt from in each update, beside the rollout: the states are the agent's own, as in DAgger (Ross
et al. 2011), and what is imitated is better than the agent by a measured margin, as in expert
iteration (Anthony et al. 2017). PPO does the rest, and forgets what does not pay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from warpzone.ppo.policy import Decide, Observation
from warpzone.ppo.update import Batch
from warpzone.training.config import TrainConfig
from warpzone.training.correction_search import OWN, CorrectionSearch, Found
from warpzone.training.level_env import LoggedEnv
from warpzone.training.practice import Moment, Practice

TENSORS = "corrections."
"""Before the names of a checkpoint's tensors."""
TRIED = 5
"""Episodes of practice from a moment before it is searched: most failures were bad luck."""
SMALLEST = 1e-6
"""Probability in what is imitated, so that it has a logarithm."""
FRESH = 30
"""Found corrections over which means are told."""


class Corrections:
    """What has been found, and the search for more.

    Args:
        config: all settings.
        env: the games in training.
        shown: an observation of each game, [N, ...]: what rows look like.
        device: where the agent computes.
    """

    def __init__(
        self, config: TrainConfig, env: LoggedEnv, shown: Observation, device: torch.device
    ) -> None:
        self.config, self.device = config.corrections, device
        self.seed, self.batch = config.seed, config.batch
        self.actions = int(env.single_action_space.n)
        self.rows = min(config.batch, max(1, round(self.config.rows * config.batch)))
        rules = config.env.model_copy(
            update={
                "repeat_action_probability": self.config.repeat_action_probability,
                "sticky_share": 1.0,
                "start_noop_max": self.config.noop_max,
                "row_share": 0.0,
                "life_share": 0.0,
                "phase_share": 0.0,
                "power_share": 0.0,
                "start_halt_share": 0.0,
                "start_states": (),
                "start_state_share": 1.0,
                "start_steps": None,
                "no_progress_steps": None,
                "max_steps": None,
                "autoreset": "same_step",
            }
        )
        self.games = env.twin(rules, self.config.games, config.seed)
        self.search = CorrectionSearch(self.games, self.actions, device)
        self.kept: dict[str, Tensor] = {
            name: torch.zeros((self.config.kept, *array.shape[1:]), dtype=array.dtype)
            for name, array in shown.items()
        }
        """Observations to learn from, in a ring."""
        self.wanted = torch.zeros(self.config.kept, self.actions)
        """Probabilities of all actions then."""
        self.count = 0
        """Rows that were ever put there."""
        self.credit = 0.0
        """Agent steps that may be searched."""
        self.steps = self.searches = self.found = 0
        self.gain = self.own = 0.0
        """Means over lately found corrections, and over lately searched moments."""

    def look(self, practice: Practice, decide: Decide) -> None:
        """Searches from some moments, for as many agent steps as there is credit for. Called before
        a rollout is played."""
        self.credit += self.config.share * self.batch
        while self.credit > 0:
            draws = np.random.default_rng([self.seed, 1, self.searches])
            place = self._choose(practice.moments, draws)
            if place is None:
                # Nothing has failed lately: time is not saved up for later.
                self.credit = min(self.credit, 0.0)
                return
            moment, start = practice.moments[place], practice.starts[place]
            seed = int(draws.integers(1 << 40))
            found = self.search.search([start], moment.back, moment.goal, decide, seed)
            moment.searched = True
            moment.hopeless = found.own == 0 and found.corrected == 0
            self._count(found)

    def beside(self, batch: Batch, decide: Decide, updates: int, distillation: float) -> Batch:
        """Returns `batch` with some rows to imitate behind it, to be learnt from with a weight of
        distillation of 1, whatever it was before.

        Args:
            batch: of a rollout.
            decide: the agent before the update.
            updates: made so far.
            distillation: weight of what `batch` has of distillation policies.
        """
        kept = min(self.count, len(self.wanted))
        if kept == 0:
            return _weighed(batch, distillation)
        draws = np.random.default_rng([self.seed, 2, updates])
        chosen = torch.from_numpy(draws.integers(kept, size=min(self.rows, kept)))
        rows = {name: array[chosen].to(self.device) for name, array in self.kept.items()}
        wanted = self.wanted[chosen].to(self.device)
        logits, values = decide(rows)
        before = _weighed(batch, distillation)
        if before.distillation_log_probs is None or before.distillation_mask is None:
            before = replace(
                before,
                distillation_log_probs=batch.log_probs,
                distillation_mask=torch.zeros_like(batch.advantages),
            )
        assert before.distillation_log_probs is not None
        assert before.distillation_mask is not None
        none = torch.zeros(len(wanted), device=self.device)
        return Batch(
            {name: torch.cat([batch.observations[name], rows[name]]) for name in rows},
            torch.cat([batch.actions, wanted.argmax(1)]),
            torch.cat([batch.log_probs, logits.float().log_softmax(1)]),
            torch.cat([batch.advantages, none]),
            torch.cat([batch.targets, values.float()]),
            torch.cat([before.distillation_log_probs, wanted.log()]),
            torch.cat([before.distillation_mask, none + self.config.coef]),
        )

    def summary(self) -> dict[str, float]:
        """Returns metrics by name."""
        return {
            "corrections/searches": float(self.searches),
            "corrections/found": float(self.found),
            "corrections/gain": self.gain,
            "corrections/own": self.own,
            "corrections/steps": float(self.steps),
        }

    def state(self) -> dict[str, Any]:
        """Returns what a checkpoint holds of it besides tensors, as JSON can hold it."""
        names = ("count", "credit", "steps", "searches", "found", "gain", "own")
        return {name: getattr(self, name) for name in names}

    def tensors(self) -> dict[str, Tensor]:
        """Returns copies of what is learnt from, by name in a checkpoint."""
        kept = min(self.count, len(self.wanted))
        all_ = {**self.kept, "wanted": self.wanted}
        return {TENSORS + name: tensor[:kept].clone() for name, tensor in all_.items()}

    def load_state(self, state: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Goes on from `state` and `tensors`.

        Raises:
            KeyError, RuntimeError, ValueError: something is missing or does not fit.
        """
        for name, value in state.items():
            setattr(self, name, value)
        kept = min(self.count, len(self.wanted))
        for name, tensor in {**self.kept, "wanted": self.wanted}.items():
            tensor[:kept].copy_(tensors[TENSORS + name])

    def close(self) -> None:
        """Ends the threads of its games."""
        self.games.close()

    def _choose(self, moments: list[Moment], draws: np.random.Generator) -> int | None:
        """Returns where a moment is from which practice hardly ever gets through: where it does
        now and then, it learns by itself."""
        lost = [
            place
            for place, moment in enumerate(moments)
            if not moment.searched
            and moment.episodes >= TRIED
            and moment.rate <= self.config.most_success
        ]
        return int(draws.choice(lost)) if lost else None

    def _count(self, found: Found) -> None:
        self.searches += 1
        self.steps += found.steps
        self.credit -= found.steps
        self.own += (found.own - self.own) / min(self.searches, FRESH)
        if found.gain < self.config.margin:
            return
        self.found += 1
        self.gain += (found.gain - self.gain) / min(self.found, FRESH)
        size = len(self.wanted)
        places = (self.count + np.arange(len(found.actions))[-size:]) % size
        for name, rows in found.observations.items():
            self.kept[name][places] = torch.from_numpy(rows[-size:])
        self.wanted[places] = torch.from_numpy(self._wanted(found)[-size:])
        self.count += len(found.actions)

    def _wanted(self, found: Found) -> NDArray[np.float32]:
        """Returns what is to be imitated, [k, actions]: what the agent does where nothing else is
        said, and little of that elsewhere."""
        wanted = np.exp(found.log_probs)
        told = np.flatnonzero(found.actions != OWN)
        wanted[told] *= 1 - self.config.pull
        wanted[told, found.actions[told]] += self.config.pull
        return wanted.clip(SMALLEST)


def _weighed(batch: Batch, weight: float) -> Batch:
    """Returns `batch` with the weight of distillation in its mask."""
    if batch.distillation_mask is None:
        return batch
    return replace(batch, distillation_mask=batch.distillation_mask * weight)
