"""What is played in training, written down to be looked at: episodes, and where they end.

episodes/<step>-<game>.json   finished episodes of a few watched games, to be played again exactly:
                              the last 200, and those that were the best so far
live/<game>.json              what each of these games is playing
episode_ends.jsonl            a line for an ended episode of any game, 32 at most for an update

All of it is written between two updates and at a bounded rate, and nothing of it matters to the
training: if the disk is full, this is said once and the training goes on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from warpzone.episodes.format import (
    Decisions,
    DescribedStart,
    Episode,
    RomIdentity,
    TrainingPlayer,
)
from warpzone.episodes.outcome import Outcome
from warpzone.errors import EpisodeError, FileError
from warpzone.files import append_to, by_number, open_to_change, write_atomically
from warpzone.nes.rom import Rom
from warpzone.ppo.rollout import Rollout
from warpzone.smb.levels import LEVELS
from warpzone.smb.transition import InputLog
from warpzone.training.migration import EPISODE_ENDS
from warpzone.training.step_result import StepResult

KEPT = 200
"""Finished episodes, besides those that were the best so far."""
PAUSE = 1.0
"""Seconds between two finished episodes that are written, unless they are the best so far."""
LIVE_PAUSE = 2.0
"""Seconds between two states of the running episodes."""
MOST_ENDS = 32
"""Lines for an update."""
MOST_DECISIONS = 100_000
"""Of a running episode that are held: one that goes on for longer, in a game that never ends, is
not written down."""
TOLD = (
    *("level", "start", "area", "map", "x", "y", "death", "flag", "progress", "frames"),
    *("episode_return", "success", "best_progress"),
)
"""Signals of an episode's end that something is made of, where games have them."""
_NAME = re.compile(r"\d{9,}-\d{3,}\.json")


@dataclass(frozen=True, slots=True)
class _Ended:
    game: int
    t: int
    """Step of the rollout that was its last."""
    signals: dict[str, Any]
    played: tuple[InputLog, bytes | None] | None
    """See `MarioVectorEnv.ended_input_logs`."""


@dataclass(frozen=True, slots=True)
class _PolicyOutputs:
    """Of consecutive decisions in one game."""

    actions: np.ndarray
    values: np.ndarray
    log_probs: np.ndarray


class WatchedEnv(Protocol):
    """Games whose inputs can be kept: those of Super Mario Bros., and described ones."""

    num_envs: int
    rom: Rom

    action_meanings: list[str]

    @property
    def watched_games(self) -> Sequence[int]: ...
    def watch_games(self, games: Sequence[int]) -> None: ...
    def input_log(self, game: int) -> InputLog | None: ...
    def ended_input_logs(
        self, game: int
    ) -> Sequence[tuple[InputLog, bytes] | tuple[InputLog, None] | None]: ...
    def ram(self, game: int) -> NDArray[np.uint8]: ...


