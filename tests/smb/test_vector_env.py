"""Many games at once, against the same games one by one; every kind of transition spelled out."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from tests.support.memory import freed_at_once
from tests.support.scripts import ACTIONS, INDEX, RUN, WALK

import warpzone
from warpzone.errors import ConfigError, EngineError
from warpzone.nes.arrays import Arrays
from warpzone.smb.config import EnvConfig, Observation
from warpzone.smb.signals import SIGNALS

OBSERVATIONS = get_args(Observation)
Y_PAGE = 0x00B5
NOOP, RIGHT = INDEX[0], INDEX[WALK]


def make_vec(levels: Any = "1-1", num_envs: int = 3, **settings: Any) -> warpzone.MarioVectorEnv:
    return warpzone.make_vec(levels, num_envs, actions=ACTIONS, **{"threads": 2, **settings})


def make(**settings: Any) -> warpzone.MarioEnv:
    return warpzone.make(actions=ACTIONS, **settings)


def array(arrays: Arrays) -> NDArray[Any]:
    """Of an environment whose observations are not dicts."""
    assert not isinstance(arrays, dict)
    return arrays


def equal(a: Arrays, b: Arrays) -> bool:
    if isinstance(a, dict):
        assert isinstance(b, dict)
        return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)
    assert not isinstance(b, dict)
    return np.array_equal(a, b)


def row(arrays: Arrays, i: int) -> Any:
    return {k: v[i] for k, v in arrays.items()} if isinstance(arrays, dict) else arrays[i]


def signals_of(infos: dict[str, Any], i: int) -> dict[str, int]:
    return {name: int(infos[name][i]) for name in SIGNALS}


def numbers(info: dict[str, Any]) -> dict[str, int]:
    return {name: int(info[name]) for name in SIGNALS}


def copy(arrays: Arrays) -> Arrays:
    if isinstance(arrays, dict):
        return {k: v.copy() for k, v in arrays.items()}
    return arrays.copy()


def random_actions(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    """Mostly to the right, so that something happens."""
    return rng.choice(len(ACTIONS), n, p=[0.05, 0.05, 0.05, 0.15, 0.2, 0.2, 0.3])


# --- Gymnasium ------------------------------------------------------------------------------------


def test_made_by_gymnasium() -> None:
    envs = gymnasium.make_vec("warpzone/Mario-v0", num_envs=3, level="1-2", observation="ram")
    assert isinstance(envs, warpzone.MarioVectorEnv)
    obs, infos = envs.reset(seed=0)
    assert array(obs).shape == (3, 2048)
    assert infos["stage"].tolist() == [2, 2, 2]
    assert envs.num_envs == 3
    envs.close()


@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_spaces_hold_what_comes(observation: str) -> None:
    envs = make_vec(observation=observation, num_envs=2)
    obs, _ = envs.reset(seed=0)
    assert envs.observation_space.contains(obs)
    for _ in range(5):
        obs, rewards, terminated, truncated, _ = envs.step(envs.action_space.sample())
        assert envs.observation_space.contains(obs)
        assert envs.single_observation_space.contains(row(obs, 1))
        assert rewards.dtype == np.float32
        assert terminated.dtype == truncated.dtype == np.bool_
        assert rewards.shape == terminated.shape == truncated.shape == (2,)


@pytest.mark.parametrize("mode", AutoresetMode)
def test_the_autoreset_mode_is_declared(mode: AutoresetMode) -> None:
    name = {"SameStep": "same_step", "NextStep": "next_step", "Disabled": "disabled"}[mode.value]
    assert make_vec(autoreset=name).metadata["autoreset_mode"] == mode


def test_gymnasiums_wrappers_work() -> None:
    """Of which RecordEpisodeStatistics depends on the autoreset mode. Before 1.4 it miscounts where
    any games begin anew in the step that ends them."""
    miscounts = tuple(map(int, gymnasium.__version__.split(".")[:2])) < (1, 4)
    for autoreset in ("next_step",) if miscounts else ("same_step", "next_step"):
        envs = gymnasium.wrappers.vector.RecordEpisodeStatistics(
            make_vec(max_steps=5, autoreset=autoreset, num_envs=2)
        )
        envs.reset()
        lengths = []
        for _ in range(13):
            *_, infos = envs.step(np.full(2, RIGHT))
            if "episode" in infos:
                lengths += infos["episode"]["l"][infos["_episode"]].tolist()
        assert lengths == [5, 5, 5, 5], autoreset


def test_results_belong_to_the_caller() -> None:
    envs = make_vec(observation="ram", num_envs=2, max_steps=3)
    kept = [array(envs.reset()[0])]
    for _ in range(4):
        obs, rewards, terminated, truncated, infos = envs.step(np.full(2, RIGHT))
        kept += [array(obs), rewards, terminated, truncated, infos["x"], infos["steps"]]
        if "final_obs" in infos:
            kept += [infos["final_obs"][0], infos["final_info"]["x"]]
    copies = [array.copy() for array in kept]
    for _ in range(4):
        envs.step(np.full(2, RIGHT))
    assert all(np.array_equal(a, b) for a, b in zip(kept, copies, strict=True))


# --- transitions ----------------------------------------------------------------------------------


class Twins:
    """A vector environment, and each of its games once more as a single environment."""

    def __init__(self, observation: str, autoreset: str, **settings: Any) -> None:
        self.levels = ["1-1", "1-2", "2-2"]
        self.n = 6
        # Every game has a level of its own choice; the singles are made for what was drawn.
        self.vector = make_vec(
            self.levels, self.n, observation=observation, autoreset=autoreset, seed=5, **settings
        )
        self.settings = {"observation": observation, **settings}
        self.single: list[warpzone.MarioEnv] = []

    def fresh(self, level: int) -> tuple[warpzone.MarioEnv, Any, dict[str, Any]]:
        name = f"{level // 4 + 1}-{level % 4 + 1}"
        env = make(level=name, **self.settings)
        return env, *env.reset()

    def begin(self) -> None:
        obs, infos = self.vector.reset()
        for i in range(self.n):
            env, expected, info = self.fresh(infos["level"][i])
            assert equal(row(obs, i), expected)
            assert signals_of(infos, i) == numbers(info)
            self.single.append(env)


@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_same_step_autoreset(observation: str) -> None:
    """The step that ends an episode returns the next one's first observation, and the last
    observation and info of the old one as final_obs and final_info."""
    twins = Twins(observation, "same_step", max_steps=23)
    twins.begin()
    rng = np.random.default_rng(1)
    ends = 0
    for step in range(80):
        actions = random_actions(rng, twins.n)
        if step % 11 == 7:  # one falls into a pit
            victim = step % twins.n
            twins.vector.ram(victim)[Y_PAGE] = twins.single[victim].ram()[Y_PAGE] = 2
        obs, rewards, terminated, truncated, infos = twins.vector.step(actions)
        any_end = False
        for i in range(twins.n):
            last, reward, is_terminated, is_truncated, info = twins.single[i].step(actions[i])
            assert rewards[i] == np.float32(reward)
            assert (terminated[i], truncated[i]) == (is_terminated, is_truncated)
            if not (is_terminated or is_truncated):
                assert equal(row(obs, i), last)
                assert signals_of(infos, i) == numbers(info)
                assert infos["episode_return"][i] == np.float32(info["episode_return"])
                if "_final_obs" in infos:
                    assert not infos["_final_obs"][i]
                    assert infos["final_obs"][i] is None
                continue
            any_end = True
            ends += 1
            assert infos["_final_obs"][i]
            assert infos["_final_info"][i]
            assert equal(infos["final_obs"][i], last)
            final = infos["final_info"]
            assert final["_x"][i]
            assert signals_of(final, i) == numbers(info)
            assert final["episode_return"][i] == np.float32(info["episode_return"])
            twins.single[i], first, info = twins.fresh(infos["level"][i])
            assert equal(row(obs, i), first)
            assert signals_of(infos, i) == numbers(info)
            assert infos["episode_return"][i] == 0
        assert ("final_obs" in infos) == any_end
        assert infos["_x"].all()
    assert ends > 15


@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_next_step_autoreset(observation: str) -> None:
    """The last observation comes as it is; the step after it only resets: the action is ignored,
    the reward is 0, nothing has ended, the observation is the new episode's first."""
    twins = Twins(observation, "next_step", max_steps=17)
    twins.begin()
    rng = np.random.default_rng(2)
    ended = np.zeros(twins.n, np.bool_)
    resets = 0
    for step in range(80):
        actions = random_actions(rng, twins.n)
        actions[ended] = 99  # not even looked at
        victim = step % twins.n
        if step % 11 == 7 and not ended[victim]:
            twins.vector.ram(victim)[Y_PAGE] = twins.single[victim].ram()[Y_PAGE] = 2
        obs, rewards, terminated, truncated, infos = twins.vector.step(actions)
        assert "final_obs" not in infos
        for i in range(twins.n):
            if ended[i]:
                resets += 1
                twins.single[i], expected, info = twins.fresh(infos["level"][i])
                assert (rewards[i], terminated[i], truncated[i]) == (0, False, False)
                assert infos["episode_return"][i] == 0
                ended[i] = False
            else:
                expected, reward, *ends, info = twins.single[i].step(actions[i])
                assert rewards[i] == np.float32(reward)
                assert [terminated[i], truncated[i]] == ends
                assert infos["episode_return"][i] == np.float32(info["episode_return"])
                ended[i] = any(ends)
            assert equal(row(obs, i), expected)
            assert signals_of(infos, i) == numbers(info)
    assert resets > 15


