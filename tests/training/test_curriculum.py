"""Where training episodes begin, and what counts as a success of those within a level."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.support.toy import toy_config

import warpzone
from warpzone.errors import ConfigError
from warpzone.smb.config import EnvConfig
from warpzone.smb.search import Trajectory
from warpzone.training.config import CurriculumConfig, TrainConfig
from warpzone.training.curriculum import LEAST_WEIGHT, MEMORY, Curriculum

PX = 10
"""Progress of a way with each of its steps."""


class Games:
    """Finds ways of given lengths, and keeps what it is told. The first three steps of a way are
    no starts, nor are those of `gap`, which bring no progress either."""

    def __init__(self, gap: range = range(0), **lengths: int) -> None:
        self.trajectories = {
            name.replace("_", "-")[1:]: Trajectory(bytes(length))
            for name, length in lengths.items()
        }
        self.gap = gap
        self.searches: list[tuple[str, int, int]] = []
        self.starts: list[Any] = []
        self.masks: dict[str, list[Trajectory]] = {}
        self.weights, self.share = np.zeros(0), 0.0

    def explorer(self, level: str, seed: int = 0) -> Any:
        def search(most_steps: int, stop: Any) -> Any:
            self.searches.append((level, seed, most_steps))
            return self.trajectories[level]

        return SimpleNamespace(search=search)

    def record_initial_states(self, level: str, trajectory: Trajectory) -> list[Any]:
        steps = [step for step in range(4, len(trajectory.inputs)) if step not in self.gap]
        waited = {step: sum(other < step for other in self.gap) for step in steps}
        return [
            SimpleNamespace(level=level, step=step, progress=PX * (step - waited[step]))
            for step in steps
        ]

    def set_initial_states(self, starts: list[Any]) -> None:
        self.starts = starts

    def set_progress_masks(self, trajectories: dict[str, list[Trajectory]]) -> None:
        self.masks = dict(trajectories)

    def set_start_weights(self, weights: np.ndarray, share: float) -> None:
        assert weights.shape == (len(self.starts),)
        self.weights, self.share = weights, share


def config_of(levels: dict[str, float], start_steps: int = 20, **settings: Any) -> TrainConfig:
    curriculum = {"share": 0.8, "last_share": 0.2, "segment": 20, **settings}
    env = EnvConfig(levels=levels, start_steps=start_steps)
    return toy_config(env=env, curriculum=CurriculumConfig(**curriculum), seed=3)


def one_level(length: int = 100, **settings: Any) -> tuple[Curriculum, Any]:
    games: Any = Games(_1_1=length)
    return Curriculum(config_of({"1-1": 1.0}, **settings), games), games


def ended(
    starts: list[int],
    flag: list[bool] | None = None,
    progress: list[int] | None = None,
    terminated: list[bool] | None = None,
) -> Any:
    """A step in which these episodes ended, and those of two games beside them did not."""
    count = len(starts)
    flag = flag or [False] * count
    return SimpleNamespace(
        finished=np.arange(count),
        terminated=np.array([*(terminated or flag), False, False]),
        success=np.array([*flag, False, False]),
        score=np.array([*(progress or [0] * count), 10_000, 10_000], np.int32),
        signals={"start": np.array([*starts, 0, 0], np.int32)},
    )


def rate_after(curriculum: Curriculum, start: int, **end: Any) -> float:
    """Of the start's segment, after one more episode than none."""
    curriculum.rates[:], curriculum.episodes[:] = 0.25, 0
    curriculum.observe(ended([start], **{name: [value] for name, value in end.items()}))
    return float(curriculum.rates[curriculum.segments[start]])


def test_a_way_is_searched_once_for_each_level() -> None:
    games: Any = Games(_1_1=50, _8_4=70)
    config = config_of({"1-1": 1.0, "8-4": 1.0}, search_steps=1234)
    curriculum = Curriculum(config, games)
    assert sorted(games.searches) == [("1-1", 3, 1234), ("8-4", 3, 1234)]
    assert curriculum.trajectories == {
        level: [trajectory] for level, trajectory in games.trajectories.items()
    }
    assert [start.level for start in games.starts] == ["1-1"] * 46 + ["8-4"] * 66
    Curriculum(config, games, searched=curriculum.searched)
    assert len(games.searches) == 2


def test_progress_counts_only_on_the_ways_unless_it_is_to_count_everywhere() -> None:
    curriculum, games = one_level()
    assert games.masks == curriculum.trajectories
    assert one_level(progress_mask=False)[1].masks == {}


