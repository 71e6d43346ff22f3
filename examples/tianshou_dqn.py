"""Tianshou's DQN on 1-1, from the game's map of tiles.

    pip install tianshou
    python examples/tianshou_dqn.py --total-steps 200000

Its vector environments are made of single ones, so that is what it gets: `--processes` plays each
in a process of its own.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from tianshou.algorithm import DQN
from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv, SubprocVectorEnv
from tianshou.trainer import OffPolicyTrainerParams
from tianshou.utils.net.common import Net

import warpzone


def make(level: str) -> gymnasium.Env[Any, Any]:
    """Returns one game that shows one vector: eight planes of tiles as fractions of 255, and the
    scalars beside them."""
    env = warpzone.make(level, noop_max=30, no_progress_steps=150)
    space = env.observation_space
    assert isinstance(space, gymnasium.spaces.Dict)
    length = sum(int(np.prod(box.shape or ())) for box in space.values())
    return gymnasium.wrappers.TransformObservation(
        env,
        lambda obs: np.concatenate((obs["scalars"], obs["tiles"].ravel() / np.float32(255))),
        gymnasium.spaces.Box(-np.inf, np.inf, (length,), np.float32),
    )


def main() -> None:
    """Trains, and saves the weights."""
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--level", default="1-1", help="the level to learn")
    parser.add_argument("--seed", type=int, default=1, help="of everything random")
    parser.add_argument("--total-steps", type=int, default=200_000, help="of all games together")
    parser.add_argument("--num-envs", type=int, default=8, help="games played at once")
    parser.add_argument("--processes", action="store_true", help="each game in one of its own")
    parser.add_argument("--out", type=Path, default=Path("tianshou_dqn.pt"), help="saved weights")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    np.random.seed(args.seed)  # noqa: NPY002 - what Tianshou draws from
    torch.set_num_threads(1)
    kind = SubprocVectorEnv if args.processes else DummyVectorEnv
    games = kind([partial(make, args.level)] * args.num_envs)
    games.seed(args.seed)
    one = make(args.level)  # Tianshou tells of the spaces below all wrappers
    actions = one.action_space
    assert isinstance(actions, gymnasium.spaces.Discrete)
    network = Net(
        state_shape=one.observation_space.shape or (),
        action_shape=int(actions.n),
        hidden_sizes=[256, 128],
    )
    policy = DiscreteQLearningPolicy(model=network, action_space=actions, eps_training=0.1)
    algorithm = DQN(
        policy=policy,
        optim=AdamOptimizerFactory(lr=5e-4),
        gamma=0.95,
        n_step_return_horizon=3,
        target_update_freq=500,
    )
    buffer = VectorReplayBuffer(50_000, args.num_envs)
    collector = Collector(algorithm, games, buffer, exploration_noise=True)
    collector.reset()
    result = algorithm.run_training(
        OffPolicyTrainerParams(
            training_collector=collector,
            max_epochs=1,
            epoch_num_steps=args.total_steps,
            collection_step_num_env_steps=8 * args.num_envs,
            update_step_num_gradient_steps_per_sample=0.1,
            batch_size=64,
            show_progress=False,
            verbose=False,
        )
    )
    print(
        f"{collector.collect_step:,} steps · {collector.collect_episode} episodes ·"
        f" {result.update_step} gradient steps"
    )
    torch.save(network.state_dict(), args.out)
    games.close()


if __name__ == "__main__":
    main()
