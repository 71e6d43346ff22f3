"""Search for a way through a level, over snapshots of the game (Ecoffet et al. 2021, "First return,
then explore"). Native code plays some 100,000 agent steps a second on one core."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import warpzone._native as _native
from warpzone.nes.checks import checked_seed, native_errors, require, whole_number
from warpzone.nes.exclusive import InUse, exclusive
from warpzone.smb.config import EnvConfig
from warpzone.smb.levels import level_index

SHORT = 100
"""Agent steps between two looks at whether a point has been reached."""
SLICE = 50_000
"""Agent steps between two moments at which Python can handle a signal."""


@dataclass(frozen=True)
class Trajectory:
    """How a level is played."""

    inputs: bytes
    """A byte for each agent step, the index of an action; with `frames` for each frame, its
    buttons as in `Console.step`."""
    cleared: bool = True
    """Whether it ends at the flag or the axe; else at the farthest point found."""
    steps: int = 0
    """Agent steps that the search has played."""
    frames: bool = False
    begin: bytes | None = None
    """A snapshot of the console where it begins; None: the level's start."""

    def native(self, levels: _native.LevelStarts, level: str) -> _native.Trajectory:
        """As the native core takes it. Raises `LevelError`: no such level."""
        return _native.Trajectory(levels, level_index(level), self.inputs, self.frames, self.begin)


def tendency(buttons: list[str]) -> float:
    """How often the search tries an action: levels go to the right, and running carries farther."""
    if "right" not in buttons or "down" in buttons:
        return 1.0
    return 5.0 if "B" in buttons else 2.0


class Explorer(InUse):
    """Keeps every place reached, by area, position in cells of 16×16 px and the game's count of
    right turns in a maze; returns to one and tries random actions, again and again.

    For one thread at a time: while one is in a method, those of another raise `EngineError`.

    Args:
        levels: the cartridge.
        config: actions and frame skip of the environment that the way is for.
        level: "1-1" to "8-4".
        seed: of all random draws.
        begin: where the way is to begin; None: at the level's start.

    Raises:
        LevelError: no such level.
        ConfigError: an impossible seed.
    """

    _USED, _OWN = "this search", "a search"

    def __init__(
        self,
        levels: _native.LevelStarts,
        config: EnvConfig,
        level: str,
        seed: int,
        begin: _native.InitialState | None = None,
    ) -> None:
        super().__init__()
        seed = checked_seed(seed)
        rules = config.native_rules()
        weights = [tendency(buttons) for buttons in config.action_list]
        self._native = _native.Explorer(levels, rules, level_index(level), weights, seed, begin)

    def __copy__(self) -> Explorer:
        raise TypeError("a search cannot be copied: begin another with the same seed")

    @property
    @exclusive
    def places(self) -> int:
        """How many places are known."""
        with native_errors():
            return self._native.places

    @exclusive
    def search(self, most_steps: int, stop: Callable[[], bool] = lambda: False) -> Trajectory:
        """Plays until a way is found, and as long again for a shorter one; at most `most_steps`.

        A signal that raises, as Ctrl-C does, breaks off within a second; so does `stop`, which is
        asked between slices of play, where another thread searches. It can go on after either.

        Raises:
            ConfigError: `most_steps` is no number of steps.
        """
        most_steps = _steps(most_steps)
        native, found_at = self._native, None
        with native_errors():
            while native.spent < most_steps and not stop():
                if native.cleared:
                    found_at = found_at or native.spent
                    if native.spent >= 2 * found_at:
                        break
                native.run(min(SLICE, most_steps - native.spent))
            return Trajectory(native.trajectory(), native.cleared, native.spent)

    @exclusive
    def reach(self, progress: int, most_steps: int) -> bytes | None:
        """Plays until a point `progress` px farther on is found, or the end of the level, but at
        most `most_steps`; returns the actions that lead there, a byte each, or None.

        Raises:
            ConfigError: `progress` is no whole number, or `most_steps` no number of steps.
        """
        progress, most_steps = whole_number(progress, "progress"), _steps(most_steps)
        native = self._native
        with native_errors():
            while native.best_progress < progress and not native.cleared:
                if native.spent >= most_steps:
                    return None
                native.run(min(SHORT, most_steps - native.spent))
            return native.trajectory()

    @property
    @exclusive
    def cleared(self) -> bool:
        """Whether a way through the level is found."""
        with native_errors():
            return self._native.cleared

    @property
    @exclusive
    def progress(self) -> int:
        """px of new-best x at the farthest place found."""
        with native_errors():
            return self._native.best_progress

    @property
    @exclusive
    def steps(self) -> int:
        """How many agent steps have been played."""
        with native_errors():
            return self._native.spent


def _steps(given: int) -> int:
    steps = whole_number(given, "most_steps")
    require(steps >= 0, "most_steps", steps, "at least 0")
    return steps
