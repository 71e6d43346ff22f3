"""Who cannot play yet must dare, who can should take care."""

from __future__ import annotations

import pytest
from tests.support.toy import Corridor, toy_config

from warpzone.smb.config import EnvConfig
from warpzone.training.learner import Learner


def test_the_penalty_grows_with_competence() -> None:
    config = toy_config(env=EnvConfig(end_penalty=2.0), last_end_penalty=6.0)
    env = Corridor(config.env, config.num_envs, 2, config.seed)
    learner = Learner(config, env)
    learner.improve()
    assert env.end_penalty == 2.0
    (recent,) = learner.stats.recent.values()
    recent.extend([recent[0]._replace(cleared=i % 4 == 0) for i in range(100)])
    learner.improve()
    assert env.end_penalty == pytest.approx(3.0)
    learner.close()


def test_rewards_without_a_penalty_are_left_alone() -> None:
    config = toy_config(env=EnvConfig(reward="gym"), last_end_penalty=6.0)
    env = Corridor(config.env, config.num_envs, 2, config.seed)
    learner = Learner(config, env)
    learner.improve()
    assert not hasattr(env, "end_penalty")
    learner.close()
