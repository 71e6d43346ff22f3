"""Many games of Super Mario Bros. at once, in groups that trainers step in turns.

Works on views, and can step one group while the caller is busy with another. Knows nothing of
Gymnasium's way to reset and step: that is `warpzone.smb.vector_env`.

One file because all that reaches the native batch, and is not the same for all games, stands behind
one guard, here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import warpzone._native as _native
from warpzone.console_text import shown
from warpzone.errors import ConfigError, EngineError
from warpzone.nes.arrays import Arrays, rows_of
from warpzone.nes.cartridge import RomSource, cartridge_of
from warpzone.nes.checks import (
    is_whole,
    native_errors,
    number_of,
    require,
    seed_or_drawn,
    whole_number,
)
from warpzone.nes.exclusive import exclusive
from warpzone.nes.game_groups import GameGroups, whole
from warpzone.smb import cartridges
from warpzone.smb.config import EnvConfig
from warpzone.smb.levels import LEVELS, level_index
from warpzone.smb.played import PlayedSteps
from warpzone.smb.reward import RAM_BYTES, RewardFunction, checked_rewards, ram_read_by, with_ram
from warpzone.smb.search import Explorer, Trajectory
from warpzone.smb.signals import SIGNALS, signal_arrays
from warpzone.smb.spaces import observation_space
from warpzone.smb.starts import level_starts
from warpzone.smb.transition import InputLog, Transition


class GameBatch(GameGroups):
    """N games, stepped natively by several threads.

    A copy goes on as the original does, initial states within levels and trajectories included;
    what `watch_games` has recorded so far is not.
    """

    _OF_THIS_PROCESS = (
        *GameGroups._OF_THIS_PROCESS,
        *("level_starts", "_final_obs", "_rewards", "_terminated", "_truncated", "_signals"),
        *("_start_signals", "_returns", "_before", "_ram_before", "_views", "_outs", "_game_views"),
    )
    config: EnvConfig
    _batch: _native.MarioBatch

    def __init__(
        self,
        config: EnvConfig,
        num_envs: int,
        *,
        threads: int | None = None,
        seed: int | None = None,
        num_groups: int = 1,
        reward: RewardFunction | None = None,
        rom: RomSource = None,
        engine: str | None = None,
        keep_frames: bool = False,
    ) -> None:
        super().__init__(
            config,
            config.action_list,
            num_envs,
            threads=threads,
            num_groups=num_groups,
            rom=rom,
            engine=engine,
            keep_frames=keep_frames,
        )
        self.reward_function = reward
        self._ram_read = ram_read_by(reward)
        self._observe(observation_space(config))
        self._masks: dict[str, tuple[Trajectory, ...]] = {}
        self._starts: list[_native.InitialState] = []
        self._start_weights: tuple[NDArray[np.float64], float] | None = None
        self._level_weights: dict[str, float] | None = None
        self._end_penalties: dict[str, float] | None = None
        self._watched: list[int] = []
        self._build(seed_or_drawn(seed))

    def _build(self, seed: int) -> None:
        self.level_starts = level_starts(cartridge_of(self.rom, self._engine))
        """Where the levels begin, as the native core has it."""
        cartridges.check(self.rom, self.level_starts)
        if not self.config.whole_game:
            last = self.config.last_level
            names = list(self.config.levels)
            cartridges.check_levels(self.rom, [*names, last] if last is not None else names)
        native = self._native_config(seed)
        with native_errors():
            self._open(_native.MarioBatch(self.level_starts, self.config.native_rules(), native))
        self._map_memory()
        self._set_own_starts()

    def _restore(self) -> None:
        self.set_progress_masks(self._masks)
        if self._level_weights is not None:
            self.set_level_weights(self._level_weights)
        if self._end_penalties is not None:
            self.set_end_penalties(self._end_penalties)
        if self._starts:
            weights = self._start_weights
            self.set_initial_states(self._starts)
            if weights is not None:
                self.set_start_weights(*weights)
        self.watch_games(self._watched)

    def _forget(self, group: int) -> None:
        self._outs.pop(group, None)

    def _beside(self, rows: slice) -> list[NDArray[Any]]:
        return [self._returns[rows]]

    # --- for trainers ---------------------------------------------------------------------------

    @exclusive
    def send(self, group: int, actions: NDArray[np.int64], out: Arrays | None = None) -> None:
        """Begins to step the games of a group.

        Args:
            group: index into `groups`.
            actions: int64[n]. With next-step autoreset, those of ended games are not looked at.
            out: where to put the observations, [n, ...], besides `observations()`: an array, or a
                dict of arrays for tiles, each in one piece (C order). The threads that step the
                games write to it until `recv`, which hands it back as `Transition.obs`.

        Raises:
            ConfigError: no such group, not one action for each of its games, an action that does
                not exist (then none of the games has moved), or an `out` that does not fit.
            EngineError: the group is stepping already, another thread is using these games, or
                they are closed.
        """
        group, actions = self.checked_group(group), whole(actions)
        tiles: Any = out
        scalars: Any = None
        if isinstance(out, dict):
            tiles, scalars = out.get("tiles"), out.get("scalars")
            if tiles is None or scalars is None:
                raise ConfigError(self._misfit(group, actions, out))
        elif not isinstance(out, np.ndarray | None):
            raise ConfigError(self._misfit(group, actions, out))
        before = ram = None
        if self.reward_function is not None:
            before = self._current_signals(self.groups[group])
            ram = self._read_ram(group, reached=False)
        try:
            self._batch.send(group, actions, tiles, scalars)
        except TypeError:
            raise ConfigError(self._misfit(group, actions, out)) from None
        except ValueError as error:
            raise ConfigError(str(error)) from None
        except RuntimeError as error:
            raise EngineError(str(error)) from None
        if before is not None:
            self._before[self.groups[group]] = before
            if ram is not None:
                self._ram_before[self.groups[group]] = ram
        if out is None:
            self._outs.pop(group, None)
        else:
            self._outs[group] = out

    @exclusive
    def recv(self, group: int) -> Transition:
        """Waits until the group has been stepped.

        Raises:
            ConfigError: no such group.
            EngineError: nothing was sent to it, another thread is using these games, or one of its
                games could not go on. Then `reset` before anything else.
        """
        out = self._outs.get(self.checked_group(group))
        self._wait(group)
        self._outs.pop(group, None)
        view = self._views[group]
        signals = view.signals.copy()
        signals["flag"] = view.signals["flag"] != 0
        finished = (view.terminated | view.truncated).nonzero()[0]
        return Transition(
            obs=view.obs if out is None else out,
            reward=view.reward,
            terminated=view.terminated,
            truncated=view.truncated,
            signals=signals,
            task=signals["level"],
            success=signals["flag"],
            score=signals["progress"],
            finished=finished,
            final_obs=rows_of(view.final_obs, finished if len(finished) else slice(0)),
        )

    @exclusive
    def play(
        self,
        decider: _native.Decider,
        played: PlayedSteps,
        seed: int,
        first: int,
        stride: int | None = None,
    ) -> None:
        """Plays all games for the steps of `played` and fills it, going on where they stand. The
        threads that step the games decide and draw the actions too: no Python runs in between.
        Ctrl-C is heard when it returns.

        Args:
            decider: a native network for these observations and actions.
            played: made for these games.
            seed: of all draws, 0 to 2**64 - 1; those that `warpzone.noise.gumbel` has for it.
            first: the number in the run of the first decision, that of game 0.
            stride: decisions of the run from one step to the next; None: one for each game here.

        Raises:
            ConfigError: a network for other games, steps of other games, or a reward function,
                which is Python.
            EngineError: a group is stepping, another thread is using these games, they are closed,
                do not begin anew in the step that ends them, or one could not go on. Then `reset`
                before anything else.
        """
        require(isinstance(decider, _native.Decider), "decider", decider, "a native network")
        require(isinstance(played, PlayedSteps), "played", played, "PlayedSteps of these games")
        if self.reward_function is not None:
            raise ConfigError("play cannot call a reward function: step the games instead")
        with native_errors():
            self._batch.play(decider, seed, first, stride, **played.native())

    @exclusive
    def take_play_seconds(self) -> dict[str, float]:
        """Returns what `play` spent time on since the last call: seconds of all threads together to
        `step` games, to `decide`, to `store` what was seen and what came of it; and `wall`."""
        with native_errors():
            found: dict[str, float] = self._batch.take_play_seconds()
        return found

    def tasks(self) -> Sequence[str]:
        """Returns the names of all levels, by the number that `Transition.task` has."""
        return LEVELS

    # --- starts within levels -------------------------------------------------------------------

    def explorer(self, level: str, seed: int = 0) -> Explorer:
        """Returns a search for a way through `level` with this environment's actions.

        Raises:
            LevelError: no such level.
            ConfigError: an impossible seed.
        """
        return Explorer(self.level_starts, self.config, level, seed)

    def explorer_from(self, start: _native.InitialState, seed: int = 0) -> Explorer:
        """Returns a search for what lies beyond an initial state.

        Raises:
            ConfigError: an impossible seed.
        """
        _require_moments([start])
        return Explorer(self.level_starts, self.config, LEVELS[start.level], seed, start)

    def big_start(self, level: str) -> bytes:
        """Returns a snapshot of the console at a level's start, where Mario is big.

        Raises:
            LevelError: no such level.
        """
        return self.level_starts.start(level_index(level), power=1)

    def record_initial_states(
        self, level: str, trajectory: Trajectory
    ) -> list[_native.InitialState]:
        """Returns the moments along a way through `level`.

        Play goes on from each as if it had never been left: the steps that led there are played
        again, enough to fill a stack of pictures. Moments soon after a cutscene or a pause are left
        out. Of a way of frames, a step is as many of them as one of this environment's.

        Raises:
            LevelError: no such level.
            ConfigError: an action that does not exist.
        """
        _require_trajectories([trajectory])
        rules = self.config.native_rules()
        steps_back = self.config.frame_stack
        with native_errors():
            return _native.record_initial_states(
                self.level_starts, rules, trajectory.native(self.level_starts, level), steps_back
            )

    @exclusive
    def progress(self) -> NDArray[np.int32]:
        """Returns how far the episodes have come that go on, px of new progress: int32[N]. No group
        may be stepping."""
        return self._current_signals(slice(None))[:, SIGNALS.index("progress")].copy()

    @exclusive
    def set_progress_masks(self, trajectories: Mapping[str, Sequence[Trajectory]]) -> None:
        """From now on only what lies on one of the ways counts as progress in these levels: neither
        a warp zone nor what is behind the right pipe of a maze; and a pipe that leads on is
        rewarded. Not part of `save_state`.

        Raises:
            LevelError: there is no such level.
            ConfigError: these are no trajectories, or one has an action that does not exist.
            EngineError: a group is stepping.
        """
        _require_by_level(trajectories, "trajectories")
        for through in trajectories.values():
            _require_trajectories(through)
        rules, masks = self.config.native_rules(), []
        with native_errors():
            for level, through in trajectories.items():
                native = [trajectory.native(self.level_starts, level) for trajectory in through]
                mask = _native.record_progress_mask(self.level_starts, rules, native)
                masks.append((level_index(level), mask))
            self._batch.set_progress_masks(masks)
        self._masks.update({level: tuple(through) for level, through in trajectories.items()})

    @exclusive
    def set_initial_states(self, starts: list[_native.InitialState]) -> None:
        """Takes moments at which episodes may begin; none does before `set_start_weights`. They are
        not part of `save_state`.

        Raises:
            ConfigError: they were recorded with a `frame_skip` that does not fit this one.
            EngineError: a group is stepping.
        """
        _require_moments(starts)
        with native_errors():
            self._batch.set_initial_states(starts)
        self._starts, self._start_weights = list(starts), None

    @exclusive
    def set_start_weights(self, weights: NDArray[np.float64], share: float) -> None:
        """From now on the share `share` (0 to 1) of all episodes begins at one of the starts, drawn
        by `weights` (float64[k], at least 0). No group may be stepping.

        Raises:
            ConfigError: weights or share are out of their range.
            EngineError: a group is stepping.
        """
        share = number_of(share, "share")
        try:
            given = np.array(weights, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            raise ConfigError(f"weights are {shown(weights)}: they must be numbers") from None
        with native_errors():
            self._batch.set_start_weights(given, share)
        self._start_weights = given, share

    @exclusive
    def set_level_weights(self, weights: Mapping[str, float]) -> None:
        """From now on an episode that begins at a level's start draws the level by these weights,
        at least 0 and not all 0; levels that are not named are not drawn. Not part of `save_state`.
        No group may be stepping.

        Raises:
            ConfigError: a weight is out of its range.
            EngineError: a group is stepping.
            LevelError: there is no such level.
        """
        _require_by_level(weights, "weights")
        given = {
            level: number_of(weight, f"the weight of level {level}")
            for level, weight in weights.items()
        }
        native = [0.0] * len(LEVELS)
        for level, weight in given.items():
            native[level_index(level)] = weight
        with native_errors():
            self._batch.set_level_weights(native)
        self._level_weights = given

    @exclusive
    def set_end_penalties(self, penalties: Mapping[str, float]) -> None:
        """From now on `progress` and `landed` take these, 0 to 100 by level, for an end other than
        the flag; in levels that are not named it is `EnvConfig.end_penalty`. Not part of
        `save_state`. No group may be stepping.

        Raises:
            ConfigError: one is out of its range, or the reward is another.
            EngineError: a group is stepping.
            LevelError: there is no such level.
        """
        for name, reason in self.config.without_effect({"end_penalty"}).items():
            raise ConfigError(f"{name} {reason}")
        _require_by_level(penalties, "penalties")
        given = {
            level: number_of(penalty, f"the penalty of level {level}")
            for level, penalty in penalties.items()
        }
        native = [self.config.end_penalty] * len(LEVELS)
        for level, penalty in given.items():
            native[level_index(level)] = penalty
        with native_errors():
            self._batch.set_end_penalties(native)
        self._end_penalties = given

    @exclusive
    def put_initial_state(self, index: int, start: _native.InitialState) -> None:
        """Replaces one of the initial states, or adds the next, which has no weight before
        `set_start_weights`.

        Raises:
            ConfigError: there are fewer than `index`, or it does not fit these games.
            EngineError: a group is stepping.
        """
        index = whole_number(index, "index")
        _require_moments([start])
        with native_errors():
            self._batch.put_initial_state(index, start)
        added = index == len(self._starts)
        self._starts[index : index + 1] = [start]
        if added and self._start_weights is not None:
            weights, share = self._start_weights
            self._start_weights = np.append(weights, 0.0), share

    @exclusive
    def record_moments(
        self,
        level: str,
        buttons: bytes,
        moments: Sequence[tuple[int, int]],
        variation: int = 0,
    ) -> list[_native.InitialState]:
        """Returns moments of a game that was played, as `InputLog` tells it, as initial states.

        Args:
            level: where the game began, "1-1" to "8-4".
            buttons: of each frame since then.
            moments: of each, frames and agent steps before it. No cutscene may lie in the last
                `leading_frames` of them.
            variation: of the level's start, as the log tells it.

        Raises:
            LevelError: no such level.
            ConfigError: a moment outside what was played, or behind its end.
            EngineError: a group is stepping.
        """
        require(isinstance(moments, Sequence), "moments", moments, "a list of pairs of numbers")
        with native_errors():
            return self._batch.record_moments(
                level_index(level), buttons, list(moments), self.leading_frames, variation
            )

    @property
    def leading_frames(self) -> int:
        """How many frames are played again to begin at a moment: enough to fill a stack."""
        return self.config.frame_stack * self.config.frame_skip

    # --- views ----------------------------------------------------------------------------------

    @exclusive
    def look(self, show_level: NDArray[np.bool_], show_paths: NDArray[np.bool_]) -> None:
        """Shows each game of `tiles` from now on, and in `observations()` at once, with or without
        what `EnvConfig.show_level` and `EnvConfig.show_paths` add, whatever the configuration says:
        bool[N] each. So agents that were trained on different views play in one batch.

        Raises:
            ConfigError: not one value for each game, or games that do not show tiles.
            EngineError: a group is stepping, or the games are closed.
        """
        if self.config.observation != "tiles":
            raise ConfigError(f"look is for games that show tiles, not {self.config.observation!r}")
        try:
            views = [np.ascontiguousarray(one, np.uint8) for one in (show_level, show_paths)]
        except (TypeError, ValueError, OverflowError):
            raise ConfigError("look: there must be True or False for each game") from None
        with native_errors():
            self._batch.look(*views)

    @exclusive
    def observe_tiles(self, group: int, out: Mapping[str, NDArray[Any]]) -> None:
        """Writes what the games of a group, which must not be stepping, show as `tiles`, whatever
        they are configured to show, with all that `EnvConfig.show_level` and
        `EnvConfig.show_paths` add.

        Args:
            group: index into `groups`.
            out: `tiles`, uint8[n, 8, 13, 16], and `scalars`, float32[n, 148], each in one piece
                (C order).

        Raises:
            ConfigError: no such group, or arrays that do not fit it.
            EngineError: the group is stepping, or the games are closed.
        """
        group = self.checked_group(group)
        try:
            tiles, scalars = out["tiles"], out["scalars"]
            self._batch.observe_tiles(group, tiles, scalars)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        except RuntimeError as error:
            raise EngineError(str(error)) from None
        except (TypeError, KeyError, IndexError):
            raise ConfigError(
                "out must be C-contiguous and writable arrays: tiles, uint8, and scalars, float32"
            ) from None

    # --- input logs -----------------------------------------------------------------------------

    @exclusive
    def watch_games(self, games: Sequence[int]) -> None:
        """From its next episode on, log the inputs of each of these games, and of no other; those
        that are logged already go on. What is played does not change by it. Not part of
        `save_state`. No group may be stepping.

        Raises:
            ConfigError: there is no such game.
        """
        require(isinstance(games, Iterable), "games", games, "a list of their numbers")
        chosen = [self.checked_game(game) for game in games]
        with native_errors():
            self._batch.watch(chosen)
        self._watched = chosen

    @property
    def watched_games(self) -> list[int]:
        """Those whose inputs are logged."""
        return list(self._watched)

    @exclusive
    def save_input_logs(self) -> bytes:
        """Returns the logs of the running episodes of watched games that did not begin within a
        level. No group may be stepping."""
        with native_errors():
            return self._batch.save_input_logs()

    @exclusive
    def load_input_logs(self, logs: bytes) -> None:
        """Goes on with `save_input_logs`, after `load_state` of what was saved with it. Those of
        games that are not watched are passed over.

        Raises:
            ConfigError: they are damaged. Nothing is changed then.
            EngineError: a group is stepping.
        """
        with native_errors():
            self._batch.load_input_logs(logs)

    @exclusive
    def input_log(self, game: int) -> InputLog | None:
        """Of the running episode of a watched game, whose group is not stepping; None if its
        beginning is not known: it ran already before it was watched or before `load_state`, it
        began at a start that was not reached from the level's own, or something of that was drawn
        anew (`InputLog.variation`).

        Raises:
            ConfigError: the game is not watched.
            EngineError: its group is stepping.
        """
        with native_errors():
            found = self._batch.input_log(self.checked_game(game))
        return None if found is None or found[-1] else _input_log(found)

    @exclusive
    def ended_input_logs(
        self, game: int, *, varied: bool = False
    ) -> list[tuple[InputLog, bytes] | None]:
        """The same of each of its episodes that ended in the last `play`, else of the last one that
        ended, and the RAM, 2,048 bytes, as it ended. With `varied` those are told too that can only
        be played again with what was drawn anew of their start."""
        with native_errors():
            found = self._batch.ended_input_logs(self.checked_game(game))
        return [
            None if one is None or (one[0][-1] and not varied) else (_input_log(one[0]), one[1])
            for one in found
        ]

    # --- moments --------------------------------------------------------------------------------

    @exclusive
    def console_state(self, game: int) -> bytes:
        """Returns a snapshot of a game's console: for `Console.load`, `options["state"]` and
        `EnvConfig.start_states`.

        Raises:
            ConfigError: there is no such game.
            EngineError: its group is stepping, or the games are closed.
        """
        with native_errors():
            return self._batch.console(self.checked_game(game))

    # --- what comes after -----------------------------------------------------------------------

    @exclusive
    def run_on(self, frames: int, buttons: int = 0) -> NDArray[np.uint8]:
        """Lets the only game run on without rules, e.g. to see what follows the flag.

        Args:
            frames: at most 3,600, a minute.
            buttons: the controller's byte, as in `Console.step`.

        Returns the frames, as `frames` does.

        Raises:
            ConfigError: too many frames, or no such buttons.
        """
        if not (
            is_whole(frames)
            and 0 <= frames <= _MOST_RUN_ON
            and is_whole(buttons)
            and 0 <= buttons <= 255
        ):
            raise ConfigError(
                f"run_on({shown(frames)}, {shown(buttons)}): frames must be 0 to {_MOST_RUN_ON:,}, "
                "and buttons 0 to 255"
            )
        with native_errors():
            self._batch.run_on(frames, buttons)
            return self._batch.kept_frames()

    # --- inside ---------------------------------------------------------------------------------

    def _set_own_starts(self) -> None:
        """Lets episodes begin at the user's own moments."""
        states = self.config.start_states
        with native_errors():
            for state in states:  # one by one, so that the message has its name
                try:
                    self._batch.set_own_starts([state.snapshot], np.ones(1), 0.0)
                except ValueError as error:
                    raise EngineError(f"start_states: {state.name!r}: {error}") from None
            self._batch.set_own_starts(
                [state.snapshot for state in states],
                np.array([state.weight for state in states]),
                self.config.start_state_share,
            )

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
        games = 0 if self._ram_read is None else self.num_envs
        self._ram_before = np.zeros((games, RAM_BYTES), np.uint8)
        """Of what the running steps began with."""
        if games > 0:
            batch.keep_ram()
        self._views = [self._view(rows) for rows in self.groups]
        self._outs: dict[int, Arrays] = {}

    def _view(self, rows: slice) -> Transition:
        """The memory of a group, as `Transition` has it: made once, since making views takes as
        long as a game's step."""
        signals = dict(zip(SIGNALS, self._signals[rows].T, strict=True))
        return Transition(
            obs=rows_of(self._obs, rows),
            reward=self._rewards[rows],
            terminated=self._terminated[rows],
            truncated=self._truncated[rows],
            signals={
                **signals,
                "episode_return": self._returns[rows],
                "map": self._batch.ended_places[rows],
            },
            task=signals["level"],
            success=signals["flag"] != 0,
            score=signals["progress"],
            finished=np.zeros(0, np.int64),
            final_obs=rows_of(self._final_obs, rows),
        )

    def _wait(self, group: int) -> None:
        super()._wait(group)
        if self.reward_function is not None:
            self._apply_reward(group)

    def _current_signals(self, rows: slice) -> NDArray[np.int32]:
        """Of the states that are acted on next: after a same-step reset the new episode's first."""
        ended = (self._terminated[rows] | self._truncated[rows])[:, None]
        reset = self.config.autoreset == "same_step"
        return np.where(ended & reset, self._start_signals[rows], self._signals[rows])

    def _read_ram(self, group: int, *, reached: bool) -> NDArray[np.uint8] | None:
        """RAM of a group's games as they stand, or as the last step left it, uint8[n, 2048]; None
        where the reward function reads none."""
        if self._ram_read is None:
            return None
        rows = self.groups[group]
        ram = np.empty((rows.stop - rows.start, RAM_BYTES), np.uint8)
        with native_errors():
            self._batch.read_ram(group, reached, ram)
        return ram

    def _apply_reward(self, group: int) -> None:
        assert self.reward_function is not None
        rows = self.groups[group]
        now, before = signal_arrays(self._signals[rows]), signal_arrays(self._before[rows])
        first = now["steps"] == 0  # next-step autoreset: the action was not used
        begun = before["steps"] == 0
        ram = self._read_ram(group, reached=True)
        if ram is not None and self._ram_read is not None:
            now = with_ram(now, ram, self._ram_read)
            before = with_ram(before, self._ram_before[rows], self._ram_read)
        rewards = checked_rewards(self.reward_function, now, before)
        self._rewards[rows] = np.where(first, 0, rewards)
        self._returns[rows] = np.where(begun | first, 0, self._returns[rows]) + self._rewards[rows]

    def _misfit(self, group: int, actions: NDArray[np.int64], out: Arrays | None) -> str:
        """Why the native core does not take these."""
        if actions.ndim != 1 or out is None:
            shape = list(actions.shape)
            return f"group {group} with actions {actions.dtype}{shape}: expected int64[n]"
        given = {
            name: (a.dtype, a.shape) if isinstance(a, np.ndarray) else type(a).__name__
            for name, a in _named(out).items()
        }
        wanted = {
            name: (a.dtype, a[self.groups[group]].shape) for name, a in _named(self._obs).items()
        }
        return f"out must be C-contiguous and writable arrays {wanted}, got {given}"


_MOST_RUN_ON = 3600


def _require_by_level(given: Any, name: str) -> None:
    require(isinstance(given, Mapping), name, given, "a mapping from levels")


def _require_moments(given: Any) -> None:
    fits = isinstance(given, Sequence) and all(isinstance(m, _native.InitialState) for m in given)
    require(fits, "initial states", given, "those that record_initial_states returned")


def _require_trajectories(given: Any) -> None:
    fits = isinstance(given, Sequence) and all(isinstance(one, Trajectory) for one in given)
    require(fits, "trajectories", given, "a list of Trajectory")


def _input_log(found: tuple[int, bool, bytes, list[int], int]) -> InputLog:
    level, own_start, buttons, decided, variation = found
    return InputLog(LEVELS[level], own_start, buttons, np.array(decided, np.uint32), variation)


def _named(arrays: Arrays) -> dict[str, NDArray[Any]]:
    return arrays if isinstance(arrays, dict) else {"obs": arrays}
