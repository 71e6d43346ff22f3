"""One game of Super Mario Bros. as a Gymnasium environment."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from warpzone.errors import ConfigError
from warpzone.nes.action_masks import ActionMasks
from warpzone.nes.cartridge import RomSource
from warpzone.nes.one_game import OneGame, refuse_autoreset
from warpzone.smb.config import EnvConfig, EnvSettings
from warpzone.smb.human import HumanWindow
from warpzone.smb.levels import LevelSpec
from warpzone.smb.reward import RewardFunction
from warpzone.smb.transition import InputLog
from warpzone.smb.vector_env import MarioVectorEnv

RENDER_MODES = ["human", "rgb_array"]


class MarioEnv(OneGame):
    """One game.

    Observations are uint8 arrays, for tiles a dict of uint8 and float32 arrays
    (`warpzone.smb.spaces`); `info` holds the signals (`warpzone.smb.signals.SIGNALS`) as numbers.
    Can be copied (`copy.deepcopy`) and pickled: a copy goes on as the original does.

    Args:
        level: a level, several, or levels with weights: each episode draws one. Not given: 1-1.
        levels: another name for `level`.
        config: all settings at once, instead of `level`, a reward's name and `settings`. Its
            `autoreset` is not looked at: a single environment does not reset itself.
        reward: a name (see `EnvConfig`), a `RewardFunction`, or `module:function` of one, which is
            imported. One that `config` names has to be given here too.
        rom: a file, a `Rom`, or None to look for one.
        engine: "auto", "interpreter" or "compiled", see `warpzone.set_engine`; None: as chosen
            there.
        render_mode: None; "rgb_array": `render` returns the last frame; "human": a window shows
            every emulated frame as fast as the console does.
        keep_frames: keep every emulated frame of the last step, for `frames`.
        action_masks: a function, or `module:function`, that says which actions may be chosen:
            `info["action_mask"]`, int8[actions], is for `action_space.sample`. Others are carried
            out all the same. None: all, and there is no mask.
        settings: fields of `EnvConfig`.

    Raises:
        ConfigError: a setting with an unknown name, an impossible value, or without any effect
            beside the others.
        LevelError: an unknown level.
        RomError: no usable ROM, or another game.
        EngineError: engine "compiled", and the program cannot run as native code.
        DisplayError: render_mode "human" on a machine without a screen.
    """

    metadata: dict[str, Any] = {"render_modes": RENDER_MODES, "render_fps": 15}  # noqa: RUF012
    config: EnvConfig
    _games: MarioVectorEnv

    def __init__(
        self,
        level: LevelSpec | None = None,
        *,
        levels: LevelSpec | None = None,
        config: EnvConfig | None = None,
        reward: str | RewardFunction | None = None,
        rom: RomSource = None,
        engine: str | None = None,
        render_mode: str | None = None,
        keep_frames: bool = False,
        action_masks: str | ActionMasks | None = None,
        **settings: Unpack[EnvSettings],
    ) -> None:
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise ConfigError(f"render_mode {render_mode!r}: there is None, 'rgb_array' or 'human'")
        refuse_autoreset({**settings})
        alone: dict[str, Any] = {} if config is not None else {"autoreset": "disabled"}
        if isinstance(config, EnvConfig):
            config = config.model_copy(update={"autoreset": "disabled"})
        games = MarioVectorEnv(
            level,
            1,
            level=levels,
            config=config,
            threads=1,
            reward=reward,
            rom=rom,
            engine=engine,
            keep_frames=keep_frames or render_mode == "human",
            action_masks=action_masks,
            **settings,
            **alone,
        )
        self._take(games, render_mode)
        self._window = HumanWindow() if render_mode == "human" else None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts an episode.

        Args:
            seed: new random draws, from 0 to below 2**64: this episode and those after it are as
                they were with that seed before, whatever was played in them.
            options: `level`: a name, instead of drawing one. `state`: bytes of `Console.save`, the
                moment at which the episode begins instead.

        Returns:
            The observation and the info.

        Raises:
            ConfigError: an impossible seed or an unknown option.
            LevelError: an unknown level.
            EngineError: a state that is not one of this cartridge, or in which no level is played;
                or the environment is closed.
        """
        return self._reset(seed, options)

    def close(self) -> None:
        """Ends the game and closes its window. `reset` and `step` are refused from then on."""
        if self._window is not None:
            self._window.close()
        super().close()

    def run_on(self, frames: int, buttons: int = 0) -> NDArray[np.uint8]:
        """Lets the game run on without rules, e.g. to see what follows the flag; needs
        `keep_frames`. Returns the frames, uint8[frames, 240, 256]."""
        shown = self._games.run_on(frames, buttons)
        self._show()
        return shown

    def keep_inputs(self) -> None:
        """From the next episode on, keeps the buttons of every emulated frame, for `inputs`. What
        is played does not change by it."""
        self._games.watch_games([0])

    def inputs(self) -> InputLog | None:
        """The buttons of each emulated frame since the level of the running or ended episode began;
        None before the first episode after `keep_inputs`."""
        running = self._games.input_log(0)
        if running is not None:
            return running
        ended = self._games.ended_input_logs(0)
        return ended[-1][0] if ended and ended[-1] is not None else None

    def _show(self) -> None:
        if self._window is not None:
            self._window.show(self._games.frames())
