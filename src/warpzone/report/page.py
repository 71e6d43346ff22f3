"""A run as one HTML file that holds everything it shows, to be sent to somebody.

Settings, curves, clear rates with their intervals, the level's map with deaths, films, and where it
all comes from. What a run does not have yet is left out, and the report says so.
"""

from __future__ import annotations

import base64
import datetime
import json
import math
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from warpzone.agents.agent import Agent
from warpzone.dashboard.level_map import MOST_TRACES, RunMaps, heat_json, traces_json
from warpzone.errors import AgentError, RomError, WarpzoneError
from warpzone.files import check_output_path, write_atomically
from warpzone.maps.cache import open_atlas, strip_png
from warpzone.nes.cartridge import RomSource, open_rom
from warpzone.nes.rom import Rom
from warpzone.report.clips import Clip, early_episode, of_agent, of_episode
from warpzone.report.plots import Curve, interval_svg, svg
from warpzone.runs.compare import differences, flatten, shown
from warpzone.runs.library import number
from warpzone.runs.metrics import Metrics, Table
from warpzone.training.agent_file import AgentInfo
from warpzone.training.config import TrainConfig
from warpzone.training.evaluation import EvalResult, wilson
from warpzone.training.presets import PRESETS
from warpzone.training.provenance import command_of
from warpzone.training.run_directory import read_config
from warpzone.version import VERSION

STATIC = Path(__file__).parents[1] / "dashboard" / "static"
NAME = "report.html"
MOST_BYTES = 8_000_000
"""Of the file; films that do not fit are left out."""
MOST_FILMS = 3
"""Of the agent, by default."""
CURVES = {
    "rollout/clear_rate": "Cleared, of the last 100 training episodes",
    "rollout/best_x": "Farthest x, px",
    "rollout/episode_return": "Return of an episode",
    "losses/entropy": "Entropy of the policy, nats",
    "losses/approx_kl": "KL divergence of an update",
    "losses/explained_variance": "Explained variance of the value",
    "charts/SPS": "Steps per second",
}
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; media-src data:; base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True)
class Report:
    """What was written.

    Attributes:
        path: the file.
        size: in bytes.
        missing: what it could not show, and why, each a line for people.
    """

    path: Path
    size: int
    missing: list[str]


def check_report_path(path: Path) -> Path:
    """Return `path` if a report can be written there.

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
    say: Callable[[str], None] = lambda text: None,
) -> Report:
    """Write the report of the run in the directory `run` to `path`.

    Args:
        run: its directory; it may be in training.
        path: `.html`; whole or not written.
        films: of how many levels the agent is filmed at the most; 0: no films.
        rom: the ROM, or None to look for it. Without one there are neither maps nor films.
        say: receives a line for each step that takes time.

    Raises:
        CheckpointError: no run there.
        FileError: the report cannot be written.
        ConfigError: see `check_report_path`.
        RomError: `rom` names a file that is none.
        FilmError: a film cannot be made, e.g. because the disk is full.
    """
    config = read_config(run)
    check_report_path(path)
    missing: list[str] = []
    cartridge = _rom(rom, missing)
    agent = _agent(run, missing)
    metrics = Metrics(run / "metrics.jsonl")
    metrics.refresh()
    results = measured(run, config, metrics)
    say("drawing maps")
    maps = _maps(run, config, cartridge, missing) if cartridge is not None else None
    head = [
        _results(results, config),
        _curves(metrics),
        _map(maps),
    ]
    tail = [_settings(config), _origin(run, config, agent, cartridge)]
    room = MOST_BYTES - sum(len(part.encode()) for part in (*head, *tail)) - 100_000
    clips = (
        _clips(run, config, results, agent, cartridge, films, missing, say)
        if cartridge is not None and films > 0
        else []
    )
    shown = _films(clips, room, missing, wanted=films > 0)
    body = "\n".join([_title(run, config, results, metrics), *head[:1], shown, *head[1:], *tail])
    page = _page(f"{run.resolve().name}: a run of warpzone", body, _notes(missing), maps)
    data = page.encode()
    write_atomically(path, data)
    return Report(path, len(data), missing)


def measured(run: Path, config: TrainConfig, metrics: Metrics) -> dict[str, EvalResult]:
    """By level: of a finished run its last measurement, else the last one that it wrote down."""
    with suppress(OSError, ValueError, ValidationError, AttributeError, RecursionError):
        status = json.loads((run / "status.json").read_bytes())
        results = TypeAdapter(dict[str, EvalResult]).validate_python(status.get("measured") or {})
        if results:
            return results
    found = {}
    episodes = config.eval_episodes
    for level in config.env.levels:
        _, rates = _curve(metrics.measured, f"eval/clear_rate/{level}")
        _, progress = _curve(metrics.measured, f"eval/mean_progress/{level}")
        if len(rates) and 0 <= rates[-1] <= 1:
            cleared = round(float(rates[-1]) * episodes)
            far = float(progress[-1]) if len(progress) else math.nan
            interval = wilson(cleared, episodes)
            found[level] = EvalResult(float(rates[-1]), episodes, interval, far, None)
    return found


def _curve(table: Table, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Steps and values of a column, without the rows that lack it."""
    values = table.column(name)
    known = np.isfinite(values)
    return table.steps[known], values[known]


