"""The settings of the algorithm, each with what it does and its default."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MOST = 10**12
"""Of what is counted: more than any run gets to, and far less than 64 bits hold."""

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0, le=1e30)]
Coefficient = Annotated[float, Field(ge=0.0, le=1e30)]
Count = Annotated[int, Field(ge=1, le=MOST)]
Schedule = Literal["constant", "linear", "competence"]


class PPOConfig(BaseModel):
    """What `batch_of`, `losses` and `Updater` need to know."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    # Targets
    gamma: Fraction = 0.97
    """Discount γ per agent step. What lies 1 / (1 − γ) steps ahead counts about a third."""
    gae_lambda: Fraction = 0.95
    """λ of the advantage estimates (GAE): 0 trusts the critic, 1 the rewards that were seen."""
    value_target: Literal["lambda", "one_step"] = "lambda"
    """`lambda`: V(s) + advantage. `one_step`: r + γV(s′)."""
    normalize_advantage: bool = True
    """To mean 0 and deviation 1 over the rollout, for each task (level) by itself."""

    # Objective
    objective: Literal["clip", "kl"] = "clip"
    """What holds the policy near the one that played: a clipped ratio or an adaptive penalty."""
    clip: Positive = 0.2
    """How far from 1 the ratio π/π_old still pays (objective `clip` only)."""
    kl_target: Positive = 0.01
    """KL divergence that the penalty is steered towards (objective `kl` only)."""
    policy_coef: Coefficient = 1.0
    """Weight of the objective; 0 with distillation policies: imitation alone."""
    value_coef: Coefficient = 0.5
    """Weight of the critic's squared error."""
    entropy_coef: Coefficient = 0.01
    """Weight of the entropy bonus, which keeps the agent trying."""
    distillation_coef: Coefficient = 1.0
    """Weight of KL(distillation policy ‖ agent), mean over the samples."""

    # Optimisation
    update_epochs: Count = 3
    """Times that each rollout is learnt from."""
    minibatch_size: Count = 512
    """Samples of a gradient step; at most num_envs × rollout_steps."""
    lr: Positive = 2e-3
    """Learning rate of Adam, at the beginning."""
    schedule: Schedule = "competence"
    """How `lr`, `entropy_coef` and `distillation_coef` fall. `linear`: down to 0 at the end of the
    run. `competence`: down to a tenth as the agent comes to succeed (see `Learner.competence`)."""
    lr_kl: Positive | None = 0.015
    """KL divergence of an update from which on the learning rate is lowered; below half of it it
    rises again, up to what the schedule says; None: it is not."""
    adam_eps: Positive = 1e-5
    """Adam's ε."""
    max_grad_norm: Positive | None = 0.5
    """Longer gradients are shortened to this L2 norm; None: they are not."""
