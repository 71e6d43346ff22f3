"""Settings: defaults, presets and their errors."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from warpzone.errors import ConfigError
from warpzone.training import PRESETS, TrainConfig, resolve


def test_every_preset_comes_back_from_json_as_it_was() -> None:
    for name, config in PRESETS.items():
        assert config.preset == name
        assert TrainConfig.model_validate_json(config.model_dump_json()) == config


def test_the_tutorial_keeps_the_recipes_numbers() -> None:
    config = PRESETS["tutorial"]
    assert (config.num_envs, config.rollout_steps, config.total_steps) == (8, 512, 500 * 512 * 8)
    assert (config.gamma, config.gae_lambda, config.clip, config.lr) == (0.99, 0.97, 0.2, 1e-4)
    assert (config.update_epochs, config.minibatch_size) == (10, 256)
    assert (config.value_coef, config.entropy_coef) == (1.0, 0.05)
    assert (config.value_target, config.objective) == ("one_step", "clip")
    assert config.schedule == "constant"
    assert (config.checkpoint_every, config.keep_checkpoints) == (10, 3)
    assert config.epoch_lines
    assert config.network.kind == "tutorial"
    assert config.network.hidden == (512,)
    env = config.env
    assert (env.observation, env.actions, env.reward) == ("pixels", "simple", "tutorial")
    assert (env.size, env.frame_skip, env.frame_stack) == ((84, 84), 4, 4)
    assert env.consecutive
    assert env.no_progress_steps is None


def test_changes_are_laid_over_a_preset() -> None:
    config = resolve(
        "pixels", lr=1e-5, env={"levels": {"1-2": 1.0}, "repeat_action_probability": 0.25}
    )
    assert config.lr == 1e-5
    assert config.env.levels == {"1-2": 1.0}
    assert config.env.repeat_action_probability == 0.25
    assert config.env.observation == "pixels"
    assert config.network == PRESETS["pixels"].network


@pytest.mark.parametrize(
    ("preset", "changes", "message"),
    [
        (
            "fast",
            {},
            "no preset 'fast'; there are tiles, pqn, specialist, generalist, pixels, pixels-g",
        ),
        ("tiles", {"learning_rate": 1.0}, "learning_rate: .* It is called lr here"),
        ("tiles", {"passes": 3}, "passes: .* It is called update_epochs here"),
        ("tiles", {"env": {"noops": 3}}, r"env\.noops: .* It is called env\.noop_max here"),
        ("tiles", {"eval_noop_max": 36_001}, r"eval_noop_max: .*equal to 36000 \(given: 36001\)"),
        ("tiles", {"eval_noop_max": 10**12}, "eval_noop_max: "),
        ("tiles", {"eval_episodes": 2**63}, "eval_episodes: "),
        ("tiles", {"total_steps": 2**63}, "total_steps: "),
        ("tiles", {"num_envs": 2**31}, "num_envs: "),
        ("tiles", {"rollout_steps": 2**31}, "rollout_steps: "),
        ("tiles", {"seed": 2**63}, "seed: "),
        ("tiles", {"clip": 1e308}, "clip: .*less than or equal to"),
        ("tiles", {"lr": float("nan")}, "lr: .*finite"),
        ("tiles", {"value_coef": float("inf")}, "value_coef: .*finite"),
        ("tiles", {"threads": 1_000_000}, "threads: .*equal to 1024"),
        ("tiles", {"network": {"hidden": [12_000]}}, "hidden.*equal to 4096"),
        ("tiles", {"network": {"hidden": [8] * 9}}, "network.hidden: .*at most 8 items"),
        ("tiles", {"env": 5}, "env: .*EnvConfig"),
        ("tiles", {"env": None}, "env: .*EnvConfig"),
        ("tiles", {"env": {"levels": None}}, r"env\.levels: None are no levels"),
        ("tiles", {"env": {"max_steps": 2**63}}, r"env\.max_steps: "),
        ("tiles", {"curriculum": 5}, "curriculum: "),
        ("tiles", {"gamma": 1.5}, r"gamma.*1\.5"),
        ("tiles", {"num_envs": 1}, "num_envs"),
        ("tiles", {"minibatch_size": 10_000}, "minibatch_size 10000 is larger than a rollout"),
        (
            "tiles",
            {"env": {"observation": "pixels"}},
            "kind to patches or cnn or tutorial",
        ),
        ("tiles", {"env": {"autoreset": "next_step"}}, "autoreset"),
        ("tiles", {"env": {"whole_game": True}}, "env.whole_game is for playing and measuring"),
        (
            "tiles",
            {"env": {"last_level": "1-2"}},
            "env.last_level is for playing and measuring: .* by env.row_share",
        ),
        ("tiles", {"env": {"levels": "9-1"}}, "9-1"),
        ("tiles", {"env": {"colour": "red"}}, "colour"),
        ("tiles", {"curriculum": {"share": 0.5}}, "a curriculum needs env.start_steps"),
        ("tiles", {"curriculum": {"bins": 5}}, "bins"),
    ],
)
def test_errors_name_the_setting_and_what_to_do(
    preset: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve(preset, **changes)


def test_settings_are_read_without_loading_torch() -> None:
    program = "import sys, warpzone.training.presets; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("preset", ["tiles", "generalist"])
def test_another_observation_takes_what_only_tiles_show_out_of_a_preset(preset: str) -> None:
    assert resolve(preset).env.show_paths
    config = resolve(preset, env={"observation": "ram"})
    assert not config.env.show_paths
    assert not config.env.show_level
    with pytest.raises(ConfigError, match="show_paths is for the observation 'tiles'"):
        resolve(preset, env={"observation": "ram", "show_paths": True})
