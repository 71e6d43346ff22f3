"""What lies behind progress is discounted by it, whoever plays and wherever a rollout begins."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from tests.support.toy import Corridor, toy_config

from warpzone.ppo.update import batch_of
from warpzone.smb.config import EnvConfig
from warpzone.smb.vector_env import MarioVectorEnv
from warpzone.training import resolve
from warpzone.training.checkpoint import Snapshot
from warpzone.training.learner import Learner
from warpzone.training.progress_discounts import ProgressDiscounts

STEPS = 40


def test_gains_are_those_of_each_episode() -> None:
    env = Corridor(EnvConfig(), 6, 2, seed=1)
    taken = ProgressDiscounts(env, STEPS, 0.99, 0.9)
    random = np.random.default_rng(0)
    for _ in range(3):
        taken.begin()
        stands = env.progress().copy()
        expected = np.zeros((STEPS, 6))
        for t, (group, rows) in itertools.product(range(STEPS), enumerate(env.groups)):
            env.send(group, random.integers(4, size=3))
            step = env.recv(group)
            taken.observe(t * 6 + rows.start, step)
            expected[t, rows] = step.score - stands[rows]
            stands[rows] = np.where(step.terminated | step.truncated, 0, step.score)
        assert taken.gained().tolist() == expected.tolist()
        assert expected.any()


def test_discounts_are_by_time_and_by_way() -> None:
    env = Corridor(EnvConfig(), 5, 1)
    taken = ProgressDiscounts(env, 1, 0.99, 0.9)
    taken.before[:] = 100.0
    taken.scores[:] = [100.0, 108.0, 116.0, 1000.0, 95.0]  # standing … a jump, a fall
    full = 0.99 * 0.9
    expected = torch.tensor([[0.99, 0.99 * 0.9**0.5, full, full, 0.99]])
    torch.testing.assert_close(taken.discounts(), expected)


def learner(native: bool) -> Learner:
    config = resolve(
        "tiles",
        num_envs=8,
        rollout_steps=STEPS,
        minibatch_size=80,
        threads=2,
        gamma=0.99,
        progress_gamma=0.9,
        env={"repeat_action_probability": 0.2, "max_steps": 50},
    )
    trained = Learner(config, MarioVectorEnv(config=config.env, num_envs=8, num_groups=2, seed=1))
    if not native:
        trained.native_play = None
    return trained


@pytest.mark.parametrize("native", [True, False])
def test_progress_goes_on_from_where_a_checkpoint_has_it(native: bool) -> None:
    whole, first, second = (learner(native) for _ in range(3))
    for trained in (whole, first):
        trained.improve()
    second.restore(Snapshot.unpack(first.snapshot().pack(), "memory"))
    for trained in (whole, second):
        trained.improve()
    one, other = whole.progress_discounts, second.progress_discounts
    assert one is not None
    assert other is not None
    assert one.before.max() > 40  # the rollout began within episodes
    assert 8 < one.gained().max() <= 16
    assert one.gained().min() == 0
    assert one.ended.any()
    assert one.gained().tolist() == other.gained().tolist()
    for name, tensor in whole.snapshot().tensors.items():
        assert torch.equal(tensor, second.snapshot().tensors[name]), name
    for trained in (whole, first, second):
        trained.close()


def test_learnt_from_are_returns_with_these_discounts() -> None:
    settings = {"gamma": 0.9, "progress_gamma": 0.5, "value_target": "one_step"}
    trained = Learner(config := toy_config(**settings), Corridor(EnvConfig(), 16, 2, 0))
    trained.improve()
    assert trained.progress_discounts is not None
    discounts = trained.progress_discounts.discounts()
    assert len(torch.unique(discounts)) > 1
    rollout = trained.rollout
    expected = rollout.rewards + discounts * rollout.next_values
    torch.testing.assert_close(batch_of(rollout, config).targets, expected.flatten())
    trained.close()
