"""Answers about runs: the list, curves, settings, and how runs differ."""

from __future__ import annotations

import json
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from warpzone.dashboard.responses import json_response, limited
from warpzone.errors import RunError
from warpzone.runs.columns import CURVES
from warpzone.runs.compare import differences, flatten, results, shown
from warpzone.runs.curves import curves
from warpzone.runs.library import Library, printable
from warpzone.smb.levels import LEVELS

AT_ONCE = 8
"""Answers of a kind that are made at the same time."""


def routes(library: Library) -> list[BaseRoute]:
    """Returns `/api/runs`, `/api/curves` (`run`, `after`), `/api/compare` (`run`, `run` …),
    `/api/config` (`run`), and the list of curves as a script for the page."""

    def runs(request: Request) -> Response:
        found = [run.summary() for run in library.runs()]
        folder = printable(str(library.folder))
        answer = {"folder": folder, "problem": library.problem, "runs": found}
        return json_response(answer, request=request)

    def run_curves(request: Request) -> Response:
        run = library.run(request.query_params.get("run", ""))
        return json_response(curves(run, request.query_params.get("after", "")))

    def compare(request: Request) -> Response:
        chosen = [library.run(name) for name in dict.fromkeys(request.query_params.getlist("run"))]
        if not chosen:
            raise RunError("which runs? For example /api/compare?run=NAME&run=OTHER")
        answer = {
            "runs": [run.name for run in chosen],
            "differences": differences([run.config for run in chosen]),
            "results": results(chosen, LEVELS),
        }
        return json_response(answer, request=request)

    def config(request: Request) -> Response:
        settings = flatten(library.run(request.query_params.get("run", "")).config)
        named = {name: shown(value) for name, value in settings.items()}
        return json_response(named, request=request)

    reading = limited(AT_ONCE)  # these may have to read long files
    return [
        Route("/api/runs", limited(AT_ONCE)(runs)),
        Route("/api/curves", reading(run_curves)),
        Route("/api/compare", reading(compare)),
        Route("/api/config", limited(AT_ONCE)(config)),
        Route("/static/curves.js", _list_of_curves),
    ]


def _list_of_curves(request: Request) -> Response:
    text = json.dumps([asdict(curve) for curve in CURVES], indent=2)
    return Response(f"export const CURVES = {text};\n", media_type="text/javascript")
