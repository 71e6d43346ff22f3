"""The `pixels` observation against an obvious one in NumPy: grey, crop, resize, stack."""

from __future__ import annotations

from collections import deque
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.scripts import ACTIONS, BUTTONS

import warpzone
from warpzone import Console
from warpzone.nes.console import PALETTE
from warpzone.nes.rom import Rom
from warpzone.smb.starts import start_level

STATUS_BAR = 32


# Rec. 601 luma in whole numbers.
LUMA = np.array([(299 * r + 587 * g + 114 * b + 500) // 1000 for r, g, b in PALETTE.tolist()])


@cache
def shares(size: int, onto: int) -> NDArray[np.float64]:
    """[onto, size]: which part of each new pixel each old one makes up."""
    edges = np.linspace(0, size, onto + 1)
    begin, end = edges[:-1, None], edges[1:, None]
    old = np.arange(size)
    covered = np.clip(np.minimum(end, old + 1) - np.maximum(begin, old), 0, None)
    table: NDArray[np.float64] = covered / covered.sum(axis=1, keepdims=True)
    return table


def in_256ths(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Whole numbers whose running sums are those of the shares, rounded."""
    sums: NDArray[np.float64] = np.floor(256 * np.cumsum(table, axis=1) + 0.5 + 1e-9)
    return np.diff(sums, axis=1, prepend=0)


def shrink(picture: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.int64]:
    rows, columns = shares(picture.shape[0], size[0]), shares(picture.shape[1], size[1])
    # Floats hold these whole numbers exactly, and multiply faster.
    sums = in_256ths(rows) @ picture.astype(np.float64) @ in_256ths(columns).T
    shrunk = (sums.astype(np.int64) + 2**15) >> 16
    if min(size) >= 60:
        assert np.abs(shrunk - rows @ picture @ columns.T).max() < 1.5, "far from the exact average"
    return shrunk


class Slow:
    """A game without cutscenes whose pictures are made the slow way."""

    def __init__(self, rom: Rom, level: str, **settings: Any) -> None:
        self.size = settings.get("size", (84, 84))
        self.skip = settings.get("frame_skip", 4)
        self.crop = STATUS_BAR if settings.get("crop_status_bar") else 0
        self.max_pool = settings.get("max_pool", False)
        self.consecutive = settings.get("consecutive", False)
        self.console = Console(rom)
        start_level(self.console, level)
        depth = settings.get("frame_stack", 4)
        first = shrink(self.see(), self.size)
        self.stack: deque[NDArray[np.int64]] = deque([first] * depth, maxlen=depth)

    def see(self) -> NDArray[np.int64]:
        return LUMA[self.console.screen()[self.crop :]]

    def step(self, buttons: int) -> None:
        seen = []
        for _ in range(self.skip):
            self.console.step(buttons)
            seen.append(self.see())
        if self.consecutive:
            self.stack.extend(shrink(picture, self.size) for picture in seen)
        elif self.max_pool and self.skip > 1:
            self.stack.append(shrink(np.maximum(seen[-2], seen[-1]), self.size))
        else:
            self.stack.append(shrink(seen[-1], self.size))

    def pictures(self) -> NDArray[np.int64]:
        return np.array(self.stack)


SETTINGS: list[dict[str, Any]] = [
    {},
    {"size": (96, 96), "frame_stack": 2},
    {"size": (60, 128), "frame_skip": 3},
    {"size": (240, 256), "frame_stack": 1},
    {"size": (1, 1), "frame_stack": 3},
    {"size": (83, 101), "crop_status_bar": True},
    {"crop_status_bar": True},
    {"crop_status_bar": True, "size": (240, 256)},
    {"max_pool": True},
    {"max_pool": True, "frame_skip": 1},
    {"max_pool": True, "crop_status_bar": True, "frame_skip": 2},
    {"consecutive": True},
    {"consecutive": True, "frame_skip": 2, "frame_stack": 2, "size": (72, 72)},
    {"frame_stack": 16, "frame_skip": 1},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("level", ["1-1", "2-2"])
def test_pixels(rom: Rom, settings: dict[str, Any], level: str) -> None:
    env = warpzone.make(level, observation="pixels", actions=ACTIONS, **settings)
    slow = Slow(rom, level, **settings)
    obs, _ = env.reset()
    assert np.array_equal(obs, slow.pictures())
    rng = np.random.default_rng(0)
    for _ in range(15):
        action = int(rng.choice(len(ACTIONS), p=[0.05, 0.05, 0.05, 0.15, 0.2, 0.2, 0.3]))
        obs, _, terminated, _, _ = env.step(action)
        assert not terminated
        slow.step(list(BUTTONS)[action])
        assert np.array_equal(obs, slow.pictures())


def test_a_picture_without_shrinking_is_the_luma() -> None:
    env = warpzone.make("1-1", observation="pixels", size=(240, 256), frame_stack=1)
    obs, _ = env.reset()
    pictures = warpzone.make("1-1", observation="rgb").reset()[0]
    luma = pictures @ np.array([0.299, 0.587, 0.114])
    assert np.abs(obs[0] - luma).max() <= 0.5 + 1e-9


def test_the_stack_starts_with_one_picture_in_every_place() -> None:
    env = warpzone.make("1-2", observation="pixels", noop_max=30)
    for seed in range(3):
        obs, _ = env.reset(seed=seed)
        assert all(np.array_equal(picture, obs[0]) for picture in obs)


def test_an_early_end_in_a_consecutive_stack_shows_its_last_frame_again(rom: Rom) -> None:
    env = warpzone.make("1-1", observation="pixels", consecutive=True)
    env.reset()
    env.ram()[0xB5] = 2  # below the screen: the first frame of the step is the last
    obs, _, terminated, _, info = env.step(0)
    assert terminated
    assert info["frames"] == 1
    assert all(np.array_equal(picture, obs[0]) for picture in obs)


def test_max_pool_undoes_flicker() -> None:
    """Where a sprite is shown in every other frame only, the brighter one wins."""
    plain = warpzone.make("1-1", observation="pixels", frame_stack=1)
    pooled = warpzone.make("1-1", observation="pixels", frame_stack=1, max_pool=True)
    plain.reset()
    pooled.reset()
    for _ in range(20):
        a, b = plain.step(3)[0], pooled.step(3)[0]
        assert (b.astype(int) >= a.astype(int) - 1).all()
    assert (b != a).any()
