"""A stage drawn anew for each episode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from warpzone.compat.gym_super_mario_bros.smb_env import SuperMarioBrosEnv
from warpzone.errors import ConfigError
from warpzone.smb.levels import LEVELS


class SuperMarioBrosRandomStagesEnv(gymnasium.Env[NDArray[np.uint8], int]):
    """Plays stages of Super Mario Bros., each episode one that is drawn.

    With a seed the draws are those of gym-super-mario-bros with that seed.

    Args:
        rom_mode: see `SuperMarioBrosEnv`.
        stages: names, "1-1" to "8-4", of those to draw from; None: all.

    Attributes:
        env: the environment of the present stage.

    Raises:
        ConfigError: no such mode.
        RomError: the cartridge is neither here nor can it be fetched.
    """

    metadata: ClassVar[dict[str, Any]] = SuperMarioBrosEnv.metadata  # type: ignore[misc]  # as in NESEnv
    reward_range: ClassVar[tuple[float, float]] = SuperMarioBrosEnv.reward_range
    observation_space: Any = SuperMarioBrosEnv.observation_space
    action_space: Any = SuperMarioBrosEnv.action_space

    def __init__(self, rom_mode: str = "vanilla", stages: Sequence[str] | None = None) -> None:
        self.draws = np.random.RandomState()
        self.rom_mode = rom_mode
        self.stages = stages
        self._made: dict[str, SuperMarioBrosEnv] = {}
        self.env: SuperMarioBrosEnv | None = self._stage(LEVELS[0])

    def _stage(self, name: str) -> SuperMarioBrosEnv:
        if name not in LEVELS:
            raise ConfigError(f"there is no stage {name!r}: stages are 1-1 to 8-4")
        if name not in self._made:
            world, stage = map(int, name.split("-"))
            self._made[name] = SuperMarioBrosEnv(self.rom_mode, target=(world, stage))
        return self._made[name]

    @property
    def present(self) -> SuperMarioBrosEnv:
        """The environment of the present stage.

        Raises:
            ConfigError: this one is closed.
        """
        if self.env is None:
            raise ConfigError("env has already been closed.")
        return self.env

    @property
    def screen(self) -> NDArray[np.uint8]:
        return self.present.screen

    def seed(self, seed: int | None = None) -> list[int]:
        """Seeds the draws. Returns the seeds that are used."""
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
        """Draws a stage and begins it; `options["stages"]` to draw from are for this time.

        Raises:
            ConfigError: there is no such stage, or the environment is closed.
        """
        _ = self.present
        self.seed(seed)
        stages = (options or {}).get("stages", self.stages)
        if stages is not None and len(stages) > 0:
            name = str(self.draws.choice(stages))
        else:
            world, stage = self.draws.randint(1, 9), self.draws.randint(1, 5)
            name = f"{world}-{stage}"
        self.env = self._stage(name)
        return self.env.reset(seed=seed, options=options)

    def step(  # type: ignore[override]  # the API of before Gymnasium
        self, action: int
    ) -> tuple[NDArray[np.uint8], float, bool, dict[str, Any]]:
        """See `NESEnv.step`."""
        return self.present.step(action)

    def render(self, mode: str = "human") -> NDArray[np.uint8] | None:
        """See `NESEnv.render`."""
        return self.present.render(mode)

    def close(self) -> None:
        """Ends all games.

        Raises:
            ConfigError: they are ended already.
        """
        _ = self.present
        for env in self._made.values():
            env.close()
        self.env = None

    def get_keys_to_action(self) -> dict[tuple[int, ...], int]:
        """See `NESEnv.get_keys_to_action`."""
        return self.present.get_keys_to_action()

    def get_action_meanings(self) -> list[str]:
        """See `NESEnv.get_action_meanings`."""
        return self.present.get_action_meanings()
