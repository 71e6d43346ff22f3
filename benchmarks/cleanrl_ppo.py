"""PPO on pictures as CleanRL has it for Atari, in one file, on our environment.

A reading of CleanRL's ppo_atari_envpool.py (https://github.com/vwxyzjn/cleanrl, MIT) with its
published settings: the network of "Nature" (Mnih et al. 2015), 8 games, 128 steps, 4 epochs of 4
minibatches, a step size that falls from 2.5e-4 to 0 over 10 million steps, a clipped value loss.
Rewards are not clipped: ours are small already. It knows nothing of warpzone but its environment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Categorical

OnStep = Callable[[int, list[bool]], bool]
"""(agent steps, whether each episode that ended was a success) → whether to go on."""


@dataclass(frozen=True)
class Args:
    """CleanRL's settings, by its names."""

    total_timesteps: int = 10_000_000
    learning_rate: float = 2.5e-4
    num_envs: int = 8
    num_steps: int = 128
    gamma: float = 0.99
    gae_lambda: float = 0.95
    num_minibatches: int = 4
    update_epochs: int = 4
    clip_coef: float = 0.1
    ent_coef: float = 0.01
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5


def layer_init(layer: Any, std: float = 2**0.5) -> Any:
    nn.init.orthogonal_(layer.weight, std)
    nn.init.constant_(layer.bias, 0.0)
    return layer


class Agent(nn.Module):
    """Three convolutions and a dense layer, shared by an actor and a critic."""

    def __init__(self, actions: int) -> None:
        super().__init__()
        self.network = nn.Sequential(
            layer_init(nn.Conv2d(4, 32, 8, stride=4)),
            nn.ReLU(),
            layer_init(nn.Conv2d(32, 64, 4, stride=2)),
            nn.ReLU(),
            layer_init(nn.Conv2d(64, 64, 3, stride=1)),
            nn.ReLU(),
            nn.Flatten(),
            layer_init(nn.Linear(64 * 7 * 7, 512)),
            nn.ReLU(),
        )
        self.actor = layer_init(nn.Linear(512, actions), std=0.01)
        self.critic = layer_init(nn.Linear(512, 1), std=1)

    def forward(self, x: Tensor) -> tuple[Any, Tensor]:
        hidden = self.network(x / 255.0)
        return Categorical(logits=self.actor(hidden)), self.critic(hidden).flatten()


def train(envs: Any, args: Args, seed: int, on_step: OnStep) -> Agent:
    """Learns on the games of `envs`, pictures uint8 [N, 4, 84, 84], until `on_step` has enough;
    returns the agent."""
    torch.manual_seed(seed)
    agent = Agent(int(envs.single_action_space.n))
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.learning_rate, eps=1e-5)
    shape, batch = (args.num_steps, args.num_envs), args.num_steps * args.num_envs
    obs = torch.zeros((*shape, *envs.single_observation_space.shape))
    actions, logprobs = torch.zeros(shape), torch.zeros(shape)
    rewards, dones, values = torch.zeros(shape), torch.zeros(shape), torch.zeros(shape)
    first, _ = envs.reset(seed=seed)
    next_obs, next_done = torch.tensor(first), torch.zeros(args.num_envs)
    updates, steps = args.total_timesteps // batch, 0

    for update in range(updates):
        optimizer.param_groups[0]["lr"] = (1 - update / updates) * args.learning_rate

        # Rollout
        for step in range(args.num_steps):
            obs[step], dones[step] = next_obs, next_done
            with torch.no_grad():
                probs, values[step] = agent(next_obs)
                action = probs.sample()
                actions[step], logprobs[step] = action, probs.log_prob(action)
            seen, reward, terminated, truncated, infos = envs.step(action.numpy())
            ended = terminated | truncated
            rewards[step] = torch.tensor(reward)
            next_obs, next_done = torch.tensor(seen), torch.tensor(ended, dtype=torch.float32)
            steps += args.num_envs
            flags = [bool(infos["final_info"]["flag"][game]) for game in np.flatnonzero(ended)]
            if not on_step(steps, flags):
                return agent

        # Advantages: https://arxiv.org/abs/1506.02438, eq. 16; CleanRL takes the end of an episode
        # that was cut short for a terminal state
        with torch.no_grad():
            _, next_value = agent(next_obs)
            advantages, following = torch.zeros(shape), torch.zeros(args.num_envs)
            for t in reversed(range(args.num_steps)):
                last = t == args.num_steps - 1
                going_on = 1.0 - (next_done if last else dones[t + 1])
                value = next_value if last else values[t + 1]
                delta = rewards[t] + args.gamma * value * going_on - values[t]
                following = delta + args.gamma * args.gae_lambda * going_on * following
                advantages[t] = following
            returns = advantages + values

        # Update
        b_obs, b_actions, b_logprobs = obs.flatten(0, 1), actions.flatten(), logprobs.flatten()
        b_advantages, b_returns, b_values = (x.flatten() for x in (advantages, returns, values))
        for _ in range(args.update_epochs):
            for rows in torch.split(torch.randperm(batch), batch // args.num_minibatches):
                probs, value = agent(b_obs[rows])
                ratio = (probs.log_prob(b_actions[rows]) - b_logprobs[rows]).exp()
                gain = b_advantages[rows]
                gain = (gain - gain.mean()) / (gain.std() + 1e-8)
                clipped = ratio.clamp(1 - args.clip_coef, 1 + args.clip_coef)
                pg_loss = torch.max(-gain * ratio, -gain * clipped).mean()
                step_of = (value - b_values[rows]).clamp(-args.clip_coef, args.clip_coef)
                v_clipped = (b_values[rows] + step_of - b_returns[rows]) ** 2
                v_loss = 0.5 * torch.max((value - b_returns[rows]) ** 2, v_clipped).mean()
                loss = pg_loss - args.ent_coef * probs.entropy().mean() + v_loss * args.vf_coef
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), args.max_grad_norm)
                optimizer.step()
    return agent
