"""The level as one long picture, with a heat map of where Mario dies and traces of recent runs.

For a browser as JSON and PNG (`routes`, drawn by `static/map.js`), and as one picture (`draw`).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from warpzone.dashboard.responses import json_response
from warpzone.errors import ConfigError
from warpzone.maps import episode_ends as ending
from warpzone.maps.cache import VERSION, Atlas, open_atlas, strip_png
from warpzone.maps.episode_ends import KINDS, Ends, EndsError, cells
from warpzone.maps.renderer import COLUMN, HEIGHT, SCREEN
from warpzone.maps.traces import Trace, Traces
from warpzone.nes.cartridge import RomSource
from warpzone.runs.library import Library, Run
from warpzone.smb.levels import LEVELS, level_index

COLOURS = {
    "enemy": "#d55e00",
    "pit": "#0072b2",
    "time": "#b8a500",
    "warp": "#aa4499",
    "maze": "#117733",
    "cut": "#777777",
    "cleared": "#009e73",
}
"""Of the kinds of ends; told apart by people who see colours otherwise, too (Okabe & Ito)."""
TEXTS = {
    "enemy": "an enemy",
    "pit": "a pit",
    "time": "out of time",
    "warp": "left by a warp",
    "maze": "sent back by a maze",
    "cut": "cut off, no progress",
    "cleared": "cleared",
}
HEAT = ("#6a1b6e", "#b5367a", "#e8554a", "#fb9b3c", "#fcf3a0")
"""From one end in a cell to the most; rises in brightness all the way."""
TRACE = {True: "#2fe07f", False: "#ffffff"}
"""Of episodes that cleared, and of others."""
MOST_TRACES = 12
GAP = 8
"""px between the strips of one picture."""
DIMMED = 0.45
"""Brightness of the level below a heat map."""


class RunMaps:
    """What is known about one run's levels."""

    def __init__(self, path: Path, rom: RomSource = None) -> None:
        self.ends = Ends(path)
        self.traces = Traces(path, rom)


def levels_of(run: Run, ends: Ends) -> list[str]:
    """Those of a run's settings, and those that ends are known of."""
    named = {*run.levels, *ends.levels()}
    return [level for level in LEVELS if level in named]


def heat_json(ends: Ends, atlas: Atlas, last: int | None = None) -> dict[str, Any]:
    """What `static/map.js` draws: the strips of a level and the ends on them.

    Args:
        ends: of the run.
        atlas: of the level.
        last: only so many ends, the latest; None: all.
    """
    table = ends.of_level(atlas.level, last)
    counted, unplaced = cells(table, atlas)
    unclear = _overlaps(atlas) and bool((table[:, 2] == ending.UNKNOWN).any())
    return {
        "level": atlas.level,
        "strips": [
            {
                "number": number,
                "title": _title(number),
                "left": strip.left,
                "width": strip.width,
                "height": HEIGHT,
            }
            for number, strip in enumerate(atlas.strips)
        ],
        "cell": COLUMN,
        "kinds": [{"text": TEXTS[kind], "colour": COLOURS[kind], "name": kind} for kind in KINDS],
        "heat": list(HEAT),
        "ends": len(table),
        "cells": counted,
        "unplaced": unplaced,
        "unclear": unclear,
        "skipped": ends.skipped,
    }


def traces_json(traces: Sequence[Trace], atlas: Atlas) -> list[dict[str, Any]]:
    """Lines as [strip, [x, y, x, y, …]], px of its picture."""
    return [
        {
            "file": trace.file,
            "step": trace.step,
            "text": trace.text,
            "cleared": trace.cleared,
            "colour": TRACE[bool(trace.cleared)],
            "lines": [
                [strip, [number for point in points for number in point]]
                for strip, points in trace.lines(atlas)
            ],
        }
        for trace in traces
    ]


def _overlaps(atlas: Atlas) -> bool:
    """Whether a place behind a pipe is larger than a room, where nobody dies but of old age, and
    reaches over the same x as one before it."""
    strips = atlas.strips
    return any(
        later.width > SCREEN and later.left < earlier.right and earlier.left < later.right
        for number, later in enumerate(strips)
        for earlier in strips[:number]
    )


def _title(number: int) -> str:
    return "The level" if number == 0 else f"Behind a pipe or a vine ({number})"


def routes(library: Library, rom: RomSource = None) -> list[BaseRoute]:
    """`/api/map` (`run`, `level`, `last`), `/api/map/traces` (`run`, `level`) and
    `/api/map/picture` (`level`, `strip`).

    Args:
        library: of the runs.
        rom: a file, a `Rom`, or None to look for one when the first map is wanted.
    """
    maps: dict[Path, RunMaps] = {}
    atlases: dict[str, Atlas] = {}

    def atlas_of(level: str) -> Atlas:
        if level not in atlases:
            atlases[level] = open_atlas(level, rom)
        return atlases[level]

    def chosen(query: QueryParams) -> tuple[RunMaps, list[str], str]:
        run = library.run(query.get("run", ""))
        found = maps.setdefault(run.path, RunMaps(run.path, rom))
        found.ends.refresh()
        levels, counts = levels_of(run, found.ends), found.ends.levels()
        level = query.get("level") or max(levels, key=lambda name: counts.get(name, 0), default="")
        if not level:
            raise ConfigError("the run names no level, so there is no map")
        level_index(level)
        return found, levels, level

    def heat(request: Request) -> Response:
        found, levels, level = chosen(request.query_params)
        last = _number(request.query_params.get("last"), "last")
        data = heat_json(found.ends, atlas_of(level), last)
        return json_response({"levels": levels, **data, "pictures": VERSION}, request=request)

    def ways(request: Request) -> Response:
        found, _, level = chosen(request.query_params)
        newest = traces_json(found.traces.newest(level, MOST_TRACES), atlas_of(level))
        return json_response({"level": level, "traces": newest}, request=request)

    def picture(request: Request) -> Response:
        strips = atlas_of(request.query_params.get("level", "")).strips
        number = _number(request.query_params.get("strip"), "strip") or 0
        if number >= len(strips):
            raise ConfigError(f"strip is {number}; the level has {len(strips)}, from 0 on")
        headers = {"cache-control": "max-age=86400"}
        return Response(strip_png(strips[number]), media_type="image/png", headers=headers)

    return [
        Route("/api/map", heat),
        Route("/api/map/traces", ways),
        Route("/api/map/picture", picture),
    ]


