"""Described games (`warpzone.nes.game`) for our trainer, and partial episodes of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from warpzone.episodes.format import DescribedStart, Episode
from warpzone.episodes.replay import Replay
from warpzone.errors import ConfigError, EpisodeError
from warpzone.nes.cartridge import RomSource
from warpzone.nes.console import Console
from warpzone.nes.game import Game, game_named
from warpzone.nes.game_referee import ask, at_start
from warpzone.nes.game_start import Startup
from warpzone.nes.game_starts import snapshot_of
from warpzone.nes.game_transition import GameTransition
from warpzone.nes.game_vector_env import GameVectorEnv
from warpzone.nes.variables import Values
from warpzone.ppo.policy import SCALARS
from warpzone.ppo.rollout import VectorEnv
from warpzone.smb.config import EnvConfig
from warpzone.smb.transition import InputLog
from warpzone.training.config import CurriculumConfig, GameTraining
from warpzone.training.demonstrations import Demonstrations
from warpzone.training.described_logs import DescribedLogs

LAST = 8
"""Frames at the end of a recorded game in which a success is looked for."""


@dataclass(frozen=True)
class Places:
    """Where partial episodes begin: the starts of a `DescribedEnv` behind the first one."""

    steps: int
    """After which such an episode is cut."""
    goals: NDArray[np.float64]
    """Of each: the progress (or, of a game that tells none, the end) that makes an episode from
    there a success; infinite where the recorded game ends before."""


class DescribedEnv:
    """A `GameVectorEnv` whose observations have names that networks know: floats are scalars.

    The first start is the task; episodes from others are partial ones.
    """

    def __init__(self, games: GameVectorEnv) -> None:
        self.games = games
        self.rom = games.rom
        self.num_envs, self.groups = games.num_envs, games.groups
        self.single_observation_space: gymnasium.Space[Any] = games.single_observation_space
        self.floats = games.config.observation == "variables"
        if self.floats:
            self.single_observation_space = gymnasium.spaces.Dict(
                {SCALARS: games.single_observation_space}
            )
        self.single_action_space = games.single_action_space
        self.action_meanings = games.action_meanings
        self._logs = DescribedLogs(games)
        self.watched_games: Sequence[int] = ()
        self.places: Places | None = None
        """Along recorded games, of which partial episodes are short ones."""

    def tasks(self) -> Sequence[str]:
        """Returns the first start, the only task."""
        return self.games.tasks()[:1]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Begins all episodes anew."""
        self.games.reset(seed=seed, options=options)
        self._logs.begun(range(self.num_envs))

    def observations(self) -> Any:
        """Returns what is acted on next, [N, ...]."""
        return self._named(self.games.observations())

    def send(self, group: int, actions: NDArray[np.int64], out: Any = None) -> None:
        """Begins to step a group."""
        self.games.send(group, actions)
        self._logs.sent(self.groups[group], actions)

    def recv(self, group: int) -> GameTransition:
        """Waits for a group."""
        step = self.games.recv(group)
        self._logs.received(self.groups[group], step.finished)
        step.obs, step.final_obs = self._named(step.obs), self._named(step.final_obs)
        if self.places is not None:
            step.signals["start"] = step.task - 1
        step.partial, step.task = step.task > 0, np.zeros_like(step.task)
        return step

    def save_state(self, game: int | None = None) -> bytes:
        """Returns everything that decides what comes next, of one game or (None) of all."""
        return self.games.save_state(game)

    def load_state(self, state: bytes, game: int | None = None) -> None:
        """Goes on from `save_state`."""
        self.games.load_state(state, game)
        self._logs.watch(self.watched_games)

    def close(self) -> None:
        """Ends the threads."""
        self.games.close()

    # --- what is played, as `EpisodeWriter` wants it ---

    def watch_games(self, games: Sequence[int]) -> None:
        """Keeps what is played in these games from their next episode on."""
        self.watched_games = list(games)
        self._logs.watch(games)

    def input_log(self, game: int) -> InputLog | None:
        """Returns what was played in the running episode of a watched game; None: not known."""
        return self._logs.running(game)

    def ended_input_logs(self, game: int) -> list[tuple[InputLog, None] | None]:
        """Returns those of the episodes that have ended since the last call; the RAM at their ends
        is not kept."""
        return [None if log is None else (log, None) for log in self._logs.ended(game)]

    def ram(self, game: int) -> NDArray[np.uint8]:
        """Returns the work RAM of a game."""
        return self.games.ram(game)

    def described_start(self, start: str) -> DescribedStart:
        """Returns the moment of a start."""
        games = self.games
        return DescribedStart(
            game=games.game.name, snapshot=snapshot_of(games.game, start, games.rom, None)
        )

    def _named(self, observations: NDArray[Any]) -> Any:
        return {SCALARS: observations} if self.floats else observations


