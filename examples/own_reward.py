"""A reward of your own, over signals and over RAM: trains with it, and goes on with it.

    python examples/own_reward.py --total-steps 200000

On the command line, in the folder of this file, that is

    warpzone train 1-1 --reward own_reward:coins_and_speed --out runs/coins
    warpzone train --resume --out runs/coins
"""

import argparse
import json
from pathlib import Path

import warpzone
from warpzone.training import resolve


@warpzone.reads_ram("power")  # of warpzone.smb.memory.MEMORY: 0 small, 1 big, 2 fire
def coins_and_speed(now, before):
    """Called after each step of all games: arrays [N] of what it led to, and of what was before."""
    coins = now["total_coins"] - before["total_coins"]
    speed = (now["progress"] - before["progress"]).clip(0, 16) / 16  # a pipe skips more
    power = now["power"] - before["power"]
    return coins + speed + power + 20.0 * now["flag"] - 5.0 * (now["death"] > 0)


def mean_returns(run):
    """What episodes brought, of each update."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    told = [json.loads(line).get("rollout/episode_return") for line in lines]
    return [number for number in told if number is not None]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--total-steps", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/coins"))
    args = parser.parse_args()

    config = resolve(
        "tiles",
        env={"levels": "1-1", "reward": "own_reward:coins_and_speed"},
        total_steps=args.total_steps // 2,
        eval_episodes=10,
        seed=args.seed,
    )
    warpzone.train(config, args.out)
    longer = config.model_copy(update={"total_steps": args.total_steps})
    warpzone.train(longer, args.out, resume=True)  # config.json knows the reward
    returns = mean_returns(args.out)
    print(f"mean return of an episode: {returns[0]:.1f} at first, {returns[-1]:.1f} at last")
