"""Recorded games that a run begins with: read once, kept in the run directory, the same ever after.

What is kept is the file itself, under the first digits of its SHA-256.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from warpzone.episodes.demonstration import demonstrations
from warpzone.episodes.format import SUFFIX, Episode, read_bytes
from warpzone.errors import EpisodeError
from warpzone.files import write_atomically
from warpzone.ppo.rollout import VectorEnv
from warpzone.smb.search import Trajectory
from warpzone.smb.vector_env import MarioVectorEnv
from warpzone.training.config import DemonstrationConfig, TrainConfig

FOLDER = "demonstrations"


@dataclass(frozen=True)
class Recording:
    """Holds one recorded game."""

    name: str
    """For messages."""
    kept: Path
    data: bytes
    episode: Episode


class Demonstrations:
    """The recorded games that `config` names.

    Attributes:
        config: as given, with the files' checksums filled in.

    Raises:
        EpisodeError: one of them is missing, damaged, or not the one that the run was begun with.
    """

    def __init__(self, config: TrainConfig, run: Path) -> None:
        self.recordings: list[Recording] = []
        entries = []
        for entry in config.curriculum.demonstrations:
            recording = _read(entry, run / FOLDER)
            digest = hashlib.sha256(recording.data).hexdigest()
            self.recordings.append(recording)
            entries.append(entry.model_copy(update={"sha256": digest}))
        curriculum = config.curriculum.model_copy(update={"demonstrations": tuple(entries)})
        self.config = config.model_copy(update={"curriculum": curriculum})

    def trajectories(self, env: VectorEnv) -> tuple[dict[str, list[Trajectory]], list[str]]:
        """The ways through levels of `env`, by level, and a line about each.

        Raises:
            EpisodeError: a game of another ROM or of other levels, or with too little progress.
        """
        trajectories: dict[str, list[Trajectory]] = {}
        lines: list[str] = []
        if not self.recordings:
            return trajectories, lines
        if not isinstance(env, MarioVectorEnv):
            raise EpisodeError(
                "curriculum.demonstrations are recorded games of Super Mario Bros.; the games that "
                "are trained here are others. Take that setting out"
            )
        for recording in self.recordings:
            try:
                found = demonstrations(env, recording.episode)
            except EpisodeError as error:
                raise EpisodeError(f"{recording.name} cannot be a demonstration: {error}") from None
            trained = ", ".join(self.config.env.levels)
            if not found:
                raise EpisodeError(
                    f"{recording.name} is no demonstration of {trained}: it begins at "
                    f"{recording.episode.start} and that is not played in it. Record one with "
                    f"`warpzone play {next(iter(self.config.env.levels))} --record FILE`"
                )
            for level, one in found.items():
                if not env.record_initial_states(level, one.trajectory):
                    raise EpisodeError(
                        f"{recording.name} is too short for a demonstration of {level}: "
                        f"{one.outcome}. Record a game that gets farther"
                    )
                trajectories.setdefault(level, []).append(one.trajectory)
                rest = "" if one.trajectory.cleared else "; it leads only so far"
                lines.append(f"{level} begins with {recording.name}: {one.outcome}{rest}")
        return trajectories, lines

    def keep(self) -> None:
        """Copy the files into the run directory.

        Raises:
            FileError: the disk is full or the directory cannot be written.
        """
        for recording in self.recordings:
            if not recording.kept.exists():
                write_atomically(recording.kept, recording.data)


def _read(entry: DemonstrationConfig, folder: Path) -> Recording:
    path, lost = Path(entry.file), ""
    if entry.sha256 is not None:
        # A run goes on with its own copy, wherever the file may be by now.
        kept = folder / _name(entry.sha256)
        if kept.exists():
            path = kept
        else:
            lost = f", nor is there the run's copy {str(kept)!r}"
    if path.suffix.lower() != SUFFIX:
        raise EpisodeError(
            f"the demonstration {str(path)!r} must be an episode, name{SUFFIX}. Of a movie "
            f"`warpzone replay {path} -o {path.stem}{SUFFIX}` makes one"
        )
    try:
        data = read_bytes(path)
    except EpisodeError as error:
        raise EpisodeError(
            f"a demonstration cannot be read: {error}{lost}. `warpzone play LEVEL --record FILE` "
            "and `warpzone record AGENT --episode FILE` write one"
        ) from None
    digest = hashlib.sha256(data).hexdigest()
    if entry.sha256 not in (None, digest):
        raise EpisodeError(
            f"{str(path)!r} is not the demonstration that the run was begun with: its SHA-256 is "
            f"{digest}, and was {entry.sha256}. Put that file back, as {str(path)!r}, or begin "
            "another run"
        )
    return Recording(repr(entry.file), folder / _name(digest), data, Episode.load(path))


def _name(digest: str) -> str:
    return f"{digest[:16]}{SUFFIX}"