def test_disabled_autoreset() -> None:
    envs = make_vec(autoreset="disabled", observation="ram", max_steps=6)
    first, _ = envs.reset()
    envs.step(np.full(3, RIGHT))
    envs.ram(1)[Y_PAGE] = 2
    last, _, terminated, truncated, infos = envs.step(np.full(3, RIGHT))
    assert terminated.tolist() == [False, True, False]
    assert not truncated.any()
    assert "final_obs" not in infos
    assert infos["death"].tolist() == [0, 2, 0]
    before = [envs.ram(i).copy() for i in range(3)]
    with pytest.raises(EngineError, match=r"game 1 has no running episode: call reset\(\) first"):
        envs.step(np.full(3, RIGHT))

    mask = np.array([False, True, False])
    obs, infos = envs.reset(options={"reset_mask": mask})
    assert np.array_equal(array(obs)[1], array(first)[1])
    assert infos["steps"][1] == 0
    assert infos["death"].tolist() == [0, 0, 0]
    assert np.array_equal(envs.ram(1), array(first)[1])
    assert not np.array_equal(before[1], array(first)[1])
    assert not np.array_equal(array(last)[1], array(first)[1])
    *_, infos = envs.step(np.full(3, RIGHT))
    assert infos["steps"][1] == 1


def test_a_reset_tells_that_nothing_is_earned_yet() -> None:
    envs = warpzone.make_vec("1-1", 2, noop_max=5, autoreset="disabled")
    _, infos = envs.reset(seed=3)
    assert infos["episode_return"].tolist() == [0, 0]
    _, rewards, *_ = envs.step(np.array([1, 1]))
    assert rewards.all()
    _, infos = envs.reset(options={"reset_mask": np.array([False, True])})
    assert infos["episode_return"].tolist() == [rewards[0], 0]
    assert infos["episode_return"].dtype == np.float32
    _, info = warpzone.make("1-1").reset(seed=3)
    assert info["episode_return"] == 0


