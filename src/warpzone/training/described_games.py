"""Described games (`warpzone.nes.game`) for our trainer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from warpzone.errors import ConfigError
from warpzone.nes.cartridge import RomSource
from warpzone.nes.game import Game, game_named
from warpzone.nes.game_transition import GameTransition
from warpzone.nes.game_vector_env import GameVectorEnv
from warpzone.ppo.policy import SCALARS
from warpzone.ppo.rollout import VectorEnv
from warpzone.smb.config import EnvConfig
from warpzone.training.config import GameTraining


class DescribedEnv:
    """A `GameVectorEnv` whose observations have names that networks know: floats are scalars."""

    def __init__(self, games: GameVectorEnv) -> None:
        self.games = games
        self.rom = games.rom
        self.num_envs, self.groups = games.num_envs, games.groups
        self.single_observation_space: gymnasium.Space[Any] = games.single_observation_space
        self.floats = games.config.observation == "variables"
        if self.floats:
            self.single_observation_space = gymnasium.spaces.Dict(
                {SCALARS: games.single_observation_space}
            )
        self.single_action_space = games.single_action_space

    def tasks(self) -> Sequence[str]:
        """Returns the start that is played, as the only task."""
        return self.games.tasks()

    def reset(self, *, seed: int | None = None) -> None:
        """Begins all episodes anew."""
        self.games.reset(seed=seed)

    def observations(self) -> Any:
        """Returns what is acted on next, [N, ...]."""
        return self._named(self.games.observations())

    def send(self, group: int, actions: NDArray[np.int64], out: Any = None) -> None:
        """Begins to step a group."""
        self.games.send(group, actions)

    def recv(self, group: int) -> GameTransition:
        """Waits for a group."""
        step = self.games.recv(group)
        step.obs, step.final_obs = self._named(step.obs), self._named(step.final_obs)
        return step

    def save_state(self) -> bytes:
        """Returns everything that decides what comes next."""
        return self.games.save_state()

    def load_state(self, state: bytes) -> None:
        """Goes on from `save_state`."""
        self.games.load_state(state)

    def close(self) -> None:
        """Ends the threads."""
        self.games.close()

    def _named(self, observations: NDArray[Any]) -> Any:
        return {SCALARS: observations} if self.floats else observations


class DescribedGames:
    """Makes the games of a training, and those of its measurements.

    Args:
        config: the game's name and settings.
        rom: a file, a `Rom`, a name, or None: the game's own.
        threads: that step them.

    Raises:
        ConfigError: there is no game of that name.
    """

    def __init__(self, config: GameTraining, rom: RomSource, threads: int) -> None:
        if config.name is None:
            raise ConfigError("game.name is not set: this is no training of a described game")
        self.game: Game = game_named(config.name)
        self.config, self.rom, self.threads = config.without_name(), rom, threads

    def trained(self, games: int, groups: int, seed: int) -> VectorEnv:
        """Returns the games that are trained on."""
        return self._made(games, groups, seed)

    def measured(self, config: EnvConfig, games: int, groups: int, seed: int) -> VectorEnv:
        """Returns games to measure an agent in; of `config` only idle frames and sticky buttons
        count."""
        return self._made(
            games,
            groups,
            seed,
            noop_max=config.noop_max,
            repeat_action_probability=config.repeat_action_probability,
        )

    def _made(self, games: int, groups: int, seed: int, **changes: Any) -> VectorEnv:
        return DescribedEnv(
            GameVectorEnv(
                self.rom,
                self.game,
                games,
                config=self.config.model_copy(update=changes),
                threads=self.threads,
                seed=seed,
                num_groups=groups,
            )
        )