class EpisodeWriter:
    """Writes down what is played in a run.

    Args:
        run: its directory.
        env: its games.
        watched: how many of them are to be watched.
        log: receives one line if nothing can be written.
        offset: bytes of episode_ends.jsonl that the state holds from which the run goes on.
        describe: gives the moment of a described game's start; None: starts are levels.
    """

    def __init__(
        self,
        run: Path,
        env: WatchedEnv,
        watched: int,
        log: Callable[[str], None],
        offset: int = 0,
        describe: Callable[[str], DescribedStart] | None = None,
    ) -> None:
        self.describe = describe
        self.run, self.env, self.log = run, env, log
        self.games = sorted(
            {int(game) for game in np.linspace(0, env.num_envs - 1, min(watched, env.num_envs))}
        )
        env.watch_games(sorted({*env.watched_games, *self.games}))
        self.offset = offset
        """Bytes of episode_ends.jsonl."""
        self._ends_file = run / EPISODE_ENDS
        self._name = _one_line(run.resolve().name)
        self._names = env.action_meanings
        self._cartridge = RomIdentity(sha1=env.rom.sha1, revision=env.rom.revision)
        self._ended: list[_Ended] = []
        self._ends: list[dict[str, Any]] = []
        self._lines: list[str] = []
        """Of episode_ends.jsonl, not yet written."""
        self._running: dict[int, list[_PolicyOutputs]] = {game: [] for game in self.games}
        self._best: dict[str, tuple[bool, int]] = {}
        self._kept: deque[Path] = deque()
        self._wrote = self._wrote_live = -np.inf
        self._warned = False
        with self._tolerant():
            for name in ("episodes", "live"):
                (run / name).mkdir(parents=True, exist_ok=True)
            # What an earlier process wrote after the state that the run goes on from.
            with append_to(self._ends_file) as file:
                file.truncate(min(offset, file.tell()))
                self.offset = file.seek(0, os.SEEK_END)
            for path in sorted((run / "episodes").glob("*.json"), key=by_number):
                if _NAME.fullmatch(path.name) is None:
                    continue  # somebody else's
                try:
                    self._count(path, Episode.load(path))
                except EpisodeError:
                    if path.is_file():
                        path.unlink()  # cut short by whatever ended that process

    def observe(self, first: int, step: StepResult) -> None:
        """Take in the episodes that ended in steps of the rollout, of whose samples `first` is the
        one of row 0. Each game's input logs are those of these steps alone."""
        logs: dict[int, Iterator[tuple[InputLog, bytes | None] | None]] = {}
        for row in step.finished:
            t, game = divmod(first + int(row), self.env.num_envs)
            told = step.signals
            signals = {name: told[name][row].item() for name in TOLD if name in told}
            if self.describe is None:  # described games have no map to show ends on
                self._ends.append(signals)
            if game in self._running:
                if game not in logs:
                    logs[game] = iter(self.env.ended_input_logs(game))
                self._ended.append(_Ended(game, t, signals, next(logs[game])))

    def keep(self, step: int, rollout: Rollout) -> None:
        """Write down what is worth it of a rollout that has been played to its end.

        Args:
            step: agent steps of training before it.
            rollout: whose transitions `observe` has seen. No group may be stepping.
        """
        games = self.games
        outputs = _PolicyOutputs(
            rollout.actions.cpu().numpy()[:, games],
            rollout.values.cpu().numpy()[:-1, games],
            rollout.log_probs.cpu().numpy()[:, games],
        )
        begun = dict.fromkeys(games, 0)
        for ended in self._ended:
            column = games.index(ended.game)
            self._append(outputs, column, begun[ended.game], ended.t + 1)
            begun[ended.game] = ended.t + 1
            self._consider(step, ended)
            self._running[ended.game] = []
        for column, game in enumerate(games):
            self._append(outputs, column, begun[game], len(outputs.actions))
        now = time.monotonic()
        if now - self._wrote_live >= LIVE_PAUSE:
            self._wrote_live = now
            for game in games:
                self._write_live(step, game)
        ends = self._ends[:: -(-len(self._ends) // MOST_ENDS) or 1]
        self._lines += [json.dumps(_end(step, signals)) + "\n" for signals in ends]
        self._ends.clear()
        self._ended.clear()

    def flush(self) -> None:
        """Writes what `keep` has noted for episode_ends.jsonl: before the state is copied, which
        `offset` is part of."""
        if not self._lines:
            return
        data = "".join(self._lines).encode()
        self._lines.clear()
        with self._tolerant(), open_to_change(self._ends_file) as file:
            # After a line that a full disk cut short, the next one takes its place.
            file.truncate(self.offset)
            file.seek(self.offset)
            file.write(data)
            file.flush()
            self.offset += len(data)

    def _append(self, outputs: _PolicyOutputs, column: int, begin: int, end: int) -> None:
        if begin < end:
            part = _PolicyOutputs(
                outputs.actions[begin:end, column],
                outputs.values[begin:end, column],
                outputs.log_probs[begin:end, column],
            )
            running = self._running[self.games[column]]
            running.append(part)
            if sum(len(one.actions) for one in running) > MOST_DECISIONS:
                running.clear()  # as of an episode that ran before this process watched

    def _consider(self, step: int, ended: _Ended) -> None:
        """Write down an episode that is the best of its level so far, and another now and then."""
        if ended.played is None:
            return
        input_log, ram = ended.played
        outcome = Outcome.from_signals(ended.signals)
        best = input_log.own_start and self._is_best(input_log.level, outcome)
        now = time.monotonic()
        path = self.run / "episodes" / f"{step:09d}-{ended.game:03d}.json"
        # A game can end twice in a rollout.
        if not best and (now - self._wrote < PAUSE or path.exists()):
            return
        episode = self._episode(step, ended.game, input_log, ram, outcome)
        if episode is None:
            return
        self._wrote = now
        with self._tolerant():
            _write(path, episode)
            self._count(path, episode)

    def _count(self, path: Path, episode: Episode) -> None:
        """Take in a file that has been written, and remove one that is not to stay."""
        with contextlib.suppress(ValueError):  # the game's episode before, of the same rollout
            self._kept.remove(path)
        player, outcome = episode.player, episode.outcome
        own = isinstance(player, TrainingPlayer) and player.own_start
        if outcome is not None and own and self._is_best(episode.start, outcome):
            self._best[episode.start] = _rank(outcome)
            return
        self._kept.append(path)
        while len(self._kept) > KEPT:
            self._kept.popleft().unlink(missing_ok=True)

    def _is_best(self, start: str, outcome: Outcome) -> bool:
        best = self._best.get(start)
        return best is None or _rank(outcome) > best

    def _write_live(self, step: int, game: int) -> None:
        input_log = self.env.input_log(game)
        if input_log is None or not input_log.buttons:
            return
        episode = self._episode(step, game, input_log, self.env.ram(game).tobytes(), outcome=None)
        if episode is not None:
            with self._tolerant():
                _write(self.run / "live" / f"{game:03d}.json", episode)

    def _episode(
        self,
        step: int,
        game: int,
        input_log: InputLog,
        ram: bytes | None,
        outcome: Outcome | None,
    ) -> Episode | None:
        parts = self._running[game]
        if sum(len(part.actions) for part in parts) != len(input_log.decided):
            return None  # it ran already when this process began to watch
        decisions = None
        if parts:
            decisions = Decisions.of(
                self._names,
                input_log.decided,
                np.concatenate([part.actions for part in parts]),
                np.concatenate([part.values for part in parts]),
                np.exp(np.concatenate([part.log_probs for part in parts])),
            )
        return Episode(
            rom=self._cartridge,
            start=input_log.level,
            described=self.describe and self.describe(input_log.level),
            frames=len(input_log.buttons),
            ram_sha256=None if ram is None else hashlib.sha256(ram).hexdigest(),
            player=TrainingPlayer(
                run=self._name,
                step=step,
                game=game,
                own_start=input_log.own_start,
            ),
            outcome=outcome,
            decisions=decisions,
            buttons=input_log.buttons,
        )

    @contextlib.contextmanager
    def _tolerant(self) -> Any:
        try:
            yield
        except (OSError, FileError) as error:
            if not self._warned:
                self._warned = True
                self.log(
                    f"what is played cannot be written to {self.run}:"
                    f" {getattr(error, 'strerror', None) or error}."
                    " Training goes on; what is missing is some of the games to look at"
                )


def _rank(outcome: Outcome) -> tuple[bool, int]:
    """A clear before none, then the quicker, else the farther."""
    if outcome.cleared:
        return True, -outcome.frames
    return False, outcome.progress


def _end(step: int, signals: dict[str, Any]) -> dict[str, Any]:
    return {
        "step": step,
        "level": LEVELS[signals["level"]],
        "area": signals["area"],
        "map": signals["map"],
        "x": signals["x"],
        "y": signals["y"],
        "death": signals["death"],
        "cleared": bool(signals["flag"]),
        "return": round(signals["episode_return"], 3),
        "frames": signals["frames"],
        "own": signals["start"] < 0,
    }


def _one_line(name: str) -> str:
    """As files of episodes take it."""
    return (name if name.isprintable() else ascii(name))[:200] or "run"


def _write(path: Path, episode: Episode) -> None:
    """Whole or not at all for who reads it now; not made sure of for after a power cut."""
    write_atomically(path, episode.model_dump_json().encode(), durable=False)
