"""Draws a level as long pictures, one for each place that Mario can be in: the game itself is
driven from left to right, and its background is copied as it scrolls.

Mario is carried above the screen for that, where nothing touches him. Where a pipe or a vine leads
is what the game writes down as it passes them; it is then told that Mario goes there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import warpzone._native as _native
from warpzone.errors import EngineError
from warpzone.nes.cartridge import RomSource, cartridge_of, open_rom
from warpzone.nes.console import PALETTE
from warpzone.smb import memory, tile_layout
from warpzone.smb.levels import level_index
from warpzone.smb.memory import map_number, playing, screen_left
from warpzone.smb.starts import level_starts

STATUS_BAR = tile_layout.MAP_TOP
"""px above the map; of 240."""
HEIGHT = 240 - STATUS_BAR
SCREEN = 256
COLUMN = tile_layout.CELL
MOST_PLACES = 16
"""So that all their colours fit one picture of 256; the game has levels with up to 5."""

CASTLE = 3
"""Of the area's types."""
END_OF_DATA = 0xFD
"""Closes the data of a map."""
BLOCKS_BYTES = 2 * tile_layout.ROWS * tile_layout.COLUMNS
"""Of the map around the screen."""
DOORS = (0x10, 0x11, 0x1F, 0x6C, 0x56, 0x5B)
"""What Mario can go away by: openings of pipes, and bricks with a vine in them."""

RUNNING = 0x28
"""Mario's speed with B held, 2.5 px a frame; the fastest that the game's screen follows."""
PATIENCE = 600
"""Frames until Mario has come out of a pipe."""
MOST_FRAMES = 32 * SCREEN
STILL_FRAMES = 60
"""That the screen stands still when it has come to an end."""
SETTLED_FRAMES = 16
"""That a way out must stand in RAM: the game skims over those of places farther left."""


@dataclass(frozen=True)
class Strip:
    """Holds one place of a level, as far as the screen can scroll in it.

    Attributes:
        map: which of the game's maps lies there, see `memory.map_number`.
        area: the game's own area number as in the signals. Places that pipes lead to have the
            number of the level that they are in.
        left: px from the left end of the map to the picture's.
        picture: uint8[208, width], palette entries 0-15 of the background, below the status bar.
        palette: uint8[16], colours 0-63 of the entries.
    """

    map: int
    area: int
    left: int
    picture: NDArray[np.uint8]
    palette: NDArray[np.uint8]

    @property
    def width(self) -> int:
        """Returns px."""
        return int(self.picture.shape[1])

    @property
    def right(self) -> int:
        """Returns px from the left end of the map to the right end of the picture."""
        return self.left + self.width

    def holds(self, x: int) -> bool:
        """Returns whether the picture shows a place, px from the left end of the map."""
        return self.left <= x < self.right

    def rgb(self) -> NDArray[np.uint8]:
        """Returns the picture in colours, uint8[208, width, 3]."""
        return PALETTE[self.palette[self.picture]]


def render_level(level: str, rom: RomSource = None) -> list[Strip]:
    """Draws a level: first where it begins, then the places behind its pipes and vines.

    Raises:
        LevelError: no such level.
        RomError: no ROM.
        EngineError: the cartridge does not behave like Super Mario Bros.
    """
    cartridge = cartridge_of(open_rom(rom), "interpreter")
    program = cartridge.native.program
    console = _native.Console(cartridge.native)
    try:
        console.load(level_starts(cartridge).start(level_index(level)))
    except RuntimeError as error:
        raise EngineError(str(error)) from None
    strips: list[Strip] = []
    doors = [console.save()]
    while doors and len(strips) < MOST_PLACES:
        console.load(doors.pop(0))
        if not _come_in(console):
            continue
        left = screen_left(console.ram)
        if any(s.map == map_number(console.ram) and s.holds(left) for s in strips):
            continue
        drive = _Drive(console, program)
        strips.append(drive.strip())
        doors += drive.doors
    return strips


def shown_left(console: _native.Console) -> int:
    """Returns px from the left end of the map to that of the picture that the console shows; what
    is in RAM may already be of the next picture."""
    now = screen_left(console.ram)
    return now + (console.scroll - now + 256) % 512 - 256


def _come_in(console: _native.Console) -> bool:
    """Waits until Mario has come out of a pipe; False: he did not."""
    for _ in range(PATIENCE):
        if playing(console.ram):
            return True
        console.step(0)
    return False


