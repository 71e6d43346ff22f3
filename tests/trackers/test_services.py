"""The packages themselves, without network: what they keep of a run, and that a second process goes
on with it."""

from __future__ import annotations

import json
import os
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from warpzone.trackers.beside import send
from warpzone.trackers.follow import Request
from warpzone.trackers.services import flat

pytestmark = pytest.mark.slow
FACTS = {"warpzone": "0.1.0", "commit": "a" * 40, "command": "warpzone train 1-1"}
CONFIG = {"lr": 0.001, "env": {"levels": {"1-1": 1.0}, "noop_max": 30}, "init": None, "empty": {}}

Step = Callable[[], list[str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of three updates that has just finished, in a folder of its own."""
    for name in [name for name in os.environ if name.startswith(("WANDB_", "MLFLOW_", "TRACKIO_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))  # no login of the person who tests
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "runs" / "mario"
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(CONFIG))
    (path / "best.safetensors").write_bytes(b"weights")
    measured = {"1-1": {"clear_rate": 0.5, "episodes": 100, "ci95": [0.4, 0.6]}}
    status = {"state": "finished", "step": 30, "best_clear_rate": 0.5, "measured": measured}
    (path / "status.json").write_text(json.dumps(status))
    write(path, 10, 20, 30)
    return path


def write(run: Path, *steps: int) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        for step in steps:
            figures = {"losses/kl": step / 100, "rollout/clear_rate/1-1": 0.25, "of/a level!": 1.0}
            file.write(json.dumps({"step": step, **figures}) + "\n")


def sent(run: Path, service: str) -> list[str]:
    told: list[str] = []
    done = send(Request(str(run), service, "mario-runs", FACTS, once=True), told.append)
    log = run / "trackers" / f"{service}.log"
    assert done, (told, log.read_text() if log.exists() else "")
    return told


def test_mlflow_keeps_a_run(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    uri = (tmp_path / "store").as_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    (line,) = sent(run, "mlflow")
    assert "of the experiment mario-runs" in line
    write(run, 40)
    sent(run, "mlflow")

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("mario-runs")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.run_name == "mario"
    assert found.info.status == "FINISHED"
    history = client.get_metric_history(found.info.run_id, "losses/kl")
    assert [(point.step, point.value) for point in history] == [
        (10, 0.1),
        (20, 0.2),
        (30, 0.3),
        (40, 0.4),
    ]
    assert found.data.metrics["final/clear_rate/1-1"] == 0.5
    assert found.data.metrics["of/a level_"] == 1.0
    assert found.data.params == flat(CONFIG)
    assert found.data.params["env.levels.1-1"] == "1.0"
    assert found.data.tags["mlflow.source.git.commit"] == FACTS["commit"]
    files = {entry.path for entry in client.list_artifacts(found.info.run_id)}
    assert files == {"config.json", "best.safetensors"}


def test_mlflow_without_a_server_is_told_in_a_line(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    told: list[str] = []
    assert not send(Request(str(run), "mlflow", "mario-runs", FACTS, once=True), told.append)
    (line,) = told
    assert line.startswith("mlflow: has not got everything: MlflowException: ")
    assert "127.0.0.1" in line


def test_trackio_keeps_a_run(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("trackio")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    assert sent(run, "trackio") == ["trackio: look at it with: trackio show --project mario-runs"]
    write(run, 40)
    sent(run, "trackio")
    database = sqlite3.connect(tmp_path / "trackio" / "mario-runs.db")
    rows = database.execute("SELECT run_name, step, metrics FROM metrics ORDER BY id").fetchall()
    database.close()
    assert len({name for name, _, _ in rows}) == 1
    assert rows[0][0].startswith("mario-")
    values: list[tuple[int, dict[str, Any]]] = [(step, json.loads(text)) for _, step, text in rows]
    kl = {step: figures["losses/kl"] for step, figures in values if "losses/kl" in figures}
    assert kl == {10: 0.1, 20: 0.2, 30: 0.3, 40: 0.4}
    assert any(figures.get("final/clear_rate/1-1") == 0.5 for _, figures in values)


def test_wandb_keeps_a_run_offline(run: Path) -> None:
    pytest.importorskip("wandb")
    (line,) = sent(run, "wandb")
    assert "no login, so the run is kept in" in line
    write(run, 40)
    sent(run, "wandb")
    key = json.loads((run / "trackers" / "wandb.json").read_text())["key"]
    files = sorted((run / "wandb").glob(f"offline-run-*-{key}/run-{key}.wandb"))
    assert len(files) == 2
    first, second = (file.read_bytes() for file in files)
    for text in (b"losses/kl", b"final/clear_rate/1-1", b"best.safetensors", b"mario-runs"):
        assert text in first
    assert b"losses/kl" in second
    # The command that was told finds both.
    words = line.partition("send it with: ")[2].replace("wandb sync", "-m wandb sync --dry-run")
    command = f"{shlex.quote(sys.executable)} {words}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(file.name in done.stdout + done.stderr for file in files)


def test_wandb_does_without_its_server(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "1")
    (line,) = sent(run, "wandb")
    assert "it does not answer" in line
    assert "wandb sync" in line
    (file,) = (run / "wandb").glob("offline-run-*/run-*.wandb")
    assert b"losses/kl" in file.read_bytes()
