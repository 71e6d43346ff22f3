"""Agents that know a level each, or all of them, for one that is to learn many.

The agent in training plays, and besides its own reward it is drawn towards what the distillation
policy of the level would do in the same state: "Kickstarting deep reinforcement learning" (Schmitt
et al. 2018). The states are its own, so that it also learns to recover from its own mistakes, as in
DAgger (Ross et al. 2011). It may see less of them: a policy that was trained on the map of tiles is
shown that of the same games, whatever the agent in training sees ("asymmetric" imitation, Chen et
al. 2020, "Learning by cheating").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

import warpzone._native as _native
from warpzone.errors import ConfigError
from warpzone.ppo.policy import SCALARS, Decide, Observation, shapes_of, to_tensors
from warpzone.ppo.rollout import VectorEnv
from warpzone.smb.config import EnvConfig
from warpzone.smb.levels import LEVELS, level_index
from warpzone.smb.spaces import observation_space
from warpzone.training.agent_file import AgentInfo, load_agent
from warpzone.training.config import ALL_LEVELS
from warpzone.training.level_env import TilesEnv
from warpzone.training.native_update import NativePolicy, kernels_for, why_not_native
from warpzone.training.recurrent import RecurrentPolicy
from warpzone.training.resolve_agent import resolve_agent

TILES = "tiles"
TILE_SHAPES = shapes_of(observation_space(EnvConfig(observation="tiles")))
HAZARDS = _native.TILE_PLANES.index("hazard")
LEAST_HAZARD = 128
"""In that plane of `tiles`; what is less is where one will be."""


class TilesBeside:
    """What the games of a rollout show as tiles, beside what the agent in training sees of them.

    `begin` before a rollout and `observe` after each step of a group keep the map and scalars of
    each state that is decided on.
    """

    def __init__(self, env: TilesEnv, steps: int) -> None:
        self.env, self.steps, self.games = env, steps, env.num_envs
        self.arrays: dict[str, np.ndarray] = {
            name: np.zeros((steps, self.games, *shape), np.float32 if name == SCALARS else np.uint8)
            for name, shape in TILE_SHAPES.items()
        }
        """[T, N, ...] each."""
        self.groups = {rows.start: group for group, rows in enumerate(env.groups)}

    @property
    def samples(self) -> Observation:
        """Returns all of them in a row: views [T·N, ...]."""
        rows = {name: array.reshape(-1, *array.shape[2:]) for name, array in self.arrays.items()}
        return to_tensors(rows, torch.device("cpu"))

    def begin(self) -> None:
        """Keeps what all games show now, of which none may be stepping."""
        for start in self.groups:
            self._keep(0, start)

    def observe(self, first: int) -> None:
        """Keeps what a group shows after a step, whose first game's sample was `first`: t·N + i."""
        step, start = divmod(first, self.games)
        if step + 1 < self.steps:
            self._keep(step + 1, start)

    def _keep(self, step: int, start: int) -> None:
        group = self.groups[start]
        rows = self.env.groups[group]
        out = {name: array[step, rows] for name, array in self.arrays.items()}
        self.env.observe_tiles(group, out)


@dataclass(frozen=True)
class _Teacher:
    decide: Decide
    env: EnvConfig
    levels: Tensor
    """int64 [k], 0-31, that it is asked about."""
    beside: bool
    """Whether it sees `TilesBeside` and not what the agent in training sees."""