class _Drive:
    """Drives through one place, from where Mario comes into it to its right end.

    Attributes:
        doors: snapshots of Mario in a pipe, one for each place that is led to from here.
    """

    def __init__(self, console: _native.Console, program: bytes) -> None:
        self.doors: list[bytes] = []
        self._console = console
        self._program = program
        self._ram = console.ram
        self._left = screen_left(self._ram)
        self._unlocks = int(self._ram[memory.AREA_TYPE]) & 3 == CASTLE  # the axe does that there
        self._led_to: set[tuple[int, int]] = set()
        self._way_out, self._way_out_frames = (0, 0), 0

    def strip(self) -> Strip:
        """Returns its picture, after driving through it."""
        parts: list[NDArray[np.uint8]] = []
        right, palettes = self._left, []
        first = (map_number(self._ram), int(self._ram[memory.AREA]) + 1)
        for left, end in self._screens():
            picture = self._console.background()[STATUS_BAR:]
            palettes.append(self._console.palette[:16].copy())
            until = min(left + SCREEN, end) if end is not None else left + SCREEN
            if until > right:
                parts.append(picture[:, right - left : until - left])
                right = until
        # Coins and question blocks shine by a palette entry that changes.
        table = np.stack(palettes)
        usual = [np.bincount(entry, minlength=64).argmax() for entry in table.T]
        return Strip(*first, self._left, np.hstack(parts), np.array(usual, np.uint8))

    def _screens(self) -> Iterator[tuple[int, int | None]]:
        """Scrolls on. Yields after each frame where its picture begins, and where the map ends,
        when that is known."""
        end: int | None = None
        still = 0
        self._console.step(0)  # so that the picture is of this place
        for _ in range(MOST_FRAMES):
            shown = shown_left(self._console)
            yield shown, end
            if end is not None and shown + SCREEN >= end:
                return
            before = screen_left(self._ram)
            self._look_for_doors()
            self._carry()
            self._console.step(0)
            if not playing(self._ram):
                raise EngineError("the level cannot be drawn: Mario was stopped on his way")
            still = still + 1 if screen_left(self._ram) == before else 0
            if still > STILL_FRAMES:
                # How far the screen gets depends on the speed by some px: to the next column.
                end = -(-(before + SCREEN) // COLUMN) * COLUMN
                self._unlocks = True
                still = 0
            elif end is None and self._data_ended():
                page, column = self._ram[memory.NEXT_COLUMN_PAGE], self._ram[memory.NEXT_COLUMN]
                end = -(-(int(page) * SCREEN + int(column) * COLUMN) // SCREEN) * SCREEN
        raise EngineError("the level cannot be drawn: it has no end")

    def _carry(self) -> None:
        ram = self._ram
        x = screen_left(ram) + 0x70  # where the screen follows at full speed
        ram[memory.X_PAGE], ram[memory.X] = x >> 8, x & 255
        ram[memory.Y_PAGE], ram[memory.Y], ram[memory.Y_SPEED] = 0, 0xE0, 0  # page 1 is the screen
        ram[memory.X_SPEED], ram[memory.FLOAT_STATE] = RUNNING, 2
        ram[memory.FACING], ram[memory.MOVING_DIRECTION] = 1, 1
        ram[memory.NO_COLLISIONS], ram[memory.STAR_TIMER] = 1, 0xFF
        ram[memory.MAZE_CHECK] = 0
        if self._unlocks:
            ram[memory.SCROLL_LOCK] = 0

    def _look_for_doors(self) -> None:
        ram = self._ram
        there = (int(ram[memory.NEXT_AREA]) & 0x7F, int(ram[memory.NEXT_PAGE]))
        if there != self._way_out:
            self._way_out, self._way_out_frames = there, 0
        self._way_out_frames += 1
        if self._way_out_frames < SETTLED_FRAMES or there in self._led_to:
            return
        door = np.isin(ram[memory.BLOCKS :][:BLOCKS_BYTES], DOORS).any()
        if there[0] == map_number(ram) or not door:
            return
        self._led_to.add(there)
        here = self._console.save()
        ram[memory.PLAYER_STATE], ram[memory.CHANGE_AREA_TIMER] = memory.STATES["pipe"], 1
        self._console.step(0)
        self.doors.append(self._console.save())
        self._console.load(here)

    def _data_ended(self) -> bool:
        ram = self._ram
        low, high = ram[memory.AREA_DATA :][:2]
        at = int(low) + 256 * int(high) + int(ram[memory.AREA_DATA_OFFSET])
        ended = self._program[at % len(self._program)] == END_OF_DATA
        return ended and bool((ram[memory.OBJECT_LENGTHS :][:3] & 0x80).all())
