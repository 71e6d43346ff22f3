"""Agents of described games (`warpzone.nes.game`): measured, and filmed.

Needs no more than what a description says: knows nothing of levels, maps or tiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpzone.agents.agent import Agent
from warpzone.errors import AgentError
from warpzone.nes.cartridge import RomSource
from warpzone.nes.game import Game, game_named
from warpzone.nes.game_vector_env import GameVectorEnv
from warpzone.ppo.policy import shapes_of
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
    of that name comes along.

    Raises:
        AgentError: the agent plays Super Mario Bros., or its game is described otherwise now.
        ConfigError: there is no game of that name.
        RomError: no usable ROM.
    """
    trained = agent.info.game
    if trained.name is None:
        raise AgentError(f"{agent.path} plays Super Mario Bros., which is no described game")
    described = game or game_named(trained.name)
    config = trained.without_name().model_copy(update=settings)
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
) -> DescribedEvaluation:
    """Measures an agent in whole episodes of its game.

    Raises as `described_envs` does.
    """
    ended: list[dict[str, float]] = []

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
        )
    ) as env:
        random = agent.random(seed)
        result = play_episodes(
            lambda seen: agent.act(seen, policy, random), env, episodes, seed=seed, on_episode=see
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
    env = described_envs(
        agent,
        1,
        game=game,
        rom=rom,
        threads=1,
        seed=seed,
        noop_max=noop_max,
        repeat_action_probability=repeat_action_probability,
        autoreset="disabled",
    )
    return _played(env, agent, episodes, policy, seed)


def _played(
    env: DescribedEnv, agent: Agent, episodes: int, policy: PolicyMode, seed: int
) -> Iterator[NDArray[np.uint8]]:
    random = agent.random(seed)
    with closing(env):
        env.reset(seed=seed)
        for episode in range(episodes):
            if episode > 0:
                env.reset()
            yield from env.games.frames()
            over = False
            while not over:
                env.send(0, agent.act(env.observations(), policy, random))
                over = len(env.recv(0).finished) > 0
                yield from env.games.frames()
