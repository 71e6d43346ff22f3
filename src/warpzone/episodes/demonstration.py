"""Ways through levels that somebody has played: of a recorded game, the best attempt at each.

Who records a game may die and try again, go on to the next level, or begin at the title screen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

import warpzone._native as _native
from warpzone.episodes.format import Episode
from warpzone.episodes.outcome import Outcome
from warpzone.episodes.replay import Replay
from warpzone.nes.console import Console
from warpzone.smb import memory
from warpzone.smb.config import EnvConfig
from warpzone.smb.levels import LEVELS
from warpzone.smb.search import Trajectory
from warpzone.smb.vector_env import MarioVectorEnv

LAST_FRAMES = 60
"""Before a death, in which it is often too late to live: no part of a way."""


@dataclass(frozen=True)
class Demonstration:
    """Holds the best attempt at a level.

    Attributes:
        way: leads to the flag or axe, else to the farthest point that Mario came to alive.
        outcome: of the attempt, its progress and frames without what is not part of the way.
    """

    trajectory: Trajectory
    outcome: Outcome


@dataclass(frozen=True)
class _AttemptStart:
    level: str
    begin: bytes
    """Snapshot of its first moment in which Mario obeys."""
    place: int
    """Frames of the episode before that."""


def demonstrations(envs: MarioVectorEnv, episode: Episode) -> dict[str, Demonstration]:
    """Returns the ways through levels of `envs` that are played in `episode`, by level.

    Args:
        envs: the games that the ways are for; they are not played.
        episode: begins at a level or at power-on.

    Raises:
        EpisodeError: it was recorded on another ROM, or does not go as it was recorded.
    """
    config, levels = envs.config, envs.level_starts
    replay = Replay(episode, Console(envs.rom))
    replay.verify()
    found = list(_attempts(replay, config.levels))
    best: dict[str, Demonstration] = {}
    for attempt in found:
        own = attempt.place == 0 and episode.start == attempt.level
        trajectory = Trajectory(
            episode.buttons[attempt.place :], frames=True, begin=None if own else attempt.begin
        )
        one = _best_part(trajectory, attempt.level, levels, config)
        old = best.get(attempt.level)
        if old is None or _worth(one.outcome) > _worth(old.outcome):
            best[attempt.level] = one
    return best


def _worth(outcome: Outcome) -> tuple[bool, int]:
    return outcome.cleared, outcome.progress


def _attempts(replay: Replay, levels: Collection[str]) -> Iterator[_AttemptStart]:
    """Yields where an attempt at one of these levels begins."""
    console, ram = replay.console, replay.console.ram
    current: int | None = None  # the level of this attempt
    replay.seek(0)
    while True:
        lost = ram[memory.PLAYER_STATE] in (memory.STATES["lose_life"], memory.STATES["dying"])
        if ram[memory.OPER_MODE] != 1 or lost or ram[memory.Y_PAGE] > 1:
            current = None
        elif memory.playing(ram):
            level = memory.level_number(ram)
            if level != current and level < len(LEVELS) and LEVELS[level] in levels:
                yield _AttemptStart(LEVELS[level], console.save(), replay.place)
            current = level
        if replay.ended:
            return
        replay.step()


def _best_part(
    trajectory: Trajectory, level: str, levels: _native.LevelStarts, config: EnvConfig
) -> Demonstration:
    """The way without what comes after its end."""
    followed = _native.follow(levels, config.native_rules(), trajectory.native(levels, level))
    ends, progress = np.array(followed.inputs), np.array(followed.progress)
    if not followed.cleared and len(ends):
        alive = ends <= ends[-1] - (LAST_FRAMES if followed.death else 0)
        ends, progress = ends[alive], progress[alive]
    last = -1 if followed.cleared else int(progress.argmax()) if len(ends) else 0
    frames, far = (int(ends[last]), int(progress[last])) if len(ends) else (0, 0)
    return Demonstration(
        Trajectory(
            trajectory.inputs[:frames],
            cleared=followed.cleared,
            frames=True,
            begin=trajectory.begin,
        ),
        Outcome(followed.cleared, followed.death, far, frames),
    )
