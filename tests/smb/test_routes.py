"""What counts as progress where a way is known, and where the rules end an episode or go on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.support.scripts import ACTIONS, FLAGPOLE, INDEX, LEAP, PIPE, RUN, WALK, Script, steps

import warpzone
from warpzone.nes.console import Console
from warpzone.smb.levels import LEVELS
from warpzone.smb.search import Trajectory
from warpzone.smb.signals import DEATHS
from warpzone.smb.starts import start_level

PASSAGE = 2.5
"""Reward for a pipe that leads on."""


def way_of(script: Script) -> bytes:
    return bytes(INDEX[buttons] for buttons in steps(script))


THROUGH_PIPE = way_of([*PIPE, (0, 12), (RUN, 12)])


def make_vec(levels: Any = "1-1", num_envs: int = 1, **settings: Any) -> warpzone.MarioVectorEnv:
    settings = {"threads": 1, "observation": "ram", "autoreset": "disabled", **settings}
    return warpzone.make_vec(levels, num_envs, actions=ACTIONS, **settings)


def trace(
    trajectory: bytes, masks: dict[str, bytes] | None = None, **settings: Any
) -> dict[str, np.ndarray]:
    """Rewards and signals of each step of a way through 1-1."""
    envs = make_vec(**settings)
    if masks is not None:
        envs.set_progress_masks({level: [Trajectory(mask)] for level, mask in masks.items()})
    envs.reset()
    played = [envs.step(np.array([action])) for action in trajectory]
    result = {"reward": np.array([reward[0] for _, reward, *_ in played])}
    for name in ("x", "progress", "flag"):
        result[name] = np.array([infos[name][0] for *_, infos in played])
    return result


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)


def step_into_pipe(played: dict[str, np.ndarray]) -> int:
    (entered,) = np.flatnonzero(np.abs(np.diff(played["x"])) > 128) + 1
    return int(entered)


def test_on_its_route_a_level_is_as_without() -> None:
    trajectory = way_of(FLAGPOLE)
    plain = trace(trajectory)
    assert plain["flag"][-1]
    assert_same(trace(trajectory, {"1-1": trajectory}), plain)
    # Nor do routes of other levels change anything.
    assert_same(trace(trajectory, {"1-2": trajectory[:20], "8-4": b""}), plain)


def test_behind_the_end_of_the_route_nothing_counts() -> None:
    trajectory = way_of(FLAGPOLE)
    plain = trace(trajectory)
    half = len(trajectory) // 2
    short = trace(trajectory, {"1-1": trajectory[:half]})
    end = plain["x"][half - 1]
    np.testing.assert_array_equal(short["x"], plain["x"])
    on_it = plain["x"] <= end
    np.testing.assert_array_equal(short["progress"][on_it], plain["progress"][on_it])
    beyond = short["progress"][plain["x"] > end + 64]  # its last columns are 32 px wide
    assert len(beyond) > 50
    assert len(set(beyond.tolist())) == 1
    assert beyond[0] < plain["progress"][half - 1] + 64
    assert (short["reward"][plain["x"] > end + 64][:-1] <= 0).all()


@pytest.mark.parametrize("reward", ["progress", "landed"])
def test_a_pipe_that_leads_on_is_rewarded(reward: str) -> None:
    plain = trace(THROUGH_PIPE, reward=reward)
    routed = trace(THROUGH_PIPE, {"1-1": THROUGH_PIPE}, reward=reward)
    np.testing.assert_array_equal(routed["progress"], plain["progress"])
    more = routed["reward"] - plain["reward"]
    entered = step_into_pipe(plain)
    assert np.flatnonzero(more).tolist() == [entered]
    assert more[entered] == pytest.approx(PASSAGE)


def test_a_pipe_away_from_the_route_is_not() -> None:
    plain, routed = trace(THROUGH_PIPE), trace(THROUGH_PIPE, {"1-1": way_of(FLAGPOLE)})
    entered = step_into_pipe(plain)
    assert plain["progress"][-1] > plain["progress"][entered]
    assert (routed["progress"][entered:] == routed["progress"][entered]).all()
    assert routed["reward"].max() < 1


def test_other_rewards_know_no_routes() -> None:
    for reward in ("gym", "tutorial"):
        plain = trace(THROUGH_PIPE, reward=reward)
        assert_same(trace(THROUGH_PIPE, {"1-1": THROUGH_PIPE}, reward=reward), plain)


def test_an_episode_ends_where_a_maze_throws_mario_back_if_it_is_to() -> None:
    plain, ending = (make_vec("4-4", 16, autoreset="same_step", end_thrown_back=on, seed=1)
                     for on in (False, True))  # fmt: skip
    trajectory = plain.explorer("4-4", 0).search(60_000)
    starts = plain.record_initial_states("4-4", trajectory)
    for envs in (plain, ending):
        envs.set_initial_states(starts)
        envs.set_start_weights(np.ones(len(starts)), 1.0)
        envs.reset()
    assert DEATHS[5] == "maze"
    random = np.random.default_rng(0)
    actions = np.full(16, INDEX[RUN])
    x = np.zeros(16, np.int64)
    for _ in range(1500):
        change = random.random(16) < 0.2
        choice = random.choice([INDEX[RUN], INDEX[LEAP], INDEX[LEAP], INDEX[0]], 16)
        actions = np.where(change, choice, actions)
        _, _, _, _, before = plain.step(actions)
        reached, terminated = advance(ending, actions)
        thrown = np.flatnonzero(terminated & (reached["death"] == 5))
        if len(thrown):
            break
        x = before["x"]
    assert len(thrown)
    game = int(thrown[0])
    # Where it is not to end, play goes on from there.
    assert before["steps"][game] > 1
    assert before["death"][game] == 0
    assert before["x"][game] == reached["x"][game]
    assert before["x"][game] < x[game] - 512


def advance(
    envs: warpzone.MarioVectorEnv, actions: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Signals of the states that were reached, and whether they ended their episodes."""
    envs.send(0, actions)
    step = envs.recv(0)
    signals = {name: np.array(values) for name, values in step.signals.items()}
    return signals, step.terminated.copy()


