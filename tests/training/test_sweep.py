"""A sweep: which level comes next, what becomes of failures, and how it goes on."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from warpzone.errors import ConfigError
from warpzone.training import sweep
from warpzone.training.sweep import ATTEMPTS, Entry, next_entry

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


def go(tmp_path: Path, fake: Fake, **settings: object) -> tuple[dict[str, Entry], list[str]]:
    said: list[str] = []
    arguments: dict[str, Any] = {"hours": 1.0, "jobs": 1, "slice_steps": 10, "most_steps": 30}
    arguments |= settings
    entries = sweep.run(list(fake.rates), tmp_path, log=said.append, make_command=fake, **arguments)
    return {entry.level: entry for entry in entries}, said


def test_the_level_trained_least_comes_next_then_the_worst() -> None:
    a, b, c = (
        Entry("1-1", Path("a"), steps=10, clear_rate=0.5),
        Entry("1-2", Path("b"), steps=5, clear_rate=0.4),
        Entry("1-3", Path("c"), steps=5, clear_rate=0.1),
    )
    assert next_entry([a, b, c], [], 100) is c
    assert next_entry([a, b, c], [c], 100) is b
    c.done, b.failures = True, ATTEMPTS
    assert next_entry([a, b, c], [], 100) is a
    assert next_entry([a, b, c], [], 10) is None


def test_levels_take_turns_until_they_reach_the_target(tmp_path: Path) -> None:
    fake = Fake({"1-1": [0.5, 0.97], "1-2": [0.96], "1-3": [0.1, 0.2, 0.3]})
    entries, said = go(tmp_path, fake)
    assert fake.asked == [
        ("1-1", 10), ("1-2", 10), ("1-3", 10), ("1-3", 20), ("1-1", 20), ("1-3", 30),
    ]  # fmt: skip
    assert [entries[level].done for level in entries] == [True, True, False]
    assert entries["1-3"].steps == 30
    assert "target reached" in said[1]


def test_a_level_that_fails_leaves_the_others_alone(tmp_path: Path) -> None:
    fake = Fake({"1-1": [None, None], "1-2": [0.99], "1-3": [None, 0.99]})
    entries, said = go(tmp_path, fake)
    assert entries["1-2"].done
    assert entries["1-3"].done
    assert not entries["1-1"].done
    assert entries["1-1"].reason == "error: no luck"
    assert "left out from now on: error: no luck" in " ".join(said)
    assert sweep.summary(list(entries.values()))["1-1"]["failed"] == "error: no luck"


def test_the_same_command_goes_on_where_it_stopped(tmp_path: Path) -> None:
    go(tmp_path, Fake({"1-1": [0.5], "1-2": [0.99]}), most_steps=10)
    fake = Fake({"1-1": [0.99], "1-2": []})
    entries, _ = go(tmp_path, fake)
    assert fake.asked == [("1-1", 20)]
    assert entries["1-2"].done


def test_time_that_is_over_ends_the_runs(tmp_path: Path) -> None:
    def sleep(entry: Entry, *_: object) -> list[str]:
        return [sys.executable, "-c", "import time; time.sleep(600)"]

    said: list[str] = []
    entries = sweep.run(
        ["1-1", "1-2"], tmp_path, hours=0.5 / 3600, jobs=2, log=said.append, make_command=sleep
    )
    assert [entry.steps for entry in entries] == [0, 0]


def test_the_command_goes_on_with_a_run_that_is_there(tmp_path: Path) -> None:
    entry = Entry("1-1", tmp_path / "1-1")
    line = sweep.command(entry, "specialist", 500, ["lr=0.1"], None)
    assert line[1:2] == ["-P"]
    assert line[2:] == [
        "-m", "warpzone", "train", "1-1", "--preset", "specialist", "--out", str(entry.path),
        "--steps", "500", "--threads", "1", "--set", "lr=0.1",
    ]  # fmt: skip
    entry.path.mkdir()
    (entry.path / "config.json").write_text("{}")
    assert "--resume" in sweep.command(entry, "specialist", 500, [], None)


def test_a_damaged_status_counts_as_no_run(tmp_path: Path) -> None:
    entry = Entry("1-1", tmp_path)
    (tmp_path / "status.json").write_text('{"step": 12')
    entry.read(0.9)
    assert (entry.steps, entry.clear_rate, entry.done) == (0, None, False)


@pytest.mark.parametrize("wrong", [{"hours": 0.0}, {"jobs": 0}, {"slice_steps": 0}])
def test_numbers_out_of_range_are_refused(tmp_path: Path, wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        go(tmp_path, Fake({"1-1": [0.1]}), **wrong)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["learning_rate=1"], "It is called lr here"),
        (["gamma=7"], "gamma: .*less than or equal to 1"),
        (["init={level}.safetensors", "num_envs=1"], "num_envs: "),
    ],
)
def test_a_wrong_setting_is_told_before_anything_begins(
    tmp_path: Path, settings: list[str], message: str
) -> None:
    fake = Fake({"1-1": [0.5]})
    with pytest.raises(ConfigError, match=message):
        go(tmp_path / "new", fake, settings=settings)
    assert fake.asked == []
    assert [*tmp_path.iterdir()] == []


def test_where_no_runs_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for name in ("file", "file/below", "x" * 256):
        with pytest.raises(ConfigError, match="cannot write runs to"):
            go(tmp_path / name, Fake({"1-1": [0.5]}))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.name != "posix", reason="needs files of POSIX")
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text", ["", "[]", "[" * 100_000, '{"step": "many"}', '{"step": null, "best_clear_rate": "x"}']
)
def test_what_a_run_says_may_make_no_sense(tmp_path: Path, text: str) -> None:
    run = tmp_path / "1-1"
    run.mkdir()
    (run / "status.json").write_text(text)
    entry = Entry("1-1", run)
    entry.read(0.9)
    assert (entry.steps, entry.clear_rate, entry.done) == (0, None, False)
    (run / "status.json").unlink()
    os.mkfifo(run / "status.json")
    entry.read(0.9)
    assert entry.steps == 0


def test_of_a_long_output_only_the_end_is_read(tmp_path: Path) -> None:
    log = tmp_path / "1-1.log"
    log.write_bytes(b"x" * 200_000 + b"\nerror: the last line\n\n")
    assert sweep._last_line(log) == "error: the last line"
    assert "cannot be read" in sweep._last_line(tmp_path / "none")
    log.write_bytes(b"")
    assert sweep._last_line(log) == "it said nothing"
