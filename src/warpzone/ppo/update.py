"""Learning: several passes of gradient steps over one rollout."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from warpzone import hardware
from warpzone.errors import WarpzoneError
from warpzone.ppo import losses as ppo
from warpzone.ppo.policy import Observation, Policy
from warpzone.ppo.rollout import Rollout
from warpzone.training.config import TrainConfig
from warpzone.training.distillation import Teachers

LEAST_SHARE = 64
"""Samples of a minibatch that are worth a thread of their own."""


@dataclass(frozen=True)
class Batch:
    """What is learnt from a rollout, all of its B = T·N samples in a row."""

    observations: Observation
    actions: Tensor
    log_probs: Tensor
    advantages: Tensor
    targets: Tensor
    teacher_log_probs: Tensor | None = None
    """Of all actions, [B, A], where there are teachers."""
    taught: Tensor | None = None
    """Which samples have one, as 0 and 1."""

    def rows(self, index: Tensor, out: Observation) -> Batch:
        """The samples `index` [b]; observations are gathered into `out`, which holds ≥ b rows."""
        observations = {
            name: torch.index_select(array, 0, index, out=out[name][: len(index)])
            for name, array in self.observations.items()
        }
        fields = (self.actions, self.log_probs, self.advantages, self.targets)
        taught = (self.teacher_log_probs, self.taught)
        return Batch(
            observations,
            *(field[index] for field in fields),
            *(None if field is None else field[index] for field in taught),
        )


def batch_of(rollout: Rollout, config: TrainConfig, teachers: Teachers | None = None) -> Batch:
    """Estimate advantages and value targets of a rollout, and ask the teachers."""
    values, next_values = rollout.values[:-1], rollout.next_values
    advantages = ppo.gae(
        rollout.rewards, values, next_values, rollout.ended, config.gamma, config.gae_lambda
    )
    if config.value_target == "lambda":
        targets = values + advantages
    else:
        targets = rollout.rewards + config.gamma * next_values
    if config.normalize_advantage:
        advantages = ppo.normalize(advantages, rollout.levels)
    lessons: tuple[Tensor | None, Tensor | None] = None, None
    if teachers is not None:
        log_probs, taught = teachers.log_probs(rollout.samples, rollout.levels.flatten())
        lessons = log_probs, taught.float()
    return Batch(
        rollout.samples,
        rollout.actions.flatten(),
        rollout.log_probs.flatten(0, 1),
        advantages.flatten(),
        targets.flatten(),
        *lessons,
    )


def losses(
    policy: Policy,
    batch: Batch,
    config: TrainConfig,
    entropy_coef: float,
    beta: float,
    teacher_coef: float = 0.0,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss to descend, and its parts and diagnostics as scalars without gradient."""
    logits, values = policy(batch.observations)
    log_probs = logits.log_softmax(1)
    taken = batch.actions[:, None]
    log_ratio = (log_probs - batch.log_probs).gather(1, taken)[:, 0]
    divergence = ppo.kl(batch.log_probs, log_probs)
    if config.objective == "clip":
        policy_loss = ppo.clipped_loss(log_ratio, batch.advantages, config.clip)
    else:
        policy_loss = ppo.penalty_loss(log_ratio, batch.advantages, divergence, beta)
    value_loss = F.mse_loss(values, batch.targets)
    entropy = ppo.entropy(log_probs).mean()
    loss = config.policy_coef * policy_loss + config.value_coef * value_loss
    loss = loss - entropy_coef * entropy
    ratio = log_ratio.detach().exp()
    parts = {
        "losses/policy_loss": policy_loss.detach(),
        "losses/value_loss": value_loss.detach(),
        "losses/entropy": entropy.detach(),
        "losses/approx_kl": divergence.detach().mean(),
        "losses/clipfrac": ((ratio - 1).abs() > config.clip).float().mean(),
    }
    if batch.teacher_log_probs is not None and batch.taught is not None:
        distance = (ppo.kl(batch.teacher_log_probs, log_probs) * batch.taught).mean()
        loss = loss + teacher_coef * distance
        parts["losses/teacher_kl"] = distance.detach()
    return loss, parts


