"""Wrappers as gym had them before 0.26: `step` gives four values, `reset` an observation."""

from __future__ import annotations

from typing import Any

import gymnasium


class Wrapper(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Passes on what the environment gives, and its attributes.

    Args:
        env: of the old kind.
    """

    def __init__(self, env: Any) -> None:
        super().__init__(env)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"attempted to get missing private attribute {name!r}")
        return getattr(self.env, name)

    def step(self, action: Any) -> Any:
        return self.env.step(action)

    def reset(self, **given: Any) -> Any:
        return self.env.reset(**given)

    def render(self, *given: Any, **named: Any) -> Any:
        return self.env.render(*given, **named)

    def seed(self, seed: int | None = None) -> Any:
        """Seeds the environment's random numbers."""
        env: Any = self.env
        return env.seed(seed)


class ObservationWrapper(Wrapper):
    """Shows what `observation` makes of each observation."""

    def reset(self, **given: Any) -> Any:
        return self.observation(self.env.reset(**given))

    def step(self, action: Any) -> Any:
        shown, *rest = self.env.step(action)
        return (self.observation(shown), *rest)

    def observation(self, observation: Any) -> Any:
        """Returns what is shown of an observation."""
        raise NotImplementedError  # a program's own class says it, as with gym


class RewardWrapper(Wrapper):
    """Gives what `reward` makes of each reward."""

    def step(self, action: Any) -> Any:
        shown, reward, *rest = self.env.step(action)
        return (shown, self.reward(float(reward)), *rest)

    def reward(self, reward: float) -> float:
        """Returns what is given for a reward."""
        raise NotImplementedError  # likewise


class ActionWrapper(Wrapper):
    """Takes actions that `action` understands."""

    def step(self, action: Any) -> Any:
        return self.env.step(self.action(action))

    def action(self, action: Any) -> Any:
        """Returns the environment's action."""
        raise NotImplementedError  # likewise