def test_the_game_goes_on_from_level_to_level() -> None:
    trajectory = way_of(FLAGPOLE)
    env = warpzone.make(
        "1-1", actions=ACTIONS, observation="ram", last_level="1-2", keep_frames=True
    )
    _, info = env.reset()
    frames = 0
    for action in trajectory:
        _, reward, terminated, truncated, info = env.step(action)
        frames += len(env.frames())
        assert not terminated
        assert not truncated
    # The last step has led from the flagpole to where 1-2 can be played; all of it is seen.
    assert (LEVELS[info["level"]], info["world"], info["stage"]) == ("1-2", 1, 2)
    assert (info["flag"], info["death"], info["steps"]) == (False, 0, len(trajectory))
    assert len(env.frames()) > 200
    assert frames == info["frames"]
    assert reward > 4  # as for a flag that ends an episode
    assert info["levels_cleared"] == 1
    through = info["progress"]
    assert through > 3000
    progress = [through]
    for _ in range(15):  # later comes an enemy
        _, _, terminated, _, info = env.step(INDEX[RUN])
        progress.append(info["progress"])
        assert not terminated
    assert sorted(progress) == progress
    assert through + 50 < progress[-1] < through + 500
    assert LEVELS[info["level"]] == "1-2"


def test_each_level_that_the_game_goes_on_into_begins_with_waiting() -> None:
    envs = make_vec(num_envs=40, last_level="1-2", noop_max=30, seed=2)
    envs.reset(options={"state": envs.level_starts.start(0)})
    for action in way_of(FLAGPOLE):
        *_, infos = envs.step(np.full(40, action))
    waited = infos["frames"] - infos["frames"].min()
    assert (infos["level"] == 1).all()
    assert 15 < waited.max() <= 30
    assert len(set(waited.tolist())) > 10


def test_the_last_level_is_cleared_with_its_own_flag() -> None:
    trajectory = way_of(FLAGPOLE)
    plain = trace(trajectory)
    for last in ("1-1", None):
        assert_same(trace(trajectory, last_level=last), plain)
    assert plain["flag"].tolist() == [False] * (len(trajectory) - 1) + [True]


