"""When an agent in training is measured."""

from __future__ import annotations

import pytest
from tests.support.toy import Corridor, corridors, toy_config

from warpzone.smb.config import EnvConfig
from warpzone.training.evaluation_schedule import EvaluationSchedule
from warpzone.training.learner import Learner
from warpzone.training.metrics import WINDOW, EpisodeResult


def learner(rate: float, updates: int, levels: tuple[str, ...] = ("1-1",)) -> Learner:
    config = toy_config(env=EnvConfig(levels=dict.fromkeys(levels, 1.0)))
    trained = Learner(config, Corridor(config.env, 16))
    trained.updates = updates
    for episodes in trained.stats.recent.values():
        episodes.extend(EpisodeResult(i < rate * WINDOW, 0, 0.0, 1) for i in range(WINDOW))
    return trained


@pytest.mark.parametrize(
    ("rate", "updates", "best", "target", "wanted"),
    [
        (0.45, 9, None, None, False),  # fails more often than not
        (0.55, 9, None, None, True),
        (0.70, 9, 0.5, None, False),  # no clear gain
        (0.80, 9, 0.5, None, True),
        (0.80, 8, 0.5, None, False),  # measured four updates ago
        (0.92, 9, 0.89, 0.9, True),  # the target is worth a small gain
        (0.92, 8, 0.89, 0.9, False),
        (1.00, 9, 0.97, None, True),
    ],
)
def test_when_to_measure(
    rate: float, updates: int, best: float | None, target: float | None, wanted: bool
) -> None:
    schedule = EvaluationSchedule(toy_config(eval_every=5, target_clear_rate=target), corridors)
    schedule.best, schedule.measured_at = best, 4
    assert schedule.due(learner(rate, updates)) is wanted


def test_a_hundred_episodes_of_each_level_come_first() -> None:
    schedule = EvaluationSchedule(toy_config(eval_every=1), corridors)
    trained = learner(1.0, 10, ("1-1", "1-2"))
    assert schedule.due(trained)
    trained.stats.recent["1-2"].pop()
    assert not schedule.due(trained)


def test_each_level_is_measured_by_itself_from_its_own_starts() -> None:
    made: list[tuple[dict[str, float], int, int]] = []

    def make(config: EnvConfig, games: int, groups: int, seed: int) -> Corridor:
        made.append((config.levels, config.noop_max, seed))
        # Buttons stick as measurements have it, and in every episode; no level begins in a row.
        assert (config.repeat_action_probability, config.sticky_share) == (0.25, 1.0)
        assert (
            config.row_share == config.life_share == config.phase_share == config.power_share == 0
        )
        assert config.start_halt_share == 0
        return Corridor(config, games, groups, seed)

    levels = {"1-1": 1.0, "1-2": 3.0}
    env = EnvConfig(
        levels=levels,
        repeat_action_probability=0.1,
        sticky_share=0.5,
        row_share=0.5,
        life_share=0.5,
        phase_share=0.5,
        power_share=0.5,
        start_halt_share=0.5,
    )
    config = toy_config(env=env, eval_noop_max=17, eval_repeat_action_probability=0.25)
    schedule = EvaluationSchedule(config, make)
    trained = learner(0.0, 10, ("1-1", "1-2"))
    assert schedule.measure(trained)
    assert [(levels, noop_max) for levels, noop_max, _ in made] == [
        ({"1-1": 1.0}, 17),
        ({"1-2": 1.0}, 17),
    ]
    first = [seed for _, _, seed in made]
    schedule.measure(trained)
    assert [seed for _, _, seed in made[2:]] == first  # a resumed run measures the same
    trained.updates += 1
    schedule.measure(trained)
    assert not set(first) & {seed for _, _, seed in made[4:]}


def test_satisfied_by_the_latest_measurement_only() -> None:
    schedule = EvaluationSchedule(toy_config(target_clear_rate=0.0), corridors)
    before = schedule.satisfied
    schedule.measure(learner(0.0, 1))
    assert (before, schedule.satisfied) == (False, True)
    assert not EvaluationSchedule(toy_config(target_clear_rate=None), corridors).satisfied
