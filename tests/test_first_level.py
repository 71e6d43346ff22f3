"""Curves of training runs, their bands, and the benchmark of level 1-1 from nothing."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from benchmarks import curves, first_level, revisions
from benchmarks.curves import Curve
from benchmarks.revisions import Revision
from typer.testing import CliRunner

from warpzone.errors import WarpzoneError
from warpzone.nes.rom import Rom


def a_curve(rates: list[float], spacing: int = 10_000) -> Curve:
    curve = Curve()
    for index, rate in enumerate(rates, 1):
        curve.steps.append(index * spacing)
        curve.seconds.append(2.0 * index)
        curve.clear_rate.append(rate)
        curve.best_x.append(1000.0 * rate)
        curve.episodes.append(60.0 * index)
    last = {"step": curve.steps[-1], "seconds": curve.seconds[-1]}
    curve.measured.append({**last, "clear_rate": rates[-1], "mean_progress": 3000 * rates[-1]})
    return curve


def metrics(directory: Path, lines: list[dict[str, float]]) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (directory / "metrics.jsonl").write_text(text)
    return directory


def update(step: int, rate: float) -> dict[str, float]:
    return {
        "step": step,
        "charts/rollout_seconds": 0.25,
        "charts/update_seconds": 0.75,
        "rollout/clear_rate": rate,
        "rollout/best_x": 3000.0,
        "rollout/episodes": step / 10,
    }


def test_a_curve_has_the_seconds_of_playing_and_learning(tmp_path: Path) -> None:
    measured = {"step": 2000, "eval/clear_rate": 0.96, "eval/mean_progress/1-1": 3100.0}
    run = metrics(tmp_path, [update(1000, 0.2), update(2000, 0.9), measured, update(3000, 0.8)])
    curve = curves.read_curve(run)
    assert curve.steps == [1000, 2000, 3000]
    assert curve.seconds == [1.0, 2.0, 3.0]
    assert curve.clear_rate == [0.2, 0.9, 0.8]
    at = {"step": 2000, "seconds": 2.0, "clear_rate": 0.96, "mean_progress": 3100.0}
    assert curve.measured_at(0.95) == at
    assert curve.measured_at(0.97) is None


def test_a_rate_is_reached_once_a_whole_window_of_episodes_has_it() -> None:
    curve = a_curve([1.0, 0.5, 0.9])
    assert curve.first_at(0.5) == 20_000  # the first had 60 episodes
    assert curve.first_at(0.9) == 30_000
    assert math.isinf(curve.first_at(0.95))


def test_bands_lie_on_a_common_grid_and_begin_at_zero() -> None:
    long, short = a_curve([0.2, 0.4, 0.6, 0.8]), a_curve([0.4, 0.8], spacing=15_000)
    grid = curves.grid([long, short], 5000)
    assert grid == [0, 5000, 10_000, 15_000, 20_000, 25_000, 30_000]
    runs = [long, short, a_curve([0.0, 0.0, 0.0])]
    band = curves.band([(run.steps, run.clear_rate) for run in runs], grid)
    assert band["median"] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert band["min"] == [0.0] * 7
    assert band["max"] == pytest.approx([0, 0.4 / 3, 0.8 / 3, 0.4, 1.6 / 3, 2 / 3, 0.8])


def test_runs_that_are_not_the_benchmarks_own_are_left_alone(tmp_path: Path) -> None:
    run = tmp_path / "1-1-tiles-seed0"
    run.mkdir()
    with pytest.raises(WarpzoneError, match="not of this benchmark"):
        first_level.measure(["warpzone"], run, 100, Path("game.nes"))
    run.with_name(f"{run.name}.json").write_text('{"command": ["else"], "eval_episodes": 100}')
    with pytest.raises(WarpzoneError, match="other settings"):
        first_level.measure(["warpzone"], run, 100, Path("game.nes"))
    assert run.is_dir()


def test_the_table_ends_with_medians_and_ranges() -> None:
    result = dict.fromkeys(first_level.COLUMNS, 0.5)
    results = [
        {**result, "seed": seed, "steps": steps, "eval_ci95": [0.9, 1.0]}
        for seed, steps in enumerate([900, 700, 1000])
    ]
    assert first_level.summary(results)["steps"] == {"median": 900, "min": 700, "max": 1000}
    assert first_level.table(results, "it").row_count == 6
    assert first_level.table(results, "it", wanted=True).row_count == 7


def test_a_plot_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    seed = {
        "seed": 0,
        "reached": {"step": 2000, "seconds": 2.0, "clear_rate": 0.96},
        "curve": {"steps": [1000, 2000], "seconds": [1.0, 2.0], "clear_rate": [0.5, 0.97]},
    }
    first_level.draw([seed], tmp_path / "first.png")
    assert (tmp_path / "first.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_way_to_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(WarpzoneError, match="plots"):
        curves.figure(1, 1, 1, 1)


def a_result(seed: int, steps: int, training: float, command: float) -> dict[str, Any]:
    return {
        **dict.fromkeys(first_level.COLUMNS, 0.5),
        "seed": seed,
        "steps": steps,
        "training_seconds": training,
        "command_seconds": command,
        "steps_per_second": steps / training,
        "eval_ci95": [0.9, 1.0],
        "reached": None,
        "curve": {"steps": [], "seconds": [], "clear_rate": []},
    }


def test_ratios_are_of_the_seeds_that_both_have() -> None:
    ours = [a_result(0, 300, 10.0, 20.0), a_result(1, 300, 20.0, 30.0), a_result(3, 1, 1.0, 1.0)]
    others = [a_result(0, 600, 40.0, 50.0), a_result(1, 300, 10.0, 60.0), a_result(2, 1, 1.0, 1.0)]
    first, second = first_level.compare(ours, others)
    factors = {"training_seconds": 4.0, "command_seconds": 2.5, "steps_per_second": 2.0, "steps": 2}
    assert first == {"seed": 0, **factors}
    assert second["training_seconds"] == 0.5
    assert first_level.ratio_table([first, second], "it").row_count == 4


def test_another_commit_takes_turns(
    rom: Rom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each seed of the other by its own script, which keeps the runs of the seeds before."""
    turns: list[str] = []
    other = Revision("0123456789abcdef", tmp_path, Path("python"))

    def ours(line: list[str], run: Path, episodes: int, rom: Path) -> dict[str, Any]:
        turns.append(f"this {line[-1]}")
        return {}

    def benchmark(_: Revision, module: str, options: list[str], out: Path) -> dict[str, Any]:
        assert module == "first_level"
        assert options[options.index("--keep") + 1] == str(tmp_path / "kept/against-012345678")
        assert out.parent.is_dir()
        count = int(options[options.index("--seeds") + 1])
        turns.append(f"other {count - 1}")
        if count == 3:
            return {"seeds": [], "failures": {"2": "it broke"}}
        return {"seeds": [a_result(seed, 600, 40.0, 50.0) for seed in range(count)]}

    monkeypatch.setattr(revisions, "build", lambda revision, log: other)
    monkeypatch.setattr(Revision, "warm_up", lambda *_: None)
    monkeypatch.setattr(Revision, "benchmark", benchmark)
    monkeypatch.setattr(first_level, "measure", ours)
    monkeypatch.setattr(
        first_level, "result_of", lambda seed, *_: a_result(seed, 300, 10.0, 20.0 + seed)
    )
    app = typer.Typer()
    app.command()(first_level.main)
    out = tmp_path / "first.json"
    options = ["--seeds", "3", "--against", "HEAD~1", "--rom", str(rom.path), "--json", str(out)]
    done = CliRunner().invoke(app, [*options, "--keep", str(tmp_path / "kept")])
    assert done.exit_code == 1
    assert turns == ["this 0", "other 0", "other 1", "this 1", "this 2", "other 2"]
    result = json.loads(out.read_text())
    assert result["failures"] == {"2 of 012345678": "012345678, seed 2: it broke"}
    assert result["against"]["commit"] == other.commit
    assert result["against"]["ratio_summary"]["training_seconds"]["median"] == 4.0
    assert [it["command_seconds"] for it in result["against"]["ratios"]] == [50 / 20, 50 / 21]
