"""TorchRL's PPO on 1-1, from the game's map of tiles.

    pip install torchrl
    python examples/torchrl_ppo.py --total-steps 1000000

`GymWrapper` takes the vector environment as it is, all its games as one batch; with autoreset off
it resets those whose episode has ended itself, and each sees its own last observation.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from tensordict.nn import TensorDictModule, TensorDictSequential
from torch import Tensor, nn
from torchrl.collectors import Collector
from torchrl.envs import GymWrapper, RewardSum, TransformedEnv
from torchrl.modules import ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

import warpzone


class Tiles(nn.Module):
    """A dense layer on the map as fractions of 255 and the scalars beside it."""

    def __init__(self, width: int = 256) -> None:
        super().__init__()
        self.first = nn.LazyLinear(width)

    def forward(self, tiles: Tensor, scalars: Tensor) -> Tensor:
        """Returns features [..., width]."""
        return torch.relu(self.first(torch.cat((tiles.flatten(-3).float() / 255, scalars), -1)))


def main() -> None:
    """Trains, and saves the weights of the policy."""
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--level", default="1-1", help="the level to learn")
    parser.add_argument("--seed", type=int, default=1, help="of everything random")
    parser.add_argument("--total-steps", type=int, default=1_000_000, help="of all games together")
    parser.add_argument("--num-envs", type=int, default=64, help="games played at once")
    parser.add_argument("--num-steps", type=int, default=128, help="of each between two updates")
    parser.add_argument("--out", type=Path, default=Path("torchrl_ppo.pt"), help="saved weights")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    games = warpzone.make_vec(
        args.level,
        args.num_envs,
        seed=args.seed,
        autoreset="disabled",
        noop_max=30,
        no_progress_steps=150,
    )
    env = TransformedEnv(GymWrapper(games, categorical_action_encoding=True), RewardSum())
    actions = int(games.single_action_space.n)

    features = TensorDictModule(Tiles(), in_keys=["tiles", "scalars"], out_keys=["features"])
    head = TensorDictModule(nn.LazyLinear(actions), in_keys=["features"], out_keys=["logits"])
    actor = ProbabilisticActor(
        TensorDictSequential(features, head),
        in_keys=["logits"],
        distribution_class=torch.distributions.Categorical,
        return_log_prob=True,
    )
    value = ValueOperator(nn.LazyLinear(1), in_keys=["features"])
    critic = TensorDictSequential(features, value)
    with torch.no_grad():  # lazy layers take their width from what they see first
        critic(actor(env.reset()))

    advantage = GAE(gamma=0.95, lmbda=0.95, value_network=critic, average_gae=True)
    loss_of = ClipPPOLoss(actor, critic, clip_epsilon=0.2, entropy_coeff=0.01, critic_coeff=0.25)
    optimizer = torch.optim.Adam(loss_of.parameters(), lr=2e-3, eps=1e-5)
    batch = args.num_envs * args.num_steps
    collector = Collector(
        env, actor, frames_per_batch=batch, total_frames=args.total_steps // batch * batch
    )
    steps = 0
    for data in collector:
        for _ in range(3):
            with torch.no_grad():
                advantage(data)
            flat = data.reshape(-1)
            for rows in torch.randperm(batch).split(512):
                losses = loss_of(flat[rows])
                loss = sum(value for name, value in losses.items() if name.startswith("loss_"))
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(loss_of.parameters(), 0.5)
                optimizer.step()
        steps += batch
        ended = data["next", "done"]
        returns = data["next", "episode_reward"][ended]
        print(f"{steps:,} steps · {int(ended.sum())} episodes · return {returns.mean():.2f}")
    collector.shutdown()
    torch.save(actor.state_dict(), args.out)


if __name__ == "__main__":
    main()
