"""Faults of the machine, one in each run: a sample that has every kind of fault and every phase.

All of them: `python -m scripts.inject_faults`.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.faults import (
    COMMANDS,
    NOTHING,
    TRAIN,
    Command,
    Done,
    Fault,
    Machine,
    Outcome,
    Training,
    acts,
    calls_to_fail,
    covering,
    folder_in_memory,
)
from tests.trackers.test_follow import FAKE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="calls of the C library are Linux's"),
    pytest.mark.skipif(
        not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="needs a C compiler"
    ),
]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    made = folder_in_memory()
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def machine(folder: Path) -> Iterator[Machine]:
    with Machine(folder) as running:
        yield running


@pytest.fixture(scope="module")
def training(machine: Machine, folder: Path) -> Training:
    return Training(machine, folder)


@pytest.fixture(scope="module")
def finished(machine: Machine, folder: Path) -> Path:
    run = folder / "finished"
    done = machine.run(["train", "1-1", "--out", run, *TRAIN], run)
    assert done.status == 0, done.text
    return run


def wrong(outcomes: Iterable[tuple[str, Outcome]]) -> list[str]:
    """What did not hold, in words."""
    return [
        f"{name}, {outcome.fault}: {outcome.problems}\n{outcome.done.text}"
        for name, outcome in outcomes
        if outcome.problems
    ]


def test_a_fault_that_is_injected_is_met(training: Training) -> None:
    """Else all that follows would show nothing."""
    writing = [n for n, call in enumerate(training.calls) if "metrics.jsonl" in call.path]
    number = next(n for n in writing if training.calls[n].kind == "write")
    outcome = training.meet(Fault(at=number, what="ENOSPC"))
    assert outcome.how == "stops"
    assert "No space left on device" in outcome.done.err
    assert [call.path for call in outcome.done.calls if call.fired] == ["/metrics.jsonl"]
    assert training.meet(Fault(at=number, what="SIGKILL")).done.status == -9
    never = training.meet(Fault(at=10**6, what="EIO"))
    assert never.problems == ["the fault has not happened"]


@pytest.mark.timeout(1200)
def test_a_training_outlives_every_call_that_fails(training: Training) -> None:
    cases = covering(
        calls_to_fail(training.calls),
        lambda what, call: [what.rpartition(": ")[2], (call.phase, call.kind)],
    )
    assert len(cases) > 35
    outcomes = [(what, training.meet(fault)) for what, _, fault in cases]
    assert not wrong(outcomes)
    assert {"unnoticed", "goes on", "stops", "ended"} <= {outcome.how for _, outcome in outcomes}


@pytest.mark.timeout(1200)
def test_going_on_outlives_every_call_that_fails(machine: Machine, folder: Path) -> None:
    training = Training(machine, folder, resumed=True)
    beginning = [
        case
        for case in calls_to_fail(training.calls)
        if case[1].phase == "start"
        and case[1].kind in ("list", "read", "truncate", "rename", "unlink", "lock")
        and not (case[2].lasting or case[0].startswith("SIG"))
    ]
    cases = covering(beginning, lambda what, call: [call.kind, (call.kind, _place(call.path))])
    assert not wrong((what, training.meet(fault)) for what, _, fault in cases)


def _place(path: str) -> str:
    """Of which kind a path in a run is."""
    return path.lstrip("/").partition("/")[0].partition("-")[0]


@pytest.mark.timeout(1200)
def test_a_training_outlives_clock_memory_cores_readers_and_workers(training: Training) -> None:
    known: set[str] = set()
    outcomes = []
    for number, (what, phase, fault) in enumerate(acts()):
        if {what, phase} <= known and number % 9:
            continue
        known |= {what, phase}
        outcomes.append((f"{what} in phase {phase}", training.meet(fault)))
    assert len(outcomes) > 20
    assert not wrong(outcomes)


@pytest.mark.timeout(1200)
def test_commands_that_read_a_run_outlive_calls_that_fail(
    machine: Machine, folder: Path, finished: Path
) -> None:
    for number, (name, (words, output)) in enumerate(COMMANDS.items()):
        command = Command(machine, folder, finished, words, output)
        chosen = ("write", "rename", "fsync", "read", "open")[number % 5]
        writing = [case for case in calls_to_fail(command.calls) if case[1].kind == chosen]
        cases = covering(writing, lambda what, call: [call.kind])
        assert not wrong((f"{name}, {what}", command.meet(fault)) for what, _, fault in cases)


def test_a_campaign_stops_with_a_message_and_goes_on(machine: Machine, folder: Path) -> None:
    out = folder / "campaign"
    words = ["--hours", "1", "--jobs", "1", "--network-share", "0", "--json"]
    line: list[str | Path] = ["campaign", "1-1,1-2", "--out", out, *words]

    def run(fault: Fault = NOTHING) -> Done:
        program = "tests.support.fault_campaign"
        return machine.run(line, out, fault, calls=True, program=program)

    whole = run()
    assert whole.status == 0, whole.text
    shutil.rmtree(out)
    cases = covering(calls_to_fail(whole.calls), lambda what, call: [call.kind, what[:3] == "SIG"])
    assert len(cases) > 5
    for what, _, fault in cases:
        done = run(fault)
        assert "Traceback" not in done.err, (what, done.text)
        while not done.fired:  # it made fewer calls this time: it waits by the clock
            assert done.status == 0, (what, done.text)
            shutil.rmtree(out)
            fault = replace(fault, at=fault.at // 2)
            done = run(fault)
        if done.status not in (0, 130) and not what.startswith("SIG"):
            assert (done.status, done.err.count("error:")) == (2, 1), (what, done.text)
        again = run()
        assert again.status == 0, (what, done.text, again.text)
        assert [level["done"] for level in json.loads(again.out)["levels"].values()] == [True] * 2
        shutil.rmtree(out)


def test_a_film_whose_encoder_dies_is_told_and_leaves_the_older_one(
    machine: Machine, folder: Path, finished: Path
) -> None:
    words, output = COMMANDS["record (MP4)"]
    command = Command(machine, folder, finished, words, output)
    outcome = command.meet(Fault(act=("encoder", "start", 1), arguments=(5,)))
    assert outcome.how == "stops"
    assert not wrong([("the encoder dies", outcome)])
    assert "could not write" in outcome.done.err


def test_a_tracker_that_is_killed_leaves_the_training_alone(machine: Machine, folder: Path) -> None:
    (folder / "packages").mkdir()
    (folder / "packages" / "wandb.py").write_text(FAKE)
    environment = {
        "PYTHONPATH": str(folder / "packages"),
        "FAKE_LOG": str(folder / "told.jsonl"),
        "FAKE_LOGIN": "1",
    }
    run = folder / "tracked"
    command: list[str | Path] = ["train", "1-1", "--out", run, *TRAIN, "--track", "wandb"]
    for nth in (1, 4):
        fault = Fault(act=("children", "play", nth))
        done = machine.run(command, run, fault, environment=environment)
        assert done.status == 0, done.text
        assert "wandb: its process has ended" in done.out
        assert f"warpzone track {run} wandb" in done.out
        assert "trained 160 steps" in done.out
        shutil.rmtree(run)


def test_a_thread_that_learns_or_translates_dies(machine: Machine, folder: Path) -> None:
    run = folder / "threads"
    begin: list[str | Path] = ["train", "1-1", "--out", run, *TRAIN]
    where = "warpzone.ppo.update:Updater.losses"
    fault = Fault(act=("raise", "play", 3), arguments=(where, "MemoryError", "learner"))
    done = machine.run([*begin, "--learner", "torch"], run, fault)
    assert (done.status, done.fired, done.hung) == (1, 1, False), done.text
    assert done.err.startswith("error: out of memory. End other programs"), done.text
    done = machine.run(["train", "--resume", "--out", run], run)
    assert (done.status, "trained 160 steps" in done.out) == (0, True), done.text
    shutil.rmtree(run)
    where = "warpzone.nes.recompiler.provide:Engine._use_cached"
    fault = Fault(act=("raise", "start", 1), arguments=(where, "RuntimeError", "translation"))
    done = machine.run([*begin, "--engine", "auto"], run, fault)
    assert (done.status, done.err) == (0, ""), done.text


@pytest.mark.skipif(os.cpu_count() == 1, reason="there is no core to lose")
def test_no_core_and_no_thread_is_needed_to_end_the_same(training: Training) -> None:
    outcome = training.meet(Fault(act=("cores", "play", 3), arguments=(1,)))
    assert (outcome.how, outcome.problems) == ("unnoticed", [])
