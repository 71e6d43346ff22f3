"""metrics.jsonl as it grows, is cut back, and is damaged."""

from __future__ import annotations

import math
import os
import tracemalloc
from pathlib import Path

import pytest
from tests.support.run_directories import metrics_line

from warpzone.runs import metrics as reading
from warpzone.runs.columns import CURVES
from warpzone.runs.lines import BLOCK, LONGEST_LINE
from warpzone.runs.metrics import Metrics, Progress


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def add(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_only_what_was_added_is_read_again(path: Path) -> None:
    metrics = Metrics(path)
    metrics.refresh()
    assert len(metrics.updates) == 0  # no file yet
    add(path, metrics_line(10) + metrics_line(20, entropy=1.5))
    metrics.refresh()
    generation = metrics.generation
    assert metrics.updates.steps.tolist() == [10, 20]
    add(path, metrics_line(30))
    metrics.refresh()
    metrics.refresh()
    assert metrics.updates.steps.tolist() == [10, 20, 30]
    assert metrics.updates.column("losses/entropy").tolist() == [1.9, 1.5, 1.9]
    assert metrics.updates.seconds.tolist() == [1, 2, 3]
    assert metrics.generation == generation


def test_a_half_written_line_waits_for_its_end(path: Path) -> None:
    line = metrics_line(20)
    add(path, metrics_line(10) + line[:40])
    metrics = Metrics(path)
    metrics.refresh()
    assert (metrics.updates.steps.tolist(), metrics.skipped) == ([10], 0)
    add(path, line[40:])
    metrics.refresh()
    assert (metrics.updates.steps.tolist(), metrics.skipped) == ([10, 20], 0)


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"null",
        b"[1]",
        b"\xff\xfe",
        b'{"loss": 1}',
        b'{"step": null}',
        b'{"step": NaN}',
        b'{"step": "1"}',
        b'{"step": 1e999}',
        b'{"step": ' + b"9" * 400 + b"}",
        b"[" * 100_000,
        b"x" * (LONGEST_LINE + BLOCK + 5),
    ],
    ids=range(12),
)
def test_damaged_lines_are_counted_and_left_out(path: Path, line: bytes) -> None:
    good = metrics_line(10).encode(), metrics_line(20).encode()
    path.write_bytes(good[0] + line + b"\n\n" + good[1])
    metrics = Metrics(path)
    metrics.refresh()
    assert metrics.updates.steps.tolist() == [10, 20]
    assert metrics.skipped == 1


def test_values_that_are_no_numbers_are_gaps(path: Path) -> None:
    a, b, c, d, e, f, g = (curve.column for curve in CURVES)
    row = f'"{a}": NaN, "{b}": "x", "{c}": null, "{d}": [1], "{e}": Infinity, "{f}": 2'
    add(path, f'{{"step": 1, {row}}}\n{{"step": 2, "{a}": 3, "{g}": {"9" * 400}}}\n')
    metrics = Metrics(path)
    metrics.refresh()
    table = metrics.updates
    assert metrics.skipped == 0
    assert all(math.isnan(table.column(name)[0]) for name in (a, b, c, d, g))
    assert table.column(a)[1] == 3
    assert table.column(f)[0] == 2
    assert math.isnan(table.column(f)[1])
    assert math.isnan(table.column("no such")[0])


def test_measurements_are_kept_apart(path: Path) -> None:
    add(path, metrics_line(10) + '{"step": 10, "eval/clear_rate": 0.5}\n' + metrics_line(20))
    metrics = Metrics(path)
    metrics.refresh()
    assert metrics.updates.steps.tolist() == [10, 20]
    assert metrics.measured.column("eval/clear_rate").tolist() == [0.5]
    assert metrics.measured.seconds.tolist() == [1]


def test_a_run_that_was_cut_back_is_read_anew(path: Path) -> None:
    lines = [metrics_line(10 * (i + 1)) for i in range(20)]
    add(path, "".join(lines))
    metrics = Metrics(path)
    metrics.refresh()
    generation = metrics.generation
    os.truncate(path, len("".join(lines[:5])))
    metrics.refresh()
    assert len(metrics.updates) == 5
    assert metrics.generation > generation


