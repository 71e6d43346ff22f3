"""Where Mario was in stored episodes, found by playing them again."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from warpzone.episodes.format import SUFFIX, Episode, TrainingPlayer
from warpzone.episodes.replay import begin
from warpzone.errors import WarpzoneError
from warpzone.files import by_number
from warpzone.maps.cache import LevelMap, middle_of_mario
from warpzone.nes.cartridge import RomSource, open_rom
from warpzone.nes.console import Console
from warpzone.nes.rom import Rom
from warpzone.smb.memory import in_level, map_number, player_x, player_y

FOLDER = "episodes"
MOST_FILES = 1000
"""That are looked at, the last by name; a training keeps some hundred."""
LONGEST = 30 * 60 * 60
"""Frames of an episode that is played again: half an hour."""
EVERY = 3
"""Frames between two points of a trace."""
JUMP = 96
"""px between two points that no line joins: a pipe, or a maze that sends Mario back."""


@dataclass(frozen=True)
class Trace:
    """Holds where Mario was in one episode.

    Attributes:
        file: name of the episode's file.
        step: of training when it was played; None for others.
        cleared: whether it ended at the flag; None where nobody judged.
        text: how it ended, in words.
        points: int32[n, 3]: map (see `memory.map_number`), and Mario's x and y on the screen, px.
    """

    file: str
    step: int | None
    cleared: bool | None
    text: str
    points: NDArray[np.int32]

    def lines(self, level_map: LevelMap) -> list[tuple[int, list[tuple[int, int]]]]:
        """Returns strip and the points on it, px of its picture, for each unbroken segment."""
        lines: list[tuple[int, list[tuple[int, int]]]] = []
        before: tuple[int | None, int, int] = (None, 0, 0)
        for map, x, y in self.points.tolist():
            strip = level_map.find(x, map=map)
            if strip is not None:
                point = middle_of_mario(x - level_map.strips[strip].left, y)
                near = max(abs(point[0] - before[1]), abs(point[1] - before[2])) < JUMP
                if strip != before[0] or not near:
                    lines.append((strip, []))
                lines[-1][1].append(point)
                before = (strip, *point)
            else:
                before = (None, 0, 0)
        return [line for line in lines if len(line[1]) > 1]


class Traces:
    """Holds traces of one run's stored episodes, each played once; several threads may use it."""

    def __init__(self, run: Path, rom: RomSource = None) -> None:
        self.folder = run / FOLDER
        self.rom = rom
        self._lock = threading.Lock()
        self._episodes: dict[Path, tuple[float, Episode | None]] = {}
        self._traces: dict[tuple[Path, float], Trace] = {}

    def newest(self, level: str, most: int) -> list[Trace]:
        """Returns traces of a level's episodes, the newest by training step first.

        Raises:
            RomError: there is no ROM.
        """
        with self._lock:
            rom = open_rom(self.rom)
            files = self._files()
            self._forget_all_but(set(files))
            chosen = []
            for path in reversed(files):
                episode = self._read(path)
                if episode is not None and episode.start == level:
                    if episode.rom.sha1 == rom.sha1 and episode.frames <= LONGEST:
                        chosen.append((path, episode))
                    if len(chosen) == most:
                        break
            wanted = {}
            for path, episode in chosen:
                key = (path, self._episodes[path][0])
                wanted[key] = self._traces.get(key) or follow(path.name, episode, rom)
            self._traces |= wanted
            return list(wanted.values())

    def _files(self) -> list[Path]:
        try:
            files = [path for path in self.folder.iterdir() if path.suffix == SUFFIX]
        except OSError:
            return []
        return sorted(files, key=by_number)[-MOST_FILES:]

    def _forget_all_but(self, files: set[Path]) -> None:
        self._episodes = {path: v for path, v in self._episodes.items() if path in files}
        self._traces = {key: trace for key, trace in self._traces.items() if key[0] in files}

    def _read(self, path: Path) -> Episode | None:
        """Returns the episode; None where it is damaged, or gone by now."""
        try:
            changed = path.stat().st_mtime
            known = self._episodes.get(path)
            if known is None or known[0] != changed:
                self._episodes[path] = (changed, None)
                self._episodes[path] = (changed, Episode.load(path))
            return self._episodes[path][1]
        except (OSError, WarpzoneError):
            return None


def follow(name: str, episode: Episode, rom: Rom) -> Trace:
    """Plays an episode again, and writes down where Mario was."""
    console = Console(rom, engine="interpreter")  # at once, and fast enough
    begin(console, episode.start, episode.described)
    ram = console.ram
    points = []
    for frame, buttons in enumerate(episode.buttons, start=1):
        console.step(buttons)
        due = frame % EVERY == 0 or frame == episode.frames
        if due and in_level(ram):
            points.append((map_number(ram), player_x(ram), player_y(ram)))
    outcome, player = episode.outcome, episode.player
    return Trace(
        file=name,
        step=player.step if isinstance(player, TrainingPlayer) else None,
        cleared=None if outcome is None else outcome.cleared,
        text=str(outcome or "played by hand"),
        points=np.array(points, np.int32).reshape(len(points), 3),
    )