def _rom(rom: RomSource, missing: list[str]) -> Rom | None:
    try:
        return open_rom(rom)
    except RomError as error:
        if rom is not None:
            raise
        missing.append(f"No maps and no films: {error}")
        return None


def _agent(run: Path, missing: list[str]) -> Agent | None:
    try:
        return Agent.load(run)
    except AgentError as error:
        # Whoever gets the report has no use for folders of this machine.
        text = str(error).replace(str(run), run.resolve().name)
        missing.append(f"No films of the agent: {text}")
        return None


def _maps(
    run: Path, config: TrainConfig, rom: Rom, missing: list[str]
) -> dict[str, dict[str, Any]] | None:
    """By level what `static/map.js` draws."""
    maps, found = RunMaps(run, rom), {}
    try:
        maps.ends.refresh()
        for level in config.env.levels:
            atlas = open_atlas(level, rom)
            found[level] = {
                **heat_json(maps.ends, atlas),
                "levels": list(config.env.levels),
                "pictures": [_data_uri("image/png", strip_png(s)) for s in atlas.strips],
                "traces": traces_json(maps.traces.newest(level, MOST_TRACES), atlas),
            }
    except WarpzoneError as error:
        missing.append(f"No map: {error}")
        return None
    if not len(maps.ends):
        missing.append("No deaths on the map: the run has written down no ends of episodes")
    return found


def _clips(
    run: Path,
    config: TrainConfig,
    results: dict[str, EvalResult],
    agent: Agent | None,
    rom: Rom,
    films: int,
    missing: list[str],
    say: Callable[[str], None],
) -> list[Clip]:
    clips = []
    levels = list(config.env.levels)
    if agent is not None:
        warning = agent.rom_mismatch(rom)
        if warning:
            missing.append(warning)
        for level in _chosen(levels, results, films):
            say(f"filming {level}")
            clips.append(of_agent(agent, level, config, rom, say))
    episode = early_episode(run, levels, rom)
    if episode is not None:
        say("filming an early episode")
        clips.insert(0, of_episode(episode, rom))
    return clips


def _chosen(levels: Sequence[str], results: dict[str, EvalResult], most: int) -> list[str]:
    """From the level that is cleared most often to the one that is least, at equal distances."""
    rates = {level: results[level].clear_rate if level in results else 0.0 for level in levels}
    ranked = sorted(levels, key=lambda level: -rates[level])
    places = np.linspace(0, len(ranked) - 1, min(most, len(ranked))).round().astype(int)
    return [ranked[place] for place in places]


def _films(clips: Sequence[Clip], room: int, missing: list[str], *, wanted: bool) -> str:
    parts = []
    for clip in clips:
        source = _data_uri("video/mp4", clip.mp4)
        if len(source) > room:
            missing.append(f"No room in {MOST_BYTES / 1e6:.0f} MB for the film {clip.title!r}")
            continue
        room -= len(source)
        parts.append(
            f"<figure><h3>{escape(clip.title)}</h3><video controls muted loop playsinline "
            f'preload="metadata" aria-label="{escape(clip.title)}: {escape(clip.text)}" '
            f'src="{source}"></video><figcaption class="note">{escape(clip.text)}'
            "</figcaption></figure>"
        )
    if not parts:
        why = "" if wanted else " They were not asked for."
        return _section("Films", f'<p class="note">There are no films.{why}</p>')
    return _section("Films", f'<div class="films">{"".join(parts)}</div>')


