"""Episodes that begin within a level, against the play that first came there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.support.scripts import ACTIONS, AXE, FLAGPOLE, INDEX, PIPE, Script, steps

import warpzone
from warpzone.errors import LevelError
from warpzone.nes.console import Console
from warpzone.smb.levels import LEVELS
from warpzone.smb.search import Trajectory
from warpzone.smb.starts import start_level


def way_of(script: Script) -> bytes:
    return bytes(INDEX[buttons] for buttons in steps(script))


def make_vec(levels: Any = "1-1", num_envs: int = 1, **settings: Any) -> warpzone.MarioVectorEnv:
    return warpzone.make_vec(levels, num_envs, actions=ACTIONS, **{"threads": 1, **settings})


def one_hot(index: int, count: int) -> np.ndarray:
    weights = np.zeros(count)
    weights[index] = 1
    return weights


def begin(envs: warpzone.MarioVectorEnv, index: int, count: int) -> tuple[Any, dict[str, Any]]:
    envs.set_start_weights(one_hot(index, count), 1.0)
    return envs.reset()


def assert_same(vector: Any, single: Any) -> None:
    """Row 0 of a vector environment's observation is a single environment's."""
    if isinstance(single, dict):
        assert vector.keys() == single.keys()
        for name, array in single.items():
            np.testing.assert_array_equal(vector[name][0], array)
    else:
        np.testing.assert_array_equal(vector[0], single)


@pytest.mark.parametrize(
    "settings",
    [
        {"observation": "tiles"},
        {"observation": "tiles", "show_level": True},
        {"observation": "pixels"},
        {"observation": "pixels", "max_pool": True},
        {"observation": "pixels", "consecutive": True},
        {"observation": "pixels", "frame_stack": 2, "crop_status_bar": True},
        {"observation": "rgb"},
        {"observation": "ram"},
    ],
    ids=lambda settings: ",".join(str(value) for value in settings.values()),
)
def test_play_goes_on_from_a_start_as_if_it_had_never_been_left(settings: dict[str, Any]) -> None:
    trajectory = way_of(FLAGPOLE)
    env = warpzone.make("1-1", actions=ACTIONS, **settings)
    seen = [env.reset()[0], *(env.step(action)[0] for action in trajectory)]
    envs = make_vec(**settings)
    starts = envs.record_initial_states("1-1", Trajectory(trajectory))
    # In 1-1 nothing interrupts the play: every moment counts but the first few and the flag.
    assert [start.step for start in starts] == list(
        range(envs.config.frame_stack + 1, len(trajectory))
    )
    envs.set_initial_states(starts)
    for index in (0, len(starts) // 2, len(starts) - 30):
        obs, infos = begin(envs, index, len(starts))
        assert_same(obs, seen[starts[index].step])
        assert infos["start"].tolist() == [index]
        assert infos["level"].tolist() == [0]
        assert infos["steps"].tolist() == infos["frames"].tolist() == [0]
        for at in range(starts[index].step, starts[index].step + 12):
            obs, *_ = envs.step(np.array([trajectory[at]]))
            assert_same(obs, seen[at + 1])


def test_the_rest_of_a_way_clears_the_level() -> None:
    trajectory = way_of(FLAGPOLE)
    envs = make_vec(autoreset="disabled", observation="ram")
    starts = envs.record_initial_states("1-1", Trajectory(trajectory))
    envs.set_initial_states(starts)
    start = starts[len(starts) // 2]
    assert (start.level, start.x > 1000) == (0, True)
    begin(envs, len(starts) // 2, len(starts))
    for action in trajectory[start.step :]:
        *_, terminated, truncated, infos = envs.step(np.array([action]))
    assert terminated[0]
    assert not truncated[0]
    assert infos["flag"][0]
    assert infos["start"].tolist() == [len(starts) // 2]
    assert infos["steps"].tolist() == [len(trajectory) - start.step]
    assert 0 < infos["progress"][0] < infos["x"][0] - 1000  # its own, from the start on


def test_no_start_looks_back_into_a_pipe() -> None:
    envs = make_vec()
    trajectory = way_of([*PIPE, (0, 12)])
    entered = sum(count for _, count in PIPE)
    found = {start.step for start in envs.record_initial_states("1-1", Trajectory(trajectory))}
    assert entered - 1 in found
    assert found.isdisjoint(range(entered, entered + 4))
    assert set(range(entered + 4, len(trajectory) + 1)) <= found


def test_a_start_tells_which_and_of_which_level_it_is() -> None:
    envs = make_vec(["1-1", "1-4"], 300, seed=3, observation="ram", max_steps=2)
    parts = [
        envs.record_initial_states("1-1", Trajectory(way_of(FLAGPOLE))),
        envs.record_initial_states("1-4", Trajectory(way_of(AXE))),
    ]
    starts = [*parts[0], *parts[1]]
    envs.set_initial_states(starts)
    weights = np.zeros(len(starts))
    weights[5], weights[-3] = 1, 3
    envs.set_start_weights(weights, 0.5)
    begun = [envs.reset()[1]]
    begun += [envs.step(np.zeros(300, np.int64))[4] for _ in range(2)][1:]  # by itself
    for infos in begun:
        index = infos["start"]
        assert set(index.tolist()) == {-1, 5, len(starts) - 3}  # never one of weight 0
        assert 100 < (index == -1).sum() < 200
        assert 2 < (index == len(starts) - 3).sum() / (index == 5).sum() < 5
        assert (infos["level"][index == 5] == LEVELS.index("1-1")).all()
        assert (infos["level"][index == len(starts) - 3] == LEVELS.index("1-4")).all()
        assert (infos["world"] * 4 + infos["stage"] - 5 == infos["level"]).all()
        assert len(set(infos["level"][index == -1].tolist())) == 2


def test_no_start_is_drawn_before_weights_are_given() -> None:
    envs = make_vec(num_envs=20, observation="ram")
    starts = envs.record_initial_states("1-1", Trajectory(way_of(FLAGPOLE)))
    own = envs.reset()[1]["start"].tolist()
    envs.set_initial_states(starts)
    assert envs.reset()[1]["start"].tolist() == own == [-1] * 20
    envs.set_start_weights(np.ones(len(starts)), 1.0)
    assert (envs.reset()[1]["start"] >= 0).all()
    envs.set_start_weights(np.ones(len(starts)), 0.0)
    assert envs.reset()[1]["start"].tolist() == own
    envs.set_start_weights(np.ones(len(starts)), 1.0)
    envs.set_initial_states(starts)
    assert envs.reset()[1]["start"].tolist() == own


def test_a_saved_state_goes_on_where_the_same_starts_are_given() -> None:
    trajectory = way_of(FLAGPOLE)

    def games() -> warpzone.MarioVectorEnv:
        envs = make_vec(num_envs=4, seed=1, max_steps=5, observation="ram")
        starts = envs.record_initial_states("1-1", Trajectory(trajectory))
        envs.set_initial_states(starts)
        envs.set_start_weights(np.ones(len(starts)), 0.7)
        return envs

    def trace(envs: warpzone.MarioVectorEnv) -> list[Any]:
        played = [envs.step(np.full(4, INDEX[128])) for _ in range(30)]
        # Observations of RAM are one array, where others are dicts of arrays.
        return [(obs.tobytes(), infos["start"].tolist()) for obs, *_, infos in played]  # type: ignore[union-attr]

    first, second = games(), games()
    first.reset()
    trace(first)
    state = first.save_state()
    expected = trace(first)
    assert len({tuple(index) for _, index in expected}) > 4
    second.load_state(state)
    assert trace(second) == expected


def test_wrong_starts_are_told_in_plain_words() -> None:
    envs = make_vec()
    trajectory = way_of(FLAGPOLE)
    with pytest.raises(LevelError, match="no level '1-5'"):
        envs.record_initial_states("1-5", Trajectory(trajectory))
    with pytest.raises(ValueError, match=r"action 7 of the way is outside 0\.\.6"):
        envs.record_initial_states("1-1", Trajectory(b"\x07"))
    assert envs.record_initial_states("1-1", Trajectory(b"")) == []
    starts = envs.record_initial_states("1-1", Trajectory(trajectory))
    with pytest.raises(ValueError, match="must make whole steps"):
        make_vec(frame_skip=3).set_initial_states(starts)
    envs.set_initial_states(starts)
    for weights, share, words in [
        (np.ones(3), 0.5, "there must be a weight for each start"),
        (np.ones(len(starts)), 1.5, "share must be from 0 to 1"),
        (-np.ones(len(starts)), 0.5, "weights must be at least 0"),
        (np.zeros(len(starts)), 0.5, "no start has a weight above 0"),
        (np.full(len(starts), np.nan), 0.5, "weights must be at least 0"),
        (np.full(len(starts), np.inf), 0.5, "weights must have a finite sum"),
    ]:
        with pytest.raises(ValueError, match=words):
            envs.set_start_weights(weights, share)
    assert envs.reset()[1]["start"].tolist() == [-1]  # none of that has changed anything


def test_buttons_stick_in_a_share_of_the_episodes() -> None:
    """Buttons that are not those of the action are seen in RAM, or would be by their effect."""
    envs = make_vec(
        num_envs=100, seed=2, repeat_action_probability=0.9, sticky_share=0.5, observation="ram"
    )
    free = warpzone.make("1-1", actions=ACTIONS, observation="ram")
    free.reset()
    envs.reset()
    for i in range(30):
        action = INDEX[128] if i % 3 else INDEX[64]
        obs, *_ = envs.step(np.full(100, action))
        expected, *_ = free.step(action)
    assert isinstance(obs, np.ndarray)
    assert 30 < (obs == expected).all(1).sum() < 70


def test_an_episode_within_a_level_begins_after_idle_frames_that_do_no_harm() -> None:
    """What the log says was pressed leads a plain console to the same memory."""
    trajectory = Trajectory(way_of(FLAGPOLE))
    envs = make_vec(num_envs=6, observation="ram", start_noop_max=90)
    starts = envs.record_initial_states("1-1", trajectory)
    envs.set_initial_states(starts)
    envs.watch_games(range(6))
    console = Console(envs.rom)
    waited = []
    for index in range(5, len(starts) - 30, 25):
        obs, infos = begin(envs, index, len(starts))
        for game in range(6):
            log = envs.input_log(game)
            assert log is not None
            frames = int(infos["frames"][game])
            assert not any(log.buttons[len(log.buttons) - frames :])
            start_level(console, "1-1")
            for buttons in log.buttons:
                console.step(buttons)
            np.testing.assert_array_equal(console.ram, obs[game])
            assert obs[game][0x0E] == 8, "Mario lives and obeys"
            waited.append(frames)
    assert 0 in waited, "in the air nobody waits"
    assert max(waited) > 60
    assert max(waited) <= 90


def halted(console: Console) -> int:
    """Frames in which Mario comes to a stand that way, or to no way on in water; 0 where he does
    not or would die."""
    against = 64 if int(console.ram[0x57].view(np.int8)) >= 0 else 128
    for frames in range(61):
        speed = int(console.ram[0x57].view(np.int8))
        moves = speed > 0 if against == 64 else speed < 0
        if not moves and (console.ram[0x1D] == 0 or console.ram[0x704]):
            return frames
        console.step(against if moves else 0)
        if console.ram[0x0E] != 8:
            break
    return 0


@pytest.mark.parametrize("idle", [0, 30])
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_mario_comes_to_a_stand_where_an_episode_begins_within_a_level(
    share: float, idle: int
) -> None:
    played = list(steps(FLAGPOLE))
    envs = make_vec(num_envs=4, observation="ram", start_noop_max=idle, start_halt_share=share)
    starts = envs.record_initial_states("1-1", Trajectory(way_of(FLAGPOLE)))
    envs.set_initial_states(starts)
    envs.watch_games(range(4))
    console = Console(envs.rom)
    stopped, moving, never = 0, 0, 0
    for index in range(5, len(starts) - 30, 6):
        obs, infos = begin(envs, index, len(starts))
        start_level(console, "1-1")
        for buttons in played[: starts[index].step]:
            console.step(buttons, 4)
        before = console.save()
        frames = halted(console)
        after = console.save()
        never += frames == 0
        for game in range(4):
            halts = envs.input_log(game) is None
            if halts:
                assert frames > 0
                console.load(after)
            else:
                console.load(before)
            for _ in range(int(infos["frames"][game]) - frames * halts):
                console.step(0)
            np.testing.assert_array_equal(console.ram, obs[game])
            assert obs[game][0x0E] == 8, "Mario lives and obeys"
            stopped += halts
            moving += not halts and frames > 0
    assert stopped > 20
    assert never > 0, "somewhere it would cost a life, or take too long"
    assert moving > 20 if share < 1 else moving == 0


def test_mario_stops_in_water() -> None:
    script = [(128, 3), (129, 2)] * 12
    envs = make_vec("2-2", num_envs=1, observation="ram", start_halt_share=1.0)
    starts = envs.record_initial_states("2-2", Trajectory(way_of(script)))
    envs.set_initial_states(starts)
    console = Console(envs.rom)
    stopped = 0
    for index in range(2, len(starts), 4):
        obs, infos = begin(envs, index, len(starts))
        start_level(console, "2-2")
        for buttons in list(steps(script))[: starts[index].step]:
            console.step(buttons, 4)
        frames = halted(console)
        assert int(infos["frames"][0]) == frames
        np.testing.assert_array_equal(console.ram, obs[0])
        stopped += bool(frames) and obs[0][0x1D] != 0
    assert stopped > 5, "swimming"


@pytest.mark.parametrize("settings", [{"start_noop_max": 60, "seed": 3}, {"whole_game": True}])
def test_a_way_is_played_as_it_was_whatever_episodes_are_like(settings: dict[str, Any]) -> None:
    console = Console(make_vec().rom)
    start_level(console, "1-4")
    for _ in range(4):
        console.step(0)
    trajectory = Trajectory(way_of(AXE), begin=console.save())
    plain = make_vec("1-4").record_initial_states("1-4", trajectory)
    games = make_vec("1-1" if "whole_game" in settings else "1-4", **settings)
    assert [(start.step, start.x, start.progress) for start in plain] == [
        (start.step, start.x, start.progress)
        for start in games.record_initial_states("1-4", trajectory)
    ]
    assert len(plain) > 50