def test_so_it_is_when_it_has_grown_beyond_the_place_meanwhile(path: Path) -> None:
    lines = [metrics_line(10 * (i + 1)) for i in range(10)]
    add(path, "".join(lines))
    metrics = Metrics(path)
    metrics.refresh()
    os.truncate(path, len("".join(lines[:5])))
    new = [metrics_line(10 * (i + 1), entropy=0.25) for i in range(5, 15)]
    add(path, "".join(new))
    metrics.refresh()
    assert metrics.updates.steps.tolist() == [10 * (i + 1) for i in range(15)]
    assert metrics.updates.column("losses/entropy").tolist() == [1.9] * 5 + [0.25] * 10


def test_a_file_that_vanishes_or_never_was_a_file(path: Path) -> None:
    add(path, metrics_line(10))
    metrics = Metrics(path)
    metrics.refresh()
    path.unlink()
    metrics.refresh()
    assert len(metrics.updates) == 0
    path.mkdir()
    metrics.refresh()
    path.rmdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)  # which would make a careless reader wait for ever
        metrics.refresh()
    assert len(metrics.updates) == 0


def columns_of(path: Path, names: list[str], rows: int) -> Metrics:
    """A run whose rows have one number each, in turns under these names."""
    with path.open("w") as file:
        file.writelines(f'{{"step": {i}, "{names[i % len(names)]}": 1}}\n' for i in range(rows))
    metrics = Metrics(path)
    metrics.refresh()
    assert metrics.skipped == 0
    return metrics


def numbers_kept(metrics: Metrics) -> int:
    tables = (metrics.updates, metrics.measured)
    return sum(len(table) * (len(table.names) + 2) for table in tables)


def test_columns_that_nobody_shows_are_not_kept(path: Path) -> None:
    names = [f"c/{i}" for i in range(2000)]
    tracemalloc.start()
    metrics = columns_of(path, names, 100_000)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (metrics.updates.names, len(metrics.updates), metrics.dropped) == ([], 100_000, 0)
    assert most < 150e6  # a dense table of them would have 1.6 GB


@pytest.mark.parametrize("name", ["losses/entropy", "eval/clear_rate/{}"])
def test_rows_beyond_any_training_are_counted_and_left_out(
    path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_CELLS", 20_000)
    metrics = columns_of(path, [name.format(i) for i in range(2000)], 30_000)
    assert numbers_kept(metrics) <= 2 * 20_000
    assert metrics.dropped == 30_000 - len(metrics.updates) - len(metrics.measured) > 0
    assert len(metrics.measured.names) <= reading.MOST_COLUMNS


def test_columns_of_older_versions_go_on_under_todays_name(path: Path) -> None:
    add(path, '{"step": 1, "losses/approx_kl": 0.5}\n{"step": 2, "losses/kl": 0.25}\n')
    metrics = Metrics(path)
    metrics.refresh()
    assert metrics.updates.names == ["losses/kl"]
    assert metrics.updates.column("losses/kl").tolist() == [0.5, 0.25]


def test_a_file_of_many_blocks(path: Path) -> None:
    lines = [metrics_line(i + 1, padding="x" * 5000) for i in range(2000)]
    add(path, "".join(lines))
    assert path.stat().st_size > 2 * BLOCK
    metrics = Metrics(path)
    metrics.refresh()
    assert metrics.updates.steps.tolist() == [*range(1, 2001)]


def test_progress_tells_the_last_step_and_the_best_measurement(path: Path) -> None:
    progress = Progress(path)
    progress.refresh()
    assert (progress.step, progress.best) == (None, None)
    rates = [0.5, 0.75, 0.25, 10**400, '"high"']
    text = "".join(
        metrics_line(10 * i) + f'{{"step": {10 * i}, "eval/clear_rate": {rate}}}\n'
        for i, rate in enumerate(rates, 1)
    )
    add(path, text + metrics_line(60) + "damaged\n" + metrics_line(70)[:30])
    progress.refresh()
    assert (progress.step, progress.best) == (60, 0.75)
    os.truncate(path, len(metrics_line(10)))
    progress.refresh()
    assert (progress.step, progress.best) == (10, None)
