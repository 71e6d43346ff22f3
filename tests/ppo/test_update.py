"""Gradients of a minibatch do not depend on who computes them."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from warpzone.ppo.policy import ARRAY, Observation, Policy
from warpzone.ppo.update import Batch, Coefficients, Updater, losses
from warpzone.smb.config import EnvConfig
from warpzone.training.config import NetworkConfig, TrainConfig
from warpzone.training.networks import make_policy

SAMPLES, ACTIONS = 400, 5
COEFFICIENTS = Coefficients(lr=1e-3, entropy=0.01)

TILES = TrainConfig(network=NetworkConfig(hidden=(16, 16)), minibatch_size=300, update_epochs=1)
PICTURES = TrainConfig(
    env=EnvConfig(observation="pixels"),
    network=NetworkConfig(kind="tutorial", hidden=(16,)),
    minibatch_size=300,
    update_epochs=1,
)


def batch(config: TrainConfig) -> Batch:
    random = torch.Generator().manual_seed(0)

    def bytes_(*shape: int) -> torch.Tensor:
        return torch.randint(0, 256, (SAMPLES, *shape), generator=random, dtype=torch.uint8)

    observations: Observation
    if config.env.observation == "pixels":
        observations = {ARRAY: bytes_(4, 36, 36)}
    else:
        scalars = torch.randn(SAMPLES, 3, generator=random)
        observations = {"scalars": scalars, "tiles": bytes_(2, 4, 4)}
    return Batch(
        observations,
        torch.randint(0, ACTIONS, (SAMPLES,), generator=random),
        torch.randn(SAMPLES, ACTIONS, generator=random).log_softmax(1),
        torch.randn(SAMPLES, generator=random),
        torch.randn(SAMPLES, generator=random),
    )


def policy(config: TrainConfig, samples: Batch) -> Policy:
    torch.manual_seed(1)
    shapes = {name: tuple(array.shape[1:]) for name, array in samples.observations.items()}
    return make_policy(config.network, shapes, ACTIONS)


@pytest.mark.parametrize("config", [TILES, PICTURES], ids=["tiles", "pictures"])
@pytest.mark.parametrize("count", [300, 100, 1])
@pytest.mark.parametrize("threads", [1, 3])
def test_gradients_and_losses_are_those_of_the_whole_minibatch(
    config: TrainConfig, count: int, threads: int
) -> None:
    samples = batch(config)
    whole, shared = policy(config, samples), policy(config, samples)
    index = torch.randperm(SAMPLES, generator=torch.Generator().manual_seed(2))[:count]
    chosen = {name: array[index] for name, array in samples.observations.items()}
    fields = (samples.actions, samples.log_probs, samples.advantages, samples.targets)
    loss, parts = losses(whole, Batch(chosen, *(f[index] for f in fields)), config, COEFFICIENTS)
    loss.backward()  # type: ignore[no-untyped-call]
    updater = Updater(shared, samples.observations, config, threads)
    found = updater.compute_gradients(samples, index, COEFFICIENTS)
    for name, part in parts.items():
        torch.testing.assert_close(found[name], part, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(shared.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-5)
        assert ours.grad is not None
        # Fused Adam pairs weights and gradients by their place in memory.
        assert ours.grad.stride() == ours.stride()


@pytest.mark.parametrize("config", [TILES, PICTURES], ids=["tiles", "pictures"])
def test_every_sample_is_learnt_from_once_an_epoch(config: TrainConfig) -> None:
    samples, seen = batch(config), []
    updater = Updater(policy(config, samples), samples.observations, config, 2)
    real = updater.compute_gradients

    def note(
        batch: Batch, index: torch.Tensor, coefficients: Coefficients
    ) -> dict[str, torch.Tensor]:
        seen.append(index)
        return real(batch, index, coefficients)

    updater.compute_gradients = note  # type: ignore[method-assign]
    updater.update(samples, torch.Generator().manual_seed(3), COEFFICIENTS)
    assert [len(index) for index in seen] == [300, 100]
    assert sorted(torch.cat(seen).tolist()) == list(range(SAMPLES))


def test_a_failure_in_a_helper_reaches_the_caller() -> None:
    samples = batch(TILES)
    updater = Updater(policy(TILES, samples), samples.observations, TILES, 2)
    index = torch.arange(300)
    index[-1] = SAMPLES + 7  # no such sample, in the helper's shard
    with pytest.raises((IndexError, RuntimeError)):
        updater.compute_gradients(samples, index, COEFFICIENTS)


@pytest.mark.parametrize("config", [TILES, PICTURES], ids=["tiles", "pictures"])
def test_weights_do_not_depend_on_the_number_of_threads(config: TrainConfig) -> None:
    samples = batch(config)
    policies = [policy(config, samples) for _ in range(3)]
    for learnt, threads in zip(policies, (1, 2, 16), strict=True):
        updater = Updater(learnt, samples.observations, config, threads)
        updater.update(samples, torch.Generator().manual_seed(3), COEFFICIENTS)
        updater.close()
    for one, *others in zip(*(p.parameters() for p in policies), strict=True):
        assert all(torch.equal(one, other) for other in others)


def test_a_distillation_policy_draws_only_where_it_says_something() -> None:
    samples = batch(TILES)
    agent = policy(TILES, samples)
    shown = torch.randn(SAMPLES, ACTIONS, generator=torch.Generator().manual_seed(3)).log_softmax(1)
    mask = (torch.arange(SAMPLES) % 4 == 0).float()
    told = dataclasses.replace(samples, distillation_log_probs=shown, distillation_mask=mask)
    weighed = dataclasses.replace(COEFFICIENTS, distillation=0.5)
    plain, without = losses(agent, samples, TILES, weighed)
    loss, parts = losses(agent, told, TILES, weighed)
    with torch.no_grad():
        log_probs = agent(samples.observations)[0].log_softmax(1)
    distance = (shown.exp() * (shown - log_probs)).sum(1)[mask == 1].sum() / SAMPLES
    torch.testing.assert_close(parts["losses/distillation_kl"], distance)
    torch.testing.assert_close(loss - plain, 0.5 * distance)
    assert "losses/distillation_kl" not in without
    assert not parts["losses/distillation_kl"].requires_grad


def test_a_fresh_policy_chooses_almost_evenly() -> None:
    samples = batch(TILES)
    with torch.no_grad():
        logits, _ = policy(TILES, samples)(samples.observations)
    torch.testing.assert_close(
        logits.softmax(1), torch.full((SAMPLES, ACTIONS), 1 / ACTIONS), rtol=0.25, atol=0
    )
