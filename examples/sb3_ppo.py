"""Stable-Baselines3's PPO learns to clear 1-1 from the game's map of tiles.

    pip install stable-baselines3
    python examples/sb3_ppo.py                 # some minutes on two cores
    python examples/sb3_ppo.py --level 1-2 --seed 3 --total-steps 2000000

The settings are those of `ppo.py` beside this file, by the names that they have there.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from warpzone.compat.sb3 import TilesExtractor, make_vec_env


# Whoever has no Stable-Baselines3 can check the types of this file too.
class UntilCleared(BaseCallback):  # type: ignore[misc]
    """Ends the training when so many of the last 100 episodes cleared the level."""

    def __init__(self, target: float) -> None:
        super().__init__()
        self.target = target

    def _on_rollout_end(self) -> None:
        episodes = self.model.ep_info_buffer
        cleared = [episode["flag"] for episode in episodes]
        rate = sum(cleared) / max(len(cleared), 1)
        progress = sum(episode["progress"] for episode in episodes) / max(len(cleared), 1)
        self.logger.record("rollout/clear_rate", rate)
        self.reached = len(cleared) == 100 and rate >= self.target
        print(f"{self.num_timesteps:,} steps · cleared {rate:.0%} · progress {progress:,.0f} px")

    def _on_step(self) -> bool:
        return not getattr(self, "reached", False)


def main() -> None:
    """Trains until the target or the last step, and saves the model."""
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--level", default="1-1", help="the level to learn")
    parser.add_argument("--seed", type=int, default=1, help="of everything random")
    parser.add_argument("--total-steps", type=int, default=1_000_000, help="at the most")
    parser.add_argument("--target", type=float, default=0.95, help="clear rate that ends it")
    parser.add_argument("--num-envs", type=int, default=64, help="games played at once")
    parser.add_argument("--num-steps", type=int, default=128, help="of each between two updates")
    parser.add_argument("--out", type=Path, default=Path("sb3_ppo.zip"), help="the saved model")
    args = parser.parse_args()

    torch.set_num_threads(1)  # on a busy machine threads wait for each other longer than they work
    envs = make_vec_env(
        args.level,
        args.num_envs,
        noop_max=30,
        no_progress_steps=150,
        info_keywords=["flag", "progress"],
    )
    policy: dict[str, Any] = {
        "features_extractor_class": TilesExtractor,
        "net_arch": [128],
        "activation_fn": torch.nn.ReLU,
    }
    model = PPO(
        "MultiInputPolicy",
        envs,
        learning_rate=lambda left: 2e-3 * left,  # falls to 0
        n_steps=args.num_steps,
        batch_size=512,
        n_epochs=3,
        gamma=0.95,
        gae_lambda=0.95,
        clip_range=0.2,
        ent_coef=0.01,
        vf_coef=0.25,  # of the whole squared error; that of ppo.py is of its half
        policy_kwargs=policy,
        seed=args.seed,
        device="cpu",
    )
    model.learn(args.total_steps, callback=UntilCleared(args.target))
    model.save(args.out)
    envs.close()


if __name__ == "__main__":
    main()
