"""What an algorithm is to a run: what `Learner` knows of it, and no more.

Games are played, episodes counted and checkpoints written in the same way whatever learns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch

from warpzone.ppo import losses as ppo
from warpzone.ppo.policy import Decide, Observation, Policy
from warpzone.ppo.rollout import Rollout
from warpzone.ppo.update import Batch, Coefficients, Distill, Updater, batch_of
from warpzone.pqn import update as pqn
from warpzone.pqn.network import QNetwork
from warpzone.training.config import TrainConfig
from warpzone.training.native_update import NativePolicy, NativeUpdater
from warpzone.training.ranked_update import batch_of_ranks, updater_for
from warpzone.training.ranks import ALONE, Ranks
from warpzone.training.recurrent import RecurrentPlayer, RecurrentUpdater
from warpzone.training.schedules import adapt_scale, scheduled

B = TypeVar("B")
"""What is learnt from a rollout."""

Amend = Callable[[Batch, float], Batch]
"""(batch, weight of distillation) → a batch with other samples beside its own."""


@dataclass(frozen=True)
class Moment:
    """How far a run has come, by which settings fall."""

    progress: float
    """Share of its steps, 0 to 1."""
    competence: float
    """See `Learner.competence`."""


class TakesSteps(Protocol):
    """What makes an algorithm's gradient steps."""

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """Returns Adam, or what has the same state: a checkpoint holds it."""

    def close(self) -> None:
        """Ends the threads that helped."""


class Algorithm(Protocol[B]):
    """Decides in games, makes a batch of what was played, and learns from it.

    A resumed run goes on bit for bit if everything that an update changes is in the weights of
    `policy`, in the optimiser's state and in `state`.
    """

    @property
    def policy(self) -> Policy:
        """Returns the network whose weights are learnt, saved and played with."""

    @property
    def decider(self) -> Decide:
        """Returns what decides while playing: `policy`, or the same weights in native code."""

    @property
    def updater(self) -> TakesSteps:
        """Returns what makes the gradient steps."""

    def prepare(self, shown: Callable[[], Observation], moment: Moment | None) -> None:
        """Takes note of the weights as they are, and of what the games show now, [N, ...], before a
        rollout at that moment; None: before a measurement."""

    def make_batch(self, rollout: Rollout) -> B:
        """Returns what there is to learn from a rollout, once it has been played."""

    def update(self, batch: B, shuffle: torch.Generator, moment: Moment) -> dict[str, float]:
        """Learns from a batch; returns losses and diagnostics by name.

        Raises:
            WarpzoneError: the loss is no longer a finite number.
        """

    def state(self) -> dict[str, float]:
        """Returns what else it changes from one update to the next."""

    def load_state(self, state: dict[str, float]) -> None:
        """Goes back to what `state` returned."""


