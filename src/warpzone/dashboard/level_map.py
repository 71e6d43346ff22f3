"""Answers about the map of a run: where its episodes ended, traces of stored ones, and pictures."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from warpzone.dashboard.responses import json_response, limited
from warpzone.errors import ConfigError
from warpzone.maps.cache import VERSION, LevelMap, open_map, strip_png
from warpzone.maps.run_map import MOST_TRACES, RunMaps, heat_json, levels_of, rom_of, traces_json
from warpzone.nes.cartridge import RomSource
from warpzone.runs.library import Library, Run
from warpzone.smb.levels import level_index

AT_ONCE = 2
"""Answers that are made at the same time: a level that was never drawn takes a core for seconds."""
MOST_RUNS = 32
"""Runs of which ends and traces are kept."""


def routes(library: Library, rom: RomSource = None) -> list[BaseRoute]:
    """Returns `/api/map` (`run`, `level`, `last`), `/api/map/traces` (`run`, `level`) and
    `/api/map/picture` (`run`, `level`, `strip`).

    Args:
        library: of the runs.
        rom: a file, a `Rom`, or None to look for that of the run when the first map is wanted.
    """
    maps: OrderedDict[Path, RunMaps] = OrderedDict()
    choosing = threading.Lock()
    level_maps: dict[tuple[Path | None, str], LevelMap] = {}

    def map_of_level(run: Run | None, level: str) -> LevelMap:
        named = rom_of(run) if run is not None and rom is None else None
        if (named, level) not in level_maps:
            level_maps[named, level] = open_map(level, rom if named is None else named)
        return level_maps[named, level]

    def chosen(query: QueryParams) -> tuple[Run, RunMaps, list[str], str]:
        run = library.run(query.get("run", ""))
        with choosing:
            found = maps.setdefault(run.path, RunMaps(run.path))
            found.traces.rom = rom_of(run) if rom is None else rom  # known once the run has begun
            maps.move_to_end(run.path)
            while len(maps) > MOST_RUNS:
                maps.popitem(last=False)
        found.ends.refresh()
        levels, counts = levels_of(run, found.ends), found.ends.levels()
        level = query.get("level") or max(levels, key=lambda name: counts.get(name, 0), default="")
        if not level:
            raise ConfigError("the run names no level, so there is no map")
        level_index(level)
        return run, found, levels, level

    def heat(request: Request) -> Response:
        run, found, levels, level = chosen(request.query_params)
        last = _number(request.query_params.get("last"), "last")
        data = heat_json(found.ends, map_of_level(run, level), last)
        return json_response({"levels": levels, **data, "pictures": VERSION}, request=request)

    def traces(request: Request) -> Response:
        run, found, _, level = chosen(request.query_params)
        newest = traces_json(found.traces.newest(level, MOST_TRACES), map_of_level(run, level))
        return json_response({"level": level, "traces": newest}, request=request)

    def picture(request: Request) -> Response:
        query = request.query_params
        run = library.run(query["run"]) if "run" in query else None
        strips = map_of_level(run, query.get("level", "")).strips
        number = _number(query.get("strip"), "strip") or 0
        if number >= len(strips):
            raise ConfigError(f"strip is {number}; the level has {len(strips)}, from 0 on")
        headers = {"cache-control": "max-age=86400"}
        return Response(strip_png(strips[number]), media_type="image/png", headers=headers)

    drawing = limited(AT_ONCE)
    return [
        Route("/api/map", drawing(heat)),
        Route("/api/map/traces", drawing(traces)),
        Route("/api/map/picture", drawing(picture)),
    ]


def _number(text: str | None, name: str) -> int | None:
    if text is None or text == "":
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise ConfigError(f"{name} is {text!r}, must be a number, 0 or more")
    return int(text)
