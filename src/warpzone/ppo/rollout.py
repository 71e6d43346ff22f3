"""Playing: N games, T steps each, everything kept that learning needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import gymnasium
import numpy as np
import torch
from torch import Tensor

from warpzone.ppo import losses as ppo
from warpzone.ppo.policy import Observation, Policy, as_dict, to_tensors


class Transition(Protocol):
    """What a step of a group of n games led to."""

    obs: Any
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    signals: dict[str, np.ndarray]
    finished: np.ndarray
    final_obs: Any


class VectorEnv(Protocol):
    """The face of the vector environment that training and measuring use."""

    num_envs: int
    groups: list[slice]
    single_observation_space: gymnasium.Space[Any]
    single_action_space: Any
    rom: Any
    """The `Rom` that is played, or None."""

    def reset(self, *, seed: int | None = None) -> Any: ...
    def observations(self) -> Any: ...
    def send(self, group: int, actions: np.ndarray) -> None: ...
    def recv(self, group: int) -> Transition: ...
    def save_state(self) -> bytes: ...
    def load_state(self, state: bytes) -> None: ...
    def explorer(self, level: str, seed: int = 0) -> Any: ...
    def record_starts(self, level: str, way: Any) -> list[Any]: ...
    def set_routes(self, ways: dict[str, list[Any]]) -> None: ...
    def set_starts(self, starts: list[Any]) -> None: ...
    def weigh_starts(self, weights: np.ndarray, share: float) -> None: ...
    def close(self) -> None: ...


class Rollout:
    """T steps of N games, in memory that is allocated once.

    Observations stay in the environment's own type, mostly uint8. Values, and the log-probabilities
    of all A actions, are those that the playing policy computed: learning needs no pass of the
    network for them.
    """

    def __init__(self, steps: int, env: VectorEnv, device: torch.device) -> None:
        games, actions = env.num_envs, int(env.single_action_space.n)

        def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        # With the state after the last step, whose value ends the estimates.
        self.observations: Observation = {
            name: zeros(steps + 1, games, *array.shape[1:], dtype=array.dtype)
            for name, array in to_tensors(env.observations(), torch.device("cpu")).items()
        }
        self.values = zeros(steps + 1, games)
        self.actions = zeros(steps, games, dtype=torch.int64)
        self.log_probs = zeros(steps, games, actions)
        self.rewards = zeros(steps, games)
        self.ended = zeros(steps, games, dtype=torch.bool)
        self.levels = zeros(steps, games, dtype=torch.int64)
        self.cut_values = zeros(steps, games)
        """V of the last observation where an episode was truncated, else 0."""

    @property
    def samples(self) -> Observation:
        """The observations that were decided on, as views [T·N, ...]."""
        return {name: array[:-1].flatten(0, 1) for name, array in self.observations.items()}

    @property
    def next_values(self) -> Tensor:
        """V [T, N] of the state each step led to, within the episode (see `ppo.gae`)."""
        return torch.where(self.ended, self.cut_values, self.values[1:])


@torch.no_grad()
def collect(
    env: VectorEnv,
    policy: Policy,
    rollout: Rollout,
    generator: torch.Generator,
    watch: Callable[[slice, Transition], None],
) -> None:
    """Fill `rollout`, going on where the games stand; while one group plays, decide for another.

    `watch` sees every transition as it arrives, with the rows of its group.
    """
    steps, start = len(rollout.actions), as_dict(env.observations())
    cut: list[tuple[int, np.ndarray, Observation]] = []
    with policy.autocast():
        for t in range(steps + 1):
            for group, rows in enumerate(env.groups):
                if t == 0:
                    seen = {name: array[rows] for name, array in start.items()}
                else:
                    transition = env.recv(group)
                    watch(rows, transition)
                    _store_outcome(rollout, t - 1, rows, transition, cut)
                    seen = as_dict(transition.obs)
                for name, array in seen.items():
                    rollout.observations[name][t, rows] = torch.from_numpy(array)
                logits, values = policy({k: v[t, rows] for k, v in rollout.observations.items()})
                rollout.values[t, rows] = values
                if t < steps:
                    rollout.actions[t, rows] = ppo.sample(logits, generator)
                    env.send(group, rollout.actions[t, rows].cpu().numpy())
                    rollout.log_probs[t, rows] = logits.log_softmax(1)
        for t, games, final in cut:
            rollout.cut_values[t, games] = policy(final)[1]


def _store_outcome(
    rollout: Rollout,
    t: int,
    rows: slice,
    transition: Transition,
    cut: list[tuple[int, np.ndarray, Observation]],
) -> None:
    terminated, truncated = transition.terminated, transition.truncated
    rollout.rewards[t, rows] = torch.from_numpy(transition.reward)
    rollout.ended[t, rows] = torch.from_numpy(terminated | truncated)
    rollout.levels[t, rows] = torch.from_numpy(transition.signals["level"])
    rollout.cut_values[t, rows] = 0.0
    if len(transition.finished):
        # A state that is both terminal and cut off is terminal: nothing comes after it.
        cut_off = ~terminated[transition.finished]
        if cut_off.any():
            final = {k: v[cut_off] for k, v in as_dict(transition.final_obs).items()}
            games = rows.start + transition.finished[cut_off]
            cut.append((t, games, to_tensors(final, rollout.values.device)))
