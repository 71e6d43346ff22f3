"""One game as a Gymnasium environment, against the rules in plain Python."""

from __future__ import annotations

import warnings
from typing import Any, get_args

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from tests.support.scripts import (
    ACTIONS,
    AXE,
    BUTTONS,
    DOWN,
    FLAGPOLE,
    HOP,
    INDEX,
    LEFT,
    PIPE,
    RUN,
    WALK,
    Reference,
    Script,
    play,
    steps,
)

import warpzone
from warpzone import Console
from warpzone.errors import EngineError
from warpzone.nes.buttons import buttons_of
from warpzone.nes.rom import Rom
from warpzone.smb.config import Observation
from warpzone.smb.levels import LEVELS
from warpzone.smb.signals import SIGNALS
from warpzone.smb.starts import start_level

OBSERVATIONS = get_args(Observation)
NOOP, RIGHT = INDEX[0], INDEX[WALK]
Y_PAGE, TIMER, WORLD, STAGE = 0x00B5, 0x07F8, 0x075F, 0x075C


def make(level: str = "1-1", **settings: Any) -> warpzone.MarioEnv:
    return warpzone.make(level, actions=ACTIONS, **settings)


# --- Gymnasium's own checks -----------------------------------------------------------------------


@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_gymnasium_finds_nothing_wrong(observation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pygame", reason="it tries the window too")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env = gymnasium.make(
        "warpzone/Mario-v0", observation=observation, render_mode="rgb_array", noop_max=5
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)


def test_made_by_gymnasium() -> None:
    env = gymnasium.make("warpzone/Mario-v0", level="1-2", observation="ram", frame_skip=2)
    _, info = env.reset(seed=1)
    assert (info["world"], info["stage"]) == (1, 2)
    env.step(env.action_space.sample())
    assert isinstance(env.unwrapped, warpzone.MarioEnv)
    assert env.unwrapped.config.frame_skip == 2
    with pytest.raises(gymnasium.error.ResetNeeded):
        gymnasium.make("warpzone/Mario-v0").step(0)


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({"observation": "pixels"}, (4, 84, 84)),
        ({"observation": "pixels", "size": (60, 80), "frame_stack": 2}, (2, 60, 80)),
        ({"observation": "rgb"}, (240, 256, 3)),
        ({"observation": "ram"}, (2048,)),
    ],
)
def test_shapes(settings: dict[str, Any], shape: tuple[int, ...]) -> None:
    env = make(**settings)
    obs, _ = env.reset()
    assert obs.shape == env.observation_space.shape == shape
    assert obs.dtype == np.uint8
    assert env.step(RIGHT)[0].shape == shape


def test_observations_are_the_callers() -> None:
    env = make(observation="ram")
    first, _ = env.reset()
    kept = first.copy()
    env.step(RIGHT)
    assert np.array_equal(first, kept)


def test_ram_and_rgb_are_those_of_the_console(rom: Rom) -> None:
    console = Console(rom)
    start_level(console, "4-1")
    ram, rgb = make("4-1", observation="ram"), make("4-1", observation="rgb")
    assert np.array_equal(ram.reset()[0], console.ram)
    assert np.array_equal(rgb.reset()[0], console.rgb())
    for _ in range(20):
        console.step(RUN, 4)
        assert np.array_equal(ram.step(INDEX[RUN])[0], console.ram)
        assert np.array_equal(rgb.step(INDEX[RUN])[0], console.rgb())


# --- rewards, signals and ends --------------------------------------------------------------------


def assert_step(
    result: tuple[Any, float, bool, bool, dict[str, Any]], expected: dict[str, Any], reward: str
) -> None:
    _, got, terminated, truncated, info = result
    assert got == pytest.approx(expected["rewards"][reward], abs=1e-5)
    assert (terminated, truncated) == (expected["terminated"], expected["truncated"])
    signals = {name: int(info[name]) for name in SIGNALS}
    assert signals == expected["signals"]


