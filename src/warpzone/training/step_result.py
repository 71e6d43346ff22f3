"""What observers of a training are told of the steps that were played."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class StepResult(Protocol):
    """What steps of n games led to, but for what was seen; see `warpzone.ppo.rollout.Transition`,
    which is one. Rows may also be many steps of all games, one step after the other."""

    terminated: np.ndarray
    finished: np.ndarray
    task: np.ndarray
    success: np.ndarray
    score: np.ndarray
    signals: dict[str, np.ndarray]

    @property
    def partial(self) -> np.ndarray: ...
    @property
    def position(self) -> np.ndarray: ...
