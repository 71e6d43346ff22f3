"""What came of a step, by the functions of a game's description.

Knows nothing of consoles and threads: it is given the numbers that were read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpzone.console_text import shown
from warpzone.errors import ConfigError
from warpzone.nes.game import RESERVED, Function, Game
from warpzone.nes.game_config import GameConfig
from warpzone.nes.variables import Values


@dataclass(slots=True)
class Verdict:
    """Of a step of n games, arrays [n]. `now` and `before` are what the functions were given."""

    now: Values
    before: Values
    reward: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    success: NDArray[np.bool_]
    score: NDArray[Any]
    signals: dict[str, NDArray[Any]]


class Referee:
    """Judges the steps of N games, and keeps what has to be known of their episodes for that.

    Args:
        game: the description.
        config: the limits.
        values, before: int64[N, variables], as they stand and as before the last step.
        memory, memory_before: likewise uint8[N, bytes], the stretches that the game names.
        steps, frames: int32[N] of the running episodes; an episode has just begun at step 0.
        starts: int32[N], at which start each began; -1: elsewhere.
    """

    def __init__(
        self,
        game: Game,
        config: GameConfig,
        *,
        values: NDArray[np.int64],
        before: NDArray[np.int64],
        memory: NDArray[np.uint8],
        memory_before: NDArray[np.uint8],
        steps: NDArray[np.int32],
        frames: NDArray[np.int32],
        starts: NDArray[np.int32],
    ) -> None:
        self.game, self.config = game, config
        self._values, self._before, self._steps, self._frames = values, before, steps, frames
        self._memory: dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]] = {}
        """Each stretch, uint8[N, size], as it stands and as it stood before the last step."""
        end = 0
        for name, stretch in game.memory.items():
            begin, end = end, end + stretch.size
            self._memory[name] = (memory[:, begin:end], memory_before[:, begin:end])
        self._starts = starts
        self.start_steps: NDArray[np.int64] | None = None
        """Steps after which an episode is cut, by its start, int64[starts]; 0: not for that."""
        games = len(steps)
        self.returns = np.zeros(games, np.float32)
        self._stuck = np.zeros(games, np.int64)
        self._progress = np.zeros((4, games))
        """Of the running episode: now, the best, and both before the last step."""

    def kept(self, rows: slice) -> list[NDArray[Any]]:
        """Returns views of all that a saved game must have beside its console."""
        return [self.returns[rows], self._stuck[rows], *(row[rows] for row in self._progress)]

    def begin(self, rows: NDArray[np.bool_]) -> None:
        """Begins episodes, of which the first numbers have been read."""
        self.returns[rows] = 0
        self._stuck[rows] = 0
        if self.game.progress is not None:
            now = self._named(0, rows)
            self._progress[:, rows] = ask(self.game, "progress", now, now, np.float64)

    def judge(self, rows: slice) -> Verdict:
        """Returns what came of the last step of some games.

        Raises:
            ConfigError: a function of the game does not return what it is to.
        """
        fresh = self._steps[rows] == 0  # next-step autoreset: the action was not used
        self._come(rows, fresh)
        now, before = self.values_of(rows)
        success = ask(self.game, "success", now, before, np.bool_) & ~fresh
        terminated = (ask(self.game, "done", now, before, np.bool_) & ~fresh) | success
        reward = ask(self.game, "reward", now, before, np.float32)
        reward = np.where(fresh, np.float32(0), reward)
        self.returns[rows] = np.where(fresh, 0, self.returns[rows]) + reward
        truncated = ~terminated & ~fresh & self._limits(rows, fresh)
        return Verdict(
            now=now,
            before=before,
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            success=success,
            score=self.returns[rows].copy() if self.game.progress is None else now["best_progress"],
            signals=self.told(rows, now, before),
        )

    def values_of(self, rows: Any) -> tuple[Values, Values]:
        """Returns the variables now and before the last step, with the progress where there is
        some."""
        now, before = self._named(0, rows), self._named(1, rows)
        step = (self._steps[rows] > 0).astype(np.int64)
        before["steps"] -= step
        before["frames"] -= step * self.config.frame_skip
        if self.game.progress is not None:
            progress = iter(self._progress[:, rows].copy())
            for values in (now, before):
                values["progress"], values["best_progress"] = next(progress), next(progress)
        return now, before

    def copied(self) -> Values:
        """Returns the variables of all games as they stand, which stay as they are."""
        now, _ = self.values_of(slice(None))
        return Values({name: array.copy() for name, array in now.items()})

    def told(self, rows: Any, now: Values, before: Values) -> dict[str, NDArray[Any]]:
        """Returns what `info` has."""
        told: dict[str, NDArray[Any]] = {
            name: values
            for name, values in now.items()
            if not name.startswith("_") and name not in self._memory
        }
        told["episode_return"] = self.returns[rows].copy()
        told["success"] = ask(self.game, "success", now, before, np.bool_)
        return told | infos(self.game, now, before)

    def _named(self, when: int, rows: Any) -> Values:
        """The variables of some games now (0), or before the last step (1)."""
        values = (self._values, self._before)[when]
        named = Values(zip(self.game.variables, values[rows].T.copy(), strict=True))
        for name, kept in self._memory.items():
            named[name] = kept[when][rows]
            named[name].flags.writeable = False
        named["steps"] = self._steps[rows].astype(np.int64)
        named["frames"] = self._frames[rows].astype(np.int64)
        return named

    def _come(self, rows: slice, fresh: NDArray[np.bool_]) -> None:
        """Works out how far the episodes have come."""
        if self.game.progress is None:
            return
        come = ask(self.game, "progress", self._named(0, rows), self._named(1, rows), np.float64)
        last, best = self._progress[:2, rows].copy()
        self._progress[0, rows] = come
        self._progress[1, rows] = np.where(fresh, come, np.maximum(best, come))
        self._progress[2, rows] = np.where(fresh, come, last)
        self._progress[3, rows] = np.where(fresh, come, best)

    def _limits(self, rows: slice, fresh: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Where an episode is truncated, if it has not ended otherwise."""
        cut = np.zeros(len(fresh), np.bool_)
        if self.config.max_steps is not None:
            cut |= self._steps[rows] >= self.config.max_steps
        if self.start_steps is not None:
            most = np.append(self.start_steps, 0)[self._starts[rows]]  # the last is that of -1
            cut |= (most > 0) & (self._steps[rows] >= most)
        if self.config.no_progress_steps is not None:
            _, best, _, before = self._progress[:, rows]
            self._stuck[rows] = np.where(fresh | (best > before), 0, self._stuck[rows] + 1)
            cut |= self._stuck[rows] >= self.config.no_progress_steps
        return cut


