"""What Super Mario Bros. keeps where in its 2 KB of RAM, as the native core knows it.

Names are those of `native/smb/memory.h`, where every address stands once; meanings after the game's
public disassembly (doppelganger) and https://datacrystal.tcrf.net/wiki/Super_Mario_Bros. RAM is
uint8[2048], as `Console.ram` or `MarioEnv.ram()` give it: numbers of it are to be made `int` before
they are added or multiplied, since NumPy's uint8 overflows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import warpzone._native as _native

MEMORY: dict[str, int] = dict(_native.MEMORY)
"""All addresses by name, "random" to "moving_direction"."""

OPER_MODE = MEMORY["oper_mode"]
"""0 title, 1 game, 2 castle victory, 3 game over."""
OPER_MODE_TASK = MEMORY["oper_mode_task"]
"""In mode 1: 3 is play, less is loading."""
WORLD, STAGE, AREA = MEMORY["world"], MEMORY["stage"], MEMORY["area"]
"""From 0 each; areas count the walks before some levels too."""
AREA_DATA, AREA_DATA_OFFSET = MEMORY["area_data"], MEMORY["area_data_offset"]
"""Where the loaded map's data lies in the program (two bytes), and how far it has been read."""
AREA_TYPE, AREA_OFFSET = MEMORY["area_type"], MEMORY["area_offset"]
"""0 water, 1 overground, 2 underground, 3 castle; which of the maps of that type is loaded."""
NEXT_AREA, NEXT_PAGE = MEMORY["next_area"], MEMORY["next_page"]
"""The map behind the next pipe (bits 0-6) and the screen of it at which Mario comes out."""
MAZE_CORRECT, MAZE_CHECK = MEMORY["maze_correct"], MEMORY["maze_check"]
"""Right turns of the current round of a maze; not 0 where the game is about to look."""
CHANGE_AREA_TIMER = MEMORY["change_area_timer"]
"""Frames until a pipe has been entered."""

PLAYER_STATE = MEMORY["player_state"]
"""The game's routine for Mario: one of `STATES`."""
FLOAT_STATE = MEMORY["float_state"]
"""0 on the ground, 1 jumps, 2 falls, 3 climbs."""
FACING, MOVING_DIRECTION = MEMORY["facing"], MEMORY["moving_direction"]
"""1 right, 2 left."""
X_SPEED, Y_SPEED = MEMORY["x_speed"], MEMORY["y_speed"]
"""Signed bytes: 1/16 px a frame, px a frame."""
X_PAGE, X = MEMORY["x_page"], MEMORY["x"]
"""px from the left end of the area are 256 * page + x; see `player_x`."""
Y_PAGE, Y = MEMORY["y_page"], MEMORY["y"]
"""Page 1 is the screen, 2 is below it; see `player_y`."""
POWER, STAR_TIMER = MEMORY["power"], MEMORY["star_timer"]
"""0 small, 1 big, 2 fire; not 0 while a star works."""
SIZE = MEMORY["size"]
"""0 of a big Mario, 1 of a small one."""
NO_COLLISIONS = MEMORY["no_collisions"]
"""Not 0: Mario goes through everything."""

SCREEN_LEFT_PAGE, SCREEN_LEFT = MEMORY["screen_left_page"], MEMORY["screen_left"]
"""The screen's left end; see `screen_left`."""
SCROLL_LOCK = MEMORY["scroll_lock"]
"""Not 0 where the screen does not follow Mario."""
BLOCKS = MEMORY["blocks"]
"""The map around the screen: two screens of 13 rows by 16 columns."""
NEXT_COLUMN_PAGE, NEXT_COLUMN = MEMORY["next_column_page"], MEMORY["next_column"]
"""The column of the map that is filled in next."""
OBJECT_ACTIVE, OBJECT_ID = MEMORY["object_active"], MEMORY["object_id"]
"""Of the first of six slots of things that move."""
OBJECT_LENGTHS = MEMORY["object_lengths"]
"""Columns that three wide objects of the map still have; bit 7: at its end."""

STATES: dict[str, int] = dict(_native.PLAYER_STATES)
"""Of `PLAYER_STATE`: vine, side_pipe, pipe, flagpole, end_of_level, lose_life, entrance, playing,
dying."""


def player_x(ram: NDArray[np.uint8]) -> int:
    """Returns how many px Mario is from the left end of the area."""
    return int(ram[X_PAGE]) * 256 + int(ram[X])


def player_y(ram: NDArray[np.uint8]) -> int:
    """Returns how many px Mario is below the top of the screen; less than 0 above it."""
    return int(ram[Y_PAGE]) * 256 + int(ram[Y]) - 256


def screen_left(ram: NDArray[np.uint8]) -> int:
    """Returns how many px the screen's left end is from that of the area; less than 0 where a maze
    that sends Mario back puts it before the map's."""
    page = (int(ram[SCREEN_LEFT_PAGE]) + 128) % 256 - 128
    return page * 256 + int(ram[SCREEN_LEFT])


def map_number(ram: NDArray[np.uint8]) -> int:
    """Returns which of the game's maps is loaded, 0-127; the same in all revisions."""
    return (int(ram[AREA_TYPE]) & 3) << 5 | int(ram[AREA_OFFSET]) & 31


def in_level(ram: NDArray[np.uint8]) -> bool:
    """Returns whether a level is played, cutscenes in it included."""
    return bool(ram[OPER_MODE] == 1 and ram[OPER_MODE_TASK] == 3)


def playing(ram: NDArray[np.uint8]) -> bool:
    """Returns whether Mario obeys the buttons."""
    return in_level(ram) and bool(ram[PLAYER_STATE] == STATES["playing"])


def level_number(ram: NDArray[np.uint8]) -> int:
    """Returns the number of the level that is played, 0-31, or more in worlds beyond the eighth."""
    return int(ram[WORLD]) * 4 + int(ram[STAGE])
