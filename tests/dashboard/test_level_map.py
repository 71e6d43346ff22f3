"""Maps with heat and traces, as answers to a browser."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient
from tests.support.endings import end, random_ends, write_ends
from tests.support.episodes import CLEAR, make_episode

from warpzone.dashboard.app import create
from warpzone.dashboard.level_map import routes
from warpzone.dashboard.server import all_routes
from warpzone.maps.cache import open_map
from warpzone.maps.episode_ends import KINDS, NAME
from warpzone.nes.rom import Rom
from warpzone.runs.library import SCAN_EVERY, Library
from warpzone.training import resolve

HOST = "http://127.0.0.1:1985"
LEVELS = {"1-1": 1.0, "1-2": 1.0}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = tmp_path / "runs" / "run"
    write_ends(run, [*random_ends(40), end(x=500), end(x=500), end(x=500)])
    (run / "config.json").write_text(resolve(env={"levels": LEVELS}).model_dump_json())
    (run / "episodes").mkdir()
    make_episode(CLEAR, cleared=True).save(run / "episodes/000001000-000.json")
    return run


@pytest.fixture
def client(run: Path) -> Iterator[TestClient]:
    library = Library(run.parent)
    with TestClient(create(library, all_routes(library)), base_url=HOST) as client:
        yield client


def test_heat_is_told_and_grows(client: TestClient, run: Path) -> None:
    answer = client.get("/api/map?run=run").json()
    assert (answer["level"], answer["levels"], answer["ends"]) == ("1-1", ["1-1", "1-2"], 43)
    assert sum(count for *_, count in answer["cells"]) == 43
    assert [0, 31, 10, KINDS.index("enemy"), 3] in answer["cells"]
    assert [kind["name"] for kind in answer["kinds"]] == list(KINDS)
    first = answer["strips"][0]
    assert (first["left"], first["height"]) == (0, 208)
    write_ends(run, [end(x=500, level="1-2", area=3)] * 60)
    assert client.get("/api/map?run=run").json()["level"] == "1-2"  # where most is known
    assert client.get("/api/map?run=run&level=1-1").json() == answer
    assert client.get("/api/map?run=run&level=1-1&last=3").json()["ends"] == 3
    assert client.get("/api/map?run=run&level=2-2").json()["ends"] == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_in_place_of_the_ends_is_told(client: TestClient, run: Path) -> None:
    (run / NAME).unlink()
    os.mkfifo(run / NAME)
    answer = client.get("/api/map?run=run").json()
    assert answer["ends"] == 0
    assert answer["problem"] == f"{NAME} cannot be read: it is a pipe, not a file"


def test_it_is_said_where_places_overlap(client: TestClient, run: Path) -> None:
    write_ends(run, [end(x=500, level="8-4", area=4), end(x=500, level="5-2", area=2, map=49)])
    for level, unclear in (("8-4", True), ("1-1", False), ("5-2", False)):
        answer = client.get(f"/api/map?run=run&level={level}").json()
        assert answer["unclear"] is unclear, level


def test_pictures_are_the_strips(client: TestClient, rom: Rom) -> None:
    for number, strip in enumerate(open_map("1-1", rom).strips):
        answer = client.get(f"/api/map/picture?level=1-1&strip={number}")
        assert answer.headers["content-type"] == "image/png"
        with Image.open(io.BytesIO(answer.content)) as picture:
            np.testing.assert_array_equal(np.array(picture.convert("RGB")), strip.rgb())


def test_traces_are_told(client: TestClient) -> None:
    answer = client.get("/api/map/traces?run=run&level=1-1").json()
    (trace,) = answer["traces"]
    assert (trace["file"], trace["step"]) == ("000001000-000.json", 1000)
    assert trace["cleared"] is True
    ((strip, points),) = trace["lines"]
    assert strip == 0
    assert points[-2] > 3150
    assert client.get("/api/map/traces?run=run&level=1-2").json()["traces"] == []


@pytest.mark.parametrize(
    ("address", "status", "text"),
    [
        ("/api/map?run=other", 404, "no run 'other'"),
        ("/api/map?run=run&level=9-9", 422, "no level '9-9'"),
        ("/api/map?run=run&last=few", 422, "'few'"),
        ("/api/map?run=run&last=-1", 422, "'-1'"),
        ("/api/map/picture?level=1-1&strip=7", 422, "strip is 7"),
        ("/api/map/picture?level=", 422, "no level"),
        ("/api/map/traces?run=&level=1-1", 404, "no run ''"),
    ],
)
def test_errors_are_told(client: TestClient, address: str, status: int, text: str) -> None:
    answer = client.get(address)
    assert answer.status_code == status
    assert text in answer.json()["error"]


def test_without_a_rom_it_says_so(run: Path, tmp_path: Path) -> None:
    library = Library(run.parent)
    more = routes(library, tmp_path / "no.nes")
    with TestClient(create(library, more), base_url=HOST) as client:
        for path in ("map", "map/traces"):
            answer = client.get(f"/api/{path}?run=run&level=1-1")
            assert answer.status_code == 422
            assert "no.nes" in answer.json()["error"]


def test_a_run_without_levels_is_told(client: TestClient, run: Path) -> None:
    bad = run.parent / "bad"
    bad.mkdir()
    (bad / "config.json").write_text("{")
    time.sleep(SCAN_EVERY)
    answer = client.get("/api/map?run=bad")
    assert answer.status_code == 422
    assert "names no level" in answer.json()["error"]
