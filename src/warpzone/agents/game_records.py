"""Measures the whole game for the table of results: by each network, and by the packaged agents.

A game is measured as `warpzone.agents.evaluate_game` plays it, and not measured again while those
who play it are the same. Nothing is chosen by games, so that one measurement is enough.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from warpzone.agents.agent import Agent
from warpzone.agents.evaluate_game import evaluate_game
from warpzone.agents.measuring import Settings, log_lines
from warpzone.agents.results import GAMES, GameName, GameRecord, Results, TeamRecord
from warpzone.agents.team import Team
from warpzone.files import append_to
from warpzone.hardware import torch_threads
from warpzone.smb.levels import LEVELS
from warpzone.training.agent_file import PolicyMode
from warpzone.training.packaged_index import NetworkName

Players = dict[str, tuple[str, PolicyMode]]
"""Who plays a level: the name of the file, and its policy."""
Who = NetworkName | Literal["packaged"]


@dataclass(frozen=True)
class _Job:
    who: Who
    name: GameName
    players: Players


def with_games(
    results: Results,
    find: Callable[[str], Path],
    settings: Settings,
    *,
    again: bool = False,
    say: Callable[[str], None] = print,
) -> Results:
    """Returns `results` with what whole games of the networks and of the packaged agents came to.

    A table of fewer levels than the game has is returned as it is, and so is the part of packaged
    agents where a level has none.

    Args:
        results: with what is packaged.
        find: returns the path of the file of that name.
        settings: how to measure; `episodes` are games.
        again: measure anew what is known already.
        say: receives a line for each kind of game.

    Raises:
        AgentError: an agent does not fit this version's games.
    """
    if results.table != LEVELS:
        return results
    jobs = list(_jobs(results, settings, again))
    log = _Log(None if again else settings.log)
    with torch_threads(1), ThreadPoolExecutor(settings.jobs) as pool:
        found = list(pool.map(lambda job: _play(job, find, settings, log), jobs))
    networks, players = dict(results.networks), _team(results)
    team = None
    if players is not None:
        same = results.team is not None and results.team.is_of(players)
        team = results.team if same else _team_record(players)
    for job, record in zip(jobs, found, strict=True):
        say(f"{job.who}, {job.name}: the princess in {record.saved} of {record.games} games")
        if job.who == "packaged":
            assert team is not None
            team = team.model_copy(update={"games": {**team.games, job.name: record}})
        else:
            network = networks[job.who]
            games = {**network.games, job.name: record}
            networks[job.who] = network.model_copy(update={"games": games})
    return results.model_copy(update={"networks": networks, "team": team})


def _jobs(results: Results, settings: Settings, again: bool) -> Iterator[_Job]:
    """What there is to measure."""
    players: dict[Who, tuple[Players, dict[GameName, GameRecord]]] = {
        name: (dict.fromkeys(LEVELS, (network.file, network.policy)), network.games)
        for name, network in results.networks.items()
    }
    team = _team(results)
    if team is not None:
        before = results.team
        same = before is not None and before.is_of(team)
        players["packaged"] = team, before.games if before is not None and same else {}
    for who, (found, known) in players.items():
        for name in GAMES:
            record = known.get(name)
            wanted = (settings.episodes, settings.seed)
            if again or record is None or (record.games, record.seed) != wanted:
                yield _Job(who, name, found)


def _team(results: Results) -> Players | None:
    """Who is packaged for each level; None: nobody for one of them, or one file for all."""
    players = {level: (agent.file, record.policy) for level, agent, record in results.entries()}
    several = len({file for file, _ in players.values()}) > 1
    return players if several and len(players) == len(LEVELS) else None


def _team_record(players: Players) -> TeamRecord:
    """A team of which no game is known."""
    return TeamRecord(
        files={level: file for level, (file, _) in players.items()},
        policies={level: policy for level, (_, policy) in players.items()},
    )


def _play(job: _Job, find: Callable[[str], Path], settings: Settings, log: _Log) -> GameRecord:
    key = _Key(players=job.players, game=job.name, episodes=settings.episodes, seed=settings.seed)
    if (known := log.find(key)) is not None:
        return known
    agents = {file: Agent.load(find(file)) for file, _ in job.players.values()}
    conditions = GAMES[job.name]
    found = evaluate_game(
        Team(lambda level: (agents[job.players[level][0]], job.players[level][1])),
        episodes=settings.episodes,
        lives=conditions.lives,
        noop_max=conditions.noop_max,
        repeat_action_probability=conditions.repeat_action_probability,
        seed=settings.seed,
        threads=1,
        rom=settings.rom,
    )
    record = GameRecord(
        games=settings.episodes,
        saved=found.saved,
        ci95=found.ci95,
        mean_frames=found.mean_frames,
        mean_levels=found.mean_levels,
        mean_lives_lost=found.mean_lives_lost,
        mean_lives_won=found.mean_lives_won,
        ended={level: count.ended for level, count in found.levels.items() if count.ended},
        deaths={level: count.deaths for level, count in found.levels.items() if count.deaths},
        seed=settings.seed,
    )
    log.add(key, record)
    return record


class _Key(BaseModel):
    """What was played, and who played it."""

    model_config = ConfigDict(frozen=True)

    players: Players
    game: GameName
    episodes: int
    seed: int


class _Log:
    """What was measured before an interruption, in the file that `measuring.Measured` has too."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self._known: dict[str, GameRecord] = {}
        for line in () if file is None else log_lines(file):
            try:
                values = json.loads(line)
                self._known[values["key"]] = GameRecord.model_validate(values["record"])
            except (ValueError, LookupError, TypeError, RecursionError):
                continue  # another measurement, or cut short

    def find(self, key: _Key) -> GameRecord | None:
        return self._known.get(key.model_dump_json())

    def add(self, key: _Key, record: GameRecord) -> None:
        if self.file is None:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"key": key.model_dump_json(), "record": record.model_dump()})
        with append_to(self.file) as file:
            file.write(line.encode() + b"\n")
