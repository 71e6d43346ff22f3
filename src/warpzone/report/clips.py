"""Films for a report: the agent of a run on its levels, and how it played early on."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from warpzone.agents.agent import Agent
from warpzone.agents.playback import Playback
from warpzone.episodes.format import SUFFIX, Episode, TrainingPlayer
from warpzone.episodes.replay import Replay
from warpzone.errors import WarpzoneError
from warpzone.files import by_number
from warpzone.maps.traces import FOLDER
from warpzone.nes.console import PALETTE, Console
from warpzone.nes.rom import Rom
from warpzone.training.config import TrainConfig
from warpzone.video.film import write_film
from warpzone.video.record import record

SCALE = 2
TRIES = 10


@dataclass(frozen=True)
class Clip:
    """Holds a film and what is seen in it.

    Attributes:
        title, text: for people.
        mp4: the file.
    """

    title: str
    text: str
    mp4: bytes


def of_agent(
    agent: Agent, level: str, config: TrainConfig, rom: Rom, log: Callable[[str], None]
) -> Clip:
    """Films the first of some tries that clears the level, or the one that got farthest.

    Raises:
        FilmError: it could not be written, e.g. because the disk is full.
        AgentError: the agent does not fit this version's games.
    """
    playback = Playback(
        agent,
        level,
        noop_max=config.eval_noop_max,
        repeat_action_probability=config.eval_repeat_action_probability,
        rom=rom,
    )
    with tempfile.TemporaryDirectory() as folder, closing(playback):
        path = Path(folder) / "agent.mp4"
        film = record(playback, path, tries=TRIES, scale=SCALE, log=log)
        (attempt,) = film.attempts
        title = f"{level}, {agent.title}"
        return Clip(title, f"{str(attempt)[:1].upper()}{str(attempt)[1:]}.", path.read_bytes())


def of_episode(episode: Episode, rom: Rom) -> Clip:
    """Films a stored episode from its start.

    Raises:
        EpisodeError: it was played on another ROM.
        FilmError: as above.
    """
    replay = Replay(episode, Console(rom))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "episode.mp4"
        write_film(path, replay.pictures(), palette=PALETTE, scale=SCALE)
        step = episode.player.step if isinstance(episode.player, TrainingPlayer) else 0
        title = f"{episode.start}, early in training: step {step:,}"
        ending = str(episode.outcome) if episode.outcome else f"{episode.seconds:.0f} s"
        return Clip(title, f"{ending[:1].upper()}{ending[1:]}.", path.read_bytes())


def early_episode(run: Path, levels: Sequence[str], rom: Rom) -> Episode | None:
    """Returns the first stored episode of one of these levels that began where the level begins."""
    try:
        files = sorted((run / FOLDER).glob(f"*{SUFFIX}"), key=by_number)
    except OSError:
        return None
    for path in files:
        try:
            episode = Episode.load(path)
        except WarpzoneError:
            continue
        player = episode.player
        own = isinstance(player, TrainingPlayer) and player.own_start
        if own and episode.start in levels and episode.rom.sha1 == rom.sha1:
            return episode
    return None
