"""One learner on pictures of 1-1, in a process of its own, for `benchmarks.learning_peers`.

    python -m benchmarks.learning_workers warpzone '{"seed": 0, "seconds": 60, …}'

writes one JSON object to standard output. Adapters to other projects live here, not in the package.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Self

from warpzone.process import prepare_for_training

WINDOW = 100
PEERS = {"stable-baselines3": "stable_baselines3"}
"""Learners that need a module which does not come along."""

# rl-baselines3-zoo's settings for Atari (hyperparams/ppo.yml).
SB3 = {
    "policy": "CnnPolicy",
    "n_envs": 8,
    "n_steps": 128,
    "n_epochs": 4,
    "batch_size": 256,
    "learning_rate": 2.5e-4,
    "clip_range": 0.1,
    "vf_coef": 0.5,
    "ent_coef": 0.01,
    "total_timesteps": 10_000_000,
}


class Order(NamedTuple):
    """What a learner is told."""

    seed: int
    seconds: float
    """The budget."""
    threads: int
    rom: str
    goal: float = 0.5
    """Share of the last `WINDOW` training episodes that clear the level, which ends the run."""
    settings: tuple[str, ...] = ()
    """Of `warpzone train --set`, for ours."""


class Watch:
    """Counts steps and successes of a training against the clock, and says when it is enough."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.recent: deque[bool] = deque(maxlen=WINDOW)
        self.steps = self.episodes = 0
        self.began = self.seconds = 0.0
        self.reached: dict[str, float] | None = None
        self.curve: list[tuple[int, float, float]] = []

    def begin(self) -> None:
        """Starts the clock."""
        self.began = time.perf_counter()

    @property
    def clear_rate(self) -> float:
        """Returns the share of the last episodes that cleared the level."""
        return sum(self.recent) / len(self.recent) if self.recent else 0.0

    def step(self, steps: int, cleared: Sequence[bool]) -> bool:
        """Notes the steps up to now and the episodes that ended; returns whether to go on."""
        self.recent.extend(cleared)
        rate = self.clear_rate if len(self.recent) == WINDOW else 0.0
        return self.note(steps, self.episodes + len(cleared), rate)

    def note(self, steps: int, episodes: int, rate: float) -> bool:
        """The same, from a learner that counts by itself."""
        self.steps, self.episodes = steps, episodes
        self.seconds = time.perf_counter() - self.began
        if not self.curve or self.seconds - self.curve[-1][1] >= 1.0:
            self.curve.append((steps, round(self.seconds, 2), rate))
        if self.reached is None and episodes >= WINDOW and rate >= self.order.goal:
            self.reached = {"steps": steps, "seconds": self.seconds, "clear_rate": rate}
        return self.reached is None and self.seconds < self.order.seconds

    def result(self) -> dict[str, Any]:
        """Returns what was measured."""
        return {
            "steps": self.steps,
            "seconds": self.seconds,
            "steps_per_second": self.steps / self.seconds,
            "episodes": self.episodes,
            "reached": self.reached,
            "curve": self.curve,
        }


def games(order: Order, count: int) -> Any:
    """Returns `count` games of 1-1 as the others see them: 84×84 grey, a stack of four frames."""
    import warpzone

    return warpzone.make_vec(
        "1-1",
        num_envs=count,
        observation="pixels",
        noop_max=30,
        no_progress_steps=150,
        threads=order.threads,
        seed=order.seed,
        rom=order.rom,
    )


def ours(order: Order) -> Watch:
    """Trains with the preset `pixels`, as `warpzone train` does."""
    from warpzone.settings import merge, parse_overrides
    from warpzone.training.config import TrainConfig
    from warpzone.training.presets import resolve
    from warpzone.training.trainer import train

    watch = Watch(order)

    class Display:
        def __enter__(self) -> Self:
            watch.begin()
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def log(self, text: str) -> None:
            pass

        def update(self, status: Any) -> None:
            rate = status.metrics.get("rollout/clear_rate", 0.0)
            if not watch.note(status.step, status.episodes, rate):
                signal.raise_signal(signal.SIGINT)  # the run saves and ends, as after Ctrl-C

    fixed: dict[str, Any] = {"env": {"levels": {"1-1": 1.0}}, "device": "cpu"}
    fixed |= {"threads": order.threads, "seed": order.seed}
    config = resolve("pixels", **merge(fixed, parse_overrides(order.settings, TrainConfig)))
    with tempfile.TemporaryDirectory(prefix="warpzone-") as folder:
        train(config, Path(folder) / "run", rom=order.rom, display=Display())
    return watch


def cleanrl(order: Order) -> Watch:
    """Trains with CleanRL's reading of PPO and its settings for Atari."""
    import torch
    from benchmarks import cleanrl_ppo

    torch.set_num_threads(order.threads)
    args, watch = cleanrl_ppo.Args(), Watch(order)
    envs = games(order, args.num_envs)
    watch.begin()
    cleanrl_ppo.train(envs, args, order.seed, watch.step)
    envs.close()
    return watch


def stable_baselines3(order: Order) -> Watch:
    """Trains with Stable-Baselines3 and the settings of its zoo for Atari."""
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback

    from warpzone.compat.sb3 import GamesVecEnv

    torch.set_num_threads(order.threads)
    chosen: dict[str, Any] = dict(SB3)
    envs = GamesVecEnv(games(order, chosen.pop("n_envs")))
    total = chosen.pop("total_timesteps")
    watch = Watch(order)

    # What Stable-Baselines3 has is not looked at by mypy, because it is not installed everywhere.
    class Callback(BaseCallback):  # type: ignore[misc]
        def _on_training_start(self) -> None:
            watch.begin()

        def _on_step(self) -> bool:
            infos = self.locals["infos"]
            cleared = [info["flag"] for info in infos if "episode" in info]
            return watch.step(self.num_timesteps, cleared)

    def falling(start: float) -> Callable[[float], float]:
        return lambda left: left * start

    chosen["learning_rate"] = falling(2.5e-4)
    chosen["clip_range"] = falling(0.1)
    model = PPO(env=envs, seed=order.seed, device="cpu", **chosen)
    model.learn(total, callback=Callback())
    return watch


LEARNERS: dict[str, Callable[[Order], Watch]] = {
    "warpzone": ours,
    "cleanrl-style": cleanrl,
    "stable-baselines3": stable_baselines3,
}


def missing(name: str) -> str | None:
    """Returns how to install what a learner needs, or None if it is there."""
    module = PEERS.get(name)
    if module is None or find_spec(module) is not None:
        return None
    return f"not installed: pip install {name}"


def main(name: str, text: str) -> None:
    """Runs one learner."""
    order = json.loads(text)
    order["settings"] = tuple(order.get("settings", ()))
    watch = LEARNERS[name](Order(**order))
    print(json.dumps(watch.result()))


if __name__ == "__main__":
    prepare_for_training()
    main(sys.argv[1], sys.argv[2])
