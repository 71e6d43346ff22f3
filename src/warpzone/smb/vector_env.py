"""Many games of Super Mario Bros. as a Gymnasium vector environment.

For trainers there is a second face on the same games, `send` and `recv` on groups of them: see
`warpzone.smb.game_batch`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from warpzone.errors import ConfigError
from warpzone.nes.action_masks import ActionMasks, action_masks_of
from warpzone.nes.arrays import Arrays, copy_of, empty_like, rows_of
from warpzone.nes.cartridge import RomSource
from warpzone.nes.checks import require
from warpzone.nes.exclusive import exclusive
from warpzone.nes.vector_games import VectorGames
from warpzone.nes.vector_options import infos_after, infos_of
from warpzone.smb.cartridges import check_levels
from warpzone.smb.config import EnvConfig, VectorEnvSettings, env_config
from warpzone.smb.game_batch import GameBatch
from warpzone.smb.levels import LevelSpec, level_index
from warpzone.smb.reward import RewardFunction, reward_named
from warpzone.smb.signals import signal_arrays


class MarioVectorEnv(GameBatch, VectorGames):
    """N games of Super Mario Bros., stepped natively by several threads.

    `info` holds the signals (`warpzone.smb.signals.SIGNALS`) as arrays [N].

    Args:
        levels: "1-1", "1-1,1-2", a list, a mapping from levels to weights, or "all": each episode
            draws its level. Not given: 1-1.
        num_envs: number of games.
        level: another name for `levels`.
        config: all settings at once, instead of `levels`, a reward's name and `settings`.
        reward: a name (see `EnvConfig`), a `RewardFunction`, or `module:function` of one, which is
            imported. One that `config` names has to be given here too: nothing is imported because
            a configuration, which may be that of somebody's agent, says so.
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
        action_masks: a function, or `module:function`, that says which actions may be chosen:
            `infos["action_mask"]`, int8[N, actions], tells. Others are carried out all the same.
            None: all, and there is no mask.
        settings: fields of `EnvConfig`.

    Raises:
        ConfigError: a setting with an unknown name, an impossible value, or without any effect
            beside the others.
        LevelError: an unknown level.
        RomError: no usable ROM, or another game.
        EngineError: engine "compiled", and the program cannot run as native code.
    """

    _place = "level"

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
        action_masks: str | ActionMasks | None = None,
        **settings: Unpack[VectorEnvSettings],
    ) -> None:
        config = _config_of(config, levels, level, reward, dict(settings))
        self.action_masks = action_masks_of(action_masks)
        if render_mode == "human":
            raise ConfigError(
                "render_mode 'human': there is None or 'rgb_array'; 'human' is for one game, "
                "warpzone.make"
            )
        super().__init__(
            config,
            num_envs,
            threads=threads,
            seed=seed,
            num_groups=num_groups,
            reward=_reward_function(config, reward),
            rom=rom,
            engine=engine,
            keep_frames=keep_frames,
        )
        self._show_as(render_mode)

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
                `first_game`: game `i` draws from stream `first_game + i` of the seed, as those of a
                larger set do of which these are a part.

        Returns:
            Observations [N, ...] and infos: the signals as arrays [N].

        Raises:
            ConfigError: an impossible seed, an unknown option, or one of a wrong shape.
            LevelError: an unknown level.
            EngineError: a state that is not one of this cartridge, or in which no level is played;
                a group that is stepping; or the environment is closed. No game is changed then.
        """
        return self._reset(seed, options)

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
        obs = empty_like(self._obs)
        self._step_all(actions, obs)
        reached = signal_arrays(self._signals.copy())
        reached["episode_return"] = self._returns.copy()
        finished = np.flatnonzero(self._terminated | self._truncated)
        if self.config.autoreset == "same_step" and len(finished) > 0:
            begun = self._with_returns(self._current_signals(slice(None)))
            mask = np.zeros(self.num_envs, dtype=np.bool_)
            mask[finished] = True
            finals = [copy_of(rows_of(self._final_obs, game)) for game in finished]
            infos = self._masked(infos_after(reached, begun, mask, finals), begun)
        else:
            infos = self._masked(infos_of(reached), reached)
        return (
            obs,
            self._rewards.copy(),
            self._terminated.copy(),
            self._truncated.copy(),
            infos,
        )

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
            reward=self.reward_function,
        )
        twin.set_progress_masks(self._masks)
        return twin

    # --- inside ---------------------------------------------------------------------------------

    def _place_number(self, name: str) -> int:
        number = level_index(name)
        check_levels(self.rom, [name])
        return number

    def _shown(self) -> dict[str, NDArray[Any]]:
        return self._with_returns(self._signals.copy())

    def _with_returns(self, signals: NDArray[Any]) -> dict[str, NDArray[Any]]:
        told = signal_arrays(signals)
        told["episode_return"] = np.where(told["steps"] == 0, np.float32(0), self._returns)
        return told

    def _arrived(self, group: int) -> None:
        self._outs.pop(group, None)
        self._wait(group)


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
    require(isinstance(config, EnvConfig | None), "config", config, "an EnvConfig, or None")
    if config is not None:
        beside = list(settings)
        beside += ["levels"] if chosen is not None else []
        beside += ["reward"] if isinstance(reward, str) and reward != config.reward else []
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


def _reward_function(
    config: EnvConfig, given: str | RewardFunction | None
) -> RewardFunction | None:
    """The function that rewards are from; None: one of those that come along. Only `given`, which
    is the caller's own word, is imported."""
    if callable(given):
        return given
    if config.own_reward is None:
        return None
    if given is None:
        raise ConfigError(
            f"the configuration names the reward {config.reward!r}, code of a user's own, which is"
            " not imported because a configuration names it. If it is yours, give it too:"
            f" reward={config.reward!r}; to play without it: config.without_own_reward()"
        )
    return reward_named(config.own_reward)


def make_registered(num_envs: int = 1, **settings: Any) -> MarioVectorEnv:
    """`MarioVectorEnv` as `gymnasium.make_vec("warpzone/Mario-v0", level=...)` calls it."""
    return MarioVectorEnv(num_envs=num_envs, **settings)
