"""Fleets on a Ray cluster of this machine: failures, the death of the head, populations."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import psutil
import pytest

from warpzone.cli.options import EXIT_ERROR
from warpzone.fleet import fleet
from warpzone.fleet.cluster import OBJECT_STORE, session
from warpzone.fleet.plan import FleetPlan, make_plan
from warpzone.runs.library import Library
from warpzone.training.run_settings import LOCK, read_config

pytest.importorskip("ray.tune")
from warpzone.fleet import reports  # which imports it

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


def wait_until(condition: Any, what: str) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.1)


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


def training_of(run: Path, processes: list[psutil.Process]) -> psutil.Process | None:
    """The process that trains in a directory, if one of these does."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if "train" in words and str(run) in words:
                return process
    return None


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere trainings outlive their actors")
def test_a_trial_whose_actor_is_killed_is_begun_anew_and_given_up_in_the_end(
    tmp_path: Path, cluster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Once instead of five times, for each of which Ray needs seconds.
    monkeypatch.setattr(fleet, "RESTARTS", 1)
    monkeypatch.setattr(reports, "RESTARTS", 1)
    out = tmp_path / "fleet"
    plan = make_plan(["1-1"], settings=SMALL, grid=[f"total_steps={10**6 * BATCH},{300 * BATCH}"])
    fleet.begin(plan, out)
    lost, unharmed = (trial.name for trial in plan.trials)
    killed: list[int] = []  # after so many updates

    def kill_actors() -> None:
        reached = 5
        while len(killed) < 2 and not ended.wait(0.05):
            found = training_of(out / lost, psutil.Process().children(recursive=True))
            with contextlib.suppress(psutil.Error, FileNotFoundError):
                if found is not None and len(steps_of(out / lost)) > reached:
                    found.parent().kill()
                    found.wait(PATIENCE)  # it saves itself, and ends
                    reached = len(steps_of(out / lost))
                    killed.append(reached)

    ended = threading.Event()
    killer = threading.Thread(target=kill_actors)
    killer.start()
    lines: list[str] = []
    try:
        outcome = fleet.run(out, log=lines.append)
    finally:
        ended.set()
        killer.join()
    first, second = killed
    rows = {row["trial"]: row for row in outcome.trials}
    assert {name: row["state"] for name, row in rows.items()} == {
        lost: "failed",
        unharmed: "finished",
    }
    # It went on where it had saved itself: nothing is played twice, nothing is lost.
    assert first < second
    assert steps_of(out / lost) == [BATCH * n for n in range(1, second + 1)]
    assert status_of(out / lost)["state"] == "interrupted"
    assert lines.count(f"{lost}: its worker was lost; begun anew from its checkpoint") == 1
    assert "its worker was lost 2 times" in rows[lost]["failed"]
    assert steps_of(out / unharmed) == [BATCH * n for n in range(1, 301)]
    assert [line for line in lines if line.startswith(unharmed)] == [
        f"{unharmed}: finished, {300 * BATCH:,} steps, best "
        f"{status_of(out / unharmed)['best_clear_rate']:.0%}"
    ]


@contextlib.contextmanager
def standing_cluster(environment: dict[str, str]) -> Iterator[tuple[psutil.Process, str]]:
    """A cluster as `ray start` makes it, which nobody's driver ends, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # The names of sockets in it may not be long.
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:
        line = [
            *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
            *(f"--port={port}", "--node-ip-address=127.0.0.1", f"--temp-dir={folder}"),
            *("--num-cpus=2", "--include-dashboard=false", "--disable-usage-stats"),
            f"--object-store-memory={OBJECT_STORE}",
        ]
        log = Path(folder) / "head.log"
        with log.open("wb") as file:
            head = subprocess.Popen(line, stdout=file, stderr=file, env=os.environ | environment)
        try:
            wait_until(
                lambda: head.poll() is not None or b"Ray runtime started" in log.read_bytes(),
                "ray start",
            )
            assert head.poll() is None, log.read_text()
            yield psutil.Process(head.pid), f"127.0.0.1:{port}"
        finally:
            family = [psutil.Process(head.pid), *psutil.Process(head.pid).children(recursive=True)]
            for process in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            head.wait()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a head of Ray is not supported there")
def test_the_command_trains_on_a_cluster_that_stands_and_leaves_it_standing(
    tmp_path: Path,
) -> None:
    out = tmp_path / "fleet"
    secret = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
    settings = [word for setting in SMALL for word in ("--set", setting)]
    line = [
        *(sys.executable, "-m", "warpzone", "fleet", "1-1", "--out", str(out), "--json"),
        *("--grid", "lr=0.001,0.002", "--steps", str(100 * BATCH), *settings),
    ]
    with standing_cluster(secret) as (head, address):
        line += ["--address", address]
        trained: set[str] = set()
        with subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | secret, text=True
        ) as driver:
            try:
                while driver.poll() is None:
                    family = head.children(recursive=True)
                    for name in ("1-1-lr0.001-seed0", "1-1-lr0.002-seed0"):
                        if training_of(out / name, family) is not None:
                            trained.add(name)
                    time.sleep(0.1)
                told, complaints = driver.communicate(timeout=PATIENCE)
            finally:
                driver.kill()
        assert driver.returncode == 0, complaints
        assert trained == {"1-1-lr0.001-seed0", "1-1-lr0.002-seed0"}, "children of the cluster"
        assert head.is_running()
        outcome = json.loads(told)
        # Whoever has no token is refused, and told so.
        other = secret | {"RAY_AUTH_TOKEN": "f" * 64}
        refused = subprocess.run(
            [*line, "--out", str(tmp_path / "other")],
            capture_output=True, text=True, timeout=PATIENCE, env=os.environ | other, check=False,
        )  # fmt: skip
    assert refused.returncode == EXIT_ERROR
    assert f"no session with Ray at '{address}'" in " ".join(refused.stderr.split())
    assert "Traceback" not in refused.stderr
    assert {row["trial"]: row["state"] for row in outcome["trials"]} == dict.fromkeys(
        trained, "finished"
    )
    for name in trained:
        assert steps_of(out / name) == [BATCH * n for n in range(1, 101)]
        assert read_config(out / name).lr == float(name.split("-")[2].removeprefix("lr"))


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
