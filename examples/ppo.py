"""PPO that learns to clear 1-1 from the game's map of tiles, whole, in one file.

After CleanRL's ppo.py (https://github.com/vwxyzjn/cleanrl, MIT), with links where a formula comes
from. It needs nothing of warpzone but its environments: what `warpzone train` adds is checkpoints
that go on bit for bit, measuring, recordings, and a first layer that reads only what is set.

    python examples/ppo.py                 # a few minutes on two cores
    python examples/ppo.py --level 1-2 --seed 3 --total-steps 2000000
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Categorical

import warpzone


@dataclass
class Args:
    level: str = "1-1"
    """the level to learn"""
    seed: int = 1
    """of everything random"""
    total_steps: int = 1_000_000
    """agent steps of four frames each, all games together, at the most"""
    target: float = 0.95
    """stop when so many of the last 100 episodes cleared the level"""
    out: Path = Path("ppo.pt")
    """the file that the weights are saved to"""
    num_envs: int = 64
    """games played at once"""
    num_steps: int = 128
    """steps of each game between two updates"""
    learning_rate: float = 2e-3
    """of Adam; it falls to 0 over the run"""
    gamma: float = 0.95
    """discount of a step: what lies 20 steps ahead counts about a third"""
    gae_lambda: float = 0.95
    """of generalised advantage estimation"""
    update_epochs: int = 3
    """times that each rollout is learnt from"""
    minibatch_size: int = 512
    """samples of a gradient step"""
    clip_coef: float = 0.2
    """how far from 1 the ratio of probabilities still pays"""
    ent_coef: float = 0.01
    """weight of the entropy bonus"""
    vf_coef: float = 0.5
    """weight of the value's squared error"""
    max_grad_norm: float = 0.5
    """longer gradients are shortened"""


def parse_args() -> Args:
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for field in fields(Args):
        name = "--" + field.name.replace("_", "-")
        parser.add_argument(name, type=type(field.default), default=field.default, help=" ")
    return Args(**vars(parser.parse_args()))


def layer_init(layer: nn.Linear, std: float = 2**0.5) -> nn.Linear:
    # https://iclr-blog-track.github.io/2022/03/25/ppo-implementation-details/, detail 2
    nn.init.orthogonal_(layer.weight, std)
    nn.init.constant_(layer.bias, 0.0)
    return layer


