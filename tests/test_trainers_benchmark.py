"""The benchmark of other projects' trainers: tiny measurements, and what is made of the figures."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from benchmarks import trainer_contestants, trainer_workers, trainers
from benchmarks.trainer_contestants import Order
from typer.testing import CliRunner

from warpzone.errors import WarpzoneError
from warpzone.nes.rom import Rom

app = typer.Typer()
app.command()(trainers.main)


def test_steps_are_counted_against_the_clock() -> None:
    assert trainer_workers.rate(lambda: 5, 0.0) > 5
    with pytest.raises(ZeroDivisionError):
        trainer_workers.rate(lambda: 1 // 0, 1.0)


def test_seconds_of_the_processor() -> None:
    def idle() -> int:
        time.sleep(0.2)
        return 1

    assert trainer_workers.rate(idle, 0.0) <= 5
    assert trainer_workers.rate(idle, 0.0, time.process_time) > 5


@pytest.mark.parametrize("name", ["native-tiles", "native-pixels", "in-turn-tiles"])
def test_a_worker_plays(name: str, rom: Rom, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("stable_baselines3")
    monkeypatch.setattr(trainer_workers, "WARMUP_SECONDS", 0.0)
    result = trainer_workers.measure(name, Order(2, 1, 0.0, str(rom.path)))
    assert result["stepped"] > 0 < result["collected"]
    assert "stable-baselines3" in result["versions"]


@pytest.mark.parametrize("name", trainer_contestants.OTHERS)
def test_another_trainer_plays(name: str, rom: Rom, monkeypatch: pytest.MonkeyPatch) -> None:
    if trainer_workers.missing(name):
        pytest.skip(f"{name}: {trainer_workers.missing(name)}")
    monkeypatch.setattr(trainer_workers, "WARMUP_SECONDS", 0.0)
    monkeypatch.setenv("WARPZONE_ROM", str(rom.path))
    steps: list[int] = []

    def rate(step: Callable[[], int], seconds: float, clock: object) -> float:
        steps.append(step())
        return 1.0

    monkeypatch.setattr(trainer_workers, "rate", rate)
    trainer_workers.measure(name, Order(2, 1, 0.0, str(rom.path)))
    rollout = 2 * trainer_contestants.ROLLOUT
    # RLlib's env runner goes on until it has as many, and begins episodes by steps of their own.
    assert all(rollout <= count <= rollout + 2 for count in steps[:2])
    assert steps[2] == (1 if name == "envpool-tiles" else 2)


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer_workers, "find_spec", lambda module: None)
    assert trainer_workers.missing("one-file-tiles") is None
    assert trainer_workers.missing("rllib-tiles") == "not installed: pip install ray[rllib]"
    retro = trainer_workers.missing("stable-retro-pixels")
    assert retro is not None
    assert retro.endswith("stable-baselines3 stable-retro opencv-python-headless")


@pytest.mark.slow
def test_games_in_processes_of_their_own(rom: Rom) -> None:
    pytest.importorskip("stable_baselines3")
    assert trainers.measure("processes-tiles", Order(2, 1, 0.1, str(rom.path)))["collected"] > 0
    with pytest.raises(WarpzoneError, match="nothing"):
        trainers.measure("native-tiles", Order(2, 1, 0.1, "/nothing.nes"))


def test_ratios_are_taken_within_rounds() -> None:
    rounds = {
        "native-tiles": {
            0: {"collected": 30.0, "stepped": 100.0},
            1: {"collected": 60.0, "stepped": 1},
        },
        "processes-tiles": {0: {"collected": 10.0, "stepped": 10.0}},
    }
    (row,) = trainers.ratios(rounds)
    assert row["collected"]["median"] == 3.0
    assert row["stepped"]["max"] == 10.0


def test_command(rom: Rom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []

    def measure(name: str, order: Order) -> dict[str, Any]:
        turns.append(f"{name} {order.games}")
        if name == "in-turn-tiles":
            raise WarpzoneError("it broke")
        return {"collected": 8.0 * len(turns), "stepped": 100.0, "versions": {}}

    def missing(name: str) -> str | None:
        return "not installed: pip install stable-retro" if "retro" in name else None

    monkeypatch.setattr(trainers, "measure", measure)
    monkeypatch.setattr(trainer_workers, "missing", missing)
    out = tmp_path / "trainers.json"
    wanted = ["native-tiles", "in-turn-tiles", "processes-tiles", "stable-retro-pixels"]
    line = [word for name in [*wanted, "native-tiles-64"] for word in ("--only", name)]
    line += ["--rounds", "2", "--games", "4", "--rom", str(rom.path), "--out", str(out)]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    assert turns[:4] == [
        "native-tiles 4",
        "in-turn-tiles 4",
        "processes-tiles 4",
        "native-tiles 64",
    ]
    assert turns[4:] == ["native-tiles 64", "processes-tiles 4", "native-tiles 4"]
    result = json.loads(out.read_text())
    assert result["environments"]["native-tiles"]["collected"]["median"] == (8 + 56) / 2
    assert result["ratios"][0]["collected"]["median"] == pytest.approx((8 / 24 + 56 / 48) / 2)
    assert result["failures"] == {
        "in-turn-tiles": "it broke",
        "stable-retro-pixels": "not installed: pip install stable-retro",
    }
    assert result["protocol"]["seconds_of"] == "the clock"
    assert CliRunner().invoke(app, [*line, "--cpu"]).exit_code == 0
    result = json.loads(out.read_text())
    assert result["protocol"]["seconds_of"] == "the processor"
    assert result["failures"]["processes-tiles"].startswith("has processes of its own")
    assert "processes-tiles" not in result["environments"]
    words = " ".join(done.output.split())
    assert "it broke" in words
    assert CliRunner().invoke(app, ["--only", "nothing"]).exit_code == 2
