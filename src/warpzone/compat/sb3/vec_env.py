"""Many native games as a `VecEnv` of Stable-Baselines3."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, Unpack

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.monitor import Monitor, ResultsWriter
from stable_baselines3.common.vec_env import VecEnv

from warpzone.console_text import shown
from warpzone.errors import ConfigError, FileError, MissingPackageError
from warpzone.nes.action_masks import ACTION_MASK, ActionMasks, action_masks_of
from warpzone.nes.arrays import Arrays
from warpzone.nes.cartridge import RomSource
from warpzone.nes.game_view import GameView, attribute, set_attribute
from warpzone.nes.vector_games import VectorGames
from warpzone.smb.config import EnvConfig, EnvSettings
from warpzone.smb.levels import LevelSpec
from warpzone.smb.reward import RewardFunction
from warpzone.smb.vector_env import MarioVectorEnv

Indices: TypeAlias = int | np.integer[Any] | Iterable[int] | None
"""Some of the games; None: all."""


class NoAttributeError(ConfigError, AttributeError):
    """A game has no such attribute. Stable-Baselines3 asks for attributes by trying."""


# What Stable-Baselines3 has is not looked at by mypy, because it is not installed everywhere.
class GamesVecEnv(VecEnv):  # type: ignore[misc]
    """Games that are stepped natively, with Stable-Baselines3's face.

    Steps, rewards, ends and infos are those of `DummyVecEnv` over as many single environments, each
    in a `Monitor`: where an episode ends, `infos[i]` holds the signals of its last step,
    `terminal_observation`, `TimeLimit.truncated` and `episode` (`r`, the sum of its rewards, `l`,
    its steps, and `t`, seconds since this was made), and `reset_infos[i]` those of the next one.

    Args:
        envs: a `MarioVectorEnv` or a `GameVectorEnv` with same-step autoreset. It is used by this
            from now on, and closed with it.
        action_masks: which actions may be chosen, for MaskablePPO: a function, or
            `module:function`; None: what `envs` were made with, or all, always, as on a controller.
        monitor_dir: a folder for `monitor.csv`, with a line for each episode.
        info_keywords: what of the signals is put into `episode` and into that file too.

    Raises:
        ConfigError: another autoreset.
        FileError: `monitor_dir` cannot be written to.
    """

    metadata: dict[str, Any]

    def __init__(
        self,
        envs: VectorGames,
        *,
        action_masks: str | ActionMasks | None = None,
        monitor_dir: str | os.PathLike[str] | None = None,
        info_keywords: Sequence[str] = (),
    ) -> None:
        if envs.config.autoreset != "same_step":
            raise ConfigError(
                f"autoreset is {envs.config.autoreset!r}: games of Stable-Baselines3 begin anew in "
                "the step that ended their episode, 'same_step'"
            )
        self.envs = envs
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)
        self.metadata = {**self.metadata, "render_fps": envs.metadata["render_fps"]}
        self.info_keywords = tuple(info_keywords)
        self._signals: list[str] = []
        """Names of what is told of the games as they stand; known since the first reset."""
        if action_masks is not None:
            envs.action_masks = action_masks_of(action_masks)
        self._masks = np.ones((self.num_envs, int(envs.single_action_space.n)), np.bool_)
        for game, mask in enumerate(self._masks):
            set_attribute(envs.game_view(game), "action_masks", partial(np.copy, mask))
        self._actions: NDArray[np.int64] = np.zeros(self.num_envs, np.int64)
        self._returns = np.zeros(self.num_envs, np.float64)
        self._lengths = np.zeros(self.num_envs, np.int64)
        self._began = time.time()
        self._writer = None if monitor_dir is None else self._open_monitor(Path(monitor_dir))

    def reset(self) -> Arrays:
        """Starts new episodes in all games, with what `seed` and `set_options` said, which is used
        once. Returns observations [N, ...].

        Raises:
            ConfigError: an impossible seed or option, or `info_keywords` that `info` does not have.
            LevelError: an unknown level.
        """
        seeded = any(seed is not None for seed in self._seeds)
        obs: Arrays
        obs, infos = self.envs.reset(
            seed=self._seeds if seeded else None, options=_together(self._options)
        )
        self._reset_seeds()
        self._reset_options()
        self.reset_infos = _rows(infos)
        self._signals = list(self.reset_infos[0])
        if unknown := set(self.info_keywords) - set(self._signals):
            raise ConfigError(
                f"info_keywords {sorted(unknown)}: there are {', '.join(self._signals)}"
            )
        self._returns[:] = 0.0
        self._lengths[:] = 0
        self._mask(infos)
        return obs

    def step_async(self, actions: NDArray[np.int64]) -> None:
        """Takes int64[N]; `step_wait` steps the games."""
        self._actions = actions

    def step_wait(
        self,
    ) -> tuple[Arrays, NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Steps all games.

        Returns:
            Observations [N, ...], of the next episode where one has ended, rewards float32[N], ends
            bool[N], and infos.

        Raises:
            ConfigError: not one action for each game, or one that does not exist: no game has
                moved then.
            EngineError: a game cannot go on, another thread is using the games, or they are closed.
        """
        obs, rewards, terminated, truncated, infos = self.envs.step(self._actions)
        ended = terminated | truncated
        self._returns += rewards
        self._lengths += 1
        reached = infos.get("final_info", infos)
        told = _rows(reached, {"TimeLimit.truncated": truncated & ~terminated})
        for game in np.flatnonzero(ended).tolist():
            told[game]["terminal_observation"] = infos["final_obs"][game]
            told[game]["episode"] = self._end(game, told[game])
            self.reset_infos[game] = {name: infos[name][game].item() for name in self._signals}
        self._mask(infos)
        return obs, rewards, ended, told

    def close(self) -> None:
        """Ends the games, and closes `monitor.csv`."""
        self.envs.close()
        if self._writer is not None:
            self._writer.close()

    def get_images(self) -> list[NDArray[np.uint8] | None]:
        """Returns the picture of each game, uint8[240, 256, 3]; None without render_mode
        "rgb_array"."""
        pictures = self.envs.render()
        return [None] * self.num_envs if pictures is None else list(pictures)

    def render(self, mode: str | None = None) -> NDArray[np.uint8] | None:
        """Returns the pictures of all games, tiled to one, with render_mode "rgb_array". With mode
        "human" Stable-Baselines3 shows it by OpenCV instead.

        Raises:
            MissingPackageError: OpenCV is not installed.
        """
        try:
            picture: NDArray[np.uint8] | None = super().render(mode)
        except ModuleNotFoundError as error:
            if error.name != "cv2":
                raise
            raise MissingPackageError(
                "render('human') of many games is shown by OpenCV, which is not installed: pip "
                "install opencv-python, or take render('rgb_array')",
                name="cv2",
            ) from None
        return picture

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """Returns an attribute of each game.

        Raises:
            NoAttributeError: they have none of that name.
            ConfigError: no such game.
        """
        return [self._attribute(view, attr_name) for view in self._views(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        """Sets an attribute of each game to the same value.

        Raises:
            ConfigError: it is one that belongs to the environment, or no such game.
        """
        for view in self._views(indices):
            set_attribute(view, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Indices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Calls a method of each game and returns what each gave.

        Raises:
            NoAttributeError: they have none of that name.
            ConfigError: no such game, what has that name is no method, or what the method raises.
        """
        methods = self.get_attr(method_name, indices)
        if other := [method for method in methods if not callable(method)]:
            raise ConfigError(
                f"{method_name!r} of a game is no method, read it by get_attr: {shown(other[0])}"
            )
        return [method(*method_args, **method_kwargs) for method in methods]

    def env_is_wrapped(self, wrapper_class: type, indices: Indices = None) -> list[bool]:
        """Says of each game whether it does what a wrapper does: of `Monitor` it does."""
        return [wrapper_class is Monitor for _ in self._views(indices)]

    # --- inside ---------------------------------------------------------------------------------

    def _open_monitor(self, folder: Path) -> Any:
        header: dict[str, Any] = {"t_start": self._began, "env_id": type(self.envs).__name__}
        path = folder / "monitor.csv"
        try:
            return ResultsWriter(str(path), header=header, extra_keys=self.info_keywords)
        except OSError as error:
            raise FileError(f"{path} cannot be written: {error.strerror}", error.errno) from None

    def _end(self, game: int, info: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what is told of an episode that has ended, and begins to count the next."""
        episode: dict[str, Any] = {
            "r": round(float(self._returns[game]), 6),
            "l": int(self._lengths[game]),
            "t": round(time.time() - self._began, 6),
        }
        episode |= {name: info[name] for name in self.info_keywords}
        if self._writer is not None:
            self._writer.write_row(episode)
        self._returns[game] = 0.0
        self._lengths[game] = 0
        return episode

    def _mask(self, infos: Mapping[str, Any]) -> None:
        if ACTION_MASK in infos:
            self._masks[:] = infos[ACTION_MASK]

    def _views(self, indices: Indices) -> list[GameView]:
        games = self._get_indices(indices)
        if not isinstance(games, Iterable):  # a number that is no Python int, of NumPy for example
            games = [games]
        return [self.envs.game_view(game) for game in games]

    def _attribute(self, view: GameView, name: str) -> Any:
        try:
            return attribute(view, name)
        except ConfigError as error:
            raise NoAttributeError(str(error)) from None


def make_vec_env(
    levels: LevelSpec | None = None,
    n_envs: int = 1,
    seed: int | None = None,
    *,
    level: LevelSpec | None = None,
    config: EnvConfig | None = None,
    reward: str | RewardFunction | None = None,
    threads: int | None = None,
    rom: RomSource = None,
    engine: str | None = None,
    render_mode: str | None = None,
    action_masks: str | ActionMasks | None = None,
    monitor_dir: str | os.PathLike[str] | None = None,
    info_keywords: Sequence[str] = (),
    **settings: Unpack[EnvSettings],
) -> GamesVecEnv:
    """Makes many games of Super Mario Bros. as a `VecEnv`.

    Args:
        levels: "1-1", "1-1,1-2", a list, a mapping from levels to weights, or "all". Not given:
            1-1.
        n_envs: number of games.
        seed: game `i` draws as a `MarioEnv` that is reset with `seed + i` does. None: other draws
            each time, unless the algorithm gives a seed.
        settings: fields of `EnvConfig`.

    All others are as `MarioVectorEnv` (`level`, `config`, `reward`, `threads`, `rom`, `engine`,
    `render_mode`) and `GamesVecEnv` (`action_masks`, `monitor_dir`, `info_keywords`) take them.

    Raises:
        ConfigError: a setting with an unknown name, an impossible value, or without any effect
            beside the others; `config` with another autoreset than "same_step".
        LevelError: an unknown level.
        RomError: no usable ROM, or another game.
        EngineError: engine "compiled", and the program cannot run as native code.
        FileError: `monitor_dir` cannot be written to.
    """
    games = MarioVectorEnv(
        levels,
        n_envs,
        level=level,
        config=config,
        reward=reward,
        threads=threads,
        seed=seed,
        rom=rom,
        engine=engine,
        render_mode=render_mode,
        **settings,
    )
    envs = GamesVecEnv(
        games, action_masks=action_masks, monitor_dir=monitor_dir, info_keywords=info_keywords
    )
    if seed is not None:
        envs.seed(seed)
    return envs


def _together(options: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]] | None:
    """Returns options of each game as those of all."""
    names = dict.fromkeys(name for one in options for name in one)
    if "reset_mask" in names:
        raise ConfigError("options['reset_mask']: a VecEnv resets all of its games")
    return {name: [one.get(name) for one in options] for name in names} or None


def _rows(
    infos: Mapping[str, Any], more: Mapping[str, NDArray[Any]] | None = None
) -> list[dict[str, Any]]:
    """Returns a dict of numbers for each game; masks are asked for as `action_masks`."""
    arrays = {
        name: array
        for name, array in infos.items()
        if not name.startswith("_") and name != ACTION_MASK
    }
    arrays |= more or {}
    columns = [array.tolist() for array in arrays.values()]
    return [dict(zip(arrays, row, strict=True)) for row in zip(*columns, strict=True)]
