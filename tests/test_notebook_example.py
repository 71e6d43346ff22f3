"""The notebooks of examples/: every cell runs, and what is to be seen is there."""

from __future__ import annotations

import base64
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[1] / "examples"
QUICK_START, WATCH = EXAMPLES / "quick_start.ipynb", EXAMPLES / "train_and_watch.ipynb"
SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER", "JUPYTERHUB_SERVICE_PREFIX")
FILMS = ("packaged", "watch")
"""Cells whose output is a film."""


def read(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    # nbformat has no types for it.
    notebook = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    return notebook


def code_cells(notebook: Any) -> dict[str, Any]:
    return {cell["id"]: cell for cell in notebook.cells if cell.cell_type == "code"}


class ThisPython(AsyncKernelManager):
    """Starts the Python that runs the tests, whatever kernels are installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=command, display_name="tests", language="python")


def shown(cell: Any, kind: str) -> list[Any]:
    """What a cell put out of one MIME type."""
    return [output.data[kind] for output in cell.outputs if kind in output.get("data", {})]


def execute(notebook: Any, folder: Path) -> None:
    """Raises on a cell that does. There is no screen, whatever the tests have."""
    environment = {name: value for name, value in os.environ.items() if name not in SCREENS}
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, km=ThisPython(), timeout=300, resources=resources)
    client.execute(env=environment)


def film_of(cell: Any, path: Path) -> Path:
    """Writes the film that a cell shows, which lies within the notebook."""
    (html,) = shown(cell, "text/html")
    (data,) = re.findall(r'<video[^>]*>\s*<source src="data:video/mp4;base64,([^"]+)"', html)
    path.write_bytes(base64.b64decode(data))
    return path


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
def test_it_is_stored_without_outputs(path: Path) -> None:
    for cell in code_cells(read(path)).values():
        assert cell.outputs == []
        assert cell.execution_count is None


@pytest.mark.slow
def test_every_cell_runs(tmp_path: Path) -> None:
    notebook = read(QUICK_START)
    execute(notebook, tmp_path)

    cells = code_cells(notebook)
    assert all(cell.execution_count for cell in cells.values())
    (picture,) = shown(cells["picture"], "image/png")
    assert base64.b64decode(picture).startswith(b"\x89PNG")
    for name in FILMS:
        film = film_of(cells[name], tmp_path / f"{name}.mp4")
        frames = imageio_ffmpeg.read_frames(str(film))
        assert next(frames)["fps"] == pytest.approx(60.1, abs=0.2)
        assert sum(1 for _ in frames) > 60
    (figure,) = shown(cells["curve"], "application/vnd.plotly.v1+json")
    curves = {trace["name"]: trace["x"] for trace in figure["data"]}
    assert set(curves) == {"rollout/episode_return", "rollout/best_x"}
    assert all(len(steps) > 5 for steps in curves.values())
    (run,) = (tmp_path / "runs").iterdir()
    assert (run / "agent.safetensors").is_file()


@pytest.mark.slow
def test_a_training_is_watched_in_the_notebook(tmp_path: Path) -> None:
    """The frames are there, and behind their address the run, as long as the kernel lives."""
    notebook = read(WATCH)
    asking = (
        "import urllib.request\n"
        "print(urllib.request.urlopen(dashboard.url + 'api/runs', timeout=60).read().decode())"
    )
    place = next(i for i, cell in enumerate(notebook.cells) if cell["id"] == "end")
    # nbformat has no types for it.
    cell = nbformat.v4.new_code_cell(asking, id="asking")  # type: ignore[no-untyped-call]
    notebook.cells.insert(place, cell)
    execute(notebook, tmp_path)

    cells = code_cells(notebook)
    (run,) = (tmp_path / "runs").iterdir()
    (all_runs,) = shown(cells["dashboard"], "text/html")
    (one_run,) = shown(cells["run"], "text/html")
    address = re.compile(r'<iframe src="(http://127\.0\.0\.1:\d+/[\w-]{40,}/)([^"]*)"')
    first, second = address.search(all_runs), address.search(one_run)
    assert first is not None
    assert second is not None
    assert (first[2], second[2]) == ("", f"#/run/{run.name}")
    assert first[1] == second[1]
    (told,) = cells["asking"].outputs
    (found,) = json.loads(told["text"])["runs"]
    assert (found["name"], found["state"]) == (run.name, "finished")
    film = film_of(cells["film"], tmp_path / "film.mp4")
    frames, _ = imageio_ffmpeg.count_frames_and_secs(str(film))
    assert frames > 60
