"""A level as one picture, with where episodes of a run ended and traces of stored ones on it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from warpzone.errors import RunError
from warpzone.maps import episode_ends as ending
from warpzone.maps.cache import LevelMap, open_map
from warpzone.maps.episode_ends import KINDS, EndsError, cells
from warpzone.maps.renderer import COLUMN, HEIGHT
from warpzone.maps.run_map import HEAT, MOST_TRACES, TRACE, RunMaps
from warpzone.maps.traces import Trace
from warpzone.nes.cartridge import RomSource
from warpzone.runs.library import Run

GAP = 8
"""px between the strips of one picture."""
DIMMED = 0.45
"""Brightness of the level below a heat map."""


def draw(
    level_map: LevelMap,
    *,
    counted: Sequence[tuple[int, int, int, int, int]] = (),
    traces: Sequence[Trace] = (),
) -> Image.Image:
    """Returns all strips below each other on black, RGB; dimmed, with heat and traces, where there
    are any.

    Args:
        counted: from `cells`; clears are left out.
        traces: of episodes on this level.
    """
    width = max(strip.width for strip in level_map.strips)
    image = Image.new("RGB", (width, len(level_map.strips) * (HEIGHT + GAP) - GAP))
    dim = bool(counted or traces)
    for number, strip in enumerate(level_map.strips):
        picture = Image.fromarray(_dimmed(strip.rgb()) if dim else strip.rgb())
        image.paste(picture, (0, number * (HEIGHT + GAP)))
    heat = _heat(counted)
    most = max(heat.values(), default=0)
    for (number, column, row), count in heat.items():
        x, y = column * COLUMN, row * COLUMN + number * (HEIGHT + GAP)
        image.paste(Image.new("RGB", (COLUMN, COLUMN), heat_colour(count, most)), (x, y))
    pen = ImageDraw.Draw(image)
    for trace in reversed(traces):
        for number, points in trace.lines(level_map):
            below = number * (HEIGHT + GAP)
            line = [(x, min(max(y, 0), HEIGHT - 1) + below) for x, y in points]
            pen.line(line, fill=TRACE[bool(trace.cleared)], width=2)
    return image


def draw_run(
    level: str, run: Path | None, *, last: int | None = None, rom: RomSource = None
) -> tuple[Image.Image, list[str]]:
    """Returns a level's picture with what is known of a run, and lines that say what is seen on it.

    Args:
        level: "1-1" to "8-4".
        run: its directory; None: the level alone.
        last: only so many ends, the latest.

    Raises:
        RunError: no run there.
        EndsError: the run tells nothing about this level.
        LevelError, RomError, EngineError: see `open_map`.
    """
    if run is not None:
        _require_run(run)
    level_map = open_map(level, rom)
    if run is None:
        return draw(level_map), []
    maps = RunMaps(run, rom)
    maps.ends.refresh()
    table = maps.ends.of_level(level, last)
    traces = maps.traces.newest(level, MOST_TRACES)
    if not len(table) and not traces:
        known = ", ".join(maps.ends.levels())
        reason = maps.ends.problem or (
            f"its {ending.NAME} is about {known}"
            if known
            else f"there are no ends of episodes yet ({ending.NAME}; older versions wrote none)"
        )
        raise EndsError(f"{run} does not tell where Mario was in {level}: {reason}")
    counted, unplaced = cells(table, level_map)
    return draw(level_map, counted=counted, traces=traces), describe(
        counted, unplaced, len(traces), ended=len(table)
    )


def _require_run(path: Path) -> None:
    run = Run(path, path.name)
    if not run.config:
        raise RunError(f"{str(path)!r} holds no run: {run.config_problem}")


def describe(
    counted: Sequence[tuple[int, int, int, int, int]], unplaced: int, traces: int, *, ended: int
) -> list[str]:
    """Returns what a map with deaths shows, in words."""
    numbers = {kind.text: ending.total(counted, [kind.name]) for kind in ending.END_KINDS}
    parts = [f"{text} {number:,}" for text, number in numbers.items() if number]
    lines = [f"{ended:,} episodes ended: {', '.join(parts)}"] if parts else []
    if unplaced:
        lines.append(f"{unplaced:,} ended at places that are not in the picture")
    if traces:
        lines.append(f"{traces} lines: the newest stored episodes; green ones cleared")
    return lines


def png(image: Image.Image) -> bytes:
    """Returns the picture as the bytes of a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def heat_colour(count: int, most: int) -> str:
    """Returns the colour of a count; the square root tells few from very few, as in
    `static/map.js`."""
    share = (count / most) ** 0.5 if most else 0.0
    return HEAT[min(int(share * len(HEAT)), len(HEAT) - 1)]


def _heat(counted: Sequence[tuple[int, int, int, int, int]]) -> dict[tuple[int, int, int], int]:
    heat: dict[tuple[int, int, int], int] = {}
    for strip, column, row, kind, count in counted:
        if KINDS[kind] != "cleared":
            heat[strip, column, row] = heat.get((strip, column, row), 0) + count
    return heat


def _dimmed(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns it darker and half as colourful."""
    grey = rgb.mean(axis=2, keepdims=True)
    dimmed: NDArray[np.uint8] = ((rgb * 0.5 + grey * 0.5) * DIMMED).astype(np.uint8)
    return dimmed
