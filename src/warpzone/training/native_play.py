"""Playing a rollout of our own games without Python between the steps.

`warpzone.ppo.rollout.collect` is the slow and obvious twin, for every environment and network.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

import warpzone._native as _native
from warpzone.ppo.policy import SCALARS
from warpzone.ppo.rollout import Rollout
from warpzone.smb.played import PlayedSteps
from warpzone.smb.vector_env import MarioVectorEnv
from warpzone.training.step_result import StepResult


class NativePlay:
    """Fills a rollout, which must be in the computer's own memory.

    Args:
        env: games without a reward function.
        rollout: of these games.
    """

    def __init__(self, env: MarioVectorEnv, rollout: Rollout) -> None:
        self.env, self.rollout = env, rollout
        arrays = {name: array.numpy() for name, array in rollout.observations.items()}
        scalars = arrays.pop(SCALARS, None)
        (bytes_,) = arrays.values()
        steps, games = rollout.actions.shape
        self.sizes = (
            math.prod(bytes_.shape[2:]),
            0 if scalars is None else scalars.shape[2],
            rollout.log_probs.shape[2],
        )
        """As `_native.Decider` has them."""
        self.played = PlayedSteps(
            bytes_=bytes_,
            scalars=np.zeros((steps + 1, games, 0), np.float32) if scalars is None else scalars,
            actions=rollout.actions.numpy(),
            log_probs=rollout.log_probs.numpy(),
            values=rollout.values.numpy(),
            rewards=rollout.rewards.numpy(),
            truncated_values=rollout.truncated_values.numpy(),
        )

    def collect(
        self,
        decider: _native.Decider,
        seed: int,
        first: int,
        on_step: Callable[[int, StepResult], None],
    ) -> None:
        """Fills the rollout as `warpzone.ppo.rollout.collect` does with the same `seed` and
        `first`. `on_step` is called once, with all of its steps.

        Raises:
            ConfigError: a network for other games.
            EngineError: a game could not go on, or another thread is using them.
        """
        self.env.play(decider, self.played, seed, first, self.rollout.stride)
        result = self.played.result()
        shape = self.played.actions.shape
        np.logical_or(self.played.terminated, self.played.truncated, out=self.rollout.ended.numpy())
        self.rollout.tasks.numpy()[:] = result.task.reshape(shape)
        on_step(0, result)
