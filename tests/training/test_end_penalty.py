"""Who cannot play yet must dare, who can should take care."""

from __future__ import annotations

from tests.support.toy import Corridor, toy_config

from warpzone.smb.config import EnvConfig
from warpzone.training.learner import Learner
from warpzone.training.metrics import EpisodeResult


def test_the_penalty_of_a_level_grows_with_its_clear_rate() -> None:
    config = toy_config(env=EnvConfig(levels="1-1,1-2", end_penalty=2.0), last_end_penalty=6.0)
    env = Corridor(config.env, config.num_envs, 2, config.seed)
    learner = Learner(config, env)
    learner.improve()
    assert env.end_penalties == {"1-1": 2.0, "1-2": 2.0}
    episode = EpisodeResult(cleared=True, end_x=9, reward=1.0, length=9)
    learner.stats.recent["1-1"].extend([episode._replace(cleared=False)] * 100)
    learner.stats.recent["1-2"].extend([episode._replace(cleared=i % 4 == 0) for i in range(100)])
    learner.improve()
    assert env.end_penalties == {"1-1": 2.0, "1-2": 3.0}
    learner.close()


def test_rewards_without_a_penalty_are_left_alone() -> None:
    config = toy_config(env=EnvConfig(reward="gym"), last_end_penalty=6.0)
    env = Corridor(config.env, config.num_envs, 2, config.seed)
    learner = Learner(config, env)
    learner.improve()
    assert not hasattr(env, "end_penalties")
    learner.close()
