"""The network: observations in, the value of each action out, and the ε-greedy policy on them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from warpzone.ppo.policy import Observation, Policy


class QNetwork(Policy):
    """A trunk, layer normalisation of its features, and a head with a value for each action.

    With the face of a policy, so that whoever plays with an agent need not know which algorithm
    taught it: logits are log-probabilities of ε-greedy actions, values those of the greedy one.
    """

    def __init__(self, trunk: nn.Module, width: int, actions: int) -> None:
        """`trunk` makes features [B, width] of an observation."""
        super().__init__(trunk, width, actions)
        self.norm = nn.LayerNorm(width)
        self.heads = nn.Linear(width, actions)
        nn.init.orthogonal_(self.heads.weight, 1.0)
        nn.init.zeros_(self.heads.bias)
        self.epsilon = 1.0
        """Probability of a random action, above 0; not one of the weights."""

    def q_values(self, observation: Observation) -> Tensor:
        """Returns the discounted rewards that are expected of each action, float32 [B, actions]."""
        with self.autocast():
            features = self.trunk(observation)
        with torch.autocast(features.device.type, enabled=False):
            values: Tensor = self.heads(self.norm(features.float()))
        return values

    def forward(self, observation: Observation) -> tuple[Tensor, Tensor]:
        """Returns log-probabilities float32 [B, actions] and values float32 [B]."""
        values, best = self.q_values(observation).max(1)
        greedy = F.one_hot(best, self.actions)
        return (self.epsilon / self.actions + (1 - self.epsilon) * greedy).log(), values