@pytest.mark.parametrize("reward", ["gym", "tutorial", "progress", "landed"])
@pytest.mark.parametrize("level", ["1-1", "1-3", "2-2", "4-1", "8-3"])
@pytest.mark.parametrize("frame_skip", [1, 4, 5])
def test_random_play_follows_the_rules(rom: Rom, reward: str, level: str, frame_skip: int) -> None:
    """Every frame's reward counts, the first of each step too; nothing is paid for the reset."""
    env = make(level, reward=reward, frame_skip=frame_skip, observation="ram", max_steps=250)
    reference = Reference(rom, level, frame_skip, max_steps=250)
    rng = np.random.default_rng(LEVELS.index(level))
    buttons = list(BUTTONS)
    ends = 0
    total = 0.0
    env.reset()
    for i in range(400):
        if i % 5 == 0:
            action = int(rng.choice(len(buttons), p=[0.05, 0.05, 0.05, 0.15, 0.2, 0.2, 0.3]))
        result = env.step(action)
        expected = reference.step(buttons[action])
        assert_step(result, expected, reward)
        total += result[1]
        assert result[4]["episode_return"] == pytest.approx(total, rel=1e-4, abs=1e-3)
        assert np.array_equal(result[0], reference.ram)
        if result[2] or result[3]:
            ends += 1
            reference.reset()
            obs, info = env.reset()
            total = 0.0
            assert np.array_equal(obs, reference.ram)
            assert {name: int(info[name]) for name in SIGNALS} == reference.signals()
    assert ends > 0


@pytest.mark.parametrize(
    ("level", "script"), [("1-1", FLAGPOLE), ("1-4", AXE)], ids=["flagpole", "axe"]
)
@pytest.mark.parametrize("reward", ["gym", "tutorial", "progress", "landed"])
def test_clearing_a_level(rom: Rom, level: str, script: Script, reward: str) -> None:
    env = make(level, reward=reward, observation="ram")
    env.reset()
    reference = Reference(rom, level)
    results = play(env, script)
    for result, buttons in zip(results, steps(script), strict=True):
        assert_step(result, reference.step(buttons), reward)
    _, last, terminated, truncated, info = results[-1]
    assert (terminated, truncated, info["flag"], info["death"]) == (True, False, True, 0)
    assert not any(result[2] for result in results[:-1])
    at_least = {"gym": 0, "tutorial": 5, "progress": 4.9, "landed": 4.9}
    assert last >= at_least[reward]
    assert info["x"] > 2000
    with pytest.raises(EngineError, match=r"no running episode: call reset\(\) first"):
        env.step(0)


@pytest.mark.parametrize(
    ("poke", "death"),
    [
        pytest.param({Y_PAGE: 2}, 2, id="pit"),
        pytest.param({TIMER: 0, TIMER + 1: 0, TIMER + 2: 1, 0x0787: 1}, 3, id="time"),
        pytest.param({WORLD: 3}, 4, id="warp to another world"),
        pytest.param({STAGE: 1}, 4, id="warp to another stage"),
    ],
)
def test_ways_to_die(poke: dict[int, int], death: int) -> None:
    rewards = {}
    for reward in ("gym", "tutorial", "progress", "landed", "severe"):
        env = make(end_penalty=7.0) if reward == "severe" else make(reward=reward)
        env.reset()
        for address, value in poke.items():
            env.ram()[address] = value
        for _ in range(20):
            _, got, terminated, truncated, info = env.step(NOOP)
            assert not truncated
            if terminated:
                break
        assert (terminated, info["death"], info["flag"]) == (True, death, False)
        rewards[reward] = got
    assert rewards["tutorial"] == pytest.approx((rewards["gym"] - 50) / 10, abs=1e-4)
    assert rewards["progress"] == rewards["landed"] == pytest.approx(-2.51, abs=1e-4)
    assert rewards["severe"] == pytest.approx(-7.01, abs=1e-4)
    assert (rewards["gym"] <= -15) == (death != 4)


def test_progress_in_the_air_is_paid_by_landed_where_mario_comes_down() -> None:
    """A jump ahead, and the same with a pit in place of the ground."""
    jump = [RIGHT] * 5 + [INDEX[HOP]] * 2 + [RIGHT] * 15
    paid = {}
    for reward in ("progress", "landed"):
        env = make(reward=reward)
        env.reset()
        paid[reward] = [env.step(action)[1] for action in jump]
    early, late = (np.add.accumulate(paid[reward]) for reward in ("progress", "landed"))
    assert (late <= early + 1e-4).all()
    assert (early - late).max() > 1, "while in the air"
    assert late[-1] == pytest.approx(early[-1], abs=1e-4)

    env = make(reward="landed")
    env.reset()
    for action in jump[:8]:
        env.step(action)
    env.ram()[Y_PAGE] = 2
    assert env.step(RIGHT)[1] == pytest.approx(-2.51, abs=1e-4)
    env.reset()
    assert env.step(NOOP)[1] == pytest.approx(-0.01, abs=1e-4), "nor is it paid in the next episode"


