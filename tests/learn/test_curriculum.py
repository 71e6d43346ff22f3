"""Where training episodes begin."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.learn.toy import toy_config

from warpzone.game.config import EnvConfig
from warpzone.learn.config import CurriculumConfig, TrainConfig
from warpzone.learn.curriculum import LEAST_WEIGHT, MEMORY, Curriculum


class Games:
    """Finds ways of given lengths, and keeps what it is told. The first three steps of a way are
    no starts."""

    def __init__(self, **lengths: int) -> None:
        self.ways = {name.replace("_", "-")[1:]: bytes(length) for name, length in lengths.items()}
        self.searches: list[tuple[str, int, int]] = []
        self.starts: list[Any] = []
        self.weights, self.share = np.zeros(0), 0.0

    def explorer(self, level: str, seed: int = 0) -> Any:
        def search(most_steps: int, check: Any) -> Any:
            check()
            self.searches.append((level, seed, most_steps))
            return SimpleNamespace(actions=self.ways[level])

        return SimpleNamespace(search=search)

    def record_starts(self, level: str, actions: bytes) -> list[Any]:
        return [SimpleNamespace(level=level, step=step) for step in range(4, len(actions))]

    def set_starts(self, starts: list[Any]) -> None:
        self.starts = starts

    def weigh_starts(self, weights: np.ndarray, share: float) -> None:
        assert weights.shape == (len(self.starts),)
        self.weights, self.share = weights, share


def config_of(levels: dict[str, float], **settings: Any) -> TrainConfig:
    curriculum = {"share": 0.8, "last_share": 0.2, "bins": 5, **settings}
    env = EnvConfig(levels=levels)
    return toy_config(env=env, curriculum=CurriculumConfig(**curriculum), seed=3)


def one_level(length: int = 100, **settings: Any) -> tuple[Curriculum, Any]:
    games: Any = Games(_1_1=length)
    return Curriculum(config_of({"1-1": 1.0}, **settings), games), games


def ended(starts: list[int], cleared: list[bool]) -> Any:
    """A step in which these episodes ended, and those of two games beside them did not."""
    return SimpleNamespace(
        finished=np.arange(len(starts)),
        signals={
            "start": np.array([*starts, 0, 0], np.int32),
            "flag": np.array([*cleared, True, False]),
        },
    )


def test_a_way_is_searched_once_for_each_level() -> None:
    games: Any = Games(_1_1=50, _8_4=70)
    checks: list[int] = []
    config = config_of({"1-1": 1.0, "8-4": 1.0}, search_steps=1234)
    curriculum = Curriculum(config, games, check=lambda: checks.append(1))
    assert games.searches == [("1-1", 3, 1234), ("8-4", 3, 1234)]
    assert curriculum.ways == games.ways
    assert len(checks) == 2  # an interruption is seen while it searches
    assert [start.level for start in games.starts] == ["1-1"] * 46 + ["8-4"] * 66
    Curriculum(config, games, curriculum.ways)
    assert len(games.searches) == 2


def test_stretches_are_parts_of_equal_length_of_the_way() -> None:
    curriculum, games = one_level(length=99)
    for start, stretch in zip(games.starts, curriculum.stretches, strict=True):
        assert stretch == start.step // 20
    assert curriculum.stretches[-1] == 4


def test_at_first_each_stretch_has_the_same_weight_and_each_level_its_own() -> None:
    games: Any = Games(_1_1=99, _1_2=49)
    curriculum = Curriculum(config_of({"1-1": 1.0, "1-2": 3.0}), games)
    sums = np.bincount(curriculum.stretches, curriculum.weights(), minlength=10)
    assert len(set(curriculum.stretches.tolist())) == 10
    np.testing.assert_allclose(sums[:5], sums[0])
    np.testing.assert_allclose(sums[5:], 3 * sums[0])


def test_a_rate_is_the_mean_of_the_last_episodes_from_a_stretch() -> None:
    curriculum, games = one_level()
    index = len(games.starts) - 1
    stretch = curriculum.stretches[index]
    assert curriculum.rates.tolist() == [0.5] * 5
    seen = [True, False, False, True, True]
    for i in range(1, len(seen) + 1):
        curriculum.watch(ended([index], [seen[i - 1]]))
        # What it is taken for at first counts as one episode.
        assert curriculum.rates[stretch] == pytest.approx((0.5 + sum(seen[:i])) / (i + 1))
    others = np.delete(curriculum.rates, stretch)
    assert others.tolist() == [0.5] * 4
    for _ in range(5 * MEMORY):
        curriculum.watch(ended([index], [True]))
    rate = curriculum.rates[stretch]
    assert rate > 0.99
    curriculum.watch(ended([index], [False]))
    assert curriculum.rates[stretch] == pytest.approx(rate * (1 - 1 / MEMORY))
    assert curriculum.episodes[stretch] == len(seen) + 5 * MEMORY + 1


def test_only_finished_episodes_from_starts_are_counted() -> None:
    curriculum, games = one_level()
    curriculum.watch(ended([-1, -1], [True, False]))
    assert curriculum.episodes.sum() == 0
    assert curriculum.rates.tolist() == [0.5] * 5
    last = len(games.starts) - 1
    curriculum.watch(ended([0, -1, last, last], [True, True, True, False]))
    assert curriculum.episodes.tolist() == [1, 0, 0, 0, 2]
    assert curriculum.rates[0] == 0.75


def test_stretches_that_always_or_never_lead_to_a_clear_weigh_least() -> None:
    curriculum, _ = one_level()
    curriculum.rates = np.array([0.0, 0.1, 0.5, 0.9, 1.0])
    sums = np.bincount(curriculum.stretches, curriculum.weights())
    expected = np.array([0, 0.36, 1, 0.36, 0]) + LEAST_WEIGHT
    np.testing.assert_allclose(sums, expected)
    assert curriculum.weights().min() > 0  # and are not forgotten


def test_the_frontier_moves_back_as_stretches_become_reliable() -> None:
    curriculum, games = one_level(length=99)
    random = np.random.default_rng(0)
    heaviest = []
    for clears_from in (90, 70, 50, 30, 10):  # the agent learns
        for _ in range(300):
            weights = curriculum.weights()
            index = int(random.choice(len(weights), p=weights / weights.sum()))
            curriculum.watch(ended([index], [games.starts[index].step >= clears_from]))
        heaviest.append(int(np.bincount(curriculum.stretches, curriculum.weights()).argmax()))
    assert heaviest == [4, 3, 2, 1, 0]


def test_the_share_goes_to_its_last_value_with_the_clear_rate() -> None:
    curriculum, games = one_level()
    for clear_rate, share in [(0.0, 0.8), (0.5, 0.5), (1.0, 0.2)]:
        curriculum.apply(clear_rate)
        assert games.share == pytest.approx(share)
    curriculum.rates[2] = 1.0
    curriculum.apply(0.0)
    np.testing.assert_array_equal(games.weights, curriculum.weights())


def test_a_way_without_starts_leaves_episodes_as_they_are() -> None:
    curriculum, games = one_level(length=3)
    curriculum.apply(0.0)
    assert games.share == 0
    assert games.starts == []


def test_it_comes_back_from_json() -> None:
    curriculum, games = one_level()
    random = np.random.default_rng(1)
    for _ in range(50):
        curriculum.watch(ended(random.integers(0, 90, 2).tolist(), [True, False]))
    saved = json.loads(json.dumps(curriculum.state()))
    ways = {level: bytes.fromhex(way) for level, way in saved["ways"].items()}
    other = Curriculum(config_of({"1-1": 1.0}), games, ways)
    other.load_state(saved)
    assert other.ways == curriculum.ways
    for ours, theirs in [
        (other.rates, curriculum.rates),
        (other.episodes, curriculum.episodes),
        (other.weights(), curriculum.weights()),
    ]:
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    for each in (curriculum, other):
        each.watch(ended([1, 80], [False, True]))
    assert other.state() == curriculum.state()
