from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

import warpzone._native as _native
from warpzone.errors import ConfigError
from warpzone.ppo.policy import ARRAY, Observation, Policy, Shapes
from warpzone.training import networks
from warpzone.training.config import NetworkConfig
from warpzone.training.networks import make_policy
from warpzone.training.presets import PRESETS

TILES: Shapes = {"scalars": (5,), "tiles": (3, 4, 4)}
CASES = [
    ("tiles", TILES),
    ("tiles", {ARRAY: (2048,)}),
    ("cnn", {ARRAY: (4, 84, 84)}),
    ("cnn", {ARRAY: (240, 256, 3)}),
    ("tutorial", {ARRAY: (4, 84, 84)}),
    ("patches", {ARRAY: (2, 84, 84)}),
    ("patches", {ARRAY: (3, 40, 50)}),
    ("patches", {ARRAY: (96, 90, 3)}),
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


@pytest.mark.parametrize("shape", [(2, 84, 84), (3, 40, 50), (240, 256, 3)])
def test_patches_are_convolutions_that_do_not_overlap(shape: tuple[int, ...]) -> None:
    policy, observation = make("patches", {ARRAY: shape}), observe({ARRAY: shape}, 5)
    trunk: Any = policy.trunk
    picture, colour = observation[ARRAY], shape[2] == 3
    x = (picture.permute(0, 3, 1, 2) if colour else picture).float()
    x = F.pad(x, (0, -x.shape[3] % 12, 0, -x.shape[2] % 12), value=128.0)
    x = (x - 128) / 64
    for embedding, side in ((trunk.first, 4), (trunk.second, 3)):
        weight = embedding.weight
        if colour or side == 3:
            weight = weight.unflatten(1, (side, side, -1)).permute(0, 3, 1, 2)
        else:
            weight = weight.unflatten(1, (-1, side, side))
        x = torch.relu(F.conv2d(x, weight, embedding.bias, stride=side))
    x = x.permute(0, 2, 3, 1).flatten(1)
    x = torch.relu(trunk.dense[0](x))
    torch.testing.assert_close(trunk(observation), x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(2, 84, 84), (4, 12, 24), (1, 36, 24), (1, 24, 36)])
@pytest.mark.parametrize("wide", [2, 4, 12])
def test_patches_are_cut_natively_as_by_torch(shape: tuple[int, ...], wide: int) -> None:
    pictures = observe({ARRAY: shape}, 3)[ARRAY]
    expected = networks._cut_and_centre(pictures, 4, wide)
    assert torch.equal(networks._cut_natively(pictures, 4, wide), expected)
    # Of memory that does not lie in one piece.
    turned = pictures.flip(0).transpose(0, 1).contiguous().transpose(0, 1)
    assert torch.equal(networks._cut_natively(turned, 4, wide), expected.flip(0))


def test_pictures_that_are_not_whole_patches_are_refused_by_native_code() -> None:
    pictures = np.zeros((2, 1, 12, 14), np.uint8)
    out = np.zeros(pictures.size, np.int8)
    for high, wide in ((4, 4), (5, 2), (0, 2), (4, 0)):
        with pytest.raises(ValueError, match="whole patches"):
            _native.cut_patches(pictures, high, wide, out)
    with pytest.raises(ValueError, match="as many bytes"):
        _native.cut_patches(pictures, 4, 2, out[1:].copy())


def test_patches_need_a_tenth_of_the_multiplications_of_convolutions() -> None:

    def multiplications(network: NetworkConfig, frames: int) -> int:
        shapes: Shapes = {ARRAY: (frames, 84, 84)}
        policy = make_policy(network, shapes, 7)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            policy(observe(shapes, 1))
        return int(counter.get_total_flops()) // 2

    preset = PRESETS["pixels"]
    ours = multiplications(preset.network, preset.env.frame_stack)
    assert multiplications(NetworkConfig(kind="cnn", hidden=(512,)), 4) > 10 * ours > 0


def test_embeddings_are_as_wide_as_asked_for() -> None:
    shapes: Shapes = {ARRAY: (3, 84, 84)}
    network = NetworkConfig(kind="patches", embeddings=(5, 7), hidden=(9,))
    policy = make_policy(network, shapes, 4)
    sizes = {name: tuple(weight.shape) for name, weight in policy.trunk.named_parameters()}
    assert sizes["first.weight"] == (5, 3 * 4 * 4)
    assert sizes["second.weight"] == (7, 5 * 3 * 3)
    assert sizes["dense.0.weight"] == (9, 7 * 7 * 7)
    assert policy(observe(shapes, 2))[0].shape == (2, 4)


def test_too_small_a_picture_is_an_error() -> None:
    with pytest.raises(ConfigError, match="too small"):
        make("cnn", {ARRAY: (4, 20, 20)})


@pytest.mark.parametrize("kind", ["cnn", "patches", "tutorial"])
@pytest.mark.parametrize("shape", [(84, 84), (2, 2, 84, 84), (0, 84, 84), (2, 84, 0)])
def test_what_is_no_picture_is_an_error(kind: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="sees a picture of three extents"):
        make_policy(NetworkConfig(kind=kind, hidden=(8,)), {ARRAY: shape}, 4)
    with pytest.raises(ConfigError, match="sees a picture of three extents"):
        make_policy(NetworkConfig(kind=kind, hidden=(8,)), {"scalars": (3,)}, 4)


def test_numbers_that_are_no_vector_are_an_error() -> None:
    with pytest.raises(ConfigError, match=r"must be a vector, and has the shape \(2, 2\)"):
        make_policy(NetworkConfig(hidden=(8,)), {"tiles": (3,), "scalars": (2, 2)}, 4)
