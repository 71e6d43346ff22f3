"""Many games of a description as a Gymnasium vector environment.

For trainers there is a second face on the same games, `send` and `recv` on groups of them, as
`warpzone.ppo.rollout.VectorEnv` has it. Knows no game by name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import warpzone._native as _native
from warpzone.errors import ConfigError
from warpzone.nes.action_masks import ActionMasks, action_masks_of
from warpzone.nes.buttons import buttons_of
from warpzone.nes.cartridge import RomSource, cartridge_of
from warpzone.nes.checks import native_errors, require, seed_or_drawn
from warpzone.nes.exclusive import exclusive
from warpzone.nes.game import Game, meant_game
from warpzone.nes.game_config import GameConfig, check_config, game_config
from warpzone.nes.game_groups import GameGroups, whole
from warpzone.nes.game_observations import observation_space, observed
from warpzone.nes.game_referee import Referee, at_start
from warpzone.nes.game_starts import checked_snapshot, values_at
from warpzone.nes.game_transition import GameTransition
from warpzone.nes.variables import Values
from warpzone.nes.vector_games import VectorGames
from warpzone.nes.vector_options import infos_after, infos_of


class GameVectorEnv(VectorGames):
    """N games of a description, stepped natively by several threads.

    Observations are arrays: `pixels` uint8[N, frame_stack, height, width], `variables`
    float32[N, k], `ram` uint8[N, 2048], `rgb` uint8[N, 240, 256, 3]. `info` holds the variables,
    and what the game's `info` adds, as arrays [N]. Whether an episode has ended is asked after each
    step of `frame_skip` frames. Can be copied (`copy.deepcopy`), and pickled if the description
    can: one that was registered (`register_game`) can, whatever its functions are.

    Args:
        rom: a file, a `Rom`, a name that `warpzone rom --list` shows, or None: the game's own.
        game: the description, or the name of one that comes along.
        num_envs: number of games.
        config: all settings at once, instead of `settings`.
        threads: how many threads step the games, the caller included, at most 1,024; None: one for
            each core that this process may use. Results do not depend on it.
        seed: of all random draws, below 2**64; each game has a stream of its own. None: other draws
            each time.
        num_groups: groups for `send` and `recv`, of equal size but for rounding.
        engine: "auto", "interpreter" or "compiled", see `warpzone.set_engine`; None: as chosen
            there.
        keep_frames: keep every emulated frame of the last step, for `frames`; of one game only.
        render_mode: None or "rgb_array".
        action_masks: a function, or `module:function`, that says which actions may be chosen:
            `infos["action_mask"]`, int8[N, actions], tells. None: all, and there is no mask.
        settings: fields of `GameConfig`.

    Raises:
        ConfigError: a setting with an unknown name or an impossible value, a start that the game
            does not have, or a function of the game that does not return what it is to.
        RomError: no usable ROM, or another game.
        EngineError: the game does not get to a start, or (engine "compiled") cannot run as native
            code.
    """

    config: GameConfig
    _place = "start"
    _OF_THIS_PROCESS = (*GameGroups._OF_THIS_PROCESS, "_referee", "_game_views")
    _batch: _native.ConsoleBatch
    _obs: NDArray[Any]

    def __init__(
        self,
        rom: RomSource,
        game: Game | str,
        num_envs: int = 1,
        *,
        config: GameConfig | None = None,
        threads: int | None = None,
        seed: int | None = None,
        num_groups: int = 1,
        engine: str | None = None,
        keep_frames: bool = False,
        render_mode: str | None = None,
        action_masks: str | ActionMasks | None = None,
        **settings: Any,
    ) -> None:
        self.action_masks = action_masks_of(action_masks)
        self.game = meant_game(rom, game)
        require(isinstance(config, GameConfig | None), "config", config, "a GameConfig, or None")
        if config is not None and settings:
            raise ConfigError(f"give either config or settings, not both: {', '.join(settings)}")
        made = game_config(self.game, settings) if config is None else config
        check_config(self.game, made)
        super().__init__(
            made,
            self.game.actions,
            num_envs,
            threads=threads,
            num_groups=num_groups,
            rom=self.game.open_rom(rom),
            engine=engine,
            keep_frames=keep_frames,
        )
        self._show_as(render_mode)
        self._described = self.game
        self.game = _with_own_starts(self.game, self.config)
        own = {state.name: state.weight for state in self.config.start_states}
        weights = own or self.config.starts
        self.starts = dict(weights or {next(iter(self.game.starts)): 1.0})
        """The starts that are played, and their weights."""
        self._start_steps: NDArray[np.int64] | None = None
        self._build(seed_or_drawn(seed))
        start = next(iter(self.starts))
        first = at_start(self.game, start, *values_at(self.game, start, self.rom, engine))
        self._observe(observation_space(self.game, self.config, first))
        self._map_observations()

    # --- Gymnasium ------------------------------------------------------------------------------

    @exclusive
    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Starts new episodes in all games.

        Args:
            seed: new random draws. One number: game `i` draws from stream `i` of it. A list, a
                number or None for each game: each draws as a `GameEnv` does with that seed, and
                goes on with its own stream for None.
            options: `reset_mask`, bool[N]: only in these games. `start`, a name or one for each
                game (None: drawn as usual): where the episode begins, one of `starts`. `state`,
                bytes of `Console.save` or some for each game: the moment at which it begins.

        Returns:
            Observations [N, ...] and infos.

        Raises:
            ConfigError: an impossible seed, an unknown option or start, or one of a wrong shape.
            EngineError: a state that is not one of this cartridge, a group that is stepping, or the
                environment is closed. No game is changed then.
        """
        return self._reset(seed, options)

    @exclusive
    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Steps all games.

        Args:
            actions: int64[N].

        Returns:
            Observations [N, ...], rewards float32[N], terminated bool[N], truncated bool[N], infos
            (with same-step autoreset also `final_obs` and `final_info` where an episode ended, with
            masks `_final_obs` and `_final_info`).

        Raises:
            ConfigError: not one action for each game, or one that does not exist: no game has
                moved then.
            EngineError: an episode is over and autoreset is off, a game cannot go on, another
                thread is using the games, or they are closed.
        """
        results = self._step_all(actions)
        rewards, terminated, truncated = (
            np.concatenate([getattr(result, name) for result in results])
            for name in ("reward", "terminated", "truncated")
        )
        reached = {
            name: np.concatenate([result.signals[name] for result in results])
            for name in results[0].signals
        }
        mask = terminated | truncated
        if self.config.autoreset != "same_step" or not mask.any():
            infos = self._masked(infos_of(reached), reached)
            return self._obs.copy(), rewards, terminated, truncated, infos
        begun = self._shown()
        rows_begun = {name: np.where(mask, begun[name], values) for name, values in reached.items()}
        infos = infos_after(
            reached, rows_begun, mask, [row for result in results for row in result.final_obs]
        )
        self._masked(infos, rows_begun)
        return self._obs.copy(), rewards, terminated, truncated, infos

    # --- for trainers ---------------------------------------------------------------------------

    def tasks(self) -> Sequence[str]:
        """Returns the names of the starts that are played, by their number in a transition."""
        return list(self.starts)

    def observations(self) -> NDArray[Any]:
        """Returns the current observations of all games, [N, ...]: a view."""
        return self._obs

    @exclusive
    def send(self, group: int, actions: NDArray[np.int64], out: Any = None) -> None:
        """Begins to step the games of a group with int64[n]. Nothing is written to `out`.

        Raises:
            ConfigError: no such group, not one action for each of its games, or an action that does
                not exist: then none of the games has moved.
            EngineError: the group is stepping already, another thread is using these games, or
                they are closed.
        """
        group = self.checked_group(group)
        with native_errors():
            try:
                self._batch.send(group, whole(actions))
            except TypeError:
                raise ConfigError(
                    f"actions must be integers [n], not of shape {np.shape(actions)}"
                ) from None

    @exclusive
    def recv(self, group: int) -> GameTransition:
        """Waits until the group has been stepped, and asks the game's functions what came of it.

        Raises:
            ConfigError: no such group, or a function that does not return what it is to.
            EngineError: nothing was sent to it, another thread is using these games, or one of its
                games could not go on. Then `reset` before anything else.
        """
        self._wait(group)
        rows = self.groups[group]
        verdict = self._referee.judge(rows)
        finished = np.flatnonzero(verdict.terminated | verdict.truncated)
        if self._of_variables:
            self._obs[rows] = observed(self.game, verdict.now, verdict.before, self._shape)
        task = np.maximum(self._batch.starts[rows], 0).astype(np.int64)
        final_obs = self._obs[rows][finished]
        if len(finished):
            mask = np.zeros(self.num_envs, np.bool_)
            mask[rows.start + finished] = True
            self._batch.needs_reset[mask] = 1
            if self.config.autoreset == "same_step":
                self._begin(mask, [], [], [])
        return GameTransition(
            obs=self._obs[rows],
            reward=verdict.reward,
            terminated=verdict.terminated,
            truncated=verdict.truncated,
            finished=finished,
            final_obs=final_obs,
            task=task,
            success=verdict.success,
            score=verdict.score,
            signals=verdict.signals,
            partial=np.zeros(len(task), np.bool_),  # each start is a task of its own
        )

    @exclusive
    def set_start_weights(
        self, weights: Sequence[float] | NDArray[np.float64], steps: Sequence[int] | None = None
    ) -> None:
        """From now on episodes begin at the starts, in their order (see `tasks`), drawn by other
        weights. Not part of `save_state`; copies have them.

        Args:
            weights: float[k], at least 0 and not all 0.
            steps: int[k]; an episode is truncated after that many, by where it began (0: not for
                that). None: as before.

        Raises:
            ConfigError: not one for each start, or out of their range.
            EngineError: a group is stepping.
        """
        each = [float(weight) for weight in weights]
        most = self._start_steps if steps is None else np.asarray(steps, np.int64)
        if most is not None and (most.shape != (len(self.starts),) or (most < 0).any()):
            raise ConfigError(
                f"steps must be {len(self.starts)} numbers of at least 0, one for each start"
            )
        with native_errors():
            self._batch.set_weights(each)
        self.starts = dict(zip(self.starts, each, strict=True))
        self._start_steps = self._referee.start_steps = most

    def twin(self, config: GameConfig, num_envs: int, seed: int) -> GameVectorEnv:
        """Returns other games of the same ROM and description, in one group, stepped by as many
        threads."""
        return GameVectorEnv(
            self.rom,
            self.game,
            num_envs,
            config=config,
            threads=self.threads,
            seed=seed,
            engine=self._engine,
        )

    # --- one game of them -----------------------------------------------------------------------

    def values(self) -> Values:
        """Returns variables and memory of all games, as the description's functions get them."""
        return self._referee.copied()

    def begun(self, game: int) -> tuple[int, int]:
        """Returns the start of a game's episode, -1: elsewhere, and its idle frames before play."""
        idle = self._batch.frames[game] - self._batch.steps[game] * self.config.frame_skip
        return int(self._batch.starts[game]), int(idle)

    @exclusive
    def prg_ram(self, game: int) -> NDArray[np.uint8]:
        """Returns the cartridge's RAM of a game, uint8[n]: a view, as of `ram`."""
        with native_errors():
            return self._batch.prg_ram(self.checked_game(game))

    @exclusive
    def console_state(self, game: int) -> bytes:
        """Returns a snapshot of a game's console: for `Console.load`, `options["state"]` and
        `GameConfig.start_states`."""
        with native_errors():
            return self._batch.console(self.checked_game(game))

    # --- inside ---------------------------------------------------------------------------------

    def _build(self, seed: int) -> None:
        play = _native.Play()
        play.actions = [buttons_of(names) for names in self.game.actions]
        play.frame_skip = self.config.frame_skip
        play.noop_max = self.config.noop_max
        play.repeat_action_probability = self.config.repeat_action_probability
        play.status_bar = self.game.status_bar
        play.variables = [variable.native() for variable in self.game.variables.values()]
        play.stretches = [stretch.native() for stretch in self.game.memory.values()]
        play.weights = list(self.starts.values())
        play.set_starts(
            [checked_snapshot(self.game, name, self.rom, self._engine) for name in self.starts]
        )
        cartridge = cartridge_of(self.rom, self._engine)
        with native_errors():
            batch = _native.ConsoleBatch(cartridge.native, play, self._native_config(seed))
        self._open(batch)
        self._referee = Referee(
            self.game,
            self.config,
            values=batch.values,
            before=batch.before,
            memory=batch.memory,
            memory_before=batch.memory_before,
            steps=batch.steps,
            frames=batch.frames,
            starts=batch.starts,
        )
        self._referee.start_steps = self._start_steps

    def _forget(self, group: int) -> None:
        # The referee has not seen the step.
        self._batch.needs_reset[self.groups[group]] = 1

    def _map_observations(self) -> None:
        self._obs = self._batch.observations
        if self._of_variables:
            self._obs = np.zeros((self.num_envs, *self._shape), np.float32)

    def _restore(self) -> None:
        self._map_observations()

    def __getstate__(self) -> dict[str, Any]:
        # A description may only be found again, and not pickled, as it was given.
        return {**super().__getstate__(), "game": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state["game"] = _with_own_starts(state["_described"], state["config"])
        super().__setstate__(state)

    def _beside(self, rows: slice) -> list[NDArray[Any]]:
        arrays = self._referee.kept(rows)
        return arrays if not self._of_variables else [*arrays, self._obs[rows]]

    @property
    def _of_variables(self) -> bool:
        return self.config.observation == "variables"

    @property
    def _shape(self) -> tuple[int, ...]:
        return self.single_observation_space.shape or ()

    def _place_number(self, name: str) -> int:
        known = list(self.starts)
        if name not in known:
            raise ConfigError(
                f"no start {name!r} is played here: there are {', '.join(known)}; name more"
                " with the setting `starts`"
            )
        return known.index(name)

    def _begin(
        self,
        mask: NDArray[np.bool_],
        seeds: list[tuple[int, int] | None],
        places: list[int],
        states: list[bytes],
    ) -> None:
        super()._begin(mask, seeds, places, states)
        self._referee.begin(mask)
        if self._of_variables:
            now, before = self._referee.values_of(mask)
            self._obs[mask] = observed(self.game, now, before, self._shape)

    def _shown(self) -> dict[str, NDArray[Any]]:
        now, before = self._referee.values_of(slice(None))
        return self._referee.told(slice(None), now, before)

    def _arrived(self, group: int) -> GameTransition:
        return self.recv(group)


def _with_own_starts(game: Game, config: GameConfig) -> Game:
    """A description whose starts are the user's own moments, where there are any."""
    if not config.start_states:
        return game
    moments = {state.name: state.snapshot for state in config.start_states}
    return dataclasses.replace(game, starts=moments)


def make_registered(
    num_envs: int = 1, *, game: Game | str, rom: RomSource = None, **settings: Mapping[str, Any]
) -> GameVectorEnv:
    """`GameVectorEnv` as `gymnasium.make_vec("warpzone/Game-v0", game="tetris")` calls it."""
    return GameVectorEnv(rom, game, num_envs, **settings)  # type: ignore[arg-type]
