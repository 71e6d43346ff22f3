"""The console by itself: a cartridge, a controller, a picture."""

from __future__ import annotations

from functools import cache
from os import PathLike
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from warpzone import _native
from warpzone.errors import EngineError
from warpzone.game.levels import level_index
from warpzone.game.rom import Rom, find_rom

PALETTE: NDArray[np.uint8] = _native.palette()
"""RGB of the 64 colours: uint8[64, 3]."""

FRAMES_PER_SECOND = 60.0988
"""Of an NTSC console (https://www.nesdev.org/wiki/Cycle_reference_chart)."""

RomSource: TypeAlias = Rom | str | PathLike[str] | None


def open_rom(rom: RomSource = None) -> Rom:
    """A `Rom` as it is, a file, or (None) the one that is found or fetched. Raises `RomError`."""
    return rom if isinstance(rom, Rom) else find_rom(rom)


@cache
def _levels_of(data: bytes) -> _native.Levels:
    return _native.Levels(data)


def load_levels(rom: Rom) -> _native.Levels:
    """The cartridge and its level starts; the same object for the same ROM in one process."""
    try:
        return _levels_of(rom.data)
    except ValueError as error:
        raise EngineError(f"{rom.path}: {error}") from None


class Console:
    """An NES with a cartridge in it.

    Args:
        rom: a file, a `Rom`, or None for the ROM that `warpzone rom` shows.

    Raises:
        RomError: there is no such ROM, or it cannot be run.
    """

    def __init__(self, rom: RomSource = None) -> None:
        self.rom = open_rom(rom)
        self._console = _native.Console(load_levels(self.rom))

    def reset(self) -> None:
        """Switches the console off and on."""
        self._console.reset()

    def start_level(self, level: str) -> None:
        """Goes to the first moment of a level of Super Mario Bros. in which Mario obeys.

        Raises:
            LevelError: there is no such level.
            EngineError: the cartridge does not behave like Super Mario Bros.
        """
        index = level_index(level)
        try:
            self._console.start_level(index)
        except RuntimeError as error:
            raise EngineError(str(error)) from None

    def step(self, buttons: int = 0, frames: int = 1) -> None:
        """Runs `frames` frames with the given buttons held.

        Args:
            buttons: sum of A=1 B=2 select=4 start=8 up=16 down=32 left=64 right=128.
            frames: 0 or more.

        Raises:
            ValueError: buttons outside 0-255 or a negative number of frames.
            EngineError: the program has run into an opcode that halts the processor.
        """
        if not 0 <= buttons <= 255:
            raise ValueError(f"buttons must be 0-255, not {buttons}")
        if frames < 0:
            raise ValueError(f"frames must be 0 or more, not {frames}")
        self._console.step(buttons, frames)
        if self._console.jammed:
            raise EngineError("the program has crashed: it ran into an opcode that halts the CPU")

    @property
    def frame(self) -> int:
        """Frames since power-on."""
        return self._console.frame

    @property
    def ram(self) -> NDArray[np.uint8]:
        """The 2 KB of work RAM, uint8[2048]: a view, writing to it changes the game."""
        return self._console.ram

    def screen(self) -> NDArray[np.uint8]:
        """The last frame as colours of `PALETTE`: uint8[240, 256], values 0-63."""
        return self._console.screen()

    def rgb(self) -> NDArray[np.uint8]:
        """The last frame: uint8[240, 256, 3]."""
        return PALETTE[self._console.screen()]

    def save(self) -> bytes:
        """The whole state; `load` goes on from it exactly."""
        return self._console.save()

    def load(self, snapshot: bytes) -> None:
        """Goes back to a state from `save`.

        Raises:
            EngineError: not a snapshot, of another version or cartridge, cut short or damaged.
        """
        try:
            self._console.load(snapshot)
        except ValueError as error:
            raise EngineError(f"the snapshot cannot be loaded: {error}") from None
