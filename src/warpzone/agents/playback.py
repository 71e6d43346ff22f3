"""An agent playing one game, seen at every emulated frame. What `watch` and `record` share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from warpzone.agents.agent import Agent
from warpzone.agents.saliency import Heat
from warpzone.agents.team import Team
from warpzone.episodes.outcome import Outcome
from warpzone.errors import ConfigError
from warpzone.nes.arrays import copy_of, rows_of
from warpzone.nes.cartridge import RomSource
from warpzone.nes.console import PALETTE
from warpzone.smb.env import MarioEnv
from warpzone.smb.levels import LEVELS
from warpzone.smb.memory import screen_left
from warpzone.smb.vector_env import MarioVectorEnv
from warpzone.training.agent_file import PolicyMode

CLEAR_FRAMES = 180
"""Emulated frames from the flag to Mario inside the castle."""
FAIL_FRAMES = 100
GAME_OVER_FRAMES = 600
"""From the last death until the game has said that it is over."""
LAST_WORDS_FRAMES = 300
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
    finds_saliency = True
    """Whether `saliency` is of any effect."""

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
        if saliency:
            _check_saliency(agent)
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

    @property
    def title(self) -> str:
        """What is played, and how, for people."""
        return f"{self.level}, {self.policy}"

    def episode(self, seed: int) -> Iterator[Moment]:
        """Plays one episode from its start; the last moment has `ended`."""
        random, memory = self.agent.random(seed), self.agent.memory(1)
        observation, _ = self._env.reset(seed=seed)
        ended, heat = False, None
        while not ended:
            if self.saliency:
                heat = self.agent.saliency(observation, self._env.ram(), memory)
            chosen = self.agent.decide(observation, self.policy, random, memory)
            left = screen_left(self._env.ram())
            observation, _, terminated, truncated, signals = self._env.step(chosen.action)
            ended = bool(terminated or truncated)
            frames = self._env.frames()
            yield Moment(
                chosen.action,
                frames,
                signals,
                ended,
                chosen.value,
                chosen.probabilities,
                _moved(heat, screen_left(self._env.ram()) - left, len(frames)),
            )
            heat = None

    def aftermath(self, outcome: Outcome) -> NDArray[np.uint8]:
        """Returns what the console shows after the last moment: flagpole, fall or time running out.

        Returns:
            uint8[k, 240, 256] NES palette indices.
        """
        frames = CLEAR_FRAMES if outcome.cleared else FAIL_FRAMES
        return self._env.run_on(frames)

    def close(self) -> None:
        """Ends the game."""
        self._env.close()


class GamePlayback(Playback):
    """Lets agents play the whole game, an episode being one from power-on to its end, with every
    frame of it: the title, black screens, castles and the last words too.

    Attributes:
        team: who plays which level. `level`, `agent` and `policy` are those of the moment; a policy
            that is set holds for all levels.
    """

    def __init__(
        self,
        team: Team,
        *,
        lives: Literal[1, 3] = 3,
        warps: bool = False,
        noop_max: int = 30,
        repeat_action_probability: float = 0.0,
        saliency: bool = False,
        rom: RomSource = None,
    ) -> None:
        """
        Args:
            team: who plays which level.
            lives: the console's three, or 1: the first death ends the game.
            warps: whether the game may go on behind a warp zone.
            noop_max: most random no-op frames each time that Mario can be played.
            repeat_action_probability: probability per emulated frame that
                the buttons of the last one stay pressed.
            saliency: see `Playback`.
            rom: the ROM, or None to look for it.

        Raises:
            AgentError: the agents do not fit this version's games.
            ConfigError: saliency of agents that see RAM.
        """
        self.team, self.saliency = team, saliency
        self.level = LEVELS[0]
        self.agent, self.policy = team.players[self.level]
        self._own = self.policy
        self._set: PolicyMode | None = None
        if saliency:
            _check_saliency(self.agent)
        self._game_over = GAME_OVER_FRAMES if lives > 1 else FAIL_FRAMES
        self._games: MarioVectorEnv = team.make_envs(
            1,
            keep_frames=True,
            lives=lives,
            warps=warps,
            noop_max=noop_max,
            repeat_action_probability=repeat_action_probability,
            autoreset="disabled",
            threads=1,
            rom=rom,
        )
        self.action_names = list(self._games.action_meanings)

    @property
    def env(self) -> MarioEnv:
        """Raises `ConfigError`: a whole game is not one of a single level."""
        raise ConfigError("the inputs of a whole game are not kept")

    @property
    def title(self) -> str:
        """What is played, for people."""
        return "the whole game"

    def episode(self, seed: int) -> Iterator[Moment]:
        """Plays one game; its first moment shows what comes before it too."""
        games, random = self._games, self.team.agent(LEVELS[0]).random(seed)
        games.reset(seed=seed)
        before, memory = games.frames(), self.team.memory(1)
        level, ended, heat = 0, False, None
        while not ended:
            self._turn_to(LEVELS[level])
            shown = self.team.look(games, np.array([level], np.int32))
            observation = copy_of(rows_of(shown, 0))
            if self.saliency:
                heat = self.agent.saliency(observation, games.ram(0), memory.of(self.agent))
            chosen = self.team.decide(observation, level, random, self.policy, memory)
            left = screen_left(games.ram(0))
            _, _, terminated, truncated, infos = games.step(np.array([chosen.action]))
            ended = bool(terminated[0] or truncated[0])
            memory.observe(infos, terminated | truncated)
            signals = {name: values[0] for name, values in infos.items() if name[0] != "_"}
            level = int(signals["level"])
            frames = np.concatenate([before, games.frames()])
            before = before[:0]
            yield Moment(
                chosen.action,
                frames,
                signals,
                ended,
                chosen.value,
                chosen.probabilities,
                _moved(heat, screen_left(games.ram(0)) - left, len(frames)),
            )
            heat = None

    def aftermath(self, outcome: Outcome) -> NDArray[np.uint8]:
        """Returns what follows: the last words for a while, or the fall and that the game is over;
        uint8[k, 240, 256] NES palette indices."""
        return self._games.run_on(LAST_WORDS_FRAMES if outcome.cleared else self._game_over)

    def close(self) -> None:
        """Ends the game."""
        self._games.close()

    def _turn_to(self, level: str) -> None:
        if self.policy != self._own:
            self._set = self.policy
        self.level = level
        self.agent, own = self.team.players[level]
        self.policy = self._own = self._set or own


def _check_saliency(agent: Agent) -> None:
    if agent.info.env.observation == "ram":
        raise ConfigError(
            f"there is no saliency of {agent.path}: it sees the game's RAM, whose bytes have "
            "no place on the screen. Take an agent that sees tiles or pictures"
        )


def _moved(heat: Heat | None, drift: int, frames: int) -> Heat | None:
    """Returns the heat of a moment in which the screen has moved by `drift` px."""
    if heat is None:
        return None
    # In a cutscene the screen may jump to where another area begins.
    return replace(heat, drift=drift if 0 <= drift <= FASTEST * frames else 0)