def _title(run: Path, config: TrainConfig, results: dict[str, EvalResult], metrics: Metrics) -> str:
    status: dict[str, Any] = {}
    with suppress(OSError, ValueError, RecursionError):
        read = json.loads((run / "status.json").read_bytes())
        status = read if isinstance(read, dict) else {}
    told = number(status.get("step")) or 0
    step = max([*metrics.updates.steps[-1:], *metrics.measured.steps[-1:], told])
    levels = list(config.env.levels)
    facts = {
        "levels" if len(levels) > 1 else "level": ", ".join(levels)
        if len(levels) <= 8
        else f"{len(levels)}, {levels[0]} to {levels[-1]}",
        "state": str(status.get("state", "not known")),
        "agent steps": f"{int(step):,} of {config.total_steps:,}",
        "preset": config.preset,
        "seed": str(config.seed),
    }
    if results:
        rate = sum(result.clear_rate for result in results.values()) / len(results)
        facts["cleared"] = f"{rate:.1%}" + (" on average" if len(results) > 1 else "")
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in facts.items()
    )
    return f'<h1>{escape(run.resolve().name)}</h1><dl class="facts">{items}</dl>'


def _results(results: dict[str, EvalResult], config: TrainConfig) -> str:
    if not results:
        return _section("Clear rates", '<p class="note">The run has not been measured yet.</p>')
    rows = []
    for level, result in results.items():
        low, high = result.ci95
        seconds = "–" if result.mean_frames is None else f"{result.mean_frames / 60.0988:.1f} s"
        far = "–" if math.isnan(result.mean_progress) else f"{result.mean_progress:,.0f} px"
        rows.append(
            f'<tr><th scope="row">{escape(level)}</th>'
            f'<td class="number">{result.clear_rate:.1%}</td>'
            f"<td>{interval_svg(result.clear_rate, low, high)}</td>"
            f'<td class="number">{low:.1%} – {high:.1%}</td>'
            f'<td class="number">{result.episodes:,}</td><td class="number">{seconds}</td>'
            f'<td class="number">{far}</td></tr>'
        )
    heads = ("level", "cleared", "", "95 % interval", "episodes", "time to clear", "progress")
    columns = "".join(
        f'<th scope="col"{" class=number" if name not in ("level", "") else ""}>{name}</th>'
        for name in heads
    )
    sticky = (
        f", buttons stick with {config.eval_repeat_action_probability:g} per frame"
        if config.eval_repeat_action_probability
        else ""
    )
    idle = (
        f"0 to {config.eval_noop_max} frames without buttons" if config.eval_noop_max else "no wait"
    )
    return _section(
        "Clear rates",
        f'<div class="wide"><table><thead><tr>{columns}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        f'<p class="note">Measured in training with sampled actions; each episode begins after '
        f"{idle}{sticky}. Intervals are Wilson's.</p>",
    )


def _curves(metrics: Metrics) -> str:
    figures = []
    eval_steps, eval_rates = _curve(metrics.measured, "eval/clear_rate")
    for name, title in CURVES.items():
        steps, values = _curve(metrics.updates, name)
        rates = name == "rollout/clear_rate"
        points = list(zip(eval_steps.tolist(), eval_rates.tolist(), strict=True)) if rates else []
        if not len(steps) and not points:
            continue
        dots = "; dots: measured" if points else ""
        figures.append(
            f"<figure><h3>{escape(title)}{dots}</h3>"
            f"{svg(Curve(title, steps, values, percent=rates, points=points))}</figure>"
        )
    if not figures:
        return _section("Curves", '<p class="note">The run has learnt nothing yet.</p>')
    return _section(
        "Curves",
        f'<div class="charts">{"".join(figures)}</div>'
        '<p class="note">Over agent steps. Lines are means, bands go from lowest to highest.</p>',
    )


def _map(maps: dict[str, dict[str, Any]] | None) -> str:
    if not maps:
        return _section("Where Mario dies", '<p class="note">There is no map.</p>')
    return _section(
        "Where Mario dies",
        '<noscript><p class="note">The map needs JavaScript, which is off.</p></noscript>'
        '<div id="map"></div>',
    )