def test_a_mask_resets_only_where_it_is_set() -> None:
    envs = make_vec(observation="ram", noop_max=30, autoreset="disabled")
    envs.reset(seed=1)
    before, *_ = envs.step(np.full(3, RIGHT))
    after, infos = envs.reset(options={"reset_mask": np.array([True, False, True])})
    assert np.array_equal(array(before)[1], array(after)[1])
    assert infos["steps"].tolist() == [0, 1, 0]
    with pytest.raises(ValueError, match=r"must have shape \(3,\), not \(2,\)"):
        envs.reset(options={"reset_mask": np.array([True, False])})


def test_pixels_are_stacked_anew_in_a_new_episode() -> None:
    """No picture of the old episode in the new one's stack."""
    envs = make_vec(observation="pixels", num_envs=1, max_steps=9)
    first, _ = envs.reset()
    assert all(np.array_equal(array(first)[0, k], array(first)[0, 0]) for k in range(4))
    for _ in range(9):
        obs, *_, truncated, infos = envs.step(np.array([INDEX[RUN]]))
    assert truncated[0]
    assert equal(obs, first)
    assert len({picture.tobytes() for picture in infos["final_obs"][0]}) == 4


# --- threads, groups, seeds -----------------------------------------------------------------------


def trace(envs: warpzone.MarioVectorEnv, steps: int = 60) -> list[bytes]:
    """Everything that some random play brings."""
    rng = np.random.default_rng(7)
    seen = []
    for _ in range(steps):
        actions = random_actions(rng, envs.num_envs)
        obs, rewards, terminated, truncated, infos = envs.step(actions)
        arrays = list(obs.values()) if isinstance(obs, dict) else [obs]
        arrays += [rewards, terminated, truncated, *(infos[name] for name in SIGNALS)]
        if "final_obs" in infos:
            for final in infos["final_obs"][infos["_final_obs"]]:
                arrays += list(final.values()) if isinstance(final, dict) else [final]
            arrays.append(infos["final_info"]["episode_return"])
        seen.append(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays))
    return seen


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("autoreset", ["same_step", "next_step"])
def test_threads_and_groups_change_nothing(observation: str, autoreset: str) -> None:
    settings: dict[str, Any] = {
        "observation": observation, "autoreset": autoreset, "noop_max": 12,
        "repeat_action_probability": 0.2,
        "max_steps": 14, "seed": 3,
    }  # fmt: skip
    traces = []
    for threads, groups in [(1, 1), (3, 1), (2, 2), (4, 7)]:
        envs = make_vec("all", 7, threads=threads, num_groups=groups, **settings)
        envs.reset()
        traces.append(trace(envs, 40))
    assert traces[0] == traces[1] == traces[2] == traces[3]


