"""Episodes that begin with a big Mario (`power_share`), against one who caught a mushroom."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import numpy as np
from tests.support.scripts import ACTIONS, INDEX, RUN

import warpzone
from warpzone.nes.console import Console
from warpzone.smb.memory import POWER, SIZE

BOX_KIND, BOX_TOP, BOX_BOTTOM = 0x0499, 0x04AD, 0x04AF
"""Which shape the game takes Mario for when things touch him: 0 a big one's; and two ends of it."""


def make_vec(level: str, num_envs: int, **settings: Any) -> warpzone.MarioVectorEnv:
    settings = {"threads": 1, "observation": "ram", "seed": 5, **settings}
    return warpzone.make_vec(level, num_envs, actions=ACTIONS, **settings)


def test_a_level_begins_as_it_does_but_for_what_mario_has() -> None:
    with closing(make_vec("1-1", 200, power_share=1.0)) as envs, closing(make_vec("1-1", 1)) as own:
        envs.reset()
        own.reset()
        memories = np.stack([envs.ram(game) for game in range(200)])
        others = np.setdiff1d(np.arange(2048), [POWER, SIZE])
        np.testing.assert_array_equal(memories[:, others], np.tile(own.ram(0)[others], (200, 1)))
        assert set(memories[:, SIZE]) == {0}
        assert set(memories[:, POWER]) == {1, 2}
        assert 0.4 < (memories[:, POWER] == 2).mean() < 0.6


def test_only_that_share_of_episodes_begins_so() -> None:
    with closing(make_vec("1-1", 400, power_share=0.25)) as envs:
        _, info = envs.reset()
        assert 0.18 < (info["status"] > 0).mean() < 0.32


def test_a_start_within_a_level_is_as_it_was_recorded() -> None:
    with closing(make_vec("1-1", 8, power_share=1.0)) as envs:
        states = envs.record_initial_states("1-1", envs.explorer("1-1").search(100_000))
        envs.set_initial_states(states)
        envs.set_start_weights(np.ones(len(states)), 1.0)
        _, info = envs.reset()
        assert (info["status"] == 0).all()
        assert len(set(info["x"])) > 1


def test_a_big_start_is_one_of_them() -> None:
    console = Console()
    with closing(make_vec("1-1", 1, power_share=1.0)) as envs:
        console.load(envs.big_start("1-1"))
        for seed in range(20):
            envs.reset(seed=seed)
            if envs.ram(0)[POWER] == 1:
                break
        np.testing.assert_array_equal(envs.ram(0), console.ram)


def test_a_start_that_is_asked_for_is_as_it_is() -> None:
    with closing(make_vec("1-1", 1, power_share=1.0)) as envs:
        _, info = envs.reset(options={"level": "1-1"})
        assert info["status"][0] == 0


def test_a_hit_costs_the_mushroom_and_not_the_life() -> None:
    actions = np.array([INDEX[RUN]])
    with closing(make_vec("1-1", 1, power_share=1.0, autoreset="disabled")) as envs:
        envs.reset()
        seen = []
        for _ in range(100):
            _, _, terminated, _, info = envs.step(actions)
            seen.append(int(info["status"][0]))
            if terminated[0]:
                break
        assert seen[0] > 0
        assert 0 in seen  # by the first Goomba
        assert not terminated[0] or len(seen) > seen.index(0) + 20


def test_mario_is_as_big_as_one_who_comes_from_another_level() -> None:
    with closing(make_vec("1-1", 1, power_reward=1.0)) as envs:
        way = envs.explorer("1-1").search(600_000)
    with closing(make_vec("1-1", 1, last_level="1-2")) as caught:
        caught.reset()
        for action in way.inputs:
            _, _, _, _, info = caught.step(np.array([action]))
        assert (info["level"][0], info["status"][0]) == (1, 1)
        caught.step(np.array([0]))
        came = caught.ram(0).copy()
    with closing(make_vec("1-2", 1, power_share=1.0)) as envs:
        envs.reset()
        envs.step(np.array([0]))
        given = envs.ram(0)
        assert given[SIZE] == came[SIZE] == 0
        assert given[BOX_KIND] == came[BOX_KIND] == 0
        assert given[BOX_BOTTOM] - given[BOX_TOP] == came[BOX_BOTTOM] - came[BOX_TOP] > 20
