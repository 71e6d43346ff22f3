"""One game as a Gymnasium environment: what does not depend on the game."""

from __future__ import annotations

import copy
from typing import Any, Self

import gymnasium
import numpy as np
from numpy.typing import NDArray

from warpzone.errors import ConfigError
from warpzone.nes.action_masks import ACTION_MASK
from warpzone.nes.arrays import rows_of
from warpzone.nes.buttons import keys_to_action
from warpzone.nes.checks import checked_seed
from warpzone.nes.vector_games import VectorGames
from warpzone.nes.vector_options import options_of


class OneGame(gymnasium.Env[Any, np.int64]):
    """One game: a `VectorGames` of one that does not reset itself."""

    # Gymnasium asks the class which render modes there are.
    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 15}  # noqa: RUF012
    _games: VectorGames

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Holds an action for `frame_skip` frames.

        Returns:
            The observation, the reward, whether the episode has terminated, whether it was
            truncated (a limit), and the info.

        Raises:
            ConfigError: no such action; the game has not moved then.
            EngineError: the episode is over, the game cannot go on, another thread is using it, or
                the environment is closed.
        """
        observations, rewards, terminated, truncated, infos = self._games.step(np.array([action]))
        self._show()
        return (
            rows_of(observations, 0),
            float(rewards[0]),
            bool(terminated[0]),
            bool(truncated[0]),
            _info(infos),
        )

    def render(self) -> NDArray[np.uint8] | None:
        """Returns the last frame, uint8[240, 256, 3], with render_mode "rgb_array"."""
        return self._games.picture(0) if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Ends the game. `reset` and `step` are refused from then on."""
        self._games.close()

    def get_action_meanings(self) -> list[str]:
        """Returns what each action does, as in Atari environments: "right + A", "nothing"."""
        return list(self.action_meanings)

    def get_keys_to_action(self) -> dict[tuple[int, ...], int]:
        """Returns which keys are which action, for `gymnasium.utils.play`: W A S D for the
        directions, O for A, P for B, Enter for Start, space for Select."""
        return keys_to_action(self._games.buttons)

    def save_state(self) -> bytes:
        """Returns everything that decides what comes next: the game, the random streams, the
        observation. A vector environment with these settings takes it for one of its games.

        Raises:
            EngineError: the environment is closed.
        """
        return self._games.save_state()

    def load_state(self, state: bytes) -> None:
        """Goes on from `save_state`.

        Raises:
            EngineError: the bytes are not from such an environment, or damaged. Nothing is changed.
        """
        self._games.load_state(state)

    def console_state(self) -> bytes:
        """Returns a snapshot of the console: for `Console.load`, `options["state"]` of `reset` and
        the setting `start_states`.

        Raises:
            EngineError: the environment is closed.
        """
        return self._games.console_state(0)

    def clone(self) -> Self:
        """Returns another environment that goes on as this one does, as `copy.deepcopy` makes it.
        To try several actions out, `load_state` in one environment takes less time.

        Raises:
            EngineError: the environment is closed.
        """
        return copy.deepcopy(self)

    @property
    def keeps_frames(self) -> bool:
        """Whether `frames` has all frames of the last step."""
        return self._games.keeps_frames

    def frames(self) -> NDArray[np.uint8]:
        """With `keep_frames`: all frames of the last step or reset as colours of `PALETTE`:
        uint8[k, 240, 256]."""
        return self._games.frames()

    def ram(self) -> NDArray[np.uint8]:
        """Returns the work RAM, uint8[2048]: a view, writing to it changes the game. Its bytes
        overflow in arithmetic: make numbers of them first."""
        return self._games.ram(0)

    # --- for those that know the game -----------------------------------------------------------

    def _take(self, games: VectorGames, render_mode: str | None) -> None:
        """Takes the game, as the only one of a vector environment."""
        self._games = games
        self.render_mode = render_mode
        self.config, self.rom = games.config, games.rom
        self.metadata = {**type(self).metadata, "render_fps": games.metadata["render_fps"]}
        self.observation_space = games.single_observation_space
        self.action_space = games.single_action_space
        self.action_meanings = games.action_meanings

    def _reset(self, seed: int | None, options: dict[str, Any] | None) -> tuple[Any, Any]:
        if "reset_mask" in options_of(options):
            raise ConfigError("options['reset_mask'] is for many games: this is one")
        if seed is not None:
            seed = checked_seed(seed)
        observations, infos = self._games.reset(seed=seed, options=options)
        super().reset(seed=seed)
        self._show()
        return rows_of(observations, 0), _info(infos)

    def _show(self) -> None:
        """Called after every step and reset."""


def refuse_autoreset(settings: dict[str, Any]) -> None:
    """Raises `ConfigError` where settings say when a game resets itself."""
    if "autoreset" in settings or "autoreset_mode" in settings:
        raise ConfigError("autoreset is for make_vec: a single environment does not reset itself")


def _info(infos: dict[str, Any]) -> dict[str, Any]:
    return {
        name: array[0].copy() if name == ACTION_MASK else array[0].item()
        for name, array in infos.items()
        if not name.startswith("_")
    }
