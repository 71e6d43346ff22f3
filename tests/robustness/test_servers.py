"""Attacks on the dashboard: requests and frames that make no sense, or too much of it, clients that
do not read, and many at once. It answers with a refusal, says nothing to the terminal of whoever
trains, keeps nothing that grows, and goes on answering others."""

from __future__ import annotations

import json
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from starlette.testclient import TestClient
from tests.support.attacks import (
    FRAMES,
    PING,
    REQUESTS,
    TEXT,
    WAYS_OUT,
    Dashboard,
    close_code,
    dashboard,
    exchange,
    frame,
    get,
    mutations,
    open_files,
    send_many,
    statuses,
    websocket,
)
from tests.support.run_directories import make_run

from warpzone.dashboard import connections, games, level_map
from warpzone.dashboard.app import create
from warpzone.dashboard.connections import MOST_CONNECTIONS
from warpzone.dashboard.server import new_token, serving
from warpzone.runs.library import Library
from warpzone.runs.metrics import Metrics

QUICK = {"READ_TIMEOUT": 0.5, "CLOSING": 0.3, "LOOK_EVERY": 0.1}
"""Less patience, for tests."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("attacked")
    make_run(folder / "runs" / "good")
    (folder / "secret.json").write_text('{"secret": true}')
    return folder


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Dashboard]:
    with dashboard(folder / "runs", folder / "stderr") as running:
        yield running


@pytest.fixture
def target(running: Dashboard) -> Iterator[Dashboard]:
    yield running
    running.check()


# ---- what makes no sense -------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(REQUESTS))
def test_requests_are_refused_one_by_one(target: Dashboard, name: str) -> None:
    sent, expected = REQUESTS[name]
    received = exchange(target, (sent,) if isinstance(sent, bytes) else sent)
    found = statuses(received)
    if len(expected) > 1 and len(found) == 1:
        assert found[0] in expected
    else:
        assert found == expected
    for secret in (b"root:", b"from __future__", b"Traceback"):
        assert secret not in received


@pytest.mark.parametrize("name", list(FRAMES))
def test_frames_end_their_connection_with_the_reason(target: Dashboard, name: str) -> None:
    sent, codes = FRAMES[name]
    with websocket(target) as connection:
        with suppress(ConnectionError):
            connection.sendall(sent)
        assert close_code(connection) in codes


def test_no_name_of_an_episode_leads_out(target: Dashboard) -> None:
    with websocket(target) as connection:
        for name in WAYS_OUT:
            connection.sendall(frame(TEXT, json.dumps({"ask": 1, "open": name}).encode()))
            assert b'"error"' in connection.recv(1 << 16)


def test_damaged_requests_and_frames(target: Dashboard) -> None:
    """600 of them, always the same; `scripts/attack_dashboard.py` draws others."""
    before = open_files(target.process)
    damaged = list(mutations(0, 600))
    for at in range(0, len(damaged), 100):
        send_many(target, damaged[at : at + 100], wait=0.3)
        assert target.answers()
    assert open_files(target.process) <= before + 110  # those that still may go on


# ---- too much of it ------------------------------------------------------------------------------


def test_there_is_room_for_so_many_connections_and_no_more(target: Dashboard) -> None:
    with ExitStack() as held:
        most = min(MOST_CONNECTIONS, connections.most_connections())
        opened = [held.enter_context(target.connect()) for _ in range(most + 60)]
        for connection in opened:
            with suppress(ConnectionError):
                connection.sendall(b"GET /")
        refused = 0
        for connection in opened[most:]:
            with suppress(ConnectionError):
                refused += statuses(connection.recv(1000)) == [503]
        assert refused >= 50  # the others were closed before what they had sent was read
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(OSError):
            assert target.answers()
            return
        time.sleep(0.1)
    pytest.fail("it does not answer again")


def test_pings_that_nobody_hears_the_answers_to_are_not_kept(target: Dashboard) -> None:
    pings = frame(PING, b"x" * 125) * 500
    with websocket(target, receive_buffer=4096) as connection:
        before = target.process.memory_info().rss
        connection.settimeout(2)
        with suppress(OSError):
            for _ in range(200):  # 13 MB
                connection.sendall(pings)
        assert target.process.memory_info().rss - before < 4 << 20


@pytest.mark.parametrize("what", ["an answer", "a file", "a WebSocket"])
def test_who_does_not_read_is_let_go(folder: Path, tmp_path: Path, what: str) -> None:
    with dashboard(folder / "runs", tmp_path / "stderr", **QUICK) as target:
        before = open_files(target.process)
        with ExitStack() as held:
            for _ in range(8):
                if what == "a WebSocket":
                    connection = held.enter_context(websocket(target, receive_buffer=4096))
                    sent = frame(TEXT, b'{"ask": 1, "open": "%s"}' % (b"x" * 190)) * 8000
                else:
                    connection = held.enter_context(target.connect(receive_buffer=4096))
                    path = b"/api/runs" if what == "an answer" else b"/static/plotly.min.js"
                    sent = (get(path).removesuffix(b"connection: close\r\n\r\n") + b"\r\n") * 2000
                connection.setblocking(False)
                for at in range(0, len(sent), 1 << 16):
                    with suppress(OSError):
                        connection.send(sent[at : at + (1 << 16)])
            deadline = time.monotonic() + 30
            while open_files(target.process) > before and time.monotonic() < deadline:
                assert target.answers()
                time.sleep(0.1)
            assert open_files(target.process) <= before
        target.check()


def test_who_does_not_read_takes_no_place_among_viewers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And others are answered meanwhile: so many answers to one page, none read by the other."""
    make_run(tmp_path / "good")
    monkeypatch.setattr(games, "MOST_VIEWERS", 2)
    for name, value in QUICK.items():
        monkeypatch.setattr(connections, name, value)
    question = frame(TEXT, b'{"ask": 1, "open": "%s"}' % (b"x" * 190))
    with serving(tmp_path) as url, ExitStack() as held:
        target = Dashboard(url, None, tmp_path, None)  # type: ignore[arg-type]  # only asked
        slow = held.enter_context(websocket(target, receive_buffer=4096))
        slow.setblocking(False)
        with suppress(OSError):
            slow.send(question * 8000)
        with websocket(target) as quick:
            for _ in range(50):
                quick.sendall(question)
                assert b"is no episode of this run" in quick.recv(1 << 16)
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                with suppress(AssertionError), websocket(target):
                    return  # the place of the one that did not read
                time.sleep(0.1)
    pytest.fail("its place is never free again")