def ask(game: Game, name: str, now: Values, before: Values, dtype: Any) -> NDArray[Any]:
    """Returns what one of a game's functions says, as `dtype`.

    Raises:
        ConfigError: it does not return one value for each game, or a number that is none.
    """
    function: Function = getattr(game, name)
    array = checked(game, name, function(now, before), now, dtype)
    # One of these in a rollout would make all weights of a network NaN.
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        wrong = array[~np.isfinite(array)][0]
        raise ConfigError(f"{game.name}: {name} returned {wrong}; it must be a finite number")
    return array


def checked(game: Game, name: str, found: Any, now: Values, dtype: Any) -> NDArray[Any]:
    """Returns what a function has returned as an array [n]. Raises `ConfigError` if it is none."""
    try:
        array = np.asarray(found, dtype)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{game.name}: {name} returned {shown(found, 60)}: {error}") from None
    if array.shape != now["steps"].shape:
        raise ConfigError(
            f"{game.name}: {name} returned shape {array.shape}; there must be one value for each"
            f" game: {now['steps'].shape}"
        )
    return array


def infos(game: Game, now: Values, before: Values) -> dict[str, NDArray[Any]]:
    """Returns what a game's `info` shows beside the variables.

    Raises:
        ConfigError: it does not return a mapping from names, that are not taken, to arrays [n].
    """
    found = {} if game.info is None else game.info(now, before)
    if not isinstance(found, Mapping):
        raise ConfigError(
            f"{game.name}: info returned {shown(found, 60)}; it must be a dict of arrays"
        )
    for name in found:
        if name in RESERVED or not isinstance(name, str):
            raise ConfigError(f"{game.name}: info must not name something {name!r}")
    return {name: checked(game, f"info {name!r}", v, now, None) for name, v in found.items()}


def at_start(
    game: Game, start: str, variables: dict[str, int], memory: Mapping[str, NDArray[np.uint8]]
) -> tuple[Values, Values]:
    """Returns the variables of one game at a start, as the functions are given them.

    Raises:
        ConfigError: a function fails there, or ends the episode.
    """
    read = {**variables, "steps": 0, "frames": 0}
    now = Values({name: np.array([value], np.int64) for name, value in read.items()})
    now.update({name: bytes_[np.newaxis] for name, bytes_ in memory.items()})
    if game.progress is not None:
        now["progress"] = now["best_progress"] = ask(game, "progress", now, now, np.float64)
    ask(game, "reward", now, now, np.float32)
    infos(game, now, now)
    for name in ("done", "success"):
        if ask(game, name, now, now, np.bool_).any():
            raise ConfigError(
                f"{game.name}: {name} is true at the start {start!r}, where an episode begins"
            )
    return now, now