def test_death_by_an_enemy() -> None:
    env = make()
    env.reset()
    for _ in range(200):
        _, reward, terminated, truncated, info = env.step(RIGHT)
        if terminated:
            break
    assert (terminated, truncated, info["death"]) == (True, False, 1)
    assert reward < -2
    assert 250 < info["x"] < 350, "the first goomba"


def test_a_truncated_episode_is_not_a_death() -> None:
    for reward, lowest in (("tutorial", -0.5), ("progress", -0.5), ("landed", -0.5), ("gym", -4)):
        env = make(reward=reward, max_steps=5)
        env.reset()
        results = [env.step(NOOP) for _ in range(5)]
        assert [r[2:4] for r in results] == [(False, False)] * 4 + [(False, True)]
        assert results[-1][1] >= lowest
        assert (results[-1][4]["death"], results[-1][4]["flag"]) == (0, False)
        with pytest.raises(EngineError, match="no running episode"):
            env.step(NOOP)


def test_a_death_in_the_last_allowed_step_is_a_death() -> None:
    env = make(max_steps=3)
    env.reset()
    env.step(NOOP)
    env.step(NOOP)
    env.ram()[Y_PAGE] = 2
    assert env.step(NOOP)[2:4] == (True, False)


def test_no_progress_truncates_and_progress_does_not() -> None:
    env = make(no_progress_steps=6)
    env.reset()
    for i in range(12):  # on the move
        assert env.step(RIGHT)[2:4] == (False, False), i
    while env.step(NOOP)[4]["progress"] != env.step(NOOP)[4]["progress"]:
        pass  # he comes to rest
    results = [env.step(NOOP)[3] for _ in range(4)]
    assert results == [False, False, False, True], "the two steps at rest count"


def test_steps_back_and_forth_are_no_progress() -> None:
    env = make(no_progress_steps=30)
    env.reset()
    for _ in range(25):
        env.step(RIGHT)
    progress = []
    for action in [INDEX[LEFT]] * 20 + [RIGHT] * 15:
        _, _, terminated, truncated, info = env.step(action)
        progress.append(info["progress"])
        if terminated or truncated:
            break
    assert (terminated, truncated) == (False, True)
    assert progress[-1] - progress[0] < 5


# --- cutscenes ------------------------------------------------------------------------------------


def enter_pipe(**settings: Any) -> tuple[warpzone.MarioEnv, list[Any]]:
    env = make("1-1", **settings)
    env.reset()
    return env, play(env, PIPE)


def test_a_pipe_is_passed_in_one_step(rom: Rom) -> None:
    env, results = enter_pipe(observation="ram")
    reference = Reference(rom, "1-1")
    for result, buttons in zip(results, steps(PIPE), strict=True):
        assert_step(result, reference.step(buttons), "progress")
    before, after = results[-2], results[-1]
    assert before[4]["x"] > 900
    assert after[4]["x"] < 100, "the room under the ground has its own x"
    assert after[4]["frames"] - before[4]["frames"] > 60
    assert after[4]["steps"] - before[4]["steps"] == 1
    assert after[4]["progress"] == before[4]["progress"]
    assert after[1] == pytest.approx(-0.01), "no reward or loss for the jump between areas"
    assert env.ram()[0x0E] == 8, "Mario obeys again"
    further = env.step(RIGHT)
    for _ in range(10):
        further = env.step(RIGHT)
    assert further[4]["progress"] > after[4]["progress"]


def test_cutscenes_can_be_sat_through() -> None:
    env, results = enter_pipe(skip_cutscenes=False)
    frames = [result[4]["frames"] for result in results]
    assert np.diff(frames).tolist() == [4] * (len(frames) - 1)
    waited = 0
    while env.ram()[0x0E] != 8 or env.ram()[0x074E] != 2:
        env.step(NOOP)
        waited += 1
    assert 10 < waited < 60


