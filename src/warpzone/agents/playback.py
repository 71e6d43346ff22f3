"""An agent playing one game, seen at every emulated frame. What `watch` and `record` share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from warpzone.game.console import PALETTE, RomSource

if TYPE_CHECKING:
    from warpzone.agents.agent import Agent, PolicyMode
    from warpzone.game.env import MarioEnv
    from warpzone.game.episode import Outcome

CLEAR_FRAMES = 180
"""Emulated frames from the flag to Mario inside the castle."""
FAIL_FRAMES = 100


@dataclass(frozen=True, slots=True)
class Moment:
    """One decision of the agent and what came of it.

    Attributes:
        action: index of the action taken.
        frames: uint8[k, 240, 256] NES palette indices of the emulated frames of this step.
        signals: the environment's signals after it.
        ended: whether the episode is over.
        value: what the agent expected of the moment before, see `Decision`.
        probabilities: float32[actions] that it gave to the actions.
    """

    action: int
    frames: NDArray[np.uint8]
    signals: Mapping[str, Any]
    ended: bool
    value: float
    probabilities: NDArray[np.float32]


class Playback:
    """One agent on one level, one episode after the other.

    The same seed gives the same episode, so that a film can be made of a try afterwards.
    """

    palette = PALETTE

    def __init__(
        self,
        agent: Agent,
        level: str,
        *,
        policy: PolicyMode = "sample",
        noops: int = 30,
        sticky: float = 0.0,
        rom: RomSource = None,
    ) -> None:
        """
        Args:
            agent: who plays.
            level: "1-1" to "8-4".
            policy: draw from the action probabilities, or take the likeliest action.
            noops: most random no-op frames before the agent's first decision.
            sticky: probability per emulated frame that the buttons of the last one stay pressed.
            rom: the ROM, or None to look for it.
        """
        self.agent = agent
        self.level = level
        self.policy: PolicyMode = policy
        self._env = agent.make_env(level, noops=noops, sticky=sticky, rom=rom)
        self.action_names: list[str] = list(self._env.action_meanings)

    @property
    def env(self) -> MarioEnv:
        """The game that is played in."""
        return self._env

    def episode(self, seed: int) -> Iterator[Moment]:
        """Play one episode from its start; the last moment has `ended`."""
        random = self.agent.random(seed)
        observation, _ = self._env.reset(seed=seed)
        ended = False
        while not ended:
            chosen = self.agent.decide(observation, self.policy, random)
            observation, _, terminated, truncated, signals = self._env.step(chosen.action)
            ended = bool(terminated or truncated)
            yield Moment(
                chosen.action,
                self._env.frames(),
                signals,
                ended,
                chosen.value,
                chosen.probabilities,
            )

    def aftermath(self, outcome: Outcome) -> NDArray[np.uint8]:
        """What the console shows after the last moment: flagpole, fall or time running out.

        Returns:
            uint8[k, 240, 256] NES palette indices.
        """
        frames = CLEAR_FRAMES if outcome.cleared else FAIL_FRAMES
        return self._env.run_on(frames)

    def close(self) -> None:
        self._env.close()
