"""Agents that play one game together: each level by the agent that is its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from warpzone.agents.agent import Agent, Decision
from warpzone.errors import AgentError
from warpzone.nes.arrays import Arrays, rows_of
from warpzone.nes.buttons import buttons_of
from warpzone.nes.cartridge import RomSource
from warpzone.smb.config import EnvConfig, env_config
from warpzone.smb.levels import LEVELS
from warpzone.smb.vector_env import MarioVectorEnv
from warpzone.training.agent_file import PolicyMode
from warpzone.training.recurrent import Memory

AgentOf = Callable[[str], tuple[Agent, PolicyMode]]
"""Returns who plays a level, and with which policy."""

_ALIKE = (
    *("observation", "frame_skip", "frame_stack", "size", "crop_status_bar", "max_pool"),
    *("consecutive", "skip_cutscenes"),
)
"""What the games of all agents of a team must have in common; actions and what `look` changes may
differ."""


class TeamMemory:
    """What agents with a memory remember of games. As in their training, they begin without any in
    each level, and after each death."""

    def __init__(self, agents: Sequence[Agent], games: int) -> None:
        self._memories = {
            id(agent.policy): memory
            for agent in {id(agent.policy): agent for agent in agents}.values()
            if (memory := agent.memory(games)) is not None
        }
        self._seen = {name: np.zeros(games, np.int64) for name in ("level", "lives_lost")}

    def of(self, agent: Agent) -> Memory | None:
        """Returns what an agent remembers of all games; None: it has no memory."""
        return self._memories.get(id(agent.policy))

    def observe(self, signals: Mapping[str, NDArray[Any]], ended: NDArray[np.bool_]) -> None:
        """Takes in the signals of a step of all games, and which of them it ended."""
        changed = ended.copy()
        for name, seen in self._seen.items():
            changed |= seen != signals[name]
            seen[:] = np.where(ended, 0, signals[name])
        for memory in self._memories.values():
            memory.forget(changed)


class Team:
    """Plays whole games, and changes agents as levels change.

    Attributes:
        players: by level, in the order of the game, an agent and its policy.
        actions: of all agents together, as lists of buttons; what `act` returns are indices.
    """

    def __init__(self, agent_of: AgentOf, policy: PolicyMode | None = None) -> None:
        """
        Args:
            agent_of: who plays a level.
            policy: of all agents; None: of each the one that comes with it.

        Raises:
            AgentError: nobody plays a level, or the agents play games too different for one batch.
        """
        found = {level: agent_of(level) for level in LEVELS}
        self.players: Mapping[str, tuple[Agent, PolicyMode]] = {
            level: (agent, policy or own) for level, (agent, own) in found.items()
        }
        first = self.agent(LEVELS[0])
        for level in LEVELS:
            agent = self.agent(level)
            for name in _ALIKE:
                mine, theirs = getattr(first.info.env, name), getattr(agent.info.env, name)
                if mine != theirs:
                    raise AgentError(
                        f"{first.path} and {agent.path} cannot play one game: {name} is {mine!r} "
                        f"of the one and {theirs!r} of the other. Name one agent for all levels"
                    )
        lists = [self.agent(level).info.env.action_list for level in LEVELS]
        unique = {buttons_of(names): names for actions in lists for names in actions}
        self.actions: list[list[str]] = list(unique.values())
        place = {buttons: index for index, buttons in enumerate(unique)}
        self._places = [np.array([place[buttons_of(names)] for names in own]) for own in lists]
        """By level: for each action of its agent, the one of the team."""
        # Levels that are decided together: of one network, policy, and order of actions.
        kinds: dict[tuple[int, PolicyMode, bytes], int] = {}
        self._kinds = np.array(
            [
                kinds.setdefault((id(agent.policy), mode, places.tobytes()), len(kinds))
                for (agent, mode), places in zip(self.players.values(), self._places, strict=True)
            ]
        )
        views = [self.agent(level).info.env for level in LEVELS]
        self._show_level = np.array([view.show_level for view in views])
        self._show_paths = np.array([view.show_paths for view in views])

    @classmethod
    def of(cls, agent: Agent, policy: PolicyMode | None = None) -> Team:
        """Returns one agent that plays all levels, by default with what it plays best with."""
        return cls(lambda level: (agent, agent.policy_mode), policy)

    def agent(self, level: str) -> Agent:
        """Returns who plays a level."""
        return self.players[level][0]

    @property
    def frame_skip(self) -> int:
        """Emulated frames per decision."""
        return self.agent(LEVELS[0]).info.env.frame_skip

    def make_envs(self, num_envs: int, *, keep_frames: bool = False, **settings: Any) -> Any:
        """Makes many whole games as these agents know them, with the game's clock as only limit.

        Args:
            num_envs: how many.
            keep_frames: keep every emulated frame, of one game.
            settings: `threads`, `rom`, and fields of `EnvConfig`: `lives`, `warps`, `noop_max`,
                `repeat_action_probability`.

        Raises:
            ConfigError: a number out of its range.
            AgentError: the observations of this warpzone are not those that an agent knows.
        """
        threads: int | None = settings.pop("threads", None)
        rom: RomSource = settings.pop("rom", None)
        for agent in {id(agent.policy): agent for agent, _ in self.players.values()}.values():
            with closing(agent.make_envs("1-1", 1, noop_max=0, repeat_action_probability=0.0,
                                         threads=1, rom=rom)):  # fmt: skip
                pass  # it says whether the agent fits
        env = self.agent(LEVELS[0]).info.env
        known = {name: getattr(env, name) for name in _ALIKE}
        shown = {"show_level": True} if env.observation == "tiles" else {}
        config: EnvConfig = env_config(
            **{**known, **shown, "actions": self.actions, "whole_game": True, **settings}
        )
        return MarioVectorEnv(
            num_envs=num_envs, threads=threads, rom=rom, config=config, keep_frames=keep_frames
        )

    def look(self, envs: MarioVectorEnv, levels: NDArray[np.int32]) -> Arrays:
        """Returns what games show to those who play these levels now, int32[N]: observations
        [N, ...], views."""
        if envs.config.observation == "tiles":
            envs.look(self._show_level[levels], self._show_paths[levels])
        return envs.observations()

    def memory(self, games: int) -> TeamMemory:
        """Returns what the agents remember of so many games that begin."""
        return TeamMemory([agent for agent, _ in self.players.values()], games)

    def act(
        self,
        observation: Arrays,
        levels: NDArray[np.int32],
        generator: torch.Generator,
        rows: NDArray[np.int64] | None = None,
        memory: TeamMemory | None = None,
    ) -> NDArray[np.int64]:
        """Chooses actions.

        Args:
            observation: of N games, as `look` returns it.
            levels: int32[N]: what each game plays.
            generator: of random draws, from `Agent.random` of one of the agents.
            rows: int64[k]: games to decide for; None: all. Others get the action 0.
            memory: of the games, from `memory`; for agents that have one.

        Returns:
            int64[N], indices into `actions`.
        """
        actions = np.zeros(len(levels), np.int64)
        wanted = np.arange(len(levels)) if rows is None else rows
        kinds = self._kinds[levels[wanted]]
        for kind in np.unique(kinds):
            chosen = wanted[kinds == kind]
            level = int(levels[chosen[0]])
            agent, mode = self.players[LEVELS[level]]
            mine = observation if len(chosen) == len(levels) else rows_of(observation, chosen)
            whole = None if memory is None else memory.of(agent)
            own = None if whole is None else whole.games(chosen)
            actions[chosen] = self._places[level][agent.act(mine, mode, generator, own)]
            if whole is not None and own is not None:
                whole.put(chosen, own)
        return actions

    def decide(
        self,
        observation: Arrays,
        level: int,
        generator: torch.Generator,
        policy: PolicyMode | None = None,
        memory: TeamMemory | None = None,
    ) -> Decision:
        """Chooses as `act` does for one game, whose observation has no first axis, with reasons:
        probabilities of all actions of the team. `policy`: in place of the level's own."""
        agent, mode = self.players[LEVELS[level]]
        places = self._places[level]
        own = None if memory is None else memory.of(agent)
        decision = agent.decide(observation, policy or mode, generator, own)
        probabilities = np.zeros(len(self.actions), np.float32)
        probabilities[places] = decision.probabilities
        return Decision(int(places[decision.action]), decision.value, probabilities)
