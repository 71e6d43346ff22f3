"""A sweep: which level comes next, what becomes of failures, and what is stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from warpzone.training import sweep
from warpzone.training.interrupt import Interrupt, Interrupted
from warpzone.training.sweep import ATTEMPTS, Entry, LevelState, next_entry
from warpzone.training.time_slice import TimeSlice

# In place of a training: writes what a run directory says after a slice.
TRAIN = """
import json, pathlib, sys
path, steps, rate, code = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
path.mkdir(parents=True, exist_ok=True)
if code == 0:
    status = {"state": "finished", "step": steps, "best_clear_rate": json.loads(rate)}
    (path / "status.json").write_text(json.dumps(status))
print("error: no luck" if code else "trained")
sys.exit(code)
"""


class Fake:
    """Trains each level as told: a clear rate for each slice, None for a failure."""

    def __init__(self, rates: dict[str, list[float | None]]) -> None:
        self.rates = {level: list(rates[level]) for level in rates}
        self.asked: list[tuple[str, int]] = []

    def __call__(
        self, entry: Entry, preset: str, steps: int, settings: Sequence[str], rom: Path | None
    ) -> list[str]:
        self.asked.append((entry.level, steps))
        rate = self.rates[entry.level].pop(0)
        code = "1" if rate is None else "0"
        line = [sys.executable, "-c", TRAIN, str(entry.path), str(steps)]
        return [*line, json.dumps(rate), code]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "PAUSE", 0.01)
    monkeypatch.setattr(sweep, "POLL", 0.01)


def entries_of(folder: Path, *levels: str) -> list[Entry]:
    entries = [Entry(level, folder / level, LevelState()) for level in levels]
    for entry in entries:
        entry.read(0.95)
    return entries


def go(
    entries: Sequence[Entry], fake: Any, left: Callable[[], float] = lambda: 60.0, jobs: int = 1
) -> list[str]:
    said: list[str] = []
    with Interrupt() as interrupt:
        sweep.run(
            entries, left, interrupt, jobs=jobs, preset="specialist", slice_steps=10, target=0.95,
            settings=[], rom=None, log=said.append, make_command=fake,
        )  # fmt: skip
    return said


def test_each_level_has_a_slice_then_comes_what_gets_on_or_fails_most() -> None:
    a, b, c = (
        Entry("1-1", Path("a"), LevelState(slices=1, gain=0.5), clear_rate=0.5),
        Entry("1-2", Path("b"), LevelState(slices=0)),
        Entry("1-3", Path("c"), LevelState(slices=0)),
    )
    assert next_entry([a, b, c], []) is b
    assert next_entry([a, b, c], [b]) is c
    b.state, b.clear_rate = LevelState(slices=1, gain=0.0), 0.0
    c.state, c.clear_rate = LevelState(slices=1, gain=0.9), 0.9
    assert [round(entry.priority, 2) for entry in (a, b, c)] == [0.75, 0.5, 0.95]
    assert next_entry([a, b, c], []) is c  # it gets on fastest
    # Where nothing gets on, slices are in proportion to what fails.
    for entry, rate in ((a, 0.8), (b, 0.4), (c, 0.0)):
        entry.state, entry.clear_rate = LevelState(slices=1, gain=0.0), rate
    for _ in range(33):
        following = next_entry([a, b, c], [])
        assert following is not None
        following.state.slices += 1
    assert [entry.state.slices for entry in (a, b, c)] == [4, 12, 20]
    c.done, b.failures = True, ATTEMPTS
    assert next_entry([a, b, c], []) is a
    a.paused_until = time.monotonic() + 60
    assert next_entry([a, b, c], []) is None


def test_levels_take_turns_until_they_reach_the_target(tmp_path: Path) -> None:
    fake = Fake({"1-1": [0.5, 0.97], "1-2": [0.96], "1-3": [0.1, 0.2, 0.3, 0.99]})
    entries = entries_of(tmp_path, *fake.rates)
    said = go(entries, fake)
    assert fake.asked == [
        ("1-1", 10), ("1-2", 10), ("1-3", 10), ("1-1", 20), ("1-3", 20), ("1-3", 30), ("1-3", 40),
    ]  # fmt: skip
    assert all(entry.done for entry in entries)
    assert [entry.state.slices for entry in entries] == [2, 1, 4]
    assert entries[0].state.gain == pytest.approx(0.47)
    assert "target reached" in said[1]


def test_a_level_that_fails_leaves_the_others_alone(tmp_path: Path) -> None:
    fake = Fake({"1-1": [None, None], "1-2": [0.99], "1-3": [None, 0.99]})
    entries = entries_of(tmp_path, *fake.rates)
    said = go(entries, fake)
    assert [entry.done for entry in entries] == [False, True, True]
    assert entries[0].reason == "error: no luck"
    assert "left out from now on: error: no luck" in " ".join(said)
    assert sweep.summary(entries)["1-1"]["failed"] == "error: no luck"


def test_a_failure_is_tried_again_after_a_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "PAUSE", 0.3)
    fake = Fake({"1-1": [None, 0.99]})
    began = time.monotonic()
    go(entries_of(tmp_path, "1-1"), fake)
    assert time.monotonic() - began >= 0.3
    assert fake.asked == [("1-1", 10), ("1-1", 10)]


def test_what_runs_when_time_is_over_is_stopped_and_is_no_failure(tmp_path: Path) -> None:
    def sleep(entry: Entry, *_: object) -> list[str]:
        return [sys.executable, "-c", "import time; time.sleep(600)"]

    end = time.monotonic() + 0.5
    entries = entries_of(tmp_path, "1-1", "1-2")
    said = go(entries, sleep, lambda: end - time.monotonic(), jobs=2)
    assert [(entry.steps, entry.failures, entry.state.slices) for entry in entries] == [
        (0, 0, 0)
    ] * 2
    assert said == []


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_an_interruption_stops_what_runs(tmp_path: Path) -> None:
    def interrupted(entry: Entry, *_: object) -> list[str]:
        return [
            sys.executable,
            "-c",
            "import os, signal, time; os.kill(os.getppid(), signal.SIGTERM); time.sleep(600)",
        ]

    with pytest.raises(Interrupted):
        go(entries_of(tmp_path, "1-1"), interrupted)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can")
def test_a_run_ends_when_whoever_started_it_is_killed(tmp_path: Path) -> None:
    sleep = "import time; open('began', 'w').close(); time.sleep(600)"
    start = (
        "import sys, time; from pathlib import Path; "
        "from warpzone.training.time_slice import TimeSlice; "
        f"one = TimeSlice([sys.executable, '-c', {sleep!r}], Path('log')); "
        "print(one._process.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", start], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    while not (tmp_path / "began").exists():
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    end = time.monotonic() + 30
    while _lives(pid):
        assert time.monotonic() < end
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    """Whether a process is there that is more than an entry nobody has asked for yet."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_the_command_goes_on_with_a_run_that_is_there(tmp_path: Path) -> None:
    entry = Entry("1-1", tmp_path / "1-1", LevelState())
    line = sweep.command(entry, "specialist", 500, ["lr=0.1", "init=a/{level}"], None)
    assert line[1:2] == ["-P"]
    assert line[2:] == [
        "-m", "warpzone", "train", "1-1", "--preset", "specialist", "--out", str(entry.path),
        "--steps", "500", "--threads", "1", "--set", "lr=0.1", "--set", "init=a/1-1",
    ]  # fmt: skip
    entry.path.mkdir()
    (entry.path / "config.json").write_text("{}")
    assert "--resume" in sweep.command(entry, "specialist", 500, [], None)


