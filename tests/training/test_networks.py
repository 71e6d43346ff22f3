from __future__ import annotations

from typing import Any

import pytest
import torch

from warpzone.errors import ConfigError
from warpzone.ppo.policy import ARRAY, Observation, Policy, Shapes
from warpzone.training.config import NetworkConfig
from warpzone.training.networks import make_policy

TILES: Shapes = {"scalars": (5,), "tiles": (3, 4, 4)}
CASES = [
    ("tiles", TILES),
    ("tiles", {ARRAY: (2048,)}),
    ("cnn", {ARRAY: (4, 84, 84)}),
    ("cnn", {ARRAY: (240, 256, 3)}),
    ("tutorial", {ARRAY: (4, 84, 84)}),
]


def observe(shapes: Shapes, rows: int, seed: int = 0) -> Observation:
    random = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(rows, *shape, generator=random)
        if name == "scalars"
        else torch.randint(0, 256, (rows, *shape), generator=random, dtype=torch.uint8)
        for name, shape in shapes.items()
    }


def make(kind: str, shapes: Shapes, actions: int = 7) -> Policy:
    torch.manual_seed(0)
    hidden = (32, 16) if kind == "tiles" else (32,)
    return make_policy(NetworkConfig(kind=kind, hidden=hidden), shapes, actions)


@pytest.mark.parametrize(("kind", "shapes"), CASES)
def test_shapes_and_types(kind: str, shapes: Shapes) -> None:
    logits, values = make(kind, shapes)(observe(shapes, 6))
    assert logits.shape == (6, 7)
    assert values.shape == (6,)
    assert logits.dtype == values.dtype == torch.float32


@pytest.mark.parametrize(("kind", "shapes"), CASES)
def test_every_weight_gets_a_gradient(kind: str, shapes: Shapes) -> None:
    policy = make(kind, shapes)
    logits, values = policy(observe(shapes, 6))
    (logits.log_softmax(1)[:, 0].sum() + values.sum()).backward()
    for name, parameter in policy.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize(("kind", "shapes"), CASES)
def test_first_policy_is_nearly_uniform(kind: str, shapes: Shapes) -> None:
    logits, _ = make(kind, shapes)(observe(shapes, 6))
    assert (logits.softmax(1) - 1 / 7).abs().max() < 0.02


@pytest.mark.parametrize(("kind", "shapes"), CASES)
def test_bfloat16_is_close_to_float32(kind: str, shapes: Shapes) -> None:
    policy, observation = make(kind, shapes), observe(shapes, 6)
    with torch.no_grad():
        policy.heads.weight *= 10
        exact, exact_values = policy(observation)
        policy.amp = True
        rough, rough_values = policy(observation)
    torch.testing.assert_close(rough, exact, rtol=0.05, atol=0.05)
    torch.testing.assert_close(rough_values, exact_values, rtol=0.05, atol=0.5)
    assert not torch.equal(rough_values, exact_values)


def test_bytes_are_read_as_fractions_of_255() -> None:
    policy, observation = make("tiles", TILES), observe(TILES, 6)
    trunk = policy.trunk
    inputs = torch.cat([observation["tiles"].flatten(1) / 255, observation["scalars"]], 1)
    # To mypy what a module holds may be a tensor or a module.
    x = torch.relu(inputs @ trunk.weight + trunk.bias)  # type: ignore[operator]
    x = torch.relu(trunk.layers[0](x))  # type: ignore[index,operator]
    torch.testing.assert_close(policy.trunk(observation), x)


@pytest.mark.parametrize("hidden", [32, 64, 100, 256])
@pytest.mark.parametrize("shapes", [TILES, {ARRAY: (200,)}], ids=["scalars", "bytes only"])
def test_reading_only_what_is_set_changes_nothing(shapes: Shapes, hidden: int) -> None:
    torch.manual_seed(0)
    trunk: Any = make_policy(NetworkConfig(hidden=(hidden,)), shapes, 7).trunk
    observation = observe(shapes, 9)
    for array in observation.values():
        array[torch.rand(array.shape) < 0.9] = 0
        array[0] = 0
    bytes_ = observation["tiles" if "tiles" in shapes else ARRAY].flatten(1)
    bytes_[1] = 255
    scalars = observation.get("scalars", torch.empty(9, 0))
    given = torch.randn(9, hidden)
    found = []
    for out in (trunk(observation), trunk.dense_first(bytes_, scalars)):
        gradients = torch.autograd.grad(out, [trunk.weight, trunk.bias], given)
        found.append([out, *gradients])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_what_is_not_a_number_is_not_hidden() -> None:
    policy = make("tiles", TILES)
    with torch.no_grad():
        policy.trunk.bias[3] = torch.nan  # type: ignore[operator]
    assert policy(observe(TILES, 2))[0].isnan().all()


def test_an_observation_of_another_shape_is_refused() -> None:
    """By native code too, which would read beyond its arrays."""
    policy = make("tiles", TILES)
    with pytest.raises(ValueError, match="weights for 53 inputs, these are 32 and 5"):
        policy(observe({"scalars": (5,), "tiles": (2, 4, 4)}, 3))
    with pytest.raises(ValueError, match="as many rows"):
        policy({**observe(TILES, 3), "scalars": torch.zeros(2, 5)})


def test_tutorial_network_is_the_recipes() -> None:
    policy = make("tutorial", {ARRAY: (4, 84, 84)})
    shapes = {name: tuple(p.shape) for name, p in policy.trunk.named_parameters() if p.ndim > 1}
    assert shapes == {
        "first.weight": (32, 4, 3, 3),
        "others.0.weight": (32, 32, 3, 3),
        "others.1.weight": (32, 32, 3, 3),
        "others.2.weight": (32, 32, 3, 3),
        "dense.0.weight": (32, 32 * 6 * 6),
    }


def test_too_small_a_picture_is_an_error() -> None:
    with pytest.raises(ConfigError, match="too small"):
        make("cnn", {ARRAY: (4, 20, 20)})
