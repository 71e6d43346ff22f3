"""Gradient steps towards targets that stay."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.pqn.test_network import ACTIONS, WIDTH, Trunk

from warpzone.errors import WarpzoneError
from warpzone.pqn.network import QNetwork
from warpzone.pqn.update import Batch, Updater

SAMPLES = 40


def batch(target: float | None = None) -> Batch:
    random = torch.Generator().manual_seed(3)
    scalars = torch.randn(SAMPLES, WIDTH, generator=random)
    actions = torch.randint(ACTIONS, (SAMPLES,), generator=random)
    learnt = actions.float() - scalars[:, 0]
    targets = learnt if target is None else torch.full_like(learnt, target)
    return Batch({"scalars": scalars}, actions, targets)


def updater(**changes: Any) -> Updater:
    torch.manual_seed(0)
    settings = {"lr": 0.01, "eps": 1e-5, "epochs": 1, "minibatch_size": 16, "max_grad_norm": 10.0}
    network = QNetwork(Trunk(), WIDTH, ACTIONS)
    return Updater(network, batch().observations, **{**settings, **changes})


def test_one_step_is_the_gradient_of_half_the_squared_error_of_what_was_done() -> None:
    """Of all samples in one minibatch: their order does not count."""
    learning = updater(minibatch_size=SAMPLES, max_grad_norm=None)
    samples = batch()
    values = learning.network.q_values(samples.observations)
    errors = [
        0.5 * (values[i, int(samples.actions[i])] - samples.targets[i]) ** 2 for i in range(SAMPLES)
    ]
    loss = torch.stack(errors).mean()
    expected = torch.autograd.grad(loss, list(learning.network.parameters()))
    told = learning.update(samples, torch.Generator().manual_seed(0), 0.01)
    for parameter, gradient in zip(learning.network.parameters(), expected, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, gradient)
    assert told["losses/td_loss"] == pytest.approx(float(loss.detach()))


def test_every_sample_is_learnt_from_once_an_epoch_and_the_loss_falls() -> None:
    learning, samples = updater(epochs=3), batch()
    seen: list[int] = []
    step = learning._step

    def note(batch: Batch, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen.extend(rows.tolist())
        return step(batch, rows)

    learning._step = note  # type: ignore[method-assign]
    shuffle = torch.Generator().manual_seed(0)
    first = learning.update(samples, shuffle, 0.01)["losses/td_loss"]
    epochs = [seen[i : i + SAMPLES] for i in range(0, len(seen), SAMPLES)]
    assert len(epochs) == 3
    assert all(sorted(epoch) == list(range(SAMPLES)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    for _ in range(60):
        last = learning.update(samples, shuffle, 0.01)["losses/td_loss"]
    assert last < 0.1 * first


def test_long_gradients_are_shortened() -> None:
    learning = updater(minibatch_size=SAMPLES, max_grad_norm=0.1)
    learning.update(batch(target=50.0), torch.Generator().manual_seed(0), 0.01)
    norms = [p.grad.norm() for p in learning.network.parameters() if p.grad is not None]
    assert float(torch.stack(norms).norm()) == pytest.approx(0.1, rel=1e-3)


def test_a_loss_that_is_no_number_ends_the_training_with_a_remedy() -> None:
    with pytest.raises(WarpzoneError, match=r"training diverged: .*td_loss.*lower learning rate"):
        updater().update(batch(target=float("inf")), torch.Generator().manual_seed(0), 0.01)
