"""Run directories of somebody who means harm: markup, scripts, control characters, names of
JavaScript's own, texts and numbers without end, in every field that a page shows."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.support.episodes import make_episode
from tests.support.run_directories import make_run, metrics_line

from warpzone.episodes.format import Decisions, Episode, TrainingPlayer

MARK = "window.harmed=1"
"""What scripts in the texts do, if they run."""
TEXTS = {
    "script": f"<script>{MARK}</script>",
    "image": f"<img src=x onerror={MARK}>",
    "svg": f"<svg onload={MARK}>",
    "attribute": f'" onload="{MARK}" autofocus onfocus="{MARK}',
    "apostrophe": f"' onmouseover='{MARK}",
    "address": f"javascript:{MARK}",
    "link": f'<a href="javascript:{MARK}">press</a>',
    "elsewhere": '<a href="https://elsewhere.example/">press</a>',
    "closing": f"</script></title></style></textarea><script>{MARK}</script>",
    "comment": "<!--<script>",
    "template": "${" + MARK + "} {{7*7}} %{x} %{customdata}",
    "entity": "&lt;b&gt;&quot;&#0;&colon;",
    "style": "</style><style>*{display:none}",
    "lines": "one\u2028two\u2029three\nfour\r\nfive\x0b",
    "control": "\x00\x07\x08\x1b[31m\x7f\x9b",
    "direction": "\u202egpj.\u2066evil\u200f",
    "half": "\ud800 and \udfff",
    "proto": "__proto__",
    "constructor": "constructor",
    "method": "toString",
    "path": "../../../../etc/passwd",
    "encoded": "%2e%2e%2f%00%ff%",
    "long": "x" * 20_000,
    "zalgo": "Z" + "\u0351\u0347\u036b" * 400,
    "classes": "skip unseen problem hidden",
}
NUMBERS: tuple[Any, ...] = (10**300, -(10**300), 1e308, -1e-308, 0.1 + 0.2, 2**63, -1, "7", [], {})


def hostile_runs(folder: Path, *, episodes: bool = True) -> list[str]:
    """Makes a run for each of `TEXTS`, and returns their names as pages have them."""
    names = []
    for place, (kind, text) in enumerate(TEXTS.items()):
        name = _as_file_name(text) or kind
        path = folder / name
        number = NUMBERS[place % len(NUMBERS)]
        make_run(path)
        _write(path / "config.json", _config(text, number))
        _write(path / "status.json", _status(text, number, place))
        _write_lines(path / "metrics.jsonl", text, number)
        (path / "episode_ends.jsonl").write_text(
            json.dumps({"level": text, "kind": text, "x": 1e300, "y": text}) + "\n" + text * 3,
            errors="backslashreplace",
        )
        if episodes and place < 3:
            for file in ("live/000.json", "episodes/hostile.json"):
                (path / file).parent.mkdir(exist_ok=True)
                hostile_episode(text).save(path / file)
        names.append(name)
    return names


def hostile_episode(text: str) -> Episode:
    """A good episode, whose texts are `text` wherever a file may hold any."""
    good = make_episode(b"\x80" * 120)
    decisions = good.decisions
    assert decisions is not None
    named = Decisions(
        **decisions.model_dump() | {"action_names": tuple(text for _ in decisions.action_names)}
    )
    return good.model_copy(
        update={
            "player": TrainingPlayer(run=text, step=2**62, game=2**62),
            "decisions": named,
        }
    )


def _as_file_name(text: str) -> str:
    name = text.replace("/", "\u2044").replace("\x00", "").lstrip(".")
    if sys.platform == "win32":
        name = "".join(c for c in name if c not in '<>:"\\|?*' and ord(c) > 31)
    name = name.encode("utf-8", "replace")[:200].decode(errors="ignore")
    return "" if len(os.fsencode(name)) > 250 else name


def _config(text: str, number: Any) -> dict[str, Any]:
    return {
        "preset": text,
        "seed": number,
        "total_steps": number,
        "env": {"levels": {text: number, "1-1": 1.0}, "observation": text, text: text},
        "network": {"kind": text, "hidden": [text] * 3, "options": {text: {text: text}}},
        "reward": text,
        text: text,
        "__proto__": {"polluted": text, "toString": text},
        "constructor": {"prototype": {"polluted": text}},
        "hasOwnProperty": number,
        "trackers": [text, {text: text}],
    }


def _status(text: str, number: Any, place: int) -> dict[str, Any]:
    measured = {"clear_rate": 0.5, "episodes": number, "ci95": [number, text], "mean_frames": text}
    return {
        "state": ("finished", "failed", text)[place % 3],
        "step": number,
        "error": text,
        "best_clear_rate": number,
        "measured": {text: measured, "1-1": measured, "__proto__": measured},
    }


def _write_lines(path: Path, text: str, number: Any) -> None:
    lines = [
        metrics_line(1000, entropy=text, kl=number),
        metrics_line(2000, entropy=[], **{text: text, "__proto__": number}),
        json.dumps({"step": 3000, f"eval/clear_rate/{text}": 0.5, "eval/clear_rate": number})
        + "\n",
        json.dumps({"step": number, "losses/entropy": number}) + "\n",
        text + "\n",
        metrics_line(4000),
    ]
    path.write_text("".join(lines), errors="backslashreplace")


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value))
