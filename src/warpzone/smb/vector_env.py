"""Many games of Super Mario Bros. as a Gymnasium vector environment.

For trainers there is a second face on the same games, `send` and `recv` on groups of them: see
`warpzone.smb.game_batch`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from warpzone.errors import ConfigError, EngineError
from warpzone.nes.cartridge import RomSource
from warpzone.nes.checks import native_errors
from warpzone.nes.console import FRAMES_PER_SECOND
from warpzone.nes.env_fields import AUTORESET_MODES
from warpzone.nes.exclusive import exclusive
from warpzone.nes.vector_options import each_of, infos_of, mask_of, seeds_of
from warpzone.smb.cartridges import check_levels
from warpzone.smb.config import EnvConfig, VectorEnvSettings, env_config
from warpzone.smb.game_batch import GameBatch
from warpzone.smb.game_view import GameView, attribute, set_attribute
from warpzone.smb.levels import LevelSpec, level_index
from warpzone.smb.signals import RewardFunction, signal_arrays
from warpzone.smb.transition import Arrays, copy_of, empty_like, rows_of

RENDER_MODES = ["human", "rgb_array"]


class MarioVectorEnv(GameBatch, VectorEnv[Arrays, NDArray[np.int64], NDArray[Any]]):
    """N games of Super Mario Bros., stepped natively by several threads.

    `info` holds the signals (`warpzone.smb.signals.SIGNALS`) as arrays [N].

    Args:
        levels: "1-1", "1-1,1-2", a list, a mapping from levels to weights, or "all": each episode
            draws its level. Not given: 1-1.
        num_envs: number of games.
        level: another name for `levels`.
        config: all settings at once, instead of `levels`, a reward's name and `settings`.
        reward: a name (see `EnvConfig`) or a `RewardFunction`.
        threads: how many threads step the games, the caller included, at most 1,024; None: one for
            each core that this process may use (`warpzone.cpu`). Results do not depend on it.
        seed: of all random draws, below 2**64; each game has a stream of its own, and each episode
            one of its own in that. None: other draws each time.
        num_groups: groups for `send` and `recv`, of equal size but for rounding.
        rom: a file, a `Rom`, or None to look for one.
        engine: "auto", "interpreter" or "compiled", see `warpzone.set_engine`; None: as chosen
            there.
        keep_frames: keep every emulated frame of the last step, for `frames`; of one game only.
        render_mode: None or "rgb_array".
        settings: fields of `EnvConfig`.

    Raises:
        ConfigError: a setting with an unknown name, an impossible value, or without any effect
            beside the others.
        LevelError: an unknown level.
        RomError: no usable ROM, or another game.
        EngineError: engine "compiled", and the program cannot run as native code.
    """

    def __init__(
        self,
        levels: LevelSpec | None = None,
        num_envs: int = 1,
        *,
        level: LevelSpec | None = None,
        config: EnvConfig | None = None,
        reward: str | RewardFunction | None = None,
        threads: int | None = None,
        seed: int | None = None,
        num_groups: int = 1,
        rom: RomSource = None,
        engine: str | None = None,
        keep_frames: bool = False,
        render_mode: str | None = None,
        **settings: Unpack[VectorEnvSettings],
    ) -> None:
        config = _config_of(config, levels, level, reward, dict(settings))
        if render_mode not in (None, "rgb_array"):
            alone = "; 'human' is for one game, warpzone.make" if render_mode == "human" else ""
            raise ConfigError(f"render_mode {render_mode!r}: there is None or 'rgb_array'{alone}")
        self.render_mode = render_mode
        self.metadata = {
            "render_modes": RENDER_MODES[1:],
            "render_fps": render_fps(config),
            "autoreset_mode": AUTORESET_MODES[config.autoreset],
        }
        self.autoreset_mode = AUTORESET_MODES[config.autoreset]
        super().__init__(
            config,
            num_envs,
            threads=threads,
            seed=seed,
            num_groups=num_groups,
            reward=reward if callable(reward) else None,
            rom=rom,
            engine=engine,
            keep_frames=keep_frames,
        )

    @exclusive
    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Arrays, dict[str, Any]]:
        """Starts new episodes in all games.

        Args:
            seed: new random draws. One number: game `i` draws from stream `i` of it. A list, a
                number or None for each game: each draws as a `MarioEnv` does with that seed, and
                goes on with its own stream for None.
            options: `reset_mask`, bool[N]: only in these games. `level`, a name or one for each
                game (None: drawn as usual): where the episode begins. `state`, bytes of
                `Console.save` or some for each game: the moment at which it begins instead.

        Returns:
            Observations [N, ...] and infos: the signals as arrays [N].

        Raises:
            ConfigError: an impossible seed, an unknown option, or one of a wrong shape.
            LevelError: an unknown level.
            EngineError: a state that is not one of this cartridge, or in which no level is played;
                a group that is stepping; or the environment is closed. No game is changed then.
        """
        options = {} if options is None else dict(options)
        mask = mask_of(options.pop("reset_mask", None), self.num_envs)
        levels = each_of(options.pop("level", None), "level", (str,), self.num_envs)
        states = each_of(options.pop("state", None), "state", (bytes, bytearray), self.num_envs)
        if options:
            raise ConfigError(
                f"reset has no option {', '.join(map(repr, options))}: there are 'reset_mask', "
                "'level' and 'state'"
            )
        if any(a is not None and b is not None for a, b in zip(levels, states, strict=True)):
            raise ConfigError("give a game either options['level'] or options['state'], not both")
        numbers = [-1 if name is None else level_index(name) for name in levels]
        check_levels(self.rom, [name for name in levels if name is not None])
        seeds = seeds_of(seed, self.num_envs)
        if isinstance(seed, int | np.integer):
            self._np_random = None
        with native_errors():
            try:
                self._batch.reset(
                    mask.astype(np.uint8),
                    seeds,
                    numbers if max(numbers) >= 0 else [],
                    [b"" if s is None else bytes(s) for s in states] if any(states) else [],
                )
            except ValueError as error:
                raise EngineError(str(error)) from None
        return copy_of(self._obs), infos_of(signal_arrays(self._signals.copy()))

    @exclusive
    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[Arrays, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Steps all games.

        Args:
            actions: int64[N].

        Returns:
            Observations [N, ...], rewards float32[N], terminated bool[N], truncated bool[N], infos
            (the signals as arrays [N]; with same-step autoreset also `final_obs` and `final_info`
            where an episode ended, with masks `_final_obs` and `_final_info`).

        Raises:
            ConfigError: not one action for each game, or one that does not exist: no game has
                moved then.
            EngineError: an episode is over and autoreset is off, a game cannot go on, another
                thread is using the games, or they are closed.
        """
        actions = np.asarray(actions)
        if actions.shape != (self.num_envs,):
            raise ConfigError(f"actions must have shape ({self.num_envs},), not {actions.shape}")
        if len(self.groups) > 1:  # of one group, send does it
            self._check_actions(actions)
        obs = empty_like(self._obs)
        for group, rows in enumerate(self.groups):
            self.send(group, actions[rows], rows_of(obs, rows))
        failure = None
        for group in range(len(self.groups)):  # all of them, or a group would be left stepping
            try:
                self._outs.pop(group, None)
                self._wait(group)
            except Exception as error:
                failure = failure or error
        if failure is not None:
            raise failure
        reached = signal_arrays(self._signals.copy())
        reached["episode_return"] = self._returns.copy()
        finished = np.flatnonzero(self._terminated | self._truncated)
        if self.config.autoreset == "same_step" and len(finished) > 0:
            begun = signal_arrays(self._current_signals(slice(None)))
            begun["episode_return"] = np.where(begun["steps"] == 0, 0, self._returns)
            infos = infos_of(begun)
            mask = np.zeros(self.num_envs, dtype=np.bool_)
            mask[finished] = True
            final_obs = np.full(self.num_envs, None, dtype=object)
            for game in finished:
                final_obs[game] = copy_of(rows_of(self._final_obs, game))
            infos["final_obs"], infos["_final_obs"] = final_obs, mask
            infos["final_info"], infos["_final_info"] = infos_of(reached, mask), mask.copy()
        else:
            infos = infos_of(reached)
        return (
            obs,
            self._rewards.copy(),
            self._terminated.copy(),
            self._truncated.copy(),
            infos,
        )

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """With render_mode "rgb_array": the picture of each game, uint8[240, 256, 3]."""
        if self.render_mode is None:
            return None
        return tuple(self.picture(i) for i in range(self.num_envs))

    def close_extras(self, **_: Any) -> None:
        """Ends the threads. `close` calls it; after that, games can neither be reset nor stepped,
        and only arrays that were handed out may still be read."""
        with native_errors():
            self._batch.close()

    def twin(self, config: EnvConfig, num_envs: int, seed: int) -> MarioVectorEnv:
        """Returns other games of the same ROM, in one group, stepped by as many threads, in which
        the same counts as progress (see `set_progress_masks`)."""
        twin = MarioVectorEnv(
            config=config,
            num_envs=num_envs,
            threads=self.threads,
            seed=seed,
            rom=self.rom,
            engine=self._engine,
        )
        twin.set_progress_masks(self._masks)
        return twin

    # --- one game of them -----------------------------------------------------------------------

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Calls a method of each game, or gets an attribute of each: see `GameView`.

        Raises:
            ConfigError: games have no such method or attribute.
        """
        found = [attribute(view, name) for view in self._game_views]
        return tuple(one(*args, **kwargs) if callable(one) else one for one in found)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Returns an attribute of each game. Raises `ConfigError` where there is none."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Sets an attribute of each game: a list or tuple has a value for each, anything else is
        the value of all.

        Raises:
            ConfigError: not one value for each, or an attribute that is the environment's.
        """
        each = list(values) if isinstance(values, list | tuple) else [values] * self.num_envs
        if len(each) != self.num_envs:
            raise ConfigError(f"set_attr({name!r}): {len(each)} values for {self.num_envs} games")
        for view, value in zip(self._game_views, each, strict=True):
            set_attribute(view, name, value)

    # --- inside ---------------------------------------------------------------------------------

    def _map_memory(self) -> None:
        super()._map_memory()
        self._game_views = [GameView(self, index) for index in range(self.num_envs)]


