"""The console in steps of nes-py: 29,781 CPU cycles, wherever in a picture they end."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import warpzone._native as _native
from warpzone.compat.nes_py.palette import GREYS, PALETTE
from warpzone.errors import ConfigError, EngineError
from warpzone.nes.cartridge import RomSource, cartridge_of, open_rom
from warpzone.nes.checks import crashed, native_errors, require

CYCLES = 29781
"""Of a step. A frame has half a cycle less, so that steps end a little later in each."""
LEAD = 341
"""Dots from power-on to the first scanline: theirs begins with the line before it."""
SCREEN_SHAPE = (240, 256, 3)


class Emulator:
    """A console with a cartridge in it.

    Args:
        rom: a file, a known cartridge's name, or a `Rom`.

    Can be copied and pickled. For one thread at a time: while one is in a method, those of another
    raise `EngineError`.

    Attributes:
        ram: the work RAM, uint8[2048]: a view, writing to it changes the game.

    Raises:
        RomError: no such ROM, or one that cannot be run.
    """

    def __init__(self, rom: RomSource) -> None:
        self.rom = open_rom(rom)
        self.cartridge = cartridge_of(self.rom)
        self._native = _native.CutConsole(self.cartridge.native, CYCLES, LEAD)
        self.ram: NDArray[np.uint8] = self._native.ram
        self._prg_ram: NDArray[np.uint8] = self._native.prg_ram

    def __getstate__(self) -> dict[str, Any]:
        return {"rom": self.rom, "state": self.save()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Emulator.__init__(self, state["rom"])
        self.load(state["state"])

    def reset(self) -> None:
        """Switches the console on anew. RAM stays as it is, as nes-py leaves it."""
        ram, prg_ram = self.ram.copy(), self._prg_ram.copy()
        with native_errors():
            self._native.reset()
        self.ram[:], self._prg_ram[:] = ram, prg_ram

    def step(self, buttons: int, second: int = 0) -> None:
        """Runs a step.

        Args:
            buttons: sum of A=1 B=2 select=4 start=8 up=16 down=32 left=64 right=128.
            second: likewise, of the second controller.

        Raises:
            ConfigError: buttons of a second controller, where the console is run without one.
            EngineError: the program has run into an opcode that halts the processor, or another
                thread is using the console.
        """
        try:
            runs = self._native.step(buttons, second)
        except RuntimeError as error:
            raise EngineError(str(error)) from None
        except ValueError:
            raise ConfigError(
                f"{self.rom.path.name} is run without sound and a second controller, for speed: "
                f"controllers[1] holds {second}, and must stay at 0"
            ) from None
        if not runs:
            raise crashed(self.rom.path.name)

    def rgb(self, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """Returns the screen: uint8[240, 256, 3], `out` if that is given."""
        out = np.empty(SCREEN_SHAPE, np.uint8) if out is None else out
        with native_errors():
            self._native.rgb(PALETTE, out)
        return out

    def greys(self, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """Returns how bright the screen is: uint8[240, 256], `out` if that is given."""
        out = np.empty(SCREEN_SHAPE[:2], np.uint8) if out is None else out
        with native_errors():
            self._native.plane(GREYS, out)
        return out

    def colours(self) -> NDArray[np.uint8]:
        """Returns the screen as numbers of colours: uint8[240, 256], values 0-63."""
        out = np.empty(SCREEN_SHAPE[:2], np.uint8)
        with native_errors():
            self._native.plane(np.arange(64, dtype=np.uint8), out)
        return out

    def save(self) -> bytes:
        """Returns the whole state with its screen; `load` goes on from it exactly."""
        with native_errors():
            return self._native.save()

    def load(self, snapshot: bytes) -> None:
        """Goes back to a state from `save`.

        Raises:
            EngineError: not a snapshot, of another version or cartridge, cut short or damaged.
        """
        require(isinstance(snapshot, bytes | bytearray), "snapshot", snapshot, "bytes of a save")
        try:
            self._native.load(bytes(snapshot))
        except ValueError as error:
            raise EngineError(f"the snapshot cannot be loaded: {error}") from None
        except RuntimeError as error:
            raise EngineError(str(error)) from None
