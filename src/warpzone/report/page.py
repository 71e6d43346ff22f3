"""A run as one HTML file that holds everything it shows, to be sent to somebody.

Settings, curves, clear rates with their intervals, the level's map with deaths, films, and where it
all comes from. What a run does not have yet is left out, and the report says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from warpzone.agents.agent import Agent
from warpzone.errors import AgentError, ConfigError, RomError, WarpzoneError
from warpzone.files import check_output_path, write_atomically
from warpzone.maps.cache import open_map, strip_png
from warpzone.maps.run_map import MOST_TRACES, RunMaps, heat_json, rom_of, traces_json
from warpzone.nes.cartridge import RomSource, open_rom
from warpzone.nes.rom import Rom
from warpzone.report.clips import Clip, early_episode, of_agent, of_episode
from warpzone.report.sections import (
    MOST_BYTES,
    curve,
    curves_section,
    data_uri,
    films_section,
    html,
    map_section,
    notes_section,
    origin_section,
    results_section,
    settings_section,
    title,
)
from warpzone.runs.library import Run, printable
from warpzone.runs.metrics import Metrics
from warpzone.training.config import TrainConfig
from warpzone.training.evaluation import EvalResult, wilson
from warpzone.training.run_settings import read_config

NAME = "report.html"
MOST_FILMS = 3
"""Of the agent, by default."""


@dataclass(frozen=True)
class Report:
    """Says what was written.

    Attributes:
        path: the file.
        size: in bytes.
        missing: what it could not show, and why, each a line for people.
    """

    path: Path
    size: int
    missing: list[str]


def check_report_path(path: Path) -> Path:
    """Returns `path` if a report can be written there.

    Raises:
        ConfigError: see `warpzone.files.check_output_path`.
    """
    return check_output_path(path, "a report", (".html", ".htm"))


def write_report(
    run: Path,
    path: Path,
    *,
    films: int = MOST_FILMS,
    rom: RomSource = None,
    log: Callable[[str], None] = lambda text: None,
) -> Report:
    """Writes the report of the run in the directory `run` to `path`.

    Args:
        run: its directory; it may be in training.
        path: `.html`; whole or not written.
        films: of how many levels the agent is filmed at the most; 0: no films.
        rom: the ROM, or None to look for it. Without one there are neither maps nor films.
        log: receives a line for each step that takes time.

    Raises:
        CheckpointError: no run there.
        FileError: the report cannot be written.
        ConfigError: see `check_report_path`; or a run of a described game.
        RomError: `rom` names a file that is none.
        FilmError: a film cannot be made, e.g. because the disk is full.
    """
    config = read_config(run)
    if config.game.name is not None:
        raise ConfigError(
            f"a report is of levels of Super Mario Bros., and {str(run)!r} plays"
            f" {config.game.name}. `warpzone dashboard` shows its curves and games"
        )
    check_report_path(path)
    missing: list[str] = []
    name = printable(run.resolve().name)
    reader = Run(run, name)
    cartridge = _rom(rom_of(reader) if rom is None else rom, missing, named=rom is not None)
    agent = _agent(run, missing)
    metrics = reader.metrics
    if metrics.problem:
        missing.append(f"No curves: {metrics.problem}")
    if metrics.dropped:
        missing.append(
            f"The last {metrics.dropped:,} lines of metrics.jsonl: no run is read that far"
        )
    results = measured(reader, config, metrics)
    log("drawing maps")
    maps = _maps(run, config, cartridge, missing) if cartridge is not None else None
    head = [
        results_section(results, config),
        curves_section(metrics),
        map_section(maps),
    ]
    tail = [settings_section(config), origin_section(config, agent, cartridge)]
    room = MOST_BYTES - sum(len(part.encode()) for part in (*head, *tail)) - 100_000
    clips = (
        _clips(run, config, results, agent, cartridge, films, missing, log)
        if cartridge is not None and films > 0
        else []
    )
    shown = films_section(clips, room, missing, wanted=films > 0)
    top = title(reader, config, results, metrics)
    body = "\n".join([top, *head[:1], shown, *head[1:], *tail])
    page = html(f"{name}: a run of warpzone", body, notes_section(missing), maps)
    data = page.encode(errors="backslashreplace")
    write_atomically(path, data)
    return Report(path, len(data), missing)


def measured(run: Run, config: TrainConfig, metrics: Metrics) -> dict[str, EvalResult]:
    """Returns by level: of a finished run its last measurement, else the last one that it wrote
    down."""
    try:
        results = TypeAdapter(dict[str, EvalResult]).validate_python(run.measured)
    except ValidationError:
        results = {}
    if results:
        return results
    found = {}
    episodes = config.eval_episodes
    for level in config.env.levels:
        _, rates = curve(metrics.measured, f"eval/clear_rate/{level}")
        _, progress = curve(metrics.measured, f"eval/mean_progress/{level}")
        if len(rates) and 0 <= rates[-1] <= 1:
            cleared = round(float(rates[-1]) * episodes)
            far = float(progress[-1]) if len(progress) else float("nan")
            interval = wilson(cleared, episodes)
            found[level] = EvalResult(float(rates[-1]), episodes, interval, far, None)
    return found


def _rom(rom: RomSource, missing: list[str], *, named: bool) -> Rom | None:
    try:
        return open_rom(rom)
    except RomError as error:
        if named:
            raise
        missing.append(f"No maps and no films: {error}")
        return None


def _agent(run: Path, missing: list[str]) -> Agent | None:
    try:
        return Agent.load(run)
    except AgentError as error:
        # Whoever gets the report has no use for folders of this machine.
        text = str(error).replace(str(run), printable(run.resolve().name))
        missing.append(f"No films of the agent: {text}")
        return None


def _maps(
    run: Path, config: TrainConfig, rom: Rom, missing: list[str]
) -> dict[str, dict[str, Any]] | None:
    """Returns by level what `map.js` draws."""
    maps, found = RunMaps(run, rom), {}
    try:
        maps.ends.refresh()
        for level in config.env.levels:
            level_map = open_map(level, rom)
            found[level] = {
                **heat_json(maps.ends, level_map),
                "levels": list(config.env.levels),
                "pictures": [data_uri("image/png", strip_png(s)) for s in level_map.strips],
                "traces": traces_json(maps.traces.newest(level, MOST_TRACES), level_map),
            }
    except WarpzoneError as error:
        missing.append(f"No map: {error}")
        return None
    if not len(maps.ends):
        why = maps.ends.problem or "the run has written down no ends of episodes"
        missing.append(f"No deaths on the map: {why}")
    return found


def _clips(
    run: Path,
    config: TrainConfig,
    results: dict[str, EvalResult],
    agent: Agent | None,
    rom: Rom,
    films: int,
    missing: list[str],
    log: Callable[[str], None],
) -> list[Clip]:
    clips = []
    levels = list(config.env.levels)
    if agent is not None:
        warning = agent.rom_mismatch(rom)
        if warning:
            missing.append(warning)
        for level in _chosen(levels, results, films):
            log(f"filming {level}")
            clips.append(of_agent(agent, level, config, rom, log))
    episode = early_episode(run, levels, rom)
    if episode is not None:
        log("filming an early episode")
        clips.insert(0, of_episode(episode, rom))
    return clips


def _chosen(levels: Sequence[str], results: dict[str, EvalResult], most: int) -> list[str]:
    """Returns levels from the one cleared most often to the one cleared least, at equal
    distances."""
    rates = {level: results[level].clear_rate if level in results else 0.0 for level in levels}
    ranked = sorted(levels, key=lambda level: -rates[level])
    places = np.linspace(0, len(ranked) - 1, min(most, len(ranked))).round().astype(int)
    return [ranked[place] for place in places]
