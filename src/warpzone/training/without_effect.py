"""Settings that change nothing beside others, and are refused where somebody gives them.

What a preset sets, or a run began with, may be without effect beside what is given; what is given
may not. Whether a setting is the algorithm's is for `TrainConfig` itself to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from warpzone.errors import ConfigError
from warpzone.settings import format_override
from warpzone.smb.config import PAID_BY_PROGRESS
from warpzone.smb.levels import LEVELS
from warpzone.training.config import TrainConfig

LONGEST_VALUE = 80
"""Characters of a setting in a message."""
_WITH_EMBEDDINGS = ("patches", "gru")
_WITH_TILES = ("tiles", "gru")
_OF_SHARE = ("curriculum", "practice", "corrections")
"""Groups of settings of which none counts where their `share` is 0."""


def without_effect(config: TrainConfig) -> dict[str, str]:
    """Returns which settings, or groups of them, change nothing beside the others, and why."""
    reasons: dict[str, str] = {}
    if config.objective != "kl":
        reasons["kl_target"] = f"is for the objective 'kl', and this is {config.objective!r}"
    if not config.distillation_policies:
        reasons["distillation_coef"] = "weighs distillation_policies, and there are none"
    described = config.game.name
    kind = config.network.kind
    seen: str = config.env.observation
    if described is not None:
        seen = config.game.observation
        why = f"is for levels of Super Mario Bros., and this is the game {described!r}"
        reasons["env"] = f"{why}, whose settings are game.…"
        reasons |= {"last_end_penalty": why, "progress_gamma": why}
        reasons |= {"curriculum.search_steps": why, "curriculum.progress_mask": why}
        if config.curriculum.episode_steps is None:
            reasons["curriculum.last_share"] = "needs curriculum.episode_steps with other games"
    else:
        reasons |= _of_levels(config)
    if kind not in _WITH_EMBEDDINGS:
        reasons["network.embeddings"] = f"is for the network 'patches', and this is {kind!r}"
    if kind not in _WITH_TILES:
        reasons["network.piecewise_linear"] = f"is for the network 'tiles', and this is {kind!r}"
    elif seen != "tiles":
        why = f"is for the observation 'tiles', and this is {seen!r}"
        reasons["network.piecewise_linear"] = why
    for group in _OF_SHARE:
        if getattr(config, group).share == 0:
            reasons[group] = f"needs {group}.share above 0"
    return reasons


def _of_levels(config: TrainConfig) -> dict[str, str]:
    reasons: dict[str, str] = {}
    trained = [level for level, weight in config.env.levels.items() if weight > 0]
    if len(trained) == 1:
        reasons["prioritize_levels"] = f"needs several levels, and only {trained[0]} is trained on"
    reward = config.env.reward
    if reward not in PAID_BY_PROGRESS:
        why = f"is for the rewards progress and landed, and this is {reward!r}"
        reasons["last_end_penalty"] = why
    return reasons


def refuse_without_effect(
    config: TrainConfig, given: Mapping[str, Any], before: TrainConfig
) -> None:
    """Refuses settings that somebody has given and that change nothing.

    Args:
        config: all settings.
        given: those of them that were given, nested as in `config`.
        before: what they were laid over: a preset, or what a run has. What is as it was there, or
            as it is by default, is no fault.

    Raises:
        ConfigError: one has no effect; the text says why, and how to go on.
    """
    reasons = without_effect(config)
    for name in _names(given, config):
        group = name.partition(".")[0]
        why = reasons.get(name) or reasons.get(group)
        if why is None or name == f"{group}.share":
            continue
        if _value(config, name) not in (_value(before, name), _field_default(config, name)):
            shown = format_override(name, _as_json(config, name))[:LONGEST_VALUE]
            raise ConfigError(f"{name} {why}: leave out {shown}")
    if given.get("distillation_policies") and config.game.name is None:
        trained = config.env.levels
        for level in config.distillation_policies:
            if level in LEVELS and level not in trained:
                raise ConfigError(
                    f"distillation_policies names an agent for {level}, which is not trained on"
                    f" ({', '.join(trained)} is): leave it out, or train on {level} too"
                )


def _names(given: Mapping[str, Any], settings: BaseModel, prefix: str = "") -> Iterator[str]:
    """The dotted names of settings that are given."""
    for name, value in given.items():
        known = getattr(settings, name, None)
        if isinstance(known, BaseModel) and isinstance(value, BaseModel):
            value = dict.fromkeys(value.model_fields_set)
        if isinstance(known, BaseModel) and isinstance(value, Mapping):
            yield from _names(value, known, f"{prefix}{name}.")
        elif name in type(settings).model_fields:  # not what is only another name of one
            yield prefix + name


def _value(settings: Any, name: str) -> Any:
    for part in name.split("."):
        settings = getattr(settings, part)
    return settings


def _field_default(config: TrainConfig, name: str) -> Any:
    """What a setting is by default where its group is not a preset's."""
    group, _, last = name.rpartition(".")
    owner = _value(config, group) if group else config
    return type(owner).model_fields[last].get_default(call_default_factory=True)


def _as_json(config: TrainConfig, name: str) -> Any:
    settings: Any = config.model_dump(mode="json")
    for part in name.split("."):
        settings = settings[part]
    return settings