def _number(text: str | None, name: str) -> int | None:
    if text is None or text == "":
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise ConfigError(f"{name} is {text!r}, must be a number, 0 or more")
    return int(text)


def draw(
    atlas: Atlas,
    *,
    counted: Sequence[tuple[int, int, int, int, int]] = (),
    traces: Sequence[Trace] = (),
) -> Image.Image:
    """All strips below each other on black, RGB; dimmed, with heat and traces, where there are any.

    Args:
        counted: from `cells`; clears are left out.
        traces: of episodes on this level.
    """
    width = max(strip.width for strip in atlas.strips)
    image = Image.new("RGB", (width, len(atlas.strips) * (HEIGHT + GAP) - GAP))
    dim = bool(counted or traces)
    for number, strip in enumerate(atlas.strips):
        picture = Image.fromarray(_dimmed(strip.rgb()) if dim else strip.rgb())
        image.paste(picture, (0, number * (HEIGHT + GAP)))
    heat = _heat(counted)
    most = max(heat.values(), default=0)
    for (number, column, row), count in heat.items():
        x, y = column * COLUMN, row * COLUMN + number * (HEIGHT + GAP)
        image.paste(Image.new("RGB", (COLUMN, COLUMN), heat_colour(count, most)), (x, y))
    pen = ImageDraw.Draw(image)
    for trace in reversed(traces):
        for number, points in trace.lines(atlas):
            below = number * (HEIGHT + GAP)
            line = [(x, min(max(y, 0), HEIGHT - 1) + below) for x, y in points]
            pen.line(line, fill=TRACE[bool(trace.cleared)], width=2)
    return image


def draw_run(
    level: str, run: Path | None, *, last: int | None = None, rom: RomSource = None
) -> tuple[Image.Image, list[str]]:
    """A level's picture with what is known of a run, and lines that say what is seen on it.

    Args:
        level: "1-1" to "8-4".
        run: its directory; None: the level alone.
        last: only so many ends, the latest.

    Raises:
        CheckpointError: no run there.
        EndsError: the run tells nothing about this level.
        LevelError, RomError, EngineError: see `open_atlas`.
    """
    if run is not None:
        from warpzone.training.run_directory import read_config  # brings torch

        read_config(run)
    atlas = open_atlas(level, rom)
    if run is None:
        return draw(atlas), []
    maps = RunMaps(run, rom)
    maps.ends.refresh()
    table = maps.ends.of_level(level, last)
    traces = maps.traces.newest(level, MOST_TRACES)
    if not len(table) and not traces:
        known = ", ".join(maps.ends.levels())
        reason = (
            f"its {ending.NAME} is about {known}"
            if known
            else f"there are no ends of episodes yet ({ending.NAME}; older versions wrote none)"
        )
        raise EndsError(f"{run} does not tell where Mario was in {level}: {reason}")
    counted, unplaced = cells(table, atlas)
    return draw(atlas, counted=counted, traces=traces), describe(
        counted, unplaced, len(traces), ended=len(table)
    )


def describe(
    counted: Sequence[tuple[int, int, int, int, int]], unplaced: int, traces: int, *, ended: int
) -> list[str]:
    """What a map with deaths shows, in words."""
    numbers = {kind: ending.total(counted, [kind]) for kind in KINDS}
    parts = [f"{TEXTS[kind]} {number:,}" for kind, number in numbers.items() if number]
    lines = [f"{ended:,} episodes ended: {', '.join(parts)}"] if parts else []
    if unplaced:
        lines.append(f"{unplaced:,} ended at places that are not in the picture")
    if traces:
        lines.append(f"{traces} lines: the newest stored episodes; green ones cleared")
    return lines


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def heat_colour(count: int, most: int) -> str:
    """The square root tells few from very few; as `static/map.js` has it."""
    share = (count / most) ** 0.5 if most else 0.0
    return HEAT[min(int(share * len(HEAT)), len(HEAT) - 1)]


def _heat(counted: Sequence[tuple[int, int, int, int, int]]) -> dict[tuple[int, int, int], int]:
    heat: dict[tuple[int, int, int], int] = {}
    for strip, column, row, kind, count in counted:
        if KINDS[kind] != "cleared":
            heat[strip, column, row] = heat.get((strip, column, row), 0) + count
    return heat


def _dimmed(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Darker and half as colourful."""
    grey = rgb.mean(axis=2, keepdims=True)
    dimmed: NDArray[np.uint8] = ((rgb * 0.5 + grey * 0.5) * DIMMED).astype(np.uint8)
    return dimmed
