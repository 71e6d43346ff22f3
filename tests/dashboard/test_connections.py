"""Connections that are opened and never finished, and file descriptors that are used up."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest
from tests.support.episodes import make_episode, make_run_with
from tests.support.run_directories import make_run
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from warpzone.dashboard import connections
from warpzone.dashboard.games import MOST_ASKED
from warpzone.dashboard.server import serving

REQUEST = b"GET /api/runs HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"


def open_to(url: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=20)


def runs_at(url: str) -> list[str]:
    with urlopen(f"{url}/api/runs", timeout=20) as answer:
        return [run["name"] for run in json.load(answer)["runs"]]


def read_to_the_end(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    make_run(tmp_path / "one")
    with serving(tmp_path) as url:
        yield url


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET /api/runs HTTP/1.1\r\nhost: 127.0.0.1\r\n",
        REQUEST + b"GET /api",
        b"POST /api/runs HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100\r\n\r\n{",
        b"GET /api/stream?run=one HTTP/1.1\r\nhost: 127.0.0.1\r\nupgrade: websocket\r\n",
    ],
    ids=["nothing", "headers", "the second", "a body", "a websocket"],
)
def test_what_is_half_sent_is_waited_for_only_so_long(
    url: str, begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "REQUEST_TIMEOUT", 0.5)
    with open_to(url) as connection:
        connection.sendall(begun)
        connection.settimeout(10)
        read_to_the_end(connection)  # the other side has closed it
    assert runs_at(url) == ["one"]


def test_a_slow_answer_and_a_websocket_are_not_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "REQUEST_TIMEOUT", 0.2)
    make_run_with(tmp_path / "one", {"live/000.json": make_episode(b"\x80" * 60)})
    with serving(tmp_path) as url, connect(url.replace("http", "ws") + "/api/stream?run=one") as ws:
        assert json.loads(ws.recv())["pictures"] == 30
        time.sleep(0.6)
        ws.send('{"ask": 1, "open": "live/000.json"}')
        assert json.loads(ws.recv())["frames"] == 60


def test_there_is_an_end_to_the_number_of_connections(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 4)
    with ExitStack() as held:
        for _ in range(4):
            held.enter_context(open_to(url)).sendall(b"GET")
        time.sleep(0.2)
        with open_to(url) as more:
            assert read_to_the_end(more).startswith(b"HTTP/1.1 503 ")
    time.sleep(0.2)
    assert runs_at(url) == ["one"]


def test_messages_of_a_websocket_are_limited_to_what_is_needed(url: str) -> None:
    with connect(url.replace("http", "ws") + "/api/stream?run=one") as ws:
        ws.recv()
        ws.send(" " * (MOST_ASKED + 1))
        with pytest.raises(ConnectionClosed) as closed:
            ws.recv(timeout=20)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009  # too big: not even taken in


@contextmanager
def dashboard_with_few_files(folder: Path, most: int) -> Iterator[tuple[psutil.Popen, str, Path]]:
    """A dashboard that may open 64 files, and takes `most` connections; what it says on stderr."""
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from warpzone.dashboard import connections, server\n"
        f"connections.most_connections = lambda: {most}\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
        "server.serve(Path(sys.argv[1]), 0, log=lambda text: print(text, flush=True))"
    )
    errors = folder.parent / "stderr"
    with errors.open("wb") as stderr:
        process = psutil.Popen(
            [sys.executable, "-P", "-c", code, str(folder)],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        try:
            yield process, process.stdout.readline().strip(), errors
        finally:
            process.kill()
            process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
@pytest.mark.parametrize("most", [1000, 32], ids=["accepted", "refused"])
def test_without_file_descriptors_it_neither_spins_nor_floods(tmp_path: Path, most: int) -> None:
    make_run(tmp_path / "runs" / "one")
    with dashboard_with_few_files(tmp_path / "runs", most) as (process, url, errors):
        assert runs_at(url) == ["one"]
        with ExitStack() as held:
            for _ in range(120):
                held.enter_context(open_to(url))
            time.sleep(1)
            before = process.cpu_times()
            time.sleep(3)
            spent = process.cpu_times()
            seconds = spent.user + spent.system - before.user - before.system
            assert seconds < 0.5
        assert errors.stat().st_size < 1000
        if most == 1000:
            assert "cannot open more connections" in errors.read_text()
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            try:
                assert runs_at(url) == ["one"]
                break
            except OSError:
                time.sleep(0.5)
        else:
            pytest.fail("it does not answer again")


def test_half_of_the_files_are_for_connections() -> None:
    if not hasattr(os, "fork"):
        pytest.skip("limits of POSIX")
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))\n"
        "from warpzone.dashboard.connections import most_connections\n"
        "print(most_connections())"
    )
    command = [sys.executable, "-P", "-c", code]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"50\n"
