"""The mathematics, against slow and obvious versions of the same formulas."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Categorical, kl_divergence

from warpzone.ppo import losses as ppo


def slow_gae(
    rewards: torch.Tensor,
    values: torch.Tensor,
    next_values: torch.Tensor,
    ended: torch.Tensor,
    gamma: float | torch.Tensor,
    lam: float,
) -> torch.Tensor:
    """Each advantage by itself, as the sum of the errors up to the end of its own episode."""
    discounts = torch.as_tensor(gamma, dtype=rewards.dtype).expand(rewards.shape)
    steps, games = rewards.shape
    result = torch.zeros(steps, games, dtype=rewards.dtype)
    for game in range(games):
        for start in range(steps):
            weight = torch.ones((), dtype=rewards.dtype)
            for t in range(start, steps):
                discount = discounts[t, game]
                error = rewards[t, game] + discount * next_values[t, game] - values[t, game]
                result[start, game] += weight * error
                weight = weight * discount * lam
                if ended[t, game]:
                    break
    return result


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**31),
    steps=st.integers(1, 12),
    games=st.integers(1, 4),
    gamma=st.floats(0, 1),
    lam=st.floats(0, 1),
)
def test_gae_sums_errors_within_each_episode_of_each_game(
    seed: int, steps: int, games: int, gamma: float, lam: float
) -> None:
    random = torch.Generator().manual_seed(seed)
    rewards, values, next_values = torch.randn(
        3, steps, games, generator=random, dtype=torch.float64
    )
    ended = torch.rand(steps, games, generator=random) < 0.3
    each = torch.rand(steps, games, generator=random, dtype=torch.float64)
    for discount in (gamma, each):
        arguments = (rewards, values, next_values, ended, discount, lam)
        torch.testing.assert_close(ppo.gae(*arguments), slow_gae(*arguments))


def test_gae_of_one_game_ignores_the_games_beside_it() -> None:
    random = torch.Generator().manual_seed(0)
    rewards, values, next_values = torch.randn(3, 20, 5, generator=random)
    ended = torch.rand(20, 5, generator=random) < 0.2
    together = ppo.gae(rewards, values, next_values, ended, 0.99, 0.95)
    for game in range(5):
        column = slice(game, game + 1)
        alone = ppo.gae(
            rewards[:, column],
            values[:, column],
            next_values[:, column],
            ended[:, column],
            0.99,
            0.95,
        )
        torch.testing.assert_close(together[:, column], alone)


def test_gae_before_an_episodes_end_ignores_what_comes_after_it() -> None:
    rewards, values, next_values = torch.ones(3, 6, 1)
    ended = torch.tensor([0, 0, 1, 0, 0, 0], dtype=torch.bool)[:, None]
    before = ppo.gae(rewards, values, next_values, ended, 0.9, 0.9)
    rewards[3:] = 1000.0
    after = ppo.gae(rewards, values, next_values, ended, 0.9, 0.9)
    torch.testing.assert_close(before[:3], after[:3])


def test_ratio_comes_from_log_probabilities_and_is_exact_for_rare_actions() -> None:
    # With a probability of 1e-4, π / (π_old + 1e-3) would be 0.09 of an unchanged policy.
    log_prob = torch.tensor([math.log(1e-4)])
    advantage = torch.tensor([2.0])
    assert ppo.clipped_loss(log_prob - log_prob, advantage, 0.2).item() == pytest.approx(-2.0)
    doubled = torch.tensor([math.log(1.1)])
    assert ppo.clipped_loss(doubled, advantage, 0.2).item() == pytest.approx(-2.2)


@pytest.mark.parametrize(
    ("ratio", "advantage", "objective"),
    [
        (1.5, 1.0, 1.2),  # gains are limited …
        (0.5, -1.0, -0.8),
        (0.5, 1.0, 0.5),  # … losses are not
        (1.5, -1.0, -1.5),
    ],
)
def test_clipped_objective(ratio: float, advantage: float, objective: float) -> None:
    loss = ppo.clipped_loss(torch.tensor([ratio]).log(), torch.tensor([advantage]), 0.2)
    assert loss.item() == pytest.approx(-objective)


def test_clipped_objective_has_no_gradient_beyond_the_clip() -> None:
    log_ratio = torch.tensor([math.log(1.5), math.log(1.1)], requires_grad=True)
    ppo.clipped_loss(log_ratio, torch.tensor([1.0, 1.0]), 0.2).backward()  # type: ignore[no-untyped-call]
    assert log_ratio.grad is not None
    assert log_ratio.grad[0] == 0
    assert log_ratio.grad[1] < 0


def test_entropy_and_kl_are_those_of_whole_distributions() -> None:
    random = torch.Generator().manual_seed(1)
    old, new = torch.randn(2, 10, 7, generator=random)
    p, q = Categorical(logits=old), Categorical(logits=new)
    old_log, new_log = old.log_softmax(1), new.log_softmax(1)
    torch.testing.assert_close(ppo.entropy(new_log), q.entropy())  # type: ignore[no-untyped-call]
    torch.testing.assert_close(ppo.kl(old_log, new_log), kl_divergence(p, q))


def test_entropy_gradient_flattens_the_distribution_whatever_was_drawn() -> None:
    logits = torch.tensor([[2.0, 0.0, 0.0]], requires_grad=True)
    ppo.entropy(logits.log_softmax(1)).sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad[0, 0] < 0
    assert (logits.grad[0, 1:] > 0).all()


def test_penalty_objective() -> None:
    log_ratio, advantages = torch.tensor([1.2, 0.9]).log(), torch.tensor([1.0, -1.0])
    loss = ppo.penalty_loss(log_ratio, advantages, kl=torch.tensor([0.1, 0.3]), beta=2.0)
    assert loss.item() == pytest.approx(-(1.2 - 0.9) / 2 + 2.0 * 0.2)


@pytest.mark.parametrize(
    ("kl", "beta"),
    [
        *((0.001, 0.5), (0.007, 1.0), (0.01, 1.0), (0.0149, 1.0), (0.016, 2.0)),
        *((0.01 / 1.5, 1.0), (0.01 * 1.5, 1.0)),  # as far as that, and no further
    ],
)
def test_penalty_weight_follows_the_divergence(kl: float, beta: float) -> None:
    assert ppo.adapt_beta(1.0, kl, 0.01) == beta


def test_normalisation_is_separate_for_each_level() -> None:
    random = torch.Generator().manual_seed(2)
    # With two of them, each other one is all others.
    levels = torch.tensor([0, 5, 7, 0] * 25).reshape(20, 5)
    advantages = torch.randn(20, 5, generator=random)
    advantages = torch.where(levels == 5, advantages * 100 + 1000, advantages)
    normal = ppo.normalize(advantages, levels)
    for level in (0, 5, 7):
        chosen = normal[levels == level]
        assert chosen.mean().item() == pytest.approx(0, abs=1e-4)
        assert chosen.std(correction=0).item() == pytest.approx(1, abs=1e-4)


def test_normalisation_of_equal_advantages_is_zero() -> None:
    assert (ppo.normalize(torch.full((3, 2), 4.0), torch.zeros(3, 2)) == 0).all()


def test_sampling_draws_with_the_probabilities_of_the_policy() -> None:
    probabilities = torch.tensor([0.5, 0.3, 0.15, 0.05])
    draws = 40_000
    logits = probabilities.log().expand(draws, 4) + 3.0
    actions = ppo.sample(logits, torch.Generator().manual_seed(3))
    observed = torch.bincount(actions, minlength=4) / draws
    # Four standard deviations of a binomial share.
    bound = 4 * (probabilities * (1 - probabilities) / draws).sqrt()
    assert ((observed - probabilities).abs() < bound).all()


def test_sampling_never_draws_the_impossible() -> None:
    logits = torch.tensor([[0.0, -math.inf]]).expand(1000, 2)
    assert (ppo.sample(logits, torch.Generator().manual_seed(4)) == 0).all()


def test_explained_variance() -> None:
    targets = torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert ppo.explained_variance(targets, targets) == 1
    assert ppo.explained_variance(torch.full((4,), 2.5), targets) == pytest.approx(0)
    assert ppo.explained_variance(-targets, targets) < 0
    assert ppo.explained_variance(targets, torch.ones(4)) == 0
