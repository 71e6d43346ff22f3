"""Stacks are read bit for bit as they were stored, from memory that holds each picture once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from warpzone.ppo.policy import ARRAY, shapes_of
from warpzone.ppo.rollout import Rollout, collect
from warpzone.ppo.update import Batch
from warpzone.smb.config import EnvConfig
from warpzone.smb.vector_env import MarioVectorEnv
from warpzone.training.config import NetworkConfig
from warpzone.training.frame_stacks import StoredStacks, shows_stacks
from warpzone.training.networks import make_policy

CPU = torch.device("cpu")
STEPS, GAMES = 40, 4
SHORT: dict[str, Any] = {"observation": "pixels", "size": (24, 24), "max_steps": 7}
GAMES_OF = {
    "two pictures": EnvConfig(**SHORT, frame_stack=2, noop_max=30),
    "four pictures": EnvConfig(**SHORT, noop_max=30),
    "flicker undone": EnvConfig(**SHORT, max_pool=True, noop_max=30),
    "a level that begins with a cutscene": EnvConfig(**SHORT, levels={"1-2": 1.0}),
    "many levels, a step of one frame": EnvConfig(
        **{**SHORT, "max_steps": 3}, levels={"1-1": 1.0, "7-2": 1.0}, frame_skip=1
    ),
    "stacks that share nothing": EnvConfig(**SHORT, consecutive=True),
}


def played(config: EnvConfig, keep: Any, rollouts: int = 2) -> Rollout:
    env = MarioVectorEnv(config=config, num_envs=GAMES, num_groups=2, seed=3)
    torch.manual_seed(0)
    shapes = shapes_of(env.single_observation_space)
    network = NetworkConfig(kind="patches", hidden=(8,))
    policy = make_policy(network, shapes, int(env.single_action_space.n))
    env.reset(seed=3)
    rollout = Rollout(STEPS, env, CPU, keep)
    for number in range(rollouts):
        collect(env, policy, rollout, 1, number * STEPS * GAMES, lambda first, step: None)
    env.close()
    return rollout


@pytest.mark.parametrize("config", GAMES_OF.values(), ids=GAMES_OF.keys())
def test_what_is_read_is_what_a_plain_array_holds(config: EnvConfig) -> None:
    plain, stored = played(config, torch.zeros), played(config, StoredStacks.zeros)
    assert plain.ended.sum() >= STEPS * GAMES // 8
    expected, stacks = plain.observations[ARRAY], stored.observations[ARRAY]
    assert stacks.shape == tuple(expected.shape)
    for t in range(STEPS + 1):
        for rows in (slice(0, 2), slice(2, 4)):
            assert torch.equal(stacks[t, rows], expected[t, rows]), t
    for name in ("actions", "log_probs", "values", "rewards", "truncated_values"):
        assert torch.equal(getattr(stored, name), getattr(plain, name)), name

    # A minibatch, as the learner gathers it.
    index = torch.randperm(STEPS * GAMES)[:50]
    taken = []
    for rollout in (plain, stored):
        samples = rollout.samples
        out = {name: array.new_empty((60, *array.shape[1:])) for name, array in samples.items()}
        others = (rollout.actions.flatten(),) * 4
        taken.append(Batch(samples, *others).rows(index, out).observations[ARRAY])
        assert torch.equal(taken[-1], samples[ARRAY][index])
    assert torch.equal(*taken)


def random_stacks(steps: int, games: int, depth: int, seed: int) -> Tensor:
    """Stacks that go on by one picture, but for those of which an episode begins: a third."""
    random = np.random.default_rng(seed)
    stacks = random.integers(0, 256, (steps, games, depth, 5, 6), np.uint8)
    for t in range(1, steps):
        for game in range(games):
            if random.random() > 1 / 3:
                stacks[t, game, :-1] = stacks[t - 1, game, 1:]
    return torch.from_numpy(stacks)


@pytest.mark.parametrize("depth", [2, 4])
@pytest.mark.parametrize("seed", [0, 1])
def test_memory_grows_when_many_episodes_begin_and_is_used_again(depth: int, seed: int) -> None:
    stacks = random_stacks(50, 6, depth, seed)
    stored = StoredStacks.zeros(tuple(stacks.shape), dtype=torch.uint8, device=CPU)
    rooms = []
    for _ in range(3):
        stored[0] = stacks[0]
        for t in range(1, len(stacks)):
            for rows in (slice(0, 2), slice(2, 6)):
                stored[t, rows] = stacks[t, rows]
        assert torch.equal(stored[:].flatten(0, 1)[torch.arange(300)], stacks.flatten(0, 1))
        rooms.append(len(stored.frames))
    assert rooms[0] == rooms[1] == rooms[2]


def test_each_picture_is_kept_once() -> None:
    stored = played(GAMES_OF["four pictures"], StoredStacks.zeros).observations[ARRAY]
    begun = int(played(GAMES_OF["four pictures"], torch.zeros).ended.sum())
    stacks = (STEPS + 1) * GAMES
    assert len(torch.unique(stored.places)) <= stacks + 3 * (GAMES + begun)
    assert len(stored.frames) < 2 * stacks  # where an array of stacks holds four times as many


def test_other_functions_of_torch_are_refused() -> None:
    stored = StoredStacks.zeros((3, 2, 2, 5, 6), dtype=torch.uint8, device=CPU)
    with pytest.raises(TypeError):
        torch.add(stored, 1)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("shape", "consecutive", "expected"),
    [
        ((4, 84, 84), False, True),
        ((1, 84, 84), False, False),
        ((240, 256, 3), False, False),
        ((2048,), False, False),
        ((4, 84, 84), True, False),
    ],
)
def test_which_observations_are_kept_so(
    shape: tuple[int, ...], consecutive: bool, expected: bool
) -> None:
    config = EnvConfig(observation="pixels", consecutive=consecutive)
    assert shows_stacks(config, {ARRAY: shape}) is expected
