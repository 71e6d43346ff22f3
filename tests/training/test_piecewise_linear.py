"""Positions in finer detail: what they are in real games, and agents that did not have them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.support.toy import Corridor, toy_config

import warpzone
from warpzone import _native
from warpzone.errors import ConfigError
from warpzone.ppo.policy import Policy, Shapes
from warpzone.training.agent_file import save_agent
from warpzone.training.config import NetworkConfig
from warpzone.training.initial_weights import begin_with
from warpzone.training.learner import Learner
from warpzone.training.networks import make_policy
from warpzone.training.piecewise_linear import OBJECTS, PiecewiseLinear

SHAPES: Shapes = {"tiles": _native.TILE_SHAPE, "scalars": (_native.SCALARS,)}
MARIO = 16 + 16 + 13 + 11
EACH = 13 + 7


def hat(value: float, centre: float) -> float:
    return max(0.0, 1.0 - abs(value - centre))


def test_features_of_real_games() -> None:
    """Against the definition, number by number, from the scalars of games in play."""
    env = warpzone.make_vec(num_envs=8, levels="1-1", observation="tiles", seed=3)
    random = np.random.default_rng(3)
    env.reset(seed=3)
    seen = []
    for step in range(150):
        observation, *_ = env.step(random.integers(0, 5, 8))
        if step % 10 == 0:
            seen.append(observation["scalars"].copy())
    env.close()
    scalars = np.concatenate(seen)
    layer = PiecewiseLinear()
    out = layer(torch.from_numpy(scalars)).numpy()
    assert out.shape == (120, _native.SCALARS + layer.size)
    np.testing.assert_array_equal(out[:, : _native.SCALARS], scalars)
    features = out[:, _native.SCALARS :]
    assert layer.size == MARIO + OBJECTS * EACH
    objects = 0
    for row, values in zip(features, scalars, strict=True):
        expected = [hat(values[0] * 16, c) for c in range(16)]
        expected += [hat(values[1] * 16, c) for c in range(16)]
        expected += [hat(values[3] * 6, c) for c in range(-6, 7)]
        expected += [hat(values[4] * 5, c) for c in range(-5, 6)]
        for i in range(OBJECTS):
            there, x, y = values[_native.MARIO_SCALARS + i * _native.OBJECT_SCALARS :][:3]
            objects += int(there)
            expected += [there * hat(x * 16, c) for c in range(-4, 9)]
            expected += [there * hat(y * 8, c) for c in range(-3, 4)]
        np.testing.assert_allclose(row, expected, atol=1e-5)
        # Mario's place in his tile is one of 16 pixels.
        assert sorted(row[:16]) == [0.0] * 15 + [1.0]
    assert objects > 20


def test_an_object_that_is_not_there_has_none() -> None:
    scalars = torch.zeros(1, _native.SCALARS)
    assert not PiecewiseLinear()(scalars)[0, _native.SCALARS + MARIO :].any()


def agent(path: Path, refined: bool, hidden: tuple[int, ...] = (8,)) -> tuple[Policy, Path]:
    config = toy_config()
    trained = Learner(config, Corridor(config.env, config.num_envs, 2, 0))
    network = NetworkConfig(hidden=hidden, piecewise_linear=refined)
    policy = make_policy(network, SHAPES, 3)
    info = trained.agent_info().model_copy(
        update={"network": network, "shapes": SHAPES, "actions": 3}
    )
    save_agent(path, policy.state_dict(), info)
    trained.close()
    return policy, path


def looks(n: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    planes = torch.randint(0, 256, (n, *SHAPES["tiles"]), generator=generator)
    scalars = torch.rand(n, *SHAPES["scalars"], generator=generator) - 0.5
    return {"tiles": planes.to(torch.uint8), "scalars": scalars}


@pytest.mark.parametrize("before", [False, True])
def test_an_agent_goes_on_as_it_was_when_it_gets_them(tmp_path: Path, before: bool) -> None:
    old, file = agent(tmp_path / "old.safetensors", refined=before)
    new = make_policy(NetworkConfig(hidden=(8,), piecewise_linear=True), SHAPES, 3)
    begin_with(new, str(file))
    with torch.no_grad():
        for had, has in zip(old(looks(20)), new(looks(20)), strict=True):
            torch.testing.assert_close(had, has)


def test_it_cannot_lose_them_or_change_its_size(tmp_path: Path) -> None:
    _, file = agent(tmp_path / "old.safetensors", refined=True)
    for network in (NetworkConfig(hidden=(8,)), NetworkConfig(hidden=(9,), piecewise_linear=True)):
        with pytest.raises(ConfigError, match="set env and network as they were"):
            begin_with(make_policy(network, SHAPES, 3), str(file))


def test_without_scalars_there_is_nothing_to_refine() -> None:
    shapes: Shapes = {"array": (2048,)}
    policy = make_policy(NetworkConfig(hidden=(8,), piecewise_linear=True), shapes, 3)
    assert sum(math.prod(p.shape) for p in policy.parameters()) == (2048 + 1) * 8 + 9 * 4
