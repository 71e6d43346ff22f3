"""Playing for a policy on a GPU: what `ppo.rollout.collect` does, with nothing waited for in a step
but its own actions.

Games write observations into pinned memory of their group, from where a copy goes to the GPU while
the other group's games write theirs. Outcomes gather in pinned memory and go over once for a
rollout; last observations of episodes that were cut short are judged at its end.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from warpzone import hardware
from warpzone.noise import gumbel
from warpzone.ppo.policy import Decide, Observation, as_arrays, as_dict, to_tensors
from warpzone.ppo.rollout import OnStep, Rollout, Transition, VectorEnv


class Event(Protocol):
    """A moment of what the GPU has been told to do, as `torch.cuda.Event`."""

    def record(self) -> None: ...
    def synchronize(self) -> None: ...


class GpuPlayer:
    """Fills a rollout on a GPU from games on the CPU.

    Args:
        env: the games.
        rollout: on the GPU; on the CPU for tests, where nothing is pinned and nothing waited for.
    """

    def __init__(self, env: VectorEnv, rollout: Rollout) -> None:
        self.env, self.rollout = env, rollout
        device = rollout.values.device
        self.pinned = device.type == "cuda"
        self.inboxes: list[Observation] = [
            {
                name: self._memory(rows.stop - rows.start, *array.shape[2:], like=array)
                for name, array in rollout.observations.items()
            }
            for rows in env.groups
        ]
        """What a group's games have written last."""
        self.outs = [as_arrays(inbox) for inbox in self.inboxes]
        shape = rollout.rewards.shape
        self.actions = self._memory(shape[1], like=rollout.actions)
        self.outcomes = {
            name: self._memory(*shape, like=getattr(rollout, name))
            for name in ("rewards", "ended", "tasks")
        }
        self.decided = [self.event() for _ in env.groups]
        self.sent = self.event()
        """The outcomes of the last rollout are on the GPU."""

    def event(self) -> Event:
        """Returns an event that has not been recorded."""
        # torch leaves its constructor without types.
        return torch.cuda.Event() if self.pinned else _Reached()  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def play(self, decide: Decide, seed: int, first: int, on_step: OnStep) -> None:
        """Fills the rollout, going on where the games stand; the arguments are `collect`'s."""
        with self._current():
            self._play(decide, seed, first, on_step)

    def _play(self, decide: Decide, seed: int, first: int, on_step: OnStep) -> None:
        env, rollout = self.env, self.rollout
        (steps, games), device = rollout.actions.shape, rollout.values.device
        drawn = torch.from_numpy(gumbel(seed, first, rollout.log_probs.shape, rollout.stride))
        noise = hardware.to_device(drawn, device)
        start = to_tensors(env.observations(), torch.device("cpu"))
        truncated: list[tuple[int, np.ndarray, Any]] = []
        self.sent.synchronize()
        for t in range(steps + 1):
            for group, rows in enumerate(env.groups):
                inbox = self.inboxes[group]
                if t == 0:
                    for name, array in start.items():
                        inbox[name].copy_(array[rows])
                else:
                    step = env.recv(group)
                    on_step((t - 1) * games + rows.start, step)
                    self._note(t - 1, rows, step, truncated)
                    if step.obs is not self.outs[group]:
                        for name, array in to_tensors(step.obs, torch.device("cpu")).items():
                            inbox[name].copy_(array)
                seen = {name: array[t, rows] for name, array in rollout.observations.items()}
                for name, array in inbox.items():
                    seen[name].copy_(array, non_blocking=True)
                logits, values = decide(seen)
                rollout.values[t, rows] = values
                if t == steps:
                    continue
                rollout.actions[t, rows] = (logits + noise[t, rows]).argmax(1)
                actions = self.actions[rows]
                actions.copy_(rollout.actions[t, rows], non_blocking=True)
                self.decided[group].record()
                rollout.log_probs[t, rows] = logits.log_softmax(1)
                # Once the actions are here, the copy from the inbox, told before, is over too.
                self.decided[group].synchronize()
                env.send(group, actions.numpy(), self.outs[group])
        for name, array in self.outcomes.items():
            getattr(rollout, name).copy_(array, non_blocking=True)
        self.sent.record()
        rollout.truncated_values.zero_()
        for t, which, final in truncated:
            rollout.truncated_values[t, which] = decide(to_tensors(final, device))[1]

    def _current(self) -> AbstractContextManager[object]:
        """Returns a context in which events are those of the rollout's GPU."""
        return torch.cuda.device(self.rollout.values.device) if self.pinned else nullcontext()

    def _memory(self, *shape: int, like: Tensor) -> Tensor:
        return torch.zeros(shape, dtype=like.dtype, pin_memory=self.pinned)

    def _note(
        self, t: int, rows: slice, step: Transition, truncated: list[tuple[int, np.ndarray, Any]]
    ) -> None:
        """Takes in the outcome of a step; what is a view of the games' memory is copied."""
        self.outcomes["rewards"][t, rows] = torch.from_numpy(step.reward)
        self.outcomes["ended"][t, rows] = torch.from_numpy(step.terminated | step.truncated)
        self.outcomes["tasks"][t, rows] = torch.from_numpy(step.task)
        # A state that is both terminal and cut off is terminal: nothing comes after it.
        cut_off = ~step.terminated[step.finished]
        if cut_off.any():
            final = {name: array[cut_off] for name, array in as_dict(step.final_obs).items()}
            truncated.append((t, rows.start + step.finished[cut_off], final))


class _Reached:
    """An event on the CPU, which has done all that it was told."""

    def record(self) -> None:
        pass

    def synchronize(self) -> None:
        pass
