"""Rewards and masks as a user writes them, for what names them as `module:function`."""

from __future__ import annotations

from typing import Any

import numpy as np

import warpzone

calls: list[int] = []
"""Of `coins_and_speed`: for how many games."""


def coins_and_speed(now: Any, before: Any) -> Any:
    calls.append(len(now["x"]))
    return now["total_coins"] - before["total_coins"] + 0.1 * (now["x"] - before["x"])


@warpzone.reads_ram(high=0x06D, low=0x086)
def distance(now: Any, before: Any) -> Any:
    return 256 * (now["high"] - before["high"]) + now["low"] - before["low"]


def not_a_number(now: Any, before: Any) -> Any:
    rewards = np.zeros(len(now["x"]))
    rewards[-1] = np.nan
    return rewards


def words(now: Any, before: Any) -> Any:
    return ["much"] * len(now["x"])


def misspelt(now: Any, before: Any) -> Any:
    return now["progres"]


number = 5


def never_left(info: Any) -> Any:
    masks = np.ones((len(info["x"]), 7), np.bool_)
    masks[:, 6] = False
    return masks


def no_jump_in_the_air(info: Any) -> Any:
    """On the ground at first, later by a rule that tells games apart."""
    masks = np.ones((len(info["x"]), 7), np.bool_)
    masks[info["x"] > 60, 2] = False
    masks[info["steps"] == 0, 5] = False
    return masks