# ---- what one asks for keeps nobody else back ----------------------------------------------------


class Held:
    """A function that is called, and then waits until it is let go."""

    def __init__(self, result: Any = None) -> None:
        self.calls = 0
        self.free = threading.Event()
        self._result = result

    def __call__(self, *arguments: Any) -> Any:
        self.calls += 1
        assert self.free.wait(60)
        return self._result


def ask(url: str, path: str) -> bytes:
    with urlopen(f"{url}{path}", timeout=60) as answer:
        body: bytes = answer.read()
        return body


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_maps_that_take_long_keep_back_maps_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path / "good")
    strips = type("Strips", (), {"strips": ()})()
    held = Held(strips)
    monkeypatch.setattr(level_map, "open_map", held)
    path = "/api/map/picture?level=1-1"
    with serving(tmp_path) as url, ThreadPoolExecutor(60) as pool, ExitStack() as opened:
        try:
            asked = [pool.submit(ask, url, path) for _ in range(50)]
            wait_until(lambda: held.calls == level_map.AT_ONCE)
            # Some that are gone before it is their turn.
            target = Dashboard(url, None, tmp_path, None)  # type: ignore[arg-type]
            for _ in range(50):
                connection = opened.enter_context(target.connect())
                connection.sendall(get(path.encode().replace(b"1-1", b"2-1")))
                connection.close()
            for _ in range(20):
                assert b'"good"' in ask(url, "/api/runs")
                assert b"CURVES" in ask(url, "/static/curves.js")
                assert b"import" in ask(url, "/static/main.js")
                assert b"token" in ask(url, "/api/curves?run=good")
            assert held.calls == level_map.AT_ONCE
        finally:
            held.free.set()
        for answer in asked:
            with pytest.raises(OSError, match="422"):  # a level without a strip
                answer.result()
    # The map is drawn once, or once for each that began at the same time; none for who has gone.
    assert held.calls <= level_map.AT_ONCE


def test_curves_that_take_long_to_read_keep_no_list_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path / "good")
    make_run(tmp_path / "long")
    held, refresh = Held(), Metrics.refresh

    def slowly(metrics: Metrics) -> None:
        if metrics._reader.path.parent.name == "long":
            held()
        refresh(metrics)

    monkeypatch.setattr(Metrics, "refresh", slowly)
    with serving(tmp_path) as url, ThreadPoolExecutor(1) as pool:
        try:
            asked = pool.submit(ask, url, "/api/curves?run=long")
            wait_until(lambda: held.calls == 1)
            for _ in range(10):
                runs = json.loads(ask(url, "/api/runs"))["runs"]
                assert [run["state"] for run in runs] == ["finished", "finished"]
                assert b"token" in ask(url, "/api/curves?run=good")
                assert b"noop_max" in ask(url, "/api/config?run=long")
                assert b"live" in ask(url, "/api/episodes?run=long")
        finally:
            held.free.set()
        assert b"token" in asked.result()


