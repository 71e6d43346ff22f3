"""How good is an agent at the game as it is played: three lives, from power-on to the princess."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from warpzone.agents.agent import Agent
from warpzone.agents.evaluate import MOST_GAMES
from warpzone.agents.team import Team
from warpzone.errors import ConfigError
from warpzone.hardware import torch_threads
from warpzone.nes.cartridge import RomSource, open_rom
from warpzone.nes.checks import checked_episodes
from warpzone.smb.levels import LEVELS
from warpzone.smb.signals import DEATHS
from warpzone.training.agent_file import PolicyMode
from warpzone.training.evaluation import quotas, wilson

FIRST_LIVES = 2
"""Lives besides the first one that the console begins a game with."""


@dataclass(frozen=True, slots=True)
class GameProtocol:
    """Says how whole games were played; results of different protocols do not compare.

    Attributes:
        games: how many; each of those played at once plays a fixed share of them.
        lives: 3, the console's, or 1.
        warps: whether a warp zone may be used; else that ends a game.
        noop_max: each time that Mario can be played, in a new level and after a death, first pass
            0 to this many frames without buttons, evenly drawn.
        repeat_action_probability: probability per frame that the last buttons stay pressed.
        policy: "sample" or "argmax"; None: of each agent what it plays best with.
        frame_skip: emulated frames per decision.
        seed: of everything random.
    """

    games: int
    lives: int
    warps: bool
    noop_max: int
    repeat_action_probability: float
    policy: PolicyMode | None
    frame_skip: int
    seed: int

    def __str__(self) -> str:
        """Says it in a line, for people."""
        policies = {"sample": "sampled actions", "argmax": "likeliest actions"}
        parts = [
            f"{self.games} games",
            "three lives" if self.lives == 3 else "one life",
            "warps allowed" if self.warps else "no warps",
            policies[self.policy] if self.policy else "each agent's own policy",
            f"0–{self.noop_max} no-op frames whenever Mario can be played"
            if self.noop_max
            else "no waiting",
            f"sticky {self.repeat_action_probability:g}",
            f"frame skip {self.frame_skip}",
            f"seed {self.seed}",
        ]
        return ", ".join(parts)


@dataclass(slots=True)
class LevelCount:
    """Counts what happened in one level.

    Attributes:
        reached: games that came to it.
        cleared: games that cleared it.
        deaths: lives lost in it.
        ended: games that ended in it without the princess.
        causes: of the deaths, by the names of `warpzone.smb.signals.DEATHS`.
    """

    reached: int = 0
    cleared: int = 0
    deaths: int = 0
    ended: int = 0
    causes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GameEvaluation:
    """Says how far whole games came.

    Attributes:
        saved: games in which the princess was saved.
        share: of all games.
        ci95: Wilson's interval of the share.
        mean_frames: time to the princess in emulated frames, mean of those games; None: of none.
        mean_levels: levels cleared in a game, mean of all.
        mean_lives_lost: lives lost in a game, mean of all.
        mean_lives_won: extra lives in a game, mean of all.
        levels: by level, in the order of the game, what happened there.
        protocol: how the games were played.
        rom: `revision` and `sha1`.
    """

    saved: int
    share: float
    ci95: tuple[float, float]
    mean_frames: float | None
    mean_levels: float
    mean_lives_lost: float
    mean_lives_won: float
    levels: dict[str, LevelCount]
    protocol: GameProtocol
    rom: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """Returns its attributes; `levels` → level → the fields of `LevelCount`."""
        return asdict(self)


def evaluate_game(
    players: Agent | Team,
    *,
    episodes: int = 100,
    lives: Literal[1, 3] = 3,
    warps: bool = False,
    noop_max: int = 30,
    repeat_action_probability: float = 0.0,
    policy: PolicyMode | None = None,
    seed: int = 0,
    threads: int | None = None,
    rom: RomSource = None,
) -> GameEvaluation:
    """Measures whole games: power on, Start, 1-1 to 8-4, until the lives are gone or the princess
    is saved. The game's own clock is the only limit.

    Args:
        players: one agent for all levels, or a team, whose policies `policy` does not change.
        episodes: games, at least 1.
        lives: 3, as the console has it, or 1: a game ends with the first death.
        warps: whether a game may go on behind a warp zone.
        noop_max: see `GameProtocol`, as for the following one.
        repeat_action_probability: 0 to below 1.
        policy: of an agent: "sample" or "argmax"; None: what it plays best with.
        seed: the same seed gives the same result, on any number of threads.
        threads: for the games; None: all cores.
        rom: the ROM, or None to look for it.

    Raises:
        ConfigError: a number out of its range, or a policy for a team.
        AgentError: the agents do not fit this version's games.
    """
    checked_episodes(episodes)
    if isinstance(players, Agent):
        team = Team.of(players, policy)
    elif policy is not None:
        raise ConfigError("policy is for one agent: a team has its own policies")
    else:
        team = players
    modes = {mode for _, mode in team.players.values()}
    cartridge = open_rom(rom)
    rounds = -(-episodes // MOST_GAMES)
    envs = team.make_envs(
        -(-episodes // rounds),
        lives=lives,
        warps=warps,
        noop_max=noop_max,
        repeat_action_probability=repeat_action_probability,
        threads=threads,
        rom=cartridge,
    )
    with closing(envs), torch_threads(1):
        count = _Count(envs.num_envs, quotas(episodes, envs.num_envs))
        envs.reset(seed=seed)
        generator, memory = team.agent(LEVELS[0]).random(seed), team.memory(envs.num_envs)
        while count.wanted.any():
            levels = count.levels
            seen = team.look(envs, levels)
            rows = np.flatnonzero(count.wanted)
            envs.send(0, team.act(seen, levels, generator, rows, memory))
            step = envs.recv(0)
            memory.observe(step.signals, step.terminated | step.truncated)
            count.observe(step)
    low, high = wilson(len(count.saved), episodes)
    return GameEvaluation(
        saved=len(count.saved),
        share=len(count.saved) / episodes,
        ci95=(low, high),
        mean_frames=float(np.mean(count.saved)) if count.saved else None,
        mean_levels=sum(one.cleared for one in count.by_level.values()) / episodes,
        mean_lives_lost=sum(one.deaths for one in count.by_level.values()) / episodes,
        mean_lives_won=count.won / episodes,
        levels=count.by_level,
        protocol=GameProtocol(
            games=episodes,
            lives=lives,
            warps=warps,
            noop_max=noop_max,
            repeat_action_probability=repeat_action_probability,
            policy=modes.pop() if len(modes) == 1 else None,
            frame_skip=team.frame_skip,
            seed=seed,
        ),
        rom={"revision": cartridge.revision, "sha1": cartridge.sha1},
    )


class _Count:
    """Counts what games do, each until it has played its share."""

    def __init__(self, games: int, wanted: np.ndarray) -> None:
        self.wanted = wanted
        self.levels = np.zeros(games, np.int32)
        """That each game plays now."""
        self.lost, self.cleared = np.zeros(games, int), np.zeros(games, int)
        self.by_level = {level: LevelCount() for level in LEVELS}
        self.by_level[LEVELS[0]].reached = int(np.count_nonzero(wanted))
        self.saved: list[int] = []
        """Frames of the games in which the princess was saved."""
        self.won = 0
        """Extra lives of all games."""

    def observe(self, step: Any) -> None:
        """Takes in a step of all games."""
        signals = step.signals
        ended = step.terminated | step.truncated
        level, lost, cleared = (signals[name] for name in ("level", "lives_lost", "levels_cleared"))
        moved = (level != self.levels) | (lost != self.lost) | (cleared != self.cleared) | ended
        for game in np.flatnonzero(moved & (self.wanted > 0)):
            here = self.by_level[LEVELS[self.levels[game]]]
            if lost[game] > self.lost[game]:
                here.deaths += 1
                cause = DEATHS[signals["death"][game]]
                here.causes[cause] = here.causes.get(cause, 0) + 1
            here.cleared += int(cleared[game] > self.cleared[game])
            if not ended[game]:
                self.by_level[LEVELS[level[game]]].reached += int(level[game] != self.levels[game])
                continue
            # The console counts lives besides the one that is played, at first two; a last death
            # has not been taken off yet.
            died = bool(lost[game] > self.lost[game])
            self.won += int(signals["lives"][game]) - FIRST_LIVES + int(lost[game]) - died
            if signals["flag"][game]:
                self.saved.append(int(signals["frames"][game]))
            else:
                here.ended += 1
            self.wanted[game] -= 1
            self.by_level[LEVELS[0]].reached += int(self.wanted[game] > 0)
        self.levels = np.where(ended, 0, level).astype(np.int32)
        self.lost, self.cleared = np.where(ended, 0, lost), np.where(ended, 0, cleared)
