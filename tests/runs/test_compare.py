"""Runs side by side: settings and results."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.run_directories import make_run

from warpzone.runs.compare import differences, flatten, results, shown
from warpzone.runs.library import Library, Run
from warpzone.smb.levels import LEVELS


def test_only_what_differs() -> None:
    one = {"seed": 1, "env": {"levels": {"1-1": 1.0}, "noop_max": 30}, "lr": 0.1, "amp": None}
    two = {"seed": 1, "env": {"levels": {"1-2": 1.0}, "noop_max": 0}, "lr": 0.1, "amp": True}
    three = {"seed": 1, "env": {"noop_max": 30}, "lr": 0.1, "amp": None, "ema": 0.5}
    assert differences([one, one]) == []
    assert differences([one, two, three]) == [
        {"name": "env.levels", "values": ["1-1", "1-2", "—"]},
        {"name": "env.noop_max", "values": ["30", "0", "30"]},
        {"name": "amp", "values": ["none", "true", "none"]},
        {"name": "ema", "values": ["—", "—", "0.5"]},
    ]


def test_numbers_and_truth_are_not_mixed_up() -> None:
    assert differences([{"a": 1}, {"a": True}, {"a": "1"}])[0]["values"] == ["1", "true", "1"]


def test_settings_as_a_person_writes_them() -> None:
    assert shown({"1-1": 1.0, "1-2": 2.0}) == "1-1: 1, 1-2: 2"
    assert shown({"1-1": 1.0, "1-2": 1.0}) == "1-1, 1-2"
    assert shown({}) == "none"
    assert shown([256, 128]) == "256, 128"
    assert shown(1e-5) == "1e-05"
    assert flatten({"a": {"b": {"c": 1}}, "distillation_policies": {"1-1": "x"}}) == {
        "a.b.c": 1,
        "distillation_policies": {"1-1": "x"},
    }


def test_results_over_all_levels(tmp_path: Path) -> None:
    make_run(tmp_path / "one", level="1-1", measured=0.5)
    make_run(tmp_path / "camp" / "1-2", level="1-2", measured=0.75)
    make_run(tmp_path / "camp" / "8-4", level="8-4", measured=0.25)
    table = results(Library(tmp_path).runs(), LEVELS)
    assert table["columns"] == ["camp", "one"]
    assert [row["level"] for row in table["rows"]] == list(LEVELS)
    found = {row["level"]: row["cells"] for row in table["rows"] if any(row["cells"])}
    assert [*found] == ["1-1", "1-2", "8-4"]
    assert found["1-1"][0] is None
    assert found["1-1"][1] == {
        "run": "one",
        "final": True,
        "clear_rate": 0.5,
        "episodes": 100,
        "low": 0.4,
        "high": 0.5,
    }
    assert found["8-4"][0]["run"] == "camp/8-4"


def test_a_run_in_training_tells_its_last_measurement(tmp_path: Path) -> None:
    path = make_run(tmp_path / "one", state="running")
    with (path / "metrics.jsonl").open("a") as file:
        for rate in (0.25, 0.5):
            row = {"step": 1, "eval/clear_rate": rate, "eval/clear_rate/1-3": rate}
            file.write(json.dumps(row) + "\n")
    cells = {row["level"]: row["cells"][0] for row in results([Run(path, "one")], LEVELS)["rows"]}
    assert cells["1-3"] == {"run": "one", "final": False, "clear_rate": 0.5}
    assert sum(cell is not None for cell in cells.values()) == 1
