"""What only our games offer a trainer: episodes that begin within a level, and a search for a way.

The algorithm (`warpzone.ppo`) needs none of it. A setting that does asks for it here, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from warpzone.errors import ConfigError
from warpzone.ppo.rollout import VectorEnv
from warpzone.smb.config import EnvConfig
from warpzone.smb.search import Trajectory
from warpzone.smb.transition import InputLog


@runtime_checkable
class LevelEnv(VectorEnv, Protocol):
    """A vector environment of levels; see `MarioVectorEnv` for what each method does."""

    def explorer(self, level: str, seed: int = 0) -> Any: ...
    def explorer_from(self, start: Any, seed: int = 0) -> Any: ...
    def big_start(self, level: str) -> bytes: ...
    def record_initial_states(self, level: str, trajectory: Trajectory) -> list[Any]: ...
    def progress(self) -> np.ndarray: ...
    def set_progress_masks(self, trajectories: Mapping[str, Sequence[Trajectory]]) -> None: ...
    def set_initial_states(self, starts: list[Any]) -> None: ...
    def set_start_weights(self, weights: np.ndarray, share: float) -> None: ...
    def set_level_weights(self, weights: Mapping[str, float]) -> None: ...
    def set_end_penalties(self, penalties: Mapping[str, float]) -> None: ...


@runtime_checkable
class LoggedEnv(LevelEnv, Protocol):
    """One that can also tell what was played, and begin an episode at any moment of that."""

    def watch_games(self, games: Sequence[int]) -> None: ...
    def ended_input_logs(
        self, game: int, *, varied: bool = False
    ) -> list[tuple[InputLog, bytes] | None]: ...
    def save_input_logs(self) -> bytes: ...
    def load_input_logs(self, logs: bytes) -> None: ...
    def record_moments(
        self,
        level: str,
        buttons: bytes,
        moments: Sequence[tuple[int, int]],
        variation: int = 0,
    ) -> list[Any]: ...
    def put_initial_state(self, index: int, start: Any) -> None: ...
    def twin(self, config: EnvConfig, num_envs: int, seed: int) -> Any: ...
    @property
    def leading_frames(self) -> int: ...


@runtime_checkable
class TilesEnv(VectorEnv, Protocol):
    """One that can show its games as `tiles` too, whatever the agent sees."""

    def observe_tiles(self, group: int, out: Mapping[str, np.ndarray]) -> None: ...


def logged_env(env: VectorEnv, setting: str) -> LoggedEnv:
    """Returns `env`, for a setting that needs to know what was played.

    Raises:
        ConfigError: it is another game.
    """
    if isinstance(env, LoggedEnv):
        return env
    raise ConfigError(
        f"{setting} needs games that tell what was played, as those of warpzone.make_vec;"
        f" {type(env).__name__} does not. Take that setting out"
    )


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
