"""A run on the Lost Levels: everything that shows it finds their cartridge by itself."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient
from typer.testing import CliRunner

from warpzone.cli.app import app
from warpzone.dashboard.app import create
from warpzone.dashboard.episode_stream import ObservationView, Renderer
from warpzone.dashboard.server import all_routes
from warpzone.episodes.format import Episode
from warpzone.maps.cache import open_map
from warpzone.maps.run_map import rom_of
from warpzone.nes.rom import Rom
from warpzone.runs.library import Library, Run
from warpzone.training import resolve, train
from warpzone.training.run_directory import RunDirectory

LOST, DEFAULT = "lost-levels", "super-mario-bros"
HOST = "http://127.0.0.1:1985"


@pytest.fixture(scope="module")
def run(lost: Rom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    train(resolve("tiles", total_steps=60_000, eval_episodes=1, trackers=[]), out, rom=lost)
    return out


def strip(picture: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(picture)) as image:
        return np.array(image.convert("RGB"))


def test_the_run_tells_its_cartridge(run: Path, lost: Rom) -> None:
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "finished"
    assert status["rom"] == {"revision": lost.revision, "sha1": lost.sha1}
    assert rom_of(Run(run, "run")) == Path(LOST)


@pytest.mark.parametrize("rom", [None, [], {}, {"revision": 7}, {"revision": "Europe"}])
def test_other_runs_have_the_usual_one(tmp_path: Path, rom: object) -> None:
    (tmp_path / "status.json").write_text(json.dumps({"state": "running", "rom": rom}))
    assert rom_of(Run(tmp_path, "run")) is None


def test_it_is_told_where_a_full_disk_leaves_only_the_old_file(lost: Rom, tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path, resolve("tiles"))
    directory.rom = lost
    directory.write_status("running")
    directory._overwrite_status("failed", error="No space left on device")
    assert Run(tmp_path, "run").status["state"] == "failed"
    assert rom_of(Run(tmp_path, "run")) == Path(LOST)


def test_its_map_is_drawn_from_there(run: Path, lost: Rom, tmp_path: Path) -> None:
    drawn = {}
    for name, more in (("own", []), ("named", ["--rom", LOST]), ("usual", ["--rom", DEFAULT])):
        file = tmp_path / f"{name}.png"
        result = CliRunner().invoke(app, ["map", "1-1", "--run", str(run), "-o", str(file), *more])
        assert result.exit_code == 0, result.output
        drawn[name] = file.read_bytes()
    assert drawn["own"] == drawn["named"] != drawn["usual"]


def test_the_dashboard_shows_its_maps_and_episodes(run: Path, lost: Rom, rom: Rom) -> None:
    library = Library(run.parent)
    picture = "/api/map/picture?level=1-1&strip=0"
    with TestClient(create(library, all_routes(library)), base_url=HOST) as client:
        own = strip(client.get(f"{picture}&run=run").content)
        usual = strip(client.get(picture).content)
        traces = client.get("/api/map/traces?run=run&level=1-1").json()["traces"]
    np.testing.assert_array_equal(own, open_map("1-1", lost).strips[0].rgb())
    np.testing.assert_array_equal(usual, open_map("1-1", rom).strips[0].rgb())
    assert traces

    renderer = Renderer()
    try:
        for file in sorted((run / "episodes").glob("*.json"))[:2]:
            _, stream = renderer.open(file, ObservationView("none")).result()
            assert stream.episode.frames == Episode.load(file).frames
    finally:
        renderer.close()


def test_its_report_has_maps_of_there(run: Path, lost: Rom, tmp_path: Path) -> None:
    told = []
    for more in ([], ["--rom", LOST]):
        file = tmp_path / "report.html"
        line = ["report", str(run), "-o", str(file), "--films", "0", *more]
        result = CliRunner().invoke(app, line)
        assert result.exit_code == 0, result.output
        told.append(file.read_text())
    assert told[0] == told[1]
    assert "Lost Levels" in told[0]
