"""`nes_py.NESEnv` 8.x: `reset` gives a picture, `step` four values."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from warpzone.compat.nes_py.game_env import GameEnv
from warpzone.errors import ConfigError
from warpzone.nes.cartridge import RomSource


class NESEnv(GameEnv):
    """An environment of the old kind, see `GameEnv`."""

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]  # Gymnasium's is of the object
        "render.modes": ["rgb_array", "human"],
        "video.frames_per_second": 60,
        "render_modes": ["rgb_array", "human"],
        "render_fps": 60,
    }

    def __init__(self, rom_path: RomSource) -> None:
        super().__init__(rom_path)
        self.draws = np.random.RandomState()

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
        self._begin()
        return self.screen

    def step(  # type: ignore[override]  # the API of before Gymnasium
        self, action: int
    ) -> tuple[NDArray[np.uint8], float, bool, dict[str, Any]]:
        """Runs one step.

        Returns:
            The picture, the reward, whether the episode is over, and the info.

        Raises:
            ConfigError: the episode is over already, or the environment is closed.
        """
        if self.done:
            raise ConfigError("cannot step in a done environment! call `reset`")
        self._frame_advance(action)
        reward = self._get_reward()
        self.done = bool(self._get_done())
        info = self._get_info()
        self._did_step(self.done)
        return self.screen, self._bounded(reward), self.done, info

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
        self._show()
        return None
