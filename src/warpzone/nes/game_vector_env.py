"""Many games of a description as a Gymnasium vector environment.

For trainers there is a second face on the same games, `send` and `recv` on groups of them, as
`warpzone.ppo.rollout.VectorEnv` has it. Knows no game by name.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

import warpzone._native as _native
from warpzone.cpu import thread_count
from warpzone.errors import ConfigError, EngineError
from warpzone.nes.buttons import action_names, buttons_of
from warpzone.nes.cartridge import RomSource, cartridge_of, open_rom
from warpzone.nes.checks import checked_seed, native_errors
from warpzone.nes.console import FRAMES_PER_SECOND, PALETTE
from warpzone.nes.env_fields import AUTORESET_MODES
from warpzone.nes.exclusive import InUse, exclusive
from warpzone.nes.game import Game, game_named
from warpzone.nes.game_config import GameConfig, check_config, game_config
from warpzone.nes.game_observations import observation_space, observed
from warpzone.nes.game_referee import Referee, at_start
from warpzone.nes.game_starts import snapshot_of, values_at
from warpzone.nes.game_transition import GameTransition
from warpzone.nes.variables import Values
from warpzone.nes.vector_options import each_of, infos_of, mask_of, seeds_of

_OF_THIS_PROCESS = ("_in_use", "_batch", "_obs", "_referee")
"""Attributes that a copy makes anew."""


class GameVectorEnv(InUse, VectorEnv[NDArray[Any], NDArray[np.int64], NDArray[Any]]):
    """N games of a description, stepped natively by several threads.

    Observations are arrays: `pixels` uint8[N, frame_stack, height, width], `variables`
    float32[N, k], `ram` uint8[N, 2048], `rgb` uint8[N, 240, 256, 3]. `info` holds the variables,
    and what the game's `info` adds, as arrays [N]. Whether an episode has ended is asked after each
    step of `frame_skip` frames. Can be copied (`copy.deepcopy`), and pickled if the description
    can.

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
        settings: fields of `GameConfig`.

    Raises:
        ConfigError: a setting with an unknown name or an impossible value, a start that the game
            does not have, or a function of the game that does not return what it is to.
        RomError: no usable ROM, or another game.
        EngineError: the game does not get to a start, or (engine "compiled") cannot run as native
            code.
    """

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
        **settings: Any,
    ) -> None:
        super().__init__()
        self.game = game_named(game) if isinstance(game, str) else game
        if config is not None and settings:
            raise ConfigError(f"give either config or settings, not both: {', '.join(settings)}")
        self.config = game_config(self.game, settings) if config is None else config
        check_config(self.game, self.config)
        if num_envs < 1:
            raise ConfigError(f"num_envs is {num_envs}: there must be at least one game")
        if render_mode not in (None, "rgb_array"):
            raise ConfigError(f"render_mode {render_mode!r}: there is None or 'rgb_array'")
        self.render_mode = render_mode
        self.autoreset_mode = AUTORESET_MODES[self.config.autoreset]
        self.metadata = {
            "render_modes": ["rgb_array"],
            "render_fps": max(1, round(FRAMES_PER_SECOND / self.config.frame_skip)),
            "autoreset_mode": self.autoreset_mode,
        }
        self.num_envs = num_envs
        self.num_groups = num_groups
        self.threads = thread_count(threads)
        self.rom = open_rom(self.game.cartridge if rom is None else rom)
        self.game.check_cartridge(self.rom)
        self._engine = engine
        self._keep_frames = keep_frames
        self.single_action_space = gymnasium.spaces.Discrete(len(self.game.actions))
        self.action_meanings = action_names(self.game.actions)
        self.starts = dict(self.config.starts or {next(iter(self.game.starts)): 1.0})
        """The starts that are played, and their weights."""
        self._build(secrets.randbits(64) if seed is None else checked_seed(seed))
        start = next(iter(self.starts))
        first = at_start(self.game, start, *values_at(self.game, start, self.rom, self._engine))
        self.single_observation_space: gymnasium.Space[Any] = observation_space(
            self.game, self.config, first
        )
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
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
        options = {} if options is None else dict(options)
        mask = mask_of(options.pop("reset_mask", None), self.num_envs)
        starts = each_of(options.pop("start", None), "start", (str,), self.num_envs)
        states = each_of(options.pop("state", None), "state", (bytes, bytearray), self.num_envs)
        if options:
            raise ConfigError(
                f"reset has no option {', '.join(map(repr, options))}: there are 'reset_mask', "
                "'start' and 'state'"
            )
        if any(a is not None and b is not None for a, b in zip(starts, states, strict=True)):
            raise ConfigError("give a game either options['start'] or options['state'], not both")
        known = list(self.starts)
        for name in starts:
            if name is not None and name not in known:
                raise ConfigError(
                    f"no start {name!r} is played here: there are {', '.join(known)}; name more"
                    " with the setting `starts`"
                )
        seeds = seeds_of(seed, self.num_envs)
        if isinstance(seed, int | np.integer):
            self._np_random = None
        self._reset(
            mask,
            seeds,
            [-1 if name is None else known.index(name) for name in starts],
            [b"" if s is None else bytes(s) for s in states] if any(states) else [],
        )
        now, before = self._referee.values_of(slice(None))
        return self._obs.copy(), infos_of(self._referee.told(slice(None), now, before))

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
        actions = np.asarray(actions)
        if actions.shape != (self.num_envs,):
            raise ConfigError(f"actions must have shape ({self.num_envs},), not {actions.shape}")
        with native_errors():
            self._batch.check_actions(_whole(actions))
        for group, rows in enumerate(self.groups):
            self.send(group, actions[rows])
        results, failure = [], None
        for group in range(len(self.groups)):  # all of them, or a group would be left stepping
            try:
                results.append(self.recv(group))
            except Exception as error:
                failure = failure or error
        if failure is not None:
            raise failure
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
            return self._obs.copy(), rewards, terminated, truncated, infos_of(reached)
        now, before = self._referee.values_of(slice(None))
        begun = self._referee.told(slice(None), now, before)
        rows_begun = {name: np.where(mask, begun[name], values) for name, values in reached.items()}
        infos = infos_of(rows_begun)
        final_obs = np.full(self.num_envs, None, dtype=object)
        finals = [row for result in results for row in result.final_obs]
        for game, last in zip(np.flatnonzero(mask), finals, strict=True):
            final_obs[game] = last
        infos["final_obs"], infos["_final_obs"] = final_obs, mask
        infos["final_info"], infos["_final_info"] = infos_of(reached, mask), mask.copy()
        return self._obs.copy(), rewards, terminated, truncated, infos

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """With render_mode "rgb_array": the picture of each game, uint8[240, 256, 3]."""
        if self.render_mode is None:
            return None
        return tuple(self.picture(i) for i in range(self.num_envs))

    def close_extras(self, **_: Any) -> None:
        """Ends the threads. After that, games can neither be reset nor stepped."""
        with native_errors():
            self._batch.close()

    # --- for trainers ---------------------------------------------------------------------------

    def tasks(self) -> Sequence[str]:
        """Returns the names of the starts that are played, by their number in a transition."""
        return list(self.starts)

    def observations(self) -> NDArray[Any]:
        """Returns the current observations of all games, [N, ...]: a view."""
        return self._obs

    def send(self, group: int, actions: NDArray[np.int64], out: Any = None) -> None:
        """Begins to step the games of a group with int64[n]. Nothing is written to `out`.

        Raises:
            ConfigError: no such group, not one action for each of its games, or an action that does
                not exist: then none of the games has moved.
            EngineError: the group is stepping already, another thread is using these games, or
                they are closed.
        """
        with native_errors():
            self._batch.send(group, _whole(actions))

    def recv(self, group: int) -> GameTransition:
        """Waits until the group has been stepped, and asks the game's functions what came of it.

        Raises:
            ConfigError: no such group, or a function that does not return what it is to.
            EngineError: nothing was sent to it, another thread is using these games, or one of its
                games could not go on. Then `reset` before anything else.
        """
        with native_errors():
            self._batch.recv(group)
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
            self._batch.ended[mask] = 1
            if self.config.autoreset == "same_step":
                self._reset(mask, [], [], [])
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
        )

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

    @exclusive
    def save_state(self, game: int | None = None) -> bytes:
        """Returns everything that decides what comes next: consoles, random streams, observations.

        Args:
            game: only of this one, 0 to N-1; the same bytes as `GameEnv.save_state` gives.

        Raises:
            ConfigError: there is no such game.
            EngineError: a group is stepping, or the games are closed.
        """
        with native_errors():
            state = self._batch.save(-1 if game is None else self._checked(game))
        rows = slice(None) if game is None else slice(game, game + 1)
        return b"".join([state, *(array.tobytes() for array in self._beside(rows))])

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
        index = -1 if game is None else self._checked(game)
        rows = slice(None) if game is None else slice(game, game + 1)
        arrays = self._beside(rows)
        split = max(len(state) - sum(array.nbytes for array in arrays), 0)
        try:
            self._batch.load(state[:split], index)
        except (ValueError, RuntimeError) as error:
            raise EngineError(str(error)) from None
        for array in arrays:
            array[:] = np.frombuffer(state, array.dtype, array.size, split).reshape(array.shape)
            split += array.nbytes

    # --- one game of them -----------------------------------------------------------------------

    def picture(self, game: int) -> NDArray[np.uint8]:
        """Returns the last frame of a game: uint8[240, 256, 3]."""
        with native_errors():
            screen: NDArray[np.uint8] = self._batch.screen(self._checked(game))
        return PALETTE[screen]

    def frames(self) -> NDArray[np.uint8]:
        """With `keep_frames`: all frames of the last step, after a reset the one that is shown, as
        colours of `PALETTE`: uint8[k, 240, 256]."""
        return self._batch.kept_frames()

    def values(self) -> Values:
        """Returns variables and memory of all games, as the description's functions get them."""
        return self._referee.copied()

    def begun(self, game: int) -> tuple[int, int]:
        """Returns the start of a game's episode, -1: elsewhere, and its idle frames before play."""
        idle = self._batch.frames[game] - self._batch.steps[game] * self.config.frame_skip
        return int(self._batch.starts[game]), int(idle)

    def ram(self, game: int) -> NDArray[np.uint8]:
        """Returns the work RAM of a game, uint8[2048]: a view, writing to it changes the game."""
        with native_errors():
            return self._batch.ram(self._checked(game))

    def prg_ram(self, game: int) -> NDArray[np.uint8]:
        """Returns the cartridge's RAM of a game, uint8[n]: a view, as of `ram`."""
        with native_errors():
            return self._batch.prg_ram(self._checked(game))

    def console_state(self, game: int) -> bytes:
        """Returns a snapshot of a game's console, for `Console.load` or `options["state"]`."""
        with native_errors():
            return self._batch.console(self._checked(game))

    def _beside(self, rows: slice) -> list[NDArray[Any]]:
        """What is to be saved beside the native state: views."""
        arrays = self._referee.kept(rows)
        return arrays if not self._of_variables else [*arrays, self._obs[rows]]

    # --- inside ---------------------------------------------------------------------------------

    def _build(self, seed: int) -> None:
        play = _native.Play()
        play.actions = [buttons_of(names) for names in self.game.actions]
        play.frame_skip = self.config.frame_skip
        play.noop_max = self.config.noop_max
        play.repeat_action_probability = self.config.repeat_action_probability
        play.status_bar = self.game.status_bar
        play.variables = [variable.native() for variable in self.game.variables.values()]
        play.weights = list(self.starts.values())
        play.set_starts(
            [snapshot_of(self.game, name, self.rom, self._engine) for name in self.starts]
        )
        config = self.config.native(
            num_games=self.num_envs,
            num_groups=self.num_groups,
            threads=self.threads,
            seed=seed,
            keep_frames=self._keep_frames,
        )
        cartridge = cartridge_of(self.rom, self._engine)
        with native_errors():
            self._batch = _native.Consoles(cartridge.native, play, config)
        bounds = [self._batch.group_begin(group) for group in range(self.num_groups + 1)]
        self.groups = [slice(a, b) for a, b in pairwise(bounds)]
        batch = self._batch
        memory = {n: part.views(batch, self.num_envs) for n, part in self.game.memory.items()}
        self._referee = Referee(
            self.game, self.config, batch.values, batch.before, batch.steps, batch.frames, memory
        )

    @property
    def _of_variables(self) -> bool:
        return self.config.observation == "variables"

    @property
    def _shape(self) -> tuple[int, ...]:
        return self.single_observation_space.shape or ()

    def _map_observations(self) -> None:
        self._obs: NDArray[Any] = self._batch.observations
        if self._of_variables:
            self._obs = np.zeros((self.num_envs, *self._shape), np.float32)

    def _reset(
        self,
        mask: NDArray[np.bool_],
        seeds: list[tuple[int, int] | None],
        starts: list[int],
        states: list[bytes],
    ) -> None:
        with native_errors():
            try:
                self._batch.reset(mask.astype(np.uint8), seeds, starts, states)
            except ValueError as error:
                raise EngineError(str(error)) from None
        self._referee.begin(mask)
        if self._of_variables:
            now, before = self._referee.values_of(mask)
            self._obs[mask] = observed(self.game, now, before, self._shape)

    def _checked(self, game: int) -> int:
        if not 0 <= game < self.num_envs:
            raise ConfigError(f"there is no game {game}: games are 0 to {self.num_envs - 1}")
        return game

    def __getstate__(self) -> dict[str, Any]:
        saved = self.save_state()
        kept = {name: v for name, v in self.__dict__.items() if name not in _OF_THIS_PROCESS}
        return {**kept, "_saved": saved}

    def __setstate__(self, state: dict[str, Any]) -> None:
        saved = state.pop("_saved")
        self.__dict__.update(state)
        InUse.__init__(self)
        self._build(0)
        self._map_observations()
        self.load_state(saved)


def _whole(actions: Any) -> NDArray[np.int64]:
    actions = np.asarray(actions)
    if not np.issubdtype(actions.dtype, np.integer) or actions.ndim != 1:
        raise ConfigError(f"actions must be integers [n], not {actions.dtype}{list(actions.shape)}")
    return np.ascontiguousarray(actions, dtype=np.int64)


def make_registered(
    num_envs: int = 1, *, game: Game | str, rom: RomSource = None, **settings: Mapping[str, Any]
) -> GameVectorEnv:
    """`GameVectorEnv` as `gymnasium.make_vec("warpzone/Tetris-v0", num_envs=8)` calls it."""
    return GameVectorEnv(rom, game, num_envs, **settings)  # type: ignore[arg-type]
