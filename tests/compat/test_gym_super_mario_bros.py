"""The face of gym-super-mario-bros 7.4.0, beside what the real one told along random steps.

`scripts/record_compat.py` took that down.
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from warpzone.compat import gym_super_mario_bros
from warpzone.compat.gym_super_mario_bros import SuperMarioBrosEnv, actions
from warpzone.compat.gym_super_mario_bros.registration import IDS
from warpzone.compat.nes_py import NESEnv
from warpzone.compat.nes_py.wrappers import JoypadSpace
from warpzone.errors import ConfigError, RomError
from warpzone.smb.levels import LEVELS

DATA = Path(__file__).parents[1] / "data" / "compat.jsonl"
EVERY = 16
"""Steps between two pictures of a record."""


@dataclass(frozen=True)
class Episode:
    actions: list[int]
    values: dict[str, list[Any]]
    pictures: list[int]


@dataclass(frozen=True)
class Record:
    arguments: dict[str, Any]
    types: dict[str, str]
    episodes: list[Episode]


@cache
def records() -> list[Record]:
    found = []
    for line in DATA.read_text().splitlines():
        fields = json.loads(line)
        arguments = fields["arguments"]
        if "target" in arguments:
            arguments["target"] = tuple(arguments["target"])
        text = zlib.decompress(base64.b85decode(fields["episodes"]))
        episodes = []
        for one in json.loads(text):
            count = len(one["actions"])
            values = {name: unfold(changes, count) for name, changes in one["values"].items()}
            episodes.append(Episode(one["actions"], values, one["pictures"]))
        found.append(Record(arguments, fields["types"], episodes))
    return found


def unfold(changes: list[list[Any]], count: int) -> list[Any]:
    ends = [step for step, _ in changes[1:]] + [count]
    return [
        value for (step, value), end in zip(changes, ends, strict=True) for _ in range(end - step)
    ]


@dataclass
class Played:
    """What our environment gave along the actions of an episode."""

    rewards: list[float]
    done: list[bool]
    infos: list[dict[str, Any]]
    pictures: list[int]
    """After the reset and after each step."""


def play(env: SuperMarioBrosEnv, taken: list[int]) -> Played:
    played = Played([], [], [], [crc(env.reset())])
    for action in taken:
        shown, reward, done, info = env.step(action)
        played.rewards.append(reward)
        played.done.append(done)
        played.infos.append(info)
        played.pictures.append(crc(shown))
        if done:
            break
    return played


def crc(picture: Any) -> int:
    """Without the first line, in which nes-py repeats sprites of the last one."""
    return zlib.crc32(np.ascontiguousarray(picture[1:]).tobytes())


def make(arguments: dict[str, Any]) -> SuperMarioBrosEnv:
    try:
        return SuperMarioBrosEnv(**arguments)
    except RomError as error:
        pytest.skip(f"no network: {error}")


NAMES = [json.dumps(record.arguments) for record in records()]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_same_along_random_steps(name: str) -> None:
    record = records()[NAMES.index(name)]
    env = make(record.arguments)
    steps = 0
    for episode in record.episodes:
        ours = play(env, episode.actions)
        theirs = episode.values
        assert ours.rewards == theirs["reward"]
        assert ours.done == theirs["done"]
        for value in ours.infos[0]:
            assert [info[value] for info in ours.infos] == theirs[value], value
        assert ours.pictures[::EVERY] == episode.pictures
        steps += len(episode.actions)
    assert steps > 1900


def test_types_are_theirs_but_for_bytes() -> None:
    env = make({"target": (1, 1)})
    env.reset()
    *_, info = env.step(0)
    ours = {name: type(value).__name__ for name, value in info.items()}
    theirs = {name: kind.rstrip("_") for name, kind in records()[0].types.items()}
    assert list(ours) == list(theirs)
    assert theirs.pop("life") == "uint8"
    assert ours.pop("life") == "int64"
    assert ours == theirs


# The old API


@pytest.fixture
def stage() -> SuperMarioBrosEnv:
    return make({"target": (1, 1)})


def test_reset_and_step_are_those_of_old_gym(stage: SuperMarioBrosEnv) -> None:
    assert isinstance(stage, gymnasium.Env)
    first = stage.reset()
    assert first.shape == (240, 256, 3)
    assert first.dtype == np.uint8
    kept = first.copy()
    shown, reward, done, info = stage.step(128)
    assert (type(reward), type(done)) == (float, bool)
    np.testing.assert_array_equal(first, kept)
    assert shown is not first
    assert info["x_pos"] == 40
    assert (stage.action_space.n, stage.reward_range) == (256, (-15, 15))
    assert stage.metadata["render.modes"] == ["rgb_array", "human"]
    np.testing.assert_array_equal(stage.render("rgb_array"), shown)
    assert len(stage.get_keys_to_action()) == 256
    stage.close()
    with pytest.raises(ValueError, match="already been closed"):
        stage.close()


def test_an_episode_of_a_stage_ends_with_a_death(stage: SuperMarioBrosEnv) -> None:
    stage.reset()
    for _ in range(300):
        _, reward, done, info = stage.step(130)  # right and B, into the first enemy
        if done:
            break
    assert (done, reward, info["flag_get"]) == (True, -15, False)
    with pytest.raises(ValueError, match="call `reset`"):
        stage.step(0)
    stage.reset()
    assert stage.step(0)[3]["life"] == 2


def test_the_game_goes_on_until_the_lives_are_gone() -> None:
    env = gym_super_mario_bros.make("SuperMarioBros-v0")
    env.reset()
    lives = []
    for _ in range(1500):
        *_, done, info = env.step(130)
        lives.append(int(info["life"]))
        if done:
            break
    assert done
    assert [life for life, _ in groupby(lives)] == [2, 1, 0, 255]
    assert len(lives) < 1000, "deaths are hurried through"


def test_all_ids_are_known() -> None:
    for version in range(4):
        assert f"SuperMarioBros-v{version}" in IDS
        assert f"SuperMarioBrosRandomStages-v{version}" in IDS
        assert all(f"SuperMarioBros-{level}-v{version}" in IDS for level in LEVELS)
    lost = {name for name in IDS if name.startswith("SuperMarioBros2")}
    assert {"SuperMarioBros2-v0", "SuperMarioBros2-v1"} < lost
    assert len(lost) == 2 + 2 * 16
    assert len(IDS) == 8 + 4 * 32 + len(lost)


@pytest.mark.parametrize("version", range(4))
def test_versions_are_drawn_differently(version: int) -> None:
    try:
        env = gym_super_mario_bros.make(f"SuperMarioBros-1-1-v{version}")
    except RomError as error:
        pytest.skip(f"no network: {error}")
    assert env.spec.id == f"SuperMarioBros-1-1-v{version}"
    plain = make({"target": (1, 1)}).reset()
    assert (crc(env.reset()) == crc(plain)) == (version == 0)


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(ConfigError, match="did you mean SuperMarioBros-1-1-v0"):
        gym_super_mario_bros.make("SuperMarioBros-1-1-v00")
    with pytest.raises(ConfigError, match=r"target_world must be in \{1, \.\.\., 8\}"):
        SuperMarioBrosEnv(target=(9, 1))
    with pytest.raises(ConfigError, match=r"target_world must be in \{1, \.\.\., 4\}"):
        SuperMarioBrosEnv(lost_levels=True, target=(5, 1))
    with pytest.raises(ConfigError, match=r"rom_mode \(pixel\) not supported"):
        SuperMarioBrosEnv("pixel", lost_levels=True)
    with pytest.raises(ConfigError, match="unexpected keyword argument 'stages'"):
        gym_super_mario_bros.make("SuperMarioBros-v0", stages=["1-1"])
    with pytest.raises(ConfigError, match="render_mode is for apply_api_compatibility"):
        gym_super_mario_bros.make("SuperMarioBros-v0", render_mode="human")


# Random stages


def test_stages_are_drawn_as_by_theirs() -> None:
    """With RandomState(7), as gym-super-mario-bros draws them."""
    env = gym_super_mario_bros.make("SuperMarioBrosRandomStages-v0", stages=["1-1", "1-4", "2-2"])
    env.seed(7)
    wanted = np.random.RandomState(7)
    for _ in range(6):
        env.reset()
        *_, info = env.step(0)
        assert f"{info['world']}-{info['stage']}" == wanted.choice(["1-1", "1-4", "2-2"])
    env.reset(options={"stages": ["4-1"]})
    assert env.step(0)[3]["world"] == 4
    env.close()
    with pytest.raises(ValueError, match="already been closed"):
        env.reset()


def test_without_a_list_all_stages_are_drawn_from() -> None:
    env = gym_super_mario_bros.SuperMarioBrosRandomStagesEnv()
    wanted = np.random.RandomState(3)
    env.reset(seed=3)
    *_, info = env.step(0)
    assert (info["world"], info["stage"]) == (wanted.randint(1, 9), wanted.randint(1, 5))
    with pytest.raises(ConfigError, match="no stage '9-1'"):
        env.reset(options={"stages": ["9-1"]})


# The five values, and JoypadSpace


def test_five_values_where_they_are_asked_for() -> None:
    env = gym_super_mario_bros.make(
        "SuperMarioBros-1-1-v0", apply_api_compatibility=True, render_mode="rgb_array"
    )
    shown, info = env.reset(seed=1)
    assert info == {}
    shown, reward, terminated, truncated, info = env.step(128)
    assert (reward, terminated, truncated) == (0, False, False)
    np.testing.assert_array_equal(env.render(), shown)
    for _ in range(300):
        *_, terminated, truncated, info = env.step(130)
        if terminated:
            break
    assert (terminated, truncated) == (True, False)


@pytest.mark.parametrize("new", [False, True])
def test_joypad_space_makes_few_actions_of_256(new: bool) -> None:
    made = gym_super_mario_bros.make("SuperMarioBros-1-1-v0", apply_api_compatibility=new)
    env = JoypadSpace(made, actions.SIMPLE_MOVEMENT)
    assert env.action_space == gymnasium.spaces.Discrete(7)
    assert env.get_action_meanings()[:3] == ["NOOP", "right", "right A"]
    assert env.get_keys_to_action()[(ord("d"), ord("o"), ord("p"))] == 4
    first = env.reset()
    assert isinstance(first, tuple) == new
    for _ in range(40):
        step = env.step(np.int64(1))
    assert len(step) == (5 if new else 4)
    assert step[-1]["x_pos"] > 60


def test_lists_of_actions_are_theirs() -> None:
    assert actions.RIGHT_ONLY == [
        ["NOOP"], ["right"], ["right", "A"], ["right", "B"], ["right", "A", "B"],
    ]  # fmt: skip
    assert [*actions.RIGHT_ONLY, ["A"], ["left"]] == actions.SIMPLE_MOVEMENT
    assert actions.COMPLEX_MOVEMENT[7:] == [
        ["left", "A"], ["left", "B"], ["left", "A", "B"], ["down"], ["up"],
    ]  # fmt: skip
    assert JoypadSpace.buttons() == [
        "right", "left", "down", "up", "start", "select", "B", "A", "NOOP",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="no button 'jump'"):
        JoypadSpace(make({"target": (1, 1)}), [["jump"]])


def test_a_game_of_ones_own_is_made_of_hooks() -> None:
    class Coins(NESEnv):
        def _get_reward(self) -> float:
            return 1000.0

        def _get_info(self) -> dict[str, Any]:
            return {"mode": int(self.ram[0x0770])}

    Coins.reward_range = (-5, 5)
    env = Coins("super-mario-bros")
    first = env.reset()
    for _ in range(60):
        shown, reward, done, info = env.step(0)
    assert (reward, done, info) == (5, False, {"mode": 0})
    assert crc(shown) != crc(first)
    np.testing.assert_array_equal(env.reset(), first)


def test_an_old_wrapper_works_on_it() -> None:
    """Scripts have wrappers of their own, which change `gym` to `gymnasium` and nothing else."""

    class Skip(gymnasium.Wrapper[Any, int, Any, int]):
        def step(self, action: int) -> Any:
            env: Any = self.env
            total = 0.0
            for _ in range(4):
                shown, reward, done, info = env.step(action)
                total += reward
                if done:
                    break
            return shown, total, done, info

        def reset(self, **given: Any) -> Any:
            return self.env.reset(**given)

    env = Skip(JoypadSpace(gym_super_mario_bros.make("SuperMarioBros-v0"), actions.RIGHT_ONLY))
    assert env.reset().shape == (240, 256, 3)
    total = sum(env.step(3)[1] for _ in range(20))
    assert total > 50
