"""Agents that know a level each, for one that is to learn many of them.

The agent in training plays, and besides its own reward it is drawn towards what the distillation
policy of the level would do in the same state: "Kickstarting deep reinforcement learning" (Schmitt
et al. 2018). The states are its own, so that it also learns to recover from its own mistakes, as in
DAgger (Ross et al. 2011).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

import warpzone._native as _native
from warpzone.errors import ConfigError
from warpzone.ppo.policy import SCALARS, Decide, Observation, Shapes
from warpzone.smb.config import EnvConfig
from warpzone.smb.levels import LEVELS, level_index
from warpzone.training.agent_file import load_agent
from warpzone.training.native_update import NativePolicy, kernels_for, why_not_native
from warpzone.training.resolve_agent import resolve_agent

TILES = "tiles"
HAZARDS = _native.TILE_PLANES.index("hazard")
LEAST_HAZARD = 128
"""In that plane of `tiles`; what is less is where one will be."""


class DistillationPolicies:
    """What trained agents would do, each in its level.

    Args:
        files: an agent's file or run directory for each of their levels.
        shapes, actions: of the agent in training, which they must share.
        device: where to compute.

    Raises:
        AgentError: no such agent, or a damaged one.
        ConfigError: one with other observations or actions than the agent in training.
        LevelError: there is no such level.
    """

    def __init__(
        self, files: Mapping[str, str], shapes: Shapes, actions: int, device: torch.device
    ) -> None:
        self.actions = actions
        self.has_hazards = shapes.get(TILES, (0,))[0] == len(_native.TILE_PLANES)
        self.policies: dict[int, tuple[Decide, EnvConfig]] = {}
        for level, file in files.items():
            policy, info = load_agent(resolve_agent(file).file, device)
            if (info.shapes, info.actions) != (shapes, actions):
                raise ConfigError(
                    f"the distillation policy {file} of {level} sees {info.shapes} and has"
                    f" {info.actions} actions, the agent in training {shapes} and {actions}: they"
                    " must be the same"
                )
            natively = why_not_native(policy, device) is None
            decide: Decide = NativePolicy(policy, kernels_for(False) or "") if natively else policy
            self.policies[level_index(level)] = decide, info.env

    @torch.no_grad()
    def log_probs(self, observations: Observation, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Says what they would do.

        Args:
            observations: arrays [B, ...].
            levels: int64 [B], 0-31, of each.

        Returns:
            Log-probabilities float32 [B, actions], and which rows have a policy,
            1 or 0, float32 [B].
        """
        result = torch.zeros(len(levels), self.actions, device=levels.device)
        mask = torch.zeros(len(levels), device=levels.device)
        for level, (policy, env) in self.policies.items():
            rows = (levels == level).nonzero()[:, 0]
            if not len(rows):
                continue
            seen = {name: array[rows] for name, array in observations.items()}
            # What it never saw: the level's name, and paths of hazards.
            if not env.show_level and SCALARS in seen:
                seen[SCALARS][:, -len(LEVELS) :] = 0
            if not env.show_paths and self.has_hazards:
                hazards = seen[TILES][:, HAZARDS]
                hazards[hazards < LEAST_HAZARD] = 0
            result[rows] = policy(seen)[0].log_softmax(1)
            mask[rows] = 1.0
        return result, mask
