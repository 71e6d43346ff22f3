"""Trains a network of your own, and looks at what became of it: convolutions over the map of tiles.

python examples/own_network.py --total-steps 200000
cd examples && warpzone watch ../runs/own-network --network own_network:Rows
"""

import argparse
from pathlib import Path

import torch
from torch import nn

import warpzone
from warpzone.training import register_network, resolve


@register_network("rows")
class Rows(nn.Module):
    """Features [B, hidden[-1]] of observations, `shapes` of whose arrays are known, by name."""

    def __init__(self, shapes, hidden, filters=16):
        super().__init__()
        planes, rows, columns = shapes["tiles"]
        self.convolution = nn.Conv2d(planes, filters, 3, padding=1)
        width = filters * rows * columns + shapes["scalars"][0]
        layers = []
        for following in hidden:
            layers += [nn.Linear(width, following), nn.ReLU()]
            width = following
        self.dense = nn.Sequential(*layers)

    def forward(self, observation):
        seen = torch.relu(self.convolution(observation["tiles"] / 255))
        return self.dense(torch.cat((seen.flatten(1), observation["scalars"]), 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--level", default="1-1")
    parser.add_argument("--total-steps", type=int, default=200_000)
    parser.add_argument("--num-envs", type=int, default=32)
    parser.add_argument("--filters", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("runs/own-network"))
    args = parser.parse_args()

    config = resolve(
        env={"levels": {args.level: 1.0}},
        network={"kind": "rows", "hidden": [128], "options": {"filters": args.filters}},
        num_envs=args.num_envs,
        minibatch_size=256,
        total_steps=args.total_steps,
        eval_episodes=10,
    )
    result = warpzone.train(config, args.out, resume=args.out.exists())

    agent = warpzone.Agent.load(result.path)
    evaluation = warpzone.evaluate(agent, [args.level], episodes=10, seed=1)
    found = evaluation.levels[args.level]
    print(f"{agent.title}: cleared {found.clear_rate:.0%}, progress {found.mean_progress:.0f} px")


if __name__ == "__main__":
    main()
