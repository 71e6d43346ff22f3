"""The game as it is played: from power-on until the lives are gone or the princess is saved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.support.scripts import ACTIONS, AXE, FLAGPOLE, INDEX, RUN, steps

import warpzone
from warpzone.errors import EngineError
from warpzone.smb.levels import LEVELS
from warpzone.smb.memory import MEMORY

MODE, TASK = MEMORY["oper_mode"], MEMORY["oper_mode_task"]
CASTLE_VICTORY, GAME_OVER = 2, 3


def make(**settings: Any) -> warpzone.MarioEnv:
    return warpzone.make(
        whole_game=True, actions=ACTIONS, observation="ram", keep_frames=True, **settings
    )


def until(env: warpzone.MarioEnv, action: int, **wanted: int) -> tuple[dict[str, Any], float, bool]:
    """Holds an action until signals have these values, or the episode has ended."""
    for _ in range(3000):
        _, reward, terminated, truncated, info = env.step(action)
        reached = wanted and all(info[name] == value for name, value in wanted.items())
        if reached or terminated or truncated:
            return info, float(reward), terminated
    raise AssertionError(f"{wanted} does not come")


def test_it_begins_with_the_title_and_start() -> None:
    env = make()
    _, info = env.reset()
    frames = env.frames()
    assert len(frames) == info["frames"] + 1  # what power-on shows comes before the first
    assert (LEVELS[info["level"]], info["lives"], info["time"]) == ("1-1", 2, 400)
    assert len({frame.tobytes() for frame in frames}) > 5  # the title, a black screen, 1-1
    # The same on the bare machine, where nothing but buttons goes in.
    console = warpzone.Console()
    for frame in range(info["frames"]):
        console.step(8 if frame == 100 else 0)
    np.testing.assert_array_equal(env.ram(), console.ram)
    title = frames[60]
    assert (frames[61:100] == title).mean() > 0.99  # but for a coin that glitters


def test_it_is_over_when_the_lives_are_gone() -> None:
    env = make()
    env.reset()
    frames = env.frames().shape[0] - 1
    for lost in (1, 2, 3):
        died = []
        for _ in range(200):
            _, reward, terminated, truncated, info = env.step(INDEX[RUN])  # into the first enemy
            frames += len(env.frames())
            died.append(info["death"])
            if info["lives_lost"] == lost:
                break
            assert not terminated
        assert died == [0] * (len(died) - 1) + [1]
        assert reward < -2
        assert (terminated, truncated) == (lost == 3, False)
        assert info["lives"] == max(2 - lost, 0)
        assert LEVELS[info["level"]] == "1-1"
        if lost < 3:  # another life, from where the level begins
            assert info["x"] == 40
            assert len(env.frames()) > 200
    assert info["frames"] == frames
    assert (info["flag"], info["levels_cleared"]) == (False, 0)
    env.run_on(300)
    assert env.ram()[MODE] == GAME_OVER


def test_with_one_life_the_first_death_ends_it() -> None:
    env = make(lives=1)
    env.reset()
    info, _, terminated = until(env, INDEX[RUN])
    assert terminated
    assert (info["lives_lost"], info["lives"], info["death"]) == (1, 2, 1)


def test_a_life_goes_on_from_the_half_way_point() -> None:
    env = make()
    env.reset()
    for buttons in steps(FLAGPOLE):
        *_, info = env.step(INDEX[buttons])
        if info["x"] > 1700:
            break
    info, *_ = until(env, INDEX[0], lives_lost=1)  # until an enemy or the clock
    assert 1200 < info["x"] < 1500
    assert info["progress"] > 1600


def test_it_goes_on_through_flag_and_axe() -> None:
    for level, script, then in (("1-1", FLAGPOLE, "1-2"), ("1-4", AXE, "2-1")):
        env = make()
        env.reset(options={"level": level})
        for buttons in steps(script):
            _, reward, terminated, _, info = env.step(INDEX[buttons])
            assert not terminated
        assert LEVELS[info["level"]] == then
        assert (info["levels_cleared"], info["lives_lost"], info["flag"]) == (1, 0, False)
        assert reward > 4
        assert len(env.frames()) > 200


def test_it_ends_with_the_princess_not_with_the_axe() -> None:
    env = make()
    env.reset(options={"level": "8-4"})
    env.step(INDEX[0])
    env.ram()[[MODE, TASK]] = CASTLE_VICTORY, 0  # what the axe does
    _, reward, terminated, _, info = env.step(INDEX[0])
    assert terminated
    assert info["flag"]
    assert reward > 4
    assert env.ram()[TASK] == 4  # the last words
    assert len(env.frames()) > 400


@pytest.mark.parametrize("warps", [False, True])
def test_warps_are_allowed_where_they_are_asked_for(warps: bool) -> None:
    env = make(warps=warps)
    env.reset(options={"level": "1-2"})
    env.step(INDEX[0])
    ram = env.ram()
    # What the pipe to world 4 does: it names the level, and the area is loaded.
    ram[[MEMORY["world"], MEMORY["stage"], MEMORY["area"]]] = 3, 0, 0
    ram[TASK] = 0
    _, _, terminated, _, info = env.step(INDEX[0])
    assert terminated is not warps
    if warps:
        assert (LEVELS[info["level"]], info["levels_cleared"], info["death"]) == ("4-1", 0, 0)
        _, _, terminated, _, _ = env.step(INDEX[0])
        assert not terminated
    else:
        assert info["death"] == 4


def test_a_pipe_to_a_world_that_does_not_exist_ends_the_game() -> None:
    """World 36, behind a pipe of the warp zone that the game has not numbered yet."""
    env = make(warps=True)
    env.reset(options={"level": "1-2"})
    env.step(INDEX[0])
    ram = env.ram()
    ram[[MEMORY["world"], MEMORY["stage"], MEMORY["area"]]] = 35, 0, 0
    ram[TASK] = 0
    _, _, terminated, _, info = env.step(INDEX[0])
    assert terminated
    assert (info["death"], info["flag"]) == (4, 0)


def test_each_time_that_mario_can_be_played_there_is_waiting() -> None:
    envs = warpzone.make_vec(
        num_envs=30, whole_game=True, actions=ACTIONS, observation="ram", noop_max=30, seed=3
    )
    _, info = envs.reset()
    waits = [info["frames"] - info["frames"].min()]
    lost = np.zeros(30, int)
    when = np.zeros((30, 2), int)
    while (lost < 2).any():
        *_, info = envs.step(np.full(30, INDEX[RUN]))
        for game in np.flatnonzero(info["lives_lost"] > lost):
            lost[game] += 1
            if lost[game] <= 2:
                when[game, lost[game] - 1] = info["time"][game]
    assert 15 < waits[0].max() <= 30
    # The clock of the new life has run as long as was waited: 24 frames a unit.
    assert len(set(waits[0].tolist())) > 8
    assert set(when.ravel().tolist()) <= {398, 399, 400}
    assert len(set(when[:, 0].tolist())) > 1


def test_steps_without_progress_are_those_of_a_life() -> None:
    env = make(no_progress_steps=60)
    env.reset()
    for life in range(2):
        for _ in range(50):
            _, _, terminated, truncated, _ = env.step(INDEX[0])
            assert not terminated
            assert not truncated
        until(env, INDEX[RUN], lives_lost=life + 1)
    for _ in range(59):
        assert not env.step(INDEX[0])[3]
    assert env.step(INDEX[0])[3]


def test_a_game_goes_on_from_a_saved_state() -> None:
    env, other = make(noop_max=30, seed=5), make(noop_max=30, seed=6)
    env.reset(seed=5)
    other.reset(seed=6)
    until(env, INDEX[RUN], lives_lost=1)
    other.load_state(env.save_state())
    for _ in range(40):
        assert env.step(INDEX[RUN])[1:] == other.step(INDEX[RUN])[1:]
        np.testing.assert_array_equal(env.ram(), other.ram())
    with pytest.raises(EngineError):
        other.load_state(b"nothing")
