"""The settings of PQN that PPO does not have, each with what it does and its default."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Epsilon = Annotated[float, Field(ge=1e-6, le=1.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class PQNConfig(BaseModel):
    """How PQN explores and what it learns towards. `gamma`, `update_epochs`, `minibatch_size`,
    `lr`, `schedule`, `adam_eps` and `max_grad_norm` are its settings too."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    q_lambda: Share = 0.65
    """λ of the targets: 0 trusts the network's next values, 1 the rewards that were seen."""
    epsilon_start: Epsilon = 1.0
    """Probability of a random action when the run begins."""
    epsilon_end: Epsilon = 0.01
    """The same once it has fallen, linearly."""
    epsilon_share: Share = 0.1
    """Share of `total_steps` in which it falls."""
    eval_epsilon: Epsilon = 0.001
    """The same where the agent is measured, and of the agent that is saved (Hessel et al. 2018)."""

    @model_validator(mode="after")
    def _falls(self) -> Self:
        if self.epsilon_end > self.epsilon_start:
            raise ValueError(
                f"epsilon_end {self.epsilon_end} is more than epsilon_start {self.epsilon_start}:"
                " the share of random actions falls in the course of a run"
            )
        return self

    def epsilon(self, progress: float) -> float:
        """Returns the probability of a random action after the share `progress` (0 to 1) of a
        run."""
        if progress >= self.epsilon_share:
            return self.epsilon_end
        fallen = progress / self.epsilon_share
        return self.epsilon_start + fallen * (self.epsilon_end - self.epsilon_start)