def test_a_game_does_not_depend_on_the_others() -> None:
    """Its random draws come from the seed and its own index alone."""
    few, many = make_vec(num_envs=2, noop_max=30, seed=9), make_vec(num_envs=5, noop_max=30, seed=9)
    for _ in range(5):
        assert few.reset()[1]["frames"].tolist() == many.reset()[1]["frames"][:2].tolist()


def test_games_differ_and_seeds_repeat() -> None:
    envs = make_vec("all", 64, noop_max=30, seed=1)

    def starts(seed: int | None = None) -> list[tuple[int, int]]:
        infos = envs.reset(seed=seed)[1]
        return list(zip(infos["level"].tolist(), infos["frames"].tolist(), strict=True))

    first, second = starts(), starts()
    assert len(set(first)) > 50
    assert first != second
    assert starts(seed=4) != first
    assert starts(seed=1) == first
    assert starts() == second
    assert warpzone.make_vec("all", 64, noop_max=30, seed=1).reset()[1]["frames"].tolist() == [
        frames for _, frames in first
    ]


def test_uneven_groups() -> None:
    envs = make_vec(num_envs=7, num_groups=3)
    assert envs.groups == [slice(0, 2), slice(2, 4), slice(4, 7)]
    envs.reset()
    for group, rows in enumerate(envs.groups):
        envs.send(group, np.full(rows.stop - rows.start, RIGHT))
    for group, rows in enumerate(envs.groups):
        assert len(envs.recv(group).reward) == rows.stop - rows.start


