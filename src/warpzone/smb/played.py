"""Many steps of many games, as `MarioVectorEnv.play` leaves them in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpzone.smb.signals import SIGNALS, signal_arrays
from warpzone.smb.transition import StepResult


@dataclass(slots=True, eq=False)
class PlayedSteps:
    """T steps of N games with A actions, in memory that is allocated once and played into again.

    What is given is the caller's, in one piece (C order). What else is known is allocated here.
    """

    bytes_: NDArray[np.uint8]
    """[T + 1, N, ...]: what each step was decided on, and what is to be decided on next."""
    scalars: NDArray[np.float32]
    """[T + 1, N, k]: beside them; k is 0 where there are none."""
    actions: NDArray[np.int64]
    """[T, N]"""
    log_probs: NDArray[np.float32]
    """[T, N, A], of all actions."""
    values: NDArray[np.float32]
    """[T + 1, N]: V of each observation."""
    rewards: NDArray[np.float32]
    """[T, N]"""
    truncated_values: NDArray[np.float32]
    """[T, N]: V of the last observation of an episode that was truncated, else 0."""
    terminated: NDArray[np.bool_] = field(init=False)
    truncated: NDArray[np.bool_] = field(init=False)
    returns: NDArray[np.float32] = field(init=False)
    maps: NDArray[np.uint8] = field(init=False)
    signals: NDArray[np.int32] = field(init=False)
    """[T, N, 20], columns `SIGNALS`."""

    def __post_init__(self) -> None:
        shape = self.actions.shape
        self.terminated = np.zeros(shape, np.bool_)
        self.truncated = np.zeros(shape, np.bool_)
        self.returns = np.zeros(shape, np.float32)
        self.maps = np.zeros(shape, np.uint8)
        self.signals = np.zeros((*shape, len(SIGNALS)), np.int32)

    def native(self) -> dict[str, NDArray[Any]]:
        """Returns all arrays, as the native core takes them."""
        return {
            "observations": self.bytes_,
            "scalars": self.scalars,
            "actions": self.actions,
            "log_probs": self.log_probs,
            "values": self.values,
            "rewards": self.rewards,
            "truncated_values": self.truncated_values,
            "terminated": self.terminated.view(np.uint8),
            "truncated": self.truncated.view(np.uint8),
            "returns": self.returns,
            "places": self.maps,
            "signals": self.signals,
        }

    def result(self) -> StepResult:
        """Returns the outcomes of all steps, row t * N + i for game i in step t: views."""
        terminated, truncated = self.terminated.ravel(), self.truncated.ravel()
        signals = signal_arrays(self.signals.reshape(-1, len(SIGNALS)))
        return StepResult(
            reward=self.rewards.ravel(),
            terminated=terminated,
            truncated=truncated,
            signals={**signals, "episode_return": self.returns.ravel(), "map": self.maps.ravel()},
            task=signals["level"],
            success=signals["flag"],
            score=signals["progress"],
            finished=np.flatnonzero(terminated | truncated),
        )