def test_segments_are_parts_of_equal_length_of_the_way() -> None:
    curriculum, games = one_level(length=99)
    for start, segment in zip(games.starts, curriculum.segments, strict=True):
        assert segment == start.step // 20
    assert len(curriculum.rates) == len(curriculum.episodes) == 5


def test_segments_of_several_levels_are_their_own() -> None:
    games: Any = Games(_1_1=50, _8_4=70)
    curriculum = Curriculum(config_of({"1-1": 1.0, "8-4": 1.0}), games)
    levels: list[set[str]] = [set() for _ in curriculum.rates]
    for start, segment in zip(games.starts, curriculum.segments, strict=True):
        levels[segment].add(start.level)
    assert levels == [{"1-1"}] * 3 + [{"8-4"}] * 4


def test_no_segment_is_without_starts() -> None:
    games: Any = Games(range(20, 40), _1_1=100)
    for segment in (1, 2, 3, 16):
        curriculum = Curriculum(config_of({"1-1": 1.0}, segment=segment), games)
        assert set(curriculum.segments.tolist()) == set(range(len(curriculum.rates)))
        everything = list(range(len(games.starts)))
        curriculum.observe(ended(everything, [True] * len(everything)))
        assert curriculum.success_rate == 1


def test_the_goal_is_how_far_the_way_comes_in_half_of_a_fragment() -> None:
    curriculum, games = one_level(length=100)
    steps = np.array([start.step for start in games.starts])
    near_the_end = steps + 10 > games.starts[-1].step
    assert (curriculum.goals[~near_the_end] == 10 * PX).all()
    # From there the flag is the only goal: no progress is enough.
    assert (curriculum.goals[near_the_end] > 2**31).all()
    assert near_the_end.sum() == 10


def test_a_goal_may_be_behind_a_cutscene() -> None:
    games: Any = Games(range(30, 45), _1_1=100)
    curriculum = Curriculum(config_of({"1-1": 1.0}), games)
    goals = {start.step: goal for start, goal in zip(games.starts, curriculum.goals, strict=True)}
    assert goals[10] == goals[19] == goals[60] == 10 * PX
    # The first start after it is at step 45, which is as far as the way at 30.
    assert goals[25] == 5 * PX
    assert goals[29] == 1 * PX


def test_the_last_goal_of_a_way_that_does_not_clear_is_its_end() -> None:
    games: Any = Games()
    trajectory = Trajectory(bytes(100), cleared=False)
    curriculum = Curriculum(config_of({"1-1": 1.0}), games, {"1-1": [trajectory]})
    goals = {start.step: goal for start, goal in zip(games.starts, curriculum.goals, strict=True)}
    assert goals[50] == goals[89] == 10 * PX
    assert [goals[step] for step in (95, 98, 99)] == [4 * PX, 1 * PX, 0]
    # What lies behind its end must count: there is no route.
    assert games.masks == {}


def test_demonstrated_levels_are_not_searched_and_have_all_their_ways() -> None:
    games: Any = Games(_8_4=70)
    trajectories = [Trajectory(bytes(50)), Trajectory(bytes(100), cleared=False)]
    curriculum = Curriculum(config_of({"1-1": 1.0, "8-4": 1.0}), games, {"1-1": trajectories})
    assert [level for level, *_ in games.searches] == ["8-4"]
    assert (
        curriculum.trajectories
        == games.masks
        == {"1-1": trajectories, "8-4": [games.trajectories["8-4"]]}
    )
    assert [start.level for start in games.starts] == ["1-1"] * (46 + 96) + ["8-4"] * 66
    # Levels weigh the same, and so do the ways through one.
    sums = [curriculum.factors[part].sum() for part in np.split(np.arange(208), [46, 142])]
    np.testing.assert_allclose(sums, [0.5, 0.5, 1.0])
    assert set(curriculum.state()["ways"]) == {"8-4"}
    # Stretches are each way's own.
    assert len(curriculum.rates) == 3 + 5 + 4


def test_goals_do_not_reach_into_another_level() -> None:
    games: Any = Games(_1_1=50, _8_4=70)
    curriculum = Curriculum(config_of({"1-1": 1.0, "8-4": 1.0}), games)
    assert (curriculum.goals > 2**31).sum() == 20
    assert (curriculum.goals[36:46] > 2**31).all()


