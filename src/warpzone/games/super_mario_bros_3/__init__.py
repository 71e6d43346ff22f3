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
from numpy.typing import NDArray

from warpzone.games.side_view import around, finely, paid, seen_objects
from warpzone.nes.game import Game
from warpzone.nes.game_start import Startup
from warpzone.nes.variables import Memory, Values, Variable

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
    "1-airship": (0x80, 0xC0, 0xC9),  # the castle, from which it sails
}
"""Of each stage: its panel's y and x on the map, and the tile that the game finds there."""
AIRSHIP = 10
"""The set of tiles that airships are built of."""
SCREENS, SCREEN, ROW = 15, 27 * 16, 16
"""Of a stage's tiles in memory: screens one after the other, each by rows of bytes."""
OBJECTS = 8
NORMAL = 2
"""State of an object that moves about."""


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
        if name == "1-airship":  # what the king says, and the ladder
            play.until(lambda now: now["_tiles"] == AIRSHIP, "A")
            play.until(lambda now: now["time"] < 300)
        play.until(lambda now: now["time"] > 0)
        play.until(lambda now: now["_entered"] != 0, limit=600)

    return play_to


def reward(now: Values, before: Values) -> Any:
    """Returns new-best px, less a little for each step; the goal, and death."""
    return paid(now, before, cleared(now, before), died(now, before))


def died(now: Values, before: Values) -> Any:
    """Returns whether Mario dies, or the time is up."""
    return now["dying"] != 0


def cleared(now: Values, before: Values) -> Any:
    """Returns whether the card is touched, or a stage without one is left alive."""
    return ((now["card_touched"] != 0) | (now["_to_map"] != 0)) & (now["dying"] == 0)


def tiles_around(now: Values) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Returns which of the 13 × 16 tiles around Mario are solid, and which can be stood on alone:
    bool[n, 13, 16] each. Of stages that go from left to right."""
    rows, columns = around(now["x"] + 8, now["y"] + 16)
    inside = (rows >= 0) & (rows < SCREEN // ROW) & (columns >= 0) & (columns < SCREENS * ROW)
    at = (columns >> 4) * SCREEN + rows * ROW + (columns & 15)
    games = np.arange(len(rows))[:, None, None]
    tile = now["tiles"][games, np.where(inside, at, 0)]
    # Tiles are of four kinds; of each, those from two numbers on bear, or are solid altogether.
    kind, limits = tile >> 6, now["solid"]
    bears = inside & (tile >= limits[games, kind])
    solid = inside & (tile >= limits[games, 4 + kind])
    return solid, bears & ~solid


def observe(now: Values, before: Values) -> Any:
    """Returns float32[n, 691]: the tiles around Mario, the objects, and how he moves."""
    n = len(now["x"])
    page, kept = now["page"].astype(np.int64), now["objects"]

    def of_objects(at: int) -> Any:
        return page[:, at : at + OBJECTS]

    objects = seen_objects(
        kept[:, :OBJECTS] >= NORMAL,
        of_objects(0x91) + 256 * of_objects(0x76) - now["x"][:, None],
        of_objects(0xA3) + 256 * of_objects(0x88) - now["y"][:, None],
        _speed(of_objects(0xBE)),
        _speed(of_objects(0xD0)),
        kept[:, :OBJECTS] > NORMAL,
        kept[:, 16:] >= 0x90,  # plants that come out of pipes
    )
    scalars = [
        _speed(page[:, 0xBD]),
        _speed(page[:, 0xCF]),
        page[:, 0xD8] != 0,  # in the air
        now["status"] != 0,
        now["p_meter"] / 127,
        now["y"] / 432,
    ]
    return np.concatenate(
        [
            *(plane.reshape(n, -1) for plane in tiles_around(now)),
            objects,
            finely(now["x"]),
            finely(now["y"]),
            np.stack(scalars, axis=1),
        ],
        axis=1,
        dtype=np.float32,
    )


def _speed(byte: Any) -> Any:
    """Returns a speed in sixteenths of a pixel as a part of the highest."""
    return np.where(byte < 128, byte, byte - 256) / 64


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
        "_tiles": Variable(address=0x070A),
    },
    memory={
        "page": Memory(address=0x0000, size=0x100),
        "objects": Memory(address=0x0661, size=24),
        "tiles": Memory(address=0x6000, size=SCREENS * SCREEN),
        "solid": Memory(address=0x7E94, size=8),
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
    observe=observe,
    info=lambda now, before: {"points": now["score"] * 10},
    settings={"noop_max": 30, "no_progress_steps": 150},
)
