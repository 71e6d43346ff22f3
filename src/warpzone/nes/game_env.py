"""One game of a description as a Gymnasium environment."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from warpzone.errors import ConfigError
from warpzone.nes.buttons import keys_to_action
from warpzone.nes.cartridge import RomSource
from warpzone.nes.game import Game
from warpzone.nes.game_config import GameConfig
from warpzone.nes.game_vector_env import GameVectorEnv


class GameEnv(gymnasium.Env[NDArray[Any], np.int64]):
    """One game: a `GameVectorEnv` of one that does not reset itself.

    Args:
        rom: a file, a `Rom`, a name that `warpzone rom --list` shows, or None: the game's own.
        game: the description, or the name of one that comes along.
        config: all settings at once, instead of `settings`. Its `autoreset` is not looked at.
        engine: "auto", "interpreter" or "compiled", see `warpzone.set_engine`; None: as chosen
            there.
        keep_frames: keep every emulated frame of the last step, for `frames`.
        render_mode: None, or "rgb_array": `render` returns the last frame.
        settings: fields of `GameConfig`.

    Raises:
        ConfigError: a setting with an unknown name or an impossible value, a start that the game
            does not have, or a function of the game that does not return what it is to.
        RomError: no usable ROM, or another game.
        EngineError: the game does not get to a start, or (engine "compiled") cannot run as native
            code.
    """

    # Gymnasium asks the class which render modes there are.
    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 15}  # noqa: RUF012

    def __init__(
        self,
        rom: RomSource = None,
        game: Game | str | None = None,
        *,
        config: GameConfig | None = None,
        engine: str | None = None,
        keep_frames: bool = False,
        render_mode: str | None = None,
        **settings: Any,
    ) -> None:
        if game is None:
            raise ConfigError("name a game, or give a description of one")
        if "autoreset" in settings or "autoreset_mode" in settings:
            raise ConfigError(
                "autoreset is for make_vec: a single environment does not reset itself"
            )
        if config is not None:
            config = config.model_copy(update={"autoreset": "disabled"})
        else:
            settings["autoreset"] = "disabled"
        self._games = GameVectorEnv(
            rom,
            game,
            1,
            config=config,
            threads=1,
            engine=engine,
            keep_frames=keep_frames,
            render_mode=render_mode,
            **settings,
        )
        self.render_mode = render_mode
        self.game = self._games.game
        self.config = self._games.config
        self.rom = self._games.rom
        self.metadata = {
            "render_modes": ["rgb_array"],
            "render_fps": self._games.metadata["render_fps"],
        }
        self.observation_space = self._games.single_observation_space
        self.action_space = self._games.single_action_space
        self.action_meanings = self._games.action_meanings

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Starts an episode.

        Args:
            seed: new random draws: this episode and those after it are as they were with that seed
                before, whatever was played in them.
            options: `start`: one of the starts that are played, instead of drawing it. `state`:
                bytes of `Console.save`, the moment at which the episode begins.

        Raises:
            ConfigError: an impossible seed, an unknown option or start.
            EngineError: a state that is not one of this cartridge, or the environment is closed.
        """
        if options is not None and "reset_mask" in options:
            raise ConfigError("options['reset_mask'] is for many games: this is one")
        observations, infos = self._games.reset(seed=seed, options=options)
        super().reset(seed=seed)
        return observations[0], self._info(infos)

    def step(self, action: Any) -> tuple[NDArray[Any], float, bool, bool, dict[str, Any]]:
        """Holds an action for `frame_skip` frames.

        Returns:
            The observation, the reward, whether the episode has terminated (`done` or `success`),
            whether it was truncated (a limit), and the info.

        Raises:
            ConfigError: no such action; the game has not moved then.
            EngineError: the episode is over, the game cannot go on, another thread is using it, or
                the environment is closed.
        """
        observations, rewards, terminated, truncated, infos = self._games.step(np.array([action]))
        return (
            observations[0],
            float(rewards[0]),
            bool(terminated[0]),
            bool(truncated[0]),
            self._info(infos),
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
        """Returns which keys are which action, for `gymnasium.utils.play`."""
        return keys_to_action(self.game.actions)

    def save_state(self) -> bytes:
        """Returns everything that decides what comes next. A `GameVectorEnv` with these settings
        takes it for one of its games.

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

    def frames(self) -> NDArray[np.uint8]:
        """With `keep_frames`: all frames of the last step, after a reset the one that is shown, as
        colours of `PALETTE`: uint8[k, 240, 256]."""
        return self._games.frames()

    def ram(self) -> NDArray[np.uint8]:
        """Returns the work RAM, uint8[2048]: a view, writing to it changes the game."""
        return self._games.ram(0)

    def console_state(self) -> bytes:
        """Returns a snapshot of the console, for `Console.load` or `options["state"]`."""
        return self._games.console_state(0)

    @staticmethod
    def _info(infos: dict[str, Any]) -> dict[str, Any]:
        return {name: array[0].item() for name, array in infos.items() if not name.startswith("_")}
