"""Vector environments of Gymnasium, from elsewhere, for our trainer.

Knows no game: observations are one array, actions a number, as for CartPole or Atari games.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from warpzone.errors import ConfigError
from warpzone.ppo.policy import ARRAY, SCALARS
from warpzone.smb.config import EnvConfig

Arrays = dict[str, np.ndarray]


@dataclass(slots=True)
class GymnasiumTransition:
    """What a step led to; see `warpzone.ppo.rollout.Transition`."""

    obs: Any
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    finished: np.ndarray
    final_obs: Any
    task: np.ndarray
    success: np.ndarray
    score: np.ndarray
    signals: dict[str, np.ndarray]

    @property
    def partial(self) -> np.ndarray:
        """bool[n]: none, all episodes are whole."""
        return np.zeros(len(self.reward), np.bool_)

    @property
    def position(self) -> np.ndarray:
        """[n]: the score."""
        return self.score


class GymnasiumEnv:
    """`envs` in one group, with one task.

    The score of an episode is its return. An episode is a success if its return reaches
    `threshold`, or where an info `is_success` says so.

    Args:
        envs: whose episodes begin anew in the step that ends them (`AutoresetMode.SAME_STEP`), or
            when they are asked to (`DISABLED`).
        threshold: None: the `reward_threshold` under which the environment is registered, if any.

    Raises:
        ConfigError: observations, actions or an autoreset mode that cannot be trained with.
    """

    begins_anew = True
    """Whether a state that is loaded is one of new episodes."""

    def __init__(self, envs: VectorEnv[Any, Any, Any], threshold: float | None = None) -> None:
        space, spec = envs.single_observation_space, envs.spec
        self.mode = envs.metadata.get("autoreset_mode")
        if self.mode not in (AutoresetMode.SAME_STEP, AutoresetMode.DISABLED):
            raise ConfigError(
                f"training needs autoreset_mode SAME_STEP or DISABLED, not {self.mode}: every"
                " stored step is to be one that the agent played. Make the environment with"
                ' vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP}'
            )
        if not isinstance(space, gymnasium.spaces.Box):
            raise ConfigError(f"observations must be one array (Box), not {space}")
        flat = len(space.shape) == 1 and np.issubdtype(space.dtype, np.floating)
        if not flat and space.dtype != np.uint8:
            raise ConfigError(f"observations must be bytes, or a vector of floats, not {space}")
        if not isinstance(envs.single_action_space, gymnasium.spaces.Discrete):
            raise ConfigError(f"actions must be Discrete, not {envs.single_action_space}")
        self.envs, self.num_envs = envs, envs.num_envs
        self.groups = [slice(0, envs.num_envs)]
        self.name = SCALARS if flat else ARRAY
        self.dtype: Any = np.float32 if flat else np.uint8
        low: Any = space.low.astype(self.dtype)
        high: Any = space.high.astype(self.dtype)
        one = gymnasium.spaces.Box(low, high, space.shape, self.dtype)
        self.single_observation_space: gymnasium.Space[Any] = gymnasium.spaces.Dict(
            {self.name: one}
        )
        self.single_action_space = envs.single_action_space
        self.threshold = (
            threshold if threshold is not None else getattr(spec, "reward_threshold", None)
        )
        self.task_name = spec.id if spec is not None else type(envs).__name__
        self.actions: np.ndarray | None = None
        self.returns = np.zeros(self.num_envs, np.float32)
        self.lengths = np.zeros(self.num_envs, np.int64)
        self.steps = 0
        self.reset()

    def tasks(self) -> Sequence[str]:
        """Returns the environment's name, as its only task."""
        return [self.task_name]

    def reset(self, *, seed: int | None = None) -> None:
        """Begins all episodes anew."""
        observations, _ = self.envs.reset(seed=seed)
        self.obs = self._named(observations)
        self.returns[:], self.lengths[:] = 0, 0

    def observations(self) -> Arrays:
        """Returns what is acted on next, [N, ...]."""
        return self.obs

    def send(self, group: int, actions: np.ndarray, out: Any = None) -> None:
        """Keeps the actions int64 [N] for `recv`. Nothing is written to `out`."""
        # Gymnasium's spaces may begin with another number than 0.
        self.actions = actions + int(self.single_action_space.start)

    def recv(self, group: int) -> GymnasiumTransition:
        """Steps the games.

        Raises:
            RuntimeError: nothing was sent.
        """
        if self.actions is None:
            raise RuntimeError("recv without send")
        actions, self.actions = self.actions, None
        observations, rewards, terminated, truncated, infos = self.envs.step(actions)
        finished = np.flatnonzero(terminated | truncated)
        final = self._named(observations)
        if self.mode == AutoresetMode.DISABLED:
            final = {name: array[finished] for name, array in final.items()}
            if len(finished):
                observations, _ = self.envs.reset(options={"reset_mask": terminated | truncated})
        elif len(finished):
            final = self._named(np.stack([infos["final_obs"][row] for row in finished]))
        else:
            final = {name: array[:0] for name, array in final.items()}
        self.obs = self._named(observations)
        self.returns += rewards
        self.lengths += 1
        self.steps += 1
        returns, lengths = self.returns.copy(), self.lengths.copy()
        self.returns[finished], self.lengths[finished] = 0, 0
        return GymnasiumTransition(
            obs=self.obs,
            reward=np.asarray(rewards, np.float32),
            terminated=terminated,
            truncated=truncated,
            finished=finished,
            final_obs=final,
            task=np.zeros(self.num_envs, np.int64),
            success=self._success(returns, infos),
            score=returns,
            signals={"steps": lengths, "frames": lengths, "episode_return": returns},
        )

    def save_state(self) -> bytes:
        """Returns how many steps were played: environments from elsewhere keep no state."""
        return self.steps.to_bytes(8, "little")

    def load_state(self, state: bytes) -> None:
        """Begins all episodes anew, other ones than at the start: a resumed run is not bit for bit
        the one that was interrupted."""
        self.steps = int.from_bytes(state, "little")
        self.reset(seed=self.steps)

    def close(self) -> None:
        """Closes the environments."""
        self.envs.close()

    def _success(self, returns: np.ndarray, infos: dict[str, Any]) -> np.ndarray:
        told = infos.get("final_info", infos).get("is_success")
        if told is not None:
            return np.asarray(told, np.bool_)
        if self.threshold is None:
            return np.zeros(self.num_envs, np.bool_)
        return np.asarray(returns >= self.threshold, np.bool_)

    def _named(self, observations: Any) -> Arrays:
        return {self.name: np.array(observations, self.dtype)}


def gymnasium_games(
    make: Callable[[int], VectorEnv[Any, Any, Any]], threshold: float | None = None
) -> Callable[[EnvConfig, int, int, int], GymnasiumEnv]:
    """Returns what `warpzone.train` takes as `make_env`, for games from elsewhere.

    Args:
        make: makes a vector environment of so many games.
        threshold: see `GymnasiumEnv`.
    """

    def games(config: EnvConfig, count: int, groups: int, seed: int) -> GymnasiumEnv:
        env = GymnasiumEnv(make(count), threshold)
        env.reset(seed=seed)
        return env

    return games
