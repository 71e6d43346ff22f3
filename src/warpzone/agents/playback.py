"""An agent playing one game, seen at every emulated frame. What `watch` and `record` share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpzone.agents.agent import Agent
from warpzone.agents.saliency import Heat
from warpzone.episodes.outcome import Outcome
from warpzone.errors import ConfigError
from warpzone.nes.cartridge import RomSource
from warpzone.nes.console import PALETTE
from warpzone.smb.env import MarioEnv
from warpzone.smb.memory import screen_left
from warpzone.training.agent_file import PolicyMode

CLEAR_FRAMES = 180
"""Emulated frames from the flag to Mario inside the castle."""
FAIL_FRAMES = 100
FASTEST = 4
"""px that the screen moves in a frame at most."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Holds one decision of the agent and what came of it.

    Attributes:
        action: index of the action taken.
        frames: uint8[k, 240, 256] NES palette indices of the emulated frames of this step.
        signals: the environment's signals after it.
        ended: whether the episode is over.
        value: what the agent expected of the moment before, see `Decision`.
        probabilities: float32[actions] that it gave to the actions.
        heat: what counted in the decision, where the player was asked for it.
    """

    action: int
    frames: NDArray[np.uint8]
    signals: Mapping[str, Any]
    ended: bool
    value: float
    probabilities: NDArray[np.float32]
    heat: Heat | None = None


class Playback:
    """Lets one agent play one level, one episode after the other.

    The same seed gives the same episode, so that a film can be made of a try afterwards.
    """

    palette = PALETTE

    def __init__(
        self,
        agent: Agent,
        level: str,
        *,
        policy: PolicyMode = "sample",
        noop_max: int = 30,
        repeat_action_probability: float = 0.0,
        saliency: bool = False,
        rom: RomSource = None,
    ) -> None:
        """
        Args:
            agent: who plays.
            level: "1-1" to "8-4".
            policy: draw from the action probabilities, or take the likeliest action.
            noop_max: most random no-op frames before the agent's first decision.
            repeat_action_probability: probability per emulated frame that
                the buttons of the last one stay pressed.
            saliency: find what counts in each decision, for `Moment.heat`. It may be switched while
                an episode is played, and changes nothing in it.
            rom: the ROM, or None to look for it.

        Raises:
            ConfigError: saliency of an agent that sees RAM, which has no places on the screen.
        """
        if saliency and agent.info.env.observation == "ram":
            raise ConfigError(
                f"there is no saliency of {agent.path}: it sees the game's RAM, whose bytes have "
                "no place on the screen. Take an agent that sees tiles or pictures"
            )
        self.agent = agent
        self.level = level
        self.policy: PolicyMode = policy
        self.saliency = saliency
        self._env = agent.make_env(
            level, noop_max=noop_max, repeat_action_probability=repeat_action_probability, rom=rom
        )
        self.action_names: list[str] = list(self._env.action_meanings)

    @property
    def env(self) -> MarioEnv:
        """The game that is played in."""
        return self._env

    def episode(self, seed: int) -> Iterator[Moment]:
        """Plays one episode from its start; the last moment has `ended`."""
        random = self.agent.random(seed)
        observation, _ = self._env.reset(seed=seed)
        ended = False
        while not ended:
            chosen = self.agent.decide(observation, self.policy, random)
            heat = self.agent.saliency(observation, self._env.ram()) if self.saliency else None
            left = screen_left(self._env.ram())
            observation, _, terminated, truncated, signals = self._env.step(chosen.action)
            ended = bool(terminated or truncated)
            frames = self._env.frames()
            if heat is not None:
                drift = screen_left(self._env.ram()) - left
                # In a cutscene the screen may jump to where another area begins.
                moved = 0 <= drift <= FASTEST * len(frames)
                heat = replace(heat, drift=drift if moved else 0)
            yield Moment(
                chosen.action,
                frames,
                signals,
                ended,
                chosen.value,
                chosen.probabilities,
                heat,
            )

    def aftermath(self, outcome: Outcome) -> NDArray[np.uint8]:
        """Returns what the console shows after the last moment: flagpole, fall or time running out.

        Returns:
            uint8[k, 240, 256] NES palette indices.
        """
        frames = CLEAR_FRAMES if outcome.cleared else FAIL_FRAMES
        return self._env.run_on(frames)

    def close(self) -> None:
        self._env.close()
