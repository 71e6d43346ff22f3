"""Our own game: what its memory says is what its picture shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from warpzone import Console
from warpzone.games.catch import GAME, cartridge
from warpzone.nes import make


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    at = tmp_path_factory.mktemp("catch") / "catch.nes"
    cartridge(at)
    return at


def test_a_player_that_follows_the_ball_wins(path: Path) -> None:
    env = make(path, GAME, noop_max=0)
    console = Console(path, engine="interpreter")
    _, info = env.reset(seed=0)
    total = 0.0
    for _ in range(1000):
        beside = info["ball_x"] - info["paddle"]
        action = 0 if 0 <= beside < 12 else 2 if beside > 0 else 1
        _, reward, terminated, truncated, info = env.step(action)
        total += reward
        if info["ball_y"] < 180:  # nothing happens in the next frames
            console.load(env.console_state())
            console.step(0, 2)  # digits are written in the next vertical blank
            tiles = console.native.nametables.reshape(-1, 32)[2]
            assert [*tiles[2:5]] == [1 + int(digit) for digit in f"{info['score']:03}"]
            assert tiles[28] == 1 + info["lives"]
        if terminated or truncated:
            break
    assert terminated
    assert info["success"]
    assert total == 20
    assert info["score"] == 20


def test_a_player_that_does_nothing_loses(path: Path) -> None:
    env = make(path, GAME, noop_max=0)
    env.reset(seed=0)
    rewards, ends = [], []
    for _ in range(200):
        _, reward, terminated, _, info = env.step(1)
        rewards.append(reward)
        ends.append(terminated)
        if terminated:
            break
    assert rewards.count(-1.0) == 3
    assert rewards.count(-1.0) + rewards.count(1.0) + rewards.count(0.0) == len(rewards)
    assert ends[-1]
    assert (info["lives"], info["success"]) == (0, False)


def test_what_is_played_decides_where_balls_fall(path: Path) -> None:
    env = make(path, GAME, noop_max=0)
    balls = set()
    for first in range(6):
        env.reset(seed=0)
        for step in range(16):
            _, _, _, _, info = env.step(1 + step % 2 if step < first else 0)
        balls.add(info["ball_x"])
    assert len(balls) > 2
    assert max(balls) < 240
