"""Serving: by itself and beside a training, with the port free or taken."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import pytest
from tests.support.run_directories import make_run
from tests.support.toy import corridors, toy_config
from typer.testing import CliRunner

from warpzone import training
from warpzone.cli.app import app
from warpzone.cli.options import EXIT_ERROR
from warpzone.dashboard import server
from warpzone.dashboard.server import beside, listen

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture
def port() -> int:
    with listen(0) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def dashboard(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, and the first line that it says."""
    process = subprocess.Popen(
        [sys.executable, "-m", "warpzone", "dashboard", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"COLUMNS": "1000", "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def runs_at(url: str) -> list[str]:
    with urlopen(f"{url}/api/runs", timeout=20) as answer:
        return [run["name"] for run in json.load(answer)["runs"]]


@pytest.mark.parametrize("number", SIGNALS if sys.platform != "win32" else ())
def test_the_command_tells_its_address_and_ends_cleanly(
    tmp_path: Path, number: signal.Signals
) -> None:
    make_run(tmp_path / "one")
    with dashboard(str(tmp_path), "--port", "0") as (process, line):
        url = line.split(": ")[-1].split()[0]
        assert url.startswith("http://127.0.0.1:")
        assert runs_at(url) == ["one"]
        process.send_signal(number)
        rest = process.communicate(timeout=20)[0]
        assert process.returncode == (0 if number == signal.SIGINT else -number)
        assert rest == ""


def test_it_cannot_be_reached_from_elsewhere() -> None:
    with listen(0) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"


def test_a_taken_port_is_told_with_what_to_do(tmp_path: Path, port: int) -> None:
    with listen(port):
        result = CliRunner().invoke(app, ["dashboard", str(tmp_path), "--port", str(port)])
    assert result.exit_code == EXIT_ERROR
    text = " ".join(result.output.split())
    assert f"no dashboard on port {port}" in text
    assert f"warpzone dashboard --port {port + 1}" in text


def test_no_folder_is_told(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["dashboard", str(tmp_path / "none")])
    assert result.exit_code == EXIT_ERROR
    assert "there is no such folder" in " ".join(result.output.split())


def test_beside_a_training_and_no_longer(tmp_path: Path, port: int) -> None:
    said: list[str] = []
    run = tmp_path / "new" / "my run"
    with beside(run, port, log=said.append):
        url = f"http://127.0.0.1:{port}"
        assert said == [f"dashboard: {url}/#/run/my%20run"]
        assert runs_at(url) == []
        assert not run.exists()  # which is for the training to make
        make_run(run)
        deadline = time.monotonic() + 10
        while runs_at(url) == [] and time.monotonic() < deadline:
            time.sleep(0.1)
        assert runs_at(url) == ["my run"]
    with pytest.raises(URLError):
        runs_at(url)


def test_beside_a_training_a_taken_port_is_only_told(tmp_path: Path, port: int) -> None:
    said: list[str] = []
    with listen(port), beside(tmp_path / "run", port, log=said.append):
        assert len(said) == 1
        assert f"no dashboard on port {port}" in said[0]


@pytest.mark.skipif(sys.platform == "win32", reason="an executable of POSIX")
@pytest.mark.parametrize("says", ["", "echo no newline | tr -d '\\n';"], ids=["nothing", "half"])
def test_one_that_hangs_does_not_hang_the_training(
    tmp_path: Path, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = tmp_path / "python"
    stuck.write_text(f"#!/bin/sh\ntrap '' TERM\n{says}\nexec sleep 1000\n")
    stuck.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stuck))
    monkeypatch.setattr(server, "PATIENCE", 0.5)
    monkeypatch.setattr(server, "ENDING", 0.5)
    said: list[str] = []
    began = time.monotonic()
    with beside(tmp_path / "run", log=said.append):
        assert time.monotonic() - began < 5
    assert time.monotonic() - began < 10
    assert said == ["there is no dashboard: its process has not answered within 0.5 s"]


def test_one_that_hangs_later_does_not_hang_the_end(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.platform == "win32":
        pytest.skip("signals of POSIX")
    monkeypatch.setattr(server, "ENDING", 0.5)
    before = psutil.Process().children()
    with beside(tmp_path / "run", port, log=lambda text: None):
        (child,) = set(psutil.Process().children()) - set(before)
        child.send_signal(signal.SIGSTOP)
        began = time.monotonic()
    assert time.monotonic() - began < 10
    assert not child.is_running()


def test_one_that_cannot_be_started_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no python"))
    said: list[str] = []
    with beside(tmp_path / "run", log=said.append):
        pass
    assert len(said) == 1
    assert said[0].startswith("there is no dashboard: its process cannot be started: ")


def test_nothing_in_the_current_directory_is_executed(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module beside the user, of the name of one that the dashboard imports, is not run."""
    for name in ("uvicorn", "pip", "typer", "starlette", "json", "h11", "warpzone"):
        (tmp_path / f"{name}.py").write_text("open('executed', 'w').close()\nraise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    with beside(tmp_path / "runs" / "one", port, log=said.append):
        assert said == [f"dashboard: http://127.0.0.1:{port}/#/run/one"]
        assert runs_at(f"http://127.0.0.1:{port}") == []
    assert not (tmp_path / "executed").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are Unicode")
def test_a_run_whose_name_is_no_text_has_a_dashboard(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    folder = tmp_path / os.fsdecode(b"runs\xff\xc3\xa4")
    said: list[str] = []
    with beside(make_run(folder / os.fsdecode(b"\xe4")), port, log=said.append):
        assert said == [f"dashboard: http://127.0.0.1:{port}/#/run/%5Cxe4"]
        assert runs_at(f"http://127.0.0.1:{port}") == ["\\xe4"]
    with listen(port), beside(folder / "other", port, log=said.append):
        assert "no dashboard on port" in said[-1]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_it_ends_when_the_training_is_killed(tmp_path: Path, port: int) -> None:
    code = (
        "import sys, time; from pathlib import Path; from warpzone.dashboard.server import beside\n"
        "with beside(Path(sys.argv[1]), int(sys.argv[2]), log=lambda s: print(s, flush=True)):"
        " time.sleep(100)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "run"), str(port)],
        stdout=subprocess.PIPE,
        text=True,
    ) as training:
        assert training.stdout is not None
        assert training.stdout.readline().startswith("dashboard: ")
        training.kill()
    deadline = time.monotonic() + 10
    while answers(port) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not answers(port)


def answers(port: int) -> bool:
    with socket.socket() as other:
        return other.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("free", [True, False])
def test_train_with_a_dashboard(
    tmp_path: Path, port: int, free: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Games that need no console are trained; the page is there meanwhile, or is said not to be."""
    monkeypatch.setattr(server, "PORT", port)
    train, seen = training.train, []

    def toy_train(config: training.TrainConfig, out: Path, **settings: Any) -> Any:
        result = train(toy_config(), out, make_env=corridors)
        if free:
            seen.extend(runs_at(f"http://127.0.0.1:{port}"))
        return result

    monkeypatch.setattr(training, "train", toy_train)
    out = tmp_path / "runs" / "toy"
    arguments = ["train", "1-1", "--dashboard", "--out", str(out)]
    if free:
        result = CliRunner().invoke(app, arguments)
    else:
        with listen(port):
            result = CliRunner().invoke(app, arguments)
    text = " ".join(result.output.split())
    assert result.exit_code == 0, result.output
    assert json.loads((out / "status.json").read_text())["state"] == "finished"
    if free:
        assert f"dashboard: http://127.0.0.1:{port}/#/run/toy" in text
        assert seen == ["toy"]
    else:
        assert f"no dashboard on port {port}" in text
