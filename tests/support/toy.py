"""Games that are learnt in seconds, with the face of warpzone's vector environment.

In each state a cue tells which action leads on; the first wrong one is forgiven, the second is
death. The last action waits. The flag is at the end of `LENGTH` right steps, and waiting too long
cuts the episode short. A start within the corridor is a number of right steps taken already; an
episode that began there is cut after `start_steps`. The scalars end with the level's name, where it
is shown.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np

from warpzone.smb.config import EnvConfig
from warpzone.smb.levels import LEVELS, level_index
from warpzone.smb.search import Trajectory
from warpzone.training import TrainConfig
from warpzone.training.config import NetworkConfig

CUES, LENGTH, LIMIT = 3, 5, 6
WAIT = CUES
STEP_PX = 100


@dataclass
class Step:
    obs: Any
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    finished: np.ndarray
    final_obs: Any
    task: np.ndarray
    success: np.ndarray
    score: np.ndarray
    signals: dict[str, np.ndarray]

    @property
    def partial(self) -> np.ndarray:
        within: np.ndarray = self.signals["start"] >= 0
        return within

    @property
    def position(self) -> np.ndarray:
        return self.signals["x"]


@dataclass(frozen=True)
class Start:
    level: int
    step: int
    progress: int


class Corridor:
    """Everything handed out is a view of one memory, which `send` fills with rubbish."""

    rom = None

    def __init__(
        self,
        config: EnvConfig,
        num_envs: int,
        num_groups: int = 2,
        seed: int = 0,
        on_step: Callable[[], None] = lambda: None,
    ) -> None:
        self.config, self.num_envs, self.on_step = config, num_envs, on_step
        bounds = np.linspace(0, num_envs, num_groups + 1).astype(int)
        self.groups = [slice(int(a), int(b)) for a, b in pairwise(bounds)]
        box = gymnasium.spaces.Box
        self.picture = config.observation == "pixels"
        self.single_observation_space: gymnasium.Space[Any] = (
            box(0, 255, (2, *config.size), np.uint8)
            if self.picture
            else gymnasium.spaces.Dict(
                scalars=box(-np.inf, np.inf, (2 + len(LEVELS),), np.float32),
                tiles=box(0, 255, (3, 2, 2), np.uint8),
            )
        )
        self.single_action_space = gymnasium.spaces.Discrete(CUES + 1)
        self.set_level_weights(config.levels)
        self.actions: dict[int, np.ndarray] = {}
        self.closed = False
        self.trajectories: dict[str, list[Trajectory]] = {}
        self.set_initial_states([])
        self.reset(seed=seed)

    def reset(self, *, seed: int | None = None) -> None:
        n = self.num_envs
        if seed is not None:
            self.random = [np.random.default_rng([seed, game]) for game in range(n)]
        # Per game: right steps, wrong steps, steps, cue, level, start, right steps at the start.
        self.state = np.zeros((n, 7), np.int64)
        self.returns = np.zeros(n, np.float32)
        for game in range(n):
            self._begin(game)
        self.obs = self._observe(np.arange(n))

    def tasks(self) -> Sequence[str]:
        return LEVELS

    def observations(self) -> Any:
        return self.obs

    def send(self, group: int, actions: np.ndarray, out: Any = None) -> None:
        assert group not in self.actions
        rows = self.groups[group]
        assert actions.shape == (rows.stop - rows.start,)
        assert actions.dtype == np.int64
        self.actions[group] = actions
        for array in self._arrays():
            array[rows] = 77

    def recv(self, group: int) -> Step:
        self.on_step()
        rows, actions = self.groups[group], self.actions.pop(group)
        right, wrong, steps, cue, level, start, begun = self.state[rows].T
        good, waited = actions == cue, actions == WAIT
        right += good  # views of the state
        wrong += ~good & ~waited
        steps += 1
        flag, dead = right == LENGTH, wrong == 2
        terminated = flag | dead
        limit = np.where(start >= 0, self.config.start_steps or LIMIT, LIMIT)
        truncated = ~terminated & (steps >= limit)
        reward = (good - 0.1 * waited - 1.0 * dead).astype(np.float32)
        self.returns[rows] += reward
        signals = {
            "x": right * STEP_PX,
            "progress": (right - begun) * STEP_PX,
            "flag": flag,
            "steps": steps.copy(),
            "frames": steps * 4,
            "level": level.astype(np.int32),
            "start": start.astype(np.int32),
            "episode_return": self.returns[rows].copy(),
        }
        finished = np.flatnonzero(terminated | truncated)
        games = np.arange(rows.start, rows.stop)
        for game in games:
            self.state[game, 3] = self.random[game].integers(CUES)
        final = self._observe(games[finished])
        for game in games[finished]:
            self._begin(game)
        fresh = self._observe(games)
        for name, array in (fresh if isinstance(fresh, dict) else {"": fresh}).items():
            (self.obs[name] if name else self.obs)[rows] = array
        view = {k: v[rows] for k, v in self.obs.items()} if not self.picture else self.obs[rows]
        return Step(
            view,
            reward,
            terminated,
            truncated,
            finished,
            final,
            task=signals["level"],
            success=signals["flag"],
            score=signals["progress"],
            signals=signals,
        )

    def progress(self) -> np.ndarray:
        return (self.state[:, 0] - self.state[:, 6]) * STEP_PX

    def save_state(self) -> bytes:
        assert not self.actions
        file = io.BytesIO()
        np.savez(file, state=self.state, returns=self.returns)
        random = json.dumps([generator.bit_generator.state for generator in self.random])
        return random.encode() + b"\n" + file.getvalue()

    def load_state(self, state: bytes) -> None:
        random, _, arrays = state.partition(b"\n")
        for generator, saved in zip(self.random, json.loads(random), strict=True):
            generator.bit_generator.state = saved
        with np.load(io.BytesIO(arrays)) as loaded:
            self.state, self.returns = loaded["state"], loaded["returns"]
        self.obs = self._observe(np.arange(self.num_envs))

    def explorer(self, level: str, seed: int = 0) -> Any:
        trajectory = Trajectory(bytes(LENGTH))
        return SimpleNamespace(search=lambda most_steps, stop: trajectory)

    def explorer_from(self, start: Start, seed: int = 0) -> Any:
        trajectory = Trajectory(bytes(max(LENGTH - start.step, 0)))
        return SimpleNamespace(search=lambda most_steps, stop: trajectory)

    def big_start(self, level: str) -> bytes:
        return level.encode()

    def record_initial_states(self, level: str, trajectory: Trajectory) -> list[Start]:
        index = level_index(level)
        return [Start(index, step, step * STEP_PX) for step in range(1, len(trajectory.inputs))]

    def set_progress_masks(self, trajectories: Mapping[str, Sequence[Trajectory]]) -> None:
        self.trajectories = {level: list(through) for level, through in trajectories.items()}

    def set_initial_states(self, starts: list[Start]) -> None:
        self.starts, self.share = starts, 0.0

    def set_start_weights(self, weights: np.ndarray, share: float) -> None:
        self.weights, self.share = weights / weights.sum(), share

    def set_level_weights(self, weights: Mapping[str, float]) -> None:
        self.levels = np.array([level_index(name) for name in weights])
        self.level_shares = np.array(list(weights.values())) / sum(weights.values())

    def set_end_penalties(self, penalties: Mapping[str, float]) -> None:
        self.end_penalties = dict(penalties)

    def close(self) -> None:
        self.closed = True

    def _begin(self, game: int) -> None:
        random = self.random[game]
        level = random.choice(self.levels, p=self.level_shares)
        self.state[game] = (0, 0, 0, random.integers(CUES), level, -1, 0)
        self.returns[game] = 0
        if self.share > 0 and random.random() < self.share:
            index = random.choice(len(self.starts), p=self.weights)
            start = self.starts[index]
            self.state[game, [0, 4, 5, 6]] = start.step, start.level, index, start.step

    def _observe(self, games: np.ndarray) -> Any:
        cue = self.state[games, 3]
        planes = np.repeat(np.where(cue[:, None] == np.arange(CUES), 255, 0), 4, axis=1)
        if self.picture:
            height, width = self.config.size
            picture = np.zeros((len(games), 2, height, width), np.uint8)
            for row, shown in enumerate(cue):
                picture[row, :, :, shown * width // CUES : (shown + 1) * width // CUES] = 255
            return picture
        scalars = np.zeros((len(games), 2 + len(LEVELS)), np.float32)
        scalars[:, :2] = self.state[games][:, [0, 2]] / 10
        if self.config.show_level:
            scalars[np.arange(len(games)), 2 + self.state[games, 4]] = 1
        return {"scalars": scalars, "tiles": planes.reshape(-1, 3, 2, 2).astype(np.uint8)}

    def _arrays(self) -> list[np.ndarray]:
        return [self.obs] if self.picture else list(self.obs.values())


def toy_config(**changes: Any) -> TrainConfig:
    """Settings under which the corridor is learnt in a second or two."""
    settings: dict[str, Any] = {
        "network": NetworkConfig(hidden=(32, 32)),
        "num_envs": 16,
        "rollout_steps": 32,
        "minibatch_size": 128,
        "total_steps": 16 * 32 * 6,
        "lr": 2e-3,
        "lr_kl": None,
        "schedule": "constant",
        "checkpoint_every": 2,
        "eval_every": 4,
        "eval_episodes": 20,
        "target_clear_rate": None,
        "device": "cpu",
        "threads": 1,
    }
    return TrainConfig(**{**settings, **changes})


def corridors(config: EnvConfig, games: int, groups: int, seed: int) -> Corridor:
    return Corridor(config, games, groups, seed)