@pytest.mark.parametrize(
    ("end", "success"),
    [
        ({"flag": True}, True),
        ({"flag": True, "progress": 100}, True),
        ({"progress": 100}, True),
        ({"progress": 99}, False),
        ({"progress": 400}, True),
        ({"progress": 100, "terminated": True}, False),  # by a death
        ({"progress": 400, "terminated": True}, False),
        ({"terminated": True}, False),
    ],
)
def test_a_success_is_the_flag_or_the_goal_reached_alive(
    end: dict[str, Any], success: bool
) -> None:
    curriculum, _ = one_level()
    assert curriculum.goals[0] == 100
    assert rate_after(curriculum, 0, **end) == success


def test_near_the_end_only_the_flag_is_a_success() -> None:
    curriculum, games = one_level()
    last = len(games.starts) - 1
    assert rate_after(curriculum, last, progress=30_000) == 0
    assert rate_after(curriculum, last, flag=True) == 1


def test_a_rate_is_the_mean_of_the_last_episodes_from_a_segment() -> None:
    curriculum, games = one_level()
    index = len(games.starts) - 1
    segment = curriculum.segments[index]
    assert curriculum.rates.tolist() == [0.0] * 5
    seen = [True, False, False, True, True]
    for i in range(1, len(seen) + 1):
        curriculum.observe(ended([index], [seen[i - 1]]))
        assert curriculum.rates[segment] == pytest.approx(sum(seen[:i]) / i)
    assert np.delete(curriculum.rates, segment).tolist() == [0.0] * 4
    for _ in range(6 * MEMORY):
        curriculum.observe(ended([index], [True]))
    rate = curriculum.rates[segment]
    assert rate > 0.99
    curriculum.observe(ended([index], [False]))
    assert curriculum.rates[segment] == pytest.approx(rate * (1 - 1 / MEMORY))
    assert curriculum.episodes[segment] == len(seen) + 6 * MEMORY + 1


def test_only_finished_episodes_from_starts_are_counted() -> None:
    curriculum, games = one_level()
    curriculum.observe(ended([-1, -1], [True, False], [5000, 5000]))
    assert curriculum.episodes.sum() == 0
    assert curriculum.rates.tolist() == [0.0] * 5
    last = len(games.starts) - 1
    curriculum.observe(ended([0, -1, last, last], [True, True, True, False]))
    assert curriculum.episodes.tolist() == [1, 0, 0, 0, 2]
    assert curriculum.rates.tolist() == [1, 0, 0, 0, 0.5]


def test_starts_weigh_by_how_often_their_segment_fails() -> None:
    curriculum, _ = one_level(length=99)
    curriculum.rates = np.array([0.0, 0.1, 0.5, 0.9, 1.0])
    weights = curriculum.weights()
    expected = np.array([1, 0.9, 0.5, 0.1, 0]) + LEAST_WEIGHT
    np.testing.assert_allclose(weights / weights[0], expected[curriculum.segments] / expected[0])
    assert weights.min() > 0  # what goes well is not forgotten


def test_levels_weigh_as_they_are_told_whatever_their_lengths() -> None:
    games: Any = Games(_1_1=99, _1_2=49, _1_3=400)
    levels = {"1-1": 1.0, "1-2": 3.0, "1-3": 1.0}
    curriculum = Curriculum(config_of(levels), games)
    level = np.array([list(levels).index(start.level) for start in games.starts])
    sums = np.bincount(level, curriculum.weights())
    np.testing.assert_allclose(sums, sums[0] * np.array([1, 3, 1]))
    curriculum.rates[curriculum.segments[level == 2]] = 1.0  # one that is mastered
    sums = np.bincount(level, curriculum.weights())
    assert sums[2] / sums[0] == pytest.approx(LEAST_WEIGHT / (1 + LEAST_WEIGHT))


def test_what_is_hard_gets_most_of_the_episodes() -> None:
    curriculum, games = one_level(length=99)
    random = np.random.default_rng(0)
    for _ in range(600):  # nobody comes through the steps 40 to 59
        weights = curriculum.weights()
        index = int(random.choice(len(weights), p=weights / weights.sum()))
        through = not 40 <= games.starts[index].step < 60
        curriculum.observe(ended([index], [through]))
    sums = np.bincount(curriculum.segments, curriculum.weights())
    assert sums.argmax() == 2
    assert sums[2] / sums.sum() > 0.6
    assert curriculum.summary() == {
        "curriculum/success_rate": pytest.approx(0.8, abs=0.02),
        "curriculum/worst_segment": 0.0,
    }


