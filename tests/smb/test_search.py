"""The search for a way through a level."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

import numpy as np
import pytest

import warpzone
from warpzone.errors import ConfigError, LevelError
from warpzone.smb.search import Trajectory, tendency

ENOUGH = 2_000_000
"""Agent steps, many more than 1-1 takes."""


def make_vec(level: str = "1-1", **settings: Any) -> warpzone.MarioVectorEnv:
    # What makes episodes differ and ends them early is not for the search.
    return warpzone.make_vec(
        level,
        2,
        **{
            "threads": 1,
            "noop_max": 30,
            "repeat_action_probability": 0.25,
            "max_steps": 50,
            **settings,
        },
    )


@pytest.fixture(scope="module")
def trajectory() -> Trajectory:
    """Through 1-1."""
    return make_vec().explorer("1-1", seed=1).search(ENOUGH)


def test_a_way_through_1_1_clears_it(trajectory: Trajectory) -> None:
    assert trajectory.cleared
    assert trajectory.steps < ENOUGH
    env = warpzone.make("1-1")
    env.reset()
    infos = [env.step(action)[4] for action in trajectory.inputs]
    assert [info["flag"] for info in infos] == [False] * (len(infos) - 1) + [True]
    assert infos[-1]["death"] == 0


def test_each_game_of_many_goes_the_same_way(trajectory: Trajectory) -> None:
    envs = warpzone.make_vec("1-1", 3, autoreset="disabled")
    envs.reset()
    for action in trajectory.inputs:
        *_, terminated, truncated, infos = envs.step(np.full(3, action))
    assert infos["flag"].all()
    assert terminated.all()
    assert not truncated.any()


def test_the_same_seed_finds_the_same_way(trajectory: Trajectory) -> None:
    assert make_vec(seed=9).explorer("1-1", seed=1).search(ENOUGH) == trajectory
    few = [make_vec().explorer("1-1", seed).search(20_000).inputs for seed in (1, 2)]
    assert few[0] != few[1]


def test_a_search_that_ends_too_early_leads_to_the_farthest_place_found() -> None:
    explorer = make_vec("8-1").explorer("8-1")
    assert explorer.places == 1
    found = explorer.search(5_000)
    assert not found.cleared
    assert 5_000 <= found.steps < 5_100  # the last try is finished
    assert explorer.places > 50
    env = warpzone.make("8-1")
    env.reset()
    *_, info = [env.step(action) for action in found.inputs][-1]
    assert info["progress"] > 300
    assert (info["flag"], info["death"]) == (False, 0)
    more = explorer.search(20_000)  # goes on
    assert more.steps >= 20_000
    assert explorer.search(0) == more


def test_the_way_is_for_the_actions_and_the_frame_skip_of_the_environment() -> None:
    actions = [["right"], ["right", "A"]]
    found = make_vec(actions=actions, frame_skip=8).explorer("1-1").search(10_000)
    assert set(found.inputs) == {0, 1}
    env = warpzone.make("1-1", actions=actions, frame_skip=8)
    env.reset()
    *_, info = [env.step(action) for action in found.inputs][-1]
    assert (info["death"], info["progress"] > 300) == (0, True)


def test_a_search_can_be_broken_off() -> None:
    explorer = make_vec("8-3").explorer("8-3")
    timer = threading.Timer(0.2, signal.raise_signal, [signal.SIGINT])
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        explorer.search(10**9)
    assert time.monotonic() - began < 1.2
    more = explorer.search(0).steps
    assert explorer.search(more + 5_000).steps >= more + 5_000  # goes on


def test_running_to_the_right_is_tried_most() -> None:
    assert tendency(["right", "A", "B"]) == tendency(["right", "B"]) > tendency(["right"])
    assert tendency(["right"]) > tendency(["left"]) == tendency([]) == tendency(["down", "right"])
    assert tendency([]) > 0


def test_wrong_arguments_are_named() -> None:
    envs = make_vec()
    with pytest.raises(LevelError, match="no level '9-1'"):
        envs.explorer("9-1")
    for seed in (-1, 2**64):
        with pytest.raises(ConfigError, match=f"seed is {seed}"):
            envs.explorer("1-1", seed)


def test_a_search_can_begin_within_a_level(trajectory: Trajectory) -> None:
    settings: dict[str, Any] = {"noop_max": 0, "repeat_action_probability": 0.0, "max_steps": None}
    envs = make_vec(**settings)
    start = envs.record_initial_states("1-1", trajectory)[60]
    explorer = envs.explorer_from(start, seed=3)
    way = explorer.reach(200, ENOUGH)
    assert way is not None
    assert 0 < explorer.steps < ENOUGH
    assert envs.explorer_from(start, seed=3).reach(200, ENOUGH) == way
    assert envs.explorer_from(start, seed=3).reach(100_000, 2000) is None
    envs.put_initial_state(0, start)
    envs.set_start_weights(np.ones(1), 1.0)
    envs.reset(seed=0)
    progress = [envs.step(np.full(2, action))[4]["progress"][0] for action in way]
    assert max(progress) >= 200 > progress[len(progress) // 4]
