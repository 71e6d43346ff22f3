"""What a run tells about a level, as data that JSON can hold and `static/map.js` draws."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from warpzone.maps import episode_ends as ending
from warpzone.maps.cache import LevelMap
from warpzone.maps.episode_ends import END_KINDS, Ends, cells
from warpzone.maps.renderer import COLUMN, HEIGHT, SCREEN
from warpzone.maps.traces import Trace, Traces
from warpzone.nes.cartridge import RomSource
from warpzone.runs.library import Run
from warpzone.smb.known_cartridges import lost_levels_cartridge
from warpzone.smb.levels import LEVELS

HEAT = ("#6a1b6e", "#b5367a", "#e8554a", "#fb9b3c", "#fcf3a0")
"""From one end in a cell to the most; rises in brightness all the way."""
TRACE = {True: "#2fe07f", False: "#ffffff"}
"""Of episodes that cleared, and of others."""
MOST_TRACES = 12


class RunMaps:
    """Holds what is known about one run's levels."""

    def __init__(self, path: Path, rom: RomSource = None) -> None:
        self.ends = Ends(path)
        self.traces = Traces(path, rom)


def rom_of(run: Run) -> Path | None:
    """Returns what to open as the cartridge that the run plays on, where that is one of the Lost
    Levels; None: the usual one will do."""
    return lost_levels_cartridge(run.rom_revision)


def levels_of(run: Run, ends: Ends) -> list[str]:
    """Returns the levels of a run's settings, and those that ends are known of."""
    named = {*run.levels, *ends.levels()}
    return [level for level in LEVELS if level in named]


def heat_json(ends: Ends, level_map: LevelMap, last: int | None = None) -> dict[str, Any]:
    """Returns what `static/map.js` draws: the strips of a level and the ends on them.

    Args:
        ends: of the run.
        level_map: of the level.
        last: only so many ends, the latest; None: all.
    """
    table = ends.of_level(level_map.level, last)
    counted, unplaced = cells(table, level_map)
    unclear = _overlaps(level_map) and bool((table[:, 2] == ending.UNKNOWN).any())
    return {
        "level": level_map.level,
        "strips": [
            {
                "number": number,
                "title": _title(number),
                "left": strip.left,
                "width": strip.width,
                "height": HEIGHT,
            }
            for number, strip in enumerate(level_map.strips)
        ],
        "cell": COLUMN,
        "kinds": [kind._asdict() for kind in END_KINDS],
        "heat": list(HEAT),
        "ends": len(table),
        "cells": counted,
        "unplaced": unplaced,
        "unclear": unclear,
        "skipped": ends.skipped,
        "problem": ends.problem,
    }


def traces_json(traces: Sequence[Trace], level_map: LevelMap) -> list[dict[str, Any]]:
    """Returns traces with their lines as [strip, [x, y, x, y, …]], px of its picture."""
    return [
        {
            "file": trace.file,
            "step": trace.step,
            "text": trace.text,
            "cleared": trace.cleared,
            "colour": TRACE[bool(trace.cleared)],
            "lines": [
                [strip, [number for point in points for number in point]]
                for strip, points in trace.lines(level_map)
            ],
        }
        for trace in traces
    ]


def _overlaps(level_map: LevelMap) -> bool:
    """Returns whether a place behind a pipe is larger than a room, where nobody dies but of old
    age, and reaches over the same x as one before it."""
    strips = level_map.strips
    return any(
        later.width > SCREEN and later.left < earlier.right and earlier.left < later.right
        for number, later in enumerate(strips)
        for earlier in strips[:number]
    )


def _title(number: int) -> str:
    return "The level" if number == 0 else f"Behind a pipe or a vine ({number})"
