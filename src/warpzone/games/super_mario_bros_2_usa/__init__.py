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
from numpy.typing import NDArray

from warpzone.errors import EngineError
from warpzone.games.side_view import around, finely, paid, seen_objects
from warpzone.nes.game import Game
from warpzone.nes.game_start import Startup
from warpzone.nes.variables import Memory, Values, Variable

STAGES = [
    f"{world}-{stage}" for world in range(1, 8) for stage in range(1, 4) if world + stage < 10
]
"""Worlds 1 to 6 have three, world 7 has two."""
HURT = 0.5
AREA = 4096
"""What another area is worth in progress, in px."""
WAY = {0: (0, 0, 1), 2: (1, 1, 0), 4: (2, -1, -1), 3: (3, 1, -1), 1: (5, 0, -1), 5: (6, 1, 0)}
"""Of 1-1 the areas that lead on: their order, and whether their way leads right and down (1), or
left and up (-1). From the fields (2) a door leads into a cave (4), a ladder up from there (3), and
another door out onto the cliffs above the fields, which come fourth."""
CLIFFS = 4
FIELDS, LAIR = 2, 5
"""Areas of 1-1."""
CAVE, FOOT, TOP = 2016, 1700, 80
"""In the fields: x of the door to the cave, behind which the road ends at a wall; x from which on
there are cliffs; the largest y of who stands on these."""
HIT, CARRIED, ROOM = 512, 256, 560
"""What a hit of the boss is worth in progress, in px; what it is to carry an egg of hers; and how
far her room counts as long as its mouth is shut, so that nothing else brings Mario on there."""
FOUGHT = 3.0
"""What each of these hits and carried eggs pays besides."""
RESTART, GAME_OVER, COMPLETE, WARP = 1, 2, 3, 4
"""How a stage may be left."""
OPEN = 4
"""One more than the hits that the boss bears."""
BETWEEN, EATEN = 3, 6
"""What Mario does on a vine from one area to the next, and when he walks into the mouth."""
SCREENS, ROWS, COLUMNS = 10, 15, 16
"""Of an area's tiles in memory: screens one after the other, each by rows of bytes."""
BEARS, SOLID = np.array([0x12, 0x60, 0x91, 0xCA]), np.array([0x18, 0x69, 0x98, 0xD5])
"""Tiles are of four kinds; of each, those from these numbers on bear, or are solid altogether, as
in the cartridge's own table."""
CLIMBED = [0x07, 0x80, 0x81, 0x94, 0x95, 0xC1, 0xC2, 0xC3]
DOORS = [0x4F, 0x51]
"""Vines, chains and ladders; doors."""
OBJECTS = 9
BOSS, EGG, BALL, MOUTHS = 0x1C, 0x1E, 0x44, (0x41, 0x43)
"""Kinds of objects: Birdo and what she throws, the crystal ball that she leaves, the mouth that it
opens, of which there are several."""


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
    hurt = np.clip(_hearts(before) - _hearts(now), 0, 1) * (now["health"] > 0)
    leap = now["best_progress"] - before["best_progress"]
    fights = _at_boss(now) & _at_boss(before) & (before["_does"] != BETWEEN)
    fought = (leap >= CARRIED // 2) & fights
    earned = paid(now, before, cleared(now, before), died(now, before))
    return earned - HURT * hurt + FOUGHT * fought


def _hearts(now: Values) -> Any:
    return np.where(now["health"] > 0, (now["health"] >> 4) + 1, 0)


def died(now: Values, before: Values) -> Any:
    """Returns whether a life is lost."""
    left = now["_left"]
    return (left == RESTART) | (left == GAME_OVER) | (now["lives"] < before["lives"])


def cleared(now: Values, before: Values) -> Any:
    """Returns whether the stage is done, or left by a warp: Mario walks into the mouth, or what the
    game says of it."""
    left = (now["_left"] == COMPLETE) | (now["_left"] == WARP)
    return left | (now["_does"] == EATEN) | (now["stage"] > before["stage"])


def progress(now: Values, before: Values) -> Any:
    """Returns px: along the area, its way down or up counted as well, and so many for each area. Of
    1-1 along its way, with what the fight has come to; beside it nothing."""
    x, y, area = now["x"], now["y"], now["area"]
    order, right, down = (_ON_WAY[column][area] for column in range(3))
    fight, hits = _at_boss(now), _hits(now)
    above = (area == FIELDS) & (x > FOOT) & (y <= TOP)
    order = np.where(above, CLIFFS, order)
    x = np.where((area == FIELDS) & ~above, np.minimum(x, CAVE), x)
    x = np.where(fight & (hits < OPEN), np.minimum(x, ROOM), x)
    armed = CARRIED * ((hits < 3) & (now["page"][:, 0x9C] != 0))
    fought = np.where(fight, HIT * hits + armed, 0)
    # Counted from the far side where the way leads left or up.
    x = np.where(right < 0, SCREENS * COLUMNS * 16 - x, right * x)
    y = np.where(down < 0, SCREENS * ROWS * 16 - y, down * y)
    # On a vine from one area to the next, places are still those of the area before.
    inside = now["_does"] != BETWEEN
    along = AREA * order + inside * (x + y + fought)
    along = np.where(order < 0, 0, along)
    return np.where(now["stage"] == 0, along, AREA * area + x + np.abs(y))


def _at_boss(now: Values) -> Any:
    return (now["area"] == LAIR) & (now["stage"] == 0)


def _on_way() -> NDArray[np.int64]:
    """`WAY` by area, int64[3, 256]; the order is -1 of those beside it."""
    table = np.zeros((3, 256), np.int64)
    table[0] = -1
    for area, place in WAY.items():
        table[:, area] = place
    return table


_ON_WAY = _on_way()


def _hits(now: Values) -> Any:
    """How often the boss was hit, the third time included where she is gone and her ball is left;
    `OPEN` where that was taken, and the mouth is open, though she may be back by then."""
    kinds, there = now["page"][:, 0x90 : 0x90 + OBJECTS], now["page"][:, 0x51 : 0x51 + OBJECTS] == 1
    boss, ball = there & (kinds == BOSS), (there & (kinds == BALL)).any(axis=1)
    mouth = (there & _is_mouth(kinds)).any(axis=1)
    left = np.where(boss, now["health_of"], 0).sum(axis=1)
    fights = boss.any(axis=1)
    hits = np.where(fights, 2 - np.minimum(left, 2), np.where(ball & mouth, 3, 0))
    return np.where(mouth & ~ball, OPEN, hits)


def tiles_around(now: Values) -> list[NDArray[np.bool_]]:
    """Returns which of the 13 × 16 tiles around Mario are solid, can be stood on alone, can be
    climbed, and are doors: bool[n, 13, 16] each."""
    rows, columns = around(now["x"] + 8, now["y"] + 16)
    level = (now["_horizontal"] != 0)[:, None, None]
    width = np.where(level, SCREENS * COLUMNS, COLUMNS)
    height = np.where(level, ROWS, SCREENS * ROWS)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    at = rows * COLUMNS + np.where(level, (columns >> 4) * ROWS * COLUMNS + (columns & 15), columns)
    games = np.arange(len(rows))[:, None, None]
    tile = now["tiles"][games, np.where(inside, at, 0)]
    return list(_SORTS[:, tile] & inside)


def _sorts() -> NDArray[np.bool_]:
    """Of each tile whether it is solid, only bears, is climbed, and is a door: bool[4, 256]."""
    tiles = np.arange(256)
    solid = tiles >= SOLID[tiles >> 6]
    bears = tiles >= BEARS[tiles >> 6]
    return np.stack([solid, bears & ~solid, np.isin(tiles, CLIMBED), np.isin(tiles, DOORS)])


_SORTS = _sorts()


def _is_mouth(kinds: Any) -> Any:
    return (kinds >= MOUTHS[0]) & (kinds <= MOUTHS[1])


def observe(now: Values, before: Values) -> Any:
    """Returns float32[n, k]: the tiles around Mario, the objects, where he is and how he moves."""
    n, page = len(now["x"]), now["page"].astype(np.int64)

    def of_objects(at: int) -> Any:
        return page[:, at : at + OBJECTS]

    kinds, states = of_objects(0x90), of_objects(0x51)
    objects = seen_objects(
        states > 0,
        of_objects(0x29) + 256 * of_objects(0x15) - now["x"][:, None],
        (of_objects(0x33) + 256 * of_objects(0x1F) - now["y"][:, None] + 0x8000 & 0xFFFF) - 0x8000,
        _speed(of_objects(0x3D)),
        _speed(of_objects(0x47)),
        states == 1,
        kinds >= 0x32,  # things that can be carried
        kinds == BOSS,
        kinds == EGG,
        kinds == BALL,
        _is_mouth(kinds),
        now["health_of"] / 3,
    )
    scalars = [
        _speed(page[:, 0x3C]),
        _speed(page[:, 0x46]),
        page[:, 0x99] != 0,  # in the air
        page[:, 0x9A] != 0,  # ducks
        page[:, 0x9C] != 0,  # carries something
        page[:, 0x9D] != 0,  # looks to the right
        _hearts(now) / 4,
        now["_horizontal"] != 0,
        now["x"] / 2560,
        now["y"] / 2400,
    ]
    return np.concatenate(
        [
            *(plane.reshape(n, -1) for plane in tiles_around(now)),
            objects,
            finely(now["x"]),
            finely(now["y"]),
            np.eye(10)[np.minimum(now["area"], 9)],
            np.eye(8)[np.minimum(page[:, 0x50], 7)],  # walks, climbs, goes through a door …
            np.stack(scalars, axis=1),
        ],
        axis=1,
        dtype=np.float32,
    )


def _speed(byte: Any) -> Any:
    """Returns a speed in sixteenths of a pixel as a part of the highest."""
    return np.where(byte < 128, byte, byte - 256) / 64


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
        "_does": Variable(address=0x0050),
        "_horizontal": Variable(address=0x00EC),
    },
    memory={
        "page": Memory(address=0x0000, size=0x100),
        "health_of": Memory(address=0x0465, size=OBJECTS),
        "tiles": Memory(address=0x6000, size=SCREENS * ROWS * COLUMNS),
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
    observe=observe,
    info=lambda now, before: {"hearts": _hearts(now)},
    settings={"noop_max": 10, "no_progress_steps": 300},
)
