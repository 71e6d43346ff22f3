"""Tetris: what its memory says is what its picture shows, and lines are worth what they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from warpzone import Console
from warpzone.games.tetris import (
    EMPTY,
    PIECES,
    field,
    heights,
    holes,
    landing,
    without_full_rows,
    worth,
)
from warpzone.nes import make, make_vec
from warpzone.nes.rom import Rom
from warpzone.nes.variables import Values


def digits(tiles: np.ndarray) -> int:
    return int("".join(str(int(tile)) for tile in tiles))


def test_the_numbers_are_those_on_the_screen(found: Callable[[str], Rom]) -> None:
    rom = found("tetris")
    env = make(rom, "tetris", noop_max=0)
    console = Console(rom)
    _, info = env.reset(seed=0)
    rng = np.random.default_rng(0)
    checked = 0
    for step in range(700):
        _, _, terminated, _, info = env.step(0 if step % 9 < 6 else int(rng.integers(5)))
        if terminated:
            break
        if step % 30 < 25 or info["phase"] != 1:
            continue
        console.load(env.console_state())
        console.step(0, 1)
        shown = console.native.nametables[:960].reshape(30, 32)
        assert digits(shown[8, 24:30]) == info["score"]
        assert digits(shown[3, 19:22]) == info["lines"]
        cells = console.ram[0x400:0x4C8].reshape(20, 10)
        assert np.array_equal(shown[6:26, 12:22] != EMPTY, cells != EMPTY)
        assert info["height"] == 20 - int((cells != EMPTY).any(axis=1).argmax())
        checked += 1
    assert checked > 5
    assert info["score"] > 0


def test_a_game_that_is_lost_ends(found: Callable[[str], Rom]) -> None:
    envs = make_vec(found("tetris"), "tetris", 2, seed=0, frame_skip=8, observation="variables")
    envs.reset(seed=0)
    for step in range(2500):
        _, rewards, terminated, _, infos = envs.step(np.full(2, step % 2))
        if terminated.any():
            break
    row = int(terminated.argmax())
    assert rewards[row] < -4
    assert infos["final_info"]["height"][row] > 17


def test_a_line_is_counted_and_paid(found: Callable[[str], Rom]) -> None:
    """Nineteen rows less one column, and a piece that falls into it."""
    rom = found("tetris")
    env = make(rom, "tetris", noop_max=0, frame_skip=1)
    env.reset(seed=0)
    ram = env.ram()
    ram[0x4BE:0x4C8] = 0x7B  # the lowest row, but for the two columns under the first piece
    ram[0x4BE + 4 : 0x4BE + 6] = EMPTY
    env.step(3)  # now it is seen
    rewards, info = [], {"lines": 0}
    for step in range(1200):
        _, reward, _, _, info = env.step(0 if step % 60 < 50 else 3)
        rewards.append(reward)
        if info["lines"]:
            break
    assert info["lines"] == 1
    assert rewards[-1] == 1.0
    # The piece was paid for where it would lie from the beginning, and then for lying there.
    assert [reward for reward in rewards[:-1] if reward] == [0.5]


def test_heights_and_holes() -> None:
    tiles = np.zeros((1, 20, 10), bool)
    tiles[0, 17, 0] = tiles[0, 19, 0] = tiles[0, 18, 1] = True
    assert heights(tiles)[0].tolist() == [3, 2, *[0] * 8]
    assert holes(tiles).tolist() == [2]
    now = Values(field=np.full((1, 200), EMPTY, np.uint8))
    now["field"][0, 170] = 0x7B
    assert np.argwhere(field(now)).tolist() == [[0, 17, 0]]


def test_pieces_come_to_lie_where_they_are_said_to(found: Callable[[str], Rom]) -> None:
    envs = make_vec(found("tetris"), "tetris", 8, seed=0, frame_skip=1, observation="variables")
    envs.reset(seed=0)
    rng = np.random.default_rng(0)
    seen: set[int] = set()
    actions = np.zeros(8, np.int64)
    for step in range(9000):
        if step % 6 == 0:
            actions = rng.choice(5, p=[0.6, 0.1, 0.1, 0.1, 0.1], size=8)
        before = envs.values()
        _, _, terminated, _, _ = envs.step(actions)
        now = envs.values()
        new = field(now) & ~field(before)
        said = landing(field(before), before["piece"], before["x"], before["y"])
        for game in np.flatnonzero((new.sum(axis=(1, 2)) == 4) & ~terminated):
            assert np.array_equal(new[game], said[game])
            seen.add(int(before["piece"][game]))
    assert seen == set(range(PIECES))


def test_full_rows_are_taken_away_and_worth_nothing() -> None:
    tiles = np.zeros((1, 20, 10), bool)
    tiles[0, 19] = tiles[0, 17] = True
    tiles[0, 18, 3] = tiles[0, 16, 4] = True
    left = without_full_rows(tiles)
    assert np.argwhere(left[0]).tolist() == [[18, 4], [19, 3]]
    # Two columns of 1 and 2 rows beside empty ones, with a hole.
    assert worth(tiles)[0] == -0.3 - 0.05 * 3 - 0.05 * (1 + 1 + 2)
    assert worth(tiles & False)[0] == 0
