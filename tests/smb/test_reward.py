"""Rewards of a user's own: by name, over RAM, and what is said where one is wrong."""

from __future__ import annotations

import copy
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support import own_rewards

import warpzone
from warpzone.errors import ConfigError
from warpzone.own_code import imported
from warpzone.smb.config import EnvConfig
from warpzone.smb.memory import MEMORY
from warpzone.smb.reward import reads_ram

MODULE = "tests.support.own_rewards"
RIGHT, JUMP = 3, 4
Y_PAGE = MEMORY["y_page"]


def make_vec(**settings: Any) -> warpzone.MarioVectorEnv:
    return warpzone.make_vec(**{"num_envs": 3, "threads": 1, "seed": 0, **settings})


def rewards(envs: warpzone.MarioVectorEnv, steps: int = 12) -> list[list[float]]:
    envs.reset(seed=4)
    return [envs.step(np.full(envs.num_envs, RIGHT))[1].tolist() for _ in range(steps)]


# --- by name --------------------------------------------------------------------------------------


def test_a_name_is_as_good_as_the_function() -> None:
    named = make_vec(reward=f"{MODULE}:coins_and_speed")
    assert named.config.reward == f"{MODULE}:coins_and_speed"
    given = make_vec(reward=own_rewards.coins_and_speed)
    assert rewards(named) == rewards(given)
    assert sum(map(sum, rewards(named))) > 1
    one = warpzone.make(reward=f"{MODULE}:coins_and_speed")
    one.reset(seed=0)
    _, info = one.reset(seed=0)
    _, reward, *_, after = one.step(RIGHT)
    assert reward == pytest.approx(0.1 * (after["x"] - info["x"]))


def test_a_module_in_the_folder_that_the_program_began_in_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine_alone.py").write_text("def paid(now, before):\n    return now['x'] * 0 + 2\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    assert rewards(make_vec(reward="mine_alone:paid"), 1) == [[2.0] * 3]
    sys.modules.pop("mine_alone")


def test_a_configuration_alone_imports_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may come from the file of somebody's agent."""
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = EnvConfig(reward="evil:paid")
    with pytest.raises(ConfigError, match=r"give it too: reward='evil:paid'; to play without it"):
        make_vec(config=config)
    assert "evil" not in sys.modules
    played = make_vec(config=config.without_own_reward())
    assert played.config.reward == "progress"
    known = EnvConfig(reward="gym")
    assert known.without_own_reward() is known


def test_a_configuration_and_the_same_name_beside_it_are_one() -> None:
    config = EnvConfig(reward=f"{MODULE}:coins_and_speed")
    envs = make_vec(config=config, reward=f"{MODULE}:coins_and_speed")
    assert envs.reward_function is own_rewards.coins_and_speed
    by_function = make_vec(config=config, reward=own_rewards.distance)
    assert by_function.reward_function is own_rewards.distance
    with pytest.raises(ConfigError, match="either config or settings, not both: reward"):
        make_vec(config=config, reward=f"{MODULE}:distance")


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        ("speed", "reward: there is no reward 'speed': there are progress, landed, gym, tutorial"),
        ("a b:c", "reward: there is no reward 'a b:c'.*, or one of your own as module:function"),
        ("no_such_module_here:f", "there is no module 'no_such_module_here'. Begin in the folder"),
        (f"{MODULE}:speed", "own_rewards has no 'speed'; there are .*coins_and_speed"),
        (f"{MODULE}:number", "own_rewards:number' is 5, not a function of"),
    ],
)
def test_a_name_that_leads_nowhere(reward: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_vec(reward=reward)


def test_a_module_that_fails_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half_done.py").write_text("import math\n\nmath.nothing\n")
    (tmp_path / "needs_more.py").write_text("import not_installed_here\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"AttributeError: .*half_done\.py, line 3"):
        imported("half_done:f", "reward")
    with pytest.raises(ConfigError, match="no module 'not_installed_here'"):
        imported("needs_more:f", "reward")
    with pytest.raises(ConfigError, match=r"'f' is not of the form module:name, e\.g\. my_code:re"):
        imported("f", "reward")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("not_a_number", "not_a_number returned nan for game 2 of the 3 that were stepped"),
        ("words", r"words returned shape \(3,\) of <U4; there must be one reward for each game"),
        ("misspelt", r"misspelt failed: KeyError: 'progres' \(.*line \d+\)\. It is given x, y"),
    ],
)
def test_what_is_returned_is_checked(name: str, message: str) -> None:
    envs = make_vec(reward=f"{MODULE}:{name}")
    envs.reset()
    with pytest.raises(ConfigError, match=message):
        envs.step(np.full(3, RIGHT))
    envs.reset()


def test_whole_numbers_and_truth_values_will_do() -> None:
    assert rewards(make_vec(reward=lambda now, before: now["steps"]), 2) == [[1.0] * 3, [2.0] * 3]
    assert rewards(make_vec(reward=lambda now, before: now["steps"] > 1), 2) == [
        [0.0] * 3,
        [1.0] * 3,
    ]


