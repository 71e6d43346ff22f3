"""The ablations: variants are real settings, runs go on, tables and plots say what was measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks import ablations
from benchmarks.ablations import GROUPS, VARIANTS, Task
from tests.test_first_level import a_curve

from warpzone.settings import parse_overrides
from warpzone.training import TrainConfig, resolve


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_are_settings_that_differ_from_the_base(name: str) -> None:
    def config(variant: str) -> TrainConfig:
        settings = Task("1-2", variant, 1, 1000).settings()
        preset = VARIANTS[variant].preset
        return resolve(preset, **parse_overrides(settings, TrainConfig))

    assert config(name).target_clear_rate is None
    assert config(name).seed == 1
    assert (config(name) == config("base")) == (name == "base")


def test_each_variant_is_in_one_group() -> None:
    grouped = [name for group in GROUPS for name in group.variants]
    assert sorted(["base", *grouped]) == sorted(VARIANTS)


def test_pictures_have_their_own_budget_and_seeds_come_first() -> None:
    wanted = ablations.tasks(["1-1", "1-2"], ["base", "pixels"], 2, 600, 300)
    assert [task[:2] for task in wanted[:2]] == [("1-1", "base"), ("1-1", "pixels")]
    assert [task.seed for task in wanted] == [0] * 4 + [1] * 4
    assert {task.variant: task.steps for task in wanted} == {"base": 600, "pixels": 300}


def test_the_command_goes_on_with_what_is_there(tmp_path: Path) -> None:
    task = Task("1-3", "gamma-0.9", 2, 5000)
    line = task.line(tmp_path, Path("game.nes"))
    assert line[line.index("train") + 1] == "1-3"
    assert line[line.index("--threads") + 1] == "1"
    assert {"gamma=0.9", "seed=2", "target_clear_rate=null"} <= set(line)
    assert "--resume" not in line
    task.path(tmp_path).mkdir(parents=True)
    (task.path(tmp_path) / "config.json").touch()
    assert "--resume" in task.line(tmp_path, Path("game.nes"))


def test_a_failing_run_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"

    def line(task: Task, out: Path, rom: Path) -> list[str]:
        path = task.path(out)
        path.mkdir(parents=True, exist_ok=True)
        if task.variant == "starts":
            return [sys.executable, "-c", "raise SystemExit('error: no way\\nfound')"]
        status = json.dumps({"state": "finished", "step": task.steps})
        return [sys.executable, "-c", finish, str(path / "status.json"), status]

    monkeypatch.setattr(Task, "line", line)
    wanted = ablations.tasks(["1-1"], ["starts", "base", "gamma-0.9"], 1, 100, 100)
    said: list[str] = []
    failures = ablations.run_all(wanted, tmp_path, 2, Path("game.nes"), said.append)
    assert failures == {"1-1 starts seed 0": "no way found"}
    assert [task.done(tmp_path) for task in wanted] == [False, True, True]
    said.clear()
    ablations.run_all(wanted, tmp_path, 2, Path("game.nes"), said.append)
    assert said[0] == "2 of 3 runs are finished already"
    assert len(said) == 2


def test_steps_until_a_rate_count_seeds_that_never_reach_it() -> None:
    assert ablations.first_text([400_000, 500_000, 450_000]) == "450k (400k to 500k)"
    assert ablations.first_text([400_000, None, 450_000]) == "450k (400k to never)"
    assert ablations.first_text([400_000, None, None]) == "never (400k to never)"
    assert ablations.first_text([None, None]) == "–"
    assert ablations.first_text([12_000]) == "12k"


@pytest.fixture
def levels() -> dict[str, dict[str, dict[str, Any]]]:
    base = ablations.summary({0: a_curve([0.1, 0.6, 0.9]), 1: a_curve([0.1, 0.4, 0.7])})
    kl = ablations.summary({0: a_curve([0.0, 0.0])})
    return {"1-1": {"base": base, "objective-kl": kl}, "1-2": {"base": base}}


def test_the_table_has_medians_ranges_and_first_times(
    levels: dict[str, dict[str, dict[str, Any]]],
) -> None:
    text = ablations.markdown(levels, None)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert (
        "| base | preset tiles | 2 | 30k | 80% (70%–90%) | 80% (70%–90%) | 2,400 (2,100–2,700)"
        " | 25k (20k to 30k) | never (30k to never) |"
    ) in rows
    assert (
        "| objective-kl | `objective=kl` | 1 | 20k | 0% (0%–0%) | 0% (0%–0%) | 0 (0–0) | – | – |"
    ) in rows
    assert "## 1-2" in text
    json.dumps(levels, allow_nan=False)


def test_a_plot_is_drawn(tmp_path: Path, levels: dict[str, dict[str, dict[str, Any]]]) -> None:
    pytest.importorskip("matplotlib")
    ablations.draw(levels, tmp_path / "ablations.png")
    assert (tmp_path / "ablations.png").read_bytes().startswith(b"\x89PNG")
