"""Settings of environments: defaults, unknown names, values that make no sense."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

import warpzone
from warpzone.errors import ConfigError, EngineError, LevelError, WarpzoneError
from warpzone.smb.config import MOST_NOOPS, MOST_STEPS, EnvConfig, env_config
from warpzone.smb.levels import LEVELS


def message(**settings: Any) -> str:
    with pytest.raises(ConfigError) as error:
        env_config(**settings)
    return str(error.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"frame_skips": 4}, "frame_skips: there is no such setting (given: 4)"),
        ({"observation": "picture"}, "observation: Input should be 'tiles', 'pixels', 'rgb' or"),
        ({"reward": "speed"}, "reward: Input should be 'gym', 'tutorial' or 'progress'"),
        ({"frame_skip": 0}, "frame_skip: Input should be greater than or equal to 1 (given: 0)"),
        ({"frame_skip": "many"}, "frame_skip: Input should be a valid integer"),
        ({"frame_stack": 0}, "frame_stack: Input should be greater than or equal to 1"),
        (
            {"repeat_action_probability": 1.0},
            "repeat_action_probability: Input should be less than 1 (given: 1.0)",
        ),
        (
            {"repeat_action_probability": -0.1},
            "repeat_action_probability: Input should be greater than or equal to 0",
        ),
        ({"noop_max": -1}, "noop_max: Input should be greater than or equal to 0"),
        ({"noop_max": 301}, "noop_max: Input should be less than or equal to 300 (given: 301)"),
        ({"max_steps": 0}, "max_steps: Input should be greater than or equal to 1"),
        ({"no_progress_steps": 0}, "no_progress_steps: Input should be greater"),
        ({"autoreset": "never"}, "autoreset: Input should be 'same_step', 'next_step' or"),
        ({"size": (0, 84)}, "size (0, 84): at least (1, 1) and at most (240, 256)"),
        ({"size": (84, 257)}, "size (84, 257): at least (1, 1) and at most (240, 256)"),
        ({"actions": "simpel"}, "there is no action set 'simpel': there are right_only, simple"),
        ({"actions": []}, "actions: there must be at least one"),
        ({"actions": [["right", "jump"]]}, "there is no button 'jump'"),
        ({"consecutive": True, "frame_stack": 3}, "frame_stack (3) must equal frame_skip (4)"),
        ({"levels": "1-5"}, "levels: there is no level '1-5'"),
        ({"levels": None}, "levels: None are no levels"),
        ({"levels": 5}, "levels: 5 are no levels"),
        ({"levels": {"1-1": None}}, "levels: the weight of level 1-1 is None; it must be a number"),
        ({"levels": {"1-1": 10**400}}, "levels: the weight of level 1-1 is 1"),
        ({"max_steps": 2**63}, "max_steps: Input should be less than or equal to 2147483647"),
        ({"no_progress_steps": 10**20}, "no_progress_steps: Input should be less than or equal"),
        ({"start_steps": 2**63}, "start_steps: Input should be less than or equal to"),
        ({"sticky_share": float("nan")}, "sticky_share: Input should be a finite number"),
        ({"repeat_action_probability": float("nan")}, "repeat_action_probability: Input should be"),
        ({"actions": [["A"]] * 257}, "actions: there are 257, and at most 256"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_wrong_settings_are_named(settings: dict[str, Any], words: str) -> None:
    assert words in message(**settings)


def test_every_wrong_setting_is_named_at_once() -> None:
    lines = message(frame_skip=0, repeat_action_probability=2, colour=True).splitlines()
    assert sorted(line.split(":")[0] for line in lines) == [
        "colour",
        "frame_skip",
        "repeat_action_probability",
    ]


def test_the_same_words_from_the_front_door() -> None:
    with pytest.raises(ConfigError, match="frame_skips: there is no such setting"):
        warpzone.make("1-1", frame_skips=4)
    with pytest.raises(ConfigError, match="frame_skips: there is no such setting"):
        warpzone.make_vec("1-1", 2, frame_skips=4)
    with pytest.raises(WarpzoneError, match="there is no level '1-5'"):
        warpzone.make("1-5")
    with pytest.raises(ConfigError, match="autoreset is for make_vec"):
        warpzone.make("1-1", autoreset="same_step")
    with pytest.raises(ConfigError, match=r"'human'.* there is only 'rgb_array'"):
        warpzone.make("1-1", render_mode="human")
    with pytest.raises(ConfigError, match="either config or settings, not both: noop_max"):
        warpzone.make_vec(config=EnvConfig(), noop_max=3)


def test_errors_are_also_value_errors() -> None:
    assert issubclass(ConfigError, ValueError)
    assert issubclass(LevelError, ValueError)


def test_config_is_frozen_and_goes_through_json() -> None:
    config = env_config(levels={"1-2": 2, "1-1": 1}, actions=[["right"], ["A"]], size=(60, 80))
    with pytest.raises(ValueError, match="frozen"):
        config.frame_skip = 2  # type: ignore[misc]
    again = EnvConfig.model_validate_json(config.model_dump_json())
    assert again == config
    assert again.levels == {"1-1": 1.0, "1-2": 2.0}


def test_the_largest_values_are_ones_that_the_native_core_takes() -> None:
    most = {"max_steps": MOST_STEPS, "no_progress_steps": MOST_STEPS, "start_steps": MOST_STEPS}
    config = env_config(**most, frame_skip=60, frame_stack=16, noop_max=300)
    config = config.model_copy(update={"noop_max": MOST_NOOPS})
    rules = config.native_rules()
    assert (rules.max_steps, rules.start_steps) == (MOST_STEPS, MOST_STEPS)
    with contextlib.closing(warpzone.make_vec(config=config, num_envs=1)) as env:
        assert env.num_envs == 1
    with pytest.raises((ConfigError, EngineError, ValueError), match="noop_max"):
        warpzone.make_vec(config=config.model_copy(update={"noop_max": MOST_NOOPS + 1}), num_envs=1)


def test_every_field_reaches_the_native_core() -> None:
    config = env_config(
        levels={"1-2": 2.0}, observation="pixels", actions=[["right"], ["A", "left"]], reward="gym",
        frame_skip=3, frame_stack=3, size=(60, 80), crop_status_bar=True, max_pool=True,
        consecutive=True, skip_cutscenes=False, noop_max=7,
        repeat_action_probability=0.25, sticky_share=0.5,
        show_level=True, max_steps=11, no_progress_steps=5, autoreset="next_step",
        end_thrown_back=True, last_level="2-4", start_steps=40,
    )  # fmt: skip
    assert {name for name, field in EnvConfig.model_fields.items()
            if getattr(config, name) == field.get_default()} == set()  # fmt: skip
    native = config.native(num_games=6, num_groups=2, threads=3, seed=99, keep_frames=False)
    rules = config.native_rules()
    assert list(rules.actions) == [128, 65]
    assert list(rules.level_weights) == [2.0 if name == "1-2" else 0.0 for name in LEVELS]
    assert (rules.frame_skip, rules.noop_max, rules.repeat_action_probability) == (3, 7, 0.25)
    assert (rules.sticky_share, rules.show_level) == (0.5, True)
    assert (rules.max_steps, rules.no_progress_steps, rules.skip_cutscenes) == (11, 5, False)
    assert (rules.end_thrown_back, rules.last_level, rules.start_steps) == (True, 7, 40)
    assert rules.reward.name == "gym"
    assert (native.observation.name, native.autoreset.name) == ("pixels", "next_step")
    assert (native.height, native.width, native.stack) == (60, 80, 3)
    assert (native.crop_status_bar, native.max_pool, native.consecutive) == (True, True, True)
    assert (native.num_games, native.num_groups, native.threads, native.seed) == (6, 2, 3, 99)
