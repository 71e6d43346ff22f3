"""The Legend of Zelda, from the first screen: Link fetches the sword from the cave.

Addresses are those of Data Crystal's RAM map
(https://datacrystal.tcrf.net/wiki/The_Legend_of_Zelda/RAM_map). Knows nothing of other games.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from warpzone.nes.game import Game
from warpzone.nes.game_start import Startup
from warpzone.nes.variables import Values, Variable

SELECT, PLAY, CAVE, REGISTER = 0x01, 0x05, 0x0B, 0x0E
"""Modes of the game."""
FOUND, RUPEE, HURT, LOST, STEP = 5.0, 0.1, 0.5, 5.0, 0.01


def first_screen(play: Startup) -> None:
    """Registers a name, "AAA", and begins."""
    play.until(lambda now: now["mode"] == SELECT, "start")
    play.wait(30)
    play.press("start", release=8)
    play.until(lambda now: now["mode"] == REGISTER)
    play.wait(40)
    for _ in range(3):
        play.press("A", release=8)
    for _ in range(3):
        play.press("select", release=10)
    play.press("start", release=8)
    play.until(lambda now: now["mode"] == SELECT)
    play.wait(60)
    play.press("start", release=8)
    play.until(lambda now: now["mode"] == PLAY and now["_ready"] == 1)


def hearts(now: Values) -> Any:
    """Returns how many hearts Link has, in parts of 256."""
    return np.where(_dead(now), 0, now["_hearts"] * 256 + now["_part"] + 1)


def _dead(now: Values) -> Any:
    return (now["_hearts"] == 0) & (now["_part"] == 0)


def reward(now: Values, before: Values) -> Any:
    """Returns what the sword, the way to it and rupees are worth, less hearts and a step."""
    gained = now["best_progress"] - before["best_progress"]
    rupees = np.clip(now["rupees"] - before["rupees"], 0, 20)
    hurt = np.clip(hearts(before) - hearts(now), 0, None) / 256
    lost = LOST * _dead(now)
    return gained + RUPEE * rupees - HURT * hurt - lost - STEP + FOUND * has_sword(now, before)


def has_sword(now: Values, before: Values) -> Any:
    """Returns whether Link has a sword."""
    return now["sword"] > 0


GAME = Game(
    name="zelda",
    cartridge="zelda",
    contents=["a12d74c73a0481599a5d832361d168f4737bbcf6"],
    variables={
        "mode": Variable(address=0x0012),
        "level": Variable(address=0x0010),
        "room": Variable(address=0x00EB),
        "x": Variable(address=0x0070),
        "y": Variable(address=0x0084),
        "direction": Variable(address=0x0098),
        "sword": Variable(address=0x0657),
        "bombs": Variable(address=0x0658),
        "rupees": Variable(address=0x066D),
        "keys": Variable(address=0x066E),
        "_containers": Variable(address=0x066F, bit=4, bits=4),
        "triforce": Variable(address=0x0671),
        "deaths": Variable(address=0x0630),
        "_hearts": Variable(address=0x066F, bit=0, bits=4),
        "_part": Variable(address=0x0670),
        "_ready": Variable(address=0x0011),
    },
    actions=[[], ["up"], ["down"], ["left"], ["right"], ["A"], ["B"]],
    starts={"first-screen": first_screen},
    reward=reward,
    done=lambda now, before: _dead(now),
    success=has_sword,
    progress=lambda now, before: 1 * (now["mode"] == CAVE) + 2 * (now["sword"] > 0),
    info=lambda now, before: {
        "hearts": hearts(now) / 256,
        "heart_containers": now["_containers"] + 1,
    },
    status_bar=56,
    settings={"noop_max": 30, "max_steps": 600},
)
