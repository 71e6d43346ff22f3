"""The console by itself: a cartridge, a controller, a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import warpzone._native as _native
from warpzone.errors import EngineError
from warpzone.nes.cartridge import RomSource, cartridge_of, open_rom

PALETTE: NDArray[np.uint8] = _native.palette()
"""RGB of the 64 colours: uint8[64, 3]."""

FRAMES_PER_SECOND = 60.0988
"""Of an NTSC console (https://www.nesdev.org/wiki/Cycle_reference_chart)."""


class Console:
    """An NES with a cartridge in it.

    Args:
        rom: a file, a `Rom`, or None for the ROM that `warpzone rom` shows.
        engine: "auto", "interpreter" or "compiled", see `set_engine`; None: as chosen there.

    Raises:
        RomError: there is no such ROM, or it cannot be run.
        EngineError: engine "compiled", and the program cannot run as native code.
    """

    def __init__(self, rom: RomSource = None, *, engine: str | None = None) -> None:
        self.rom = open_rom(rom)
        self.cartridge = cartridge_of(self.rom, engine)
        self.native = _native.Console(self.cartridge.native)
        """The native core's console, for what is known of one game."""

    def reset(self) -> None:
        """Switches the console off and on."""
        self.native.reset()

    def step(self, buttons: int = 0, frames: int = 1, *, second: int = 0) -> None:
        """Runs `frames` frames with the given buttons held.

        Args:
            buttons: sum of A=1 B=2 select=4 start=8 up=16 down=32 left=64 right=128.
            frames: 0 or more.
            second: buttons of the second controller, which only consoles have whose cartridge is
                not plain (see `Cartridge` in the native module).

        Raises:
            ValueError: buttons outside 0-255, a negative number of frames, or buttons of a second
                controller that is not there.
            EngineError: the program has run into an opcode that halts the processor.
        """
        if not 0 <= buttons <= 255:
            raise ValueError(f"buttons must be 0-255, not {buttons}")
        if not 0 <= second <= 255:
            raise ValueError(f"second must be 0-255, not {second}")
        if frames < 0:
            raise ValueError(f"frames must be 0 or more, not {frames}")
        self.native.step(buttons, frames, second=second)
        if self.native.jammed:
            raise EngineError("the program has crashed: it ran into an opcode that halts the CPU")

    @property
    def frame(self) -> int:
        """Frames since power-on."""
        return self.native.frame

    @property
    def ram(self) -> NDArray[np.uint8]:
        """The 2 KB of work RAM, uint8[2048]: a view, writing to it changes the game."""
        return self.native.ram

    @property
    def prg_ram(self) -> NDArray[np.uint8]:
        """The cartridge's RAM at $6000: a view, uint8[n] with n up to 32,768, 0 without any."""
        return self.native.prg_ram

    def screen(self) -> NDArray[np.uint8]:
        """The last frame as colours of `PALETTE`: uint8[240, 256], values 0-63."""
        return self.native.screen()

    def rgb(self) -> NDArray[np.uint8]:
        """The last frame: uint8[240, 256, 3]."""
        return PALETTE[self.native.screen()]

    def save(self) -> bytes:
        """The whole state; `load` goes on from it exactly."""
        return self.native.save()

    def load(self, snapshot: bytes) -> None:
        """Goes back to a state from `save`.

        Raises:
            EngineError: not a snapshot, of another version or cartridge, cut short or damaged.
        """
        try:
            self.native.load(snapshot)
        except ValueError as error:
            raise EngineError(f"the snapshot cannot be loaded: {error}") from None
