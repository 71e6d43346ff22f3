"""`nes_py.NESEnv` 9.x: `reset` gives two values, `step` five."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
from gymnasium.utils import seeding
from numpy.typing import NDArray

from warpzone.compat.nes_py.arrays import checked_output
from warpzone.compat.nes_py.emulator import SCREEN_SHAPE
from warpzone.compat.nes_py.game_env import GameEnv
from warpzone.compat.nes_py.v9.ram import Spec, read_values
from warpzone.errors import ConfigError
from warpzone.nes.cartridge import RomSource
from warpzone.nes.checks import require

SCREEN_HEIGHT, SCREEN_WIDTH, _ = SCREEN_SHAPE
SCREEN_SHAPE_24_BIT = SCREEN_SHAPE
SCREEN_SHAPE_GRAYSCALE = SCREEN_SHAPE[:2]
OBSERVATION_MODE_RGB_ARRAY = "rgb_array"
OBSERVATION_MODE_RGB_ARRAY_CONTIGUOUS = "rgb_array_contiguous"
OBSERVATION_MODE_GRAYSCALE = "grayscale"
OBSERVATION_MODES = (
    OBSERVATION_MODE_RGB_ARRAY,
    OBSERVATION_MODE_RGB_ARRAY_CONTIGUOUS,
    OBSERVATION_MODE_GRAYSCALE,
)


def unknown_mode(mode: str) -> ConfigError:
    """Returns the error for an observation mode that there is not."""
    return ConfigError(f"observation mode {mode!r}: there are {', '.join(OBSERVATION_MODES)}")


class NESEnv(GameEnv):
    """A Gymnasium environment of a cartridge, see `GameEnv`.

    Games override `_get_terminated` (or `_get_done`) and `_get_truncated`, too.

    Args:
        rom_path: a file, a known cartridge's name, or a `Rom`.
        render_mode: None; "rgb_array": `render` returns the picture; "human": it shows it.

    Raises:
        ConfigError: another render mode.
        RomError: no such ROM, or one that cannot be run.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]  # Gymnasium's is of the object
        "render_modes": ["rgb_array", "human"],
        "render_fps": 60,
    }

    def __init__(self, rom_path: RomSource, render_mode: str | None = None) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ConfigError(
                f"render mode {render_mode!r}: there are {', '.join(self.metadata['render_modes'])}"
            )
        super().__init__(rom_path)
        self.render_mode = render_mode

    def seed(self, seed: int | None = None) -> list[int]:
        """Seeds the environment's random numbers, as `reset(seed=…)` does. Returns the seed."""
        warnings.warn(
            "NESEnv.seed() is deprecated; use reset(seed=...) instead.",
            DeprecationWarning,
            stacklevel=2,
        )
        self.np_random, used = seeding.np_random(seed)
        return [used]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Begins an episode, from power-on or from where `_backup` was called.

        Returns:
            The picture and the info.
        """
        super().reset(seed=seed)
        self._begin()
        return self.screen, self._get_info()

    def step(self, action: int) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Runs one step.

        Returns:
            The picture, the reward, whether the episode is over, whether it was cut, and the info.

        Raises:
            ConfigError: the episode is over already, or the environment is closed.
        """
        if self.done:
            raise ConfigError("cannot step in a done environment! call `reset`")
        self._frame_advance(action)
        reward = self._get_reward()
        terminated, truncated = bool(self._get_terminated()), bool(self._get_truncated())
        self.done = terminated or truncated
        info = self._get_info()
        self._did_step(self.done)
        return self.screen, self._bounded(reward), terminated, truncated, info

    def render(self) -> NDArray[np.uint8] | None:
        """Returns the picture or shows it, as `render_mode` says.

        Raises:
            DisplayError: "human" on a machine without a screen.
        """
        if self.render_mode == "human":
            self._show()
        return self.screen if self.render_mode == "rgb_array" else None

    def observation(
        self,
        mode: str = OBSERVATION_MODE_RGB_ARRAY,
        output: NDArray[np.uint8] | None = None,
    ) -> NDArray[np.uint8]:
        """Returns the picture.

        Args:
            mode: "rgb_array": `screen`; "rgb_array_contiguous": a copy of it, uint8[240, 256, 3];
                "grayscale": how bright it is, uint8[240, 256].
            output: an array to write the copy to.

        Raises:
            ConfigError: another mode, an output that does not fit, or the environment is closed.
        """
        if mode == OBSERVATION_MODE_RGB_ARRAY:
            return self.screen
        emulator = self.emulator
        if mode == OBSERVATION_MODE_RGB_ARRAY_CONTIGUOUS:
            return emulator.rgb(checked_output(output, SCREEN_SHAPE_24_BIT, np.uint8))
        if mode == OBSERVATION_MODE_GRAYSCALE:
            return emulator.greys(checked_output(output, SCREEN_SHAPE_GRAYSCALE, np.uint8))
        raise unknown_mode(mode)

    def ram_values(
        self, specs: Iterable[Spec], output: NDArray[np.uint32] | None = None
    ) -> NDArray[np.uint32]:
        """Returns numbers in RAM, see `normalize_ram_read_specs`: uint32[number of specs].

        Raises:
            ConfigError: wrong specs, an output that does not fit, or the environment is closed.
        """
        require(isinstance(specs, Iterable), "specs", specs, "a list of numbers in RAM")
        specs = list(specs)
        out = checked_output(output, (len(specs),), np.uint32)
        read_values(self.emulator.ram[None], specs, out[None])
        return out

    def dump_state(self) -> bytes:
        """Returns a snapshot for `load_state`.

        Raises:
            ConfigError: the environment is closed.
        """
        return self.emulator.save()

    def load_state(self, snapshot: bytes) -> None:
        """Goes back to a snapshot. The episode goes on, even if it was over.

        Raises:
            ConfigError: the environment is closed.
            EngineError: not a snapshot, or one of another cartridge.
        """
        self.emulator.load(snapshot)
        self._screen = None
        self.done = False

    # --- for games ------------------------------------------------------------------------------

    def _get_terminated(self) -> bool:
        return self._get_done()

    def _get_truncated(self) -> bool:
        return False


__all__ = ["NESEnv"]
