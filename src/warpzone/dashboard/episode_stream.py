"""Stored episodes as pictures to be sent: played again on one console, cut into segments, kept.

Whoever plays an episode asks for its segments and has a clock of their own, so that any number of
viewers at any places share the work. A segment is small: the same row of its pictures lies
together, and so most of it is, to deflate, a row that was there before.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import zlib
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

import warpzone._native as _native
from warpzone.episodes.format import MOST_BYTES as MOST_FILE_BYTES
from warpzone.episodes.format import Episode
from warpzone.episodes.replay import Replay
from warpzone.errors import EpisodeError
from warpzone.files import read_regular_file
from warpzone.nes.cartridge import RomSource
from warpzone.nes.console import Console
from warpzone.nes.game import game_named, game_names
from warpzone.smb.config import EnvConfig
from warpzone.smb.known_cartridges import lost_levels_cartridge
from warpzone.smb.observations import grey, tiles

PICTURES = 30
"""In a full segment."""
STRIDES = (1, 4)
"""Every frame, or every fourth: 60 or 15 pictures for a second of the game."""
LONGEST = 30 * 60 * 60
"""Frames of an episode that is shown here: half an hour. The way to its end takes 2 s once."""
MOST_SNAPSHOTS = 256
MOST_STREAMS = 64
MOST_BYTES = 64 << 20
"""Of segments that are kept."""
NICE = 10
LEVEL = 3
"""Of deflate: as quick as 1 here, and a quarter smaller."""


@dataclass(frozen=True, slots=True)
class ObservationView:
    """Shows what an agent sees of a moment, as a picture of bytes.

    Attributes:
        kind: the observation. With `rgb` it sees what a person sees, and nothing is added; `none`:
            not known.
        rows, columns: of the picture; `tiles` has its 8 planes of 13 rows one below the other.
        crop, pool: of `pixels`, see `EnvConfig`.
    """

    kind: Literal["tiles", "pixels", "ram", "rgb", "none"]
    rows: int = 0
    columns: int = 0
    crop: bool = False
    pool: bool = False

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> ObservationView:
        """Returns that of a run by its config.json; `none` where that does not tell."""
        env, game = settings.get("env"), settings.get("game")
        if isinstance(game, Mapping) and game.get("name") is not None:
            env = game
            if game.get("observation") == "variables" or game.get("crop_status_bar"):
                return cls("none")
        if not isinstance(env, Mapping) or "observation" not in env:
            return cls("none")
        names = ("observation", "size", "crop_status_bar", "max_pool")
        try:
            config = EnvConfig.model_validate({name: env[name] for name in names if name in env})
        except ValidationError:
            return cls("none")
        if config.observation == "tiles":
            planes, rows, columns = _native.TILE_SHAPE
            return cls("tiles", planes * rows, columns)
        if config.observation == "pixels":
            return cls("pixels", *config.size, config.crop_status_bar, config.max_pool)
        if config.observation == "ram":
            return cls("ram", 32, 64)
        return cls("rgb")

    def look(self, console: Console, before: bytes | None) -> NDArray[np.uint8]:
        """Returns what is seen now: uint8[rows, columns]; `before` as in `Console.grey`."""
        shape = (self.rows, self.columns)
        if self.kind == "tiles":
            return tiles(console).reshape(shape)
        if self.kind == "pixels":
            return grey(console, shape, crop_status_bar=self.crop, before=before)
        if self.kind == "ram":
            return console.ram.reshape(shape)
        return np.empty(shape, np.uint8)


class EpisodeStream:
    """Plays an episode to and fro, and keeps moments of it that were passed already.

    Places are frames played, 0 to `episode.frames`; the picture at a place is that of
    `Console.screen` then. All streams may play on one console, one after the other.
    """

    def __init__(self, episode: Episode, console: Console, view: ObservationView) -> None:
        """Puts the console to the start of the episode.

        Raises:
            EpisodeError: of another ROM, or too long.
        """
        if episode.frames > LONGEST:
            raise EpisodeError(
                f"the episode has {episode.frames:,} frames, more than the {LONGEST:,} that are "
                "shown here. `warpzone replay FILE` plays it"
            )
        self.episode = episode
        self.view = view
        self._replay = Replay(episode, console)
        self._pause = max(PICTURES, -(-episode.frames // MOST_SNAPSHOTS))
        """Frames between two snapshots."""
        self._places = [0]
        self._snapshots = [console.save()]

    def continues(self, other: EpisodeStream) -> bool:
        """Returns whether this is more of the same game."""
        ours, theirs = self.episode, other.episode
        return ours.start == theirs.start and ours.buttons.startswith(theirs.buttons)

    def segment(self, index: int, stride: int) -> bytes:
        """Returns pictures from the place `index * PICTURES * stride` on, every `stride` frames.

        Returns:
            deflated (zlib) uint8: pictures[240, n, 256], colours of `PALETTE`; what the agent sees
            then, [rows, n, columns]; the buttons held in each frame shown, [n].

        Raises:
            ValueError: there is no such segment.
            EngineError: the program crashed.
        """
        first = index * PICTURES * stride
        if stride not in STRIDES or not 0 <= first <= self.episode.frames:
            raise ValueError(f"there is no segment {index} of every frame in {stride}")
        places = range(first, self.episode.frames + 1, stride)[:PICTURES]
        pictures = np.empty((240, len(places), 256), np.uint8)
        seen = np.empty((self.view.rows, len(places), self.view.columns), np.uint8)
        buttons = np.empty(len(places), np.uint8)
        console = self._replay.console
        self._rewind(first)
        for i, place in enumerate(places):
            before = None
            if self.view.pool and place:
                self._go(place - 1)
                before = console.save()
            self._go(place)
            pictures[:, i] = console.screen()
            seen[:, i] = self.view.look(console, before)
            buttons[i] = self._replay.buttons
        packer = zlib.compressobj(LEVEL)
        parts = [packer.compress(part.data) for part in (pictures, seen, buttons)]
        return b"".join([*parts, packer.flush()])

    def _rewind(self, place: int) -> None:
        """Goes to a moment before `place`, from which `_go` leads there."""
        at = bisect_right(self._places, max(place - 1, 0)) - 1
        self._replay.console.load(self._snapshots[at])
        self._replay.place = self._places[at]

    def _go(self, place: int) -> None:
        replay = self._replay
        while replay.place < place:
            replay.step()
            if replay.place >= self._places[-1] + self._pause:
                self._places.append(replay.place)
                self._snapshots.append(replay.console.save())


class Renderer:
    """Plays the episodes of a server in one thread that gives way to others.

    What is asked for again is not played again: the last streams and segments are kept.
    """

    def __init__(self, rom: RomSource = None) -> None:
        """Begins a thread.

        Args:
            rom: a file, a `Rom`, or None to look for one when the first episode is wanted.
        """
        self._rom = rom
        self._consoles: dict[str | None, Console] = {}
        """By the described game, or the cartridge of the Lost Levels; None: the usual one."""
        self._streams: OrderedDict[str, EpisodeStream] = OrderedDict()
        self._segments: OrderedDict[tuple[str, int, int], bytes] = OrderedDict()
        self._bytes = 0
        self._thread = ThreadPoolExecutor(1, "renderer", initializer=_give_way)
        self.played = 0
        """Segments that were made, not found."""

    def open(self, path: Path, view: ObservationView) -> Future[tuple[str, EpisodeStream]]:
        """Returns the stream of an episode's file as it is now, and the key to its segments.

        Raises (the future):
            EpisodeError: missing, damaged, of another ROM, too long.
            RomError: there is no ROM.
        """
        return self._thread.submit(self._open, path, view)

    def stream(self, key: str) -> Future[EpisodeStream]:
        """Returns the stream of a key.

        Raises (the future):
            EpisodeError: it is not kept any more.
        """
        return self._thread.submit(self._find, key)

    def segment(self, key: str, index: int, stride: int) -> Future[bytes]:
        """Returns what `EpisodeStream.segment` does.

        Raises (the future):
            EpisodeError: the stream is not kept any more.
            ValueError: there is no such segment.
        """
        return self._thread.submit(self._segment, key, index, stride)

    def close(self) -> None:
        """Ends its thread; what is still asked for is not answered."""
        self._thread.shutdown(cancel_futures=True)

    def _open(self, path: Path, view: ObservationView) -> tuple[str, EpisodeStream]:
        data = read_episode(path)
        key = hashlib.sha256(repr(view).encode() + data).hexdigest()[:32]
        if key not in self._streams:
            episode = Episode.parse(data, path.name)
            self._streams[key] = EpisodeStream(episode, self._console_of(episode), view)
            while len(self._streams) > MOST_STREAMS:
                self._streams.popitem(last=False)
        return key, self._find(key)

    def _console_of(self, episode: Episode) -> Console:
        """Returns a console with the cartridge of an episode: the one that was named, or that of
        the described game, where it is on this computer."""
        game = episode.described.game if episode.described is not None else None
        other = lost_levels_cartridge(episode.rom.revision) if game is None else None
        name = game if other is None else str(other)
        if name not in self._consoles:
            rom = self._rom
            if rom is None and game is not None and game in game_names():
                rom = game_named(game).open_rom()
            elif rom is None:
                rom = other
            # Drawing and packing take longer than playing: native code is not worth its start.
            self._consoles[name] = Console(rom, engine="interpreter")
        return self._consoles[name]

    def _find(self, key: str) -> EpisodeStream:
        if key not in self._streams:
            raise EpisodeError("the episode was put away: it has not been watched for long")
        self._streams.move_to_end(key)
        return self._streams[key]

    def _segment(self, key: str, index: int, stride: int) -> bytes:
        stream, name = self._find(key), (key, index, stride)
        if name not in self._segments:
            self.played += 1
            data = stream.segment(index, stride)
            self._segments[name] = data
            self._bytes += len(data)
            while self._bytes > MOST_BYTES:
                self._bytes -= len(self._segments.popitem(last=False)[1])
        self._segments.move_to_end(name)
        return self._segments[name]


def read_episode(path: Path) -> bytes:
    """Returns what is in the file of an episode, RUN/FOLDER/NAME, that a run may put away at any
    time.

    Raises:
        EpisodeError: it did, or it cannot be read.
    """
    try:
        return read_regular_file(path, MOST_FILE_BYTES, within=path.parent.parent)
    except FileNotFoundError:
        raise EpisodeError(
            f"the episode {path.name} is gone: a run keeps its last episodes and the best. "
            "Choose another"
        ) from None
    except OSError as error:
        raise EpisodeError(f"{path.name} cannot be read: {error.strerror or error}") from error


def _give_way() -> None:
    """Lowers the priority of this thread alone; only Linux can do that."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        if os.getpriority(os.PRIO_PROCESS, thread) < NICE:
            os.setpriority(os.PRIO_PROCESS, thread, NICE)
