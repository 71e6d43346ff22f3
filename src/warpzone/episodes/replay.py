"""An episode played again on a console, frame by frame, and whether it goes as it was recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from warpzone.console_text import shown
from warpzone.episodes.format import POWER_ON, DescribedStart, Episode
from warpzone.errors import ConfigError, EngineError, EpisodeError
from warpzone.nes.cartridge import RomSource
from warpzone.nes.checks import is_whole
from warpzone.nes.console import Console
from warpzone.smb.starts import start_level


def ram_digest(console: Console) -> str:
    """Returns the SHA-256 of the console's RAM, in hexadecimal."""
    return hashlib.sha256(console.ram.tobytes()).hexdigest()


def begin(console: Console, start: str, described: DescribedStart | None = None) -> None:
    """Puts the console where an episode begins: `POWER_ON`, a level, or a described game's start.

    Raises:
        LevelError: there is no such level.
        EngineError: the cartridge does not behave like Super Mario Bros.
        EpisodeError: the described start is no moment of this cartridge.
    """
    if described is not None:
        try:
            console.load(described.snapshot)
        except EngineError as error:
            raise EpisodeError(f"where the episode begins is damaged: {error}") from None
    elif start == POWER_ON:
        console.reset()
    else:
        start_level(console, start)


def snapshot_at(episode: Episode, frame: int, rom: RomSource = None) -> bytes:
    """Returns a snapshot of the console at a moment of an episode, for the setting `start_states`.

    Args:
        episode: what was played.
        frame: how many frames of it lie before the moment, 0 to all of them.
        rom: its cartridge; None: the ROM that `warpzone rom` shows.

    Raises:
        ConfigError: there is no such frame.
        EpisodeError: it was recorded on another ROM, or goes another way than when it was recorded.
    """
    if not is_whole(frame) or not 0 <= frame <= episode.frames:
        raise ConfigError(
            f"there is no frame {shown(frame)}: the episode has {episode.frames} frames"
        )
    replay = Replay(episode, Console(rom))
    replay.verify()
    replay.seek(frame)
    return replay.console.save()


class Replay:
    """Plays an episode again on a console, frame by frame.

    Attributes:
        place: frames played so far.

    Raises:
        EpisodeError: it was recorded on another ROM.
    """

    def __init__(self, episode: Episode, console: Console) -> None:
        if episode.rom.sha1 != console.rom.sha1:
            raise EpisodeError(
                f"the episode was played on the ROM revision {episode.rom.revision!r} (SHA-1 "
                f"{episode.rom.sha1}), and this is {console.rom.revision!r} ({console.rom.sha1}, "
                f"{console.rom.path}). Name the other ROM with --rom"
            )
        self.episode = episode
        self.console = console
        self.seek(0)

    @property
    def ended(self) -> bool:
        return self.place == self.episode.frames

    @property
    def buttons(self) -> int:
        """Held in the last frame; 0 before the first."""
        return self.episode.buttons[self.place - 1] if self.place else 0

    def step(self) -> None:
        """Plays the next frame. Raises `EpisodeError`: there is none."""
        if self.ended:
            raise EpisodeError(f"the episode is over, after {self.place} frames: seek(0) begins it")
        self.console.step(self.episode.buttons[self.place])
        self.place += 1

    def seek(self, place: int) -> None:
        """Goes to the moment after `place` frames. The way back leads through the start. Raises
        `ConfigError`: there is no such moment."""
        if not is_whole(place) or not 0 <= place <= self.episode.frames:
            raise ConfigError(f"place must be 0-{self.episode.frames}, not {shown(place)}")
        begin(self.console, self.episode.start, self.episode.described)
        self.place = 0
        while self.place < place:
            self.step()

    def pictures(self) -> Iterator[NDArray[np.uint8]]:
        """Plays from the start and yields each frame's picture, uint8[240, 256] of `PALETTE`."""
        self.seek(0)
        while not self.ended:
            self.step()
            yield self.console.screen()

    def verify(self) -> Episode:
        """Plays to the end, and returns the episode with the RAM's checksum in it.

        Raises:
            EpisodeError: the RAM after the last frame is not the one that was recorded.
        """
        self.seek(self.episode.frames)
        if not self.exact:
            raise EpisodeError(
                "the game went another way than when it was recorded: the RAM after frame "
                f"{self.place} has SHA-256 {ram_digest(self.console)}, not "
                f"{self.episode.ram_sha256}. The file was changed, or another version of warpzone "
                "wrote it"
            )
        return self.episode.model_copy(update={"ram_sha256": ram_digest(self.console)})

    @property
    def exact(self) -> bool:
        """At the end: whether the RAM is as recorded; True as well where that is not known."""
        return self.episode.ram_sha256 in (None, ram_digest(self.console))