# --- send and recv --------------------------------------------------------------------------------


@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_send_and_recv_are_step(observation: str) -> None:
    """Two groups in turns, as a trainer uses them."""
    settings: dict[str, Any] = {
        "observation": observation,
        "max_steps": 9,
        "noop_max": 10,
        "seed": 2,
    }
    plain = make_vec(num_envs=5, **settings)
    grouped = make_vec(num_envs=5, num_groups=2, **settings)
    plain.reset()
    grouped.reset()
    rng = np.random.default_rng(3)
    for _ in range(30):
        actions = random_actions(rng, 5)
        grouped.send(0, actions[grouped.groups[0]])
        grouped.send(1, actions[grouped.groups[1]])
        obs, rewards, terminated, truncated, infos = plain.step(actions)
        for group in (1, 0):
            rows = grouped.groups[group]
            t = grouped.recv(group)
            for i in range(rows.start, rows.stop):
                k = i - rows.start
                assert equal(row(t.obs, k), row(obs, i))
                assert (t.reward[k], t.terminated[k], t.truncated[k]) == (
                    rewards[i], terminated[i], truncated[i],
                )  # fmt: skip
                ended = bool(terminated[i] or truncated[i])
                reached = infos["final_info"] if ended else infos
                assert signals_of(t.signals, k) == signals_of(reached, i)
                assert t.signals["episode_return"][k] == reached["episode_return"][i]
                assert (k in t.finished) == ended
                if ended:
                    place = t.finished.tolist().index(k)
                    assert equal(row(t.final_obs, place), infos["final_obs"][i])
        assert equal(grouped.observations(), obs)


def storage(envs: warpzone.MarioVectorEnv, steps: int) -> Arrays:
    """[steps, N, ...]: as a trainer keeps observations."""
    seen = envs.observations()
    if isinstance(seen, dict):
        return {name: np.zeros((steps, *a.shape), a.dtype) for name, a in seen.items()}
    return np.zeros((steps, *seen.shape), seen.dtype)


def at(arrays: Arrays, *place: Any) -> Arrays:
    if isinstance(arrays, dict):
        return {name: array[place] for name, array in arrays.items()}
    picked: NDArray[Any] = arrays[place]
    return picked


@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_observations_are_written_where_the_caller_wants_them(observation: str) -> None:
    settings: dict[str, Any] = {"observation": observation, "max_steps": 9, "seed": 2}
    plain = make_vec(num_envs=5, **settings)
    envs = make_vec(num_envs=5, num_groups=2, threads=3, **settings)
    plain.reset()
    envs.reset()
    kept, expected = storage(envs, 25), []
    rng = np.random.default_rng(3)
    for t in range(25):
        actions = random_actions(rng, 5)
        expected.append(plain.step(actions)[0])
        for group, rows in enumerate(envs.groups):
            out = at(kept, t, rows)
            envs.send(group, actions[rows], out)
            assert envs.recv(group).obs is out
        assert equal(envs.observations(), expected[-1])
    for t, obs in enumerate(expected):
        assert equal(at(kept, t), obs)