class DescribedGames:
    """Makes the games of a training, and those of its measurements.

    Args:
        config: the game's name and settings.
        rom: a file, a `Rom`, a name, or None: the game's own.
        threads: that step them.
        shown: recorded games, along which a share of the training episodes begins.
        curriculum: that share, and how many steps of a game lie between two such beginnings.

    Attributes:
        remarks: a line about each recorded game.

    Raises:
        ConfigError: there is no game of that name, or both recorded games and `start_states`.
        EpisodeError: a recorded game of another cartridge or start, or one that is too short.
    """

    def __init__(
        self,
        config: GameTraining,
        rom: RomSource,
        threads: int,
        shown: Demonstrations,
        curriculum: CurriculumConfig,
    ) -> None:
        if config.name is None:
            raise ConfigError("game.name is not set: this is no training of a described game")
        self.game: Game = game_named(config.name)
        self.config, self.rom, self.threads = config.without_name(), rom, threads
        self.curriculum = curriculum
        self.moments: dict[str, bytes] = {}
        goals: list[NDArray[np.float64]] = []
        self.remarks = []
        start = next(iter(self.config.starts or self.game.starts))
        every = curriculum.segment * config.frame_skip
        if self.config.start_states and shown.recordings:
            raise ConfigError(
                "demonstrations lead from one of the game's starts, and game.start_states says that"
                " episodes begin elsewhere: leave out one of them"
            )
        for number, recording in enumerate(shown.recordings):
            found = moments_along(self.game, start, recording.name, recording.episode, rom, every)
            self.moments |= {f"{number}-{frame}": at.snapshot for frame, at in found.items()}
            if curriculum.episode_steps is not None:
                reach = curriculum.episode_steps // 2 * config.frame_skip
                won = is_won(self.game, recording.episode, rom)
                goals.append(goals_along(found, reach, won=won))
            self.remarks.append(f"{len(found)} places along {recording.name} are begun at")

        self.places: Places | None = None
        if curriculum.episode_steps is not None and goals:
            self.places = Places(curriculum.episode_steps, np.concatenate(goals))

    def trained(self, games: int, groups: int, seed: int) -> VectorEnv:
        """Returns the games that are trained on."""
        if not self.moments:
            return self._made(games, groups, seed)
        own = next(iter(self.config.starts or self.game.starts))
        share = self.curriculum.share
        each = share / len(self.moments)
        game = dataclasses.replace(self.game, starts={own: self.game.starts[own], **self.moments})
        weights = {own: 1 - share, **dict.fromkeys(self.moments, each)}
        env = self._made(games, groups, seed, game, starts=weights)
        env.places = self.places
        return env

    def measured(self, config: EnvConfig, games: int, groups: int, seed: int) -> VectorEnv:
        """Returns games to measure an agent in; of `config` only idle frames and sticky buttons
        count."""
        return self._made(
            games,
            groups,
            seed,
            noop_max=config.noop_max,
            repeat_action_probability=config.repeat_action_probability,
        )

    def _made(
        self, games: int, groups: int, seed: int, game: Game | None = None, **changes: Any
    ) -> DescribedEnv:
        return DescribedEnv(
            GameVectorEnv(
                self.rom,
                game or self.game,
                games,
                config=self.config.model_copy(update=changes),
                threads=self.threads,
                seed=seed,
                num_groups=groups,
            )
        )


