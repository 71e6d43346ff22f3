"""Several runs side by side: settings in which they differ, and measured clear rates by level."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from warpzone.runs.columns import MEASURED
from warpzone.runs.library import LONGEST_NAME, Run, number, shortened

WHOLE = ("env.levels", "game.starts", "distillation_policies")
"""Settings that are one value, although they are JSON objects."""
CLEAR_RATE = MEASURED[0]
MOST_SETTINGS = 2000
"""Of a run that are shown; a training has some hundred."""
MISSING = "—"
"""Of a setting that a run of an older version does not have."""


def flatten(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns settings by dotted name; of very many the first, and a line that says so."""
    found = list(islice(_dotted(settings, ""), MOST_SETTINGS + 1))
    if len(found) > MOST_SETTINGS:
        found[-1] = ("…", f"there are more than {MOST_SETTINGS:,} settings")
    return {shortened(name, LONGEST_NAME): value for name, value in found}


def _dotted(settings: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict) and prefix + name not in WHOLE:
            yield from _dotted(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def shown(value: Any) -> str:
    """Returns a setting as a person would write it, or of a long one the beginning."""
    return shortened(_shown(value))


def _shown(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case dict():  # levels with their shares, distillation policies with their levels
            if all(share == 1 for share in value.values()):
                return ", ".join(value) or "none"
            return ", ".join(f"{name}: {_shown(part)}" for name, part in value.items())
        case list():
            return ", ".join(map(_shown, value)) or "none"
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def differences(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns rows `{"name": dotted name, "values": [a text for each run]}` of what differs."""
    flat = [flatten(config) for config in configs]
    names = dict.fromkeys(name for settings in flat for name in settings)
    rows = []
    for name in names:
        values = [shown(each[name]) if name in each else MISSING for each in flat]
        if len(set(values)) > 1:
            rows.append({"name": name, "values": values})
    return rows


def results(runs: Sequence[Run], levels: Sequence[str]) -> dict[str, Any]:
    """Returns measured clear rates: `columns`, and for each level `rows` with a cell or None for
    each column.

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
            for level in levels
        ],
    }


def _measured(run: Run) -> dict[str, dict[str, Any]]:
    """Returns cells by level, from status.json, or of a run that has not ended the last ones in
    metrics.jsonl."""
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
        for name in table.names:
            measured, _, level = name.rpartition("/")
            if measured == CLEAR_RATE:
                rates = table.column(name)
                known = rates[np.isfinite(rates)]
                if known.size:
                    cells[level] = {"run": run.name, "final": False, "clear_rate": known[-1].item()}
        return cells
