"""Playing for a GPU, on the CPU: the rollout of the plain loop, and what is waited for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from tests.support.toy import Corridor
from torch.utils._python_dispatch import TorchDispatchMode

from warpzone import hardware
from warpzone.nes.rom import Rom
from warpzone.ppo.policy import Policy, shapes_of
from warpzone.ppo.rollout import Rollout, VectorEnv, collect
from warpzone.ppo.update import Coefficients, Updater, batch_of
from warpzone.smb.config import EnvConfig
from warpzone.smb.vector_env import MarioVectorEnv
from warpzone.training.config import NetworkConfig, TrainConfig
from warpzone.training.gpu_rollout import GpuPlayer
from warpzone.training.networks import make_policy

CPU = torch.device("cpu")
STEPS, GAMES = 40, 6
ARRAYS = ("values", "actions", "log_probs", "rewards", "ended", "tasks", "truncated_values")
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "is_nonzero")
"""Operations whose results the processor needs before it can go on."""


def a_policy(env: VectorEnv, kind: Any = "tiles") -> Policy:
    torch.manual_seed(0)
    shapes = shapes_of(env.single_observation_space)
    config = NetworkConfig(kind=kind, hidden=(16,))
    return make_policy(config, shapes, int(env.single_action_space.n))


def corridor(rom: Rom) -> Any:
    """Views that are rubbish after the next send, and nothing is written to `out`."""
    return Corridor(EnvConfig(levels={"1-1": 1.0, "1-2": 1.0}), GAMES, 2, seed=3)


def games(config: EnvConfig, rom: Rom) -> MarioVectorEnv:
    env = MarioVectorEnv(num_envs=GAMES, config=config, num_groups=2, threads=1, rom=rom)
    env.reset(seed=3)
    return env


def tiles(rom: Rom) -> Any:
    return games(
        EnvConfig(observation="tiles", noop_max=30, max_steps=15, no_progress_steps=10), rom
    )


def pixels(rom: Rom) -> Any:
    return games(EnvConfig(observation="pixels", size=(42, 42), max_steps=15), rom)


@pytest.mark.parametrize(("make", "kind"), [(corridor, "tiles"), (tiles, "tiles"), (pixels, "cnn")])
def test_rollouts_are_those_of_the_plain_loop(
    rom: Rom, make: Callable[[Rom], Any], kind: str
) -> None:
    told: list[list[tuple[int, list[float]]]] = [[], []]
    found: list[list[dict[str, torch.Tensor]]] = [[], []]
    for which in range(2):
        with closing(make(rom)) as env:
            policy, rollout = a_policy(env, kind), Rollout(STEPS, env, CPU)
            player = GpuPlayer(env, rollout)

            def on_step(first: int, step: Any, told: Any = told[which]) -> None:
                told.append((first, step.reward.tolist()))

            for turn in range(2):
                at = (5, turn * STEPS * GAMES)
                if which == 0:
                    collect(env, policy, rollout, *at, on_step)
                else:
                    player.play(policy, *at, on_step)
                arrays = {name: getattr(rollout, name) for name in ARRAYS} | rollout.observations
                found[which].append({name: array.clone() for name, array in arrays.items()})
    assert told[0] == told[1]
    for plain, other in zip(*found, strict=True):
        assert plain["ended"].any()
        assert (plain["truncated_values"] != 0).any()
        for name, array in plain.items():
            assert torch.equal(array, other[name]), name


def test_a_step_waits_for_its_actions_and_for_nothing_else(
    rom: Rom, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []

    class Event:
        def __init__(self) -> None:
            self.name = f"event {len(events)}"
            events.append(self)

        def record(self) -> None:
            log.append(f"{self.name} recorded")

        def synchronize(self) -> None:
            log.append(f"{self.name} waited for")

    events: list[Event] = []
    monkeypatch.setattr(GpuPlayer, "event", lambda _: Event())
    with closing(tiles(rom)) as env:
        policy, rollout = a_policy(env), Rollout(2, env, CPU)
        player = GpuPlayer(env, rollout)
        original = env.send

        def send(group: int, actions: np.ndarray, out: Any = None) -> None:
            assert out is player.outs[group]
            log.append(f"group {group} sent")
            original(group, actions, out)

        monkeypatch.setattr(env, "send", send)
        player.play(policy, 0, 0, lambda *_: None)
    each = [
        what
        for group in range(2)
        for what in (f"event {group} recorded", f"event {group} waited for", f"group {group} sent")
    ]
    assert log == ["event 2 waited for", *each, *each, "event 2 recorded"]


class _Waits(TorchDispatchMode):
    """Counts operations that wait for their result."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = Counter[str]()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        masked = name.startswith("index") and any(
            index is not None and index.dtype == torch.bool
            for index in (args[1] if isinstance(args[1], list | tuple) else ())
        )
        if masked or name in WAITS:
            self.count[name] += 1
        return func(*args, **(kwargs or {}))


@contextmanager
def waits() -> Iterator[Counter[str]]:
    with _Waits() as mode:
        yield mode.count


def test_the_count_of_waits_can_fail() -> None:
    with waits() as count:
        float(torch.ones(1).sum())
        torch.ones(3)[torch.ones(3) > 0]
    assert count["_local_scalar_dense"] == 1
    assert count["index"] == 1


def test_no_step_of_a_rollout_waits_for_a_result(rom: Rom) -> None:
    with closing(tiles(rom)) as env:
        policy, rollout = a_policy(env), Rollout(STEPS, env, CPU)
        player = GpuPlayer(env, rollout)
        with waits() as count:
            player.play(policy, 0, 0, lambda *_: None)
    assert not count


@pytest.mark.parametrize("objective", ["clip", "kl"])
def test_no_gradient_step_waits_for_a_result(rom: Rom, objective: Any) -> None:
    """However many minibatches there are, only the losses of an epoch are looked at."""
    counts = []
    with closing(tiles(rom)) as env:
        policy, rollout = a_policy(env), Rollout(STEPS, env, CPU)
        collect(env, policy, rollout, 0, 0, lambda *_: None)
        for minibatch in (16, 120):
            config = TrainConfig(objective=objective, minibatch_size=minibatch, update_epochs=2)
            batch = batch_of(rollout, config)
            updater = Updater(policy, rollout.samples, config, 1)
            with waits() as count:
                updater.update(batch, torch.Generator(), Coefficients(lr=1e-3, entropy=0.01))
            updater.close()
            counts.append(count)
    assert counts[0] == counts[1]
    assert set(counts[0]) == {"_local_scalar_dense"}


def test_a_tensor_for_the_cpu_is_not_pinned() -> None:
    tensor = torch.arange(3)
    assert hardware.to_device(tensor, CPU) is tensor


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_rollouts_on_a_gpu_are_those_of_the_plain_loop_there(rom: Rom) -> None:
    device = torch.device("cuda")
    with closing(tiles(rom)) as env:
        policy = a_policy(env).to(device)
        plain, other = Rollout(STEPS, env, device), Rollout(STEPS, env, device)
        state = env.save_state()
        collect(env, policy, plain, 0, 0, lambda *_: None)
        env.load_state(state)
        GpuPlayer(env, other).play(policy, 0, 0, lambda *_: None)
    for name in ARRAYS:
        assert torch.equal(getattr(plain, name), getattr(other, name)), name
