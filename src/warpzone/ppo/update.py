"""Learning: several epochs of gradient steps over one rollout."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from warpzone import hardware
from warpzone.errors import WarpzoneError
from warpzone.ppo import losses as ppo
from warpzone.ppo.config import PPOConfig
from warpzone.ppo.policy import Decide, Observation, Policy
from warpzone.ppo.rollout import Rollout

SHARD = 128
"""Samples of a minibatch whose gradients one thread computes. Fewer cost more for each; were there
as many shards as threads, the sums of gradients would depend on the machine."""

Distill = Callable[[Observation, Tensor], tuple[Tensor, Tensor]]
"""(observations, tasks [B]) → log-probabilities [B, A] to be drawn towards, and where: 1 or 0."""
Losses = tuple[Tensor, dict[str, Tensor]]
"""The loss to descend, and its parts and diagnostics as scalars without gradient."""


@dataclass(frozen=True)
class Coefficients:
    """What changes from one update to the next."""

    lr: float
    entropy: float
    beta: float = 1.0
    """Weight of the KL penalty (objective `kl` only)."""
    distillation: float = 0.0


@dataclass(frozen=True)
class Batch:
    """What is learnt from a rollout, all of its B = T·N samples in a row."""

    observations: Observation
    actions: Tensor
    log_probs: Tensor
    advantages: Tensor
    targets: Tensor
    distillation_log_probs: Tensor | None = None
    distillation_mask: Tensor | None = None
    """float32 [B], 1 where there is a distillation policy."""

    def rows(self, index: Tensor, out: Observation) -> Batch:
        """Returns the samples `index` [b]; `out`, of ≥ b rows, takes their observations."""
        observations = {
            name: torch.index_select(array, 0, index, out=out[name][: len(index)])
            for name, array in self.observations.items()
        }
        others: list[Any] = [getattr(self, field.name) for field in fields(self)[1:]]
        others = [None if other is None else other[index] for other in others]
        return Batch(observations, *others)


def batch_of(rollout: Rollout, config: PPOConfig, distill: Distill | None = None) -> Batch:
    """Estimates the advantages and value targets of a rollout."""
    rewards, values, next_values = rollout.rewards, rollout.values[:-1], rollout.next_values
    gamma = config.gamma if rollout.discounts is None else rollout.discounts
    advantages = ppo.gae(rewards, values, next_values, rollout.ended, gamma, config.gae_lambda)
    one_step = rewards + gamma * next_values
    targets = values + advantages if config.value_target == "lambda" else one_step
    if config.normalize_advantage:
        advantages = ppo.normalize(advantages, rollout.tasks)
    shown = (None, None) if distill is None else distill(rollout.samples, rollout.tasks.flatten())
    parts = (rollout.actions, rollout.log_probs, advantages, targets)
    flat: list[Any] = [part.flatten(0, 1) for part in parts]
    return Batch(rollout.samples, *flat, *shown)


def losses(decide: Decide, batch: Batch, config: PPOConfig, coefficients: Coefficients) -> Losses:
    """Returns the losses of what `decide` says to the samples of `batch`."""
    logits, values = decide(batch.observations)
    log_probs = logits.log_softmax(1)

    # Policy: https://arxiv.org/abs/1707.06347, eq. 7 or 8
    log_ratio = (log_probs - batch.log_probs).gather(1, batch.actions[:, None])[:, 0]
    divergence = ppo.kl(batch.log_probs, log_probs)
    if config.objective == "clip":
        policy_loss = ppo.clipped_loss(log_ratio, batch.advantages, config.clip)
    else:
        policy_loss = ppo.penalty_loss(log_ratio, batch.advantages, divergence, coefficients.beta)

    # Value and entropy: the same, eq. 9
    value_loss = F.mse_loss(values, batch.targets)
    entropy = ppo.entropy(log_probs).mean()
    loss = config.policy_coef * policy_loss + config.value_coef * value_loss
    loss = loss - coefficients.entropy * entropy

    ratio = log_ratio.detach().exp()
    parts = {
        "losses/policy_loss": policy_loss.detach(),
        "losses/value_loss": value_loss.detach(),
        "losses/entropy": entropy.detach(),
        "losses/kl": divergence.detach().mean(),
        "losses/clipfrac": ((ratio - 1).abs() > config.clip).float().mean(),
    }

    # Distillation: https://arxiv.org/abs/1803.03835, eq. 2
    if batch.distillation_log_probs is not None and batch.distillation_mask is not None:
        distances = ppo.kl(batch.distillation_log_probs, log_probs)
        distance = (distances * batch.distillation_mask).mean()
        loss = loss + coefficients.distillation * distance
        parts["losses/distillation_kl"] = distance.detach()
    return loss, parts


class Updater:
    """Adam on a policy. Each minibatch is split into shards for threads, which meet once for it,
    not after each operation. Results do not depend on the number of threads."""

    parts, steps, shard = 1, 1, SHARD
    """Processes that have as many samples, samples in a row that stay together, rows of a shard."""

    def __init__(self, policy: Policy, samples: Observation, config: PPOConfig, threads: int):
        """`samples`: observations [B, ...] like those to be learnt from."""
        self.policy, self.config = policy, config
        self.parameters = list(policy.parameters())
        # The fused optimiser needs gradients that lie in memory as their weights do.
        self.gradients = [torch.zeros_like(parameter) for parameter in self.parameters]
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.grad = gradient
        self.optimizer = torch.optim.Adam(self.parameters, eps=config.adam_eps, fused=True)
        on_cpu = next(iter(samples.values())).device.type == "cpu"
        self.rows = config.minibatch_size // self.steps
        self.rows_per_shard = min(self.shard, self.rows) if on_cpu else self.rows
        shards, rows = -(-self.rows // self.rows_per_shard), self.rows_per_shard * self.steps
        self.gathered: list[Observation] = [
            {name: array.new_empty((rows, *array.shape[1:])) for name, array in samples.items()}
            for _ in range(shards)
        ]
        # How many threads torch may use is set for each thread by itself.
        helpers = min(threads, shards)
        self.helpers = ThreadPoolExecutor(helpers, "learner", torch.set_num_threads, (1,))
        self.close = self.helpers.shutdown

    def update(
        self, batch: Batch, shuffle: torch.Generator, coefficients: Coefficients
    ) -> dict[str, float]:
        """Learns from `batch`; returns losses and diagnostics, means over the last epoch.

        Raises:
            WarpzoneError: the loss is no longer a finite number.
        """
        config, means = self.config, dict[str, float]()
        self.optimizer.param_groups[0]["lr"] = coefficients.lr
        with hardware.torch_threads(1):
            for _ in range(config.update_epochs):
                count = self.parts * len(batch.actions) // self.steps
                order = torch.randperm(count, generator=shuffle)
                order = hardware.to_device(order, batch.actions.device)
                minibatches = torch.split(order, self.rows)
                sums: dict[str, Tensor] = {}
                for index in minibatches:
                    _add(sums, self.compute_gradients(batch, index, coefficients))
                    if config.max_grad_norm is not None:
                        nn.utils.clip_grad_norm_(self.parameters, config.max_grad_norm)
                    self.optimizer.step()
                means = checked_means(sums, len(minibatches))
        return means

    def compute_gradients(
        self, batch: Batch, index: Tensor, coefficients: Coefficients
    ) -> dict[str, Tensor]:
        """Sets the gradients to those of the rows `index`; returns their losses."""

        def shard(rows: Tensor, out: Observation) -> tuple[Sequence[Tensor], dict[str, Tensor]]:
            loss, parts = self.losses(batch, rows, out, coefficients)
            weight = len(rows) / len(index)
            gradients = torch.autograd.grad(loss * weight, self.parameters)
            return gradients, {name: part * weight for name, part in parts.items()}

        # Sums are taken in the order of the shards: they do not depend on which is ready first.
        sums: dict[str, Tensor] = {}
        shards = torch.split(index, self.rows_per_shard)
        for i, (gradients, parts) in enumerate(self.helpers.map(shard, shards, self.gathered)):
            for total, gradient in zip(self.gradients, gradients, strict=True):
                total.add_(gradient) if i else total.copy_(gradient)
            _add(sums, parts)
        return sums

    def losses(self, batch: Batch, rows: Tensor, out: Observation, now: Coefficients) -> Losses:
        """Returns the losses of `rows`; `out` has room for their observations."""
        return losses(self.policy, batch.rows(rows, out), self.config, now)


def checked_means(sums: Mapping[str, Tensor | float], count: int) -> dict[str, float]:
    """Returns the means of sums over `count` minibatches.

    Raises:
        WarpzoneError: one is no longer a finite number.
    """
    means = {name: float(total) / count for name, total in sums.items()}
    if not all(math.isfinite(mean) for mean in means.values()):
        raise WarpzoneError(
            f"training diverged: {means}. Go on from the last checkpoint with a lower learning"
            " rate (--set lr=…), or start again with another seed"
        )
    return means


def _add(sums: dict[str, Tensor], parts: dict[str, Tensor]) -> None:
    for name, part in parts.items():
        sums[name] = sums[name] + part if name in sums else part
