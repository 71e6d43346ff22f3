"""Settings of environments: defaults, unknown names, values that make no sense."""

from __future__ import annotations

import contextlib
import re
from inspect import signature
from types import SimpleNamespace
from typing import Any, get_type_hints

import pytest
from gymnasium.vector import AutoresetMode

import warpzone
from warpzone.errors import ConfigError, EngineError, LevelError, WarpzoneError
from warpzone.nes.env_fields import MOST_NOOPS, MOST_STEPS, Actions, Autoreset
from warpzone.nes.game_groups import native_config
from warpzone.nes.start_states import StartStates
from warpzone.smb.config import (
    EnvConfig,
    EnvSettings,
    VectorEnvSettings,
    env_config,
)
from warpzone.smb.levels import LEVELS

Missing = SimpleNamespace(annotation=None)


def message(**settings: Any) -> str:
    with pytest.raises(ConfigError) as error:
        env_config(**settings)
    return str(error.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"frame_skips": 4}, "frame_skips: there is no such setting (given: 4)"),
        ({"observation": "picture"}, "observation: Input should be 'tiles', 'pixels', 'rgb' or"),
        ({"reward": "speed"}, "reward: there is no reward 'speed': there are progress"),
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
        warpzone.make("1-1", frame_skips=4)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="frame_skips: there is no such setting"):
        warpzone.make_vec("1-1", 2, frame_skips=4)  # type: ignore[call-arg]
    with pytest.raises(WarpzoneError, match="there is no level '1-5'"):
        warpzone.make("1-5")
    with pytest.raises(ConfigError, match="autoreset is for make_vec"):
        warpzone.make("1-1", autoreset="same_step")  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="either config or settings, not both: noop_max"):
        warpzone.make_vec(config=EnvConfig(), noop_max=3)