def test_arrays_that_do_not_fit_are_refused() -> None:
    envs = make_vec(num_envs=4, num_groups=2, observation="pixels")
    envs.reset()
    actions, shape = np.full(2, RIGHT), (2, 4, 84, 84)
    constant = np.zeros(shape, np.uint8)
    constant.setflags(write=False)
    for wrong in (
        np.zeros(shape, np.float32),
        np.zeros((2, 4, 84, 84, 2), np.uint8)[..., 0],
        constant,
        [constant],
    ):
        with pytest.raises(ValueError, match="out must be C-contiguous and writable"):
            envs.send(1, actions, wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="do not have the size of this group's"):
        envs.send(1, actions, np.zeros((3, 4, 84, 84), np.uint8))
    envs.send(1, actions)
    assert equal(envs.recv(1).obs, at(envs.observations(), slice(2, 4)))
    tiles = make_vec(observation="tiles")
    tiles.reset()
    with pytest.raises(ValueError, match="do not have the size"):
        tiles.send(0, np.full(3, RIGHT), np.zeros((3, *warpzone._native.TILE_SHAPE), np.uint8))


def test_memory_that_is_written_to_outlives_the_caller() -> None:
    for _ in range(10):
        envs = make_vec(num_envs=8, threads=3, observation="pixels")
        envs.reset()
        envs.send(0, np.full(8, RIGHT), np.zeros((8, 4, 84, 84), np.uint8))
        del envs


def test_send_twice_and_recv_without_send() -> None:
    envs = make_vec(num_envs=4, num_groups=2)
    envs.reset()
    actions = np.full(2, RIGHT)
    with pytest.raises(EngineError, match="nothing was sent to this group"):
        envs.recv(0)
    envs.send(0, actions)
    with pytest.raises(RuntimeError, match="this group is stepping already; recv it first"):
        envs.send(0, actions)
    for refused in (envs.reset, envs.save_state):
        with pytest.raises(RuntimeError, match="a group is still stepping; recv it first"):
            refused()
    envs.recv(0)
    with pytest.raises(EngineError, match="nothing was sent"):
        envs.recv(1)
    with pytest.raises(ValueError, match="there are 2 groups, there is no group 2"):
        envs.send(2, actions)
    with pytest.raises(ValueError, match="group 1 takes 2 actions, got 3"):
        envs.send(1, np.full(3, RIGHT))
    with pytest.raises(ValueError, match="actions must be integers, not float64"):
        envs.send(1, np.full(2, 0.5))
    envs.send(1, actions)
    assert envs.recv(1).signals["steps"].tolist() == [1, 1]


def test_an_environment_can_be_dropped_while_it_steps() -> None:
    for _ in range(20):
        envs = make_vec(num_envs=8, num_groups=2, threads=3)
        envs.reset()
        envs.send(0, np.full(4, RIGHT))
        envs.send(1, np.full(4, RIGHT))
        del envs


# --- misuse ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("num_groups", [1, 3])
def test_a_bad_action_reaches_the_caller(threads: int, num_groups: int) -> None:
    envs = make_vec(num_envs=8, threads=threads, num_groups=num_groups, observation="ram")
    for bad in range(8):
        first, _ = envs.reset()
        actions = np.full(8, RIGHT)
        actions[bad] = len(ACTIONS)
        with pytest.raises(ValueError, match=rf"action 7 of game {bad} is outside 0\.\.6"):
            envs.step(actions)
        again, _ = envs.reset()
        assert equal(first, again)
        *_, infos = envs.step(np.full(8, RIGHT))
        assert infos["steps"].tolist() == [1] * 8


def test_games_that_were_never_opened_can_be_closed() -> None:
    """Older versions of Gymnasium do so where settings were refused."""
    envs = warpzone.MarioVectorEnv.__new__(warpzone.MarioVectorEnv)
    envs.close()
    assert envs.closed


