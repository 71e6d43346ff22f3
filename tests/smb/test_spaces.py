"""Bounds of observations that hold, and spaces that other libraries read as what they are."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

import warpzone
from warpzone.smb.config import EnvConfig
from warpzone.smb.levels import LEVELS
from warpzone.smb.spaces import observation_space


def is_image_space(space: gymnasium.Space[Any]) -> bool:
    """The documented rule of Stable-Baselines3, `common.preprocessing.is_image_space` without
    `check_channels`: a Box of three dimensions of bytes, from 0 to 255 everywhere."""
    return (
        isinstance(space, gymnasium.spaces.Box)
        and len(space.shape) == 3
        and space.dtype == np.uint8
        and bool(np.all(space.low == 0))
        and bool(np.all(space.high == 255))
    )


def test_only_pictures_are_taken_for_pictures() -> None:
    assert is_image_space(observation_space(EnvConfig(observation="pixels")))
    assert is_image_space(observation_space(EnvConfig(observation="rgb")))
    assert not is_image_space(observation_space(EnvConfig(observation="ram")))
    tiles = observation_space(EnvConfig())
    assert isinstance(tiles, gymnasium.spaces.Dict)
    assert not any(is_image_space(space) for space in tiles.values())


def test_scalars_have_finite_bounds_and_are_numbers() -> None:
    tiles = observation_space(EnvConfig())
    assert isinstance(tiles, gymnasium.spaces.Dict)
    scalars = tiles["scalars"]
    assert isinstance(scalars, gymnasium.spaces.Box)
    assert np.isfinite(scalars.low).all()
    assert np.isfinite(scalars.high).all()
    assert (scalars.low < scalars.high).all()
    assert scalars.is_bounded()


def test_the_bounds_hold_in_random_play_on_every_level() -> None:
    envs = warpzone.make_vec(
        dict.fromkeys(LEVELS, 1.0), 64, actions="complex", seed=0, no_progress_steps=40,
        show_level=True,
    )  # fmt: skip
    space = envs.observation_space
    obs, _ = envs.reset()
    rng = np.random.default_rng(0)
    actions = rng.integers(12, size=64)
    for step in range(400):
        assert space.contains(obs), step
        actions = np.where(rng.random(64) < 0.8, actions, rng.integers(12, size=64))
        obs, *_ = envs.step(actions)


def test_the_bounds_hold_whatever_the_memory_holds() -> None:
    """Even in RAM that no game would make. Mario's column stays, and so the map's place."""
    rng = np.random.default_rng(1)
    env = warpzone.make("1-1", frame_skip=1)
    for _ in range(60):
        env.reset()
        ram = env.ram()
        ram[rng.integers(2048, size=40)] = rng.integers(256, size=40)
        try:
            obs, *_ = env.step(1)
        except warpzone.WarpzoneError:
            continue  # the program has crashed
        assert env.observation_space.contains(obs)


def test_stable_baselines3_trains_without_a_wrapper() -> None:
    preprocessing = pytest.importorskip("stable_baselines3.common.preprocessing")
    ppo = pytest.importorskip("stable_baselines3")
    env = warpzone.make("1-1", noop_max=30)
    space = env.observation_space
    assert isinstance(space, gymnasium.spaces.Dict)
    assert not preprocessing.is_image_space(space["tiles"])
    model = ppo.PPO("MultiInputPolicy", env, n_steps=32, batch_size=16, n_epochs=1, device="cpu")
    model.learn(64)
    action, _ = model.predict(env.reset(seed=0)[0])
    assert env.action_space.contains(int(action))
