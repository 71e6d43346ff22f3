"""What older versions of warpzone wrote, under the names of today.

Run directories and agents keep their settings as JSON. Where a name of a setting, or of a file in
a run directory, has changed since, what was written before must still be read; this is the one
place that knows how. It loads no torch.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RENAMED: dict[str, str] = {
    "passes": "update_epochs",
    "minibatch": "minibatch_size",
    "teachers": "distillation_policies",
    "teacher_coef": "distillation_coef",
    "eval_noops": "eval_noop_max",
    "eval_sticky": "eval_repeat_action_probability",
    "env.noops": "env.noop_max",
    "env.sticky": "env.repeat_action_probability",
    "network.hats": "network.piecewise_linear",
    "curriculum.route": "curriculum.progress_mask",
    "curriculum.stretch": "curriculum.segment",
}
"""Old dotted names of settings, and what they are called now. A new name is in the same group."""

REMOVED: dict[str, tuple[Any, ...]] = {
    "ema": (0.0,),
    "kl_beta": (1.0,),
    "target_kl": (None, 0.03, 0.05),
}
"""Settings that there are no more, with the values under which a run goes on as it began."""

EPISODE_ENDS = "episode_ends.jsonl"
MILESTONES = "milestones"
OLD_FILES = {EPISODE_ENDS: "ends.jsonl", MILESTONES: "history"}
"""Files and folders of a run directory by their names of today, and what they were called once."""

CALLED_ELSEWHERE: dict[str, str] = {
    "learning_rate": "lr",
    "step_size": "lr",
    "anneal_lr": "schedule",
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

SCHEDULES = ("lr_schedule", "entropy_schedule", "teacher_schedule")
"""What was one for each coefficient is one for all, `schedule`."""

LAST = "before 2026-11-29"


def migrate(settings: Mapping[str, Any], *, playing: bool = False) -> dict[str, Any]:
    """Returns `settings`, a run's or an agent's as read from JSON, with today's names.

    What has today's names already comes back equal. A name that is neither old nor known is kept,
    for the model that reads it to refuse.

    Args:
        settings: as they were written.
        playing: they are an agent's, of whom nothing but play is wanted: what only training asked
            for may be missing.

    Raises:
        ValueError: they ask for what no longer exists; the message says which warpzone has it.
    """
    result = _renamed(settings, "", playing)
    old = {name: result.pop(name) for name in SCHEDULES if name in result}
    if not result.get("distillation_policies"):
        old.pop("teacher_schedule", None)
    kinds = {"competence" if kind == "mastery" else kind for kind in old.values()}
    if len(kinds) > 1:
        raise _gone(", ".join(f"{name}={kind}" for name, kind in old.items()))
    if kinds:
        result["schedule"] = kinds.pop()
    return result


def run_file(run: Path, name: str) -> Path:
    """Returns the path of a file or folder in the run directory `run`, whatever made it.

    It is called `name`, a key of `OLD_FILES`, or as it was called once if only that is there.
    """
    path, old = run / name, run / OLD_FILES[name]
    return old if os.path.lexists(old) and not os.path.lexists(path) else path


def rename_files(run: Path) -> None:
    """Gives the files of a run that is about to go on their names of today.

    Raises:
        OSError: one cannot be renamed.
    """
    for name, old in OLD_FILES.items():
        if os.path.lexists(run / old) and not os.path.lexists(run / name):
            (run / old).rename(run / name)


def _renamed(settings: Mapping[str, Any], prefix: str, playing: bool) -> dict[str, Any]:
    result = {}
    for name, value in settings.items():
        dotted = prefix + name
        if dotted in REMOVED:
            if not playing and value not in REMOVED[dotted]:
                raise _gone(f"{dotted}={value}")
            continue
        new = RENAMED.get(dotted, dotted).removeprefix(prefix)
        if isinstance(value, Mapping):
            value = _renamed(value, f"{dotted}.", playing)
        result[new] = value
    return result


def _gone(what: str) -> ValueError:
    return ValueError(
        f"it was begun with {what}, which only warpzone {LAST} has: go on with that version, or"
        " begin a new run with its agent, --set init=RUN/agent.safetensors"
    )
