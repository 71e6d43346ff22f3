"""A Q-network has the face of a policy: ε-greedy actions, and the value of the greedy one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from warpzone.noise import gumbel
from warpzone.pqn.network import QNetwork

WIDTH, ACTIONS = 6, 4


class Trunk(nn.Module):
    def forward(self, observation: dict[str, torch.Tensor]) -> torch.Tensor:
        return observation["scalars"]


def network() -> QNetwork:
    torch.manual_seed(0)
    return QNetwork(Trunk(), WIDTH, ACTIONS)


def shown(count: int = 20, scale: float = 1.0) -> dict[str, torch.Tensor]:
    return {
        "scalars": scale * torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(1))
    }


@pytest.mark.parametrize("epsilon", [1e-6, 0.01, 0.3, 1.0])
def test_logits_are_the_log_probabilities_of_epsilon_greedy_actions(epsilon: float) -> None:
    policy = network()
    policy.epsilon = epsilon
    logits, values = policy(shown())
    q_values = policy.q_values(shown())
    best = q_values.argmax(1)
    expected = torch.full_like(q_values, epsilon / ACTIONS)
    expected[torch.arange(20), best] += 1 - epsilon
    torch.testing.assert_close(logits.exp(), expected)
    assert torch.equal(values, q_values.max(1).values)
    assert torch.isfinite(logits).all()


def test_actions_that_are_drawn_by_noise_are_random_as_often_as_epsilon_says() -> None:
    policy = network()
    policy.epsilon = 0.4
    logits, _ = policy(shown(20_000))
    drawn = (logits + torch.from_numpy(gumbel(7, 0, (20_000, ACTIONS)))).argmax(1)
    other = (drawn != policy.q_values(shown(20_000)).argmax(1)).float().mean()
    assert float(other) == pytest.approx(0.4 * (ACTIONS - 1) / ACTIONS, abs=0.015)


def test_features_of_any_size_give_values_of_one_size() -> None:
    """What layer normalisation is for: values stay bounded whatever the trunk does."""
    policy = network()
    torch.testing.assert_close(
        policy.q_values(shown(scale=100.0)), policy.q_values(shown()), rtol=1e-3, atol=1e-3
    )


def test_epsilon_is_none_of_the_weights() -> None:
    assert set(network().state_dict()) == {
        *("norm.weight", "norm.bias", "heads.weight", "heads.bias"),
    }
