"""Discounts by how far a step got ahead, beside those by time.

A discount per step alone makes haste: at γ 0.98 who waits half a second gives up a seventh of all
that is to come. With γ near 1 and a discount for the way, what lies far ahead counts as little as
before, and waiting costs little (transition-based discounting: White 2017,
https://arxiv.org/abs/1609.07003).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from warpzone.training.level_env import LevelEnv
from warpzone.training.step_result import StepResult

UNIT = 16
"""px of progress by which is discounted, and the most that counts in a step: more is no way that
was gone, but a jump between areas."""


class ProgressDiscounts:
    """Takes in the steps of a rollout of T steps of N games, and tells their discounts.

    Args:
        env: the games.
        steps: T.
        gamma: discount per step.
        progress_gamma: discount for each `UNIT` of progress.
    """

    def __init__(self, env: LevelEnv, steps: int, gamma: float, progress_gamma: float) -> None:
        self.env, self.gamma, self.progress_gamma = env, gamma, progress_gamma
        self.before = np.zeros(env.num_envs)
        self.scores = np.zeros(steps * env.num_envs)
        self.ended = np.zeros(steps * env.num_envs, np.bool_)

    def begin(self) -> None:
        """Takes note of where the games stand, before a rollout."""
        self.before[:] = self.env.progress()

    def observe(self, first: int, step: StepResult) -> None:
        """Takes in what steps led to; row i is sample `first` + i of the rollout."""
        rows = slice(first, first + len(step.score))
        self.scores[rows] = step.score
        self.ended[rows] = False
        self.ended[rows][step.finished] = True

    def gained(self) -> NDArray[np.float64]:
        """Returns the progress of each step, px [T, N]. That of an episode begins at 0."""
        shape = (-1, len(self.before))
        scores, ended = self.scores.reshape(shape), self.ended.reshape(shape)
        following = np.where(ended, 0.0, scores)[:-1]
        gained: NDArray[np.float64] = scores - np.concatenate((self.before[None], following))
        return gained

    def discounts(self) -> Tensor:
        """Returns the discount of each step: float32 [T, N]."""
        share = np.clip(self.gained() / UNIT, 0.0, 1.0)
        return torch.from_numpy((self.gamma * self.progress_gamma**share).astype(np.float32))
