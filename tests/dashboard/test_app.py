"""What the server answers, and to whom."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient
from tests.support.run_directories import make_run

from warpzone import maps
from warpzone.dashboard.app import STATIC, create
from warpzone.dashboard.responses import json_response
from warpzone.errors import EpisodeError
from warpzone.runs.library import Library

HOST = "http://127.0.0.1:1985"
STATIC_FILES = [*STATIC.iterdir(), *maps.STATIC.iterdir()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_run(tmp_path / "runs" / "one")
    make_run(tmp_path / "runs" / "camp" / "1-1")
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "config.json").write_text("{")
    (tmp_path / "secret.txt").write_text("secret")
    return tmp_path / "runs"


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    with TestClient(create(Library(folder)), base_url=HOST) as client:
        yield client


def test_the_list_of_runs(client: TestClient, folder: Path) -> None:
    answer = client.get("/api/runs").json()
    assert (answer["folder"], answer["problem"]) == (str(folder), None)
    assert [run["name"] for run in answer["runs"]] == ["broken", "camp/1-1", "one"]
    assert [run["state"] for run in answer["runs"]] == ["damaged", "finished", "finished"]


@pytest.mark.parametrize("name", ["one", "camp/1-1", "broken"])
def test_each_run_good_or_bad_can_be_looked_at(client: TestClient, name: str) -> None:
    for path in ("/api/curves", "/api/compare", "/api/config"):
        answer = client.get(path, params={"run": name})
        assert answer.status_code == 200, path


@pytest.mark.parametrize("path", ["/api/curves", "/api/compare", "/api/config"])
@pytest.mark.parametrize(
    "name", ["", "..", "../secret.txt", "one/../../secret.txt", "/etc/passwd", "%2e%2e", "a" * 9999]
)
def test_other_names_are_refused(client: TestClient, path: str, name: str) -> None:
    answer = client.get(path, params={"run": name})
    assert answer.status_code == 404
    assert "there is no run" in answer.json()["error"]
    assert client.get(path).status_code == 404


def test_what_has_not_changed_is_not_sent_again(client: TestClient, folder: Path) -> None:
    first = client.get("/api/runs")
    again = client.get("/api/runs", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    (folder / "one" / "status.json").write_text('{"state": "failed"}')
    changed = client.get("/api/runs", headers={"if-none-match": first.headers["etag"]})
    assert changed.status_code == 200


@pytest.mark.parametrize("path", ["/", "/static/main.js", "/static/plotly.min.js", "/api/runs"])
def test_pages_may_load_and_run_nothing_from_elsewhere(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["frame-ancestors"] == "'none'"
    assert rules["script-src"] == rules["connect-src"] == "'self'"
    assert "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:1985", 200),
        ("localhost", 200),
        ("LOCALHOST:80", 200),
        ("[::1]:1985", 200),
        ("evil.example", 400),
        ("127.0.0.1.evil.example", 400),
        ("evil.example:1985", 400),
        ("localhost.evil.example", 400),
        ("192.168.0.2:1985", 400),
        ("", 400),
    ],
)
def test_only_names_of_this_machine_are_answered(
    client: TestClient, host: str, status: int
) -> None:
    for path in ("/", "/api/runs", "/static/main.js", "/nothing"):
        answer = client.get(path, headers={"host": host})
        assert answer.status_code == (404 if (path, status) == ("/nothing", 200) else status)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static//etc/passwd",
        "/static/",
        "/secret.txt",
        "/api/",
    ],
)
def test_files_come_from_the_package_alone(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "error" in answer.json()


def test_nothing_can_be_written(client: TestClient) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.request(method, "/api/runs").status_code == 405


def test_errors_of_other_views_are_json(folder: Path) -> None:
    def refuse(request: Request) -> Response:
        raise EpisodeError("no such episode")

    def fail(request: Request) -> Response:
        raise ZeroDivisionError("by nothing")

    application = create(Library(folder), [Route("/refuse", refuse), Route("/fail", fail)])
    with TestClient(application, base_url=HOST, raise_server_exceptions=False) as client:
        refused = client.get("/refuse")
        assert (refused.status_code, refused.json()) == (422, {"error": "no such episode"})
        failed = client.get("/fail")
        assert failed.status_code == 500
        assert "ZeroDivisionError: by nothing" in failed.json()["error"]


def test_the_page_names_nothing_elsewhere() -> None:
    for file in STATIC_FILES:
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/", "")
        assert not re.search(r"https?://|@import|url\(", text), file.name


def test_what_a_run_says_is_never_taken_for_html() -> None:
    """Elements come from constants alone; text is put in as text."""
    scripts = [file for file in STATIC_FILES if file.suffix == ".js"]
    assert {"map.js", "games.js", "runs.js"} <= {file.name for file in scripts}
    for file in scripts:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"outerHTML|insertAdjacentHTML|document\.write|\beval\(", text), file
        templates = re.findall(r"innerHTML = `([^`]*)`", text)
        assert len(templates) == text.count("innerHTML"), file.name
        inserted = [name for part in templates for name in re.findall(r"\$\{([^}]*)\}", part)]
        assert all(re.fullmatch("[A-Z_]+", name) for name in inserted), file.name


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are Unicode")
def test_no_run_directory_takes_the_list_down(tmp_path: Path) -> None:
    runs = tmp_path / os.fsdecode(b"runs\xff")
    make_run(runs / "good")
    make_run(runs / os.fsdecode(b"\xff\xfe"))
    make_run(runs / "\x1b[31m<script>alert(1)</script>")
    pipe = make_run(runs / "pipe")
    for name in ("config.json", "status.json", "metrics.jsonl"):
        (pipe / name).unlink()
        os.mkfifo(pipe / name)
    half = make_run(runs / "half a character")
    (half / "status.json").write_text('{"state": "\\ud800"}')
    (half / "config.json").write_text('{"preset": "\\ud800", "env": {"levels": ["\\udfff"]}}')
    with TestClient(create(Library(runs)), base_url=HOST) as client:
        answer = client.get("/api/runs").json()
        assert answer["folder"] == str(tmp_path / "runs") + "\\xff"
        states = {run["name"]: run["state"] for run in answer["runs"]}
        assert len(states) == 5
        assert states["good"] == states["\\xff\\xfe"] == "finished"
        assert states["pipe"] == "damaged"
        for name in states:
            for path in ("/api/curves", "/api/compare", "/api/config"):
                assert client.get(path, params={"run": name}).status_code == 200, (path, name)


def test_what_no_json_can_hold_is_escaped() -> None:
    answer = json_response({"a\ud800": ["\udcff", float("nan"), 1, None, {"b": ("c",)}]})
    assert json.loads(bytes(answer.body)) == {"a\\ud800": ["\\udcff", None, 1, None, {"b": ["c"]}]}


def test_files_that_cannot_be_opened_are_no_fault_of_the_program(folder: Path) -> None:
    def fail(request: Request) -> Response:
        raise OSError(24, "Too many open files")

    application = create(Library(folder), [Route("/fail", fail)])
    with TestClient(application, base_url=HOST) as client:  # it raises what is not handled
        answer = client.get("/fail")
    assert answer.status_code == 503
    assert answer.json() == {"error": "the dashboard cannot read: Too many open files"}
