"""How good is an agent: clear rates with their uncertainty, and how they were measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, get_args

import numpy as np

from warpzone.agents.agent import Agent
from warpzone.errors import ConfigError
from warpzone.hardware import torch_threads
from warpzone.nes.cartridge import RomSource, open_rom
from warpzone.nes.checks import checked_episodes, checked_seed, require
from warpzone.nes.rom import Rom
from warpzone.nes.start_states import StartState, StartStates
from warpzone.smb.config import env_config, level_played
from warpzone.smb.levels import LEVELS, level_index
from warpzone.training.agent_file import PolicyMode
from warpzone.training.evaluation import EvalResult, play_episodes

MOST_GAMES = 64
"""Played at once; enough that the network's work is done in large pieces."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """Says how an evaluation was made; results of different protocols do not compare.

    Attributes:
        policy: "sample" or "argmax".
        episodes: per level; each game plays a fixed share of them, so that quick deaths do not
            count more often than long runs.
        noop_max: each episode starts after 0 to this many frames without buttons, evenly drawn.
        repeat_action_probability: probability per frame that the last buttons stay pressed.
        frame_skip: emulated frames per decision.
        max_steps: decisions after which an episode is cut, or None.
        no_progress_steps: decisions without progress after which an episode is cut, or None.
        seed: of everything random.
        any_phase: what the game counts by, its random numbers too, is drawn anew at each start
            (`EnvConfig.phase_share`), so that enemies come as they may after any levels before.
    """

    policy: PolicyMode
    episodes: int
    noop_max: int
    repeat_action_probability: float
    frame_skip: int
    max_steps: int | None
    no_progress_steps: int | None
    seed: int
    any_phase: bool = False

    def __str__(self) -> str:
        """Says it in a line, for people."""
        parts = [
            f"{self.episodes} episodes per level",
            "sampled actions" if self.policy == "sample" else "likeliest actions",
            f"0–{self.noop_max} no-op frames at the start" if self.noop_max else "identical starts",
            f"sticky {self.repeat_action_probability:g}",
            f"frame skip {self.frame_skip}",
        ]
        if self.any_phase:
            parts.insert(3, "any phase of the game")
        if self.max_steps is not None:
            parts.append(f"at most {self.max_steps} steps")
        if self.no_progress_steps is not None:
            parts.append(f"cut after {self.no_progress_steps} steps without progress")
        return ", ".join([*parts, f"seed {self.seed}"])


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Holds results by level, and how they came about."""

    levels: dict[str, EvalResult]
    protocol: Protocol
    rom: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """Returns `levels` → level → the fields of `EvalResult`; `protocol`; `rom` → `revision`,
        `sha1`."""
        return asdict(self)


def evaluate(
    agent: Agent,
    levels: Sequence[str],
    *,
    episodes: int = 100,
    noop_max: int = 30,
    repeat_action_probability: float = 0.0,
    policy: PolicyMode = "sample",
    any_phase: bool = False,
    starts: StartStates | None = None,
    seed: int = 0,
    threads: int | None = None,
    rom: RomSource = None,
    log: Callable[[str], None] = lambda text: None,
    on_episode: Callable[[dict[str, np.ndarray], int], None] = lambda signals, game: None,
) -> Evaluation:
    """Measures `agent` on each of `levels`.

    Other than these settings, games are as in the agent's training, its limits on steps included:
    an episode that is cut counts as not cleared.

    Args:
        agent: who plays.
        levels: names, "1-1" to "8-4".
        episodes: per level, at least 1.
        noop_max: see `Protocol`, as for the following two.
        repeat_action_probability: 0 to below 1.
        policy: "sample" or "argmax".
        any_phase: see `Protocol`.
        starts: moments to measure it from besides, as `EnvConfig.start_states` has them, under
            their names.
        seed: the same seed gives the same result, on any number of threads.
        threads: for the games; None: all cores.
        rom: the ROM, or None to look for it.
        log: receives a line before each level.
        on_episode: see `play_episodes`.

    Raises:
        LevelError: an unknown level.
        ConfigError: a number out of its range, or a file with no moment of a level in it.
        EngineError: a moment of another cartridge.
        AgentError: the agent does not fit this version's games.
    """
    given = isinstance(levels, Iterable) and not isinstance(levels, str)
    require(given, "levels", levels, "a list of names, such as ['1-1']")
    levels = list(levels)
    protocol = _protocol(
        agent, policy, episodes, noop_max, repeat_action_probability, seed, any_phase
    )
    states = env_config(start_states=starts).start_states
    if states and any_phase:
        raise ConfigError("any_phase is for levels from their own starts: leave it or starts out")
    cartridge = open_rom(rom)
    results: dict[str, EvalResult] = {}
    for number, level in enumerate(levels, start=1):
        log(f"level {level} ({number} of {len(levels)}), {episodes} episodes")
        results[level] = _play(agent, level, protocol, threads, cartridge, watch=on_episode)
    for state in states:
        log(f"{state.name}, {episodes} episodes")
        level = level_played(state)
        results[state.name] = _play(
            agent, level, protocol, threads, cartridge, start_states=(state,), watch=on_episode
        )
    return Evaluation(results, protocol, {"revision": cartridge.revision, "sha1": cartridge.sha1})


