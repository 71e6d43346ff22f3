"""How settings of PPO change in the course of a run, as functions without state."""

from __future__ import annotations

from warpzone.ppo.config import Schedule


def adapt_scale(scale: float, kl: float, target: float) -> float:
    """Returns the factor of the learning rate for the next rollout, at most 1, that keeps updates
    near `target`: the adaptive step of PPO, section 4, turned on the learning rate."""
    if kl > target:
        return max(scale / 1.2, 0.05)
    if kl < target / 2:
        return min(scale * 1.2, 1.0)
    return scale


def scheduled(value: float, schedule: Schedule, progress: float, competence: float) -> float:
    """Returns a setting after the share `progress` (0 to 1) of a run whose agent has come as far as
    `competence` (0 to 1): constant, linear down to 0, or by competence down to a tenth."""
    if schedule == "linear":
        return value * (1 - progress)
    if schedule == "competence":
        return value * (1 - 0.9 * competence)
    return value
