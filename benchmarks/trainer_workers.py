"""A trainer over one kind of environments, for `benchmarks.trainers`: Stable-Baselines3's PPO here,
others in `benchmarks.trainer_contestants`.

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
from typing import Any

import gymnasium
import numpy as np
from benchmarks.trainer_contestants import NEEDS as OTHERS_NEED
from benchmarks.trainer_contestants import (
    OTHERS,
    ROLLOUT,
    SETTINGS,
    Contestant,
    Drawn,
    Order,
)

from warpzone.bench import workers
from warpzone.process import prepare_for_training

WARMUP_SECONDS = 1.0
PICTURES: dict[str, Any] = {"observation": "pixels", **SETTINGS}


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
NEEDS = {
    **{name: {"stable_baselines3": "stable-baselines3"} for name in MAKERS},
    **OTHERS_NEED,
}
"""Modules that a contestant needs, and the packages that have them."""
NEEDS["stable-retro-pixels"] |= {"stable_retro": "stable-retro", "cv2": "opencv-python-headless"}
NAMES = (*MAKERS, *OTHERS)
"""All that can be measured."""


IN_PROCESSES = ("processes-tiles", "processes-pixels", "stable-retro-pixels")
"""Whose processor time is not this process's."""


def missing(name: str) -> str | None:
    """Returns how to install what a contestant needs, or None if it is there."""
    needed = NEEDS.get(name, {}).items()
    packages = [package for module, package in needed if find_spec(module) is None]
    return f"not installed: pip install {' '.join(packages)}" if packages else None


def rate(
    step: Callable[[], int], seconds: float, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Returns how many steps a second are made by calling `step`, which says how many it made."""
    counted, began = 0, clock()
    while (spent := clock() - began) < seconds or counted == 0:
        counted += step()
    return counted / spent


def stable_baselines3(name: str, order: Order) -> Contestant:
    """Returns PPO of Stable-Baselines3 over the environments of that name."""
    from stable_baselines3 import PPO

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

    drawn = Drawn(int(envs.action_space.n), order.games)

    def play() -> int:
        envs.step(drawn())
        return order.games

    return Contestant(collect, envs.reset, play, envs.close)


def measure(name: str, order: Order) -> dict[str, Any]:
    """Returns agent steps per second of all games together: `collected`, by the trainer with its
    policy, and `stepped`, with random actions and no policy."""
    import torch

    torch.set_num_threads(order.threads)
    made = OTHERS[name](order) if name in OTHERS else stable_baselines3(name, order)
    clock = time.process_time if order.cpu else time.perf_counter
    rate(made.collect, WARMUP_SECONDS, clock)
    result: dict[str, Any] = {"collected": rate(made.collect, order.seconds, clock)}
    made.begin()
    result["stepped"] = rate(made.play, order.seconds, clock)
    made.close()
    packages = {"torch", "gymnasium", *NEEDS.get(name, {}).values()}
    packages = {package.partition("[")[0] for package in packages}
    return {**result, "versions": {package: version(package) for package in sorted(packages)}}


def main(name: str, text: str) -> None:
    """Measures one contestant."""
    print(json.dumps(measure(name, Order(**json.loads(text)))))


if __name__ == "__main__":
    prepare_for_training()
    main(sys.argv[1], sys.argv[2])
