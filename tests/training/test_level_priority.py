"""Levels that fail are drawn more often."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.toy import Corridor, toy_config

from warpzone.smb.config import EnvConfig
from warpzone.training.config import CurriculumConfig
from warpzone.training.learner import Learner
from warpzone.training.level_priority import LEAST, level_priorities


def test_failures_weigh_and_the_sum_stays() -> None:
    weights = level_priorities({"1-1": 1.0, "1-2": 1.0, "1-3": 2.0}, {"1-1": 1.0, "1-3": 0.5})
    assert sum(weights.values()) == pytest.approx(4)
    assert weights["1-2"] / weights["1-1"] == pytest.approx((1 + LEAST) / LEAST)
    assert weights["1-3"] / weights["1-2"] == pytest.approx(2 * (0.5 + LEAST) / (1 + LEAST))


def test_a_level_of_weight_0_stays_out() -> None:
    assert level_priorities({"1-1": 0.0, "1-2": 3.0}, {}) == {"1-1": 0.0, "1-2": 3.0}


@pytest.mark.parametrize("curriculum", [CurriculumConfig(), CurriculumConfig(share=0.6)])
def test_a_learner_gives_the_level_that_fails_its_time(curriculum: CurriculumConfig) -> None:
    env_config = EnvConfig(levels={"1-1": 1.0, "8-4": 1.0}, start_steps=4)
    config = toy_config(env=env_config, prioritize_levels=True, curriculum=curriculum)
    env = Corridor(config.env, config.num_envs, 2, config.seed)
    learner = Learner(config, env)
    learner.improve()
    cleared, failed = learner.stats.recent.values()
    cleared.extend([episode._replace(cleared=True) for episode in cleared] * 100)
    failed.extend([episode._replace(cleared=False) for episode in failed] * 100)
    learner.improve()
    assert env.level_shares == pytest.approx(
        [LEAST / (1 + 2 * LEAST), (1 + LEAST) / (1 + 2 * LEAST)]
    )
    if learner.curriculum is not None:
        level = np.array([start.level for start in env.starts])
        learner.curriculum.rates[:] = 0.5
        learner.improve()
        assert env.weights[level == 31].sum() > 3 * env.weights[level == 0].sum()
    learner.close()
