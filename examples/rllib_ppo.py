"""RLlib's PPO on 1-1, from the game's map of tiles.

    pip install 'ray[rllib]'
    python examples/rllib_ppo.py --total-steps 1000000

`vector_entry_point` hands RLlib the vector environment as it is: all games of an env runner step in
native threads. RLlib begins the next episode with a step of its own, so that is what games do.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

import ray
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis.value_function_api import ValueFunctionAPI
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch.torch_rl_module import TorchRLModule
from ray.tune.registry import register_env
from torch import Tensor, nn

import warpzone


def games(context: Any) -> Any:
    """Returns the games of one env runner."""
    return warpzone.make_vec(
        context["level"],
        context["num_envs"],
        autoreset="next_step",
        noop_max=30,
        no_progress_steps=150,
    )


# Whoever has no RLlib can check the types of this file too.
class Tiles(TorchRLModule, ValueFunctionAPI):  # type: ignore[misc]
    """A dense layer on the map as fractions of 255 and the scalars beside it, then an actor and a
    critic."""

    def setup(self) -> None:
        width = self.model_config["width"]
        spaces = self.observation_space
        inputs = sum(space.shape[0] if name == "scalars" else 0 for name, space in spaces.items())
        inputs += int(torch.tensor(spaces["tiles"].shape).prod())
        self.trunk = nn.Sequential(nn.Linear(inputs, width), nn.ReLU())
        self.actor = nn.Linear(width, int(self.action_space.n))
        self.critic = nn.Linear(width, 1)

    def features(self, batch: dict[str, Any]) -> Tensor:
        """Returns features [..., width]."""
        tiles, scalars = batch[Columns.OBS]["tiles"], batch[Columns.OBS]["scalars"]
        seen: Tensor = self.trunk(torch.cat((tiles.flatten(-3).float() / 255, scalars), -1))
        return seen

    def _forward(self, batch: dict[str, Any], **_: Any) -> dict[str, Tensor]:
        return {Columns.ACTION_DIST_INPUTS: self.actor(self.features(batch))}

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> Tensor:
        """Returns values [...]."""
        values: Tensor = self.critic(self.features(batch)).squeeze(-1)
        return values


def main() -> None:
    """Trains, and saves the weights of the policy."""
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--level", default="1-1", help="the level to learn")
    parser.add_argument("--seed", type=int, default=1, help="of everything random")
    parser.add_argument("--total-steps", type=int, default=1_000_000, help="of all games together")
    parser.add_argument("--num-envs", type=int, default=64, help="games played at once")
    parser.add_argument("--num-steps", type=int, default=128, help="of each between two updates")
    parser.add_argument("--out", type=Path, default=Path("rllib_ppo.pt"), help="saved weights")
    args = parser.parse_args()

    ray.init(num_cpus=1, include_dashboard=False, logging_level=logging.ERROR)
    register_env("warpzone", games)
    batch = args.num_envs * args.num_steps
    config = (
        PPOConfig()
        .environment("warpzone", env_config={"level": args.level})
        .env_runners(
            num_env_runners=0,  # the games are played here, in threads of their own
            num_envs_per_env_runner=args.num_envs,
            gym_env_vectorize_mode="vector_entry_point",
            rollout_fragment_length=args.num_steps,
        )
        .rl_module(rl_module_spec=RLModuleSpec(module_class=Tiles, model_config={"width": 256}))
        .training(
            train_batch_size_per_learner=batch,
            minibatch_size=512,
            num_epochs=3,
            lr=2e-3,
            gamma=0.95,
            lambda_=0.95,
            clip_param=0.2,
            vf_clip_param=float("inf"),
            vf_loss_coeff=0.25,
            entropy_coeff=0.01,
            use_kl_loss=False,
            grad_clip=0.5,
        )
        .debugging(seed=args.seed, log_level="ERROR")
    )
    algorithm = config.build_algo()
    while (found := algorithm.train()) is not None:
        played = found["env_runners"]
        steps = int(played["num_env_steps_sampled_lifetime"])
        print(
            f"{steps:,} steps · {int(played['num_episodes'])} episodes ·"
            f" return {played['episode_return_mean']:.2f}",
            flush=True,
        )
        if steps >= args.total_steps:
            break
    torch.save(algorithm.get_module().state_dict(), args.out)
    algorithm.stop()
    ray.shutdown()


if __name__ == "__main__":
    main()
