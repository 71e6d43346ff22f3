"""Many games of Super Mario Bros. at once.

Two faces on the same games: Gymnasium's `VectorEnv`, and `send`/`recv` on groups of games for
trainers and evaluators, which works on views and can step one group while the caller is busy with
another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

import warpzone._native as _native
from warpzone.cpu import thread_count
from warpzone.errors import ConfigError, EngineError
from warpzone.nes.cartridge import RomSource, cartridge_of, open_rom
from warpzone.nes.console import FRAMES_PER_SECOND, PALETTE
from warpzone.smb.actions import action_names
from warpzone.smb.config import EnvConfig, env_config
from warpzone.smb.levels import LEVELS, LevelSpec, level_index
from warpzone.smb.search import Explorer, Way
from warpzone.smb.signals import SIGNALS, RewardFunction, SignalArrays, signal_arrays
from warpzone.smb.starts import level_starts

Arrays: TypeAlias = NDArray[Any] | dict[str, NDArray[Any]]

AUTORESET_MODES = {
    "same_step": AutoresetMode.SAME_STEP,
    "next_step": AutoresetMode.NEXT_STEP,
    "disabled": AutoresetMode.DISABLED,
}


@dataclass(slots=True)
class Transition:
    """What a step of a group of n games brought. Arrays are views, valid until its next `send`."""

    obs: Arrays
    """[n, ...]: what to act on next, of the new episode where one has begun. The arrays that were
    given to `send`, if there were any."""
    reward: NDArray[np.float32]
    """[n]"""
    terminated: NDArray[np.bool_]
    """[n]: flag, death, or the level left by a warp."""
    truncated: NDArray[np.bool_]
    """[n]: a limit on steps or on steps without progress."""
    task: NDArray[Any]
    """int32 [n]: 0 to 31, the level, an index into `MarioVectorEnv.tasks()`."""
    success: NDArray[Any]
    """bool [n]: whether the flag or the axe is reached."""
    score: NDArray[Any]
    """int32 [n]: px of progress in the episode."""
    signals: SignalArrays
    """[n] each: of the state that the action led to, before any reset; see `SIGNALS`. With
    `episode_return`, float32[n]."""
    finished: NDArray[np.int64]
    """[k]: rows of this group whose episode ended."""
    final_obs: Arrays
    """[k, ...]: the last observation of each of those episodes."""


@dataclass(frozen=True, slots=True)
class Journal:
    """What was played in a watched game since its level began."""

    level: str
    """Where it began."""
    own_start: bool
    """Whether the episode began there too."""
    buttons: bytes
    """Of each emulated frame, as in `Console.step`, no-ops and the frames that led to a start
    within the level among them."""
    decided: NDArray[np.uint32]
    """[S]: how many frames there were before each action of the episode."""


def observation_space(config: EnvConfig) -> gymnasium.Space[Any]:
    """Of one game: uint8 arrays, for tiles a dict with float32 scalars beside them."""
    box = gymnasium.spaces.Box
    if config.observation == "tiles":
        return gymnasium.spaces.Dict(
            scalars=box(-np.inf, np.inf, (_native.SCALARS,), np.float32),
            tiles=box(0, 255, _native.TILE_SHAPE, np.uint8),
        )
    shapes = {
        "pixels": (config.frame_stack, *config.size),
        "rgb": (240, 256, 3),
        "ram": (2048,),
    }
    return box(0, 255, shapes[config.observation], np.uint8)


class MarioVectorEnv(VectorEnv[Arrays, NDArray[np.int64], NDArray[Any]]):
    """N games of Super Mario Bros., stepped natively by several threads.

    Args:
        levels: "1-1", "1-1,1-2", a list, a mapping from levels to weights, or "all".
        num_envs: number of games.
        threads: how many threads step them, the caller included, at most 1,024; None: one for
            each core that this process may use (`warpzone.cpu`). Results do not depend on it.
        seed: of all random draws; each game has a stream of its own.
        num_groups: groups for `send` and `recv`, of equal size but for rounding.
        reward: a name (see `EnvConfig`) or a `RewardFunction`.
        rom: a file, a `Rom`, or None to look for one.
        engine: "auto", "interpreter" or "compiled", see `set_engine`; None: as chosen there.
        config: all settings at once, instead of `levels` and `settings`.
        settings: fields of `EnvConfig`.

    Raises:
        ConfigError: a setting with an unknown name or an impossible value.
        LevelError: an unknown level.
        RomError: no usable ROM.
        EngineError: engine "compiled", and the program cannot run as native code.
    """

    def __init__(
        self,
        levels: LevelSpec = "1-1",
        num_envs: int = 1,
        *,
        threads: int | None = None,
        seed: int = 0,
        num_groups: int = 1,
        reward: str | RewardFunction = "progress",
        rom: RomSource = None,
        engine: str | None = None,
        config: EnvConfig | None = None,
        keep_frames: bool = False,
        render_mode: str | None = None,
        **settings: Any,
    ) -> None:
        self.reward_function = reward if callable(reward) else None
        if config is None:
            name = "progress" if callable(reward) else reward
            config = env_config(levels=levels, reward=name, **settings)
        elif settings:
            raise ConfigError(f"give either config or settings, not both: {', '.join(settings)}")
        if num_envs < 1:
            raise ConfigError(f"num_envs is {num_envs}: there must be at least one game")
        if not 0 <= seed < 2**64:
            raise ConfigError(f"seed is {seed}: it must be at least 0 and below 2**64")
        self.config = config
        self.rom = open_rom(rom)
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.single_observation_space = observation_space(config)
        self.single_action_space = gymnasium.spaces.Discrete(len(config.action_list))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.action_meanings = action_names(config.action_list)
        self.metadata = {
            "render_modes": ["rgb_array"],
            "render_fps": FRAMES_PER_SECOND / config.frame_skip,
            "autoreset_mode": AUTORESET_MODES[config.autoreset],
        }
        native = config.native(
            num_games=num_envs,
            num_groups=num_groups,
            threads=thread_count(threads),
            seed=seed,
            keep_frames=keep_frames,
        )
        self.level_starts = level_starts(cartridge_of(self.rom, engine))
        """Where the levels begin, as the native core has it."""
        try:
            self._batch = _native.Batch(self.level_starts, config.native_rules(), native)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        bounds = [self._batch.group_begin(group) for group in range(num_groups + 1)]
        self.groups = [slice(a, b) for a, b in pairwise(bounds)]
        """The rows of each group."""
        self._map_memory()

    # --- for trainers ---------------------------------------------------------------------------

    def send(self, group: int, actions: NDArray[np.int64], out: Arrays | None = None) -> None:
        """Begins to step the games of a group.

        Args:
            group: index into `groups`.
            actions: int64[n]. With next-step autoreset, those of ended games are not looked at.
            out: where to put the observations, [n, ...], besides `observations()`: an array, or a
                dict of arrays for tiles, each in one piece (C order). The threads that step the
                games write to it until `recv`, which hands it back as `Transition.obs`.

        Raises:
            ValueError: no such group, not one action for each of its games, or an `out` that does
                not fit.
            RuntimeError: the group is stepping already.
        """
        actions = np.asarray(actions)
        if not np.issubdtype(actions.dtype, np.integer):
            raise ValueError(f"actions must be integers, not {actions.dtype}")
        if self.reward_function is not None:
            self._before[self.groups[group]] = self._current_signals(self.groups[group])
        actions = np.ascontiguousarray(actions, dtype=np.int64)
        if out is None:
            self._batch.send(group, actions)
            return
        tiles, scalars = (out["tiles"], out["scalars"]) if isinstance(out, dict) else (out, None)
        try:
            self._batch.send(group, actions, tiles, scalars)
        except TypeError:
            given = {name: (a.dtype, a.shape) for name, a in _named(out).items()}
            wanted = {
                name: (a.dtype, a[self.groups[group]].shape)
                for name, a in _named(self._obs).items()
            }
            raise ValueError(
                f"out must be C-contiguous and writable arrays {wanted}, got {given}"
            ) from None
        self._outs[group] = out

    def recv(self, group: int) -> Transition:
        """Waits until the group has been stepped.

        Raises:
            ValueError: an action that does not exist.
            EngineError: a game that could not go on. Then `reset` before anything else.
        """
        out = self._outs.pop(group, None)
        self._wait(group)
        view = self._views[group]
        signals = view.signals.copy()
        signals["flag"] = view.signals["flag"] != 0
        finished = (view.terminated | view.truncated).nonzero()[0]
        return Transition(
            obs=view.obs if out is None else out,
            reward=view.reward,
            terminated=view.terminated,
            truncated=view.truncated,
            task=signals["level"],
            success=signals["flag"],
            score=signals["progress"],
            signals=signals,
            finished=finished,
            final_obs=self._rows(view.final_obs, finished if len(finished) else slice(0)),
        )

    def tasks(self) -> Sequence[str]:
        """Returns the names of all levels, by the number that `Transition.task` has."""
        return LEVELS

    def observations(self) -> Arrays:
        """The current observations of all games, [N, ...]: views."""
        return self._obs

    def save_state(self) -> bytes:
        """Everything that decides what comes next: games, random streams, observations."""
        return self._batch.save() + self._returns.tobytes()

    def load_state(self, state: bytes) -> None:
        """Goes on from `save_state` of an environment made with the same arguments.

        Raises:
            EngineError: the bytes do not fit this environment.
        """
        split = len(state) - self._returns.nbytes
        try:
            self._batch.load(state[: max(split, 0)])
        except ValueError as error:
            raise EngineError(str(error)) from None
        self._returns[:] = np.frombuffer(state[split:], dtype=np.float32)

    # --- starts within levels -------------------------------------------------------------------

    def explorer(self, level: str, seed: int = 0) -> Explorer:
        """A search for a way through `level` with this environment's actions.

        Raises:
            LevelError: no such level.
            ConfigError: an impossible seed.
        """
        return Explorer(self.level_starts, self.config, level, seed)

    def record_starts(self, level: str, way: Way) -> list[_native.Start]:
        """The moments along a way through `level`.

        Play goes on from each as if it had never been left: the steps that led there are played
        again, enough to fill a stack of pictures. Moments soon after a cutscene or a pause are left
        out. Of a way of frames, a step is as many of them as one of this environment's.

        Raises:
            LevelError: no such level.
            ValueError: an action that does not exist.
        """
        rules = self.config.native_rules()
        steps_back = self.config.frame_stack
        return _native.record_starts(
            self.level_starts, rules, way.native(self.level_starts, level), steps_back
        )

    def set_routes(self, ways: Mapping[str, Sequence[Way]]) -> None:
        """From now on only what lies on one of the ways counts as progress in these levels: neither
        a warp zone nor what is behind the right pipe of a maze; and a pipe that leads on is
        rewarded. Not part of `save_state`."""
        rules, routes = self.config.native_rules(), []
        for level, through in ways.items():
            native = [way.native(self.level_starts, level) for way in through]
            route = _native.record_route(self.level_starts, rules, native)
            routes.append((level_index(level), route))
        self._batch.set_routes(routes)

    def set_starts(self, starts: list[_native.Start]) -> None:
        """Moments at which episodes may begin; none does before `set_start_weights`. They are not
        part of `save_state`.

        Raises:
            ValueError: they were recorded with a `frame_skip` that does not fit this one.
        """
        self._batch.set_starts(starts)

    def set_start_weights(self, weights: NDArray[np.float64], share: float) -> None:
        """From now on the share `share` (0 to 1) of all episodes begins at one of the starts, drawn
        by `weights` (float64[k], at least 0). No group may be stepping.

        Raises:
            ValueError: weights or share are out of their range.
        """
        self._batch.weigh_starts(np.ascontiguousarray(weights, dtype=np.float64), share)

    # --- journals -------------------------------------------------------------------------------

    def watch_games(self, games: Sequence[int]) -> None:
        """From its next episode on, keep a journal of each of these games, and of no other. What is
        played does not change by it. Not part of `save_state`. No group may be stepping.

        Raises:
            ValueError: there is no such game.
        """
        self._batch.watch(list(games))

    def journal(self, game: int) -> Journal | None:
        """Of the running episode of a watched game, whose group is not stepping; None if its
        beginning is not known: it ran already before it was watched or before `load_state`, or it
        began at a start that was not reached from the level's own.

        Raises:
            ValueError: the game is not watched.
        """
        return _journal(self._batch.journal(game))

    def ended_journal(self, game: int) -> tuple[Journal, bytes] | None:
        """The same of the last episode that ended, and the RAM, 2,048 bytes, as it ended."""
        journal = _journal(self._batch.ended_journal(game))
        return None if journal is None else (journal, self._batch.ended_ram(game))

    def ended_map(self, game: int) -> int:
        """Which of the game's maps, 0-127, the last episode of any game ended in: unlike the signal
        `area` it tells places behind pipes apart."""
        return self._batch.ended_map(game)

    # --- Gymnasium ------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Arrays, dict[str, Any]]:
        """Starts new episodes in all games, or where `options["reset_mask"]`, bool[N], is set.

        Returns:
            Observations [N, ...] and infos: the signals as arrays [N].
        """
        super().reset(seed=seed)
        mask = np.ones(self.num_envs, dtype=np.bool_)
        if options is not None and "reset_mask" in options:
            mask = np.asarray(options["reset_mask"], dtype=np.bool_)
            if mask.shape != (self.num_envs,):
                raise ValueError(
                    f"options['reset_mask'] must have shape ({self.num_envs},), not {mask.shape}"
                )
        if seed is not None:
            self._batch.seed(seed)
        try:
            self._batch.reset(mask.astype(np.uint8))
        except RuntimeError as error:
            raise EngineError(str(error)) from None
        return self._copy(self._obs), self._infos(signal_arrays(self._signals.copy()))

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
        """
        actions = np.asarray(actions)
        if actions.shape != (self.num_envs,):
            raise ValueError(f"actions must have shape ({self.num_envs},), not {actions.shape}")
        obs = self._like(self._obs)
        for group, rows in enumerate(self.groups):
            self.send(group, actions[rows], self._rows(obs, rows))
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
            infos = self._infos(begun)
            mask = np.zeros(self.num_envs, dtype=np.bool_)
            mask[finished] = True
            final_obs = np.full(self.num_envs, None, dtype=object)
            for game in finished:
                final_obs[game] = self._copy(self._rows(self._final_obs, game))
            infos["final_obs"], infos["_final_obs"] = final_obs, mask
            infos["final_info"], infos["_final_info"] = self._infos(reached, mask), mask.copy()
        else:
            infos = self._infos(reached)
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

    def picture(self, game: int) -> NDArray[np.uint8]:
        """The last frame of a game: uint8[240, 256, 3]."""
        return PALETTE[self._batch.screen(game)]

    def ram(self, game: int) -> NDArray[np.uint8]:
        """Work RAM of a game, uint8[2048]: a view, writing to it changes the game."""
        return self._batch.ram(game)

    # --- for single games -----------------------------------------------------------------------

    def frames(self) -> NDArray[np.uint8]:
        """With `keep_frames`: all frames of the last step or reset, cutscenes included, as colours
        of `PALETTE`: uint8[k, 240, 256]."""
        return self._batch.frames()

    def run_on(self, frames: int, buttons: int = 0) -> NDArray[np.uint8]:
        """Lets the only game run on without rules, e.g. to see what follows the flag.

        Returns the frames, as `frames` does.
        """
        self._batch.run_on(frames, buttons)
        return self._batch.frames()

    # --- inside ---------------------------------------------------------------------------------

    def _map_memory(self) -> None:
        batch = self._batch
        if self.config.observation == "tiles":
            self._obs: Arrays = {"scalars": batch.scalars, "tiles": batch.observations}
            self._final_obs: Arrays = {
                "scalars": batch.final_scalars,
                "tiles": batch.final_observations,
            }
        else:
            self._obs = batch.observations
            self._final_obs = batch.final_observations
        self._rewards = batch.rewards
        self._terminated = batch.terminated.view(np.bool_)
        self._truncated = batch.truncated.view(np.bool_)
        self._signals = batch.signals
        self._start_signals = batch.start_signals
        # The native core sums its own rewards; those of a reward function are summed here.
        own = self.reward_function is not None
        self._returns = np.zeros(self.num_envs, np.float32) if own else batch.returns
        self._before = np.zeros_like(self._signals)
        self._views = [self._view(rows) for rows in self.groups]
        self._outs: dict[int, Arrays] = {}

    def _view(self, rows: slice) -> Transition:
        """The memory of a group, as `Transition` has it: made once, since making views takes as
        long as a game's step."""
        signals = dict(zip(SIGNALS, self._signals[rows].T, strict=True))
        return Transition(
            obs=self._rows(self._obs, rows),
            reward=self._rewards[rows],
            terminated=self._terminated[rows],
            truncated=self._truncated[rows],
            task=signals["level"],
            success=signals["flag"] != 0,
            score=signals["progress"],
            signals={**signals, "episode_return": self._returns[rows]},
            finished=np.zeros(0, np.int64),
            final_obs=self._rows(self._final_obs, rows),
        )

    def _wait(self, group: int) -> None:
        try:
            self._batch.recv(group)
        except RuntimeError as error:
            raise EngineError(str(error)) from None
        if self.reward_function is not None:
            rows = self.groups[group]
            self._apply_reward(rows, signal_arrays(self._signals[rows]))

    def _current_signals(self, rows: slice) -> NDArray[np.int32]:
        """Of the states that are acted on next: after a same-step reset the new episode's first."""
        ended = (self._terminated[rows] | self._truncated[rows])[:, None]
        reset = self.config.autoreset == "same_step"
        return np.where(ended & reset, self._start_signals[rows], self._signals[rows])

    def _apply_reward(self, rows: slice, signals: SignalArrays) -> None:
        assert self.reward_function is not None
        before = signal_arrays(self._before[rows])
        rewards = np.asarray(self.reward_function(signals, before), dtype=np.float32)
        expected = (rows.stop - rows.start,)
        if rewards.shape != expected:
            raise ConfigError(
                f"the reward function returned shape {rewards.shape}; there must be one reward for "
                f"each game: {expected}"
            )
        first = signals["steps"] == 0  # next-step autoreset: the action was not used
        self._rewards[rows] = np.where(first, 0, rewards)
        begun = before["steps"] == 0
        self._returns[rows] = np.where(begun | first, 0, self._returns[rows]) + self._rewards[rows]

    def _infos(
        self, signals: SignalArrays, mask: NDArray[np.bool_] | None = None
    ) -> dict[str, Any]:
        present = np.ones(self.num_envs, np.bool_) if mask is None else mask
        infos: dict[str, Any] = {}
        for name, values in signals.items():
            infos[name] = values
            infos[f"_{name}"] = present
        return infos

    @staticmethod
    def _rows(arrays: Arrays, rows: Any) -> Arrays:
        if isinstance(arrays, dict):
            return {name: array[rows] for name, array in arrays.items()}
        picked: NDArray[Any] = arrays[rows]
        return picked

    @staticmethod
    def _like(arrays: Arrays) -> Arrays:
        if isinstance(arrays, dict):
            return {name: np.empty_like(array) for name, array in arrays.items()}
        return np.empty_like(arrays)

    @staticmethod
    def _copy(arrays: Arrays) -> Arrays:
        if isinstance(arrays, dict):
            return {name: array.copy() for name, array in arrays.items()}
        return arrays.copy()


def _journal(found: tuple[int, bool, bytes, list[int]] | None) -> Journal | None:
    if found is None:
        return None
    level, own_start, buttons, decided = found
    return Journal(LEVELS[level], own_start, buttons, np.array(decided, np.uint32))


def _named(arrays: Arrays) -> dict[str, NDArray[Any]]:
    return arrays if isinstance(arrays, dict) else {"obs": arrays}


def make_registered(num_envs: int = 1, level: LevelSpec = "1-1", **settings: Any) -> MarioVectorEnv:
    """`MarioVectorEnv` as `gymnasium.make_vec("warpzone/Mario-v0", level=...)` calls it."""
    return MarioVectorEnv(level, num_envs, **settings)
