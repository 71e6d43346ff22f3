"""One cartridge as an environment of the old kind: `reset` gives a picture, `step` four values."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from warpzone.compat.nes_py.palette import PALETTE
from warpzone.errors import ConfigError
from warpzone.nes.cartridge import RomSource
from warpzone.nes.console import Console
from warpzone.smb.human import HumanWindow

SCREEN_SHAPE = (240, 256, 3)
KEYS = "dasw\r po"
"""Of right, left, down, up, Start, Select, B and A: the buttons from the highest bit down."""


class NESEnv(gymnasium.Env[NDArray[np.uint8], int]):
    """An environment of a cartridge. An action is a byte with a bit for each button: A=1 B=2
    select=4 start=8 up=16 down=32 left=64 right=128.

    Games are classes that override `_get_reward`, `_get_done`, `_get_info`, `_will_reset`,
    `_did_reset` and `_did_step`.

    Args:
        rom_path: a file, a known cartridge's name, or a `Rom`.

    Attributes:
        ram: the work RAM, uint8[2048]: a view, writing to it changes the game.
        screen: the last picture, uint8[240, 256, 3].
        done: whether the episode is over.
        viewer: the window that `render` has opened, or None.

    Raises:
        RomError: no such ROM, or one that cannot be run.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]  # Gymnasium's is of the object
        "render.modes": ["rgb_array", "human"],
        "video.frames_per_second": 60,
        "render_modes": ["rgb_array", "human"],
        "render_fps": 60,
    }
    reward_range: ClassVar[tuple[float, float]] = (-float("inf"), float("inf"))
    observation_space: Any = Box(low=0, high=255, shape=SCREEN_SHAPE, dtype=np.uint8)
    action_space: Any = Discrete(256)

    def __init__(self, rom_path: RomSource) -> None:
        self._console: Console | None = Console(rom_path)
        self._saved: bytes | None = None
        self.draws = np.random.RandomState()
        self.done = True
        self.viewer: HumanWindow | None = None

    @property
    def console(self) -> Console:
        """The console that runs the cartridge.

        Raises:
            ConfigError: the environment is closed.
        """
        if self._console is None:
            raise ConfigError("env has already been closed.")
        return self._console

    @property
    def ram(self) -> NDArray[np.uint8]:
        return self.console.ram

    @property
    def screen(self) -> NDArray[np.uint8]:
        picture: NDArray[np.uint8] = PALETTE[self.console.screen()]
        return picture

    def seed(self, seed: int | None = None) -> list[int]:
        """Seeds the environment's random numbers. Returns the seeds that are used."""
        if seed is None:
            return []
        self.draws.seed(seed)
        return [seed]

    def reset(  # type: ignore[override]  # the API of before Gymnasium
        self,
        seed: int | None = None,
        options: dict[str, Any] | None = None,
        return_info: bool | None = None,
    ) -> NDArray[np.uint8]:
        """Begins an episode, from power-on or from where `_backup` was called. Returns the
        picture."""
        self.seed(seed)
        self._will_reset()
        if self._saved is None:
            self.console.reset()
        else:
            self._restore()
        self._did_reset()
        self.done = False
        return self.screen

    def step(  # type: ignore[override]  # the API of before Gymnasium
        self, action: int
    ) -> tuple[NDArray[np.uint8], float, bool, dict[str, Any]]:
        """Runs one frame.

        Returns:
            The picture, the reward, whether the episode is over, and the info.

        Raises:
            ConfigError: the episode is over already, or the environment is closed.
        """
        if self.done:
            raise ConfigError("cannot step in a done environment! call `reset`")
        self._frame_advance(action)
        reward = float(self._get_reward())
        self.done = bool(self._get_done())
        info = self._get_info()
        self._did_step(self.done)
        low, high = self.reward_range
        return self.screen, min(max(reward, low), high), self.done, info

    def render(self, mode: str = "human") -> NDArray[np.uint8] | None:
        """Shows the picture in a window ("human"), or returns it ("rgb_array").

        Raises:
            ConfigError: another mode.
            DisplayError: "human" on a machine without a screen.
        """
        if mode == "rgb_array":
            return self.screen
        if mode != "human":
            raise ConfigError(f"render mode {mode!r}: there are 'rgb_array' and 'human'")
        if self.viewer is None:
            self.viewer = HumanWindow()
        self.viewer.show(self.console.screen()[None])
        return None

    def close(self) -> None:
        """Ends the game and closes its window.

        Raises:
            ConfigError: it is closed already.
        """
        if self._console is None:
            raise ConfigError("env has already been closed.")
        self._console = None
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

    # --- for games ------------------------------------------------------------------------------

    def _frame_advance(self, action: int) -> None:
        """Runs a frame without looking at rewards or ends."""
        self.console.step(int(action) & 255)

    def _backup(self) -> None:
        """Episodes begin here from now on."""
        self._saved = self.console.save()

    def _restore(self) -> None:
        """Goes back to where `_backup` was called."""
        if self._saved is not None:
            self.console.load(self._saved)

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
