from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from warpzone.smb.levels import LEVELS
from warpzone.training.metrics import EpisodeStats, MetricsWriter


def step(x: list[int], finished: list[int], flag: list[bool], level: list[int]) -> Any:
    return SimpleNamespace(
        finished=np.array(finished, np.int64),
        task=np.array(level),
        success=np.array(flag),
        score=np.array(x) // 2,
        position=np.array(x),
        partial=np.zeros(len(x), np.bool_),
        signals={
            "steps": np.array(x) // 10,
            "episode_return": np.array(x) / 100,
        },
    )


def test_episodes_are_counted_when_they_end_and_by_the_level_they_began_in() -> None:
    stats = EpisodeStats(["1-1", "1-2"], LEVELS)
    stats.observe(step([100, 3000, 900], [], [False, True, False], [0, 0, 1]))
    assert stats.episodes == 0
    assert stats.best_x == 3000
    stats.observe(step([120, 3100, 900], [0, 1], [False, True, False], [0, 0, 1]))
    stats.observe(step([10, 20, 950], [2], [False, False, False], [0, 0, 1]))
    assert stats.clear_rates == {"1-1": 0.5, "1-2": 0.0}
    assert stats.clear_rate == 0.25
    summary = stats.summary()
    assert summary["rollout/episodes"] == 3
    assert summary["rollout/best_x"] == 3100
    assert summary["rollout/nearest_end_x"] == 120
    assert summary["rollout/episode_length"] == np.mean([12, 310, 95])
    assert not stats.full


def test_episodes_that_began_within_a_level_do_not_count() -> None:
    stats = EpisodeStats(["1-1"], LEVELS)
    ended = step([3000, 40, 900], [0, 1, 2], [True, False, False], [0, 0, 0])
    ended.partial = np.array([True, True, False])
    stats.observe(ended)
    assert stats.episodes == 1
    assert stats.clear_rates == {"1-1": 0.0}
    assert stats.nearest_end == 900
    assert stats.best_x == 3000


def test_extremes_are_those_of_one_rollout_and_rates_those_of_a_hundred_episodes() -> None:
    stats = EpisodeStats(["1-1"], LEVELS)
    for i in range(150):
        stats.observe(step([i], [0], [i >= 100], [0]))
    assert stats.clear_rate == 0.5
    assert stats.full
    stats.start_rollout()
    assert stats.best_x is None
    assert stats.nearest_end is None
    assert stats.clear_rate == 0.5


def test_a_score_may_be_negative() -> None:
    stats = EpisodeStats(["1-1"], LEVELS)
    stats.observe(step([-300, -200], [0], [False, False], [0, 0]))
    stats.observe(step([-250], [0], [False], [0]))
    assert stats.summary()["rollout/best_x"] == -200


def test_statistics_come_back_from_json() -> None:
    stats, other = EpisodeStats(["1-1"], LEVELS), EpisodeStats(["1-1"], LEVELS)
    for i in range(120):
        stats.observe(step([i], [0], [i % 3 == 0], [0]))
    other.load_state(json.loads(json.dumps(stats.state())))
    assert other.recent == stats.recent
    assert other.episodes == 120
    other.observe(step([5], [0], [True], [0]))
    assert len(other.recent["1-1"]) == 100


def test_going_on_drops_what_was_written_after_the_checkpoint(tmp_path: Path) -> None:
    with MetricsWriter(tmp_path, offset=0, step=0) as metrics:
        metrics.write(1, {"a": 1.0})
        offset = metrics.offset()
        metrics.write(2, {"a": 2.0})
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(path.read_bytes()[:-4])  # killed in the middle of a line
    with MetricsWriter(tmp_path, offset=offset, step=1) as metrics:
        assert metrics.offset() == offset
        metrics.write(2, {"a": 3.0})
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"step": 1, "a": 1.0},
        {"step": 2, "a": 3.0},
    ]
