"""Agents of described games (`warpzone.nes.game`): measured, and filmed.

Needs no more than what a description says: knows nothing of levels, maps or tiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from warpzone.agents.agent import Agent
from warpzone.agents.playback import FAIL_FRAMES, Moment, Playback
from warpzone.console_text import shown
from warpzone.episodes.outcome import Outcome
from warpzone.errors import AgentError, ConfigError
from warpzone.nes.arrays import rows_of
from warpzone.nes.cartridge import RomSource
from warpzone.nes.checks import checked_episodes, require
from warpzone.nes.console import Console
from warpzone.nes.game import Game, game_named
from warpzone.nes.game_config import GameConfig
from warpzone.nes.game_vector_env import GameVectorEnv
from warpzone.nes.start_states import StartStates
from warpzone.ppo.policy import shapes_of
from warpzone.settings import describe
from warpzone.smb.env import MarioEnv
from warpzone.training.agent_file import PolicyMode
from warpzone.training.described_games import DescribedEnv
from warpzone.training.evaluation import EvalResult, play_episodes

MOST_GAMES = 50


@dataclass(frozen=True)
class DescribedEvaluation:
    """What episodes of a described game showed."""

    game: str
    start: str
    result: EvalResult
    mean_return: float
    infos: dict[str, float]
    """What `info` had where episodes ended, mean over them."""

    def as_dict(self) -> dict[str, Any]:
        """Returns it as JSON can hold it."""
        return {
            "game": self.game,
            "start": self.start,
            "success_rate": self.result.clear_rate,
            "ci95": list(self.result.ci95),
            "episodes": self.result.episodes,
            "mean_progress": self.result.mean_progress,
            "mean_return": self.mean_return,
            "infos": self.infos,
        }


def described_envs(
    agent: Agent,
    num_envs: int,
    *,
    game: Game | None = None,
    rom: RomSource = None,
    threads: int | None = None,
    seed: int = 0,
    **settings: Any,
) -> DescribedEnv:
    """Makes games as an agent of a described game knows them; `game` is the description where none
    of that name comes along. `starts` or `start_states` among the settings stand in the place of
    where the agent was trained, whichever of the two that was named by.

    Raises:
        AgentError: the agent plays Super Mario Bros., or its game is described otherwise now.
        ConfigError: there is no game of that name, or an unknown or impossible setting.
        RomError: no usable ROM.
    """
    trained = agent.info.game
    if trained.name is None:
        raise AgentError(f"{agent.path} plays Super Mario Bros., which is no described game")
    described = game or game_named(trained.name)
    known = trained.without_name().model_dump()
    if settings.keys() & {"starts", "start_states"}:
        known |= {"starts": None, "start_states": ()}
    try:
        config = GameConfig(**{**known, **settings})
    except ValidationError as error:
        raise ConfigError(describe(error)) from None
    games = GameVectorEnv(
        rom,
        described,
        num_envs,
        config=config,
        threads=threads,
        seed=seed,
        keep_frames=num_envs == 1,
    )
    env = DescribedEnv(games)
    found = shapes_of(env.single_observation_space), len(described.actions)
    if found != (agent.info.shapes, agent.info.actions):
        env.close()
        raise AgentError(
            f"{agent.path} was trained on observations {agent.info.shapes} with"
            f" {agent.info.actions} actions; {described.name} has {found[0]} with {found[1]} now."
            " Train again"
        )
    return env


def _check_policy(policy: PolicyMode) -> None:
    modes = get_args(PolicyMode)
    require(policy in modes, "policy", policy, " or ".join(map(repr, modes)))


def evaluate_described(
    agent: Agent,
    *,
    episodes: int = 100,
    policy: PolicyMode = "sample",
    noop_max: int = 30,
    repeat_action_probability: float = 0.0,
    seed: int = 0,
    game: Game | None = None,
    rom: RomSource = None,
    threads: int | None = None,
    start: StartStates | None = None,
) -> DescribedEvaluation:
    """Measures an agent in whole episodes of its game, which begin where it was trained, or at
    `start`, a moment as `GameConfig.start_states` has them.

    Raises as `described_envs` does, and `ConfigError` for less than one episode or another policy.
    """
    checked_episodes(episodes)
    _check_policy(policy)
    ended: list[dict[str, float]] = []
    own: dict[str, Any] = {} if start is None else {"start_states": start}

    def see(signals: dict[str, NDArray[Any]], row: int) -> None:
        ended.append({name: float(values[row]) for name, values in signals.items()})

    with closing(
        described_envs(
            agent,
            min(episodes, MOST_GAMES),
            game=game,
            rom=rom,
            threads=threads,
            seed=seed,
            noop_max=noop_max,
            repeat_action_probability=repeat_action_probability,
            **own,
        )
    ) as env:
        if len(env.games.starts) > 1:
            raise ConfigError(
                f"a measurement begins at one start, not at {', '.join(env.games.starts)}"
            )
        random = agent.random(seed)
        result = play_episodes(
            lambda seen, memory=None: agent.act(seen, policy, random, memory),
            env,
            episodes,
            seed=seed,
            on_episode=see,
            memory=agent.memory(env.num_envs),
        )
        return DescribedEvaluation(
            game=env.games.game.name,
            start=env.tasks()[0],
            result=result,
            mean_return=float(np.mean([one["episode_return"] for one in ended])),
            infos={name: float(np.mean([one[name] for one in ended])) for name in ended[0]},
        )


def described_frames(
    agent: Agent,
    *,
    episodes: int = 1,
    policy: PolicyMode = "sample",
    noop_max: int = 30,
    repeat_action_probability: float = 0.0,
    seed: int = 0,
    game: Game | None = None,
    rom: RomSource = None,
) -> Iterator[NDArray[np.uint8]]:
    """Plays episodes and yields every emulated frame, colours of `PALETTE`: uint8[240, 256].

    Raises as `described_envs` does, before the first frame.
    """
    playback = DescribedPlayback(
        agent,
        game=game,
        policy=policy,
        noop_max=noop_max,
        repeat_action_probability=repeat_action_probability,
        rom=rom,
    )
    return _frames(playback, range(seed, seed + episodes))


def _frames(playback: DescribedPlayback, seeds: range) -> Iterator[NDArray[np.uint8]]:
    with closing(playback):
        for seed in seeds:
            for moment in playback.episode(seed):
                yield from moment.frames


def starts_of(agent: Agent, game: Game | None = None) -> list[str]:
    """Returns where an agent of a described game can begin: at the moment of somebody's own that it
    was trained from, if it was, and at the game's starts.

    Raises `ConfigError`: there is no game of that name.
    """
    trained = agent.info.game
    described = game or game_named(trained.name or "")
    return list(dict.fromkeys([*(one.name for one in trained.start_states), *described.starts]))


class DescribedPlayback(Playback):
    """Lets an agent play its described game from one of its starts, one episode after the other.

    Attributes:
        level: the start.
    """

    finds_saliency = False

    def __init__(
        self,
        agent: Agent,
        start: str | None = None,
        *,
        game: Game | None = None,
        policy: PolicyMode = "sample",
        noop_max: int = 30,
        repeat_action_probability: float = 0.0,
        rom: RomSource = None,
    ) -> None:
        """
        Args:
            agent: who plays.
            start: one of `starts_of`; None: the one that the agent was trained on.
            game, rom: see `described_envs`, and for what is raised.
            policy, noop_max, repeat_action_probability: see `Playback`.
        """
        _check_policy(policy)
        settings: dict[str, Any] = {}
        if start is not None:
            names = starts_of(agent, game)
            if start not in names:
                raise ConfigError(
                    f"{agent.info.game.name} has no start {shown(start)}: there are"
                    f" {', '.join(names)}"
                )
            own = [one for one in agent.info.game.start_states if one.name == start]
            settings = {"start_states": own} if own else {"starts": {start: 1.0}}
        self.agent, self.policy, self.saliency = agent, policy, False
        self._games = described_envs(
            agent,
            1,
            game=game,
            rom=rom,
            threads=1,
            noop_max=noop_max,
            repeat_action_probability=repeat_action_probability,
            autoreset="disabled",
            **settings,
        )
        self.level = self._games.tasks()[0]
        self.action_names = list(self._games.games.action_meanings)

    @property
    def env(self) -> MarioEnv:
        """Raises `ConfigError`: this is none of Super Mario Bros."""
        raise ConfigError("the inputs of an agent of a described game are not kept")

    @property
    def title(self) -> str:
        """What is played, and how, for people."""
        return f"{self._games.games.game.name} {self.level}, {self.policy}"

    def episode(self, seed: int) -> Iterator[Moment]:
        """Plays one episode from its start; the last moment has `ended`."""
        env, random, ended = self._games, self.agent.random(seed), False
        memory = self.agent.memory(1)
        env.reset(seed=seed)
        before = env.games.frames()
        while not ended:
            chosen = self.agent.decide(rows_of(env.observations(), 0), self.policy, random, memory)
            env.send(0, np.array([chosen.action]))
            step = env.recv(0)
            ended = len(step.finished) > 0
            yield Moment(
                chosen.action,
                np.concatenate([before, env.games.frames()]),
                {name: values[0] for name, values in step.signals.items()},
                ended,
                chosen.value,
                chosen.probabilities,
            )
            before = before[:0]

    def aftermath(self, outcome: Outcome) -> NDArray[np.uint8]:
        """Returns what the console shows after the last moment with nothing held, uint8[k, 240,
        256] NES palette indices."""
        console = Console(self._games.rom)
        console.load(self._games.games.console_state(0))
        frames = []
        for _ in range(FAIL_FRAMES):
            console.step()
            frames.append(console.screen())
        return np.array(frames)

    def close(self) -> None:
        """Ends the game."""
        self._games.close()
