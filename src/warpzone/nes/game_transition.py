"""What a step of a group of games brings to a trainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(slots=True)
class GameTransition:
    """What a step of a group of n games led to; see `warpzone.ppo.rollout.Transition`."""

    obs: Any
    reward: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    finished: NDArray[np.int64]
    final_obs: Any
    task: NDArray[np.int64]
    success: NDArray[np.bool_]
    score: NDArray[Any]
    signals: dict[str, NDArray[Any]]
    partial: NDArray[np.bool_]

    @property
    def position(self) -> NDArray[Any]:
        """[n]: the score."""
        return self.score