class PPO:
    """Proximal policy optimisation (`warpzone.ppo`), by PyTorch or natively; an `Algorithm`.

    Args:
        config: all settings.
        policy: on the device that it learns on.
        rollout: of the games that are played.
        kernels: the native loops that play and learn; None: PyTorch does.
        threads: that learn.
        player: of a policy with a memory.
        ranks: the processes that learn together, this one from this rollout.
    """

    def __init__(
        self,
        config: TrainConfig,
        policy: Policy,
        rollout: Rollout,
        kernels: str | None,
        *,
        threads: int,
        player: RecurrentPlayer | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.config, self.policy, self.ranks = config, policy, ranks
        self.decider: Policy | NativePolicy = policy
        if kernels is not None:
            self.decider = NativePolicy(policy, kernels)
        self.updater: Updater | NativeUpdater
        if player is not None:
            self.updater = RecurrentUpdater(player, config, threads)
        else:
            self.updater = updater_for(self.decider, rollout, config, threads, ranks)
        self.distill: Distill | None = None
        """What distillation policies say, where there are some."""
        self.amend: Amend | None = None
        """What is learnt from beside a rollout, where there is something."""
        self.beta = 1.0
        """Weight of the KL penalty (objective `kl`); it adapts."""
        self.lr_scale = 1.0
        """Factor of the learning rate by `lr_kl`."""
        self._explained = 0.0

    def prepare(self, shown: Callable[[], Observation], moment: Moment | None) -> None:
        # A run that goes on from here decides by the same figures, to the last bit.
        if isinstance(self.decider, NativePolicy):
            self.decider.refresh(shown())

    def make_batch(self, rollout: Rollout) -> Batch:
        # Observations are read beside what else there is to do before the update.
        if isinstance(self.updater, NativeUpdater) and self.amend is None:
            self.updater.begin(rollout.samples)
        if self.ranks.size > 1:
            batch, self._explained = batch_of_ranks(rollout, self.config, self.distill, self.ranks)
            return batch
        batch = batch_of(rollout, self.config, self.distill)
        values = rollout.values[:-1].flatten()
        self._explained = ppo.explained_variance(values, batch.targets)
        return batch

    def update(self, batch: Batch, shuffle: torch.Generator, moment: Moment) -> dict[str, float]:
        config = self.config
        lr, entropy, distillation = (
            scheduled(value, config.schedule, moment.progress, moment.competence)
            for value in (config.lr, config.entropy_coef, config.distillation_coef)
        )
        if self.amend is not None:
            batch, distillation = self.amend(batch, distillation), 1.0
        scale = self.lr_scale if config.lr_kl is not None else 1.0
        coefficients = Coefficients(scale * lr, entropy, self.beta, distillation)
        losses = self.updater.update(batch, shuffle, coefficients)
        if config.lr_kl is not None:
            self.lr_scale = adapt_scale(self.lr_scale, losses["losses/kl"], config.lr_kl)
        if config.objective == "kl":
            self.beta = ppo.adapt_beta(self.beta, losses["losses/kl"], config.kl_target)
            losses["losses/kl_beta"] = self.beta
        losses["losses/explained_variance"] = self._explained
        return losses

    def state(self) -> dict[str, float]:
        return {"beta": self.beta, "lr_scale": self.lr_scale}

    def load_state(self, state: dict[str, float]) -> None:
        self.beta, self.lr_scale = state["beta"], state["lr_scale"]


class PQN:
    """Parallelised Q-network (`warpzone.pqn`), by PyTorch; an `Algorithm`.

    Args:
        config: all settings.
        policy: on the device that it learns on.
        rollout: of the games that are played.
    """

    def __init__(self, config: TrainConfig, policy: QNetwork, rollout: Rollout) -> None:
        self.config, self.policy = config, policy
        self.decider = policy
        self.updater = pqn.Updater(
            policy,
            rollout.samples,
            lr=config.lr,
            eps=config.adam_eps,
            epochs=config.update_epochs,
            minibatch_size=config.minibatch_size,
            max_grad_norm=config.max_grad_norm,
        )

    def prepare(self, shown: Callable[[], Observation], moment: Moment | None) -> None:
        settings = self.config.pqn
        self.policy.epsilon = (
            settings.eval_epsilon if moment is None else settings.epsilon(moment.progress)
        )

    def make_batch(self, rollout: Rollout) -> pqn.Batch:
        batch = pqn.batch_of(rollout, self.config.gamma, self.config.pqn.q_lambda)
        values = rollout.values[:-1].flatten()
        self._explained = ppo.explained_variance(values, batch.targets)
        return batch

    def update(
        self, batch: pqn.Batch, shuffle: torch.Generator, moment: Moment
    ) -> dict[str, float]:
        config = self.config
        lr = scheduled(config.lr, config.schedule, moment.progress, moment.competence)
        losses = self.updater.update(batch, shuffle, lr)
        losses["losses/explained_variance"] = self._explained
        losses["charts/epsilon"] = self.policy.epsilon
        return losses

    def state(self) -> dict[str, float]:
        return {}

    def load_state(self, state: dict[str, float]) -> None:
        """Does nothing: ε and the learning rate are those of the run's progress."""


def make_algorithm(
    config: TrainConfig,
    policy: Policy,
    rollout: Rollout,
    kernels: str | None,
    *,
    threads: int,
    player: RecurrentPlayer | None = None,
    ranks: Ranks = ALONE,
) -> Algorithm[Any]:
    """Returns the algorithm of a run; `policy` is of its kind (see `make_policy`)."""
    if config.algorithm == "pqn":
        assert isinstance(policy, QNetwork)
        return PQN(config, policy, rollout)
    return PPO(config, policy, rollout, kernels, threads=threads, player=player, ranks=ranks)