def test_one_setting_by_all_its_names() -> None:
    names: list[Any] = [AutoresetMode.NEXT_STEP, "NextStep", "NEXT_STEP", "next_step"]
    for one in names:
        assert env_config(autoreset=one).autoreset == "next_step"
        assert env_config(autoreset_mode=one).autoreset == "next_step"
        assert warpzone.make_vec(autoreset_mode=one).autoreset_mode == AutoresetMode.NEXT_STEP
    assert env_config(observation="pixels", size=64).size == (64, 64)
    assert env_config(actions="SIMPLE_MOVEMENT").actions == "simple"
    assert len(env_config(actions="all").action_list) == 256
    for make in (warpzone.make, warpzone.make_vec):
        for given in ({"level": "1-2"}, {"levels": ["1-2"]}, {"config": EnvConfig(levels="1-2")}):
            assert make(**given).config.levels == {"1-2": 1.0}
        assert make("1-2").config.levels == {"1-2": 1.0}
        with pytest.raises(ConfigError, match="level and levels are the same setting"):
            make(level="1-1", levels="1-2")
    with pytest.raises(ConfigError, match="autoreset and autoreset_mode are the same setting"):
        env_config(autoreset="next_step", autoreset_mode="next_step")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"observation": "rgb", "size": 84}, "size is for the observation 'pixels', and this is"),
        ({"size": (84, 84)}, "size is for the observation 'pixels', and this is 'tiles'"),
        ({"frame_stack": 4}, "frame_stack is for the observation 'pixels'"),
        ({"observation": "ram", "max_pool": True}, "max_pool is for the observation 'pixels'"),
        ({"crop_status_bar": False}, "crop_status_bar is for the observation 'pixels'"),
        ({"observation": "rgb", "show_level": True}, "show_level is for the observation 'tiles'"),
        ({"observation": "ram", "show_paths": True}, "show_paths is for the observation 'tiles'"),
        ({"reward": "gym", "end_penalty": 5.0}, "end_penalty is for the rewards progress and"),
        ({"end_penalty": -1.0}, "end_penalty"),
        ({"reward": "gym", "life_reward": 5.0}, "life_reward is for the rewards progress and"),
        ({"reward": "tutorial", "power_reward": 5.0}, "power_reward is for the rewards progress"),
        ({"reward": "gym", "step_penalty": 5.0}, "step_penalty is for the rewards progress"),
        ({"life_reward": 101.0}, "life_reward"),
        ({"power_reward": -1.0}, "power_reward"),
        ({"sticky_share": 0.5}, "sticky_share needs a repeat_action_probability above 0"),
        (
            {"row_share": 0.5},
            "row_share needs two levels, of which one follows the other in the game",
        ),
        (
            {"levels": "all", "row_share": 0.5, "last_level": "1-2"},
            "row_share is for episodes of one level, and there is a last_level",
        ),
        ({"lives": 1}, "lives is for the whole game: set whole_game too"),
        ({"warps": True}, "warps is for the whole game: set whole_game too"),
        ({"levels": "1-2", "whole_game": True}, "levels is for episodes that begin at levels"),
        ({"whole_game": True, "last_level": "1-2"}, "last_level is for episodes that begin at"),
        ({"whole_game": True, "start_noop_max": 9}, "start_noop_max is for episodes that begin at"),
        ({"whole_game": True, "start_halt_share": 1}, "start_halt_share is for episodes that"),
        ({"config": EnvConfig(), "levels": "1-2"}, "not both: levels"),
        ({"config": EnvConfig(), "level": "1-2"}, "not both: levels"),
        ({"config": EnvConfig(), "reward": "gym"}, "not both: reward"),
        ({"config": EnvConfig(), "size": 64, "noop_max": 3}, "not both: size, noop_max"),
        ({"render_mode": "nonsense"}, "render_mode 'nonsense'"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("make", [warpzone.make, warpzone.make_vec])
def test_what_does_not_apply_is_refused(make: Any, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        make(**settings)


def test_a_whole_configuration_may_not_hold_what_does_not_apply() -> None:
    """But all defaults, which whoever reads one from a file has given."""
    whole = EnvConfig(observation="rgb", reward="gym").model_dump()
    assert EnvConfig(**whole) == EnvConfig(observation="rgb", reward="gym")
    for changed in ({"size": (64, 64)}, {"show_level": True}, {"max_pool": True}):
        with pytest.raises(ConfigError, match=rf"{next(iter(changed))} is for the "):
            env_config(**{**whole, **changed})


def test_human_is_for_one_game() -> None:
    with pytest.raises(ConfigError, match=r"render_mode 'human'.*'human' is for one game"):
        warpzone.make_vec("1-1", 2, render_mode="human")


def test_the_keywords_that_editors_complete_are_the_settings() -> None:
    """Their names and their types, but for four that take more than they hold."""
    wider = {
        "actions": Actions,
        "size": int | tuple[int, int],
        "autoreset": Autoreset | AutoresetMode,
        "autoreset_mode": Autoreset | AutoresetMode,
        "start_states": StartStates,
    }
    keywords = get_type_hints(VectorEnvSettings)
    own = {"levels", "reward"}  # arguments of their own
    assert set(keywords) == set(EnvConfig.model_fields) - own | {"autoreset_mode"}
    assert set(get_type_hints(EnvSettings)) == set(keywords) - {"autoreset", "autoreset_mode"}
    for name, kind in keywords.items():
        assert kind == wider.get(name, EnvConfig.model_fields.get(name, Missing).annotation), name


@pytest.mark.parametrize(
    ("one", "other"),
    [(warpzone.make, warpzone.MarioEnv), (warpzone.make_vec, warpzone.MarioVectorEnv)],
)
def test_the_functions_take_what_the_classes_take(one: Any, other: Any) -> None:
    of_class = dict(signature(other.__init__).parameters)
    del of_class["self"]
    of_function = signature(one).parameters
    assert {n: (p.annotation, p.default) for n, p in of_function.items()} == {
        n: (p.annotation, p.default) for n, p in of_class.items()
    }


def test_errors_are_also_value_errors() -> None:
    assert issubclass(ConfigError, ValueError)
    assert issubclass(LevelError, ValueError)


def test_config_is_frozen_and_goes_through_json() -> None:
    config = env_config(levels={"1-2": 2, "1-1": 1}, actions=[["right"], ["A"]],
                        observation="pixels", size=(60, 80))  # fmt: skip
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
        consecutive=True, skip_cutscenes=False, noop_max=7, start_noop_max=9,
        repeat_action_probability=0.25, sticky_share=0.5,
        max_steps=11, no_progress_steps=5, autoreset="next_step",
        end_thrown_back=True, last_level="2-4", start_steps=40,
    )  # fmt: skip
    # These have no effect beside the others.
    config = config.model_copy(
        update={
            "show_level": True,
            "show_paths": True,
            "row_share": 0.25,
            "life_share": 0.75,
            "phase_share": 0.5,
            "power_share": 0.125,
            "start_halt_share": 0.375,
            "end_penalty": 4.0,
            "step_penalty": 0.5,
            "coin_reward": 0.75,
            "life_reward": 6.0,
            "power_reward": 2.0,
            "whole_game": True,
            "lives": 1,
            "warps": True,
        }
    )
    # A batch of games is told of these by itself, see test_start_states.py.
    apart = {"start_states", "start_state_share"}
    assert {name for name, field in EnvConfig.model_fields.items()
            if getattr(config, name) == field.get_default()} == apart  # fmt: skip
    native = native_config(config, num_games=6, num_groups=2, threads=3, seed=99, keep_frames=False)
    rules = config.native_rules()
    assert list(rules.actions) == [128, 65]
    assert list(rules.level_weights) == [2.0 if name == "1-2" else 0.0 for name in LEVELS]
    assert (rules.frame_skip, rules.noop_max, rules.repeat_action_probability) == (3, 7, 0.25)
    assert (rules.sticky_share, rules.show_level) == (0.5, True)
    assert (rules.row_share, rules.life_share, rules.phase_share) == (0.25, 0.75, 0.5)
    assert rules.power_share == 0.125
    assert rules.start_halt_share == 0.375
    assert rules.show_paths
    assert rules.step_penalty == 0.5
    assert (rules.end_penalty, rules.life_reward, rules.power_reward) == (4.0, 6.0, 2.0)
    assert rules.coin_reward == 0.75
    assert rules.start_noop_max == 9
    assert (rules.whole_game, rules.one_life, rules.warps) == (True, True, True)
    assert (rules.max_steps, rules.no_progress_steps, rules.skip_cutscenes) == (11, 5, False)
    assert (rules.end_thrown_back, rules.last_level, rules.start_steps) == (True, 7, 40)
    assert rules.reward.name == "gym"
    assert (native.observation.name, native.autoreset.name) == ("pixels", "next_step")
    assert (native.height, native.width, native.stack) == (60, 80, 3)
    assert (native.crop_status_bar, native.max_pool, native.consecutive) == (True, True, True)
    assert (native.num_games, native.num_groups, native.threads, native.seed) == (6, 2, 3, 99)