def test_wrong_numbers_are_named() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"num_envs": 0}, "num_envs is 0: there must be at least one game"),
        ({"num_envs": -3}, "num_envs is -3"),
        ({"num_envs": "8"}, "num_envs is '8': it must be a whole number"),
        ({"threads": 2.5}, r"threads is 2\.5: it must be a whole number, or None"),
        ({"config": {"levels": "1-1"}}, "it must be an EnvConfig, or None"),
        ({"seed": -1}, "seed is -1: it must be at least 0"),
        ({"threads": 0}, "threads is 0: it must be from 1 to 1024"),
        ({"num_groups": 4}, "groups must hold at least one game each"),
        ({"num_groups": 0}, "groups must hold at least one game each"),
        ({"keep_frames": True}, "keep_frames works with one game only"),
    ]
    for settings, words in cases:
        with pytest.raises(ConfigError, match=words):
            make_vec(**settings)
    envs = make_vec()
    envs.reset()
    with pytest.raises(ValueError, match=r"actions must have shape \(3,\), not \(2,\)"):
        envs.step(np.zeros(2, np.int64))


def test_a_config_instead_of_settings() -> None:
    config = EnvConfig(levels="2-1", observation="ram", frame_skip=2, autoreset="next_step")
    envs = warpzone.make_vec(num_envs=2, config=config)
    assert envs.config is config
    assert envs.reset()[1]["world"].tolist() == [2, 2]


# --- saving ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("autoreset", ["same_step", "next_step"])
@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_saved_games_go_on_bit_for_bit(observation: str, autoreset: str) -> None:
    """In the same object and in a new one; random streams, stacks and episodes included."""
    settings: dict[str, Any] = {
        "observation": observation, "autoreset": autoreset, "noop_max": 9,
        "repeat_action_probability": 0.3,
        "max_steps": 12,
    }  # fmt: skip
    envs = make_vec(["1-1", "1-4"], 5, seed=1, **settings)
    envs.reset()
    trace(envs, 23)
    state = envs.save_state()
    observations = copy(envs.observations())
    expected = trace(envs, 30)

    views = [envs.ram(i) for i in range(5)]
    envs.load_state(state)
    assert equal(envs.observations(), observations)
    assert trace(envs, 30) == expected
    assert all(np.shares_memory(a, envs.ram(i)) for i, a in enumerate(views))

    other = make_vec(["1-1", "1-4"], 5, seed=99, threads=1, num_groups=2, **settings)
    other.load_state(state)
    assert other.save_state() == state
    assert equal(other.observations(), observations)
    assert trace(other, 30) == expected


def test_a_state_of_other_environments_is_refused() -> None:
    envs = make_vec(observation="ram")
    envs.reset()
    state = envs.save_state()
    others = [
        make_vec(observation="ram", num_envs=4),
        make_vec(observation="tiles"),
        make_vec(observation="pixels"),
    ]
    for other in others:
        with pytest.raises(EngineError, match="not saved by environments like these"):
            other.load_state(state)
    for damaged in (b"", state[:-1], state + b"\0", b"X" + state[1:]):
        with pytest.raises(EngineError, match="not saved by environments like these"):
            envs.load_state(damaged)
    assert envs.save_state() == state


def test_a_damaged_state_is_refused() -> None:
    envs = make_vec(observation="ram", num_envs=1)
    envs.reset()
    state = envs.save_state()
    with pytest.raises(EngineError, match="damaged"):
        envs.load_state(state[:64] + b"\xff" * 64 + state[128:])
    assert envs.save_state() == state


# --- a reward function ----------------------------------------------------------------------------


@contextmanager
def recorded_calls() -> Iterator[tuple[list[tuple[dict[str, Any], dict[str, Any]]], Any]]:
    calls: list[tuple[dict[str, Any], dict[str, Any]]] = []

    def reward(now: Any, before: Any) -> Any:
        calls.append(({k: v.copy() for k, v in now.items()},
                      {k: v.copy() for k, v in before.items()}))  # fmt: skip
        return now["x"] - before["x"] + 1000.0 * (now["death"] > 0)

    yield calls, reward