class Agent(nn.Module):
    """Two dense layers on all that is seen, shared by an actor and a critic."""

    def __init__(self, inputs: int, actions: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            layer_init(nn.Linear(inputs, 256)),
            nn.ReLU(),
            layer_init(nn.Linear(256, 128)),
            nn.ReLU(),
        )
        self.actor = layer_init(nn.Linear(128, actions), std=0.01)
        self.critic = layer_init(nn.Linear(128, 1), std=1.0)

    def get_value(self, x: Tensor) -> Tensor:
        value: Tensor = self.critic(self.trunk(x))[:, 0]
        return value

    def get_action_and_value(
        self, x: Tensor, action: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        hidden = self.trunk(x)
        probs = Categorical(logits=self.actor(hidden))
        if action is None:
            action = probs.sample()  # type: ignore[no-untyped-call]
        log_prob, entropy = probs.log_prob(action), probs.entropy()  # type: ignore[no-untyped-call]
        return action, log_prob, entropy, self.critic(hidden)[:, 0]


def flat(obs: Any) -> Tensor:
    """Returns one vector for each game: eight planes of tiles, and numbers beside them."""
    tiles = torch.from_numpy(obs["tiles"]).flatten(1).float() / 255
    return torch.cat((tiles, torch.from_numpy(obs["scalars"])), 1)


def main(args: Args) -> dict[str, float]:
    """Trains until the target or the last step; returns what was reached."""
    torch.manual_seed(args.seed)
    # Threads that wait for each other lose more than they gain where other programs run beside.
    torch.set_num_threads(1)
    envs = warpzone.make_vec(
        args.level,
        num_envs=args.num_envs,
        seed=args.seed,
        observation="tiles",
        noop_max=30,
        no_progress_steps=150,
    )
    obs, _ = envs.reset(seed=args.seed)
    next_obs = flat(obs)
    agent = Agent(next_obs.shape[1], len(envs.action_meanings))
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.learning_rate, eps=1e-5)

    # Storage
    shape = (args.num_steps, args.num_envs)
    observations = torch.zeros(*shape, next_obs.shape[1])
    actions, log_probs = torch.zeros(shape, dtype=torch.int64), torch.zeros(shape)
    rewards, dones, values = torch.zeros(shape), torch.zeros(shape), torch.zeros(shape)
    next_values = torch.zeros(shape)
    cleared: deque[bool] = deque(maxlen=100)
    progress: deque[int] = deque(maxlen=100)
    began, steps, result = time.monotonic(), 0, dict[str, float]()
    batch = args.num_envs * args.num_steps
    updates = -(-args.total_steps // batch)

    for update in range(updates):
        optimizer.param_groups[0]["lr"] = args.learning_rate * (1 - update / updates)

        # Rollout
        for step in range(args.num_steps):
            observations[step] = next_obs
            with torch.no_grad():
                action, log_prob, _, value = agent.get_action_and_value(next_obs)
            actions[step], log_probs[step], values[step] = action, log_prob, value
            obs, reward, terminated, truncated, infos = envs.step(action.numpy())
            next_obs = flat(obs)
            rewards[step] = torch.from_numpy(reward)
            ended = terminated | truncated
            dones[step] = torch.from_numpy(ended)
            if step > 0:
                next_values[step - 1] = torch.where(
                    dones[step - 1] > 0, next_values[step - 1], value
                )
            next_values[step] = 0.0
            for game in np.flatnonzero(ended):
                cleared.append(bool(infos["final_info"]["flag"][game]))
                progress.append(int(infos["final_info"]["progress"][game]))
                if not terminated[game]:
                    # Cut short, not over: it would have gone on from its last observation.
                    final = {name: array[None] for name, array in infos["final_obs"][game].items()}
                    with torch.no_grad():
                        next_values[step, game] = agent.get_value(flat(final))[0]
        with torch.no_grad():
            last = agent.get_value(next_obs)
        next_values[-1] = torch.where(dones[-1] > 0, next_values[-1], last)
        steps += batch

        # Advantages: https://arxiv.org/abs/1506.02438, eq. 16
        advantages, following = torch.zeros(shape), torch.zeros(args.num_envs)
        for t in reversed(range(args.num_steps)):
            delta = rewards[t] + args.gamma * next_values[t] - values[t]
            following = delta + args.gamma * args.gae_lambda * (1 - dones[t]) * following
            advantages[t] = following
        returns = advantages + values
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)

        # Update
        b_obs, b_actions = observations.flatten(0, 1), actions.flatten()
        b_log_probs, b_advantages = log_probs.flatten(), advantages.flatten()
        b_returns = returns.flatten()
        for _ in range(args.update_epochs):
            for rows in torch.split(torch.randperm(batch), args.minibatch_size):
                _, log_prob, entropy, value = agent.get_action_and_value(
                    b_obs[rows], b_actions[rows]
                )
                ratio = (log_prob - b_log_probs[rows]).exp()

                # Policy: https://arxiv.org/abs/1707.06347, eq. 7
                clipped = ratio.clamp(1 - args.clip_coef, 1 + args.clip_coef)
                gain = torch.minimum(ratio * b_advantages[rows], clipped * b_advantages[rows])
                # Value and entropy: the same, eq. 9
                value_loss = 0.5 * (value - b_returns[rows]).square().mean()
                loss = -gain.mean() + args.vf_coef * value_loss - args.ent_coef * entropy.mean()

                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(agent.parameters(), args.max_grad_norm)
                optimizer.step()

        result = {
            "steps": steps,
            "seconds": time.monotonic() - began,
            "clear_rate": float(np.mean(cleared)) if cleared else 0.0,
            "progress": float(np.mean(progress)) if progress else 0.0,
            "loss": float(loss.detach()),
        }
        print(
            f"{steps:,} steps in {result['seconds']:.0f} s · cleared {result['clear_rate']:.0%}"
            f" · progress {result['progress']:,.0f} px · entropy {float(entropy.mean()):.2f}",
            flush=True,
        )
        if len(cleared) == 100 and result["clear_rate"] >= args.target:
            break

    envs.close()
    torch.save(agent.state_dict(), args.out)
    return result


if __name__ == "__main__":
    main(parse_args())
