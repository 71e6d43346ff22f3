"""The console by itself: a cartridge, a controller, a picture."""

from __future__ import annotations

import threading
from os import PathLike
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from warpzone import _native
from warpzone.errors import ConfigError, EngineError
from warpzone.nes.recompiler import Engine
from warpzone.nes.rom import Rom, find_rom
from warpzone.smb.levels import LEVELS, level_index

PALETTE: NDArray[np.uint8] = _native.palette()
"""RGB of the 64 colours: uint8[64, 3]."""

FRAMES_PER_SECOND = 60.0988
"""Of an NTSC console (https://www.nesdev.org/wiki/Cycle_reference_chart)."""

RomSource: TypeAlias = Rom | str | PathLike[str] | None


def open_rom(rom: RomSource = None) -> Rom:
    """A `Rom` as it is, a file, or (None) the one that is found or fetched. Raises `RomError`."""
    return rom if isinstance(rom, Rom) else find_rom(rom)


EngineMode = Literal["auto", "interpreter", "compiled"]
ENGINE_MODES: tuple[EngineMode, ...] = ("auto", "interpreter", "compiled")


class Cartridge:
    """A ROM in use: the native core's level starts, and its native code if it is to have some."""

    def __init__(self, data: bytes, *, translated: bool) -> None:
        self.levels = _native.Levels(data)
        self.engine = Engine(self.levels, data, self._starts) if translated else None

    @property
    def running(self) -> str:
        """How games run at present, and why."""
        if self.engine is None:
            return "interpreter: chosen"
        return f"{'compiled' if self.engine.compiled else 'interpreter'}: {self.engine.reason}"

    def _starts(self) -> list[bytes]:
        """The first moments of all levels; none where this is another game."""
        try:
            return [self.levels.start(level) for level in range(len(LEVELS))]
        except RuntimeError:
            return []


_default_mode: EngineMode = "auto"
_cartridges: dict[tuple[bytes, bool], Cartridge] = {}
_making = threading.Lock()


def set_engine(mode: str) -> None:
    """Chooses how games run where nothing else is asked for.

    Args:
        mode: "interpreter"; "compiled": the cartridge's program translated to native code, made
            first where there is none yet (some ten seconds); "auto": begins at once and changes
            over to native code as soon as it is there. The games are the same, byte for byte.

    Raises:
        ConfigError: there is no such engine.
    """
    global _default_mode
    _default_mode = _check_mode(mode)


def _check_mode(mode: str) -> EngineMode:
    for known in ENGINE_MODES:
        if mode == known:
            return known
    raise ConfigError(f"there is no engine {mode!r}; choose {', '.join(ENGINE_MODES)}")


def cartridge_of(rom: Rom, engine: str | None = None) -> Cartridge:
    """The same object for the same ROM and engine (None: see `set_engine`) in one process.

    Raises:
        ConfigError: there is no such engine.
        EngineError: the ROM cannot be run, or not as native code when that is asked for.
    """
    mode = _default_mode if engine is None else _check_mode(engine)
    key = (rom.data, mode != "interpreter")
    with _making:
        if key not in _cartridges:
            try:
                _cartridges[key] = Cartridge(rom.data, translated=mode != "interpreter")
            except ValueError as error:
                raise EngineError(f"{rom.path}: {error}") from None
    cartridge = _cartridges[key]
    if mode == "compiled" and cartridge.engine is not None:
        cartridge.engine.wait()
    return cartridge


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
        self._console = _native.Console(cartridge_of(self.rom, engine).levels)

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

    def tiles(self) -> NDArray[np.uint8]:
        """The map that an agent with the observation `tiles` sees now: uint8[8, 13, 16], planes
        `_native.TILE_PLANES`."""
        return self._console.tiles()

    def grey(
        self,
        size: tuple[int, int] = (84, 84),
        *,
        crop_status_bar: bool = False,
        before: bytes | None = None,
    ) -> NDArray[np.uint8]:
        """The last frame as an agent with the observation `pixels` sees it: uint8[height, width].

        Args:
            size: height and width, at most (240, 256).
            crop_status_bar: without the lines of score and time.
            before: what `save` gave after the frame before: each pixel is the brighter of both.

        Raises:
            ValueError: an impossible size, or `before` is no snapshot of this cartridge.
        """
        return self._console.grey(*size, crop_status_bar, before)

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
