"""EnvPool's interface on groups of games, against single environments, state for state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import warpzone
from warpzone.compat import envpool
from warpzone.errors import ConfigError, EngineError
from warpzone.games.catch import GAME, cartridge
from warpzone.nes import make as make_game
from warpzone.nes import make_vec as make_games

SETTINGS: dict[str, Any] = {"noop_max": 30, "no_progress_steps": 12}


class Single:
    """One game as EnvPool steps it: the step after an end begins anew."""

    def __init__(self, env: Any, seed: int) -> None:
        self.env, self.ended, self.elapsed = env, False, 0
        self.obs, self.info = env.reset(seed=seed)

    def step(self, action: int) -> tuple[Any, float, bool, bool]:
        if self.ended:
            self.obs, self.info = self.env.reset()
            self.ended, self.elapsed = False, 0
            return self.obs, 0.0, False, False
        self.obs, reward, terminated, truncated, self.info = self.env.step(action)
        self.ended = terminated or truncated
        self.elapsed += 1
        return self.obs, reward, terminated, truncated


def assert_row(arrays: Any, row: int, one: Any) -> None:
    if isinstance(one, dict):
        for name, array in one.items():
            np.testing.assert_array_equal(arrays[name][row], array)
    else:
        np.testing.assert_array_equal(arrays[row], one)


def play(pool: Any, singles: list[Single], receives: int, actions: int) -> int:
    """Steps what comes with random actions; returns how many episodes ended."""
    rng, ends, received = np.random.default_rng(0), 0, [0] * len(singles)
    pool.async_reset()
    chosen = np.full(len(singles), -1)
    for _ in range(receives):
        obs, rewards, terminated, truncated, info = pool.recv()
        assert len(info["env_id"]) == pool.batch_size
        for row, game in enumerate(info["env_id"].tolist()):
            single = singles[game]
            if received[game] == 0:
                assert (rewards[row], terminated[row], truncated[row]) == (0, False, False)
            else:
                _, reward, *flags = single.step(int(chosen[game]))
                assert (rewards[row], [terminated[row], truncated[row]]) == (reward, flags)
                ends += any(flags)
            assert_row(obs, row, single.obs)
            assert info["elapsed_step"][row] == single.elapsed
            for name in single.info:
                if name != "episode_return":
                    assert info[name][row] == single.info[name], name
            received[game] += 1
        order = rng.permutation(pool.batch_size)
        ids = info["env_id"][order]
        chosen[ids] = rng.choice(actions, pool.batch_size)
        pool.send(chosen[ids], ids)
    assert max(received) - min(received) <= 1  # in turns
    return ends


@pytest.mark.parametrize("observation", ["tiles", "pixels"])
def test_each_game_is_a_single_environment(observation: Any) -> None:
    pool = envpool.make(
        "1-1", 6, batch_size=2, num_threads=2, seed=3, observation=observation, **SETTINGS
    )
    assert pool.is_async
    assert len(pool) == 6
    singles = [
        Single(warpzone.make("1-1", observation=observation, **SETTINGS), 3 + game)
        for game in range(6)
    ]
    assert pool.observation_space == singles[0].env.observation_space
    assert play(pool, singles, 180, 7) >= 4
    pool.close()


def test_states_are_the_same() -> None:
    pool = envpool.make("1-1", 4, batch_size=2, seed=8, **SETTINGS)
    singles = [Single(warpzone.make("1-1", **SETTINGS), 8 + game) for game in range(4)]
    pool.async_reset()
    for step in range(24):
        *_, info = pool.recv()
        if step >= 2:
            for game in info["env_id"]:
                singles[game].step(3)
        if step < 22:
            pool.send(np.full(2, 3))
    for game, single in enumerate(singles):
        assert pool.envs.save_state(game) == single.env.save_state()


def test_all_at_once_is_a_vector_environment() -> None:
    pool = envpool.make("1-1", 3, seed=1, max_episode_steps=9)
    plain = warpzone.make_vec("1-1", 3, max_steps=9, autoreset="next_step")
    obs, info = pool.reset()
    also, _ = plain.reset(seed=[1, 2, 3])
    assert not pool.is_async
    assert info["env_id"].tolist() == [0, 1, 2]
    for _ in range(25):
        for name in obs:
            np.testing.assert_array_equal(obs[name], also[name])
        obs, rewards, terminated, truncated, info = pool.step(np.full(3, 1))
        also, *theirs, _ = plain.step(np.full(3, 1))
        for one, other in zip((rewards, terminated, truncated), theirs, strict=True):
            np.testing.assert_array_equal(one, other)
    assert info["elapsed_step"].tolist() == [5, 5, 5]  # 9, one to begin anew, 9, one, 5
    pool.close()


def test_described_games(tmp_path: Path) -> None:
    cartridge(tmp_path / "catch.nes")
    envs = make_games(
        tmp_path / "catch.nes", GAME, num_envs=4, num_groups=2, noop_max=9, autoreset="next_step"
    )
    singles = [Single(make_game(tmp_path / "catch.nes", GAME, noop_max=9), 5 + i) for i in range(4)]
    assert play(envpool.GroupPool(envs, seed=5), singles, 400, 3) >= 2


def test_several_groups_are_sent_at_once() -> None:
    pool = envpool.make("1-1", 4, batch_size=2, seed=0, **SETTINGS)
    pool.async_reset()
    pool.recv()
    pool.recv()
    pool.send(np.array([1, 2, 3, 4]), np.array([3, 0, 2, 1]))
    other = envpool.make("1-1", 4, seed=0, **SETTINGS)
    other.reset()
    obs, *_ = other.step(np.array([2, 4, 3, 1]))
    for _ in range(2):
        got, *_, info = pool.recv()
        for name in got:
            np.testing.assert_array_equal(got[name], obs[name][info["env_id"]])


def test_what_is_received_stays() -> None:
    pool = envpool.make("1-1", 2, seed=0, observation="ram", **SETTINGS)
    first, info = pool.reset()
    kept = np.array(first)
    pool.step(np.full(2, 3), info["env_id"])
    np.testing.assert_array_equal(first, kept)


def test_reset_drops_what_was_sent() -> None:
    pool = envpool.make("1-1", 4, batch_size=2, seed=0, **SETTINGS)
    pool.async_reset()
    *_, info = pool.recv()
    pool.send(np.zeros(2, np.int64), info["env_id"])
    pool.async_reset()
    steps = [pool.recv()[4]["elapsed_step"].tolist() for _ in range(2)]
    assert steps == [[0, 0], [0, 0]]
    with pytest.raises(EngineError, match="nothing was sent"):
        pool.recv()


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="divide"):
        envpool.make("1-1", 6, batch_size=4)
    with pytest.raises(ConfigError, match="same setting"):
        envpool.make("1-1", 2, max_episode_steps=3, max_steps=3)
    others: dict[str, tuple[Any, str]] = {
        "autoreset": ("disabled", "autoreset: games of EnvPool begin anew in the next step"),
        "autoreset_mode": ("next_step", "autoreset_mode: games of EnvPool begin anew"),
        "threads": (1, "threads: give num_threads instead"),
        "num_groups": (2, "num_groups: give batch_size instead"),
    }
    for name, (value, message) in others.items():
        with pytest.raises(ConfigError, match=f"^{message}"):
            envpool.make("1-1", 2, **{name: value})
    with pytest.raises(ConfigError, match="next_step"):
        envpool.GroupPool(warpzone.make_vec("1-1", 2))
    with pytest.raises(ConfigError, match="one size"):
        envpool.GroupPool(warpzone.make_vec("1-1", 5, num_groups=2, autoreset="next_step"))
    pool = envpool.make("1-1", 4, batch_size=2)
    with pytest.raises(ConfigError, match="async_reset"):
        pool.reset()
    with pytest.raises(ConfigError, match="games are sent by the 2"):
        pool.send(np.zeros(0, np.int64))
    pool.async_reset()
    pool.recv()
    for ids in ([0], [0, 2], [0, 0], [4, 5], [-2, -1]):
        with pytest.raises(ConfigError, match="games are sent by the 2"):
            pool.send(np.zeros(len(ids), np.int64), np.array(ids))
    with pytest.raises(ConfigError, match="one for each"):
        pool.send(np.zeros(3, np.int64), np.array([0, 1]))
    with pytest.raises(EngineError, match="sent already"):
        pool.send(np.zeros(2, np.int64), np.array([2, 3]))
    with pytest.raises(ConfigError, match="99"):
        pool.send(np.array([0, 99]))
    pool.send(np.array([0, 1]))
    assert pool.recv()[4]["env_id"].tolist() == [2, 3]
    assert pool.recv()[4]["env_id"].tolist() == [0, 1]
