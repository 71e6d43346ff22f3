"""The native learner computes what autograd does: forward, losses, gradients and updates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.toy import Corridor, toy_config

import warpzone._native as _native
from warpzone.errors import ConfigError, WarpzoneError
from warpzone.ppo.config import PPOConfig
from warpzone.ppo.policy import ARRAY, Observation, Policy
from warpzone.ppo.update import Batch, Coefficients, Updater, losses
from warpzone.smb.config import EnvConfig
from warpzone.smb.spaces import observation_space
from warpzone.training.config import NetworkConfig
from warpzone.training.learner import Learner
from warpzone.training.native_update import (
    BFLOAT16,
    NativePolicy,
    NativeUpdater,
    kernels_for,
    why_not_native,
)
from warpzone.training.networks import make_policy

KERNELS = _native.learn_kernels()
EXACT = [name for name in KERNELS if name != BFLOAT16]
TILES = observation_space(EnvConfig(observation="tiles"))


def policy_of(
    hidden: tuple[int, ...], actions: int, shapes: dict[str, tuple[int, ...]], **network: Any
) -> Policy:
    torch.manual_seed(len(hidden) + actions)
    policy = make_policy(NetworkConfig(hidden=hidden, **network), shapes, actions)
    with torch.no_grad():  # heads begin near 0, biases at it
        for parameter in policy.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return policy


def batch_like(
    shapes: dict[str, tuple[int, ...]],
    count: int,
    actions: int,
    *,
    density: float = 0.1,
    distillation: bool = False,
    seed: int = 0,
) -> Batch:
    """Samples with a common background from which a share `density` differs."""
    random = torch.Generator().manual_seed(seed)

    def bytes_(*shape: int) -> torch.Tensor:
        return torch.randint(0, 256, shape, generator=random, dtype=torch.uint8)

    def where(*shape: int, share: float = density) -> torch.Tensor:
        return torch.rand(*shape, generator=random) < share

    observations: Observation = {}
    for name, shape in shapes.items():
        size = (count, *shape)
        if name == "scalars":
            common = torch.randn(shape, generator=random) * where(*shape, share=0.5)
            observations[name] = torch.where(
                where(*size), torch.randn(size, generator=random), common
            )
        else:
            plain = bytes_(*shape) * where(*shape, share=0.3)
            observations[name] = torch.where(where(*size), bytes_(*size), plain)
    return Batch(
        observations,
        torch.randint(0, actions, (count,), generator=random),
        torch.randn(count, actions, generator=random).log_softmax(1),
        torch.randn(count, generator=random),
        torch.randn(count, generator=random),
        torch.randn(count, actions, generator=random).log_softmax(1) if distillation else None,
        where(count, share=0.5).float() if distillation else None,
    )


def assert_same_gradients(
    policy: Policy, batch: Batch, config: PPOConfig, coefficients: Coefficients, **how: Any
) -> None:
    index = torch.randperm(len(batch.actions), generator=torch.Generator().manual_seed(1))
    index = index[: config.minibatch_size]
    chosen = batch.rows(index, {k: torch.empty_like(v) for k, v in batch.observations.items()})
    loss, parts = losses(policy, chosen, config, coefficients)
    expected = torch.autograd.grad(loss, list(policy.parameters()))
    updater = NativeUpdater(NativePolicy(policy, how["kernels"]), config, how.get("threads", 1))
    found, sums = updater.compute_gradients(batch, index, coefficients)
    assert sums.keys() == parts.keys()
    for name, part in parts.items():
        assert sums[name] == pytest.approx(float(part), rel=1e-4, abs=1e-5), name
    for ours, theirs in zip(found, expected, strict=True):
        # Samples pull against each other: what is left may be little beside what they were.
        scale = max(float(theirs.abs().max()), 1.0)
        torch.testing.assert_close(ours / scale, theirs / scale, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kernels", EXACT)
@pytest.mark.parametrize("objective", ["clip", "kl"])
@pytest.mark.parametrize("hidden", [(256, 128), (64,), (33, 7), (40, 24, 20, 16)])
def test_gradients_and_losses_are_those_of_autograd(
    hidden: tuple[int, ...], objective: Any, kernels: str
) -> None:
    shapes = {name: tuple(box.shape) for name, box in TILES.spaces.items()}  # type: ignore[attr-defined]
    features = len(hidden) == 2
    policy = policy_of(hidden, 7, shapes, piecewise_linear=features)
    batch = batch_like(shapes, 300, 7, distillation=objective == "kl")
    config = PPOConfig(objective=objective, minibatch_size=200, value_coef=0.7, policy_coef=1.3)
    coefficients = Coefficients(lr=1e-3, entropy=0.02, beta=0.6, distillation=0.4)
    assert_same_gradients(policy, batch, config, coefficients, kernels=kernels, threads=2)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_gradients_are_right_for_any_network_batch_and_coefficients(data: Any) -> None:
    def draw(strategy: Any) -> Any:
        return data.draw(strategy)

    shapes: dict[str, tuple[int, ...]] = {}
    if draw(st.booleans()):
        shapes[ARRAY] = (draw(st.integers(0, 40)),)
    if draw(st.booleans()) or shapes.get(ARRAY, (0,)) == (0,):
        shapes["scalars"] = (draw(st.integers(1, 20)),)
    hidden = tuple(draw(st.lists(st.integers(1, 70), min_size=1, max_size=4)))
    actions, count = draw(st.integers(1, 20)), draw(st.integers(1, 150))
    coefficient = st.floats(0, 3, width=32)
    config = PPOConfig(
        objective=draw(st.sampled_from(["clip", "kl"])),
        clip=draw(st.floats(0.05, 1.5)),
        policy_coef=draw(coefficient),
        value_coef=draw(coefficient),
        minibatch_size=draw(st.integers(1, count)),
    )
    coefficients = Coefficients(1e-3, draw(coefficient), draw(coefficient), draw(coefficient))
    batch = batch_like(
        shapes,
        count,
        actions,
        density=draw(st.sampled_from([0.0, 0.1, 1.0])),
        distillation=draw(st.booleans()),
        seed=draw(st.integers(0, 99)),
    )
    policy = policy_of(hidden, actions, shapes)
    kernels, threads = draw(st.sampled_from(EXACT)), draw(st.integers(1, 3))
    assert_same_gradients(policy, batch, config, coefficients, kernels=kernels, threads=threads)


@pytest.mark.parametrize("kernels", KERNELS)
def test_it_decides_as_the_policy(kernels: str) -> None:
    shapes = {name: tuple(box.shape) for name, box in TILES.spaces.items()}  # type: ignore[attr-defined]
    policy = policy_of((48, 40), 12, shapes, piecewise_linear=True)
    observations = batch_like(shapes, 70, 12).observations
    native = NativePolicy(policy, kernels)
    for _ in range(2):
        with torch.no_grad():
            for ours, theirs in zip(native(observations), policy(observations), strict=True):
                tolerance = 2e-2 if kernels == BFLOAT16 else 1e-5
                torch.testing.assert_close(ours, theirs, rtol=10 * tolerance, atol=tolerance)
            policy.heads.weight.mul_(2)  # what has changed is not seen before `refresh`
        assert not torch.allclose(native(observations)[1], policy(observations)[1])
        native.refresh({name: array[:40] for name, array in observations.items()})


def updates(policy: Policy, batch: Batch, updater: Any, count: int) -> list[dict[str, float]]:
    shuffle = torch.Generator().manual_seed(5)
    return [updater.update(batch, shuffle, Coefficients(2e-4, 0.01)) for _ in range(count)]


def pair_of_policies() -> tuple[Policy, Policy, Batch, PPOConfig]:
    shapes = {name: tuple(box.shape) for name, box in TILES.spaces.items()}  # type: ignore[attr-defined]
    batch = batch_like(shapes, 512, 7, density=0.03)
    ours, theirs = (policy_of((64, 32), 7, shapes) for _ in range(2))
    with torch.no_grad():
        batch.log_probs[:] = ours(batch.observations)[0].log_softmax(1)
    return ours, theirs, batch, PPOConfig(minibatch_size=100, update_epochs=2)


def flat(policy: Policy) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in policy.parameters()])


@pytest.mark.parametrize("objective", ["clip", "kl"])
def test_twenty_updates_stay_with_those_of_pytorch(objective: Any) -> None:
    """After 240 gradient steps they are apart by less than a hundredth of the way that they went:
    usually a millionth, more once a sample's ratio has come to lie beyond the clip in one alone."""
    ours, theirs, batch, config = pair_of_policies()
    config = config.model_copy(update={"objective": objective})
    start = flat(theirs)
    found = updates(ours, batch, NativeUpdater(NativePolicy(ours, EXACT[0]), config, 1), 20)
    expected = updates(theirs, batch, Updater(theirs, batch.observations, config, 1), 20)
    assert found[0] == pytest.approx(expected[0], rel=1e-4, abs=1e-6)
    assert found[-1] == pytest.approx(expected[-1], rel=0.1, abs=1e-2)
    assert (flat(ours) - flat(theirs)).norm() < 0.01 * (flat(theirs) - start).norm()