def test_only_episodes_that_began_within_the_level_are_cut_after_start_steps() -> None:
    envs = make_vec(num_envs=40, seed=3, start_steps=5)
    starts = envs.record_initial_states("1-1", Trajectory(way_of(FLAGPOLE)))
    envs.set_initial_states(starts)
    weights = np.zeros(len(starts))
    weights[2] = 1
    envs.set_start_weights(weights, 0.5)
    within = envs.reset()[1]["start"] >= 0
    assert 5 < within.sum() < 35
    for step in range(1, 6):
        _, _, terminated, truncated, infos = envs.step(np.full(40, INDEX[0]))
        assert not terminated.any()
        np.testing.assert_array_equal(truncated, within & (step == 5))
    assert (infos["start"] >= 0).tolist() == within.tolist()


@pytest.mark.parametrize("noop_max", [0, 30])
def test_an_episode_of_a_row_begins_as_the_game_goes_on(noop_max: int) -> None:
    settings: dict[str, Any] = {
        "levels": ["1-1", "1-2"], "autoreset": "same_step", "noop_max": noop_max, "seed": 4,
    }  # fmt: skip
    trajectory = way_of(FLAGPOLE)
    row, alone = make_vec(row_share=1.0, **settings), make_vec(**settings)
    on = make_vec("1-1", last_level="1-2")
    on.reset()
    for envs in (row, alone):
        envs.reset(options={"level": "1-1"})
        if noop_max:  # the way knows no waiting
            envs.reset(options={"state": on.level_starts.start(0)})
    for action in trajectory:
        last = [envs.step(np.array([action])) for envs in (row, alone, on)]
    # Until the flag all is as without rows: reward, end, and what is told of the episode.
    (_, reward, terminated, _, infos), (_, plain_reward, plain_end, _, plain) = last[:2]
    assert reward == plain_reward > 4
    assert terminated.all()
    assert plain_end.all()
    for name, values in plain["final_info"].items():
        np.testing.assert_array_equal(infos["final_info"][name], values, err_msg=name)
    assert infos["final_info"]["flag"].all()
    assert LEVELS[infos["final_info"]["level"][0]] == "1-1"
    # Then comes 1-2 as in the running game, score and all, where another begins from nothing.
    ram, going_on = row.ram(0), on.ram(0)
    assert (LEVELS[infos["level"][0]], infos["start"], infos["steps"]) == ("1-2", -1, 0)
    assert infos["score"] == last[2][4]["score"] > plain["score"] == 0
    assert infos["progress"] == infos["episode_return"] == 0
    assert 0 <= infos["frames"] <= noop_max
    if noop_max == 0:
        np.testing.assert_array_equal(ram, going_on)
    else:
        assert infos["frames"] > 0
        assert infos["time"] < 401


def test_rows_go_on_by_their_share_into_levels_that_are_played() -> None:
    def began(levels: dict[str, float], share: float) -> np.ndarray:
        envs = make_vec(levels, 30, autoreset="same_step", row_share=share, seed=1)
        envs.reset(options={"level": "1-1"})
        for action in way_of(FLAGPOLE):
            *_, infos = envs.step(np.full(30, action))
        assert infos["final_info"]["flag"].all()
        again = envs.save_state()
        assert (infos["level"][infos["score"] > 0] == 1).all()
        carried = np.array(infos["score"] > 0)
        # What an explicit seed draws does not depend on what was played before.
        envs.reset(seed=3)
        assert not envs.ram(0)[0x07DE:0x07E3].any()
        envs.load_state(again)
        return carried

    assert began({"1-1": 1, "1-2": 1}, 1.0).all()
    assert 5 < began({"1-1": 1, "1-2": 1}, 0.5).sum() < 25
    assert not began({"1-1": 1, "1-2": 1}, 0.0).any()
    assert not began({"1-1": 1, "1-3": 1, "1-4": 1}, 1.0).any()


def begin(envs: warpzone.MarioVectorEnv, index: int, count: int) -> tuple[Any, dict[str, Any]]:
    envs.set_start_weights(np.eye(count)[index], 1.0)
    return envs.reset()


def run_into_the_first_enemy(envs: warpzone.MarioVectorEnv) -> dict[str, Any]:
    """Returns what the step says in which the life is lost."""
    for _ in range(400):
        *_, terminated, _, infos = envs.step(np.full(envs.num_envs, INDEX[WALK]))
        if terminated.any():
            assert terminated.all()
            return infos
    raise AssertionError("nobody died")


