"""The policy: observations in, logits of the actions and the value of the state out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import torch
from torch import Tensor, nn

Observation = dict[str, Tensor]
"""Arrays [B, ...] by name: uint8 ones, and at most one float32 vector, `SCALARS`."""
Shapes = dict[str, tuple[int, ...]]
"""Of one observation's arrays, by name."""
Decide = Callable[[Observation], tuple[Tensor, Tensor]]
"""Logits [B, actions] and values [B] of observations: a `Policy`, or what computes the same."""
ARRAY, SCALARS = "array", "scalars"
"""The names of an observation that is one array of bytes, and of the vector of floats."""


def as_dict(observation: Any) -> dict[str, Any]:
    """Returns an observation (or space) by name, also one that is a single array."""
    return dict(observation) if isinstance(observation, Mapping) else {ARRAY: observation}


def as_arrays(observation: Observation) -> Any:
    """Returns views of tensors on the CPU as an environment has them: see `as_dict`."""
    arrays = {name: tensor.numpy() for name, tensor in observation.items()}
    return arrays.get(ARRAY, arrays)


def shapes_of(space: gymnasium.Space[Any]) -> Shapes:
    """Returns the shapes of one observation's arrays."""
    boxes = as_dict(space.spaces if isinstance(space, gymnasium.spaces.Dict) else space)
    return {name: tuple(box.shape) for name, box in boxes.items()}


def to_tensors(observation: Any, device: torch.device) -> Observation:
    """Returns views of arrays [n, ...] as tensors, or copies on another `device`."""
    return {k: torch.from_numpy(v).to(device) for k, v in as_dict(observation).items()}


class Policy(nn.Module):
    """A shared trunk with a head for the policy and one for the value. Weights are float32. With
    `amp` the trunk computes in bfloat16, but for scalars: eight bits are too coarse for them."""

    def __init__(self, trunk: nn.Module, width: int, actions: int) -> None:
        """`trunk` makes features [B, width] of an observation."""
        super().__init__()
        self.actions = actions
        self.amp = False
        self.trunk = trunk
        # One layer for both heads: at a batch of 32 each call costs as much as its arithmetic.
        self.heads = nn.Linear(width, actions + 1)
        # Small first logits: every action is tried (https://arxiv.org/abs/2006.05990, section 3.2).
        nn.init.orthogonal_(self.heads.weight[:actions], 0.01)
        nn.init.orthogonal_(self.heads.weight[actions:], 1.0)
        nn.init.zeros_(self.heads.bias)

    def autocast(self) -> torch.autocast:
        """Returns the context the trunk computes in. Held open around many calls under `no_grad`,
        it casts each weight only once; `inference_mode` would keep no autocast cache."""
        return torch.autocast(self.heads.weight.device.type, torch.bfloat16, enabled=self.amp)

    def forward(self, observation: Observation) -> tuple[Tensor, Tensor]:
        """Returns logits float32 [B, actions] and values float32 [B]."""
        with self.autocast():
            features = self.trunk(observation)
        with torch.autocast(features.device.type, enabled=False):
            heads = self.heads(features.float())
        return heads[:, :-1], heads[:, -1]
