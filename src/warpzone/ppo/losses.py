"""The mathematics of proximal policy optimisation, as functions without state.

Schulman et al. 2017, "Proximal Policy Optimization Algorithms" (PPO), and Schulman et al. 2016,
"High-Dimensional Continuous Control Using Generalized Advantage Estimation" (GAE).
In shapes, T is steps of a rollout, N games, B samples of a minibatch, A actions.
"""

from __future__ import annotations

import torch
from torch import Tensor

Schedule = str


def sample(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Draw actions int64 [B] from softmax(logits [B, A]) by the Gumbel-max trick."""
    uniform = torch.rand(logits.shape, generator=generator, device=logits.device)
    return (logits - uniform.log_().neg_().log_()).argmax(1)


def gae(
    rewards: Tensor, values: Tensor, next_values: Tensor, ended: Tensor, gamma: float, lam: float
) -> Tensor:
    """Generalised advantage estimates [T, N] (GAE, eq. 16).

    Args:
        rewards: float32 [T, N], of the step from state t to t + 1.
        values: float32 [T, N], V(s_t).
        next_values: float32 [T, N], V of the state that the step led to, in the same episode:
            0 where it was terminal, the value of the last observation where it was cut short.
        ended: bool [T, N], whether the step was its episode's last, by either cause.
        gamma: discount per step.
        lam: λ; 0 gives one-step errors, 1 returns minus values.
    """
    errors = rewards + gamma * next_values - values
    carry = gamma * lam * (~ended).to(errors.dtype)
    advantages = torch.empty_like(errors)
    following = torch.zeros_like(errors[0])
    for t in range(len(errors) - 1, -1, -1):
        following = errors[t] + carry[t] * following
        advantages[t] = following
    return advantages


def normalize(advantages: Tensor, groups: Tensor) -> Tensor:
    """Shift and scale `advantages` to mean 0 and deviation 1 within each group, of same shape.

    Groups are levels: one where much is to be gained would otherwise drown the others.
    """
    result = torch.empty_like(advantages)
    for group in torch.unique(groups):
        members = groups == group
        chosen = advantages[members]
        result[members] = (chosen - chosen.mean()) / (chosen.std(correction=0) + 1e-8)
    return result


def clipped_loss(log_ratio: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """Clipped surrogate objective (PPO, eq. 7), negated, mean over [B].

    `log_ratio` is log π(a|s) − log π_old(a|s).
    """
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return -torch.minimum(ratio * advantages, clipped * advantages).mean()


def penalty_loss(log_ratio: Tensor, advantages: Tensor, kl: Tensor, beta: float) -> Tensor:
    """Objective with a KL penalty (PPO, eq. 8), negated, mean over [B]; `kl` as of `kl`."""
    return (beta * kl - log_ratio.exp() * advantages).mean()


def adapt_beta(beta: float, kl: float, target: float) -> float:
    """Weight of the KL penalty for the next rollout (PPO, section 4)."""
    if kl < target / 1.5:
        return beta / 2
    if kl > target * 1.5:
        return beta * 2
    return beta


def adapt_scale(scale: float, kl: float, target: float) -> float:
    """Factor of the learning rate for the next rollout, at most 1, that keeps updates near `target`
    (the adaptive step of Schulman et al. 2017, turned on the learning rate)."""
    if kl > target:
        return max(scale / 1.2, 0.05)
    if kl < target / 2:
        return min(scale * 1.2, 1.0)
    return scale


def kl(old_log_probs: Tensor, log_probs: Tensor) -> Tensor:
    """KL(π_old ‖ π) [B] of whole distributions, from log-probabilities [B, A]."""
    return (old_log_probs.exp() * (old_log_probs - log_probs)).sum(-1)


def entropy(log_probs: Tensor) -> Tensor:
    """Entropy [B] in nats of whole distributions, from log-probabilities [B, A]."""
    return -(log_probs.exp() * log_probs).sum(-1)


def explained_variance(values: Tensor, targets: Tensor) -> float:
    """1 − Var(targets − values) / Var(targets): 1 is a perfect critic, ≤ 0 a useless one."""
    variance = targets.var(correction=0)
    return float(1 - (targets - values).var(correction=0) / variance) if variance > 0 else 0.0


def scheduled(value: float, schedule: Schedule, progress: float, mastery: float) -> float:
    """A setting after the share `progress` (0 to 1) of a run whose agent has come as far as
    `mastery` (0 to 1): constant, linear down to 0, or by mastery down to a tenth."""
    if schedule == "linear":
        return value * (1 - progress)
    if schedule == "mastery":
        return value * (1 - 0.9 * mastery)
    return value
