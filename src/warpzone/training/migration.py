"""Settings as older versions of warpzone wrote them, under the names of today.

Run directories and agents keep their settings as JSON. Where a name has changed since, what was
written before must still be read; this is the one place that knows how.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RENAMED: dict[str, str] = {
    "passes": "update_epochs",
    "minibatch": "minibatch_size",
    "eval_noops": "eval_noop_max",
    "eval_sticky": "eval_repeat_action_probability",
    "env.noops": "env.noop_max",
    "env.sticky": "env.repeat_action_probability",
}
"""Old dotted names of settings, and what they are called now. A new name is in the same group."""


CALLED_ELSEWHERE: dict[str, str] = {
    "learning_rate": "lr",
    "step_size": "lr",
    "anneal_lr": "lr_schedule",
    "n_steps": "rollout_steps",
    "num_steps": "rollout_steps",
    "horizon": "rollout_steps",
    "n_envs": "num_envs",
    "num_workers": "num_envs",
    "total_timesteps": "total_steps",
    "timesteps": "total_steps",
    "batch_size": "minibatch_size",
    "mini_batch_size": "minibatch_size",
    "num_minibatches": "minibatch_size",
    "n_epochs": "update_epochs",
    "num_epochs": "update_epochs",
    "epochs": "update_epochs",
    "discount": "gamma",
    "lam": "gae_lambda",
    "lambda": "gae_lambda",
    "ent_coef": "entropy_coef",
    "entropy_coeff": "entropy_coef",
    "vf_coef": "value_coef",
    "vf_coeff": "value_coef",
    "clip_range": "clip",
    "clip_coef": "clip",
    "clip_eps": "clip",
    "clip_param": "clip",
    "norm_adv": "normalize_advantage",
    "normalize_advantages": "normalize_advantage",
    "adam_epsilon": "adam_eps",
    "max_gradient_norm": "max_grad_norm",
    "n_eval_episodes": "eval_episodes",
    "eval_freq": "eval_every",
    "save_freq": "checkpoint_every",
    "net_arch": "network.hidden",
    "hidden_sizes": "network.hidden",
    "frameskip": "env.frame_skip",
    "num_stack": "env.frame_stack",
    "sticky_actions": "env.repeat_action_probability",
    "max_episode_steps": "env.max_steps",
}
"""What other libraries (Stable-Baselines3, CleanRL, RLlib, Gymnasium) call our settings."""


def migrate(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `settings`, a run's or an agent's as read from JSON, with today's names.

    What has today's names already comes back equal; values are never changed. A name that is
    neither old nor known is kept, for the model that reads it to refuse.
    """
    return _renamed(settings, "")


def _renamed(settings: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    result = {}
    for name, value in settings.items():
        new = RENAMED.get(prefix + name, prefix + name).removeprefix(prefix)
        result[new] = _renamed(value, f"{prefix}{name}.") if isinstance(value, Mapping) else value
    return result
