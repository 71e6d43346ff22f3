"""Super Mario Bros. 3: the stages of world 1.

Addresses are those of Data Crystal's RAM map
(https://datacrystal.tcrf.net/wiki/Super_Mario_Bros._3/RAM_map); 0x00F1 (Mario dies), 0x05F3 (the
card behind the goal is touched) and the map's 0x0077 and 0x00E5 were found by looking, and are
checked by the tests. Knows nothing of other games.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from warpzone.nes.game import Game
from warpzone.nes.game_start import Startup
from warpzone.nes.variables import Values, Variable

MAP_START = (0x40, 0x20)
"""Where Mario stands on the map of world 1, y and x in px."""
PANELS = {
    "1-1": (0x20, 0x40, 0x03),
    "1-2": (0x20, 0x80, 0x04),
    "1-3": (0x20, 0xA0, 0x05),
    "1-4": (0x40, 0xA0, 0x06),
    "1-5": (0xA0, 0x40, 0x07),
    "1-6": (0xA0, 0x80, 0x08),
    "1-fortress": (0x60, 0x60, 0x67),
}
"""Of each stage: its panel's y and x on the map, and the tile that the game finds there."""
STEP, LOST, WON = 0.01, 2.5, 5.0
PX = 1 / 20
MOST = 40
"""Px of a step that are paid: pipes and doors move Mario farther."""


def stage(name: str) -> Callable[[Startup], None]:
    """Returns a function that goes to a stage: through the title to the map, onto the stage's
    panel, and in."""

    def play_to(play: Startup) -> None:
        def on_map(now: dict[str, int]) -> bool:
            return (now["_map_y"], now["_map_x"]) == MAP_START

        play.until(on_map, "start", every=16)
        play.wait(240)  # the map appears
        y, x, tile = PANELS[name]
        # Mario would have to clear the stages before: he is put there instead.
        play.console.ram[0x0075], play.console.ram[0x0079] = y, x
        play.wait(20)
        play.until(lambda now: now["_map_tile"] == tile, limit=60)
        play.press("A")
        play.until(lambda now: now["time"] > 0)
        play.until(lambda now: now["_entered"] != 0, limit=600)

    return play_to


def reward(now: Values, before: Values) -> Any:
    """Returns new-best px, less a little for each step; the goal, and death."""
    gained = np.clip(now["best_progress"] - before["best_progress"], 0, MOST)
    return gained * PX - STEP + WON * cleared(now, before) - LOST * died(now, before)


def died(now: Values, before: Values) -> Any:
    """Returns whether Mario dies, or the time is up."""
    return now["dying"] != 0


def cleared(now: Values, before: Values) -> Any:
    """Returns whether the card is touched, or a stage without one is left alive."""
    return ((now["card_touched"] != 0) | (now["_to_map"] != 0)) & (now["dying"] == 0)


GAME = Game(
    name="super-mario-bros-3",
    cartridge="super-mario-bros-3",
    contents=["a611b90b4833b20a364bf06ee3be3b9093ea4df9"],
    variables={
        "x": Variable(address=(0x0090, 0x0075)),
        "y": Variable(address=(0x00A2, 0x0087), signed=True),
        "time": Variable(address=0x05EE, width=3, order="big", coding="digits"),
        "score": Variable(address=0x0715, width=3, order="big"),
        "lives": Variable(address=0x0736),
        "status": Variable(address=0x00ED),
        "p_meter": Variable(address=0x03DD),
        "world": Variable(address=0x0727),
        "dying": Variable(address=0x00F1),
        "card_touched": Variable(address=0x05F3),
        "_to_map": Variable(address=0x0014),
        "_map_y": Variable(address=0x0075),
        "_map_x": Variable(address=0x0079),
        "_map_tile": Variable(address=0x00E5),
        "_entered": Variable(address=0x0090),
    },
    actions=[
        [],
        ["right"],
        ["right", "A"],
        ["right", "B"],
        ["right", "A", "B"],
        ["A"],
        ["left"],
        ["down"],
    ],
    starts={name: stage(name) for name in PANELS},
    reward=reward,
    done=died,
    success=cleared,
    progress=lambda now, before: now["x"],
    info=lambda now, before: {"points": now["score"] * 10},
    settings={"noop_max": 30, "no_progress_steps": 300},
)
