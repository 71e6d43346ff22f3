"""Learning by several ranks: each computes the gradients of those samples of a minibatch that its
own games have played, their sum is taken over all ranks, and all make the same step.

The order of samples is drawn as for one process that has all games, so that any number of ranks
learns the same, but for the rounding of sums.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from warpzone.errors import ConfigError
from warpzone.ppo.config import PPOConfig
from warpzone.ppo.policy import Observation, Policy
from warpzone.ppo.rollout import Rollout
from warpzone.ppo.update import Batch, Coefficients, Distill, Updater, batch_of
from warpzone.training.native_update import NativePolicy, NativeUpdater, fitting_kernels
from warpzone.training.ranks import Ranks

MOST_LOSSES = 8
"""Losses of an update, at the most."""


class OwnSamples:
    """Which samples of a rollout of all ranks are this one's.

    Args:
        games: of all ranks.
        own: this rank's of them.
    """

    def __init__(self, games: int, own: slice) -> None:
        self.games, self.own = games, own

    def of(self, samples: Tensor) -> Tensor:
        """Returns those of `samples` int64 [b], t·N + i each, that are this rank's: numbers in its
        own rollout, in their order."""
        games = samples % self.games
        own = (games >= self.own.start) & (games < self.own.stop)
        steps = samples[own] // self.games
        found: Tensor = steps * (self.own.stop - self.own.start) + games[own] - self.own.start
        return found


class RankedUpdater(Updater):
    """`Updater` over the samples of all ranks."""

    def __init__(
        self,
        policy: Policy,
        samples: Observation,
        config: PPOConfig,
        threads: int,
        ranks: Ranks,
        own: OwnSamples,
    ) -> None:
        super().__init__(policy, samples, config, threads)
        self.ranks, self.own, self.parts = ranks, own, ranks.size

    def compute_gradients(
        self, batch: Batch, index: Tensor, coefficients: Coefficients
    ) -> dict[str, Tensor]:
        """Sets the gradients to those of the samples `index` of all ranks; returns their losses."""
        own = self.own.of(index)
        share = len(own) / len(index)
        if not share:  # any sample tells which losses there are
            own = index[:1] * 0
        parts = super().compute_gradients(batch, own, coefficients)
        numbers = [*self.gradients, *(part.float() for part in parts.values())]
        flat = torch.cat([number.flatten() for number in numbers]) * share
        self.ranks.sum(flat)
        sums = torch.split(flat, [number.numel() for number in numbers])
        for gradient, total in zip(self.gradients, sums, strict=False):
            gradient.copy_(total.view(gradient.shape))
        losses = sums[len(self.gradients) :]
        return {name: total[0] for name, total in zip(parts, losses, strict=True)}


class RankedNativeUpdater(NativeUpdater):
    """`NativeUpdater` over the samples of all ranks."""

    def __init__(
        self, policy: NativePolicy, config: PPOConfig, threads: int, ranks: Ranks, own: OwnSamples
    ) -> None:
        super().__init__(policy, config, threads)
        self.ranks, self.own, self.parts = ranks, own, ranks.size
        self.numbers = sum(parameter.numel() for parameter in policy.parameters)

    def _epochs(self, orders: list[Tensor], coefficients: Coefficients) -> dict[str, float]:
        config, objective = self.config, self._objective(coefficients)
        sums: dict[str, float] = {}
        for order in orders:
            sums = {}
            for index in torch.split(order, config.minibatch_size):
                # Losses go along with the gradients: each message takes its time.
                flat = np.zeros(self.numbers + MOST_LOSSES, np.float32)
                gradients, losses = flat[: self.numbers], flat[self.numbers :]
                own = self.own.of(index).numpy()
                parts = self.learner.differentiate(own, objective, len(index), gradients)
                losses[: len(parts)] = list(parts.values())
                self.ranks.sum(torch.from_numpy(flat))
                for name, loss in zip(parts, losses, strict=False):
                    sums[name] = sums.get(name, 0.0) + float(loss)
                self.learner.descend(
                    gradients, coefficients.lr, config.adam_eps, config.max_grad_norm
                )
            self.learner.end_epoch()
        return sums


def batch_of_ranks(
    rollout: Rollout, config: PPOConfig, distill: Distill | None, ranks: Ranks
) -> tuple[Batch, float]:
    """Returns what this rank learns from, with advantages that are normalised over all ranks, and
    what share of the variance of all targets the critic explains."""
    batch = batch_of(rollout, config.model_copy(update={"normalize_advantage": False}), distill)
    if config.normalize_advantage:
        normal = ranks.normalized(batch.advantages, rollout.tasks.flatten())
        batch = replace(batch, advantages=normal)
    errors = batch.targets - rollout.values[:-1].flatten()
    unexplained, variance = ranks.variances([errors, batch.targets])
    return batch, 1 - unexplained / variance if variance > 0 else 0.0


def updater_for(
    decider: Policy | NativePolicy,
    rollout: Rollout,
    config: PPOConfig,
    threads: int,
    ranks: Ranks,
) -> Updater | NativeUpdater:
    """Returns what learns from a rollout, natively where `decider` is native, together with other
    ranks if there are any."""
    samples, games = rollout.samples, rollout.actions.shape[1]
    own = OwnSamples(rollout.stride, slice(ranks.rank * games, (ranks.rank + 1) * games))
    if isinstance(decider, NativePolicy):
        if ranks.size == 1:
            return NativeUpdater(decider, config, threads)
        return RankedNativeUpdater(decider, config, threads, ranks, own)
    if ranks.size == 1:
        return Updater(decider, samples, config, threads)
    return RankedUpdater(decider, samples, config, threads, ranks, own)


def agree_on(device: torch.device, native: bool, amp: bool | None, ranks: Ranks) -> str | None:
    """Returns the name of the native loops that all ranks use, which may have other processors: the
    fastest that all have; None where they do not learn natively.

    Raises:
        ConfigError: some learn natively and some not, on CPUs and on GPUs, or have no such loops in
            common.
    """
    ways = [device.type, "native code" if native else "PyTorch"]
    found = ranks.gather([ways, fitting_kernels(amp)])
    if any(other != ways for other, _ in found):
        told = "; ".join(f"rank {rank}: {', '.join(how)}" for rank, (how, _) in enumerate(found))
        raise ConfigError(
            f"ranks must compute in the same way, and do not ({told}): set device and learner"
        )
    if not native:
        return None
    for name in found[0][1]:
        if all(name in names for _, names in found):
            return str(name)
    raise ConfigError("the ranks' processors have no loops in common for amp: set it to false")
