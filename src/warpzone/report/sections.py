"""The parts of a report as HTML, and the page around them. All that a run says is escaped."""

from __future__ import annotations

import base64
import datetime
import json
import math
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpzone.agents.agent import Agent
from warpzone.maps import STATIC as MAPS
from warpzone.nes.rom import Rom
from warpzone.report.clips import Clip
from warpzone.report.plots import Line, interval_svg, svg
from warpzone.runs.columns import CLEAR_RATE, CURVES
from warpzone.runs.compare import differences, flatten, shown
from warpzone.runs.library import Run, number
from warpzone.runs.metrics import Metrics, Table
from warpzone.training.agent_file import AgentInfo
from warpzone.training.config import TrainConfig
from warpzone.training.evaluation import EvalResult
from warpzone.training.presets import PRESETS
from warpzone.training.provenance import command_of
from warpzone.version import VERSION

STATIC = Path(__file__).parent / "static"
MOST_BYTES = 8_000_000
"""Of the file; films that do not fit are left out."""
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; media-src data:; base-uri 'none'; form-action 'none'"
)


def curve(table: Table, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns steps and values of a column, without the rows that lack it."""
    values = table.column(name)
    known = np.isfinite(values)
    return table.steps[known], values[known]


def films_section(clips: Sequence[Clip], room: int, missing: list[str], *, wanted: bool) -> str:
    """Returns the films that fit into `room` bytes; `missing` is told of the others."""
    parts = []
    for clip in clips:
        source = data_uri("video/mp4", clip.mp4)
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


def title(run: Run, config: TrainConfig, results: dict[str, EvalResult], metrics: Metrics) -> str:
    """Returns the heading, and what the run is and how far it is."""
    status = run.status
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
    return f'<h1>{escape(run.name)}</h1><dl class="facts">{items}</dl>'


def results_section(results: dict[str, EvalResult], config: TrainConfig) -> str:
    """Returns the table of measured clear rates."""
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


def curves_section(metrics: Metrics) -> str:
    """Returns the curves, as SVG."""
    figures = []
    eval_steps, eval_rates = curve(metrics.measured, "eval/clear_rate")
    for kind in CURVES:
        steps, values = curve(metrics.updates, kind.column)
        rates = kind.column == CLEAR_RATE
        points = list(zip(eval_steps.tolist(), eval_rates.tolist(), strict=True)) if rates else []
        if not len(steps) and not points:
            continue
        figures.append(
            f"<figure><h3>{escape(kind.title)} <small>{escape(kind.note)}</small></h3>"
            f"{svg(Line(kind.title, steps, values, percent=rates, points=points))}</figure>"
        )
    if not figures:
        return _section("Curves", '<p class="note">The run has learnt nothing yet.</p>')
    return _section(
        "Curves",
        f'<div class="charts">{"".join(figures)}</div>'
        '<p class="note">Over agent steps. Lines are means, bands go from lowest to highest.</p>',
    )


def map_section(maps: dict[str, dict[str, Any]] | None) -> str:
    """Returns the place that the script puts the map in."""
    if not maps:
        return _section("Where Mario dies", '<p class="note">There is no map.</p>')
    return _section(
        "Where Mario dies",
        '<noscript><p class="note">The map needs JavaScript, which is off.</p></noscript>'
        '<div id="map"></div>',
    )


def settings_section(config: TrainConfig) -> str:
    """Returns settings that differ from the preset, and all of them."""
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


def origin_section(config: TrainConfig, agent: Agent | None, rom: Rom | None) -> str:
    """Returns where the run comes from, and the commands that train it again."""
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


def notes_section(missing: Sequence[str]) -> str:
    """Returns what the report does not show, and why."""
    if not missing:
        return ""
    items = "".join(f"<li>{escape(text)}</li>" for text in missing)
    return _section("What is missing here", f'<ul class="note">{items}</ul>')


def _module(*names: str) -> str:
    """Returns scripts that import only from those before them as one."""
    texts = [(MAPS / name).read_text(encoding="utf-8") for name in names]
    return re.sub(r"^import .*\n", "", "".join(texts), flags=re.MULTILINE)


def html(title: str, body: str, notes: str, maps: dict[str, dict[str, Any]] | None) -> str:
    """Returns the whole page; `maps` by level what `map.js` draws."""
    sheets = (STATIC / "report.css", MAPS / "map.css")
    styles = "".join(sheet.read_text(encoding="utf-8") for sheet in sheets)
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


def data_uri(kind: str, data: bytes) -> str:
    """Returns a file as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
