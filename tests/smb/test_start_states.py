"""Moments of a user's own at which episodes begin."""

from __future__ import annotations

import copy
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.smb.test_copies import moment, through_pickle
from tests.support.episodes import CLEAR, make_episode
from tests.support.scripts import ACTIONS, INDEX, RUN, WALK

import warpzone
from warpzone.episodes.replay import snapshot_at
from warpzone.errors import ConfigError, EngineError
from warpzone.nes.console import Console
from warpzone.smb.config import EnvConfig

SETTINGS: dict[str, Any] = {"observation": "ram", "actions": ACTIONS}


def at_level(level: str, frames: int) -> bytes:
    console = Console()
    warpzone.start_level(console, level)
    console.step(WALK, frames)
    return console.save()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With moments of 1-1 and 1-2 in it."""
    at = tmp_path_factory.mktemp("states")
    (at / "far.state").write_bytes(moment()[1])
    (at / "near.state").write_bytes(at_level("1-1", 90))
    (at / "below.state").write_bytes(at_level("1-2", 90))
    return at


def places(envs: warpzone.MarioVectorEnv, resets: int) -> Counter[tuple[int, int]]:
    """How often episodes began where: level and x."""
    found: Counter[tuple[int, int]] = Counter()
    for _ in range(resets):
        infos = envs.reset()[1]
        found.update(zip(infos["level"].tolist(), infos["x"].tolist(), strict=True))
    return found


def test_each_episode_begins_there_and_goes_on_as_the_console_does(folder: Path) -> None:
    console, state = moment()
    for given in (state, folder / "far.state", str(folder / "far.state"), [state]):
        env = warpzone.make(start_states=given, **SETTINGS)
        assert env.config.levels == {"1-1": 1.0}
        for _ in range(2):
            console.load(state)
            obs, info = env.reset()
            assert np.array_equal(obs, console.ram)
            assert (info["level"], info["start"], info["progress"], info["frames"]) == (0, -1, 0, 0)
            for _ in range(9):
                console.step(RUN, 4)
                obs, *_, info = env.step(INDEX[RUN])
                assert np.array_equal(obs, console.ram)
            assert info["progress"] > 0


def test_they_are_what_reset_begins_at_when_it_is_told_to(folder: Path) -> None:
    state = (folder / "far.state").read_bytes()
    settings: dict[str, Any] = {**SETTINGS, "repeat_action_probability": 0.25}
    one = warpzone.make(start_states=state, **settings)
    other = warpzone.make("1-1", **settings)
    first = one.reset(seed=4)
    second = other.reset(seed=4, options={"state": state})
    assert np.array_equal(first[0], second[0])
    assert first[1] == second[1]


def test_a_moment_of_an_episode_and_of_a_game_that_is_played(folder: Path) -> None:
    """An episode at a frame, and an environment in which somebody plays."""
    episode = make_episode(CLEAR[:400])
    console = Console()
    warpzone.start_level(console, "1-1")
    for held in CLEAR[:240]:
        console.step(held)
    assert snapshot_at(episode, 240) == console.save()
    for frame in (-1, 401):
        with pytest.raises(ConfigError, match=f"no frame {frame}: the episode has 400 frames"):
            snapshot_at(episode, frame)

    playing = warpzone.make("1-1", **SETTINGS)
    playing.reset()
    for _ in range(12):  # not as far as the first goomba
        playing.step(INDEX[RUN])
    envs = warpzone.make_vec("1-1", 2, **SETTINGS)
    envs.reset()
    envs.load_state(playing.save_state(), 1)
    state = playing.console_state()
    assert envs.console_state(1) == state == envs.call("console_state")[1]
    env = warpzone.make(start_states=state, **SETTINGS)
    assert np.array_equal(env.reset()[0], playing.ram())
    for _ in range(9):
        seen = [e.step(INDEX[WALK]) for e in (env, playing)]
        assert np.array_equal(seen[0][0], seen[1][0])


def test_several_are_drawn_by_their_weights_in_the_levels_that_are_played(folder: Path) -> None:
    given = {str(folder / "far.state"): 1, str(folder / "near.state"): 2,
             str(folder / "below.state"): 3}  # fmt: skip
    envs = warpzone.make_vec(num_envs=60, start_states=given, seed=1, threads=1, **SETTINGS)
    assert envs.config.levels == {"1-1": 3.0, "1-2": 3.0}
    found = places(envs, 10)
    assert sorted(level for level, _ in found) == [0, 0, 1]
    counts = sorted(found.values())
    assert counts == pytest.approx([100, 200, 300], abs=45)
    # Trainers may draw levels otherwise, and each level's moments stay its own.
    envs.set_level_weights({"1-2": 1.0})
    assert {level for level, _ in places(envs, 1)} == {1}


def test_a_share_begins_there_and_the_rest_at_the_levels_start(folder: Path) -> None:
    envs = warpzone.make_vec(
        ["1-1", "2-1"], 60, start_states=folder / "near.state", start_state_share=0.5,
        seed=1, threads=1, **SETTINGS,
    )  # fmt: skip
    found = places(envs, 10)
    starts = {level: {x for other, x in found if other == level} for level in (0, 4)}
    assert (len(starts[0]), len(starts[4])) == (2, 1), "a level without moments begins as ever"
    of_1_1 = [count for (level, _), count in found.items() if level == 0]
    assert max(of_1_1) / sum(of_1_1) == pytest.approx(0.5, abs=0.1)


def test_idle_frames_are_those_of_moments_within_a_level(folder: Path) -> None:
    envs = warpzone.make_vec(
        num_envs=40, start_states=at_level("1-1", 0), start_noop_max=20, noop_max=200, seed=1,
        threads=1, **SETTINGS,
    )  # fmt: skip
    frames = envs.reset()[1]["frames"]
    assert 0 <= frames.min() < frames.max() <= 20


def test_seeds_repeat_and_copies_go_on(folder: Path) -> None:
    given = [folder / "far.state", folder / "near.state"]
    envs = warpzone.make_vec(num_envs=8, start_states=given, seed=3, threads=1, **SETTINGS)
    first, second = places(envs, 2), places(envs, 2)
    envs.reset(seed=3)
    for again in (copy.deepcopy(envs), through_pickle(envs), envs.clone()):
        assert places(again, 2) == places(copy.deepcopy(envs), 2)
    other = warpzone.make_vec(num_envs=8, start_states=given, seed=3, threads=1, **SETTINGS)
    assert (places(other, 2), places(other, 2)) == (first, second)
    assert other.twin(other.config, 2, 0).reset()[1]["x"].tolist() != []


def test_autoreset_and_reset_with_a_level_keep_to_their_meaning(folder: Path) -> None:
    envs = warpzone.make_vec(
        num_envs=2, start_states=folder / "near.state", max_steps=3, **SETTINGS
    )
    x = envs.reset()[1]["x"].tolist()
    for _ in range(3):
        *_, infos = envs.step(np.full(2, INDEX[RUN]))
    assert infos["x"].tolist() == x, "the next episodes begin there too"
    assert envs.reset(options={"level": "1-1"})[1]["x"].tolist() == [40, 40]
    envs.watch_games([0])
    envs.reset()
    assert envs.input_log(0) is None, "nobody knows what led there"


def test_a_configuration_holds_them_and_is_read_again(folder: Path) -> None:
    env = warpzone.make(start_states=folder / "far.state", **SETTINGS)
    text = env.config.model_dump_json()
    assert len(text) < 8000
    again = EnvConfig.model_validate(json.loads(text))
    assert again == env.config
    (state,) = again.start_states
    assert (state.name, state.snapshot) == ("far.state", moment()[1])
    assert "far.state" in repr(again)
    assert len(repr(again)) < 2000


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"start_states": "nowhere.state"}, ConfigError, "'nowhere.state' cannot be read: "),
        ({"start_states": b""}, ConfigError, "'state 1' is no snapshot of a console"),
        ({"start_states": b"\x89PNG"}, ConfigError, "'state 1' is no snapshot of a console"),
        ({"start_states": lambda: moment()[1][:-1]}, ConfigError, "these are"),
        ({"start_states": lambda: warpzone.make().save_state()}, ConfigError,
         "is what save_state returned, for load_state alone"),
        ({"start_states": lambda: Console().save()}, ConfigError, "no level is being played"),
        ({"start_states": lambda: moment()[1][:16] + b"12345678" + moment()[1][24:]}, EngineError,
         "'state 1': the snapshot was made with another cartridge"),
        ({"start_states": lambda: moment()[1], "levels": "1-2"}, ConfigError,
         "'state 1' is a moment of 1-1, which is none of the levels 1-2"),
        ({"start_states": lambda: {"a.state": 0}}, ConfigError, "'a.state' cannot be read"),
        ({"start_states": 5}, ConfigError, "must be a file, several, or a mapping"),
        ({"start_state_share": 0.5}, ConfigError, "start_state_share needs start_states"),
        ({"start_states": lambda: moment()[1], "whole_game": True}, ConfigError,
         "start_states is for episodes that begin at levels"),
    ],
)  # fmt: skip
def test_what_is_no_moment_is_told_in_one_line(
    given: dict[str, Any], error: type[Exception], words: str
) -> None:
    given = {name: value() if callable(value) else value for name, value in given.items()}
    with pytest.raises(error, match=words) as told:
        warpzone.make_vec(num_envs=2, **given)
    assert len(str(told.value).splitlines()) == 1
    assert len(str(told.value)) < 400


def test_a_damaged_moment_is_refused() -> None:
    state = bytearray(moment()[1])
    state[24:280] = b"\xff" * 256
    with pytest.raises((ConfigError, EngineError), match=r"damaged|no level"):
        warpzone.make(start_states=bytes(state))


def test_two_files_of_one_name_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "far.state").write_bytes((folder / "far.state").read_bytes())
    with pytest.raises(ConfigError, match=r"two of them are called 'far\.state'"):
        warpzone.make(start_states=[folder / "far.state", tmp_path / "far.state"])