@pytest.mark.skipif(BFLOAT16 not in KERNELS, reason="needs a processor with AVX512_BF16")
@pytest.mark.parametrize("hidden", [(256, 128), (33, 7), (100, 64, 50)])
def test_bfloat16_gradients_point_where_those_of_float32_do(hidden: tuple[int, ...]) -> None:
    shapes = {name: tuple(box.shape) for name, box in TILES.spaces.items()}  # type: ignore[attr-defined]
    policy, batch = policy_of(hidden, 7, shapes), batch_like(shapes, 301, 7)
    index, coefficients = torch.arange(301), Coefficients(1e-3, 0.02)
    rounded, exact = (
        NativeUpdater(NativePolicy(policy, kernels), PPOConfig(), 2).compute_gradients(
            batch, index, coefficients
        )
        for kernels in (BFLOAT16, EXACT[0])
    )
    assert rounded[1] == pytest.approx(exact[1], rel=1e-2, abs=1e-2)
    for ours, theirs in zip(rounded[0], exact[0], strict=True):
        assert torch.nn.functional.cosine_similarity(ours.flatten(), theirs.flatten(), 0) > 0.999
        assert float(ours.norm()) == pytest.approx(float(theirs.norm()), rel=1e-2)


def test_amp_chooses_the_loops() -> None:
    assert kernels_for(None) == KERNELS[0]
    assert kernels_for(False) == EXACT[0]
    assert kernels_for(True) == (BFLOAT16 if BFLOAT16 in KERNELS else None)


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("threads", [2, 3, 16])
def test_weights_do_not_depend_on_the_number_of_threads(threads: int, kernels: str) -> None:
    ours, theirs, batch, config = pair_of_policies()
    one = NativeUpdater(NativePolicy(ours, kernels), config, 1)
    many = NativeUpdater(NativePolicy(theirs, kernels), config, threads)
    assert updates(ours, batch, one, 3) == updates(theirs, batch, many, 3)
    for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, its)
    for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
        states = one.optimizer.state[mine], many.optimizer.state[its]
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
        assert int(states[0]["step"]) == 3 * 2 * 6


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_observations_read_beforehand_are_learnt_from_alike(threads: int) -> None:
    ours, theirs, batch, config = pair_of_policies()
    at_once = NativeUpdater(NativePolicy(ours), config, threads)
    beforehand = NativeUpdater(NativePolicy(theirs), config, threads)
    # What was begun, and for some reason never ended, is nothing to the next one.
    beforehand.begin({name: array[:9].flip(0) for name, array in batch.observations.items()})
    for count in (512, 300):
        part = Batch(
            {name: array[:count] for name, array in batch.observations.items()},
            *(batch.actions[:count], batch.log_probs[:count]),
            *(batch.advantages[:count], batch.targets[:count]),
        )
        beforehand.begin(part.observations)
        assert updates(ours, part, at_once, 1) == updates(theirs, part, beforehand, 1)
    for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, its)


