"""Intervals and summaries of an evaluation."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warpzone.agents.evaluate import Evaluation, LevelResult, Protocol, summarise, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Newcombe 1998, table I, method 3 (score without continuity correction).
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_against_published_values(
    successes: int, trials: int, low: float, high: float
) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_rate_and_is_symmetric(counts: tuple[int, int]) -> None:
    successes, trials = counts
    low, high = wilson(successes, trials)
    assert 0 <= low <= successes / trials + 1e-12
    assert successes / trials - 1e-12 <= high <= 1
    mirrored = wilson(trials - successes, trials)
    assert mirrored == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize("counts", [(0, 0), (-1, 5), (6, 5)])
def test_wilson_of_impossible_counts(counts: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="trials"):
        wilson(*counts)


def test_summary_takes_the_time_of_cleared_episodes_only() -> None:
    result = summarise([True, False, True, False], [3000, 500, 3100, 700], [1800, 90, 2000, 110])
    assert result == LevelResult(0.5, 4, wilson(2, 4), 1825.0, 1900.0)


def test_summary_without_a_clear_has_no_time() -> None:
    assert summarise([False], [40], [90]).mean_frames is None


PROTOCOL = Protocol(
    policy="sample",
    episodes=100,
    noops=30,
    sticky=0.25,
    frame_skip=4,
    max_steps=None,
    no_progress_steps=150,
    seed=0,
)


def test_json_is_plain_and_complete() -> None:
    evaluation = Evaluation(
        {"1-1": summarise([True], [3161], [1500])},
        PROTOCOL,
        {"revision": "Europe", "sha1": "ab30"},
    )
    read = json.loads(json.dumps(evaluation.as_json()))
    assert set(read) == {"levels", "protocol", "rom"}
    assert read["levels"]["1-1"] == {
        "clear_rate": 1.0,
        "episodes": 1,
        "ci95": list(wilson(1, 1)),
        "mean_progress": 3161.0,
        "mean_frames": 1500.0,
    }
    assert read["protocol"]["sticky"] == 0.25


def test_protocol_in_words() -> None:
    assert str(PROTOCOL) == (
        "100 episodes per level, sampled actions, 0–30 no-op frames at the start, sticky 0.25, "
        "frame skip 4, cut after 150 steps without progress, seed 0"
    )