# ---- links that lead out of a run ----------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="links are for administrators there")
def test_links_out_of_a_run_are_told_and_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere"
    make_run(secret / "theirs", preset="SECRET")
    (secret / "theirs" / "live").mkdir()
    (secret / "theirs" / "live" / "000.json").write_text('{"SECRET": 1}')
    run = make_run(tmp_path / "runs" / "good")
    for name in ("config.json", "status.json", "metrics.jsonl"):
        (run / name).unlink()
        (run / name).symlink_to(secret / "theirs" / name)
    (run / "live").symlink_to(secret / "theirs" / "live")
    (run / "episodes").mkdir()
    (run / "episodes" / "a.json").symlink_to("../../../elsewhere/theirs/live/000.json")
    inside = make_run(tmp_path / "runs" / "inside")
    (inside / "metrics.jsonl").rename(inside / "moved.jsonl")
    (inside / "metrics.jsonl").symlink_to("moved.jsonl")
    with TestClient(create(Library(tmp_path / "runs")), base_url="http://127.0.0.1") as client:
        runs = client.get("/api/runs").json()["runs"]
        assert "config.json cannot be read: a link leads out of 'good'" in runs[0]["problems"]
        seen = [str(runs)]
        for path in ("curves", "config", "compare", "episodes", "map"):
            seen.append(client.get(f"/api/{path}?run=good").text)
        assert all("SECRET" not in text for text in seen)
        assert "a link leads out" in seen[1]
        assert client.get("/api/curves?run=inside").json()["updates"] == 20
    lists = games.Lists().of(Library(tmp_path / "runs").run("good"))
    told = [found["error"] for found in lists["live"] + lists["episodes"]]
    assert len(told) == 2
    assert all("a link leads out of 'good'" in text for text in told)


# ---- tokens --------------------------------------------------------------------------------------


def test_a_token_is_asked_for_whatever_is_sent(folder: Path) -> None:
    """And who does not know it is told nothing of it, nor of what is there."""
    token = new_token()
    application = create(Library(folder / "runs"), token=token)
    seen: list[str] = []
    client = TestClient(application, base_url="http://notebook.example")
    for path in (
        "/",
        "/api/runs",
        "/static/main.js",
        "/nothing",
        f"/{token[1:]}/",
        "//",
        "/%2f",
    ):
        answer = client.get(path, follow_redirects=False)
        assert answer.status_code == 403
        seen.append(answer.text + str(answer.headers))
    for path in (
        f"/{token}/nothing",
        f"/{token}/static/nothing",
        f"/a/{token}/api/curves?run=x",
    ):
        answer = client.get(path)
        assert answer.status_code == 404
        seen.append(answer.text + str(answer.headers))
    page = client.get(f"/{token}/")
    assert page.headers["referrer-policy"] == "no-referrer"
    seen.append(page.text + str(page.headers))
    assert all(token not in text for text in seen)


def test_a_token_is_compared_in_a_time_that_tells_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `secrets.compare_digest`, which takes as long for a wrong first letter as for the last,
    and for each part of an address, wherever the right one is."""
    compared: list[tuple[bytes, bytes]] = []
    compare: Callable[[bytes, bytes], bool] = secrets.compare_digest

    def watched(given: bytes, token: bytes) -> bool:
        compared.append((given, token))
        return compare(given, token)

    monkeypatch.setattr(secrets, "compare_digest", watched)
    token = new_token()
    client = TestClient(create(Library(folder / "runs"), token=token))
    assert client.get(f"/{token}/api/runs").status_code == 200
    assert [given for given, _ in compared] == [b"", token.encode(), b"api", b"runs"]
    assert {other for _, other in compared} == {token.encode()}
    assert len({new_token() for _ in range(1000)}) == 1000


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_token_is_in_no_log_and_no_list_of_processes(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from warpzone.dashboard.server import Beside

    token = new_token()
    server = Beside(folder / "runs", 0, token)
    try:
        urlopen(f"{server.url}api/runs", timeout=60).close()
        with suppress(OSError):
            urlopen(f"{server.url}nothing", timeout=60).close()
        target = Dashboard(server.url.rstrip("/").rpartition("/")[0], None, folder, None)  # type: ignore[arg-type]
        for data in mutations(1, 50):
            send_many(target, [data.replace(b"/", b"/" + token.encode() + b"/", 1)], wait=0.01)
        line = Path(f"/proc/{server._process.pid}/cmdline").read_bytes()
        assert token.encode() not in line
    finally:
        server.close()
    said = capfd.readouterr()
    assert said.out == said.err == ""


def test_it_listens_to_this_machine_alone(target: Dashboard) -> None:
    found = {c.laddr.ip for c in target.process.net_connections() if c.status == "LISTEN"}
    assert found == {"127.0.0.1"}


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_a_browser_is_led_to_a_token_by_a_page_that_others_cannot_read() -> None:
    """Not by its command line, which they can."""
    from urllib.parse import urlsplit

    from warpzone.dashboard.server import link_to

    with link_to("http://127.0.0.1:1985/TOKEN/") as link:
        page = Path(urlsplit(link).path)
        assert "TOKEN" not in link
        assert "url=http://127.0.0.1:1985/TOKEN/" in page.read_text()
        assert page.parent.stat().st_mode & 0o077 == 0
    assert not page.exists()