class Updater:
    """Adam on a policy. Each minibatch is split into shares for threads, which share the weights.

    One thread per share and not several per operation: threads that meet after each operation wait
    for the slowest of them hundreds of times in a minibatch. On two cores the tiles' network learns
    faster by shares, and beside other busy programs the pictures' networks several times faster.
    """

    def __init__(
        self, policy: Policy, samples: Observation, config: TrainConfig, threads: int
    ) -> None:
        """`samples`: observations [B, ...] like those to be learnt from."""
        self.policy, self.config = policy, config
        self.parameters = list(policy.parameters())
        for parameter in self.parameters:
            # The fused optimiser needs gradients that lie in memory as their weights do.
            parameter.grad = torch.zeros_like(parameter)
        self.optimizer = torch.optim.Adam(
            self.parameters, lr=config.lr, eps=config.adam_eps, fused=True
        )
        on_cpu = next(iter(samples.values())).device.type == "cpu"
        shares = min(threads, max(1, config.minibatch_size // LEAST_SHARE)) if on_cpu else 1
        self.threads_per_share = threads // shares
        self.rows_per_share = -(-config.minibatch_size // shares)
        self.gathered = [
            {
                name: array.new_empty((self.rows_per_share, *array.shape[1:]))
                for name, array in samples.items()
            }
            for _ in range(shares)
        ]
        # How many threads torch may use is set for each thread by itself.
        self.helpers = ThreadPoolExecutor(
            max(1, shares - 1), "learner", lambda: torch.set_num_threads(self.threads_per_share)
        )

    def update(
        self,
        batch: Batch,
        shuffle: torch.Generator,
        *,
        lr: float,
        entropy_coef: float,
        beta: float,
        teacher_coef: float = 0.0,
    ) -> dict[str, float]:
        """Learn from `batch`; return losses and diagnostics, means over the last pass.

        Raises:
            WarpzoneError: the loss is no longer a finite number.
        """
        config = self.config
        means: dict[str, float] = {}
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        with hardware.torch_threads(self.threads_per_share):
            for _ in range(config.update_epochs):
                order = torch.randperm(len(batch.actions), generator=shuffle)
                minibatches = torch.split(order.to(batch.actions.device), config.minibatch_size)
                sums: dict[str, Tensor] = {}
                for index in minibatches:
                    _add(sums, self.differentiate(batch, index, entropy_coef, beta, teacher_coef))
                    if config.max_grad_norm is not None:
                        nn.utils.clip_grad_norm_(self.parameters, config.max_grad_norm)
                    self.optimizer.step()
                means = {name: float(total) / len(minibatches) for name, total in sums.items()}
                if not all(math.isfinite(mean) for mean in means.values()):
                    raise WarpzoneError(
                        f"training diverged: {means}. Go on from the last checkpoint with a lower"
                        " learning rate (--set lr=…), or start again with another seed"
                    )
                if config.target_kl is not None and means["losses/approx_kl"] > config.target_kl:
                    break
        return means

    def differentiate(
        self,
        batch: Batch,
        index: Tensor,
        entropy_coef: float,
        beta: float,
        teacher_coef: float = 0.0,
    ) -> dict[str, Tensor]:
        """Set the gradients to those of the samples `index`; return their losses."""

        def share(
            rows: Tensor, gathered: Observation
        ) -> tuple[Sequence[Tensor], dict[str, Tensor]]:
            samples = batch.rows(rows, gathered)
            loss, parts = losses(
                self.policy, samples, self.config, entropy_coef, beta, teacher_coef
            )
            weight = len(rows) / len(index)
            gradients = torch.autograd.grad(loss * weight, self.parameters)
            return gradients, {name: part * weight for name, part in parts.items()}

        first, *others = zip(torch.split(index, self.rows_per_share), self.gathered, strict=False)
        helped = [self.helpers.submit(share, *arguments) for arguments in others]
        gradients, sums = share(*first)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            assert parameter.grad is not None
            parameter.grad.copy_(gradient)
        for future in helped:
            gradients, parts = future.result()
            _add(sums, parts)
            for parameter, gradient in zip(self.parameters, gradients, strict=True):
                assert parameter.grad is not None
                parameter.grad.add_(gradient)
        return sums


def _add(sums: dict[str, Tensor], parts: dict[str, Tensor]) -> None:
    for name, part in parts.items():
        sums[name] = sums[name] + part if name in sums else part
