"""Policies with a memory: playing with one, and learning over sequences.

What a policy remembers of a game is a row of numbers, its state: zeros where an episode begins,
then what the network makes of it and of each observation. A rollout keeps the state that each game
began it with, and is learnt from in whole games, T steps in their order, the state going back to
zeros where an episode began (as in Huang et al. 2022, "The 37 implementation details of PPO",
recurrent PPO). Gradients go back to the beginning of the rollout. Shapes: T steps of a rollout, G
or N games, B observations, S numbers of state.

Knows no game, level or run. `warpzone.ppo` is for policies without a memory.
"""

from __future__ import annotations

from typing import Any, Protocol, Self, cast, runtime_checkable

import torch
from torch import Tensor

from warpzone.errors import ConfigError
from warpzone.noise import gumbel
from warpzone.ppo.config import PPOConfig
from warpzone.ppo.policy import Observation, Policy, as_dict
from warpzone.ppo.rollout import OnStep, Rollout, VectorEnv, store_outcome
from warpzone.ppo.update import Batch, Coefficients, Losses, Updater, losses

GAMES_PER_SHARD = 8
"""Of a minibatch, whose gradients one thread computes: a sequence is many small steps, which cost
the same for few games as for several."""


@runtime_checkable
class Recurrent(Protocol):
    """A network with a memory: a torch module that has these."""

    state_width: int
    """S, at least 1."""

    def encode(self, observation: Observation) -> Tensor:
        """Returns what a step needs of observations, float [B, any]: all that takes no memory."""

    def step(self, seen: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Returns features float32 [B, hidden[-1]] and the next state float32 [B, S], of
        `encode`'s result and the state before."""


class RecurrentPolicy(Policy):
    """A policy whose trunk is `Recurrent`."""

    @property
    def network(self) -> Recurrent:
        """Returns the trunk."""
        return cast(Recurrent, self.trunk)

    @property
    def state_width(self) -> int:
        """Returns S."""
        return self.network.state_width

    def forward(self, observation: Observation) -> tuple[Tensor, Tensor]:
        """Raises `ConfigError`: an observation alone is not enough, see `step`."""
        raise ConfigError(
            "this network has a memory: what it does depends on its state too. Use"
            " RecurrentPolicy.step, or Agent.act with a memory of Agent.memory(games)"
        )

    def step(self, observation: Observation, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns logits float32 [B, actions], values float32 [B] and the states after the
        observations, of those before, float32 [B, S]."""
        seen = self._encode(observation)
        with torch.autocast(seen.device.type, enabled=False):
            features, state = self.network.step(seen, state)
            heads = self.heads(features)
        return heads[:, :-1], heads[:, -1], state

    def sequences(
        self, observation: Observation, state: Tensor, begins: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Returns what `step` does of T steps of G games, one after the other.

        Args:
            observation: arrays [T·G, ...], all games' first steps first.
            state: float32 [G, S], before the first step.
            begins: bool [T, G], whether an episode begins with that observation.

        Returns:
            Logits [T·G, actions] and values [T·G].
        """
        seen = self._encode(observation)
        seen = seen.view(*begins.shape, *seen.shape[1:])
        keep = (~begins).to(state.dtype)[:, :, None]
        outputs = []
        with torch.autocast(seen.device.type, enabled=False):
            for now, kept in zip(seen.unbind(), keep.unbind(), strict=True):
                features, state = self.network.step(now, state * kept)
                outputs.append(features)
            heads = self.heads(torch.cat(outputs))
        return heads[:, :-1], heads[:, -1]

    def _encode(self, observation: Observation) -> Tensor:
        with self.autocast():
            return self.network.encode(observation).float()


class Memory:
    """What a policy remembers of each of N games that it plays.

    Attributes:
        state: float32 [N, S].
    """

    def __init__(self, policy: RecurrentPolicy, state: Tensor) -> None:
        self.policy, self.state = policy, state

    @classmethod
    def of(cls, policy: RecurrentPolicy, games: int) -> Self:
        """Returns that of games in which episodes begin."""
        device = policy.heads.weight.device
        return cls(policy, torch.zeros(games, policy.state_width, device=device))

    def rows(self, rows: slice) -> Memory:
        """Returns that of some of the games: a view."""
        return Memory(self.policy, self.state[rows])

    def games(self, games: Any) -> Memory:
        """Returns a copy of that of the games int [k]."""
        return Memory(self.policy, self.state[torch.as_tensor(games, device=self.state.device)])

    def put(self, games: Any, memory: Memory) -> None:
        """Takes over what `memory` has of the games int [k]."""
        self.state[torch.as_tensor(games, device=self.state.device)] = memory.state

    def forget(self, games: Any) -> None:
        """Forgets games in which an episode has begun, int [k] or bool [N]."""
        self.state[torch.as_tensor(games, device=self.state.device)] = 0

    @torch.no_grad()
    def decide(self, observation: Observation) -> tuple[Tensor, Tensor]:
        """Returns logits [N, actions] and values [N] of observations, and remembers them."""
        logits, values, state = self.policy.step(observation, self.state)
        self.state.copy_(state)
        return logits, values


class At:
    """A policy in one moment of one game: what it would say to other observations, [B, ...]."""

    def __init__(self, memory: Memory) -> None:
        """`memory`: of one game, before the moment's observation."""
        self.policy, self.heads = memory.policy, memory.policy.heads
        self.state = memory.state.clone()

    def __call__(self, observation: Observation) -> tuple[Tensor, Tensor]:
        """Returns logits [B, actions] and values [B]."""
        count = len(next(iter(observation.values())))
        return self.policy.step(observation, self.state.expand(count, -1))[:2]


class RecurrentPlayer:
    """Fills rollouts, and keeps what is remembered from one to the next.

    Attributes:
        memory: of all games, as they stand.
        start: float32 [N, S], as it was before the rollout.
        begins: bool [T, N], where in the rollout an episode began after its first step.
    """

    def __init__(self, env: VectorEnv, policy: RecurrentPolicy, rollout: Rollout) -> None:
        self.env, self.policy, self.rollout = env, policy, rollout
        self.memory = Memory.of(policy, env.num_envs)
        self.start = self.memory.state.clone()

    @property
    def begins(self) -> Tensor:
        ended = self.rollout.ended
        return torch.cat((torch.zeros_like(ended[:1]), ended[:-1]))

    @torch.no_grad()
    def play(self, seed: int, first: int, on_step: OnStep) -> None:
        """Fills the rollout as `warpzone.ppo.rollout.collect` does with the same arguments."""
        env, rollout, memory = self.env, self.rollout, self.memory
        (steps, games), device = rollout.actions.shape, rollout.values.device
        noise = torch.from_numpy(gumbel(seed, first, rollout.log_probs.shape)).to(device)
        self.start.copy_(memory.state)
        for name, array in as_dict(env.observations()).items():
            rollout.observations[name][0] = torch.from_numpy(array)
        for t in range(steps + 1):
            for group, rows in enumerate(env.groups):
                if t > 0:
                    result = env.recv(group)
                    on_step((t - 1) * games + rows.start, result)
                    # The value of a last observation is of what was remembered until then.
                    cut = result.finished[~result.terminated[result.finished]]
                    last = memory.games(rows.start + cut)
                    store_outcome(rollout, last.decide, t - 1, rows, result)
                    memory.forget(rows.start + result.finished)
                    for name, array in as_dict(result.obs).items():
                        rollout.observations[name][t, rows] = torch.from_numpy(array)
                seen = {name: array[t, rows] for name, array in rollout.observations.items()}
                logits, values, state = self.policy.step(seen, memory.state[rows])
                rollout.values[t, rows] = values
                if t < steps:  # the next rollout decides on the last observation, and remembers it
                    memory.state[rows] = state
                    rollout.actions[t, rows] = (logits + noise[t, rows]).argmax(1)
                    env.send(group, rollout.actions[t, rows].cpu().numpy())
                    rollout.log_probs[t, rows] = logits.log_softmax(1)


class RecurrentUpdater(Updater):
    """Adam on a policy with a memory: minibatches are whole games, as many as make up
    `minibatch_size` samples.

    Raises:
        ConfigError: they make up no game.
    """

    def __init__(self, player: RecurrentPlayer, config: PPOConfig, threads: int) -> None:
        """`player`: whose rollouts are learnt from."""
        steps, games = player.rollout.actions.shape
        if config.minibatch_size < steps:
            raise ConfigError(
                f"minibatch_size {config.minibatch_size} is less than rollout_steps {steps}: a"
                " network with a memory learns from whole sequences; set minibatch_size to a"
                " multiple of rollout_steps"
            )
        self.player, self.games = player, games
        self.steps, self.shard = steps, GAMES_PER_SHARD
        super().__init__(player.policy, player.rollout.samples, config, threads)

    def losses(self, batch: Batch, rows: Tensor, out: Observation, now: Coefficients) -> Losses:
        """Returns the losses of the games `rows` [G]."""
        policy, player = self.player.policy, self.player
        start, begins = player.start[rows], player.begins[:, rows]
        times = torch.arange(self.steps, device=rows.device)[:, None] * self.games
        samples = batch.rows((times + rows).flatten(), out)

        def decide(observation: Observation) -> tuple[Tensor, Tensor]:
            return policy.sequences(observation, start, begins)

        return losses(decide, samples, self.config, now)
