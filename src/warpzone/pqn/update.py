"""Learning: several epochs of gradient steps over one rollout, towards targets that stay."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from warpzone import hardware
from warpzone.ppo.policy import Observation
from warpzone.ppo.rollout import Rollout
from warpzone.ppo.update import checked_means
from warpzone.pqn.network import QNetwork
from warpzone.pqn.targets import q_lambda


@dataclass(frozen=True)
class Batch:
    """What is learnt from a rollout, all of its B = T·N samples in a row."""

    observations: Observation
    actions: Tensor
    """int64 [B]"""
    targets: Tensor
    """float32 [B]"""


def batch_of(rollout: Rollout, gamma: float, lam: float) -> Batch:
    """Returns the samples of a rollout that a `QNetwork` has played, with their targets."""
    targets = q_lambda(rollout.rewards, rollout.next_values, rollout.ended, gamma, lam)
    return Batch(rollout.samples, rollout.actions.flatten(), targets.flatten())


class Updater:
    """RAdam on a Q-network. Computes in one thread on the CPU: results do not depend on how many
    there are.

    Args:
        network: that learns.
        samples: observations [B, ...] like those to be learnt from.
        lr: learning rate at the beginning.
        eps: RAdam's ε.
        epochs: times that each batch is learnt from.
        minibatch_size: samples of a gradient step.
        max_grad_norm: longer gradients are shortened to this L2 norm; None: they are not.
    """

    def __init__(
        self,
        network: QNetwork,
        samples: Observation,
        *,
        lr: float,
        eps: float,
        epochs: int,
        minibatch_size: int,
        max_grad_norm: float | None,
    ) -> None:
        self.network = network
        self.optimizer = torch.optim.RAdam(network.parameters(), lr=lr, eps=eps)
        self.epochs, self.minibatch_size = epochs, minibatch_size
        self.max_grad_norm = max_grad_norm
        self.gathered = {
            name: array.new_empty((minibatch_size, *array.shape[1:]))
            for name, array in samples.items()
        }

    def update(self, batch: Batch, shuffle: torch.Generator, lr: float) -> dict[str, float]:
        """Learns from `batch`; returns losses and diagnostics, means over the last epoch.

        Raises:
            WarpzoneError: the loss is no longer a finite number.
        """
        means = dict[str, float]()
        self.optimizer.param_groups[0]["lr"] = lr
        with hardware.torch_threads(1):
            for _ in range(self.epochs):
                order = torch.randperm(len(batch.actions), generator=shuffle)
                order = hardware.to_device(order, batch.actions.device)
                minibatches = torch.split(order, self.minibatch_size)
                losses, chosen = zip(
                    *(self._step(batch, rows) for rows in minibatches), strict=True
                )
                sums = {
                    "losses/td_loss": torch.stack(losses).sum(),
                    "losses/q_values": torch.stack(chosen).sum(),
                }
                means = checked_means(sums, len(minibatches))
        return means

    def close(self) -> None:
        """Does nothing: no thread helped."""

    def _step(self, batch: Batch, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Makes a gradient step on these samples; returns their loss, mean of ½ (target − Q)², and
        the mean Q of what was done in them."""
        observations = {
            name: torch.index_select(array, 0, rows, out=self.gathered[name][: len(rows)])
            for name, array in batch.observations.items()
        }
        values = self.network.q_values(observations)
        chosen = values.gather(1, batch.actions[rows][:, None])[:, 0]
        loss = 0.5 * F.mse_loss(chosen, batch.targets[rows])
        self.optimizer.zero_grad()
        # torch leaves it without types.
        loss.backward()  # type: ignore[no-untyped-call]
        if self.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.max_grad_norm)
        self.optimizer.step()
        return loss.detach(), chosen.detach().mean()
