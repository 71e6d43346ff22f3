"""The benchmark of actors: what it counts, and a moment of each way to train."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from benchmarks import actors
from typer.testing import CliRunner

app = typer.Typer()
app.command()(actors.main)


def clocks(monkeypatch: pytest.MonkeyPatch, times: Iterator[float]) -> None:
    """A clock that shows these; the processes spend two seconds of CPU in each of its seconds, and
    this one half of one."""
    now = [0.0]

    def clock() -> float:
        now[0] = next(times)
        return now[0]

    monkeypatch.setattr("time.perf_counter", clock)
    monkeypatch.setattr("time.process_time", lambda: now[0] / 2)
    monkeypatch.setattr(actors, "cpu_seconds", lambda: now[0] * 2)


def test_what_is_learnt_is_counted_after_the_first_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks(monkeypatch, iter([100.0, 110.0, 120.0, 130.0, 131.0, 132.0, 134.0]))
    watch = actors.Watch(batch=1000, seconds=4)
    assert all(watch.update(rate) for rate in (0.0, 0.2, 0.3, 0.95, 0.5))
    assert not watch.update(1.0), "four seconds are over since the third"
    result = watch.result(waiting=0.25)
    assert result == {
        "steps_per_second": 3000 / 4,
        "steps_per_cpu_second": 3000 / 8,
        "steps_per_cpu_second_of_this_process": 3000 / 2,
        "steps_to_goal": 4000,
        "seconds_to_goal": 31.0,
        "waiting": 0.25,
    }


def test_a_goal_that_is_not_reached_has_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks(monkeypatch, iter(range(9)))
    watch = actors.Watch(batch=10, seconds=0)
    going = [watch.update(0.89) for _ in range(4)]
    assert going == [True, True, True, False], "what is measured begins with the third"
    assert watch.result()["steps_to_goal"] is None


@pytest.mark.slow
def test_a_moment_of_actors_and_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    out = tmp_path / "actors.json"
    given = ["--case", "1 thread", "--case", "1 actors", "--seconds", "1", "--repeats", "1"]
    result = CliRunner().invoke(app, [*given, "--out", str(out)])
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())
    assert (found["level"], found["preset"], found["seconds"]) == ("1-1", "tiles", 1.0)
    (alone,), (with_actor,) = found["results"]["1 thread"], found["results"]["1 actors"]
    for row in (alone, with_actor):
        assert row["steps_per_second"] > 0
        assert row["steps_per_cpu_second"] > 0
    assert "staleness_mean" not in alone
    # The next rollout is played while one is learnt from: its weights are one update old.
    assert with_actor["staleness_mean"] == with_actor["staleness_max"] == 1
    assert 0 <= with_actor["waiting"] <= 1
    assert with_actor["megabytes_per_rollout"] > 0
    for case in ("1 thread", "1 actors"):
        assert case in result.output


def test_a_case_that_fails_is_told_of() -> None:
    result = CliRunner().invoke(app, ["--case", "1 thread", "--level", "9-9", "--repeats", "1"])
    assert result.exit_code != 0
    assert "9-9" in result.output


def test_an_unknown_case_is_refused() -> None:
    refused = CliRunner().invoke(app, ["--case", "3 actors", "--repeats", "1"])
    assert refused.exit_code == 2
    assert "there is no case '3 actors'" in " ".join(refused.output.replace("│", " ").split())
