"""Playing: N games, T steps each, everything kept that learning needs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import gymnasium
import numpy as np
import torch
from torch import Tensor

from warpzone.noise import gumbel
from warpzone.ppo.policy import Decide, Observation, as_arrays, as_dict, to_tensors


class Transition(Protocol):
    """What a step of a group of n games led to; arrays may be views, valid until its next."""

    obs: Any  # [n, ...]: to act on next, of the new episode where one began; all else is older
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    finished: np.ndarray  # int64 [k]: rows whose episode ended
    final_obs: Any  # [k, ...]: their last observations
    task: np.ndarray  # int [n]: which of the environment's tasks is played
    success: np.ndarray  # bool [n]: whether it is done; read where an episode ends
    score: np.ndarray  # [n]: how far the episode has come, in the environment's own unit
    signals: dict[str, np.ndarray]  # [n] each, at least `steps`, `frames` and `episode_return`

    @property
    def partial(self) -> np.ndarray:
        """bool [n]: whether the episode began elsewhere than at the task's own start."""

    @property
    def position(self) -> np.ndarray:
        """[n]: where the game stands, for curves; the score where there is nothing better."""


OnStep = Callable[[int, Transition], None]
"""Receives a transition as it arrives, and which sample of the rollout, t·N + i, its row 0 is."""


class VectorEnv(Protocol):
    """N games that are stepped in groups, and begin anew in the step that ends them."""

    num_envs: int
    groups: list[slice]  # the rows of each
    single_observation_space: gymnasium.Space[Any]
    single_action_space: Any

    def tasks(self) -> Sequence[str]: ...
    def reset(self, *, seed: int | None = None) -> Any: ...
    def observations(self) -> Any: ...
    # `out` is where `Transition.obs` may be written to: if it is, `obs` is `out` itself.
    def send(self, group: int, actions: np.ndarray, out: Any = None) -> None: ...
    def recv(self, group: int) -> Transition: ...
    def save_state(self) -> bytes: ...
    def load_state(self, state: bytes) -> None: ...
    def close(self) -> None: ...


class Rollout:
    """T steps of N games, in memory that is allocated once; observations stay in their own type.
    Values, and the log-probabilities of all A actions, are those of the playing policy."""

    def __init__(
        self,
        steps: int,
        env: VectorEnv,
        device: torch.device,
        keep: Callable[..., Any] = torch.zeros,
    ) -> None:
        """`keep` makes what holds observations: tensors, or what is read and written like them."""
        games, actions = env.num_envs, int(env.single_action_space.n)
        self.stride = games  # decisions of the run in a step; more where other processes play too
        zeros = functools.partial(torch.zeros, device=device)
        # With the state after the last step, whose value ends the estimates.
        self.observations: dict[str, Any] = {
            name: keep((steps + 1, games, *array.shape[1:]), dtype=array.dtype, device=device)
            for name, array in to_tensors(env.observations(), torch.device("cpu")).items()
        }
        self.values = zeros(steps + 1, games)
        self.actions = zeros(steps, games, dtype=torch.int64)
        self.log_probs = zeros(steps, games, actions)
        self.rewards = zeros(steps, games)
        self.ended = zeros(steps, games, dtype=torch.bool)
        self.tasks = zeros(steps, games, dtype=torch.int64)
        self.truncated_values = zeros(steps, games)
        """V of the last observation where an episode was truncated, else 0."""
        self.discounts: Tensor | None = None  # of each step, [T, N], where they differ

    @property
    def samples(self) -> Observation:
        """Returns the observations that were decided on, as views [T·N, ...]."""
        return {name: array[:-1].flatten(0, 1) for name, array in self.observations.items()}

    @property
    def next_values(self) -> Tensor:
        """Returns V [T, N] of the state each step led to, within the episode (see `ppo.gae`)."""
        return torch.where(self.ended, self.truncated_values, self.values[1:])


@torch.no_grad()
def collect(
    env: VectorEnv, decide: Decide, rollout: Rollout, seed: int, first: int, on_step: OnStep
) -> None:
    """Fills `rollout`, going on where the games stand; while one group plays, decides for another.
    Draws with `gumbel` noise: game i in step t makes decision `first` + t·N + i of the run."""
    (steps, games), device = rollout.actions.shape, rollout.values.device
    noise = torch.from_numpy(gumbel(seed, first, rollout.log_probs.shape, rollout.stride))
    noise = noise.to(device)
    for name, array in as_dict(env.observations()).items():
        rollout.observations[name][0] = torch.from_numpy(array)
    arrays, outs = rollout.observations.values(), dict[int, Any]()
    in_place = all(isinstance(a, Tensor) and a.device.type == "cpu" for a in arrays)
    for t in range(steps + 1):
        for group, rows in enumerate(env.groups):
            if t > 0:
                transition = env.recv(group)
                on_step((t - 1) * games + rows.start, transition)
                store_outcome(rollout, decide, t - 1, rows, transition)
                if transition.obs is not outs[group]:
                    for name, array in as_dict(transition.obs).items():
                        rollout.observations[name][t, rows] = torch.from_numpy(array)
            seen = {name: array[t, rows] for name, array in rollout.observations.items()}
            logits, values = decide(seen)
            rollout.values[t, rows] = values
            if t < steps:
                rollout.actions[t, rows] = (logits + noise[t, rows]).argmax(1)
                outs[group] = None
                if in_place:
                    following = {k: v[t + 1, rows] for k, v in rollout.observations.items()}
                    outs[group] = as_arrays(following)
                env.send(group, rollout.actions[t, rows].cpu().numpy(), outs[group])
                rollout.log_probs[t, rows] = logits.log_softmax(1)


def store_outcome(rollout: Rollout, decide: Decide, t: int, rows: slice, step: Transition) -> None:
    """Notes what step t led to; `decide` tells the value of last observations that were cut off."""
    rollout.rewards[t, rows] = torch.from_numpy(step.reward)
    rollout.ended[t, rows] = torch.from_numpy(step.terminated | step.truncated)
    rollout.tasks[t, rows] = torch.from_numpy(step.task)
    rollout.truncated_values[t, rows] = 0.0
    # A state that is both terminal and cut off is terminal: nothing comes after it.
    cut_off = ~step.terminated[step.finished]
    if cut_off.any():
        final = {k: v[cut_off] for k, v in as_dict(step.final_obs).items()}
        games, device = rows.start + step.finished[cut_off], rollout.values.device
        rollout.truncated_values[t, games] = decide(to_tensors(final, device))[1]
