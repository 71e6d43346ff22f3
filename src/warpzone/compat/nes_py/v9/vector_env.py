"""`nes_py.VectorNESEmulator`: many consoles with one cartridge, stepped at once.

Knows no game: rewards and ends are whose who reads the RAM. For training,
`warpzone.nes.make_vec` has threads and does all that in native code.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from warpzone.compat.nes_py.arrays import checked_action, checked_output
from warpzone.compat.nes_py.emulator import SCREEN_SHAPE, Emulator
from warpzone.compat.nes_py.v9.nes_env import (
    OBSERVATION_MODE_GRAYSCALE,
    OBSERVATION_MODE_RGB_ARRAY,
    OBSERVATION_MODE_RGB_ARRAY_CONTIGUOUS,
    SCREEN_SHAPE_24_BIT,
    SCREEN_SHAPE_GRAYSCALE,
    unknown_mode,
)
from warpzone.compat.nes_py.v9.ram import Spec, read_values
from warpzone.errors import ConfigError
from warpzone.nes.cartridge import RomSource
from warpzone.nes.checks import whole_number


@dataclass(frozen=True)
class VectorStepTiming:
    """Seconds that a step took. What runs in no threads waits for none: some are always 0."""

    python_overhead_seconds: float
    action_transfer_seconds: float
    native_step_seconds: float
    synchronization_seconds: float
    observation_seconds: float = 0.0
    ram_info_seconds: float = 0.0
    worker_stats: tuple[Any, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Returns them by name."""
        return asdict(self)


