"""Described games that go on elsewhere: copies, pickles, clones, and moments of a user's own."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from warpzone.errors import ConfigError, EngineError
from warpzone.games.catch import GAME, cartridge
from warpzone.nes import GameEnv, GameVectorEnv, make, make_vec

SETTINGS: dict[str, Any] = {"noop_max": 9, "repeat_action_probability": 0.3, "max_steps": 25}


def through_pickle(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


def cloned(value: Any) -> Any:
    return value.clone()


COPIES = pytest.mark.parametrize("copied", [copy.deepcopy, through_pickle, cloned])
SEEN = pytest.mark.parametrize("observation", ["pixels", "variables", "ram", "rgb"])


@pytest.fixture(scope="module")
def catch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("catch") / "catch.nes"
    cartridge(path)
    return path


def play_one(env: GameEnv, count: int = 40) -> list[bytes]:
    rng, seen = np.random.default_rng(1), []
    for _ in range(count):
        obs, *rest = env.step(int(rng.integers(3)))
        seen.append(obs.tobytes() + env.ram().tobytes() + repr(rest).encode())
        if rest[1] or rest[2]:
            seen.append(env.reset()[0].tobytes())
    return seen


def play_many(envs: GameVectorEnv, count: int = 40) -> list[bytes]:
    rng, seen = np.random.default_rng(2), []
    for _ in range(count):
        obs, *arrays, infos = envs.step(rng.integers(3, size=envs.num_envs))
        rams = b"".join(ram.tobytes() for ram in envs.call("ram"))
        numbers = b"".join(array.tobytes() for array in arrays)
        seen.append(obs.tobytes() + rams + numbers + infos["episode_return"].tobytes())
    return seen


@COPIES
@SEEN
def test_a_copy_of_one_game_goes_on_like_it(
    copied: Callable[[Any], Any], observation: Any, catch: Path
) -> None:
    env = make(catch, GAME, observation=observation, **SETTINGS)
    env.reset(seed=3)
    play_one(env, 17)
    again = copied(env)
    assert isinstance(again, GameEnv)
    assert again is not env
    state = env.save_state()
    expected = play_one(env)
    assert play_one(again) == expected
    env.load_state(state)
    assert play_one(env) == expected


@COPIES
@SEEN
def test_a_copy_of_many_games_goes_on_like_them(
    copied: Callable[[Any], Any], observation: Any, catch: Path
) -> None:
    envs = make_vec(catch, GAME, 3, observation=observation, seed=5, num_groups=2, **SETTINGS)
    envs.reset()
    play_many(envs, 17)
    again, state = copied(envs), envs.save_state()
    expected = play_many(envs)
    assert play_many(again) == expected
    envs.load_state(state)
    assert play_many(envs) == expected


def test_states_are_refused_with_the_reason(catch: Path) -> None:
    envs = make_vec(catch, GAME, 2, observation="ram")
    envs.reset()
    state = envs.save_state()
    variables = make_vec(catch, GAME, 2, observation="variables")
    variables.reset()
    for given, words in (
        (state[:-1], "they are cut short"),
        (state[:20], "they are cut short, after 20 bytes"),
        (state + b"0", "more bytes than belong to them"),
        (b"", "there are 0 bytes"),
        (b"nothing of the kind", "they are no saved state"),
        (envs.save_state(0), "they are of 1 game, not of 2"),
        (variables.save_state(), "they are of observation variables, not ram"),
        (state[:32] + b"12345678" + state[40:], "they are of another cartridge"),
        (state[:40] + b"12345678" + state[48:], "the stretches of memory .* differ"),
        (state[:8] + b"\x63" + state[9:], "they are of format 99"),
    ):
        with pytest.raises(EngineError, match=words):
            envs.load_state(given)
    assert envs.save_state() == state
    envs.load_state(bytearray(state))


def test_episodes_begin_at_a_moment_of_ones_own(catch: Path, tmp_path: Path) -> None:
    """What another environment was in, as bytes or as a file, alone or among several."""
    playing = make(catch, GAME, observation="ram", noop_max=0)
    playing.reset()
    moments = []
    for _ in range(2):
        for _ in range(9):
            playing.step(2)
        moments.append((playing.console_state(), playing.ram().copy()))
    (state, ram), (later, _) = moments
    (tmp_path / "a.state").write_bytes(state)
    for given in (state, tmp_path / "a.state"):
        env = make(catch, GAME, observation="ram", noop_max=0, start_states=given)
        for _ in range(2):
            assert np.array_equal(env.reset()[0], ram)
        again = through_pickle(env)
        assert np.array_equal(again.reset()[0], ram)
    envs = make_vec(catch, GAME, 32, observation="ram", noop_max=0, seed=0,
                    start_states=[state, later])  # fmt: skip
    assert len({obs.tobytes() for obs in envs.reset()[0]}) == 2
    assert list(envs.tasks()) == ["state 1", "state 2"]
    chosen = envs.reset(options={"start": "state 1"})[0]
    assert all(np.array_equal(obs, ram) for obs in chosen)


def test_moments_that_are_none_are_told(catch: Path) -> None:
    start = next(iter(GAME.starts))
    state = make(catch, GAME).console_state()
    for given, words in (
        ({"start_states": state, "starts": start}, "starts and start_states both say"),
        ({"start_states": b"nothing"}, "'state 1' is no snapshot of a console"),
        ({"start_states": "nowhere.state"}, "cannot be read"),
    ):
        with pytest.raises(ConfigError, match=words):
            make(catch, GAME, **given)
    with pytest.raises((ConfigError, EngineError), match="snapshot"):
        make(catch, GAME, start_states=state[:-1])
