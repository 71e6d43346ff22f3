"""The mathematics of proximal policy optimisation, as functions without state.

PPO: Schulman et al. 2017, https://arxiv.org/abs/1707.06347. GAE: Schulman et al. 2016,
https://arxiv.org/abs/1506.02438. Shapes: T steps of a rollout, N games, B samples, A actions.
"""

from __future__ import annotations

import torch
from torch import Tensor

Discount = float | Tensor  # the same for all steps, or of each, [T, N]


def sample(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Draws actions int64 [B] from softmax(logits [B, A]): https://arxiv.org/abs/1411.0030."""
    uniform = torch.rand(logits.shape, generator=generator, device=logits.device)
    return (logits - uniform.log_().neg_().log_()).argmax(1)


def gae(
    rewards: Tensor, values: Tensor, next_values: Tensor, ended: Tensor, gamma: Discount, lam: float
) -> Tensor:
    """Returns generalised advantage estimates float32 [T, N] (GAE, eq. 16).

    Args:
        rewards, values: float32 [T, N], of the step from state t to t + 1, and V(s_t).
        next_values: float32 [T, N], V of the state that the step led to, in the same episode:
            0 where it was terminal, the value of the last observation where it was cut short.
        ended: bool [T, N], whether the step was its episode's last, by either cause.
        gamma, lam: discount per step; λ, 0 for one-step errors, 1 for returns minus values.
    """
    errors = rewards + gamma * next_values - values
    carry = gamma * lam * (~ended).to(errors.dtype)
    advantages = torch.empty_like(errors)
    following = torch.zeros_like(errors[0])
    steps = zip(errors.unbind(), carry.unbind(), advantages.unbind(), strict=True)
    for error, carried, advantage in reversed(list(steps)):
        following = torch.addcmul(error, carried, following, out=advantage)
    return advantages


def normalize(advantages: Tensor, groups: Tensor) -> Tensor:
    """Returns `advantages` with mean 0 and deviation 1 within each of `groups`, of the same shape:
    a task where much is to be gained would drown the others."""
    found, result = torch.unique(groups), torch.empty_like(advantages)
    for group in found:
        members = groups == group if len(found) > 1 else slice(None)
        chosen = advantages[members]
        result[members] = (chosen - chosen.mean()) / (chosen.std(correction=0) + 1e-8)
    return result


def clipped_loss(log_ratio: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """Returns the clipped surrogate objective (PPO, eq. 7), negated, mean over [B], where
    `log_ratio` is log π(a|s) − log π_old(a|s)."""
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return -torch.minimum(ratio * advantages, clipped * advantages).mean()


def penalty_loss(log_ratio: Tensor, advantages: Tensor, kl: Tensor, beta: float) -> Tensor:
    """Returns the objective with a KL penalty (PPO, eq. 8), negated, mean over [B]."""
    return (beta * kl - log_ratio.exp() * advantages).mean()


def adapt_beta(beta: float, kl: float, target: float) -> float:
    """Returns the weight of the KL penalty for the next rollout (PPO, section 4)."""
    if kl > target * 1.5:
        return beta * 2
    return beta / 2 if kl < target / 1.5 else beta


def kl(old_log_probs: Tensor, log_probs: Tensor) -> Tensor:
    """Returns KL(π_old ‖ π) [B] of whole distributions, from log-probabilities [B, A]."""
    return (old_log_probs.exp() * (old_log_probs - log_probs)).sum(-1)


def entropy(log_probs: Tensor) -> Tensor:
    """Returns the entropy [B] in nats of whole distributions, from log-probabilities [B, A]."""
    return -(log_probs.exp() * log_probs).sum(-1)


def explained_variance(values: Tensor, targets: Tensor) -> float:
    """Returns 1 − Var(targets − values) / Var(targets): 1 is a perfect critic, ≤ 0 a useless."""
    variance = targets.var(correction=0)
    return float(1 - (targets - values).var(correction=0) / variance) if variance > 0 else 0.0