def test_threads_that_still_read_may_be_ended() -> None:
    ours, _, batch, config = pair_of_policies()
    for _ in range(20):
        updater = NativeUpdater(NativePolicy(ours), config, 3)
        updater.begin({name: array.clone() for name, array in batch.observations.items()})
        updater.close()


def test_the_optimiser_goes_on_where_pytorch_was() -> None:
    ours, theirs, batch, config = pair_of_policies()
    reference = Updater(theirs, batch.observations, config, 1)
    first = Updater(ours, batch.observations, config, 1)
    updates(ours, batch, first, 2)
    updates(theirs, batch, reference, 2)
    native = NativeUpdater(NativePolicy(ours, EXACT[0]), config, 2)
    native.optimizer.load_state_dict(first.optimizer.state_dict())
    updates(ours, batch, native, 2)
    updates(theirs, batch, reference, 2)
    for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
        scale = float(its.detach().abs().max())
        torch.testing.assert_close(mine / scale, its / scale, rtol=0, atol=1e-4)


def test_a_loss_that_is_no_number_is_told() -> None:
    ours, _, batch, config = pair_of_policies()
    batch.advantages[3] = float("nan")
    with pytest.raises(WarpzoneError, match="diverged"):
        updates(ours, batch, NativeUpdater(NativePolicy(ours), config, 1), 1)


