"""One game of a description as a Gymnasium environment."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpzone.nes.action_masks import ActionMasks
from warpzone.nes.cartridge import RomSource
from warpzone.nes.game import Game
from warpzone.nes.game_config import GameConfig
from warpzone.nes.game_vector_env import GameVectorEnv
from warpzone.nes.one_game import OneGame, refuse_autoreset


class GameEnv(OneGame):
    """One game: a `GameVectorEnv` of one that does not reset itself.

    Args:
        rom: a file, a `Rom`, a name that `warpzone rom --list` shows, or None: the game's own.
        game: the description, or the name of one that comes along.
        config: all settings at once, instead of `settings`. Its `autoreset` is not looked at.
        engine: "auto", "interpreter" or "compiled", see `warpzone.set_engine`; None: as chosen
            there.
        keep_frames: keep every emulated frame of the last step, for `frames`.
        render_mode: None, or "rgb_array": `render` returns the last frame.
        action_masks: a function, or `module:function`, that says which actions may be chosen, for
            `info["action_mask"]`; None: all, and there is no mask.
        settings: fields of `GameConfig`.

    Raises:
        ConfigError: a setting with an unknown name or an impossible value, a start that the game
            does not have, or a function of the game that does not return what it is to.
        RomError: no usable ROM, or another game.
        EngineError: the game does not get to a start, or (engine "compiled") cannot run as native
            code.
    """

    config: GameConfig
    _games: GameVectorEnv

    def __init__(
        self,
        rom: RomSource = None,
        game: Game | str | None = None,
        *,
        config: GameConfig | None = None,
        engine: str | None = None,
        keep_frames: bool = False,
        render_mode: str | None = None,
        action_masks: str | ActionMasks | None = None,
        **settings: Any,
    ) -> None:
        refuse_autoreset(settings)
        if isinstance(config, GameConfig):
            config = config.model_copy(update={"autoreset": "disabled"})
        elif config is None:
            settings["autoreset"] = "disabled"
        games = GameVectorEnv(
            rom,
            game,  # type: ignore[arg-type]  # None is refused there
            1,
            config=config,
            threads=1,
            engine=engine,
            keep_frames=keep_frames,
            render_mode=render_mode,
            action_masks=action_masks,
            **settings,
        )
        self._take(games, render_mode)

    @property
    def game(self) -> Game:
        """The description."""
        return self._games.game

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
        return self._reset(seed, options)

    def prg_ram(self) -> NDArray[np.uint8]:
        """Returns the cartridge's RAM, uint8[n]: a view, as of `ram`."""
        return self._games.prg_ram(0)
