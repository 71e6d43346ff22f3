"""The benchmark of ranks: an update of each kind, and what is made of its figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from benchmarks import ranks
from benchmarks.ranks import Case
from typer.testing import CliRunner

from warpzone.errors import WarpzoneError

app = typer.Typer()
app.command()(ranks.main)


def turns(*rates: float) -> list[dict[str, float]]:
    return [{"steps_per_second": rate} for rate in rates]


def test_ratios_are_taken_within_a_turn() -> None:
    measured = {Case(1, 1): turns(10, 20), Case(1, 2): turns(18, 30), Case(2, 1): turns(9, 60)}
    assert ranks.ratios_of(measured) == {
        "1 process, 2 threads, 64 games ÷ 1 process, 1 thread, 64 games": [1.8, 1.5],
        "2 ranks, 1 thread each, 64 games ÷ 1 process, 1 thread, 64 games": [0.9, 3.0],
        "2 ranks, 1 thread each, 64 games ÷ 1 process, 2 threads, 64 games": [0.5, 2.0],
    }


@pytest.mark.slow
def test_one_update_of_two_ranks_and_some_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranks, "CASES", (Case(1, 1), Case(2, 1)))
    monkeypatch.setattr(ranks, "SIZES", (1, 1000))
    out = tmp_path / "ranks.json"
    given = ["--repeats", "1", "--updates", "1", "--messages", "2", "--out", str(out)]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())
    one, two = found["trainings"]
    assert one["sums_share"]["median"] < 0.01
    assert 0 < two["sums_share"]["median"] < 1
    for row in (one, two):
        assert row["steps_per_second"]["median"] > 0
    assert [row["numbers"] for row in found["sums"]] == [1, 1000]
    assert all(len(row["each"]) == 2 for row in found["sums"])


def test_a_worker_that_fails_is_told_of() -> None:
    with pytest.raises(WarpzoneError, match="no-such"):
        ranks.launch(1, "no-such", {})
