"""What `coin_reward`, `life_reward` and `power_reward` pay for: coins, extra lives, mushrooms and
flowers."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import numpy as np
import pytest

import warpzone
from warpzone.errors import ConfigError
from warpzone.smb.actions import ACTION_SETS


def play(
    actions: np.ndarray, level: str = "1-1", **settings: Any
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Returns rewards [T, N] of `actions` [T, N], and lives, status, deaths, flags and ends
    [T, N]."""
    names = ("lives", "status", "death", "flag", "total_coins")
    rewards: list[np.ndarray] = []
    seen: dict[str, list[np.ndarray]] = {name: [] for name in (*names, "ended")}
    with closing(warpzone.make_vec(level, actions.shape[1], threads=1, **settings)) as envs:
        envs.reset(seed=0)
        for step in actions:
            _, reward, terminated, truncated, info = envs.step(step)
            ended = terminated | truncated
            rewards.append(reward)
            seen["ended"].append(ended)
            for name in names:
                last = info["final_info"][name] if "final_info" in info else info[name]
                seen[name].append(np.where(ended, last, info[name]))
    return np.array(rewards), {name: np.array(values) for name, values in seen.items()}


def wandering(holds: int, games: int) -> np.ndarray:
    """Returns drawn actions int[T, N], rather to the right, each held for six steps."""
    random = np.random.default_rng(0)
    names = ACTION_SETS["simple"]
    weights = np.array([3.0 if "right" in name else 1.0 for name in names])
    held = random.choice(len(names), (holds, games), p=weights / weights.sum())
    return np.repeat(held, 6, axis=0)


def gained(seen: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Returns by how much a signal grew in each step [T, N], but for those in which Mario died."""
    before = np.vstack([np.zeros_like(seen[name][:1]), seen[name][:-1]])
    before[1:][seen["ended"][:-1]] = 0
    grown: np.ndarray = np.where(seen["death"] != 0, 0, seen[name] - before)
    return grown


def test_a_search_finds_the_extra_life_of_1_1_and_it_is_paid_once() -> None:
    with closing(warpzone.make_vec("1-1", 1, threads=1, life_reward=10.0)) as envs:
        way = envs.explorer("1-1").search(600_000)
        plain = warpzone.make_vec("1-1", 1, threads=1)
        with closing(plain):
            without = plain.explorer("1-1").search(600_000)
    assert way.cleared
    assert without.cleared
    actions = np.frombuffer(way.inputs, np.uint8).astype(np.int64)[:, None]
    paid, seen = play(actions, life_reward=10.0)
    unpaid, _ = play(actions)
    assert seen["lives"].max() == 3
    at = int(np.argmax(seen["lives"][:, 0] == 3))
    difference = (paid - unpaid)[:, 0]
    assert difference[at] == pytest.approx(10.0)
    assert np.count_nonzero(difference) == 1
    quick = np.frombuffer(without.inputs, np.uint8).astype(np.int64)[:, None]
    assert play(quick)[1]["lives"].max() == 2


def test_a_search_finds_a_mushroom_where_it_is_paid_for() -> None:
    with closing(warpzone.make_vec("1-3", 1, threads=1, power_reward=10.0)) as envs:
        way = envs.explorer("1-3").search(600_000)
    assert way.cleared
    _, seen = play(np.frombuffer(way.inputs, np.uint8).astype(np.int64)[:, None], level="1-3")
    assert seen["flag"].any()
    assert seen["status"][seen["flag"][:, 0].argmax(), 0] == 1


def test_each_coin_is_paid() -> None:
    actions = wandering(60, 128)
    paid, seen = play(actions, coin_reward=0.5)
    unpaid, _ = play(actions)
    coins = gained(seen, "total_coins")
    assert (coins > 0).sum() > 20
    np.testing.assert_allclose(paid - unpaid, 0.5 * coins, atol=1e-4)


def test_a_power_up_is_paid_and_a_hit_takes_it_back() -> None:
    actions = wandering(100, 256)
    paid, seen = play(actions, power_reward=3.0)
    unpaid, _ = play(actions)
    change = gained(seen, "status")
    assert (change > 0).sum() > 3
    assert (change < 0).sum() > 0
    np.testing.assert_allclose(paid - unpaid, 3.0 * change, atol=1e-4)


@pytest.mark.parametrize("reward", ["gym", "tutorial"])
@pytest.mark.parametrize("setting", ["coin_reward", "life_reward", "power_reward"])
def test_other_rewards_know_nothing_of_it(reward: Any, setting: str) -> None:
    settings: dict[str, Any] = {setting: 1.0}
    with pytest.raises(ConfigError, match=f"{setting} is for the rewards progress"):
        warpzone.make_vec("1-1", 1, reward=reward, **settings)
