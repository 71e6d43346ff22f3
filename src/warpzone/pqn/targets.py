"""What Q-values are learnt towards, as a function without state."""

from __future__ import annotations

import torch
from torch import Tensor


def q_lambda(
    rewards: Tensor, next_values: Tensor, ended: Tensor, gamma: float, lam: float
) -> Tensor:
    """Returns Peng's Q(λ) targets float32 [T, N] (Gallici et al. 2024; Peng & Williams 1994):
    G_t = r_t + γ [λ G_{t+1} + (1 − λ) max_a Q(s_{t+1}, a)]. An exploring action cuts no trace.

    Args:
        rewards: float32 [T, N], of the step from state t to t + 1.
        next_values: float32 [T, N], max_a Q of the state that the step led to, in the same episode:
            0 where it was terminal, that of the last observation where it was cut short.
        ended: bool [T, N], whether the step was its episode's last, by either cause.
        gamma, lam: discount per step; λ, 0 for one-step targets, 1 for returns.
    """
    targets = torch.empty_like(rewards)
    following = next_values[-1]  # beyond the rollout there is nothing but the network's values
    steps = zip(
        rewards.unbind(), next_values.unbind(), ended.unbind(), targets.unbind(), strict=True
    )
    for reward, value, last, target in reversed(list(steps)):
        ahead = torch.where(last, value, torch.lerp(value, following, lam))
        following = torch.add(reward, ahead, alpha=gamma, out=target)
    return targets