def test_what_it_cannot_do_is_refused_or_left_to_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    def learner(**changes: Any) -> Learner:
        config = toy_config(**changes)
        return Learner(config, Corridor(config.env, config.num_envs, 2, config.seed))

    assert isinstance(learner().updater, NativeUpdater)
    assert isinstance(learner(learner="torch").updater, Updater)
    monkeypatch.setattr(_native, "learn_kernels", lambda: EXACT)  # of another processor
    assert isinstance(learner(amp=True).updater, Updater)
    with pytest.raises(ConfigError, match="AVX512_BF16"):
        learner(amp=True, learner="native")
    pictures = {
        "env": EnvConfig(observation="pixels", size=(40, 40), frame_stack=2),
        "network": NetworkConfig(kind="tutorial", hidden=(16,)),
    }
    assert isinstance(learner(**pictures).updater, Updater)
    with pytest.raises(ConfigError, match="kind tiles"):
        learner(**pictures, learner="native")
    two = policy_of((8,), 3, {"a": (4,), "b": (4,)})
    assert "one array of bytes" in str(why_not_native(two, torch.device("cpu")))
    assert "CPU" in str(why_not_native(two, torch.device("cuda")))


def test_arrays_that_do_not_fit_are_refused() -> None:
    policy = policy_of((8, 8), 3, {ARRAY: (5,), "scalars": (2,)})
    native = NativePolicy(policy)
    network, weights = native.network, [p.detach().numpy() for p in native.parameters]
    with pytest.raises(ValueError, match="parameter 0 has 56 values, not 8"):
        network.use([weights[1], *weights[1:]])
    with pytest.raises(ValueError, match="an array for each"):
        network.use(weights[1:])
    with pytest.raises(ValueError, match="do not fit"):
        network.decide(
            np.zeros((2, 4), np.uint8),
            np.zeros((2, 2), np.float32),
            np.zeros((2, 3), np.float32),
            np.zeros(2, np.float32),
        )
    learner = _native.Learner(network, 1)
    nothing = np.zeros(0, np.float32)
    with pytest.raises(ValueError, match="begin reading them first"):
        learner.read(np.zeros(0, np.int64), np.zeros((0, 3), np.float32), nothing, nothing)
    with pytest.raises(ValueError, match="do not fit"):
        learner.begin_reading(np.zeros((2, 5), np.uint8), np.zeros((1, 2), np.float32))
    with pytest.raises(ValueError, match="read them first"):
        learner.gradients(np.zeros(1, np.int64), _native.Objective())
    with pytest.raises(ValueError, match="has no kernels sse9"):
        NativePolicy(policy, "sse9")
    updater = NativeUpdater(native, PPOConfig(minibatch_size=2), 1)
    batch = batch_like({ARRAY: (5,), "scalars": (2,)}, 4, 3)
    with pytest.raises(ValueError, match="not there"):
        updater.compute_gradients(batch, torch.tensor([4]), Coefficients(1e-3, 0.0))
    batch.actions[0] = 3
    with pytest.raises(ValueError, match="actions that are not there"):
        updater.compute_gradients(batch, torch.tensor([0]), Coefficients(1e-3, 0.0))
