"""The benchmark of training: two real updates, and what is made of its figures."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import typer
from benchmarks import revisions, training
from benchmarks.revisions import Revision
from benchmarks.training import Case
from typer.testing import CliRunner

from warpzone.nes.rom import Rom

app = typer.Typer()
app.command()(training.main)


def repeats(*rates: float) -> list[dict[str, float]]:
    shares = {"playing_share": 0.4, "learning_share": 0.5}
    return [{"steps_per_second": rate, "seconds": 1.0, **shares} for rate in rates]


def test_ratios_are_taken_within_the_repeats() -> None:
    measured = {
        Case("tiles", 1): repeats(10, 20),
        Case("tiles", 1, other=True): repeats(5, 4),
        Case("tiles", 2): repeats(19, 30),
        Case("tiles", 2, other=True): repeats(10, 5),
    }
    assert training.ratios_of(measured, "abc") == {
        "tiles, threads 1 ÷ tiles of abc, threads 1": ([2.0, 5.0], 3.0),
        "tiles, threads 2 ÷ tiles of abc, threads 2": ([1.9, 6.0], 3.0),
        "tiles, threads 2 ÷ 1": ([1.9, 1.5], 1.8),
        "tiles of abc, threads 2 ÷ 1": ([2.0, 1.25], None),
    }
    assert training.ratios_of({Case("pixels", None): repeats(1)}, "") == {}


@pytest.mark.slow
def test_two_updates_against_another_commit(
    rom: Rom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Revision("0123456789abcdef", tmp_path, Path("python"))
    asked: list[list[str]] = []

    def benchmark(_: Revision, module: str, options: list[str], out: Path) -> dict[str, Any]:
        asked.append([module, *options])
        return {"presets": [{"repeats": repeats(100.0)}]}

    monkeypatch.setattr(revisions, "build", lambda revision, log: other)
    monkeypatch.setattr(Revision, "warm_up", lambda *_: None)
    monkeypatch.setattr(Revision, "benchmark", benchmark)
    # Processes of their own import `benchmarks`, too.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(revisions.ROOT), str(tmp_path))))
    out = tmp_path / "training.json"
    options = ["--preset", "tiles", "--repeats", "1", "--updates", "1", "--threads", "1"]
    line = [*options, "--against", "HEAD~1", "--rom", str(rom.path), "--out", str(out)]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    result = json.loads(out.read_text())
    ours, others = result["presets"]
    assert ours["steps_per_second"]["median"] > 0
    assert others["steps_per_second"]["median"] == 100.0
    assert result["against"] == other.commit
    assert result["ratios"][0]["median"] == ours["steps_per_second"]["median"] / 100.0
    assert [words[0] for words in asked] == ["training"]
    assert asked[0][asked[0].index("--threads") + 1] == "1"
    assert asked[0][asked[0].index("--updates") + 1] == "1"