def test_the_share_goes_to_its_last_value_with_competence() -> None:
    curriculum, games = one_level()
    for competence, share in [(0.0, 0.8), (0.5, 0.5), (1.0, 0.2)]:
        curriculum.apply(competence)
        assert games.share == pytest.approx(share)
    curriculum.rates[2] = 1.0
    curriculum.apply(0.0)
    np.testing.assert_array_equal(games.weights, curriculum.weights())


def test_a_way_without_starts_leaves_episodes_as_they_are() -> None:
    curriculum, games = one_level(length=3)
    curriculum.apply(0.0)
    assert games.share == 0
    assert games.starts == []
    assert curriculum.success_rate == 0
    assert curriculum.weights().shape == (0,)
    assert json.loads(json.dumps(curriculum.summary())) == curriculum.summary()


def test_a_level_without_starts_stands_beside_another() -> None:
    games: Any = Games(_1_1=3, _1_2=60)
    curriculum = Curriculum(config_of({"1-1": 1.0, "1-2": 1.0}), games)
    assert {start.level for start in games.starts} == {"1-2"}
    assert curriculum.weights().shape == curriculum.goals.shape == (56,)
    assert set(curriculum.trajectories) == {"1-1", "1-2"}


def test_it_comes_back_from_json() -> None:
    curriculum, games = one_level()
    random = np.random.default_rng(1)
    for _ in range(50):
        curriculum.observe(ended(random.integers(0, 90, 2).tolist(), [True, False]))
    saved = json.loads(json.dumps(curriculum.state()))
    other = Curriculum(config_of({"1-1": 1.0}), games, searched=Curriculum.searched_in(saved))
    other.load_state(saved)
    assert other.trajectories == curriculum.trajectories
    for ours, theirs in [
        (other.rates, curriculum.rates),
        (other.episodes, curriculum.episodes),
        (other.weights(), curriculum.weights()),
        (other.goals, curriculum.goals),
    ]:
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    for each in (curriculum, other):
        each.observe(ended([1, 80], [False, True]))
    assert other.state() == curriculum.state()


def test_where_mario_may_begin_big_there_are_ways_for_him_too() -> None:
    env = EnvConfig(levels={"1-1": 1.0}, start_steps=20, power_share=0.5)
    config = toy_config(
        env=env, curriculum=CurriculumConfig(share=0.8, search_steps=100_000), seed=3
    )
    with closing(warpzone.make_vec("1-1", 4, threads=1)) as games:
        curriculum = Curriculum(config, games)
        small, big = curriculum.trajectories["1-1"]
        assert small == curriculum.searched["1-1"]
        assert small.begin is None
        assert big == curriculum.searched["1-1 big"]
        assert big.begin == games.big_start("1-1")
        assert small.cleared
        assert big.cleared
        for way, power in ((small, 0), (big, 1)):
            games.set_initial_states(games.record_initial_states("1-1", way)[:1])
            games.set_start_weights(np.ones(1), 1.0)
            _, info = games.reset(seed=0)
            assert set(info["status"]) == {power}
        saved = json.loads(json.dumps(curriculum.state()))
        other = Curriculum(config, games, searched=Curriculum.searched_in(saved))
        other.load_state(saved)
        for ours, theirs in zip((small, big), other.trajectories["1-1"], strict=True):
            assert (ours.inputs, ours.begin) == (theirs.inputs, theirs.begin)


def test_levels_are_searched_side_by_side_and_end_together() -> None:
    """All searches meet in the middle; when one fails, the other is told to stop."""
    meeting = threading.Barrier(2, timeout=10)
    told: list[bool] = []

    class Meeting(Games):
        def explorer(self, level: str, seed: int = 0) -> Any:
            def search(most_steps: int, stop: Callable[[], bool]) -> Trajectory:
                meeting.wait()
                if level == "1-1":
                    raise ConfigError("no way")
                for _ in range(1000):
                    if stop():
                        told.append(True)
                        break
                    time.sleep(0.01)
                return self.trajectories[level]

            return SimpleNamespace(search=search)

    games: Any = Meeting(_1_1=60, _1_2=60)
    config = config_of({"1-1": 1.0, "1-2": 1.0}).model_copy(update={"threads": 2})
    with pytest.raises(ConfigError, match="no way"):
        Curriculum(config, games)
    assert told == [True]


def test_a_search_of_many_levels_says_how_far_it_is() -> None:
    games: Any = Games(_1_1=60, _1_2=60)
    lines: list[str] = []
    Curriculum(config_of({"1-1": 1.0, "1-2": 1.0}), games, log=lines.append)
    assert lines == ["a way through 1-1 searched, 1 of 2", "a way through 1-2 searched, 2 of 2"]
