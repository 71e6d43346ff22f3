"""What environments of both kinds have: a cartridge, a screen, and hooks by which games are made of
them."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from warpzone.compat.nes_py.arrays import checked_action
from warpzone.compat.nes_py.emulator import SCREEN_SHAPE, Emulator
from warpzone.errors import ConfigError
from warpzone.nes.cartridge import RomSource
from warpzone.smb.human import HumanWindow

KEYS = "dasw\r po"
"""Of right, left, down, up, Start, Select, B and A: the buttons from the highest bit down."""


class GameEnv(gymnasium.Env[NDArray[np.uint8], int]):
    """An environment of a cartridge. An action is a byte with a bit for each button: A=1 B=2
    select=4 start=8 up=16 down=32 left=64 right=128.

    Games are classes that override `_get_reward`, `_get_done`, `_get_info`, `_will_reset`,
    `_did_reset` and `_did_step`.

    Args:
        rom_path: a file, a known cartridge's name, or a `Rom`.

    Attributes:
        done: whether the episode is over.
        viewer: the window that `render` has opened, or None.
        controllers: what is held on the two controllers: a byte each, uint8[1]. The first one's is
            the action; the second one's is held until it is changed.

    Raises:
        RomError: no such ROM, or one that cannot be run.
    """

    reward_range: ClassVar[tuple[float, float]] = (-float("inf"), float("inf"))
    observation_space: Any = Box(low=0, high=255, shape=SCREEN_SHAPE, dtype=np.uint8)
    action_space: Any = Discrete(256)

    def __init__(self, rom_path: RomSource) -> None:
        self._emulator: Emulator | None = Emulator(rom_path)
        self._ram = self._emulator.ram
        self._screen: NDArray[np.uint8] | None = None
        self._saved: bytes | None = None
        self.controllers = [np.zeros(1, np.uint8), np.zeros(1, np.uint8)]
        self.done = True
        self.viewer: HumanWindow | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A copy opens a window of its own.
        return {**self.__dict__, "viewer": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._emulator is not None:
            self._ram = self._emulator.ram

    @property
    def emulator(self) -> Emulator:
        """The console that runs the cartridge.

        Raises:
            ConfigError: the environment is closed.
        """
        if self._emulator is None:
            raise ConfigError("env has already been closed.")
        return self._emulator

    @property
    def ram(self) -> NDArray[np.uint8]:
        """The work RAM, uint8[2048]: a view, writing to it changes the game."""
        return self._ram

    @property
    def screen(self) -> NDArray[np.uint8]:
        """The picture, uint8[240, 256, 3]. Later steps do not change it."""
        if self._screen is None:
            self._screen = self.emulator.rgb()
        return self._screen

    def close(self) -> None:
        """Ends the game and closes its window.

        Raises:
            ConfigError: it is closed already.
        """
        _ = self.screen, self.emulator
        self._emulator = None
        if self.viewer is not None:
            self.viewer.close()

    def get_keys_to_action(self) -> dict[tuple[int, ...], int]:
        """Returns which keys, as sorted codes, are which action: W A S D, O for A, P for B, Enter
        for Start, space for Select."""
        found: dict[tuple[int, ...], int] = {}
        for bits in itertools.product((0, 1), repeat=8):
            pressed = sorted(ord(key) for key, bit in zip(KEYS, bits, strict=True) if bit)
            found[tuple(pressed)] = int("".join(map(str, bits)), 2)
        return found

    def get_action_meanings(self) -> list[str]:
        """Returns what `JoypadSpace` calls its actions; without it there are no names."""
        return ["NOOP"]

    def _begin(self) -> None:
        """Begins an episode, from power-on or from where `_backup` was called."""
        emulator = self.emulator
        self._will_reset()
        self._screen = None
        if self._saved is None:
            emulator.reset()
        else:
            self._restore()
        self._did_reset()
        self.done = False

    def _bounded(self, reward: float) -> float:
        low, high = self.reward_range
        return min(max(float(reward), low), high)

    def _show(self) -> None:
        """Shows the picture in a window."""
        if self.viewer is None:
            self.viewer = HumanWindow()
        self.viewer.show(self.emulator.colours()[None])

    # --- for games ------------------------------------------------------------------------------

    def _frame_advance(self, action: int) -> None:
        """Runs a step without looking at rewards or ends."""
        held, emulator = checked_action(action, 256), self.emulator
        self.controllers[0][0] = held
        self._screen = None
        emulator.step(held, int(self.controllers[1][0]))

    def _backup(self) -> None:
        """Episodes begin here from now on."""
        self._saved = self.emulator.save()

    def _restore(self) -> None:
        """Goes back to where `_backup` was called."""
        if self._saved is not None:
            self.emulator.load(self._saved)
            self._screen = None

    def _will_reset(self) -> None:
        """Called before a reset."""

    def _did_reset(self) -> None:
        """Called after a reset."""

    def _did_step(self, done: bool) -> None:
        """Called after a step, whose reward and info are known already."""

    def _get_reward(self) -> float:
        return 0.0

    def _get_done(self) -> bool:
        return False

    def _get_info(self) -> dict[str, Any]:
        return {}