class DistillationPolicies:
    """What trained agents would do, each in its levels.

    Args:
        files: an agent's file or run directory for each of their levels; that of `ALL_LEVELS` is
            for each level of the games that is not named.
        env: the games.
        config: how these are played and seen.
        steps: of a rollout.
        device: where to compute.

    Raises:
        AgentError: no such agent, or a damaged one.
        ConfigError: one with other actions than the agent in training, or that sees what these
            games do not show.
        LevelError: there is no such level.
    """

    def __init__(
        self,
        files: Mapping[str, str],
        env: VectorEnv,
        config: EnvConfig,
        steps: int,
        device: torch.device,
    ) -> None:
        self.shapes = shapes_of(env.single_observation_space)
        self.actions = int(env.single_action_space.n)
        self.config, self.device = config, device
        self.has_tiles = isinstance(env, TilesEnv)
        self.teachers = [
            self._teacher(file, levels) for file, levels in _levels_of(files, config).items()
        ]
        self.beside: TilesBeside | None = None
        """None: all of them see what the agent in training sees."""
        if isinstance(env, TilesEnv) and any(teacher.beside for teacher in self.teachers):
            self.beside = TilesBeside(env, steps)

    @torch.no_grad()
    def log_probs(self, observations: Observation, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Says what they would do.

        Args:
            observations: arrays [B, ...] as the agent in training sees them; those who see tiles
                beside that are asked about what `beside` has kept, which must be as many.
            levels: int64 [B], 0-31, of each.

        Returns:
            Log-probabilities float32 [B, actions], and which rows have a policy,
            1 or 0, float32 [B].
        """
        result = torch.zeros(len(levels), self.actions, device=levels.device)
        mask = torch.zeros(len(levels), device=levels.device)
        tiles = self.beside.samples if self.beside is not None else {}
        for teacher in self.teachers:
            rows = torch.isin(levels, teacher.levels).nonzero()[:, 0]
            if not len(rows):
                continue
            shown = tiles if teacher.beside else observations
            seen = {
                name: array[rows.to(array.device)].to(levels.device)
                for name, array in shown.items()
            }
            # What it never saw: the level's name, and paths of hazards.
            if not teacher.env.show_level and SCALARS in seen:
                seen[SCALARS][:, -len(LEVELS) :] = 0
            if not teacher.env.show_paths and _has_hazards(seen):
                hazards = seen[TILES][:, HAZARDS]
                hazards[hazards < LEAST_HAZARD] = 0
            result[rows] = teacher.decide(seen)[0].log_softmax(1)
            mask[rows] = 1.0
        return result, mask

    def _teacher(self, file: str, levels: list[str]) -> _Teacher:
        policy, info = load_agent(resolve_agent(file).file, self.device)
        if isinstance(policy, RecurrentPolicy):
            raise ConfigError(
                f"{file} cannot be a distillation policy: its network has a memory, which is of"
                " games that it plays itself. Name an agent without one"
            )
        of = f"the distillation policy {file} of {', '.join(levels)}"
        if info.actions != self.actions:
            raise ConfigError(
                f"{of} has {info.actions} actions, the agent in training {self.actions}: they must"
                " be the same"
            )
        for name in ("action_list", "frame_skip"):
            its, ours = getattr(info.env, name), getattr(self.config, name)
            if its != ours:
                setting = {"action_list": "actions"}.get(name, name)
                raise ConfigError(
                    f"{of} was trained with env.{setting} {its}, and these games have {ours}: set"
                    f" env.{setting} as it was for it"
                )
        natively = why_not_native(policy, self.device) is None
        decide: Decide = NativePolicy(policy, kernels_for(False) or "") if natively else policy
        indices = torch.tensor([level_index(level) for level in levels], device=self.device)
        return _Teacher(decide, info.env, indices, self._sees_beside(info, of))

    def _sees_beside(self, info: AgentInfo, of: str) -> bool:
        """Whether it is to be shown tiles beside what the agent in training sees."""
        more = (info.env.show_level and not self.config.show_level) or (
            info.env.show_paths and not self.config.show_paths
        )
        if info.shapes == self.shapes and not (more and self.has_tiles):
            return False
        if info.shapes == TILE_SHAPES and self.has_tiles:
            return True
        others = f", and {TILE_SHAPES} beside that" if self.has_tiles else ""
        raise ConfigError(
            f"{of} sees {info.shapes}, and these games show {self.shapes} to the agent in"
            f" training{others}: take one that sees one of these"
        )


def _levels_of(files: Mapping[str, str], config: EnvConfig) -> dict[str, list[str]]:
    """The levels of each agent."""
    named = {level: file for level, file in files.items() if level != ALL_LEVELS}
    if ALL_LEVELS in files:
        rest = dict.fromkeys(config.levels, files[ALL_LEVELS])
        named = {**rest, **named}
    levels: dict[str, list[str]] = {}
    for level, file in named.items():
        levels.setdefault(file, []).append(level)
    return levels


def _has_hazards(observations: Observation) -> bool:
    return TILES in observations and observations[TILES].shape[1] == len(_native.TILE_PLANES)