# --- RAM ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("autoreset", ["same_step", "next_step"])
@pytest.mark.parametrize("num_groups", [1, 2])
def test_ram_is_that_before_and_after_each_step_of_one_episode(
    autoreset: str, num_groups: int
) -> None:
    """Also where an episode ends and the next has begun when the function is called."""
    seen: list[tuple[Any, Any]] = []

    @reads_ram
    def reward(now: Any, before: Any) -> Any:
        seen.append((copy.deepcopy(now), copy.deepcopy(before)))
        return np.zeros(len(now["x"]))

    envs = make_vec(
        num_envs=4, reward=reward, autoreset=autoreset, num_groups=num_groups, max_steps=11
    )
    envs.reset()
    ends = 0
    last: list[Any] = [None] * num_groups
    for step in range(60):
        if step % 13 == 5:
            envs.ram(step % 4)[Y_PAGE] = 2
        standing = np.stack([envs.ram(game) for game in range(4)])
        seen.clear()
        _, _, terminated, truncated, _ = envs.step(np.full(4, RIGHT))
        ends += int((terminated | truncated).sum())
        assert len(seen) == num_groups
        after = np.stack([envs.ram(game) for game in range(4)])
        for group, (rows, (now, before)) in enumerate(zip(envs.groups, seen, strict=True)):
            assert now["ram"].dtype == np.uint8
            assert now["ram"].shape == before["ram"].shape == (rows.stop - rows.start, 2048)
            assert np.array_equal(before["ram"], standing[rows])
            goes_on = ~(terminated | truncated)[rows]
            anew = autoreset == "next_step"
            same = goes_on | anew
            assert np.array_equal(now["ram"][same], after[rows][same])
            # Signals are of the same moment as RAM, at an episode's end too.
            x = now["ram"][:, MEMORY["x_page"]] * 256.0 + now["ram"][:, MEMORY["x"]]
            alive = now["death"] == 0
            assert np.array_equal(x[alive], now["x"][alive])
            last[group] = now
    assert ends > 8


def test_named_bytes_are_numbers() -> None:
    envs = make_vec(reward=own_rewards.distance)
    _, before = envs.reset(seed=1)
    _, paid, _, _, after = envs.step(np.full(3, RIGHT))
    assert paid.tolist() == (after["x"] - before["x"]).tolist()
    one = warpzone.make(reward=own_rewards.distance)
    _, info = one.reset(seed=1)
    for action in (RIGHT, JUMP, RIGHT):
        x = info["x"]
        _, reward, *_, info = one.step(action)
        assert reward == info["x"] - x


def test_names_of_the_games_memory_will_do() -> None:
    given: dict[str, Any] = {}

    @reads_ram("power", "x_page", timer=(0x07F8, 0x07F9, 0x07FA))
    def reward(now: Any, before: Any) -> Any:
        given.update(now)
        return np.zeros(len(now["x"]))

    envs = make_vec(reward=reward)
    envs.reset()
    envs.ram(1)[MEMORY["power"]] = 2
    envs.step(np.zeros(3, np.int64))
    assert given["power"].tolist() == [0, 2, 0]
    assert given["power"].dtype == np.int64
    assert given["timer"].shape == (3,)
    assert "ram" not in given


def test_games_with_ram_go_on_after_loading_copying_and_pickling() -> None:
    envs = make_vec(reward=own_rewards.distance, max_steps=8)
    envs.reset(seed=3)
    for _ in range(13):
        envs.step(np.full(3, RIGHT))
    others = [copy.deepcopy(envs), pickle.loads(pickle.dumps(envs))]
    loaded = make_vec(reward=own_rewards.distance, max_steps=8)
    loaded.load_state(envs.save_state())
    expected = [envs.step(np.full(3, RIGHT))[1].tolist() for _ in range(12)]
    for other in (*others, loaded):
        assert [other.step(np.full(3, RIGHT))[1].tolist() for _ in range(12)] == expected


@pytest.mark.parametrize(
    ("names", "addresses", "message"),
    [
        (("strength",), {}, r"no 'strength' in .*MEMORY; name the address: reads_ram\(strength="),
        ((), {"x": 0x86}, "'x' is the name of what a reward function is given anyway"),
        ((), {"ram": 0x86}, "'ram' is the name of what"),
        ((), {"mine": 2048}, "mine=2048 is neither an address in RAM, 0 to 2047, nor a tuple"),
        ((), {"mine": -1}, "mine=-1 is neither"),
        ((), {"mine": "0x86"}, "mine='0x86' is neither"),
        ((), {"mine": tuple(range(8))}, "nor a tuple of at most seven"),
        ((), {}, "written without brackets, or with what is to be read"),
    ],
)
def test_what_cannot_be_read(names: Any, addresses: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        reads_ram(*names, **addresses)