@pytest.mark.parametrize("walked", [4, 5, 6])
@pytest.mark.parametrize("settings", [{}, {"max_pool": True}, {"consecutive": True}], ids=str)
def test_the_newest_picture_is_what_is_acted_on(walked: int, settings: dict[str, Any]) -> None:
    """Mario slides to where the pipe takes him in any of the three frames of a step."""
    env = make("1-1", observation="pixels", frame_skip=3, frame_stack=3, **settings)
    env.reset()
    for buttons in list(steps(PIPE))[:-3]:
        env.run_on(4, buttons)
    env.run_on(walked, HOP)
    obs, *_ = env.step(INDEX[DOWN])
    while env.ram()[0x074E] == 1:
        obs, *_ = env.step(INDEX[DOWN])
    after, *_ = env.step(NOOP)
    assert np.abs(obs[-1].astype(int) - after[-1].astype(int)).mean() < 4
    assert obs[-1].mean() < 60, "it is dark under the ground"


# --- frames ---------------------------------------------------------------------------------------


def test_every_frame_is_kept_cutscenes_too(rom: Rom) -> None:
    env, results = enter_pipe(keep_frames=True)
    frames = env.frames()
    assert len(frames) == results[-1][4]["frames"] - results[-2][4]["frames"] > 60
    console = Console(rom)
    start_level(console, "1-1")
    for buttons in list(steps(PIPE))[:-1]:
        console.step(buttons, 4)
    for i, frame in enumerate(frames):
        console.step(DOWN if console.ram[0x0E] == 8 and i < 4 else 0)
        assert np.array_equal(frame, console.screen()), i


def test_frames_of_a_step_and_of_a_reset(rom: Rom) -> None:
    env = make("1-2", keep_frames=True, frame_skip=3)
    console = Console(rom)
    start_level(console, "1-2")
    env.reset()
    assert env.frames().shape == (1, 240, 256)
    assert np.array_equal(env.frames()[0], console.screen())
    for _ in range(4):
        env.step(RIGHT)
        assert env.frames().shape == (3, 240, 256)
        for frame in env.frames():
            console.step(WALK)
            assert np.array_equal(frame, console.screen())


def test_what_follows_the_flag_can_be_seen(rom: Rom) -> None:
    env = make("1-1", keep_frames=True)
    env.reset()
    play(env, FLAGPOLE)
    reference = Reference(rom, "1-1")
    for buttons in steps(FLAGPOLE):
        reference.step(buttons)
    frames = env.run_on(90)
    assert frames.shape == (90, 240, 256)
    for frame in frames:
        reference.console.step(0)
        assert np.array_equal(frame, reference.console.screen())
    env.reset()
    assert env.step(RIGHT)[4]["steps"] == 1


def test_rendering() -> None:
    env = make(render_mode="rgb_array", frame_skip=2)
    env.reset()
    first = env.render()
    assert first is not None
    assert (first.shape, first.dtype.name) == ((240, 256, 3), "uint8")
    for _ in range(10):
        env.step(RIGHT)
    later = env.render()
    assert later is not None
    assert not np.array_equal(first, later)
    assert make().render() is None
    for frame_skip, fps in ((1, 60), (2, 30), (4, 15), (7, 9), (60, 1)):
        found = make(frame_skip=frame_skip).metadata["render_fps"]
        assert (found, type(found)) == (fps, int)  # writers of films want a whole number


# --- randomness -----------------------------------------------------------------------------------


def starts(count: int = 60, **settings: Any) -> list[int]:
    env = make(**settings)
    env.reset(seed=3)
    return [env.reset()[1]["frames"] for _ in range(count)]


def test_noops_are_within_their_bounds_and_drawn_anew() -> None:
    frames = starts(noop_max=6)
    assert set(frames) == set(range(7))
    assert starts(noop_max=0, count=5) == [0] * 5


def test_noops_are_idle_frames(rom: Rom) -> None:
    env = make(noop_max=30, observation="ram")
    for seed in range(5):
        obs, info = env.reset(seed=seed)
        console = Console(rom)
        start_level(console, "1-1")
        console.step(0, info["frames"])
        assert np.array_equal(obs, console.ram)


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_stands_the_most_noops(rom: Rom, level: str) -> None:
    reference = Reference(rom, level)
    for _ in range(300):
        reference.console.step(0)
        assert not reference.dead()


def test_all_levels_are_drawn() -> None:
    env = make("all", noop_max=60)
    seen = {env.reset(seed=seed)[1]["level"] for seed in range(300)}
    assert len(seen) == 32


