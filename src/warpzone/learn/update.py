"""Learning: several passes of gradient steps over one rollout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from warpzone.errors import WarpzoneError
from warpzone.learn import ppo
from warpzone.learn.config import TrainConfig
from warpzone.learn.policy import Observation, Policy
from warpzone.learn.rollout import Rollout


@dataclass(frozen=True)
class Batch:
    """What is learnt from a rollout, all of its B = T·N samples in a row."""

    observations: Observation
    actions: Tensor
    log_probs: Tensor
    advantages: Tensor
    targets: Tensor

    def rows(self, index: Tensor, out: Observation) -> Batch:
        """The samples `index` [b]; observations are gathered into `out`, which holds ≥ b rows."""
        observations = {
            name: torch.index_select(array, 0, index, out=out[name][: len(index)])
            for name, array in self.observations.items()
        }
        fields = (self.actions, self.log_probs, self.advantages, self.targets)
        return Batch(observations, *(field[index] for field in fields))


def batch_of(rollout: Rollout, config: TrainConfig) -> Batch:
    """Estimate advantages and value targets of a rollout."""
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
    return Batch(
        rollout.samples,
        rollout.actions.flatten(),
        rollout.log_probs.flatten(0, 1),
        advantages.flatten(),
        targets.flatten(),
    )


def losses(
    policy: Policy, batch: Batch, config: TrainConfig, entropy_coef: float, beta: float
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
    loss = policy_loss + config.value_coef * value_loss - entropy_coef * entropy
    ratio = log_ratio.detach().exp()
    parts = {
        "losses/policy_loss": policy_loss.detach(),
        "losses/value_loss": value_loss.detach(),
        "losses/entropy": entropy.detach(),
        "losses/approx_kl": divergence.detach().mean(),
        "losses/clipfrac": ((ratio - 1).abs() > config.clip).float().mean(),
    }
    return loss, parts


class Updater:
    """Adam on a policy, and the buffers that minibatches are gathered into."""

    def __init__(self, policy: Policy, samples: Observation, config: TrainConfig) -> None:
        """`samples`: observations [B, ...] like those to be learnt from."""
        self.policy, self.config = policy, config
        self.optimizer = torch.optim.Adam(
            policy.parameters(), lr=config.lr, eps=config.adam_eps, fused=True
        )
        self.gathered = {
            name: array.new_empty((config.minibatch, *array.shape[1:]))
            for name, array in samples.items()
        }

    def update(
        self,
        batch: Batch,
        shuffle: torch.Generator,
        *,
        lr: float,
        entropy_coef: float,
        beta: float,
        check: Callable[[], None],
    ) -> dict[str, float]:
        """Learn from `batch`; return losses and diagnostics, means over the last pass.

        `check` is called before each gradient step and may raise to break off.

        Raises:
            WarpzoneError: the loss is no longer a finite number.
        """
        config, means = self.config, {}
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        for _ in range(config.passes):
            order = torch.randperm(len(batch.actions), generator=shuffle)
            minibatches = torch.split(order.to(batch.actions.device), config.minibatch)
            sums: dict[str, Tensor] = {}
            for index in minibatches:
                check()
                minibatch = batch.rows(index, self.gathered)
                loss, parts = losses(self.policy, minibatch, config, entropy_coef, beta)
                self.optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                if config.max_grad_norm is not None:
                    nn.utils.clip_grad_norm_(self.policy.parameters(), config.max_grad_norm)
                self.optimizer.step()
                for name, part in parts.items():
                    sums[name] = sums[name] + part if name in sums else part
            means = {name: float(total) / len(minibatches) for name, total in sums.items()}
            if not all(abs(mean) < float("inf") for mean in means.values()):
                raise WarpzoneError(
                    f"training diverged: {means}. Go on from the last checkpoint with a lower"
                    " learning rate (--set lr=…), or start again with another seed"
                )
            if config.target_kl is not None and means["losses/approx_kl"] > config.target_kl:
                break
        return means
