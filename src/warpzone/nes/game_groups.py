"""Many games at once, in groups that trainers step in turns: what does not depend on the game.

Whoever is made of `GameGroups` knows the game: `warpzone.nes.game_vector_env` by a description,
`warpzone.smb.game_batch` by rules in native code.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

import warpzone._native as _native
from warpzone.cpu import thread_count
from warpzone.errors import ConfigError, EngineError
from warpzone.nes.arrays import Arrays
from warpzone.nes.buttons import action_names
from warpzone.nes.cartridge import RomSource, open_rom
from warpzone.nes.checks import native_errors, require, whole_number
from warpzone.nes.console import PALETTE
from warpzone.nes.env_fields import Seen
from warpzone.nes.exclusive import InUse, exclusive
from warpzone.nes.saved_states import refusal

MOST_GAMES = 65_536
"""In one environment: as many as a training takes (`TrainConfig.num_envs`)."""


class GameGroups(InUse):
    """N games, stepped natively by several threads.

    Can be copied (`copy.deepcopy`) and pickled while no group is stepping: a copy goes on as the
    original does. After a fork the child may go on with its copy if no group was stepping.

    Args:
        config: how games are seen.
        actions: the buttons of each.
        num_envs, threads, num_groups, rom, engine, keep_frames: as `GameVectorEnv` takes them.
    """

    groups: list[slice]
    """The rows of each group."""
    single_observation_space: gymnasium.Space[Any]
    single_action_space: Any  # a `Discrete`; Gymnasium leaves open which

    _OF_THIS_PROCESS: ClassVar[tuple[str, ...]] = ("_in_use", "_batch", "_obs")
    """Attributes that a copy makes anew."""
    _batch: _native.Batch
    _obs: Arrays
    """What is acted on next, of all games."""
    _left: set[int]
    """Groups of which a `step` that is running, or was interrupted, has not heard yet."""

    def __init__(
        self,
        config: Seen,
        actions: Sequence[Sequence[str]],
        num_envs: int,
        *,
        threads: int | None,
        num_groups: int,
        rom: RomSource,
        engine: str | None,
        keep_frames: bool,
    ) -> None:
        super().__init__()
        self._left: set[int] = set()
        self.config: Any = config
        self.num_envs = num_envs = whole_number(num_envs, "num_envs")
        if num_envs < 1:
            raise ConfigError(f"num_envs is {num_envs}: there must be at least one game")
        if num_envs > MOST_GAMES:
            raise ConfigError(
                f"num_envs is {num_envs:,}: at most {MOST_GAMES:,} games fit into one environment"
            )
        self.num_groups = whole_number(num_groups, "num_groups")
        self.threads = thread_count(threads)
        self.rom = open_rom(rom)
        self.single_action_space = gymnasium.spaces.Discrete(len(actions))
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.action_meanings = action_names(actions)
        self.buttons = actions
        """Of each action."""
        self._engine = engine
        self._keep_frames = keep_frames

    # --- for trainers ---------------------------------------------------------------------------

    def observations(self) -> Arrays:
        """Returns the current observations of all games, [N, ...]: views."""
        return self._obs

    @exclusive
    def save_state(self, game: int | None = None) -> bytes:
        """Returns everything that decides what comes next: games, random streams, observations.

        Args:
            game: only of this one, 0 to N-1; the same bytes as `save_state` of an environment of
                one game gives.

        Raises:
            ConfigError: there is no such game.
            EngineError: a group is stepping, or the games are closed.
        """
        self._recover()
        with native_errors():
            state = self._batch.save(-1 if game is None else self.checked_game(game))
        return b"".join([state, *(array.tobytes() for array in self._beside(_rows(game)))])

    @exclusive
    def load_state(self, state: bytes, game: int | None = None) -> None:
        """Goes on from `save_state` of an environment made with the same arguments.

        Args:
            state: of as many games.
            game: load the state of one game into this one, 0 to N-1.

        Raises:
            ConfigError: there is no such game.
            EngineError: the bytes do not fit this environment, or a group is stepping. Nothing is
                changed then.
        """
        index = -1 if game is None else self.checked_game(game)
        require(isinstance(state, bytes | bytearray), "state", state, "bytes of save_state")
        state = bytes(state)
        self._recover()
        arrays = self._beside(_rows(game))
        beside = sum(array.nbytes for array in arrays)
        split = max(len(state) - beside, 0)
        try:
            self._batch.load(state[:split], index)
        except (ValueError, RuntimeError) as error:
            raise EngineError(self._refusal(state, str(error), index, beside)) from None
        for array in arrays:
            array[:] = np.frombuffer(state, array.dtype, array.size, split).reshape(array.shape)
            split += array.nbytes

    # --- one game of them -----------------------------------------------------------------------

    @exclusive
    def picture(self, game: int) -> NDArray[np.uint8]:
        """Returns the last frame of a game: uint8[240, 256, 3].

        Raises:
            ConfigError: there is no such game.
            EngineError: its group is stepping.
        """
        with native_errors():
            return PALETTE[self._batch.screen(self.checked_game(game))]

    @exclusive
    def ram(self, game: int) -> NDArray[np.uint8]:
        """Returns the work RAM of a game, uint8[2048]: a view, writing to it changes the game. Its
        bytes overflow in arithmetic: make numbers of them first.

        Raises:
            ConfigError: there is no such game.
            EngineError: its group is stepping.
        """
        with native_errors():
            return self._batch.ram(self.checked_game(game))

    @property
    def keeps_frames(self) -> bool:
        """Whether `frames` has all frames of the last step."""
        return self._keep_frames

    @exclusive
    def frames(self) -> NDArray[np.uint8]:
        """With `keep_frames`: all frames of the last step or reset as colours of `PALETTE`:
        uint8[k, 240, 256]."""
        with native_errors():
            return self._batch.kept_frames()

    def checked_game(self, game: int) -> int:
        """Returns `game` if there is one of that number. Raises `ConfigError`."""
        game = whole_number(game, "the number of a game")
        if not 0 <= game < self.num_envs:
            raise ConfigError(f"there is no game {game}: games are 0 to {self.num_envs - 1}")
        return game

    def checked_group(self, group: int) -> int:
        """Returns `group` if there is one of that number. Raises `ConfigError`."""
        group = whole_number(group, "the number of a group")
        if not 0 <= group < self.num_groups:
            raise ConfigError(f"there are {self.num_groups} groups, there is no group {group}")
        return group

    # --- for those that know the game -----------------------------------------------------------

    def _build(self, seed: int) -> None:
        """Makes the native games anew, and ends with `_open`."""
        raise NotImplementedError  # each kind of games has its own

    def _restore(self) -> None:
        """Tells a copy's native games what the original's were told."""

    def _beside(self, rows: slice) -> list[NDArray[Any]]:
        """Returns what of some games is to be saved beside the native state: views."""
        raise NotImplementedError  # likewise

    def _observe(self, space: gymnasium.Space[Any]) -> None:
        """Takes what one game shows."""
        self.single_observation_space = space
        self.observation_space = batch_space(space, self.num_envs)

    def _native_config(self, seed: int) -> _native.Config:
        return native_config(
            self.config,
            num_games=self.num_envs,
            num_groups=self.num_groups,
            threads=self.threads,
            seed=seed,
            keep_frames=self._keep_frames,
        )

    def _open(self, batch: Any) -> None:
        """Takes the native games."""
        self._batch = batch
        bounds = [batch.group_begin(group) for group in range(self.num_groups + 1)]
        self.groups = [slice(a, b) for a, b in pairwise(bounds)]

    def _begin(
        self,
        mask: NDArray[np.bool_],
        seeds: list[tuple[int, int] | None],
        places: list[int],
        states: list[bytes],
    ) -> None:
        """Begins episodes; of each game, if these are not empty: see `Batch.reset`."""
        with native_errors():
            try:
                self._batch.reset(mask.astype(np.uint8), seeds, places, states)
            except ValueError as error:
                raise EngineError(str(error)) from None

    def _check_actions(self, actions: NDArray[np.int64]) -> None:
        """Of all games, before any of them moves."""
        with native_errors():
            self._batch.check_actions(whole(actions))

    def _wait(self, group: int) -> None:
        """Waits until a group has been stepped."""
        try:
            self._batch.recv(self.checked_group(group))
        except RuntimeError as error:
            raise EngineError(str(error)) from None

    def _recover(self) -> None:
        """Waits for what an interrupted `step` has left stepping. What came of it is lost."""
        while self._left:
            group = next(iter(self._left))
            with suppress(RuntimeError):  # it has arrived, or the games are closed
                self._batch.recv(group)
            self._forget(group)
            self._left.discard(group)

    def _forget(self, group: int) -> None:
        """Called where the result of a group's step is lost."""

    # --- inside ---------------------------------------------------------------------------------

    def _refusal(self, state: bytes, error: str, game: int, beside: int) -> str:
        """Why a saved state is not taken, where the native core says that it is none of these."""
        if "not saved by environments like these" not in error:
            return error
        own = self._batch.save(game) + bytes(beside)
        return f"these bytes were not saved by environments like these: {refusal(state, own)}"

    def __getstate__(self) -> dict[str, Any]:
        saved = self.save_state()
        kept = {name: v for name, v in self.__dict__.items() if name not in self._OF_THIS_PROCESS}
        return {**kept, "_saved": saved}

    def __setstate__(self, state: dict[str, Any]) -> None:
        saved = state.pop("_saved")
        self.__dict__.update(state)
        InUse.__init__(self)
        self._build(0)
        self._restore()
        self.load_state(saved)


def native_config(
    seen: Seen, *, num_games: int, num_groups: int, threads: int, seed: int, keep_frames: bool
) -> _native.Config:
    """Returns how games are run and seen, as the native core takes it."""
    config = _native.Config()
    # What else there is to observe is the game's own.
    own = _native.Observation.features
    config.observation = getattr(_native.Observation, seen.observation, own)
    config.autoreset = getattr(_native.Autoreset, seen.autoreset)
    config.num_games = num_games
    config.num_groups = num_groups
    config.threads = threads
    config.seed = seed
    config.height, config.width = seen.size
    config.stack = seen.frame_stack
    config.crop_status_bar = seen.crop_status_bar
    config.max_pool = seen.max_pool
    config.consecutive = seen.consecutive
    config.keep_frames = keep_frames
    return config


def whole(actions: Any) -> NDArray[np.int64]:
    """Returns actions as the native core takes them. Raises `ConfigError` where they are none."""
    actions = np.asarray(actions)
    if not np.issubdtype(actions.dtype, np.integer):
        raise ConfigError(f"actions must be integers, not {actions.dtype}")
    return np.ascontiguousarray(actions, dtype=np.int64)


def _rows(game: int | None) -> slice:
    return slice(None) if game is None else slice(game, game + 1)