@dataclass(frozen=True, slots=True)
class RowEvaluation:
    """Says how far an agent plays level after level with one life, as the game itself does.

    Attributes:
        result: of the whole row; an episode is cleared with its last level.
        reached: level → share of the episodes that came to it, in the order of the game.
        cleared: level → share of the episodes that cleared it; those that came to the next.
    """

    result: EvalResult
    reached: dict[str, float]
    cleared: dict[str, float]
    protocol: Protocol
    rom: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """Returns its attributes; `result` → the fields of `EvalResult`, `rom` → `revision`,
        `sha1`."""
        return asdict(self)


def evaluate_row(
    agent: Agent,
    first: str,
    last: str,
    *,
    episodes: int = 100,
    noop_max: int = 30,
    repeat_action_probability: float = 0.0,
    policy: PolicyMode = "sample",
    seed: int = 0,
    threads: int | None = None,
    rom: RomSource = None,
) -> RowEvaluation:
    """Measures how often `agent` plays all levels from `first` to `last` without losing a life.

    Power-ups are kept from level to level. Each level begins with no-ops. Limits on steps without
    progress hold within each level.

    Args:
        first, last: names of levels, in the order of the game.
        others: as in `evaluate`.

    Raises:
        LevelError: an unknown level.
        ConfigError: a number out of its range, or `last` comes before `first`.
        AgentError: the agent does not fit this version's games.
    """
    protocol = _protocol(agent, policy, episodes, noop_max, repeat_action_probability, seed)
    row = LEVELS[level_index(first) : level_index(last) + 1]
    if not row:
        raise ConfigError(f"{last} comes before {first}; name a later level to play through to")
    cartridge = open_rom(rom)
    ends = dict.fromkeys(row, 0)
    cleared = 0

    def watch(signals: dict[str, np.ndarray], game: int) -> None:
        nonlocal cleared
        cleared += int(signals["flag"][game])
        ends[LEVELS[int(signals["level"][game])]] += 1

    result = _play(agent, first, protocol, threads, cartridge, last_level=last, watch=watch)
    # Whoever ended in a level, or in a later one, has reached it.
    reached = [sum(ends[level] for level in row[i:]) / episodes for i in range(len(row))]
    return RowEvaluation(
        result,
        dict(zip(row, reached, strict=True)),
        dict(zip(row, [*reached[1:], cleared / episodes], strict=True)),
        protocol,
        {"revision": cartridge.revision, "sha1": cartridge.sha1},
    )


def _play(
    agent: Agent,
    level: str,
    protocol: Protocol,
    threads: int | None,
    rom: Rom,
    *,
    last_level: str | None = None,
    start_states: tuple[StartState, ...] = (),
    watch: Callable[[dict[str, np.ndarray], int], None] = lambda signals, game: None,
) -> EvalResult:
    episodes, seed = protocol.episodes, protocol.seed
    envs = agent.make_envs(
        level,
        min(episodes, MOST_GAMES),
        noop_max=protocol.noop_max,
        repeat_action_probability=protocol.repeat_action_probability,
        last_level=last_level,
        any_phase=protocol.any_phase,
        start_states=start_states,
        threads=threads,
        rom=rom,
    )
    # The network's batches are small, and the other cores have games to play.
    with closing(envs), torch_threads(1):
        random = agent.random(seed)

        def act(observation: Any, memory: Any = None) -> np.ndarray:
            return agent.act(observation, protocol.policy, random, memory)

        memory = agent.memory(envs.num_envs)
        return play_episodes(act, envs, episodes, seed=seed, on_episode=watch, memory=memory)


def _protocol(
    agent: Agent,
    policy: PolicyMode,
    episodes: int,
    noop_max: int,
    repeat_action_probability: float,
    seed: int,
    any_phase: bool = False,
) -> Protocol:
    checked_episodes(episodes)
    checked_seed(seed)
    require(policy in get_args(PolicyMode), "policy", policy, "'sample' or 'argmax'")
    limits = agent.info.env
    return Protocol(
        policy=policy,
        episodes=episodes,
        noop_max=noop_max,
        repeat_action_probability=repeat_action_probability,
        frame_skip=limits.frame_skip,
        max_steps=limits.max_steps,
        no_progress_steps=limits.no_progress_steps,
        seed=seed,
        any_phase=any_phase,
    )