def render_fps(config: EnvConfig) -> int:
    """Returns how many steps make a second of the console's time, to the nearest whole number,
    which writers of films want."""
    return max(1, round(FRAMES_PER_SECOND / config.frame_skip))


def _config_of(
    config: EnvConfig | None,
    levels: LevelSpec | None,
    level: LevelSpec | None,
    reward: str | RewardFunction | None,
    settings: Mapping[str, Any],
) -> EnvConfig:
    """The settings that are meant by what was given; whatever would be ignored is refused."""
    if levels is not None and level is not None:
        raise ConfigError("level and levels are the same setting: give one of them")
    chosen = levels if levels is not None else level
    if config is not None:
        beside = list(settings)
        beside += ["levels"] if chosen is not None else []
        beside += ["reward"] if isinstance(reward, str) else []
        if beside:
            raise ConfigError(f"give either config or settings, not both: {', '.join(beside)}")
        return config
    given: dict[str, Any] = dict(settings)
    if chosen is not None:
        given["levels"] = chosen
    if isinstance(reward, str):
        given["reward"] = reward
    made = env_config(**given)
    unused = made.without_effect(settings)
    if unused:
        raise ConfigError("\n".join(f"{name} {why}" for name, why in unused.items()))
    return made


def make_registered(num_envs: int = 1, **settings: Any) -> MarioVectorEnv:
    """`MarioVectorEnv` as `gymnasium.make_vec("warpzone/Mario-v0", level=...)` calls it."""
    return MarioVectorEnv(num_envs=num_envs, **settings)