class VectorNESEmulator:
    """Consoles with the same cartridge.

    Args:
        rom_path: a file, a known cartridge's name, or a `Rom`.
        env_count: how many consoles, 1 or more.

    Attributes:
        num_envs: how many there are.
        rams: their work RAM, uint8[2048] each: views, writing to them changes the games.

    Raises:
        ConfigError: fewer than one.
        RomError: no such ROM, or one that cannot be run.
    """

    action_space: ClassVar[Any] = Discrete(256)
    observation_space: ClassVar[Any] = Box(low=0, high=255, shape=SCREEN_SHAPE, dtype=np.uint8)

    def __init__(self, rom_path: RomSource, env_count: int) -> None:
        self.rom_path = rom_path
        self.num_envs = whole_number(env_count, "env_count")
        if self.num_envs < 1:
            raise ConfigError(f"env_count must be positive, not {env_count}")
        self._emulators = [Emulator(rom_path) for _ in range(self.num_envs)]
        self.rams = tuple(emulator.ram for emulator in self._emulators)
        self._screens = np.zeros((self.num_envs, *SCREEN_SHAPE), np.uint8)
        self._stale = [True] * self.num_envs
        self._open = True

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "rams": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.rams = tuple(emulator.ram for emulator in self._emulators)

    @property
    def screens(self) -> tuple[NDArray[np.uint8], ...]:
        """Their pictures, uint8[240, 256, 3] each: buffers that are drawn anew whenever somebody
        asks for them."""
        for index, emulator in enumerate(self._emulators):
            self._draw(index, emulator)
        return tuple(self._screens)

    def close(self) -> None:
        """Ends the games; what was returned stays as it is.

        Raises:
            ConfigError: they are ended already.
        """
        self._require_open()
        self._open = False

    def reset(self, *, seed: int | None = None) -> tuple[NDArray[np.uint8], ...]:
        """Switches all consoles on anew. Returns `screens`; nothing here is random."""
        self._require_open()
        for index in range(self.num_envs):
            self._emulators[index].reset()
            self._stale[index] = True
        return self.screens

    def reset_one(self, index: int) -> NDArray[np.uint8]:
        """Switches one console on anew. Returns its picture."""
        emulator = self._at(index)
        emulator.reset()
        self._stale[int(index)] = True
        return self._draw(int(index), emulator)

    def step(self, actions: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
        """Runs a step of all consoles.

        Args:
            actions: the buttons of each, uint8[num_envs].

        Raises:
            ConfigError: another shape or type, or the consoles are closed.
        """
        self._step(actions)
        return self.screens

    def step_timed(self, actions: NDArray[np.uint8]) -> VectorStepTiming:
        """Runs a step of all consoles, and draws nothing. Returns how long it took."""
        begun = time.perf_counter()
        array = np.asarray(actions)
        taken = time.perf_counter()
        self._step(array)
        ended = time.perf_counter()
        return VectorStepTiming(0.0, taken - begun, ended - taken, 0.0)

    def step_one(self, index: int, action: int) -> NDArray[np.uint8]:
        """Runs a step of one console. Returns its picture."""
        emulator = self._at(index)
        emulator.step(checked_action(action, 256))
        self._stale[int(index)] = True
        return self._draw(int(index), emulator)

    def observation(
        self, mode: str = OBSERVATION_MODE_RGB_ARRAY, output: NDArray[np.uint8] | None = None
    ) -> Any:
        """Returns the pictures.

        Args:
            mode: "rgb_array": `screens`; "rgb_array_contiguous": a copy of them, uint8[num_envs,
                240, 256, 3]; "grayscale": how bright they are, uint8[num_envs, 240, 256].
            output: an array to write the copy to.

        Raises:
            ConfigError: another mode, an output that does not fit, or the consoles are closed.
        """
        if mode == OBSERVATION_MODE_RGB_ARRAY:
            return self.screens
        self._require_open()
        if mode == OBSERVATION_MODE_RGB_ARRAY_CONTIGUOUS:
            out = checked_output(output, (self.num_envs, *SCREEN_SHAPE_24_BIT), np.uint8)
            for emulator, picture in zip(self._emulators, out, strict=True):
                emulator.rgb(picture)
        elif mode == OBSERVATION_MODE_GRAYSCALE:
            out = checked_output(output, (self.num_envs, *SCREEN_SHAPE_GRAYSCALE), np.uint8)
            for emulator, picture in zip(self._emulators, out, strict=True):
                emulator.greys(picture)
        else:
            raise unknown_mode(mode)
        return out

    def observation_one(
        self,
        index: int,
        mode: str = OBSERVATION_MODE_RGB_ARRAY,
        output: NDArray[np.uint8] | None = None,
    ) -> NDArray[np.uint8]:
        """Returns the picture of one console, see `observation`."""
        if mode == OBSERVATION_MODE_RGB_ARRAY:
            self._check_index(index)
            return self._draw(int(index), self._emulators[int(index)])
        emulator = self._at(index)
        if mode == OBSERVATION_MODE_RGB_ARRAY_CONTIGUOUS:
            return emulator.rgb(checked_output(output, SCREEN_SHAPE_24_BIT, np.uint8))
        if mode == OBSERVATION_MODE_GRAYSCALE:
            return emulator.greys(checked_output(output, SCREEN_SHAPE_GRAYSCALE, np.uint8))
        raise unknown_mode(mode)

    def ram_values(
        self, specs: Iterable[Spec], output: NDArray[np.uint32] | None = None
    ) -> NDArray[np.uint32]:
        """Returns numbers in RAM, see `normalize_ram_read_specs`: uint32[num_envs, number of
        specs].

        Raises:
            ConfigError: wrong specs, an output that does not fit, or the consoles are closed.
        """
        self._require_open()
        return read_values(np.stack(self.rams), specs, output)

    def dump_state(self, index: int) -> bytes:
        """Returns a snapshot of one console for `load_state`."""
        return self._at(index).save()

    def load_state(self, index: int, snapshot: bytes) -> None:
        """Takes one console back to a snapshot, of itself or of another one.

        Raises:
            EngineError: not a snapshot, or one of another cartridge.
        """
        self._at(index).load(snapshot)
        self._stale[int(index)] = True

    def _step(self, actions: Any) -> None:
        self._require_open()
        array = np.asarray(actions)
        if array.shape != (self.num_envs,):
            raise ConfigError(f"actions shape must be ({self.num_envs},), got {array.shape}")
        if array.dtype != np.uint8:
            raise ConfigError(f"actions dtype must be uint8, got {array.dtype}")
        for index, (emulator, action) in enumerate(
            zip(self._emulators, array.tolist(), strict=True)
        ):
            emulator.step(action)
            self._stale[index] = True

    def _draw(self, index: int, emulator: Emulator) -> NDArray[np.uint8]:
        picture: NDArray[np.uint8] = self._screens[index]
        if self._stale[index]:
            emulator.rgb(picture)
            self._stale[index] = False
        return picture

    def _at(self, index: int) -> Emulator:
        self._require_open()
        self._check_index(index)
        return self._emulators[int(index)]

    def _check_index(self, index: int) -> None:
        if not 0 <= whole_number(index, "env index") < self.num_envs:
            raise IndexError(f"env index {index} is out of range: there are {self.num_envs}")

    def _require_open(self) -> None:
        if not self._open:
            raise ConfigError("vector emulator has already been closed.")


__all__ = ["VectorNESEmulator", "VectorStepTiming"]
