"""The quick start in a notebook: every cell runs, and what is to be seen is there."""

from __future__ import annotations

import base64
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

NOTEBOOK = Path(__file__).parents[1] / "examples" / "quick_start.ipynb"
FILMS = ("packaged", "watch")
"""Cells whose output is a film."""


def read() -> Any:
    text = NOTEBOOK.read_text(encoding="utf-8")
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


def test_it_is_stored_without_outputs() -> None:
    for cell in code_cells(read()).values():
        assert cell.outputs == []
        assert cell.execution_count is None


@pytest.mark.slow
def test_every_cell_runs(tmp_path: Path) -> None:
    notebook = read()
    client = NotebookClient(
        notebook,
        km=ThisPython(),
        timeout=300,
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()  # raises on a cell that does

    cells = code_cells(notebook)
    assert all(cell.execution_count for cell in cells.values())
    (picture,) = shown(cells["picture"], "image/png")
    assert base64.b64decode(picture).startswith(b"\x89PNG")
    for name in FILMS:
        (html,) = shown(cells[name], "text/html")
        film = tmp_path / f"{name}.mp4"
        (data,) = re.findall(r'<video[^>]*>\s*<source src="data:video/mp4;base64,([^"]+)"', html)
        film.write_bytes(base64.b64decode(data))
        frames = imageio_ffmpeg.read_frames(str(film))
        assert next(frames)["fps"] == pytest.approx(60.1, abs=0.2)
        assert sum(1 for _ in frames) > 60
    (figure,) = shown(cells["curve"], "application/vnd.plotly.v1+json")
    curves = {trace["name"]: trace["x"] for trace in figure["data"]}
    assert set(curves) == {"rollout/episode_return", "rollout/best_x"}
    assert all(len(steps) > 5 for steps in curves.values())
    (run,) = (tmp_path / "runs").iterdir()
    assert (run / "agent.safetensors").is_file()
