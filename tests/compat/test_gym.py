"""`warpzone.compat.gym`, and programs of before Gymnasium that change their imports alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from scripts.adapt_imports import adapt, adapted

from warpzone.compat import gym
from warpzone.compat.gym.wrappers import (
    FrameStack,
    GrayScaleObservation,
    LazyFrames,
    TransformObservation,
    TransformReward,
)
from warpzone.errors import ConfigError


class Ramp(gymnasium.Env[Any, Any]):
    """Of the old kind: pictures that grow brighter, three steps long."""

    observation_space: Any = gym.spaces.Box(0, 255, (2, 2, 3), np.uint8)
    action_space: Any = gym.spaces.Discrete(3)
    seeded: int | None = None
    step_count = 0

    def picture(self) -> Any:
        return np.full((2, 2, 3), 40 * self.step_count, np.uint8)

    def reset(self, **given: Any) -> Any:
        self.step_count = 0
        return self.picture()

    def step(self, action: Any) -> Any:
        self.step_count += 1
        return self.picture(), float(action), self.step_count == 3, {"step": self.step_count}

    def render(self, mode: str = "human") -> Any:
        return mode

    def seed(self, seed: int | None = None) -> list[int | None]:
        self.seeded = seed
        return [seed]


def test_wrappers_pass_on_what_old_environments_give() -> None:
    inner = Ramp()
    env = gym.Wrapper(inner)
    assert env.reset().tolist() == inner.picture().tolist()
    assert env.step(2)[1:] == (2.0, False, {"step": 1})
    assert (env.render("rgb_array"), env.render(mode="human")) == ("rgb_array", "human")
    assert (env.seed(4), inner.seeded) == ([4], 4)
    assert env.step_count == 1, "attributes are the environment's"
    assert env.unwrapped is inner
    with pytest.raises(AttributeError, match="_secret"):
        _ = env._secret


def test_wrappers_of_ones_own() -> None:
    class Bright(gym.ObservationWrapper):
        def observation(self, observation: Any) -> Any:
            return int(observation.max())

    class Twice(gym.RewardWrapper):
        def reward(self, reward: float) -> float:
            return 2 * reward

    class Less(gym.ActionWrapper):
        def action(self, action: Any) -> Any:
            return action - 1

    env = Less(Twice(Bright(Ramp())))
    assert env.reset() == 0
    assert env.step(2) == (40, 2.0, False, {"step": 1})
    assert TransformReward(Ramp(), f=lambda r: -r).reward(3.0) == -3.0
    with pytest.raises(NotImplementedError):
        gym.ObservationWrapper(Ramp()).reset()
    with pytest.raises(NotImplementedError):
        gym.RewardWrapper(Ramp()).step(0)
    with pytest.raises(NotImplementedError):
        gym.ActionWrapper(Ramp()).step(0)


def test_grey_is_rounded_luma() -> None:
    """In whole numbers, as OpenCV works it out for gym: 2^15 parts, rounded."""
    env = GrayScaleObservation(Ramp())
    assert env.observation_space == gym.spaces.Box(0, 255, (2, 2), np.uint8)
    colours = np.random.RandomState(1).randint(0, 256, (50, 40, 3)).astype(np.uint8)
    wide = colours.astype(np.int64)
    wanted = (9798 * wide[..., 0] + 19235 * wide[..., 1] + 3735 * wide[..., 2] + 16384) >> 15
    np.testing.assert_array_equal(env.observation(colours), wanted)
    assert env.observation(colours).dtype == np.uint8
    kept = GrayScaleObservation(Ramp(), keep_dim=True)
    assert kept.reset().shape == kept.observation_space.shape == (2, 2, 1)
    with pytest.raises(ConfigError, match="no pictures in colour"):
        GrayScaleObservation(env)


def test_stacks_have_the_last_observations() -> None:
    env = FrameStack(TransformObservation(Ramp(), f=lambda x: x / 40.0), num_stack=3)
    assert env.observation_space.shape == (3, 2, 2, 3)
    first = env.reset()
    assert isinstance(first, LazyFrames)
    assert (first.shape, len(first)) == ((3, 2, 2, 3), 3)
    second, reward, done, info = env.step(1)
    third = env.step(1)[0]
    assert (reward, done, info) == (1.0, False, {"step": 1})
    assert np.asarray(first).max(axis=(1, 2, 3)).tolist() == [0, 0, 0]
    assert np.asarray(second).max(axis=(1, 2, 3)).tolist() == [0, 0, 1]
    assert np.array(third, np.float32).max(axis=(1, 2, 3)).tolist() == [0, 1, 2]
    assert np.array(third, np.float32).dtype == np.float32
    np.testing.assert_array_equal(third[-1], np.asarray(third)[-1])
    assert np.all(third == np.asarray(third))
    with pytest.raises(ConfigError, match="lz4_compress"):
        FrameStack(Ramp(), 2, lz4_compress=True)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("import gym", "from warpzone.compat import gym"),
        ("  import nes_py as n  # x", "  from warpzone.compat import nes_py as n"),
        ("from gym import Wrapper", "from warpzone.compat.gym import Wrapper"),
        ("from gym.spaces import Box", "from warpzone.compat.gym.spaces import Box"),
        ("from nes_py.wrappers import (", "from warpzone.compat.nes_py.wrappers import ("),
        ("import gymnasium", "import gymnasium"),
        ("from gymnasium.spaces import Box", "from gymnasium.spaces import Box"),
        ("# import gym is what it says", "# import gym is what it says"),
    ],
)
def test_imports_alone_change(old: str, new: str) -> None:
    assert adapted(old) == new


PROGRAM = """
import gym
import gym_super_mario_bros
from gym.spaces import Box
from gym.wrappers import FrameStack, GrayScaleObservation
from gym_super_mario_bros.actions import RIGHT_ONLY
from nes_py.wrappers import JoypadSpace
import numpy as np

class Small(gym.ObservationWrapper):
    def __init__(self, env):
        super().__init__(env)
        self.observation_space = Box(0, 255, (60, 64), np.uint8)
    def observation(self, picture):
        return picture[::4, ::4]

env = gym.make("SuperMarioBros-1-1-v0")
assert type(env) is type(gym_super_mario_bros.make("SuperMarioBros-1-1-v0"))
env = FrameStack(Small(GrayScaleObservation(JoypadSpace(env, RIGHT_ONLY))), 4)
state, total = env.reset(), 0
for _ in range(40):
    state, reward, done, info = env.step(3)
    total += reward
print(np.asarray(state).shape, total > 30, info["x_pos"] > 70)
"""


def test_a_program_of_before_gymnasium(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text(PROGRAM)
    told = adapt(source, tmp_path / "copy")
    assert len(told) == 6
    assert told[0] == "train.py: import gym -> from warpzone.compat import gym"
    ran = subprocess.run(
        [sys.executable, str(tmp_path / "copy" / "train.py")],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split("\n")[0] == "(4, 60, 64) True True"
