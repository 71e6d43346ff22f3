"""Games that go on elsewhere: copies, pickles, saved states, and moments of a console as starts."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
from tests.support.scripts import ACTIONS, FLAGPOLE, INDEX, RUN, WALK, steps

import warpzone
from warpzone.errors import ConfigError, EngineError, LevelError
from warpzone.nes.console import Console
from warpzone.smb.config import Observation
from warpzone.smb.search import Trajectory

OBSERVATIONS: tuple[Observation, ...] = get_args(Observation)
RIGHT = INDEX[WALK]
SETTINGS: dict[str, Any] = {
    "actions": ACTIONS, "noop_max": 9, "repeat_action_probability": 0.3, "max_steps": 12,
}  # fmt: skip


def through_pickle(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


def cloned(value: Any) -> Any:
    return value.clone()


COPIES = pytest.mark.parametrize("copied", [copy.deepcopy, through_pickle, cloned])


def flat(obs: Any) -> bytes:
    arrays = obs.values() if isinstance(obs, dict) else [obs]
    return b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)


def play_one(env: warpzone.MarioEnv, count: int = 30) -> list[bytes]:
    rng, seen = np.random.default_rng(1), []
    for _ in range(count):
        obs, reward, terminated, truncated, info = env.step(int(rng.integers(len(ACTIONS))))
        told = repr((reward, terminated, truncated, info)).encode()
        seen.append(flat(obs) + env.ram().tobytes() + told)
        if terminated or truncated:
            seen.append(flat(env.reset()[0]))
    return seen


def play_many(envs: warpzone.MarioVectorEnv, count: int = 30) -> list[bytes]:
    rng, seen = np.random.default_rng(2), []
    for _ in range(count):
        obs, rewards, *_, infos = envs.step(rng.integers(len(ACTIONS), size=envs.num_envs))
        seen.append(flat(obs) + rewards.tobytes() + infos["frames"].tobytes())
    return seen


@COPIES
@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_a_copy_of_one_game_goes_on_like_it(
    copied: Callable[[Any], Any], observation: Observation
) -> None:
    env = warpzone.make(["1-1", "1-2"], observation=observation, **SETTINGS)
    env.reset(seed=3)
    play_one(env, 17)
    again = copied(env)
    assert isinstance(again, warpzone.MarioEnv)
    assert again.observation_space == env.observation_space
    assert again.action_meanings == env.action_meanings
    expected = play_one(env)
    assert play_one(again) == expected


@COPIES
def test_a_copy_of_many_games_goes_on_like_them(copied: Callable[[Any], Any]) -> None:
    """Starts within levels, trajectories and watched games included; what one does, the other does
    not feel."""
    envs = warpzone.make_vec("1-1", 4, num_groups=2, threads=2, seed=5, **SETTINGS)
    envs.set_level_weights({"1-1": 1.0, "1-2": 2.0})
    envs.set_end_penalties({"1-1": 9.0})
    trajectory = Trajectory(bytes(INDEX[buttons] for buttons in steps(FLAGPOLE)))
    envs.set_progress_masks({"1-1": [trajectory]})
    starts = envs.record_initial_states("1-1", trajectory)
    envs.set_initial_states(starts)
    envs.set_start_weights(np.ones(len(starts)), 0.7)
    envs.put_initial_state(len(starts), starts[0])
    envs.watch_games([1, 3])
    envs.set_attr("name", ["a", "b", "c", "d"])
    envs.reset()
    play_many(envs, 17)
    again = copied(envs)
    assert again.groups == envs.groups
    expected = play_many(envs)
    other = copied(again)
    assert play_many(again) == expected
    assert play_many(other) == expected
    assert (again.input_log(1) is None) == (envs.input_log(1) is None)
    begun = {int(start) for start in envs.reset()[1]["start"]} - {-1}
    assert begun, "some begin within the level"


def reward_by_x(now: Any, before: Any) -> Any:
    return now["x"] - before["x"]


@COPIES
def test_a_copy_keeps_the_reward_function(copied: Callable[[Any], Any]) -> None:
    envs = warpzone.make_vec("1-1", 2, reward=reward_by_x, actions=ACTIONS)
    envs.reset(seed=0)
    envs.step(np.full(2, RIGHT))
    again = copied(envs)
    for _ in range(5):
        one, other = envs.step(np.full(2, RIGHT)), again.step(np.full(2, RIGHT))
        assert one[1].tolist() == other[1].tolist()
        assert one[4]["episode_return"].tolist() == other[4]["episode_return"].tolist()


def test_what_is_stepping_or_closed_cannot_be_copied() -> None:
    envs = warpzone.make_vec("1-1", 2)
    envs.reset()
    envs.send(0, np.zeros(2, np.int64))
    with pytest.raises(EngineError, match="a group is still stepping"):
        copy.deepcopy(envs)
    envs.recv(0)
    envs.close()
    with pytest.raises(EngineError, match="closed"):
        copy.deepcopy(envs)


# --- saved states ---------------------------------------------------------------------------------


@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_one_game_of_many_is_saved_and_loaded(observation: Observation) -> None:
    """Into any place of a vector environment, or into a single environment, and back."""
    settings = {"observation": observation, **SETTINGS, "autoreset": "disabled", "max_steps": None}
    envs = warpzone.make_vec("1-1", 3, seed=1, **settings)
    envs.reset()
    for _ in range(9):
        envs.step(np.full(3, RIGHT))
    before = [envs.save_state(i) for i in range(3)]
    envs.load_state(before[0], 2)
    assert envs.save_state(2) == before[0]
    assert [envs.save_state(i) for i in (0, 1)] == before[:2]
    obs, rewards, *_, infos = envs.step(np.full(3, RIGHT))
    assert flat({"": rewards[[0]]}) == flat({"": rewards[[2]]})
    assert infos["frames"][0] == infos["frames"][2]

    env = warpzone.make("1-1", **{k: v for k, v in settings.items() if k != "autoreset"})
    env.load_state(before[0])
    assert env.save_state() == before[0]
    alone = env.step(RIGHT)
    assert alone[1] == pytest.approx(float(rewards[0]))
    first = {k: v[0] for k, v in obs.items()} if isinstance(obs, dict) else obs[0]
    assert flat(alone[0]) == flat(first)
    envs.load_state(env.save_state(), 1)
    assert envs.save_state(1) == envs.save_state(0)


def test_a_state_that_does_not_fit_a_game_is_refused_and_changes_nothing() -> None:
    envs = warpzone.make_vec("1-1", 3, observation="ram")
    envs.reset(seed=0)
    whole, one = envs.save_state(), envs.save_state(1)
    for state, game in ((whole, 1), (one, None), (one[:-1], 0), (b"", 2), (b"x" * len(one), 0)):
        with pytest.raises(EngineError, match="not saved by environments like these"):
            envs.load_state(state, game)
    for game in (3, -1, 2**40):
        with pytest.raises(ConfigError, match=rf"there is no game {game}: games are 0 to 2"):
            envs.load_state(one, game)
        with pytest.raises(ConfigError, match=rf"there is no game {game}: games are 0 to 2"):
            envs.save_state(game)
    assert envs.save_state() == whole


def test_random_draws_are_part_of_a_state() -> None:
    env = warpzone.make("all", noop_max=30)
    env.reset(seed=8)
    state = env.save_state()

    def starts() -> list[tuple[int, int]]:
        return [(i["level"], i["frames"]) for i in (env.reset()[1] for _ in range(5))]

    first = starts()
    env.load_state(state)
    assert starts() == first


# --- a moment of a console ------------------------------------------------------------------------


def moment() -> tuple[Console, bytes]:
    """In 1-1, on the way."""
    console = Console()
    warpzone.start_level(console, "1-1")
    for buttons in list(steps(FLAGPOLE))[:60]:
        console.step(buttons, 4)
    return console, console.save()


@pytest.mark.parametrize("noop_max", [0, 20])
def test_an_episode_begins_at_a_moment_of_a_console(noop_max: int) -> None:
    """Exactly there: nothing idle before it, and what lies behind it is no progress."""
    console, state = moment()
    env = warpzone.make("1-2", observation="ram", actions=ACTIONS, noop_max=noop_max)
    obs, info = env.reset(seed=0, options={"state": state})
    assert np.array_equal(obs, console.ram)
    assert (info["level"], info["world"], info["stage"]) == (0, 1, 1)
    assert (info["progress"], info["steps"], info["frames"], info["start"]) == (0, 0, 0, -1)
    assert info["x"] > 300
    for _ in range(20):
        console.step(RUN, 4)
        obs, _, terminated, *_, info = env.step(INDEX[RUN])
        assert np.array_equal(obs, console.ram)
        if terminated:
            break
    assert info["progress"] > 0
    assert env.reset()[1]["level"] == 1, "the next episode is drawn as usual"


def test_pictures_of_a_moment_begin_with_itself() -> None:
    _, state = moment()
    env = warpzone.make(observation="pixels", actions=ACTIONS)
    obs, _ = env.reset(options={"state": state})
    assert all(np.array_equal(obs[0], picture) for picture in obs)


def test_each_game_may_begin_elsewhere() -> None:
    _, state = moment()
    envs = warpzone.make_vec("2-1", 4, observation="ram")
    infos = envs.reset(options={"level": ["8-1", None, None, "1-3"],
                                "state": [None, state, None, None]})[1]  # fmt: skip
    assert infos["level"].tolist() == [28, 0, 4, 2]
    mask = np.array([False, True, True, False])
    infos = envs.reset(options={"level": "4-2", "reset_mask": mask})[1]
    assert infos["level"].tolist() == [28, 13, 13, 2]


def test_the_level_of_an_episode_may_be_chosen() -> None:
    env = warpzone.make("1-1", noop_max=30)
    info = env.reset(seed=4, options={"level": "3-2"})[1]
    assert (info["world"], info["stage"]) == (3, 2)
    assert (
        env.reset(seed=4)[1]["frames"]
        == warpzone.make("1-1", noop_max=30).reset(seed=4)[1]["frames"]
    )


def test_a_journal_does_not_know_what_led_to_a_moment() -> None:
    _, state = moment()
    envs = warpzone.make_vec("1-1", 1)
    envs.watch_games([0])
    envs.reset()
    assert envs.input_log(0) is not None
    envs.reset(options={"state": state})
    assert envs.input_log(0) is None


def title_screen() -> bytes:
    console = Console()
    console.step(0, 60)
    return console.save()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"state": b"nothing"}, EngineError, "a snapshot has"),
        ({"state": title_screen}, EngineError, "no level is being played at this moment"),
        ({"state": b""}, ConfigError, "a state of 0 bytes is no snapshot"),
        ({"state": 5}, ConfigError, r"options\['state'\] must be bytes"),
        ({"level": "1-5"}, LevelError, "there is no level '1-5'"),
        ({"level": 3}, ConfigError, r"options\['level'\] must be str"),
        ({"level": "1-1", "state": lambda: moment()[1]}, ConfigError, "not both"),
        ({"levels": "1-1"}, ConfigError, "reset has no option 'levels': there are"),
        ({"seed": 1, "Level": "1-1"}, ConfigError, "reset has no option 'seed', 'Level'"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_wrong_options_are_told_and_change_nothing(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    options = {name: value() if callable(value) else value for name, value in options.items()}
    env = warpzone.make("1-1", noop_max=30)
    envs = warpzone.make_vec("1-1", 3, noop_max=30)
    env.reset(seed=0)
    envs.reset(seed=0)
    state, states = env.save_state(), envs.save_state()
    for one in (env, envs):
        with pytest.raises(error, match=words):
            one.reset(seed=7, options=options)
    assert (env.save_state(), envs.save_state()) == (state, states)
    with pytest.raises(ConfigError, match="reset_mask"):
        env.reset(options={"reset_mask": np.array([True])})
    with pytest.raises(ConfigError, match="must be str, or one or None for each of 3 games"):
        envs.reset(options={"level": ["1-1", "1-2"]})
