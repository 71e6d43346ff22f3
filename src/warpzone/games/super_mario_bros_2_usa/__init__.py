"""Super Mario Bros. 2 as it came out in the USA: its twenty stages, played with Mario.

Addresses are those of Data Crystal's RAM map
(https://datacrystal.tcrf.net/wiki/Super_Mario_Bros._2_(NES)/RAM_map); 0x04EC (how a stage is left),
0x0531, 0x0532 and 0x0635 (stage, area, world) are as gym-super-mario-bros 9.1.0 tells of them.
Knows nothing of other games.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from warpzone.errors import EngineError
from warpzone.nes.game import Game
from warpzone.nes.game_start import Startup
from warpzone.nes.variables import Values, Variable

STAGES = [
    f"{world}-{stage}" for world in range(1, 8) for stage in range(1, 4) if world + stage < 10
]
"""Worlds 1 to 6 have three, world 7 has two."""
STEP, LOST, WON, HURT = 0.01, 2.5, 5.0, 0.5
PX = 1 / 20
MOST = 40
"""Px of a step that are paid: doors and jars move Mario farther."""
AREA = 4096
"""What another area is worth in progress, in px."""
RESTART, GAME_OVER, COMPLETE, WARP = 1, 2, 3, 4
"""How a stage may be left."""


def stage(name: str) -> Callable[[Startup], None]:
    """Returns a function that goes to a stage: it is written down where the game keeps its number,
    before the player is chosen."""

    def play_to(play: Startup) -> None:
        play.until(lambda now: now["lives"] > 0, "start")
        play.wait(120)
        number = STAGES.index(name)
        play.console.ram[0x0531] = number
        play.console.ram[0x0635] = int(name[0]) - 1
        play.press("A")
        play.wait(100)
        play.until(lambda now: now["health"] > 0 and now["x"] > 0 and now["stage"] == number)
        for _ in range(100):  # a door, a fall
            if _obeys(play):
                play.wait(24)  # until the picture is there
                return
            play.wait(4)
        raise EngineError(f"stage {name} does not begin: Mario does not obey")

    return play_to


def _obeys(play: Startup) -> bool:
    """Whether Mario would go to the right within a fifth of a second."""
    before, x = play.console.save(), play.values()["x"]
    play.press("right", frames=12, release=0)
    obeys = play.values()["x"] != x
    play.console.load(before)
    return obeys


def reward(now: Values, before: Values) -> Any:
    """Returns new-best px, less a little for each step and for hearts; the goal, and death."""
    gained = np.clip(now["best_progress"] - before["best_progress"], 0, MOST)
    hurt = np.clip(_hearts(before) - _hearts(now), 0, 1) * (now["health"] > 0)
    ends = WON * cleared(now, before) - LOST * died(now, before)
    return gained * PX - STEP - HURT * hurt + ends


def _hearts(now: Values) -> Any:
    return np.where(now["health"] > 0, (now["health"] >> 4) + 1, 0)


def died(now: Values, before: Values) -> Any:
    """Returns whether a life is lost."""
    left = now["_left"]
    return (left == RESTART) | (left == GAME_OVER) | (now["lives"] < before["lives"])


def cleared(now: Values, before: Values) -> Any:
    """Returns whether the stage is done, or left by a warp."""
    return (now["_left"] == COMPLETE) | (now["_left"] == WARP)


def progress(now: Values, before: Values) -> Any:
    """Returns px: along the area, its way down or up counted as well, and so many for each area."""
    return AREA * now["area"] + now["x"] + np.abs(now["y"])


GAME = Game(
    name="super-mario-bros-2-usa",
    cartridge="super-mario-bros-2-usa",
    contents=["43ac7c7aaf1846ead7b544302bb9131e4964fd32"],
    variables={
        "x": Variable(address=(0x0028, 0x0014)),
        "y": Variable(address=(0x0032, 0x001E), signed=True),
        "stage": Variable(address=0x0531),
        "area": Variable(address=0x0532),
        "lives": Variable(address=0x04ED),
        "health": Variable(address=0x04C2),
        "coins": Variable(address=0x062B),
        "cherries": Variable(address=0x062A),
        "_left": Variable(address=0x04EC),
    },
    actions=[
        [],
        ["right"],
        ["right", "A"],
        ["right", "B"],
        ["right", "A", "B"],
        ["A"],
        ["B"],
        ["left"],
        ["left", "A"],
        ["up"],
        ["down"],
    ],
    starts={name: stage(name) for name in STAGES},
    reward=reward,
    done=died,
    success=cleared,
    progress=progress,
    info=lambda now, before: {"hearts": _hearts(now)},
    settings={"noop_max": 10, "no_progress_steps": 300},
)
