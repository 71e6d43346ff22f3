"""Curves as the page gets them: whole, and what was added."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.run_directories import make_run, metrics_line

from warpzone.runs.curves import MOST_POINTS, bucket_size, curves
from warpzone.runs.library import Run

Add = Callable[..., None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_run(tmp_path / "one", updates=0)


@pytest.fixture
def run(path: Path) -> Run:
    return Run(path, "one")


@pytest.fixture
def add(path: Path) -> Add:
    def write(steps: range, **values: Any) -> None:
        with (path / "metrics.jsonl").open("a") as file:
            file.writelines(metrics_line(step, **values) for step in steps)

    return write


def test_few_updates_are_told_as_they_are(run: Run, add: Add) -> None:
    add(range(1, 4))
    add(range(4, 5), entropy=float("nan"))
    answer = curves(run)
    assert (answer["first"], answer["bucket"], answer["updates"]) == (0, 1, 4)
    assert answer["step"] == [1, 2, 3, 4]
    assert answer["seconds"] == [1, 2, 3, 4]
    entropy = answer["curves"]["entropy"]
    assert entropy["mean"] == entropy["low"] == entropy["high"] == [1.9, 1.9, 1.9, None]
    json.dumps(answer, allow_nan=False)


def test_many_are_told_in_buckets(run: Run, add: Add) -> None:
    add(range(1000), best_x=100)
    add(range(1000, 1001), best_x=900)
    answer = curves(run)
    assert answer["bucket"] == 4
    assert answer["step"] == [*range(3, 1000, 4), 1000]
    best = answer["curves"]["best_x"]
    assert best["mean"] == [100] * 250 + [900]
    add(range(1001, 1004), best_x=100)
    best = curves(run)["curves"]["best_x"]
    assert (best["mean"][-1], best["low"][-1], best["high"][-1]) == (300, 100, 900)


def points(answer: dict[str, Any]) -> list[tuple[float, float]]:
    return [*zip(answer["step"], answer["curves"].get("best_x", {}).get("mean", []), strict=True)]


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 500), min_size=1, max_size=6))
def test_what_was_added_laid_over_what_was_known_is_the_whole(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    path = make_run(tmp_path_factory.mktemp("runs") / "one", updates=0)
    run, token, step = Run(path, "one"), "", 0
    known: list[tuple[float, float]] = []
    for size in sizes:
        with (path / "metrics.jsonl").open("a") as file:
            file.writelines(metrics_line(s, best_x=s % 7) for s in range(step, step + size))
        step += size
        added = curves(run, token)
        token = added["token"]
        known = [*known[: added["first"]], *points(added)]
        assert known == points(curves(run))
        assert len(known) <= MOST_POINTS


def test_only_the_end_is_sent_again(run: Run, add: Add) -> None:
    add(range(1000))
    token = curves(run)["token"]
    add(range(1000, 1010))
    answer = curves(run, token)
    assert answer["first"] == 250
    assert answer["step"] == [1003, 1007, 1009]


def test_a_run_that_was_cut_back_is_sent_whole(path: Path, run: Run, add: Add) -> None:
    add(range(20))
    token = curves(run)["token"]
    os.truncate(path / "metrics.jsonl", sum(len(metrics_line(step)) for step in range(5)))
    answer = curves(run, token)
    assert (answer["first"], answer["step"]) == (0, [0, 1, 2, 3, 4])


@pytest.mark.parametrize(
    "token", ["x", "1-2", "1-2-3", "-1-1-1", "9" * 30 + "-1-1", "1-0-0", "١-1-1"]
)
def test_tokens_of_others_mean_the_whole(run: Run, add: Add, token: str) -> None:
    add(range(5))
    assert curves(run, token)["first"] == 0


def test_a_run_without_numbers(run: Run) -> None:
    answer = curves(run)
    assert (answer["step"], answer["curves"], answer["updates"]) == ([], {}, 0)


def test_bucket_sizes_are_powers_of_two_and_enough() -> None:
    for rows in (0, 1, MOST_POINTS, MOST_POINTS + 1, 10_000, 1_000_001):
        size = bucket_size(rows)
        assert size & (size - 1) == 0
        assert size * MOST_POINTS >= rows
        assert size == 1 or size // 2 * MOST_POINTS < rows
