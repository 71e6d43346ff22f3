"""A film of many agents at once, each in its own tile of a grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from warpzone.agents.playback import Playback
from warpzone.episodes.outcome import Outcome
from warpzone.errors import ConfigError
from warpzone.video.film import Frame, check_film_path, colours, enlarge, pick_scale, write_film
from warpzone.video.overlay import FAINT, GROUND, INK, Pen
from warpzone.video.record import Attempt, Recording, choose

WIDTH, HEIGHT, STRIP = 256, 240, 16
"""Of a tile's picture and of the line above it, in NES pixels."""
MOST_PIXELS = 4096
"""Width and height that players and graphics chips can be relied on to decode as H.264."""
GOOD_WIDTH = 2048
"""The default scale is the largest up to 4 that stays within it."""
HOLD_FRAMES = 120
"""How long the last picture stands."""

TICK = (80, 210, 100)
CROSS = (255, 80, 64)


@dataclass(frozen=True, slots=True)
class GridEntry:
    """Holds one agent of the film, under a name."""

    label: str
    playback: Playback


def grid(count: int) -> tuple[int, int]:
    """Returns columns and rows for so many tiles: about twice as many columns as rows."""
    rows = math.ceil(count / math.ceil(math.sqrt(2 * count)))
    return math.ceil(count / rows), rows


def record_together(
    entries: Sequence[GridEntry],
    path: Path,
    *,
    tries: int = 1,
    scale: int | None = None,
    seed: int = 0,
    log: Callable[[str], None] = lambda text: None,
) -> Recording:
    """Films all agents at once; who has finished stands still, with a tick or a cross.

    Frames are drawn while they are written: memory grows with the number of agents, not with the
    length of the film.

    Args:
        entries: at least one, in the order of the grid.
        path: `.mp4` or `.gif`.
        tries: the first of so many episodes that clears is shown of each agent, or else the
            farthest, and which try it is; 1 shows what comes.
        scale: whole factor 1-8; default: up to 4, as large as fits 2048 pixels; 1 for GIF.
        seed: of every agent's first try.
        log: receives a line per agent.

    Returns:
        The recording, with an attempt for each agent in their order.

    Raises:
        ConfigError: bad numbers or path, or a picture of more than 4096 pixels.
        FilmError: the film could not be written.
    """
    if not entries or tries < 1:
        raise ConfigError(
            f"there are {len(entries)} agents and {tries} tries; both must be at least 1"
        )
    check_film_path(path)
    columns, rows = grid(len(entries))
    factor = _scale(path, scale, columns, rows)
    attempts = []
    for entry in entries:
        attempt = choose(entry.playback, seed, tries, lambda text: None)
        attempts.append(attempt)
        log(f"{entry.label}: {attempt}")
    tiles = [
        _Tile(entry, attempt, factor) for entry, attempt in zip(entries, attempts, strict=True)
    ]
    palette = entries[0].playback.palette
    count = write_film(path, _pictures(tiles, columns, rows), palette=palette, scale=1)
    return Recording(path, attempts, count)


def _scale(path: Path, scale: int | None, columns: int, rows: int) -> int:
    fitting = max(1, min(4, GOOD_WIDTH // (columns * WIDTH)))
    factor = pick_scale(path, scale, {".mp4": fitting, ".gif": 1})
    largest = max(columns * WIDTH, rows * (HEIGHT + STRIP))
    if largest * factor > MOST_PIXELS:
        raise ConfigError(
            f"scale {factor} gives a picture of {largest * factor} pixels, and many players show "
            f"no more than {MOST_PIXELS}; choose {MOST_PIXELS // largest} or less"
            if largest <= MOST_PIXELS
            else f"{columns * rows} agents are too many for one picture; name fewer"
        )
    return factor


class _Tile:
    def __init__(self, entry: GridEntry, attempt: Attempt, scale: int) -> None:
        self._entry, self._attempt, self._scale = entry, attempt, scale
        self.finished = False
        self.pixels = np.zeros(((HEIGHT + STRIP) * scale, WIDTH * scale, 3), np.uint8)
        self._frames = self._play()
        self._write_strip(None)

    def go_on(self) -> None:
        """Draws the next frame into `pixels`, uint8[256 * scale, 256 * scale, 3]."""
        if self.finished:
            return
        frame = next(self._frames, None)
        if frame is None:
            self.finished = True
            self._mark()
        else:
            palette = self._entry.playback.palette
            self._picture[:] = enlarge(colours(frame, palette), self._scale)
            # Televisions hide the edges; here they part one tile's sky from the next one's.
            self._picture[:, : self._scale] = self._picture[:, -self._scale :] = GROUND

    @property
    def _picture(self) -> NDArray[np.uint8]:
        return self.pixels[STRIP * self._scale :]

    def _play(self) -> Iterator[Frame]:
        playback = self._entry.playback
        for moment in playback.episode(self._attempt.seed):
            yield from moment.frames
        outcome = Outcome.from_signals(moment.signals)
        self._write_strip(outcome)
        yield from playback.aftermath(outcome)

    def _write_strip(self, outcome: Outcome | None) -> None:
        pen = Pen(WIDTH, STRIP, self._scale)
        pen.text((5, STRIP / 2), self._entry.label, INK, size=11, width=120)
        words = []
        if self._attempt.tries > 1:
            which = "try" if self._attempt.outcome.cleared else "farthest of"
            words.append(f"{which} {self._attempt.tries}")
        if outcome is not None:
            words.append(str(outcome))
        end = (WIDTH - 5, STRIP / 2)
        pen.text(end, ", ".join(words), FAINT, size=9, anchor="rm", width=122)
        self.pixels[: STRIP * self._scale] = pen.pixels()

    def _mark(self) -> None:
        """Dims the last picture and puts a tick or a cross on it."""
        pen = Pen(WIDTH, HEIGHT, self._scale, ground=self._picture // 3)
        x, y = WIDTH / 2, HEIGHT / 2
        if self._attempt.outcome.cleared:
            pen.line([(x - 30, y), (x - 8, y + 24), (x + 34, y - 28)], TICK, 12)
        else:
            pen.line([(x - 26, y - 26), (x + 26, y + 26)], CROSS, 12)
            pen.line([(x - 26, y + 26), (x + 26, y - 26)], CROSS, 12)
        self._picture[:] = pen.pixels()


def _pictures(tiles: Sequence[_Tile], columns: int, rows: int) -> Iterator[Frame]:
    height, width, _ = tiles[0].pixels.shape
    canvas = np.zeros((rows * height, columns * width, 3), np.uint8)
    held = 0
    while held < HOLD_FRAMES:
        for number, tile in enumerate(tiles):
            if held == 0:
                tile.go_on()
            row, column = divmod(number, columns)
            canvas[row * height :, column * width :][:height, :width] = tile.pixels
        held += all(tile.finished for tile in tiles)
        yield canvas.copy()
