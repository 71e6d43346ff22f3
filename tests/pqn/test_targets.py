"""Q(λ) targets, against a slow and obvious loop."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from warpzone.pqn.targets import q_lambda


def slow_q_lambda(
    rewards: torch.Tensor,
    next_values: torch.Tensor,
    ended: torch.Tensor,
    gamma: float,
    lam: float,
) -> torch.Tensor:
    """Each target by itself: the mean of the returns of 1, 2, 3 … steps, of which each that is
    longer counts λ times as much, and the longest that there is has what is left of the weight."""
    steps, games = rewards.shape
    result = torch.zeros_like(rewards)
    for game in range(games):
        for start in range(steps):
            seen = torch.zeros((), dtype=rewards.dtype)
            weight = 1.0
            for t in range(start, steps):
                seen = seen + gamma ** (t - start) * rewards[t, game]
                whole = seen + gamma ** (t - start + 1) * next_values[t, game]
                if ended[t, game] or t == steps - 1:
                    result[start, game] += weight * whole
                    break
                result[start, game] += weight * (1 - lam) * whole
                weight *= lam
    return result


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**31),
    steps=st.integers(1, 12),
    games=st.integers(1, 4),
    gamma=st.floats(0, 1),
    lam=st.floats(0, 1),
)
def test_targets_are_the_weighted_returns_within_each_episode_of_each_game(
    seed: int, steps: int, games: int, gamma: float, lam: float
) -> None:
    random = torch.Generator().manual_seed(seed)
    rewards, next_values = torch.randn(2, steps, games, generator=random, dtype=torch.float64)
    ended = torch.rand(steps, games, generator=random) < 0.3
    arguments = (rewards, next_values, ended, gamma, lam)
    torch.testing.assert_close(q_lambda(*arguments), slow_q_lambda(*arguments))


def test_an_end_pays_what_it_pays_and_a_cut_counts_what_was_seen_last() -> None:
    rewards = torch.tensor([[1.0], [2.0], [4.0]])
    terminal = q_lambda(
        rewards, torch.tensor([[9.0], [0.0], [8.0]]), torch.tensor([[False], [True], [False]]),
        0.5, 1.0,
    )  # fmt: skip
    assert terminal.flatten().tolist() == [2.0, 2.0, 8.0]
    cut = q_lambda(
        rewards, torch.tensor([[9.0], [6.0], [8.0]]), torch.tensor([[False], [True], [False]]),
        0.5, 1.0,
    )  # fmt: skip
    assert cut.flatten().tolist() == [3.5, 5.0, 8.0]


def test_without_lambda_a_target_is_one_step_and_the_networks_value() -> None:
    random = torch.Generator().manual_seed(0)
    rewards, next_values = torch.randn(2, 5, 3, generator=random)
    ended = torch.zeros(5, 3, dtype=torch.bool)
    torch.testing.assert_close(
        q_lambda(rewards, next_values, ended, 0.9, 0.0), rewards + 0.9 * next_values
    )