@pytest.mark.parametrize("autoreset", ["same_step", "next_step"])
@pytest.mark.parametrize("num_groups", [1, 2])
def test_a_reward_function_sees_one_episode_at_a_time(autoreset: str, num_groups: int) -> None:
    """Never the end of one episode against the start of the next."""
    with recorded_calls() as (calls, reward):
        envs = make_vec(
            num_envs=4, reward=reward, autoreset=autoreset, num_groups=num_groups, max_steps=11
        )
        _, infos = envs.reset()
        x = infos["x"].copy()
        total = np.zeros(4)
        fresh = np.zeros(4, np.bool_)  # next-step: the coming step only resets
        for step in range(60):
            if step % 13 == 5 and not fresh[step % 4]:
                envs.ram(step % 4)[Y_PAGE] = 2
            _, rewards, terminated, truncated, infos = envs.step(np.full(4, INDEX[RUN]))
            ended = terminated | truncated
            reached = dict(infos)
            if "final_info" in infos:
                for name in (*SIGNALS, "episode_return"):
                    reached[name] = np.where(ended, infos["final_info"][name], infos[name])
            expected = reached["x"] - x + 1000.0 * terminated
            expected[fresh] = 0
            assert rewards.tolist() == expected.tolist()
            total = np.where(fresh, 0, total + rewards)
            assert reached["episode_return"].tolist() == total.tolist()
            x = infos["x"].copy()
            if autoreset == "same_step":
                total[ended] = 0
            else:
                fresh = ended
        assert len(calls) == 60 * num_groups
        for now, before in calls:
            assert now.keys() >= set(SIGNALS)
            assert now["flag"].dtype == np.bool_
            assert (np.abs(now["x"] - before["x"])[now["steps"] > 0] < 30).all()


def test_a_reward_function_must_give_one_number_for_each_game() -> None:
    envs = make_vec(reward=lambda now, before: np.zeros(2))
    envs.reset()
    with pytest.raises(ConfigError, match=r"returned shape \(2,\).*for each game: .*\(3,\)"):
        envs.step(np.full(3, RIGHT))
    envs.reset()


def test_a_reward_function_goes_on_after_loading() -> None:
    with recorded_calls() as (_, reward):
        envs = make_vec(reward=reward, num_envs=3, max_steps=8, observation="ram")
        envs.reset()
        trace(envs, 13)
        state = envs.save_state()
        expected = trace(envs, 13)
        other = make_vec(reward=reward, num_envs=3, max_steps=8, observation="ram")
        other.load_state(state)
        assert trace(other, 13) == expected


# --- pictures -------------------------------------------------------------------------------------


def test_pictures_of_each_game() -> None:
    envs = make_vec(["1-1", "1-2"], 8, render_mode="rgb_array")
    _, infos = envs.reset(seed=0)
    pictures = envs.render()
    assert pictures is not None
    assert len(pictures) == 8
    for picture, stage in zip(pictures, infos["stage"], strict=True):
        assert picture.shape == (240, 256, 3)
        sky = picture[100, 100].tolist()
        assert (sky == [0, 0, 0]) == (stage == 2)
    assert make_vec().render() is None


@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_memory_is_free_as_soon_as_nobody_holds_the_environment(observation: Observation) -> None:
    """Half a gigabyte of pictures must not wait for a garbage collection."""

    def played() -> weakref.ref[warpzone.MarioVectorEnv]:
        envs = make_vec(observation=observation)
        envs.reset()
        envs.step(np.ones(3, np.int64))
        envs.call("ram")
        return weakref.ref(envs)

    assert freed_at_once(played)


def test_memory_is_free_after_a_step_that_failed() -> None:
    """The error has a traceback with the frame of the step, which has the games."""

    def failed() -> weakref.ref[warpzone.MarioVectorEnv]:
        envs = make_vec(num_groups=2, autoreset="disabled", max_steps=1)
        envs.reset()
        envs.step(np.ones(3, np.int64))
        with pytest.raises(EngineError):
            envs.step(np.ones(3, np.int64))
        return weakref.ref(envs)

    assert freed_at_once(failed)