@dataclass(frozen=True)
class MomentAlong:
    """A moment of a recorded game."""

    snapshot: bytes
    progress: float | None
    """As the game tells it; None: it tells none."""


def goals_along(
    moments: Mapping[int, MomentAlong], reach: int, *, won: bool = True
) -> NDArray[np.float64]:
    """Returns of each moment the furthest that the recorded game has come within `reach` frames
    behind it. Infinite, so that only a success will do, where nothing is told of progress, and
    where the game is `won` before that."""
    frames, found = np.array(list(moments)), []
    for frame in moments:
        within = (frames >= frame) & (frames <= frame + reach)
        come = [at.progress for at, one in zip(moments.values(), within, strict=True) if one]
        known = None not in come and not (won and frames[-1] < frame + reach)
        found.append(max(p for p in come if p is not None) if known else np.inf)
    return np.array(found)


def is_won(game: Game, episode: Episode, rom: RomSource) -> bool:
    """Whether a recorded game ends with a success, by what its last frames are for a description's
    `success`."""
    replay = Replay(episode, Console(game.open_rom(rom)))
    seen: list[Values] = []
    while not replay.ended:
        replay.step()
        if episode.frames - replay.place < LAST:
            seen.append(_values(game, replay.console))
    return any(ask(game, "success", now, before, np.bool_).any() for before, now in pairwise(seen))


def _values(game: Game, console: Console) -> Values:
    """The variables of a console as a description's functions get them, of one game."""
    read = {**Startup(console, game.variables).values(), "steps": 1, "frames": 1}
    now = Values({name: np.array([value], np.int64) for name, value in read.items()})
    for name, part in game.memory.items():
        now[name] = part.view(console.ram, console.prg_ram)[np.newaxis].copy()
    if game.progress is not None:
        now["progress"] = now["best_progress"] = ask(game, "progress", now, now, np.float64)
    return now


def moments_along(
    game: Game, start: str, name: str, episode: Episode, rom: RomSource, every: int
) -> dict[int, MomentAlong]:
    """Returns moments along a recorded game, `every` so many frames, by their frame: those at
    which an episode may begin.

    Args:
        game: the description.
        start: at which the recorded game must have begun.
        name: of the recording, for messages.
        episode: what was played.
        rom: its cartridge; None: the game's own.
        every: frames between two of them.

    Raises:
        EpisodeError: it is of another game, cartridge or start, or too short.
    """
    described = episode.described
    if described is None or described.game != game.name or episode.start != start:
        begins = episode.start if described is None else f"{described.game} {episode.start}"
        raise EpisodeError(
            f"{name} cannot be a demonstration of {game.name} {start}: it begins at {begins}."
            f" Record one with `warpzone play {game.name} --start {start} --record FILE`"
        )
    replay = Replay(episode, Console(game.open_rom(rom)))
    console, found = replay.console, dict[int, MomentAlong]()
    while not replay.ended:
        replay.step()
        if replay.place % every:
            continue
        values = Startup(console, game.variables).values()
        memory = {n: part.view(console.ram, console.prg_ram) for n, part in game.memory.items()}
        try:
            now, _ = at_start(game, f"{name}, frame {replay.place}", values, memory)
        except ConfigError:  # it is over there, for that moment or for good
            continue
        come = None if game.progress is None else float(now["progress"][0])
        found[replay.place] = MomentAlong(console.save(), come)
    if not found:
        raise EpisodeError(
            f"{name} is too short for a demonstration of {game.name}: no episode can begin within"
            f" its {episode.frames} frames, after {every}, or {every} later"
        )
    return found
