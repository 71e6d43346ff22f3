"""Measuring: how often does a policy succeed (clear a level)?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from warpzone.ppo.rollout import VectorEnv

Act = Callable[..., np.ndarray]
"""Takes observations of n games, and what is remembered of them where there is a memory; returns
actions, int64 [n]."""


class Memory(Protocol):
    """What a policy remembers of games, see `warpzone.training.recurrent.Memory`."""

    def rows(self, rows: slice) -> Any: ...
    def forget(self, games: Any) -> None: ...


@dataclass(frozen=True)
class EvalResult:
    """What a number of whole episodes showed."""

    clear_rate: float
    episodes: int
    ci95: tuple[float, float]
    """Wilson's interval of the clear rate."""
    mean_progress: float
    """Score of an episode, mean of all: of our games the farthest point, in px."""
    mean_frames: float | None
    """Time to clear in emulated frames, mean of the cleared episodes; None if there were none."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def together(parts: Sequence[EvalResult]) -> EvalResult:
    """Returns what the episodes of several results show."""
    if len(parts) == 1:
        return parts[0]
    episodes = sum(part.episodes for part in parts)
    cleared = [round(part.clear_rate * part.episodes) for part in parts]
    progress = sum(part.mean_progress * part.episodes for part in parts)
    frames = sum(
        (part.mean_frames or 0.0) * count for part, count in zip(parts, cleared, strict=True)
    )
    return EvalResult(
        clear_rate=sum(cleared) / episodes,
        episodes=episodes,
        ci95=wilson(sum(cleared), episodes),
        mean_progress=progress / episodes,
        mean_frames=frames / sum(cleared) if any(cleared) else None,
    )


def wilson(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Confidence interval of a proportion, 95 % by default (Wilson 1927)."""
    rate = successes / trials
    centre = rate + z * z / (2 * trials)
    spread = z * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def quotas(episodes: int, games: int) -> np.ndarray:
    """Episodes that each game contributes, int64 [games], as equal as can be."""
    return np.full(games, episodes // games) + (np.arange(games) < episodes % games)


def play_episodes(
    act: Act,
    env: VectorEnv,
    episodes: int,
    *,
    seed: int | None = None,
    on_episode: Callable[[dict[str, np.ndarray], int], None] = lambda signals, row: None,
    memory: Memory | None = None,
) -> EvalResult:
    """Plays `episodes` whole episodes with `act`, from a reset with `seed`.

    How many episodes each of the N games contributes is settled beforehand. Counting the first
    that end would prefer short episodes, which are those that fail early.

    Args:
        act: takes an observation of n games as the environment gives it, returns int64 [n]. With
            a `memory` it is called with that of these games too, and changes it.
        env: games that reset themselves in the same step.
        on_episode: receives the signals of a step and the row of a game that ended an episode that
            counts.
        memory: of all games, in which episodes begin; it forgets those in which others do.
    """

    def decide(observation: Any, rows: slice) -> np.ndarray:
        return act(observation) if memory is None else act(observation, memory.rows(rows))

    env.reset(seed=seed)
    wanted = quotas(episodes, env.num_envs)
    cleared: list[bool] = []
    progress: list[float] = []
    frames: list[int] = []
    observations = env.observations()
    for group, rows in enumerate(env.groups):
        if wanted[rows].any():
            env.send(group, decide(_rows(observations, rows), rows))
    while wanted.any():
        for group, rows in enumerate(env.groups):
            if not wanted[rows].any():
                continue
            step = env.recv(group)
            for row in step.finished:
                if wanted[rows][row]:
                    wanted[rows][row] -= 1
                    cleared.append(bool(step.success[row]))
                    progress.append(step.score[row].item())
                    frames.append(int(step.signals["frames"][row]))
                    on_episode(step.signals, int(row))
            if memory is not None:
                memory.forget(rows.start + step.finished)
            if wanted[rows].any():
                env.send(group, decide(step.obs, rows))
    return EvalResult(
        clear_rate=sum(cleared) / episodes,
        episodes=episodes,
        ci95=wilson(sum(cleared), episodes),
        mean_progress=float(np.mean(progress)),
        mean_frames=float(np.mean(np.array(frames)[cleared])) if any(cleared) else None,
    )


def _rows(observations: Any, rows: slice) -> Any:
    if isinstance(observations, dict):
        return {name: array[rows] for name, array in observations.items()}
    return observations[rows]
