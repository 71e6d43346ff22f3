"""One game of Super Mario Bros. as a Gymnasium environment."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from warpzone.errors import ConfigError
from warpzone.nes.cartridge import RomSource
from warpzone.nes.console import FRAMES_PER_SECOND
from warpzone.smb.levels import LevelSpec
from warpzone.smb.signals import RewardFunction
from warpzone.smb.vector_env import Arrays, Journal, MarioVectorEnv


class MarioEnv(gymnasium.Env[Any, np.int64]):
    """One game. Arguments as for `MarioVectorEnv`, of which this is a batch of one.

    Observations are uint8 arrays, for tiles a dict of uint8 and float32 arrays; `info` holds the
    signals (see `warpzone.smb.signals.SIGNALS`) as numbers.

    Args:
        level: a level, several, or levels with weights: each episode draws one.
        engine: see `warpzone.set_engine`.
        render_mode: None or "rgb_array".
        keep_frames: keep every emulated frame of the last step, for `frames`.
    """

    # Gymnasium asks the class which render modes there are.
    metadata: dict[str, Any] = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(
        self,
        level: LevelSpec = "1-1",
        *,
        reward: str | RewardFunction = "progress",
        rom: RomSource = None,
        engine: str | None = None,
        render_mode: str | None = None,
        keep_frames: bool = False,
        **settings: Any,
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ConfigError(f"render_mode {render_mode!r}: there is only 'rgb_array'")
        if "autoreset" in settings:
            raise ConfigError(
                "autoreset is for make_vec: a single environment does not reset itself"
            )
        self.render_mode = render_mode
        self._games = MarioVectorEnv(
            level,
            num_envs=1,
            threads=1,
            reward=reward,
            rom=rom,
            engine=engine,
            keep_frames=keep_frames,
            autoreset="disabled",
            **settings,
        )
        self.config = self._games.config
        self.rom = self._games.rom
        self.metadata = {
            "render_modes": ["rgb_array"],
            "render_fps": FRAMES_PER_SECOND / self.config.frame_skip,
        }
        self.observation_space = self._games.single_observation_space
        self.action_space = self._games.single_action_space
        self.action_meanings = self._games.action_meanings

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts an episode."""
        super().reset(seed=seed)
        obs, infos = self._games.reset(seed=seed)
        return self._first(obs), self._info(infos)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Holds an action for `frame_skip` frames.

        Raises:
            ValueError: no such action.
            EngineError: the episode is over, or the game cannot go on.
        """
        obs, rewards, terminated, truncated, infos = self._games.step(np.array([action]))
        return (
            self._first(obs),
            float(rewards[0]),
            bool(terminated[0]),
            bool(truncated[0]),
            self._info(infos),
        )

    def render(self) -> NDArray[np.uint8] | None:
        """The last frame, uint8[240, 256, 3], with render_mode "rgb_array"."""
        return None if self.render_mode is None else self._games.picture(0)

    def frames(self) -> NDArray[np.uint8]:
        """With `keep_frames`: all frames of the last step or reset as colours of `PALETTE`:
        uint8[k, 240, 256]."""
        return self._games.frames()

    def run_on(self, frames: int, buttons: int = 0) -> NDArray[np.uint8]:
        """Lets the game run on without rules, e.g. to see what follows the flag; needs
        `keep_frames`. Returns the frames, uint8[frames, 240, 256]."""
        return self._games.run_on(frames, buttons)

    def keep_inputs(self) -> None:
        """From the next episode on, keeps the buttons of every emulated frame, for `inputs`. What
        is played does not change by it."""
        self._games.watch_games([0])

    def inputs(self) -> Journal | None:
        """The buttons of each emulated frame since the level of the running or ended episode began;
        None before the first episode after `keep_inputs`."""
        running = self._games.journal(0)
        if running is not None:
            return running
        ended = self._games.ended_journal(0)
        return None if ended is None else ended[0]

    def ram(self) -> NDArray[np.uint8]:
        """Work RAM, uint8[2048]: a view, writing to it changes the game."""
        return self._games.ram(0)

    @staticmethod
    def _first(obs: Arrays) -> Any:
        return {k: v[0] for k, v in obs.items()} if isinstance(obs, dict) else obs[0]

    @staticmethod
    def _info(infos: dict[str, Any]) -> dict[str, Any]:
        return {name: array[0].item() for name, array in infos.items() if not name.startswith("_")}