def _settings(config: TrainConfig) -> str:
    settings = config.model_dump(mode="json")
    preset = PRESETS.get(config.preset)
    if preset is None:
        changed = f'<p class="note">{escape(config.preset)} is no preset of this version.</p>'
    else:
        rows = "".join(
            f'<tr><th scope="row"><code>{escape(row["name"])}</code></th>'
            + "".join(f"<td>{escape(value)}</td>" for value in row["values"])
            + "</tr>"
            for row in differences([settings, preset.model_dump(mode="json")])
        )
        changed = (
            '<div class="wide"><table><thead><tr><th scope="col">setting</th>'
            '<th scope="col">this run</th>'
            f'<th scope="col">preset {escape(config.preset)}</th></tr></thead>'
            f"<tbody>{rows}</tbody></table></div>"
            if rows
            else f"<p>Those of the preset <b>{escape(config.preset)}</b>.</p>"
        )
    every = "".join(
        f'<tr><th scope="row"><code>{escape(name)}</code></th><td>{escape(shown(value))}</td></tr>'
        for name, value in flatten(settings).items()
    )
    return _section(
        "Settings",
        f"{changed}<details><summary>All settings</summary>"
        f'<div class="wide"><table><tbody>{every}</tbody></table></div></details>',
    )


def _origin(run: Path, config: TrainConfig, agent: Agent | None, rom: Rom | None) -> str:
    info: AgentInfo | None = None if agent is None else agent.info
    facts = {
        "ROM": None
        if info is None or info.rom_sha1 is None
        else f"{info.rom_revision or 'unknown revision'}, SHA-1 {info.rom_sha1}",
        "seed": str(config.seed),
        "code": None if info is None else info.commit and f"commit {info.commit}",
        "time": None
        if info is None or info.seconds is None
        else f"{info.seconds / 60:.1f} min of playing and learning"
        + (f", threads: {info.threads}" if info.threads else ""),
        "agent": None if agent is None else f"{agent.path.name}, {agent.title}",
        "report": f"warpzone {VERSION}, "
        f"{datetime.datetime.now().astimezone():%Y-%m-%d %H:%M %Z}"
        + ("" if rom is None else f", maps and films with the ROM revision {rom.revision}"),
    }
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(text or "not known")}</td></tr>'
        for name, text in facts.items()
    )
    earlier = [] if info is None else [stage.command for stage in info.earlier if stage.command]
    commands = [*earlier, command_of(config)]
    text = "It is trained again by" if len(commands) == 1 else "It is trained again by, in a row,"
    return _section(
        "Where it comes from",
        f'<div class="wide"><table><tbody>{rows}</tbody></table></div><p>{text}</p>'
        f"<pre>{escape(chr(10).join(commands))}</pre>",
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def _notes(missing: Sequence[str]) -> str:
    if not missing:
        return ""
    items = "".join(f"<li>{escape(text)}</li>" for text in missing)
    return _section("What is missing here", f'<ul class="note">{items}</ul>')


def _module(*names: str) -> str:
    """Scripts that import only from those before them, as one."""
    texts = [(STATIC / name).read_text() for name in names]
    return re.sub(r"^import .*\n", "", "".join(texts), flags=re.MULTILINE)


def _page(title: str, body: str, notes: str, maps: dict[str, dict[str, Any]] | None) -> str:
    styles = "".join((STATIC / name).read_text() for name in ("report.css", "map.css"))
    script = ""
    if maps:
        data = json.dumps(maps, separators=(",", ":")).replace("<", "\\u003c")
        script = (
            f'<script type="application/json" id="maps">{data}</script>\n'
            f'<script type="module">\n{_module("dom.js", "map.js")}\n{SHOW_MAP}</script>'
        )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="warpzone {VERSION}">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>{styles}</style>
</head>
<body>
<main>
{body}
{notes}
</main>
{script}
</body>
</html>
"""


SHOW_MAP = """
const maps = JSON.parse(document.getElementById("maps").textContent);
const map = new LevelMap(
  document.getElementById("map"),
  (level, strip) => maps[level].pictures[strip],
  (level) => show(level),
  false,
);
function show(level) {
  map.show(maps[level]);
  map.showTraces(maps[level].traces);
}
const ended = (level) => maps[level].ends;
show(Object.keys(maps).reduce((most, level) => (ended(level) > ended(most) ? level : most)));
"""


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
