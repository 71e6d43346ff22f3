"""What is played in some games of a description, as inputs that play it again.

Without sticky buttons the actions tell which buttons were held in each frame: nothing has to be
kept natively.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from warpzone.nes.buttons import buttons_of
from warpzone.nes.game_vector_env import GameVectorEnv
from warpzone.smb.transition import InputLog


@dataclass
class _Log:
    start: int
    idle: int
    """Frames before the first action."""
    actions: list[int] | None = field(default_factory=list)
    """None: the episode ran already when it came to be watched."""


class DescribedLogs:
    """Keeps the actions of watched games.

    Args:
        games: with the autoreset "same_step"; of those with sticky buttons nothing is known.
    """

    def __init__(self, games: GameVectorEnv) -> None:
        self._games = games
        self._starts = list(games.starts)
        self._buttons = [buttons_of(names) for names in games.game.actions]
        self._running: dict[int, _Log] = {}
        self._ended: dict[int, list[InputLog | None]] = {}

    def watch(self, games: Iterable[int]) -> None:
        """Keeps what is played in these games from their next episode on."""
        self._running = {game: _Log(0, 0, None) for game in games}
        self._ended = {game: [] for game in games}

    def sent(self, rows: slice, actions: NDArray[np.int64]) -> None:
        """Takes in the actions of a group that begins to step."""
        for game, log in self._running.items():
            if rows.start <= game < rows.stop and log.actions is not None:
                log.actions.append(int(actions[game - rows.start]))

    def received(self, rows: slice, finished: NDArray[np.int64]) -> None:
        """Takes in which games of a group have ended their episode, and begun another."""
        for game in rows.start + finished:
            if game in self._running:
                self._ended[game].append(self.running(game))
        self.begun(rows.start + finished)

    def begun(self, games: Sequence[int] | NDArray[np.int64]) -> None:
        """Takes in that these games have begun an episode."""
        for game in games:
            if game in self._running:
                self._running[game] = _Log(*self._games.begun(game))

    def running(self, game: int) -> InputLog | None:
        """Returns what was played in the running episode of a watched game; None: not known."""
        log, config = self._running[game], self._games.config
        if log.actions is None or log.start < 0 or config.repeat_action_probability > 0:
            return None
        skip = config.frame_skip
        held = (bytes([self._buttons[action]]) * skip for action in log.actions)
        return InputLog(
            level=self._starts[log.start],
            own_start=log.start == 0,
            buttons=bytes(log.idle) + b"".join(held),
            decided=(log.idle + skip * np.arange(len(log.actions))).astype(np.uint32),
        )

    def ended(self, game: int) -> list[InputLog | None]:
        """Returns those of the episodes that have ended since the last call."""
        found, self._ended[game] = self._ended[game], []
        return found
