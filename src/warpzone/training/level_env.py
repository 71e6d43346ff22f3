"""What only our games offer a trainer: episodes that begin within a level, and a search for a way.

The algorithm (`warpzone.ppo`) needs none of it. A setting that does asks for it here, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from warpzone.errors import ConfigError
from warpzone.ppo.rollout import VectorEnv
from warpzone.smb.search import Trajectory


@runtime_checkable
class LevelEnv(VectorEnv, Protocol):
    """A vector environment of levels; see `MarioVectorEnv` for what each method does."""

    def explorer(self, level: str, seed: int = 0) -> Any: ...
    def record_initial_states(self, level: str, trajectory: Trajectory) -> list[Any]: ...
    def set_progress_masks(self, trajectories: Mapping[str, Sequence[Trajectory]]) -> None: ...
    def set_initial_states(self, starts: list[Any]) -> None: ...
    def set_start_weights(self, weights: np.ndarray, share: float) -> None: ...
    def set_level_weights(self, weights: Mapping[str, float]) -> None: ...


def level_env(env: VectorEnv, setting: str) -> LevelEnv:
    """Returns `env`, for a setting that needs levels.

    Raises:
        ConfigError: it is another game.
    """
    if isinstance(env, LevelEnv):
        return env
    raise ConfigError(
        f"{setting} needs games whose episodes can begin within a level, as those of"
        f" warpzone.make_vec; {type(env).__name__} has none. Take that setting out"
    )
