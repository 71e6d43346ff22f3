"""Several runs side by side: settings in which they differ, and measured clear rates by level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from warpzone.dashboard.responses import json_response
from warpzone.errors import RunError
from warpzone.runs.library import Library, Run, number
from warpzone.smb.levels import LEVELS

WHOLE = ("env.levels", "teachers")
"""Settings that are one value, although they are JSON objects."""
MISSING = "—"
"""Of a setting that a run of an older version does not have."""


def routes(library: Library) -> list[BaseRoute]:
    """`/api/compare?run=A&run=B…` and `/api/config?run=A`."""

    def compare(request: Request) -> Response:
        runs = [library.run(name) for name in dict.fromkeys(request.query_params.getlist("run"))]
        if not runs:
            raise RunError("which runs? For example /api/compare?run=NAME&run=OTHER")
        answer = {
            "runs": [run.name for run in runs],
            "differences": differences([run.config for run in runs]),
            "results": results(runs),
        }
        return json_response(answer, request=request)

    def config(request: Request) -> Response:
        settings = flatten(library.run(request.query_params.get("run", "")).config)
        named = {name: shown(value) for name, value in settings.items()}
        return json_response(named, request=request)

    return [Route("/api/compare", compare), Route("/api/config", config)]


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by dotted name."""
    result: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict) and prefix + name not in WHOLE:
            result |= flatten(value, f"{prefix}{name}.")
        else:
            result[prefix + name] = value
    return result


def shown(value: Any) -> str:
    """A setting as a person would write it."""
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case dict():  # levels with their shares, teachers with their levels
            if all(share == 1 for share in value.values()):
                return ", ".join(value) or "none"
            return ", ".join(f"{name}: {shown(part)}" for name, part in value.items())
        case list():
            return ", ".join(map(shown, value)) or "none"
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def differences(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows `{"name": dotted name, "values": [a text for each run]}` of what is not the same."""
    flat = [flatten(config) for config in configs]
    names = dict.fromkeys(name for settings in flat for name in settings)
    rows = []
    for name in names:
        values = [shown(each[name]) if name in each else MISSING for each in flat]
        if len(set(values)) > 1:
            rows.append({"name": name, "values": values})
    return rows


def results(runs: Sequence[Run]) -> dict[str, Any]:
    """Measured clear rates: `columns`, and for each of the 32 levels a cell or None for each.

    A column is a run, or a campaign, whose runs have a level each. A cell has `clear_rate`, and
    where they are known `episodes`, `low` and `high` (95 %), the `run`, and whether it is `final`:
    of the agent that the run ended with.
    """
    columns: dict[str, dict[str, dict[str, Any]]] = {}
    for run in runs:
        title = run.name.rpartition("/")[0] if len(run.levels) == 1 else ""
        cells = columns.setdefault(title or run.name, {})
        for level, cell in _measured(run).items():
            known = cells.get(level)
            if known is None or cell["clear_rate"] > known["clear_rate"]:
                cells[level] = cell
    return {
        "columns": list(columns),
        "rows": [
            {"level": level, "cells": [cells.get(level) for cells in columns.values()]}
            for level in LEVELS
        ],
    }


def _measured(run: Run) -> dict[str, dict[str, Any]]:
    """By level, from status.json, or of a run that has not ended the last in metrics.jsonl."""
    final = {}
    for level, result in run.measured.items():
        interval = result.get("ci95")
        low, high = interval if isinstance(interval, list) and len(interval) == 2 else (None, None)
        final[level] = {
            "run": run.name,
            "final": True,
            "clear_rate": number(result.get("clear_rate")),
            "episodes": number(result.get("episodes")),
            "low": number(low),
            "high": number(high),
        }
    if final:
        return final
    with run.lock:
        table = run.metrics.measured
        cells = {}
        for level in LEVELS:
            if (name := f"eval/clear_rate/{level}") in table.names:
                rates = table.column(name)
                known = rates[np.isfinite(rates)]
                if known.size:
                    cells[level] = {"run": run.name, "final": False, "clear_rate": known[-1].item()}
        return cells