def test_an_episode_after_a_death_begins_as_the_game_goes_on_while_lives_are_left() -> None:
    envs = make_vec("1-1", autoreset="same_step", life_share=1.0)
    lives = [int(envs.reset()[1]["lives"][0])]
    for _ in range(4):
        infos = run_into_the_first_enemy(envs)
        assert infos["final_info"]["death"] == 1
        assert (infos["steps"], infos["start"], infos["x"], infos["flag"]) == (0, -1, 40, 0)
        assert envs.ram(0)[0x0E] == 8, "Mario lives and obeys"
        lives.append(int(infos["lives"][0]))
    assert lives == [2, 1, 0, 2, 1], "after the last one another game begins"
    without = make_vec("1-1", autoreset="same_step")
    without.reset()
    assert run_into_the_first_enemy(without)["lives"] == 2


def test_a_life_is_gone_on_with_at_the_half_way_point() -> None:
    """Which 1-1 has at its sixth screen."""
    envs = make_vec("1-1", autoreset="same_step", life_share=1.0)
    envs.reset()
    for action in way_of(FLAGPOLE):
        *_, infos = envs.step(np.array([action]))
        if infos["x"] > 5 * 256 + 200:
            break
    envs.ram(0)[0xB5] = 2  # below the screen
    while not (infos := envs.step(np.array([INDEX[0]]))[4]).get("final_info"):
        pass
    assert infos["final_info"]["death"] == 2
    assert infos["lives"] == 1
    assert 5 * 256 <= infos["x"] < 6 * 256
    assert infos["progress"] == 0


def test_what_was_played_before_an_episode_of_a_row_is_logged_with_it() -> None:
    envs = make_vec(["1-1", "1-2"], autoreset="same_step", row_share=1.0)
    envs.watch_games([0])
    envs.reset(options={"level": "1-1"})
    for action in way_of(FLAGPOLE):
        envs.step(np.array([action]))
    ended, log = envs.ended_input_logs(0)[0], envs.input_log(0)
    assert ended is not None
    before, _ = ended
    assert log is not None
    assert (log.level, log.own_start, len(log.decided)) == ("1-1", False, 0)
    assert log.buttons.startswith(before.buttons)
    assert not any(log.buttons[len(before.buttons) :])
    console = Console(envs.rom)
    start_level(console, "1-1")
    for buttons in log.buttons:
        console.step(buttons)
    np.testing.assert_array_equal(console.ram, envs.ram(0))


def test_moments_of_a_next_life_can_be_begun_at() -> None:
    """The log since the first life leads there; the console agrees."""
    envs = make_vec("1-1", autoreset="same_step", life_share=1.0)
    envs.watch_games([0])
    envs.reset()
    run_into_the_first_enemy(envs)
    for _ in range(12):
        envs.step(np.array([INDEX[WALK]]))
    log, ram = envs.input_log(0), envs.ram(0).copy()
    assert log is not None
    moments = envs.record_moments("1-1", log.buttons, [(len(log.buttons), 12)])
    assert (moments[0].level, moments[0].step) == (0, 12)
    envs.set_initial_states(moments)
    _, infos = begin(envs, 0, 1)
    assert infos["lives"] == 1
    np.testing.assert_array_equal(envs.ram(0), ram)


def test_an_episode_that_begins_in_a_later_level_of_a_row_is_not_logged() -> None:
    """Its log would begin in a level that the start does not name."""
    envs = make_vec(["1-1", "1-2"], autoreset="same_step", row_share=1.0)
    envs.watch_games([0])
    envs.reset(options={"level": "1-1"})
    for action in way_of(FLAGPOLE):
        envs.step(np.array([action]))
    for _ in range(30):
        envs.step(np.array([INDEX[0]]))
    log, ram = envs.input_log(0), envs.ram(0).copy()
    assert log is not None
    moments = envs.record_moments("1-1", log.buttons, [(len(log.buttons), 30)])
    assert moments[0].level == 1
    envs.set_initial_states(moments)
    _, infos = begin(envs, 0, 1)
    assert infos["level"] == 1
    np.testing.assert_array_equal(envs.ram(0), ram)
    assert envs.input_log(0) is None
