"""The console by itself: a cartridge, a controller, a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import warpzone._native as _native
from warpzone.console_text import shown
from warpzone.errors import ConfigError, EngineError
from warpzone.nes.cartridge import RomSource, cartridge_of, open_rom
from warpzone.nes.checks import crashed, is_whole, native_errors, require

PALETTE: NDArray[np.uint8] = _native.palette()
"""RGB of the 64 colours: uint8[64, 3]."""

FRAMES_PER_SECOND = 60.0988
"""Of an NTSC console (https://www.nesdev.org/wiki/Cycle_reference_chart)."""


class Console:
    """An NES with a cartridge in it.

    Can be copied and pickled: a copy goes on by itself. For one thread at a time: while one is in a
    method, those of another raise `EngineError` and change nothing.

    Args:
        rom: a file, a `Rom`, or None for the ROM that `warpzone rom` shows.
        engine: "auto", "interpreter" or "compiled", see `set_engine`; None: as chosen there.

    Raises:
        RomError: there is no such ROM, or it cannot be run.
        EngineError: engine "compiled", and the program cannot run as native code.
    """

    def __init__(self, rom: RomSource = None, *, engine: str | None = None) -> None:
        self.rom = open_rom(rom)
        self._engine = engine
        self.cartridge = cartridge_of(self.rom, engine)
        self.native = _native.Console(self.cartridge.native)
        """The native core's console, for what is known of one game."""

    def reset(self) -> None:
        """Switches the console off and on."""
        with native_errors():
            self.native.reset()

    def step(self, buttons: int = 0, frames: int = 1, *, second: int = 0) -> None:
        """Runs `frames` frames with the given buttons held.

        Args:
            buttons: sum of A=1 B=2 select=4 start=8 up=16 down=32 left=64 right=128.
            frames: 0 or more.
            second: buttons of the second controller, which only consoles have whose cartridge is
                not plain (see `Cartridge` in the native module).

        Ctrl-C breaks off after a whole number of frames, within a second; the game can go on there.

        Raises:
            ConfigError: buttons outside 0-255, no number of frames, or buttons of a second
                controller that is not there.
            EngineError: the program has run into an opcode that halts the processor, or another
                thread is using the console.
        """
        if not (is_whole(buttons) and 0 <= buttons <= 255):
            raise ConfigError(f"buttons must be 0-255, not {shown(buttons)}")
        if not (is_whole(second) and 0 <= second <= 255):
            raise ConfigError(f"second must be 0-255, not {shown(second)}")
        if not (is_whole(frames) and 0 <= frames < 2**31):
            raise ConfigError(f"frames must be 0 or more, not {shown(frames)}, and below 2**31")
        with native_errors():
            runs = self.native.step(buttons, frames, second=second)
        if not runs:
            raise crashed(self.rom.path.name)

    @property
    def frame(self) -> int:
        """Frames since power-on."""
        with native_errors():
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
        with native_errors():
            return self.native.screen()

    def rgb(self) -> NDArray[np.uint8]:
        """The last frame: uint8[240, 256, 3]."""
        return PALETTE[self.screen()]

    def save(self) -> bytes:
        """The whole state; `load` goes on from it exactly."""
        with native_errors():
            return self.native.save()

    def load(self, snapshot: bytes) -> None:
        """Goes back to a state from `save`.

        Raises:
            ConfigError: no bytes.
            EngineError: not a snapshot, of another version or cartridge, cut short or damaged; or
                another thread is using the console.
        """
        require(isinstance(snapshot, bytes | bytearray), "snapshot", snapshot, "bytes of save")
        try:
            self.native.load(bytes(snapshot))
        except ValueError as error:
            raise EngineError(f"the snapshot cannot be loaded: {error}") from None
        except RuntimeError as error:
            raise EngineError(str(error)) from None

    def __getstate__(self) -> dict[str, Any]:
        return {"rom": self.rom, "engine": self._engine, "state": self.save()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Without __init__, so that a class made of this one may have another.
        Console.__init__(self, state["rom"], engine=state["engine"])
        self.load(state["state"])