def test_a_damaged_status_counts_as_no_run(tmp_path: Path) -> None:
    entry = Entry("1-1", tmp_path, LevelState())
    (tmp_path / "status.json").write_text('{"step": 12')
    entry.read(0.9)
    assert (entry.steps, entry.clear_rate, entry.done) == (0, None, False)


@pytest.mark.skipif(os.name != "posix", reason="needs files of POSIX")
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text", ["", "[]", "[" * 100_000, '{"step": "many"}', '{"step": null, "best_clear_rate": "x"}']
)
def test_what_a_run_says_may_make_no_sense(tmp_path: Path, text: str) -> None:
    run = tmp_path / "1-1"
    run.mkdir()
    (run / "status.json").write_text(text)
    entry = Entry("1-1", run, LevelState())
    entry.read(0.9)
    assert (entry.steps, entry.clear_rate, entry.done) == (0, None, False)
    (run / "status.json").unlink()
    os.mkfifo(run / "status.json")
    entry.read(0.9)
    assert entry.steps == 0


def test_of_a_long_output_only_the_end_is_read(tmp_path: Path) -> None:
    log = tmp_path / "1-1.log"
    one = TimeSlice(
        [sys.executable, "-c", "print('x' * 200_000); print('error: the last line\\n')"], log
    )
    one.wait()
    assert (one.ended, one.code) == (True, 0)
    assert one.last_line() == "error: the last line"
    log.write_bytes(b"")
    assert one.last_line() == "it said nothing"
    log.unlink()
    assert "cannot be read" in one.last_line()
