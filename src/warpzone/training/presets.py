"""Named settings that work, and how to change some of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from warpzone.errors import ConfigError
from warpzone.nes.game import game_named, game_names
from warpzone.nes.game_config import with_defaults
from warpzone.settings import describe, merge
from warpzone.smb.config import OF_PROGRESS, PAID_BY_PROGRESS, EnvConfig
from warpzone.smb.levels import parse_levels
from warpzone.training.config import (
    ALL_LEVELS,
    OF_ALGORITHM,
    CurriculumConfig,
    NetworkConfig,
    PracticeConfig,
    TrainConfig,
)
from warpzone.training.without_effect import refuse_without_effect

# Sticky buttons in half of the episodes, an action for pipes, short episodes within a level.
_HARD_LEVELS = EnvConfig(
    observation="tiles",
    actions="down",
    noop_max=30,
    repeat_action_probability=0.25,
    sticky_share=0.5,
    no_progress_steps=200,
    start_steps=96,
    end_thrown_back=True,
)

# Without what only an agent that sees tiles is shown: the level's name, and paths of hazards.
_ALL_LEVELS = _HARD_LEVELS.model_copy(
    update={
        "levels": parse_levels("all"),
        "sticky_share": 0.25,
        "row_share": 0.3,
        "life_share": 0.3,
        "start_noop_max": 30,
    }
)

PRESETS: dict[str, TrainConfig] = {
    # The game's own map as input: 1-1 in seconds on a laptop, 1-2 to 1-4 in less than a minute.
    "tiles": TrainConfig(last_end_penalty=5.0),
    # The same with a Q-network: what is learnt is the value of each action.
    "pqn": TrainConfig(
        preset="pqn",
        algorithm="pqn",
        last_end_penalty=5.0,
        total_steps=2_000_000,
        update_epochs=2,
        minibatch_size=256,
        lr=1e-3,
        max_grad_norm=10.0,
    ),
    # One level, the hard ones too: starts along a way that a search has found.
    "specialist": TrainConfig(
        preset="specialist",
        env=_HARD_LEVELS,
        network=NetworkConfig(hidden=(192, 128)),
        curriculum=CurriculumConfig(share=0.8),
        rollout_steps=128,
        total_steps=20_000_000,
        gamma=0.96,
        gae_lambda=0.95,
        entropy_coef=0.01,
        lr=2e-3,
        lr_kl=0.015,
        eval_repeat_action_probability=0.25,
        checkpoint_every=25,
    ),
    # One network for the whole game, which is told the level that it plays: levels that fail get
    # more time, episodes go on as the game does, failures are practised. Drawn towards specialists
    # where `distillation_policies` names them, ever less.
    "generalist": TrainConfig(
        preset="generalist",
        env=_ALL_LEVELS.model_copy(
            update={
                "show_level": True,
                "show_paths": True,
                "sticky_share": 0.3,
                "row_share": 0.5,
                "life_share": 0.5,
                "end_penalty": 5.0,
            }
        ),
        network=NetworkConfig(hidden=(512, 256), piecewise_linear=True),
        curriculum=CurriculumConfig(share=0.6),
        practice=PracticeConfig(share=0.15),
        prioritize_levels=True,
        last_end_penalty=20.0,
        num_envs=256,
        rollout_steps=64,
        total_steps=100_000_000,
        gamma=0.98,
        gae_lambda=0.95,
        entropy_coef=0.003,
        distillation_coef=0.3,
        schedule="linear",
        update_epochs=2,
        minibatch_size=1024,
        lr=6e-4,
        lr_kl=0.015,
        eval_episodes=30,
        eval_every=300,
        target_clear_rate=0.99,
        checkpoint_every=50,
    ),
    # The picture as input: a network for a CPU, and two pictures that tell where things move.
    "pixels": TrainConfig(
        preset="pixels",
        lr_kl=None,
        env=EnvConfig(observation="pixels", frame_stack=2, noop_max=30, no_progress_steps=150),
        network=NetworkConfig(kind="patches", hidden=(128,)),
        rollout_steps=128,
        total_steps=4_000_000,
        gamma=0.95,
        gae_lambda=0.95,
        entropy_coef=0.01,
        lr=7e-3,
        eval_every=10,
        checkpoint_every=25,
    ),
    # The whole game from pictures: an agent that sees nothing else, and is drawn in its own states
    # towards what the packaged network for all levels, which sees tiles, would do there.
    "pixels-generalist": TrainConfig(
        preset="pixels-generalist",
        env=_ALL_LEVELS.model_copy(update={"observation": "pixels", "frame_stack": 3}),
        network=NetworkConfig(kind="patches", embeddings=(32, 64), hidden=(512, 256)),
        distillation_policies={ALL_LEVELS: "generalist"},
        curriculum=CurriculumConfig(share=0.7),
        practice=PracticeConfig(share=0.15),
        prioritize_levels=True,
        num_envs=256,
        rollout_steps=32,
        total_steps=20_000_000,
        gamma=0.97,
        gae_lambda=0.95,
        entropy_coef=0.0,
        policy_coef=0.02,
        value_coef=0.02,
        schedule="linear",
        update_epochs=1,
        minibatch_size=512,
        lr=2e-3,
        lr_kl=None,  # what is learnt is another's policy, and the way there is long
        max_grad_norm=2.0,
        eval_episodes=30,
        eval_every=300,
        target_clear_rate=0.99,
        checkpoint_every=50,
    ),
    # "PPO plays Super Mario Bros.", a tutorial of 2022, with its numbers and without its faults.
    "tutorial": TrainConfig(
        preset="tutorial",
        lr_kl=None,
        env=EnvConfig(observation="pixels", consecutive=True, reward="tutorial"),
        network=NetworkConfig(kind="tutorial", hidden=(512,)),
        num_envs=8,
        rollout_steps=512,
        total_steps=500 * 512 * 8,
        gamma=0.99,
        gae_lambda=0.97,
        value_target="one_step",
        normalize_advantage=False,
        value_coef=1.0,
        entropy_coef=0.05,
        update_epochs=10,
        minibatch_size=256,
        lr=1e-4,
        adam_eps=1e-7,
        max_grad_norm=None,
        schedule="constant",
        target_clear_rate=None,
        checkpoint_every=10,
        keep_checkpoints=3,
        eval_every=10,
        epoch_lines=True,
    ),
}


def resolve(preset: str = "tiles", /, **changes: Any) -> TrainConfig:
    """Returns the preset with `changes` laid over it, e.g. `resolve("tiles", env={"noop_max": 0})`.

    Raises:
        ConfigError: no such preset, an unknown setting, a value out of its range, or one of
            `changes` that has no effect beside the others.
    """
    config = lay_over(preset, changes)
    refuse_without_effect(config, changes, PRESETS[preset])
    return config


def lay_over(preset: str, changes: Mapping[str, Any]) -> TrainConfig:
    """Returns the same where other settings are still to come, beside which each of `changes` may
    have an effect.

    Raises:
        ConfigError: no such preset, an unknown setting, or a value out of its range.
    """
    if preset not in PRESETS:
        raise ConfigError(f"no preset {preset!r}; there are {', '.join(PRESETS)}")
    settings = PRESETS[preset].model_dump()
    if "distillation_policies" in changes:
        settings["distillation_policies"] = {}  # others replace the preset's, too
    if changes.get("algorithm", settings["algorithm"]) != settings["algorithm"]:
        # What the preset sets of another algorithm has no place in this one.
        for name in OF_ALGORITHM[settings["algorithm"]]:
            settings[name] = TrainConfig().model_dump()[name]
    env = changes.get("env")
    if isinstance(env, Mapping) and "levels" in env:
        # Other levels replace the preset's, they do not join them.
        settings["env"]["levels"] = {}
    if isinstance(env, Mapping) and env.get("observation", "tiles") != "tiles":
        # What the preset shows in `tiles` has no place in another observation.
        settings["env"] |= {"show_level": False, "show_paths": False}
    if isinstance(env, Mapping) and env.get("reward", "landed") not in PAID_BY_PROGRESS:
        # What it sets of the rewards progress and landed has no place in another.
        settings["env"] |= {name: EnvConfig.model_fields[name].default for name in OF_PROGRESS}
    game = changes.get("game")
    if isinstance(game, Mapping) and game.get("name") in game_names():
        # What its description sets, where nothing else is asked for.
        changes = {**changes, "game": with_defaults(game_named(game["name"]), game)}
    try:
        return TrainConfig.model_validate(merge(settings, changes))
    except ValidationError as error:
        raise ConfigError(describe(error, TrainConfig)) from error
