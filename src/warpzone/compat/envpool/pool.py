"""Groups of native games behind EnvPool's `send` and `recv`."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, Unpack

import numpy as np
from numpy.typing import NDArray

from warpzone.errors import ConfigError, EngineError
from warpzone.nes.arrays import Arrays, copy_of, rows_of
from warpzone.nes.cartridge import RomSource
from warpzone.nes.checks import whole_number
from warpzone.nes.vector_games import VectorGames
from warpzone.smb.config import EnvSettings
from warpzone.smb.levels import LevelSpec
from warpzone.smb.reward import RewardFunction
from warpzone.smb.vector_env import MarioVectorEnv

Received: TypeAlias = tuple[
    Arrays, NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]
]
"""Of n games: observations [n, ...], rewards [n], terminated [n], truncated [n], info."""


class GroupPool:
    """Games that are stepped in groups while the caller is busy with others.

    Args:
        envs: a `MarioVectorEnv` or a `GameVectorEnv` with groups of one size and next-step
            autoreset. It is used by this from now on, and closed with it.
        seed: game `i` draws as a single environment that is reset with `seed + i` does; None: other
            draws each time.

    Raises:
        ConfigError: another autoreset, or groups of different sizes.
    """

    def __init__(self, envs: VectorGames, *, seed: int | None = None) -> None:
        if envs.config.autoreset != "next_step":
            raise ConfigError(
                f"autoreset is {envs.config.autoreset!r}: in EnvPool episodes begin in the step "
                "after the one that ended them, 'next_step'"
            )
        if envs.num_envs % len(envs.groups):
            raise ConfigError(
                f"{envs.num_envs} games make no {len(envs.groups)} groups of one size: take a "
                "multiple"
            )
        self.envs = envs
        self.num_envs = envs.num_envs
        self.batch_size = envs.num_envs // len(envs.groups)
        self.observation_space = envs.single_observation_space
        self.action_space = envs.single_action_space
        self._seeds: Sequence[int] | None = None
        if seed is not None:
            self._seeds = [whole_number(seed, "seed") + game for game in range(self.num_envs)]
        self._waiting: deque[tuple[int, dict[str, Any] | None]] = deque()
        """Groups that can be received, and of those that were reset their infos."""
        self._ended = np.zeros(self.num_envs, np.bool_)
        self._elapsed = np.zeros(self.num_envs, np.int32)
        self._last_ids = np.zeros(0, np.int32)
        self._told: list[str] = []
        """The names of the signals."""

    def __len__(self) -> int:
        return self.num_envs

    @property
    def is_async(self) -> bool:
        """Whether fewer games are received at a time than there are."""
        return self.batch_size < self.num_envs

    @property
    def all_env_ids(self) -> NDArray[np.int32]:
        """Returns the numbers of all games."""
        return np.arange(self.num_envs, dtype=np.int32)

    def async_reset(self) -> None:
        """Begins new episodes in all games, for `recv`. What was sent before is dropped. The seed
        counts the first time."""
        while self._waiting:
            self.recv()
        seeds: Any = self._seeds  # Gymnasium's own vector environments take one number
        _, infos = self.envs.reset(seed=seeds)
        self._seeds = None
        self._told = [name for name in infos if not name.startswith("_")]
        self._ended[:] = False
        self._elapsed[:] = 0
        for group, rows in enumerate(self.envs.groups):
            self._waiting.append((group, {name: infos[name][rows] for name in self._told}))

    def reset(self) -> tuple[Arrays, dict[str, Any]]:
        """Begins new episodes in all games; returns observations [N, ...] and info.

        Raises:
            ConfigError: fewer games are received at a time than there are.
        """
        if self.is_async:
            raise ConfigError(
                f"reset gives all {self.num_envs} games at once, and batch_size is "
                f"{self.batch_size}: call async_reset, then recv"
            )
        self.async_reset()
        obs, _, _, _, info = self.recv()
        return obs, info

    def send(
        self, actions: NDArray[np.integer[Any]], env_id: NDArray[np.integer[Any]] | None = None
    ) -> None:
        """Begins to step games.

        Args:
            actions: int[n], one for each number of `env_id`.
            env_id: int[n], of whole groups; None: those of the last `recv`.

        Raises:
            ConfigError: not one action for each, not whole groups, or an action that does not
                exist.
            EngineError: one of the groups was sent already. No game has moved in either case.
        """
        ids = self._last_ids if env_id is None else np.asarray(env_id)
        chosen = np.asarray(actions)
        if ids.ndim != 1 or ids.shape != chosen.shape:
            raise ConfigError(
                f"send: {chosen.shape} actions for env_id of shape {ids.shape}: one for each"
            )
        order = np.argsort(ids)
        numbers = ids[order] // self.batch_size
        groups = np.unique(numbers).tolist()
        whole = [self.all_env_ids[self.envs.groups[g]] for g in groups if self._is_group(g)]
        if len(groups) == 0 or not np.array_equal(ids[order], np.concatenate(whole or [ids[:0]])):
            raise ConfigError(
                f"env_id {ids.tolist()}: games are sent by the {self.batch_size} that recv gives, "
                f"0 to {self.batch_size - 1} and so on up to {self.num_envs - 1}"
            )
        wrong = chosen[(chosen < 0) | (chosen >= self.action_space.n)]
        if len(wrong):
            raise ConfigError(
                f"send: there is no action {wrong[0]}; there are 0 to {self.action_space.n - 1}"
            )
        waiting = {group for group, _ in self._waiting}
        for group in groups:
            if group in waiting:
                first = group * self.batch_size
                raise EngineError(f"game {first} and those with it were sent already: recv first")
        for group in groups:
            self.envs.send(group, chosen[order][numbers == group])
            self._waiting.append((group, None))

    def recv(self) -> Received:
        """Waits for the group that was sent, or reset, first.

        Returns:
            Observations [n, ...], rewards float32[n], terminated bool[n], truncated bool[n], and
            `info`: `env_id` int32[n], `elapsed_step` int32[n], steps of the episode, and the
            signals. All are the caller's own.

        Raises:
            EngineError: nothing was sent, or a game cannot go on.
        """
        if not self._waiting:
            raise EngineError("recv: nothing was sent; call async_reset or send first")
        group, begun = self._waiting.popleft()
        rows = self.envs.groups[group]
        ids = self.all_env_ids[rows]
        if begun is not None:
            obs = copy_of(rows_of(self.envs.observations(), rows))
            none = np.zeros(len(ids), np.bool_)
            self._last_ids = ids
            return obs, np.zeros(len(ids), np.float32), none, none.copy(), self._info(ids, begun)
        result = self.envs.recv(group)
        terminated, truncated = result.terminated.copy(), result.truncated.copy()
        self._elapsed[rows] = np.where(self._ended[rows], 0, self._elapsed[rows] + 1)
        self._ended[rows] = terminated | truncated
        self._last_ids = ids
        return (
            copy_of(result.obs),
            result.reward.copy(),
            terminated,
            truncated,
            self._info(ids, result.signals),
        )

    def step(
        self, actions: NDArray[np.integer[Any]], env_id: NDArray[np.integer[Any]] | None = None
    ) -> Received:
        """Sends, then receives: of the same games if all are received at once."""
        self.send(actions, env_id)
        return self.recv()

    def close(self) -> None:
        """Ends the games."""
        self.envs.close()

    # --- inside ---------------------------------------------------------------------------------

    def _is_group(self, group: int) -> bool:
        return 0 <= group < len(self.envs.groups)

    def _info(self, ids: NDArray[np.int32], signals: Mapping[str, Any]) -> dict[str, Any]:
        told = {name: np.array(signals[name]) for name in self._told}
        return {**told, "env_id": ids, "elapsed_step": self._elapsed[ids]}


def make(
    levels: LevelSpec | None = None,
    num_envs: int = 1,
    *,
    batch_size: int | None = None,
    num_threads: int | None = None,
    seed: int | None = None,
    reward: str | RewardFunction | None = None,
    rom: RomSource = None,
    engine: str | None = None,
    max_episode_steps: int | None = None,
    **settings: Unpack[EnvSettings],
) -> GroupPool:
    """Makes games of Super Mario Bros. with EnvPool's interface.

    Args:
        batch_size: games that `recv` gives at a time, a divisor of `num_envs`; None: all.
        num_threads: threads that step the games; None: one for each core.
        seed: game `i` draws as a `MarioEnv` that is reset with `seed + i` does.
        max_episode_steps: `max_steps` of `EnvConfig`.
        settings: fields of `EnvConfig`.

    `levels`, `num_envs`, `reward`, `rom` and `engine` are as `MarioVectorEnv` takes them.

    Raises:
        ConfigError: an impossible setting or one that is given twice, or a `batch_size` that does
            not divide `num_envs`.
        LevelError: an unknown level.
        RomError: no usable ROM, or another game.
        EngineError: engine "compiled", and the program cannot run as native code.
    """
    games = whole_number(num_envs, "num_envs")
    size = games if batch_size is None else whole_number(batch_size, "batch_size")
    if size < 1 or games % size:
        raise ConfigError(f"batch_size is {size}: it must divide num_envs, {games}")
    for name in ("autoreset", "autoreset_mode"):
        if name in settings:
            raise ConfigError(f"{name}: games of EnvPool begin anew in the next step; leave it out")
    for name, own in (("threads", "num_threads"), ("num_groups", "batch_size")):
        if name in settings:
            raise ConfigError(f"{name}: give {own} instead, as EnvPool calls it")
    if max_episode_steps is not None:
        if "max_steps" in settings:
            raise ConfigError("max_episode_steps and max_steps are the same setting: give one")
        settings["max_steps"] = max_episode_steps
    envs = MarioVectorEnv(
        levels,
        games,
        threads=num_threads,
        seed=seed,
        num_groups=games // size,
        reward=reward,
        rom=rom,
        engine=engine,
        autoreset="next_step",
        **settings,
    )
    return GroupPool(envs, seed=seed)