def test_levels_are_drawn_by_weight() -> None:
    env = warpzone.make({"1-1": 3.0, "8-4": 1.0})
    env.reset(seed=0)
    levels = [env.reset()[1]["level"] for _ in range(400)]
    assert set(levels) == {0, 31}
    assert 0.65 < levels.count(0) / 400 < 0.85


def test_seeds_repeat_everything() -> None:
    def episode(seed: int) -> list[Any]:
        env = make(noop_max=30, repeat_action_probability=0.25, observation="ram")
        trace = [env.reset(seed=seed)[0].tobytes()]
        return trace + [env.step(i % 5)[0].tobytes() for i in range(20)]

    assert episode(5) == episode(5)
    assert episode(5) != episode(6)


def test_sticky_actions_repeat_the_last_buttons(rom: Rom) -> None:
    """Each frame either takes the new buttons or keeps the old ones; about a quarter keep."""
    env = make(repeat_action_probability=0.25, frame_skip=1, observation="ram")
    env.reset(seed=0)
    console = Console(rom)
    start_level(console, "1-1")
    held, kept, told = 0, 0, 0
    for i in range(240):
        wanted = WALK if i % 2 == 0 else 0
        obs = env.step(INDEX[wanted])[0]
        told += wanted != held
        snapshot = console.save()
        console.step(wanted)
        if not np.array_equal(console.ram, obs):
            console.load(snapshot)
            console.step(held)
            assert np.array_equal(console.ram, obs), "neither the new buttons nor the old ones"
            kept += 1
        else:
            held = wanted
    assert told > 100
    assert 0.15 < kept / told < 0.35


def test_without_stickiness_every_action_counts(rom: Rom) -> None:
    env = make(frame_skip=1, observation="ram")
    env.reset(seed=0)
    console = Console(rom)
    start_level(console, "1-1")
    for i in range(60):
        console.step(WALK if i % 2 else 0)
        assert np.array_equal(env.step(RIGHT if i % 2 else NOOP)[0], console.ram)


# --- use and misuse -------------------------------------------------------------------------------


def test_an_action_that_does_not_exist_leaves_the_game_as_it_was() -> None:
    env = make(observation="ram")
    env.reset()
    env.step(RIGHT)
    before = env.ram().copy()
    for action in (-1, len(ACTIONS), 2**40):
        with pytest.raises(ValueError, match=rf"action {action} of game 0 is outside 0\.\.6"):
            env.step(action)
    assert np.array_equal(env.ram(), before)
    assert env.step(RIGHT)[4]["steps"] == 2


def test_stepping_before_the_first_reset() -> None:
    with pytest.raises(EngineError, match=r"call reset\(\) first"):
        make().step(0)


def test_own_actions_are_pressed(rom: Rom) -> None:
    actions = [["right", "B"], ["A"], [], ["NOOP"], ["left"]]
    env = warpzone.make("1-1", actions=actions, observation="ram")
    assert env.action_space == gymnasium.spaces.Discrete(5)
    assert env.action_meanings == ["right + B", "A", "nothing", "nothing", "left"]
    env.reset()
    console = Console(rom)
    start_level(console, "1-1")
    for action in (0, 0, 1, 2, 3, 4, 0):
        console.step(buttons_of(actions[action]), 4)
        assert np.array_equal(env.step(action)[0], console.ram)


def test_a_reward_of_ones_own() -> None:
    def speed(now: Any, before: Any) -> Any:
        return (now["x"] - before["x"]) / 10 - 5.0 * (now["death"] > 0)

    env = make(reward=speed, max_steps=200)
    _, info = env.reset()
    x, total = info["x"], 0.0
    for _ in range(200):
        _, reward, terminated, _, info = env.step(RIGHT)
        total += reward
        assert reward == pytest.approx((info["x"] - x) / 10 - 5 * (info["death"] > 0))
        assert info["episode_return"] == pytest.approx(total, abs=1e-4)
        x = info["x"]
        if terminated:
            break
    assert terminated
    assert reward < -4


def test_a_game_of_whole_settings_waits_for_its_reset() -> None:
    """As one of single settings does; only vector environments begin anew by themselves."""
    env = warpzone.MarioEnv(config=warpzone.EnvConfig(max_steps=1))
    env.reset(seed=0)
    assert env.step(0)[3]
    with pytest.raises(EngineError, match="no running episode: call reset"):
        env.step(0)
