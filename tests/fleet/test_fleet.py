"""Fleets on a Ray cluster of this machine: failures, the death of the head, populations."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import psutil
import pytest

from warpzone.fleet import fleet
from warpzone.fleet.cluster import session
from warpzone.fleet.plan import FleetPlan, make_plan
from warpzone.runs.library import Library
from warpzone.training.run_settings import LOCK, read_config

pytest.importorskip("ray.tune")

SMALL = (
    "num_envs=4", "rollout_steps=16", "minibatch_size=32", "eval_episodes=2", "eval_every=100000",
    "env.no_progress_steps=20", "network.hidden=[8]", "target_clear_rate=null", "watched_games=0",
)  # fmt: skip
BATCH = 4 * 16
INTERVAL = 6 * BATCH
PATIENCE = 240.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with session(cpus=2):
        yield


def steps_of(run: Path) -> list[int]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["step"] for line in lines if "rollout/clear_rate" in line]


def status_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "status.json").read_text())
    return found


@pytest.mark.slow
def test_a_trial_that_fails_does_not_stop_the_others(tmp_path: Path, cluster: None) -> None:
    out = tmp_path / "fleet"
    plan = make_plan(
        ["1-1", "1-2"], steps=4 * BATCH, settings=SMALL, grid=["init=null,no-such-agent"]
    )
    del plan.trials[-1]  # 1-2 with the agent that is missing
    lines: list[str] = []
    fleet.begin(plan, out)
    outcome = fleet.run(out, log=lines.append)
    rows = {row["trial"]: row for row in outcome.trials}
    assert {name: row["state"] for name, row in rows.items()} == {
        "1-1-initNone-seed0": "finished",
        "1-1-initno-such-agent-seed0": "failed",
        "1-2-initNone-seed0": "finished",
    }
    for name, row in rows.items():
        if row["state"] == "failed":
            assert "there is no 'no-such-agent'" in row["failed"]
            assert any(line.startswith(f"{name}: failed: ") for line in lines)
        else:
            assert (row["steps"], status_of(out / name)["step"]) == (4 * BATCH, 4 * BATCH)
            assert read_config(out / name).env.levels == {row["levels"]: 1.0}
    shown = {run.name: run.summary()["state"] for run in Library(out).runs()}
    assert shown["1-1-initNone-seed0"] == shown["1-2-initNone-seed0"] == "finished"
    # What is finished stays; what failed is tried again, and tells so again.
    before = {n: (out / n / "metrics.jsonl").stat().st_mtime_ns for n in shown if "None" in n}
    again = fleet.run(out, log=lines.append)
    assert [row["state"] for row in again.trials] == [row["state"] for row in outcome.trials]
    assert before == {n: (out / n / "metrics.jsonl").stat().st_mtime_ns for n in before}
    assert not (out / fleet.SCRATCH).exists()


@pytest.mark.slow
def test_the_worst_goes_on_from_the_best_within_the_bounds(tmp_path: Path, cluster: None) -> None:
    out = tmp_path / "fleet"
    # Both CPUs for each: members take turns, so that the one has been seen when the other comes.
    # Many small gradient steps, so that an interval is longer than it takes to end a turn.
    slow = ["minibatch_size=2", "update_epochs=4", "learner=torch"]
    settings = [setting for setting in SMALL if "minibatch" not in setting] + slow
    plan = make_plan(
        ["1-1"], seeds=2, steps=3 * INTERVAL, settings=settings, threads=2,
        explored=["lr=1e-4..1e-3"], interval=INTERVAL,
    )  # fmt: skip
    fleet.begin(plan, out)
    lines: list[str] = []
    outcome = fleet.run(out, log=lines.append)
    assert [row["state"] for row in outcome.trials] == ["finished"] * 2
    changes: dict[str, list[dict[str, Any]]] = {
        trial.name: [
            json.loads(line)
            for line in (out / trial.name / "changes.jsonl").read_text().splitlines()
        ]
        for trial in plan.trials
        if (out / trial.name / "changes.jsonl").exists()
    }
    inherited = {n: [c["inherited"] for c in told if c["inherited"]] for n, told in changes.items()}
    told = [(name, each) for name, all_of in inherited.items() for each in all_of]
    assert told
    for name, each in told:
        assert each["run"] in {trial.name for trial in plan.trials} - {name}
        assert each["step"] % (INTERVAL) == 0
        assert any(line.startswith(f"{name}: goes on from {each['run']}") for line in lines)
    for trial in plan.trials:
        config = read_config(out / trial.name)
        assert config.seed == trial.seed
        assert 1e-4 <= config.lr <= 1e-3
        steps = steps_of(out / trial.name)
        assert steps == sorted(set(steps))
        assert steps[-1] == 3 * INTERVAL


def wait_until(condition: Any, what: str) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere trainings outlive who began them")
def test_a_fleet_goes_on_after_the_head_has_been_killed(tmp_path: Path) -> None:
    out, log = tmp_path / "fleet", tmp_path / "driver.log"
    line = [sys.executable, "-P", "-m", "warpzone", "fleet"]
    # The first has its steps; the second, which looks at all episodes, is long from its end.
    plan = make_plan(["1-1"], settings=SMALL, grid=[f"total_steps={4 * BATCH},{4000 * BATCH}"])
    fleet.begin(plan, out)
    first, second = (out / trial.name for trial in plan.trials)
    command = [*line, "--resume", "--out", str(out), "--jobs", "1"]
    with log.open("wb") as file:
        driver = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_until(
            lambda: driver.poll() is not None
            or ((second / "metrics.jsonl").exists() and len(steps_of(second)) > 5),
            "the second training has not begun",
        )  # fmt: skip
        assert driver.poll() is None, log.read_text()
        # The head: the driver, and of Ray whatever it has begun, but not the trainings.
        family = psutil.Process(driver.pid).children(recursive=True)
        rays = [p for p in family if "warpzone" not in " ".join(p.cmdline())]
        os.kill(driver.pid, signal.SIGKILL)
        for process in rays:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        driver.wait()
        lock = filelock.FileLock(second / LOCK)
        lock.acquire(timeout=PATIENCE)  # it saves itself, and ends
        lock.release()
    finally:
        if driver.poll() is None:
            driver.kill()
    assert status_of(first)["state"] == "finished"
    assert status_of(second)["state"] == "interrupted"
    reached = steps_of(second)
    assert BATCH < reached[-1] < 4000 * BATCH
    stayed = (first / "metrics.jsonl").stat().st_mtime_ns
    # It would take long to its end: a shorter one will do.
    plan = FleetPlan.load(out)
    plan.trials[1].settings["total_steps"] = reached[-1] + 3 * BATCH
    plan.save(out)
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert [row["state"] for row in outcome["trials"]] == ["finished"] * 2
    steps = steps_of(second)
    assert steps[: len(reached)] == reached  # nothing is played twice, nothing is lost
    assert steps == [BATCH * n for n in range(1, reached[-1] // BATCH + 4)]
    assert (first / "metrics.jsonl").stat().st_mtime_ns == stayed
