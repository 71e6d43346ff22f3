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
from warpzone.smb.levels import level_index
from warpzone.smb.starts import level_starts

STATUS_BAR = 32
"""px above the map; of 240."""
HEIGHT = 240 - STATUS_BAR
SCREEN = 256
COLUMN = 16
MOST_PLACES = 16
"""So that all their colours fit one picture of 256; the game has levels with up to 5."""

# Addresses and names after the game's public disassembly by doppelganger; those of the loading,
# of Mario and of the screen are in native/smb/memory.h too.
PLAYER_STATE, FLOAT_STATE, FACING, MOVING = 0x000E, 0x001D, 0x0033, 0x0045
X_SPEED, X_PAGE, X, Y_SPEED, Y_PAGE, Y = 0x0057, 0x006D, 0x0086, 0x009F, 0x00B5, 0x00CE
AREA_DATA, AREA_DATA_OFFSET, AREA_TYPE, AREA_OFFSET = 0x00E7, 0x072C, 0x074E, 0x074F
CHANGE_AREA_TIMER, SCREEN_PAGE, SCREEN_X, SCROLL_LOCK = 0x06DE, 0x071A, 0x071C, 0x0723
NO_COLLISIONS, COLUMN_PAGE, NEXT_COLUMN, OBJECT_LENGTHS = 0x0716, 0x0725, 0x0726, 0x0730
MAZE_CHECK, NEXT_AREA, NEXT_PAGE, AREA = 0x0745, 0x0750, 0x0751, 0x0760
OPER_MODE, OPER_MODE_TASK, STAR_TIMER = 0x0770, 0x0772, 0x079F
IN_PIPE, PLAYING, CASTLE, END_OF_DATA = 3, 8, 3, 0xFD
BLOCKS, BLOCKS_BYTES = 0x0500, 2 * 13 * 16
"""The map around the screen, see native/smb/memory.h."""
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
        map: which of the game's maps lies there, see `map_of`.
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


def map_of(ram: NDArray[np.uint8]) -> int:
    """Returns the number of the map that is loaded, 0-127; the same in all revisions of the
    game."""
    return (int(ram[AREA_TYPE]) & 3) << 5 | int(ram[AREA_OFFSET]) & 31


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
        left = _screen_left(console.ram)
        if any(s.map == map_of(console.ram) and s.holds(left) for s in strips):
            continue
        drive = _Drive(console, program)
        strips.append(drive.strip())
        doors += drive.doors
    return strips


def _screen_left(ram: NDArray[np.uint8]) -> int:
    # A maze that sends Mario back may put the screen's left end before the map's.
    page = (int(ram[SCREEN_PAGE]) + 128) % 256 - 128
    return page * 256 + int(ram[SCREEN_X])


def shown_left(console: _native.Console) -> int:
    """Returns px from the left end of the map to that of the picture that the console shows; what
    is in RAM may already be of the next picture."""
    now = _screen_left(console.ram)
    return now + (console.scroll - now + 256) % 512 - 256


def _playing(ram: NDArray[np.uint8]) -> bool:
    at = (int(ram[OPER_MODE]), int(ram[OPER_MODE_TASK]), int(ram[PLAYER_STATE]))
    return at == (1, 3, PLAYING)


def _come_in(console: _native.Console) -> bool:
    """Waits until Mario has come out of a pipe; False: he did not."""
    for _ in range(PATIENCE):
        if _playing(console.ram):
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
        self._left = _screen_left(self._ram)
        self._unlocks = int(self._ram[AREA_TYPE]) & 3 == CASTLE  # the axe does that there
        self._led_to: set[tuple[int, int]] = set()
        self._way_out, self._way_out_frames = (0, 0), 0

    def strip(self) -> Strip:
        """Returns its picture, after driving through it."""
        parts: list[NDArray[np.uint8]] = []
        right, palettes = self._left, []
        first = (map_of(self._ram), int(self._ram[AREA]) + 1)
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
            before = _screen_left(self._ram)
            self._look_for_doors()
            self._carry()
            self._console.step(0)
            if not _playing(self._ram):
                raise EngineError("the level cannot be drawn: Mario was stopped on his way")
            still = still + 1 if _screen_left(self._ram) == before else 0
            if still > STILL_FRAMES:
                # How far the screen gets depends on the speed by some px: to the next column.
                end = -(-(before + SCREEN) // COLUMN) * COLUMN
                self._unlocks = True
                still = 0
            elif end is None and self._data_ended():
                column = int(self._ram[COLUMN_PAGE]) * SCREEN + int(self._ram[NEXT_COLUMN]) * COLUMN
                end = -(-column // SCREEN) * SCREEN
        raise EngineError("the level cannot be drawn: it has no end")

    def _carry(self) -> None:
        ram = self._ram
        x = _screen_left(ram) + 0x70  # where the screen follows at full speed
        ram[X_PAGE], ram[X] = x >> 8, x & 255
        ram[Y_PAGE], ram[Y], ram[Y_SPEED] = 0, 0xE0, 0  # page 1 is the screen
        ram[X_SPEED], ram[FACING], ram[MOVING], ram[FLOAT_STATE] = RUNNING, 1, 1, 2
        ram[NO_COLLISIONS], ram[STAR_TIMER] = 1, 0xFF
        ram[MAZE_CHECK] = 0
        if self._unlocks:
            ram[SCROLL_LOCK] = 0

    def _look_for_doors(self) -> None:
        ram = self._ram
        there = (int(ram[NEXT_AREA]) & 0x7F, int(ram[NEXT_PAGE]))
        if there != self._way_out:
            self._way_out, self._way_out_frames = there, 0
        self._way_out_frames += 1
        if self._way_out_frames < SETTLED_FRAMES or there in self._led_to:
            return
        if there[0] == map_of(ram) or not np.isin(ram[BLOCKS:][:BLOCKS_BYTES], DOORS).any():
            return
        self._led_to.add(there)
        here = self._console.save()
        ram[PLAYER_STATE], ram[CHANGE_AREA_TIMER] = IN_PIPE, 1
        self._console.step(0)
        self.doors.append(self._console.save())
        self._console.load(here)

    def _data_ended(self) -> bool:
        ram = self._ram
        at = int(ram[AREA_DATA]) + 256 * int(ram[AREA_DATA + 1]) + int(ram[AREA_DATA_OFFSET])
        ended = self._program[at % len(self._program)] == END_OF_DATA
        return ended and bool((ram[OBJECT_LENGTHS : OBJECT_LENGTHS + 3] & 0x80).all())
