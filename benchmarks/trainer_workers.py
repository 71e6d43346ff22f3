"""Stable-Baselines3's PPO over one kind of environments, for `benchmarks.trainers`.

    python -m benchmarks.trainer_workers native-tiles '{"games": 8, "seconds": 3, …}'

writes one JSON object to standard output. Nothing is learnt: it collects rollouts, and steps the
same environments without a policy.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from warpzone.bench import workers
from warpzone.process import prepare_for_training

ROLLOUT = 16
"""Steps of each game between two looks at the clock."""
WARMUP_SECONDS = 1.0
SETTINGS: dict[str, Any] = {"noop_max": 30, "no_progress_steps": 150}
PICTURES: dict[str, Any] = {"observation": "pixels", **SETTINGS}


class Order(NamedTuple):
    """What a worker is told."""

    games: int
    threads: int
    seconds: float
    rom: str


class RetroEnv(gymnasium.Env[Any, Any]):
    """stable-retro's environment as ours is for the others: frame skip 4, 84×84 grey, stack of 4,
    an episode a life; pictures made by OpenCV, the fastest way that there is."""

    def __init__(self, rom: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="warpzone-benchmark-")
        settings = workers.Settings(Path(rom), 1, 1, 0, Path(self._folder.name))
        self._env, self._buttons = workers.retro_env(settings)
        shape = (workers.STACK, workers.SIZE, workers.SIZE)
        self.observation_space = gymnasium.spaces.Box(0, 255, shape, np.uint8)
        self.action_space = gymnasium.spaces.Discrete(len(self._buttons))
        self._pictures: workers.Pictures | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        picture, info = self._env.reset()
        if self._pictures is None:
            self._pictures = workers.Pictures(picture)
        self._pictures.begin(picture)
        return self._pictures.stack.copy(), info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self._pictures is not None
        total = 0.0
        for _ in range(workers.SKIP):
            picture, reward, terminated, truncated, info = self._env.step(self._buttons[action])
            total += float(reward)
            if terminated or truncated:
                break
        self._pictures.add(picture)
        return self._pictures.stack.copy(), total, terminated, truncated, info

    def close(self) -> None:
        self._env.close()
        self._folder.cleanup()


def _single(rom: str, settings: dict[str, Any]) -> Any:
    from stable_baselines3.common.monitor import Monitor

    import warpzone

    return Monitor(warpzone.make("1-1", rom=rom, **settings))


def _retro(rom: str) -> Any:
    from stable_baselines3.common.monitor import Monitor

    return Monitor(RetroEnv(rom))


def native(order: Order, settings: dict[str, Any]) -> Any:
    """Returns our games in native threads."""
    from warpzone.compat.sb3 import make_vec_env

    return make_vec_env("1-1", order.games, threads=order.threads, rom=order.rom, **settings)


def processes(order: Order, settings: dict[str, Any]) -> Any:
    """Returns our single environments, each in a process of its own."""
    from stable_baselines3.common.vec_env import SubprocVecEnv

    return SubprocVecEnv([partial(_single, order.rom, settings)] * order.games)


def in_turn(order: Order, settings: dict[str, Any]) -> Any:
    """Returns our single environments, one after the other in this process."""
    from stable_baselines3.common.vec_env import DummyVecEnv

    return DummyVecEnv([partial(_single, order.rom, settings)] * order.games)


def stable_retro(order: Order) -> Any:
    """Returns stable-retro's environments, of which a process can have one."""
    from stable_baselines3.common.vec_env import SubprocVecEnv

    return SubprocVecEnv([partial(_retro, order.rom)] * order.games)


MAKERS: dict[str, Callable[[Order], Any]] = {
    "native-tiles": partial(native, settings=SETTINGS),
    "in-turn-tiles": partial(in_turn, settings=SETTINGS),
    "processes-tiles": partial(processes, settings=SETTINGS),
    "native-pixels": partial(native, settings=PICTURES),
    "in-turn-pixels": partial(in_turn, settings=PICTURES),
    "processes-pixels": partial(processes, settings=PICTURES),
    "stable-retro-pixels": stable_retro,
}
NEEDS = {"stable-retro-pixels": {"stable_retro": "stable-retro", "cv2": "opencv-python-headless"}}
"""Modules beside Stable-Baselines3, and the packages that have them."""


def missing(name: str) -> str | None:
    """Returns how to install what a contestant needs, or None if it is there."""
    needed = {"stable_baselines3": "stable-baselines3", **NEEDS.get(name, {})}
    packages = [package for module, package in needed.items() if find_spec(module) is None]
    return f"not installed: pip install {' '.join(packages)}" if packages else None


def rate(step: Callable[[], int], seconds: float) -> float:
    """Returns how many steps a second are made by calling `step`, which says how many it made."""
    counted, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds or counted == 0:
        counted += step()
    return counted / spent


def measure(name: str, order: Order) -> dict[str, Any]:
    """Returns agent steps per second of all games together: `collected`, by PPO with its policy,
    and `stepped`, with random actions and no policy."""
    import torch
    from stable_baselines3 import PPO

    torch.set_num_threads(order.threads)
    envs = MAKERS[name](order)
    kind = "MultiInputPolicy" if name.endswith("tiles") else "CnnPolicy"
    if name.endswith("tiles"):
        from warpzone.compat.sb3 import TilesExtractor

        policy: dict[str, Any] = {"features_extractor_class": TilesExtractor}
    else:
        policy = {}
    model = PPO(
        kind,
        envs,
        n_steps=ROLLOUT,
        batch_size=ROLLOUT * order.games,
        seed=0,
        device="cpu",
        policy_kwargs=policy,
    )
    _, callback = model._setup_learn(1 << 40)
    callback.on_training_start({}, {})

    def collect() -> int:
        model.collect_rollouts(model.env, callback, model.rollout_buffer, ROLLOUT)
        return ROLLOUT * order.games

    drawn = np.random.default_rng(0).integers(int(envs.action_space.n), size=(1009, order.games))
    at = 0

    def play() -> int:
        nonlocal at
        at = (at + 1) % len(drawn)
        envs.step(drawn[at])
        return order.games

    rate(collect, WARMUP_SECONDS)
    result: dict[str, Any] = {"collected": rate(collect, order.seconds)}
    envs.reset()
    result["stepped"] = rate(play, order.seconds)
    envs.close()
    packages = ["stable-baselines3", "torch", "gymnasium"]
    packages += ["stable-retro"] if name.startswith("stable-retro") else []
    return {**result, "versions": {package: version(package) for package in packages}}


def main(name: str, text: str) -> None:
    """Measures one contestant."""
    print(json.dumps(measure(name, Order(**json.loads(text)))))


if __name__ == "__main__":
    prepare_for_training()
    main(sys.argv[1], sys.argv[2])
