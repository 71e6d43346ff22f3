"""Other trainers than Stable-Baselines3 over our games, for `benchmarks.trainer_workers`.

Each plays with the network of its example in `examples/`, one or two dense layers on tiles, in the
way that its example has it play, and learns nothing. So does the agent that comes along, and what
it is exported as. Those of RLlib and of Tianshou want other versions of some packages than the rest
(docs/trainers.md): an environment with gymnasium 1.2.2 and pandas 2 has all of them.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
ROLLOUT = 16
"""Steps of each game between two looks at the clock."""
SETTINGS: dict[str, Any] = {"noop_max": 30, "no_progress_steps": 150}


class Order(NamedTuple):
    """What a worker is told."""

    games: int
    threads: int
    seconds: float
    rom: str
    cpu: bool = False
    """Whether seconds are those of the processor on this process, not of the clock."""


class Contestant(NamedTuple):
    """Something to measure.

    Attributes:
        collect: plays `ROLLOUT` steps of each game with a policy; returns how many steps of all.
        begin: is called once before `play`.
        play: steps all games, or some of them, once with random actions; returns how many.
        close: ends it.
    """

    collect: Callable[[], int]
    begin: Callable[[], object]
    play: Callable[[], int]
    close: Callable[[], object]


def example(name: str) -> Any:
    """Returns the module of a file in `examples/`."""
    file = ROOT / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"warpzone_example_{name}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


class Drawn:
    """Random actions, drawn before the clock runs."""

    def __init__(self, actions: int, games: int) -> None:
        self.actions = np.random.default_rng(0).integers(actions, size=(1009, games))
        self.at = 0

    def __call__(self) -> Any:
        """Returns int64 [games]."""
        self.at = (self.at + 1) % len(self.actions)
        return self.actions[self.at]


def one_file(order: Order) -> Contestant:
    """`examples/ppo.py` over `make_vec`."""
    import torch

    import warpzone

    ppo = example("ppo")
    envs = warpzone.make_vec(
        "1-1", order.games, threads=order.threads, rom=order.rom, seed=0, **SETTINGS
    )
    seen = ppo.flat(envs.reset(seed=0)[0])
    actions = len(envs.action_meanings)
    agent, drawn = ppo.Agent(seen.shape[1], actions), Drawn(actions, order.games)
    observations = torch.zeros(ROLLOUT, *seen.shape)

    def collect() -> int:
        nonlocal seen
        for step in range(ROLLOUT):
            observations[step] = seen
            with torch.no_grad():
                action, *_ = agent.get_action_and_value(seen)
            obs, *_ = envs.step(action.numpy())
            seen = ppo.flat(obs)
        return ROLLOUT * order.games

    def play() -> int:
        envs.step(drawn())
        return order.games

    return Contestant(collect, envs.reset, play, envs.close)


def envpool(order: Order) -> Contestant:
    """The same network over EnvPool's interface, which hands over half of the games at a time."""
    import torch

    from warpzone.compat import envpool as face

    ppo = example("ppo")
    half = max(1, order.games // 2)
    pool = face.make(
        "1-1",
        num_envs=2 * half,
        batch_size=half,
        num_threads=order.threads,
        seed=0,
        rom=order.rom,
        **SETTINGS,
    )
    pool.async_reset()
    obs, *_, info = pool.recv()
    seen = ppo.flat(obs)
    actions = int(pool.action_space.n)
    agent, drawn = ppo.Agent(seen.shape[1], actions), Drawn(actions, half)
    observations = torch.zeros(2 * ROLLOUT, *seen.shape)
    pool.send(drawn(), info["env_id"])

    def collect() -> int:
        for step in range(2 * ROLLOUT):
            obs, *_, info = pool.recv()
            observations[step] = ppo.flat(obs)
            with torch.no_grad():
                action, *_ = agent.get_action_and_value(observations[step])
            pool.send(action.numpy(), info["env_id"])
        return 2 * ROLLOUT * half

    def play() -> int:
        *_, info = pool.recv()
        pool.send(drawn(), info["env_id"])
        return half

    return Contestant(collect, lambda: None, play, pool.close)


def torchrl(order: Order) -> Contestant:
    """TorchRL's collector over `GymWrapper` around `make_vec`."""
    import torch
    from tensordict.nn import TensorDictModule, TensorDictSequential
    from torch import nn
    from torchrl.collectors import Collector
    from torchrl.envs import GymWrapper
    from torchrl.modules import ProbabilisticActor

    import warpzone

    def games() -> Any:
        return GymWrapper(
            warpzone.make_vec(
                "1-1",
                order.games,
                threads=order.threads,
                rom=order.rom,
                seed=0,
                autoreset="disabled",
                **SETTINGS,
            ),
            categorical_action_encoding=True,
        )

    env, other = games(), games()
    actions = int(env.action_spec.space.n)
    tiles = example("torchrl_ppo").Tiles()
    features = TensorDictModule(tiles, in_keys=["tiles", "scalars"], out_keys=["features"])
    head = TensorDictModule(nn.LazyLinear(actions), in_keys=["features"], out_keys=["logits"])
    actor = ProbabilisticActor(
        TensorDictSequential(features, head),
        in_keys=["logits"],
        distribution_class=torch.distributions.Categorical,
        return_log_prob=True,
    )
    with torch.no_grad():
        actor(env.reset())
    batch = ROLLOUT * order.games
    collector = Collector(env, actor, frames_per_batch=batch, total_frames=-1)
    batches = iter(collector)
    drawn, now = Drawn(actions, order.games), other.reset()

    def play() -> int:
        nonlocal now
        now["action"] = torch.from_numpy(drawn())
        _, now = other.step_and_maybe_reset(now)
        return order.games

    def close() -> None:
        collector.shutdown()
        other.close()

    return Contestant(lambda: int(next(batches).numel()), lambda: None, play, close)


def rllib(order: Order) -> Contestant:
    """An env runner of RLlib over `make_vec`."""
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.core.rl_module.rl_module import RLModuleSpec
    from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
    from ray.tune.registry import register_env

    import warpzone

    def games(context: Any) -> Any:
        return warpzone.make_vec(
            "1-1",
            context["num_envs"],
            threads=order.threads,
            rom=order.rom,
            autoreset="next_step",
            **SETTINGS,
        )

    register_env("warpzone", games)
    spec = RLModuleSpec(module_class=example("rllib_ppo").Tiles, model_config={"width": 256})
    config = (
        PPOConfig()
        .environment("warpzone")
        .env_runners(
            num_env_runners=0,
            num_envs_per_env_runner=order.games,
            gym_env_vectorize_mode="vector_entry_point",
        )
        .rl_module(rl_module_spec=spec)
        .debugging(seed=0, log_level="ERROR")
    )
    runner = SingleAgentEnvRunner(config=config, worker_index=0)
    drawn = Drawn(int(runner.env.single_action_space.n), order.games)

    def collect() -> int:
        return sum(len(found) for found in runner.sample(num_timesteps=ROLLOUT * order.games))

    def play() -> int:
        runner.env.step(drawn())
        return order.games

    return Contestant(collect, runner.env.reset, play, runner.stop)


def tianshou(order: Order) -> Contestant:
    """Tianshou's collector over single environments, one after the other."""
    from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
    from tianshou.data import Collector, VectorReplayBuffer
    from tianshou.env import DummyVectorEnv
    from tianshou.utils.net.common import Net

    os.environ["WARPZONE_ROM"] = order.rom  # which the example plays
    make = example("tianshou_dqn").make
    games, other = (DummyVectorEnv([partial(make, "1-1")] * order.games) for _ in range(2))
    one = make("1-1")
    actions = int(one.action_space.n)
    network = Net(
        state_shape=one.observation_space.shape, action_shape=actions, hidden_sizes=[256, 128]
    )
    policy = DiscreteQLearningPolicy(model=network, action_space=one.action_space, eps_training=0.1)
    buffer = VectorReplayBuffer(20_000, order.games)
    collector = Collector(policy, games, buffer, exploration_noise=True)
    collector.reset()
    drawn = Drawn(actions, order.games)

    def play() -> int:
        _, _, terminated, truncated, _ = other.step(drawn())
        ended = np.flatnonzero(terminated | truncated)
        if len(ended) > 0:
            other.reset(ended)
        return order.games

    def close() -> None:
        games.close()
        other.close()

    return Contestant(
        lambda: int(collector.collect(n_step=ROLLOUT * order.games).n_collected_steps),
        other.reset,
        play,
        close,
    )


def packaged(order: Order, suffix: str) -> Contestant:
    """The agent that comes along for 1-1, which takes its likeliest action; or, with a suffix, the
    program that `warpzone export` makes of it."""
    import torch

    from warpzone.agents.agent import Agent
    from warpzone.agents.export import export_agent

    agent = Agent.load("1-1")
    settings: dict[str, Any] = {"noop_max": 30, "repeat_action_probability": 0.0}
    envs = agent.make_envs("1-1", order.games, threads=order.threads, rom=order.rom, **settings)
    obs: Any = envs.reset(seed=0)[0]
    random, drawn = agent.random(0), Drawn(agent.info.actions, order.games)
    folder = tempfile.TemporaryDirectory(prefix="warpzone-benchmark-")
    file = Path(folder.name, f"agent{suffix}")
    if suffix:
        export_agent(agent, file)
    if suffix == ".onnx":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = order.threads
        session = onnxruntime.InferenceSession(file, options)
    elif suffix:
        program = torch.export.load(file).module()

    def decide() -> Any:
        if suffix == ".onnx":
            return session.run(["logits"], obs)[0].argmax(1)
        if suffix:
            with torch.inference_mode():
                seen = {name: torch.from_numpy(array) for name, array in obs.items()}
                return program(observation=seen)[0].argmax(1).numpy()
        return agent.act(obs, "argmax", random)

    def collect() -> int:
        nonlocal obs
        for _ in range(ROLLOUT):
            obs, *_ = envs.step(decide())
        return ROLLOUT * order.games

    def play() -> int:
        envs.step(drawn())
        return order.games

    def close() -> None:
        envs.close()
        folder.cleanup()

    return Contestant(collect, envs.reset, play, close)


OTHERS: dict[str, Callable[[Order], Contestant]] = {
    "one-file-tiles": one_file,
    "envpool-tiles": envpool,
    "torchrl-tiles": torchrl,
    "rllib-tiles": rllib,
    "tianshou-tiles": tianshou,
    "agent-tiles": partial(packaged, suffix=""),
    "onnx-tiles": partial(packaged, suffix=".onnx"),
    "export-tiles": partial(packaged, suffix=".pt2"),
}
NEEDS: dict[str, dict[str, str]] = {
    "torchrl-tiles": {"torchrl": "torchrl"},
    "rllib-tiles": {"tree": "ray[rllib]"},
    "tianshou-tiles": {"tianshou": "tianshou"},
    "onnx-tiles": {name: name for name in ("onnx", "onnxscript", "onnxruntime")},
}
"""Modules, and the packages that have them."""
