"""Measures trained agents for the table of results: which is the best of each kind, and how good.

Each agent plays levels under the conditions of `warpzone.training.packaged_index`, as it would be
packaged (float16). First come the episodes that agents and policies are chosen by: sampled and
likeliest actions, and what counts is the lower of the clear rates with no-ops and with sticky
buttons too, then their mean (`score`). Those that win are measured anew on other episodes, which
are those that are told. A specialist is chosen, and has its policy, level by level; a network for
all levels as a whole, by the means over its levels, unless one is named that plays the whole game
better, and its policy by the mean of all these rates.

What was measured of the same file before, under the same conditions, is not measured again: it is
in the results, and in a log beside them that an interruption leaves whole.
"""

from __future__ import annotations

import datetime
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, Self, TypeVar, get_args

from warpzone.agents.measurement import Measurement, Played, measure
from warpzone.agents.packaged import score
from warpzone.agents.results import (
    AgentRecord,
    LevelRecord,
    NetworkRecord,
    Record,
    Results,
)
from warpzone.errors import AgentError
from warpzone.files import append_to, lines_of, open_regular_file
from warpzone.hardware import torch_threads
from warpzone.smb.levels import parse_levels
from warpzone.training.agent_file import AgentInfo, PolicyMode, load_agent
from warpzone.training.packaged_index import CONDITIONS, ConditionName, NetworkName

K = TypeVar("K", bound=str)

POLICIES: tuple[PolicyMode, ...] = get_args(PolicyMode)
Selection = dict[PolicyMode, dict[ConditionName, float]]


Told = dict[ConditionName, Played]


class Measured:
    """What has been measured already: clear rates of all that is known, and whole results.

    Args:
        results: what was written down of agents before.
        log: a file to which each measurement is appended; what it holds is known too. None: none.
    """

    def __init__(self, results: Results, log: Path | None = None) -> None:
        self.rates: dict[Measurement, float] = {}
        self.results: dict[Measurement, Played] = {}
        self._log = log
        for file, level, record in _records(results):
            for condition, result in record.rates.items():
                if condition in record.ends:  # older records do not tell of ends
                    played = Played(result=result, ends=record.ends[condition])
                    self._know(_key(file, level, condition, record.policy, record, 0), played)
            for policy, rates in record.selection.items():
                for condition, rate in rates.items():
                    self.rates[_key(file, level, condition, policy, record, 1)] = rate
        for line in () if log is None else log_lines(log):
            self._read(line)

    def add(self, measurement: Measurement, played: Played) -> None:
        """Takes note of a measurement, in the log too."""
        self._know(measurement, played)
        if self._log is not None:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            line = json.dumps({**vars(measurement), **played.model_dump()})
            with append_to(self._log) as file:
                file.write(line.encode() + b"\n")

    def _know(self, measurement: Measurement, played: Played) -> None:
        self.results[measurement] = played
        self.rates[measurement] = played.result.clear_rate

    def _read(self, line: bytes) -> None:
        """Takes over a line of the log; one that is cut short is measured again."""
        try:
            values = json.loads(line)
            self._know(
                Measurement(**{name: values[name] for name in Measurement.__dataclass_fields__}),
                Played.model_validate({"result": values["result"], "ends": values["ends"]}),
            )
        except (ValueError, LookupError, TypeError, RecursionError):
            return


MOST_LOG_BYTES = 256 << 20
"""Of a log of measurements; a campaign of all levels writes 0.1 MB."""


def log_lines(log: Path) -> Iterator[bytes]:
    """Yields the lines of a log of measurements; none where there is no such file.

    Raises:
        AgentError: it is no file, or cannot be read.
    """
    try:
        with open_regular_file(log, MOST_LOG_BYTES) as file:
            yield from lines_of(file)
    except FileNotFoundError:
        return
    except OSError as error:
        raise AgentError(
            f"cannot read {log}: {error.strerror or error}. Move it away: then what it told of is"
            " measured again"
        ) from error


def _records(results: Results) -> Iterator[tuple[str, str, LevelRecord]]:
    for level, record in results.specialists.items():
        yield record.file, level, record
    for network in results.networks.values():
        for level, found in network.levels.items():
            yield network.file, level, found


def _key(
    file: str,
    level: str,
    condition: ConditionName,
    policy: PolicyMode,
    record: LevelRecord,
    later: int,
) -> Measurement:
    return Measurement(file, level, condition, policy, record.episodes, record.eval_seed + later)


@dataclass(frozen=True)
class Settings:
    """How agents are measured.

    Attributes:
        folder: with the staged files.
        episodes: of each measurement.
        seed: of the episodes that are told; the choice is made by those of the next one.
        jobs: measurements made at once, one thread each.
        rom: the ROM, or None to look for it.
        log: see `Measured`.
    """

    folder: Path
    episodes: int = 100
    seed: int = 0
    jobs: int = 1
    rom: Path | None = None
    log: Path | None = None


def network_name(info: AgentInfo, table: Iterable[str]) -> NetworkName | None:
    """Returns as which network for all levels of `table` an agent counts; None: a specialist."""
    levels = set(table)
    if len(levels) < 2 or not levels <= set(info.env.levels):
        return None
    return "generalist" if info.env.show_level else "generalist-untold"


def best_of(
    results: Results,
    files: Sequence[str],
    settings: Settings,
    *,
    levels: Iterable[str] | None = None,
    again: bool = False,
    network: str | None = None,
    say: Callable[[str], None] = print,
) -> Results:
    """Measures the agents `files` and returns `results` with those that are better.

    Args:
        results: what the agents must beat.
        files: names of staged files in `settings.folder`.
        levels: that specialists are measured on, of those that they were trained on; None: all.
        again: measure anew what is known already.
        network: of `files`, the best for all levels whatever its rates, such as one that plays the
            whole game better. Others of its kind count as specialists then.
        say: receives a line for each agent, and of specialists for each level.

    Raises:
        AgentError: a file is damaged or does not fit, or `network` is not for all levels.
    """
    infos = {file: load_agent(settings.folder / file)[1] for file in files}
    if network is not None and network_name(infos[network], results.table) is None:
        raise AgentError(f"{network} is no network for all levels")
    measured = Measured(Results(), None) if again else Measured(results, settings.log)
    # Each measurement sets this for itself, and must not put back what another one has set.
    with torch_threads(1), _Player(settings, measured) as player:
        # All work is given out before any of it is waited for.
        contests: list[_Contest[Any]] = [
            _Specialists(player, results, infos, levels, say, network),
            _Networks(player, results, infos, say, network),
        ]
        for contest in contests:
            contest.choose()
        for contest in contests:
            contest.tell()
        for contest in contests:
            results = contest.updated(results)
    return results


class _Player:
    """Gives measurements out to threads, but for those that are known already."""

    def __init__(self, settings: Settings, measured: Measured) -> None:
        self.settings, self._measured = settings, measured
        # Games and networks compute without Python's lock.
        self._pool = ThreadPoolExecutor(settings.jobs)

    def __enter__(self) -> Self:
        self._pool.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        if kind is not None:
            self._pool.shutdown(cancel_futures=True)
        self._pool.__exit__(kind, *rest)

    def selection(self, file: str, level: str) -> Callable[[], Selection]:
        """Begins what an agent is chosen by on a level; the result waits for it."""
        rates = {
            policy: {
                condition: self._rate(self._measurement(file, level, condition, policy, 1))
                for condition in CONDITIONS
            }
            for policy in POLICIES
        }
        return lambda: {
            policy: {condition: rate() for condition, rate in each.items()}
            for policy, each in rates.items()
        }

    def told(self, file: str, level: str, policy: PolicyMode) -> Callable[[], Told]:
        """Begins what is told of an agent on a level; the result waits for it."""
        results = {
            condition: self._result(self._measurement(file, level, condition, policy, 0))
            for condition in CONDITIONS
        }
        return lambda: {condition: result() for condition, result in results.items()}

    def _measurement(
        self, file: str, level: str, condition: ConditionName, policy: PolicyMode, later: int
    ) -> Measurement:
        settings = self.settings
        seed = settings.seed + later
        return Measurement(file, level, condition, policy, settings.episodes, seed)

    def _rate(self, measurement: Measurement) -> Callable[[], float]:
        known = self._measured.rates.get(measurement)
        if known is not None:
            return lambda: known
        result = self._result(measurement)
        return lambda: result().result.clear_rate

    def _result(self, measurement: Measurement) -> Callable[[], Played]:
        known = self._measured.results.get(measurement)
        if known is not None:
            return lambda: known
        future = self._pool.submit(measure, measurement, self.settings.folder, self.settings.rom)
        future.add_done_callback(partial(_note, self._measured, measurement))
        return future.result


def _note(measured: Measured, measurement: Measurement, done: Future[Played]) -> None:
    if not done.cancelled() and done.exception() is None:
        measured.add(measurement, done.result())


@dataclass(frozen=True)
class _Winner:
    """An agent that is better than the one before on some levels, and what it was chosen by."""

    file: str
    policy: PolicyMode
    selections: dict[str, Selection]

    @property
    def score(self) -> tuple[float, float]:
        return mean_score(self.selections, self.policy)


class _Contest(ABC, Generic[K]):
    """Agents of one kind, of which the best is looked for under each name, and is told of.

    Args:
        player: measures.
        candidates: file and levels of each agent by what it may become the best of.
        infos: of all agents, by file.
        say: receives a line for each choice.
    """

    def __init__(
        self,
        player: _Player,
        candidates: Iterable[tuple[K, str, Sequence[str]]],
        infos: Mapping[str, AgentInfo],
        say: Callable[[str], None],
    ) -> None:
        self.player, self.infos, self.say = player, infos, say
        self.winners: dict[K, _Winner] = {}
        self._told: dict[K, dict[str, Callable[[], Told]]] = {}
        self._pending = [
            (name, file, {level: player.selection(file, level) for level in levels})
            for name, file, levels in candidates
        ]

    @abstractmethod
    def present(self, name: K) -> tuple[str, tuple[float, float]] | None:
        """Returns file and score of who is the best so far; None: nobody."""

    def choose(self) -> None:
        """Finds the winners, as soon as all is played that they are chosen by."""
        for name, file, pending in self._pending:
            selections = {level: waited() for level, waited in pending.items()}
            scores = {mode: mean_score(selections, mode) for mode in POLICIES}
            # Of many levels the worst rate is nearly always that with sticky buttons, where the two
            # ways of playing differ by chance: there the mean of all rates comes first.
            if len(selections) > 1:
                scores = {mode: (mean, worst) for mode, (worst, mean) in scores.items()}
            policy = max(POLICIES, key=scores.__getitem__)
            winner = _Winner(file, policy, selections)
            present = self.present(name)
            if name in self.winners:
                better = winner.score > self.winners[name].score
            elif present is None:  # nobody needs an agent that never clears
                better = winner.score > (0.0, 0.0)
            else:  # what is measured again need not be better
                better = present[0] == file or winner.score > present[1]
            worst, mean = winner.score
            self.say(
                f"{name}: {file}, {policy}: worst rate {worst:.1%}, mean {mean:.1%}; "
                + ("better than any before" if better else "not better")
            )
            if better:
                self.winners[name] = winner

    def tell(self) -> None:
        """Begins what is told of the winners."""
        for name, winner in self.winners.items():
            self._told[name] = {
                level: self.player.told(winner.file, level, winner.policy)
                for level in winner.selections
            }

    def records(self) -> Iterator[tuple[K, AgentRecord, PolicyMode, dict[str, LevelRecord]]]:
        """Yields what is to be written down of each winner."""
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        for name, winner in self.winners.items():
            levels = {}
            for level, selection in winner.selections.items():
                told = self._told[name][level]()
                levels[level] = LevelRecord(
                    policy=winner.policy,
                    rates={condition: played.result for condition, played in told.items()},
                    ends={condition: played.ends for condition, played in told.items()},
                    selection=selection,
                    eval_seed=self.player.settings.seed,
                    date=today,
                )
            origin = agent_record(winner.file, self.infos[winner.file])
            yield name, origin, winner.policy, levels

    @abstractmethod
    def updated(self, results: Results) -> Results:
        """Returns `results` with the winners."""


class _Specialists(_Contest[str]):
    """The best of each level."""

    def __init__(
        self,
        player: _Player,
        results: Results,
        infos: Mapping[str, AgentInfo],
        levels: Iterable[str] | None,
        say: Callable[[str], None],
        network: str | None,
    ) -> None:
        self._results = results
        wanted = set(results.table if levels is None else levels)
        kind = None if network is None else network_name(infos[network], results.table)
        candidates = [
            (level, file, [level])
            for file, info in infos.items()
            if (name := network_name(info, results.table)) is None
            # Networks that give way to the one that is named may still be best in some levels.
            or (name == kind and file != network)
            for level in info.env.levels
            if level in wanted
        ]
        super().__init__(player, candidates, infos, say)

    def present(self, name: str) -> tuple[str, tuple[float, float]] | None:
        record = self._results.specialists.get(name)
        return None if record is None else (record.file, record.score)

    def updated(self, results: Results) -> Results:
        best = dict(results.specialists)
        for level, origin, _, levels in self.records():
            best[level] = Record(**dict(origin), **dict(levels[level]))
        return results.model_copy(update={"specialists": _sorted(best)})


class _Networks(_Contest[NetworkName]):
    """The best for all levels of those that are told the level, and of the others."""

    def __init__(
        self,
        player: _Player,
        results: Results,
        infos: Mapping[str, AgentInfo],
        say: Callable[[str], None],
        wanted: str | None,
    ) -> None:
        self._results = results
        self._name = None if wanted is None else network_name(infos[wanted], results.table)
        candidates = [
            (name, file, results.table)
            for file, info in infos.items()
            if (name := network_name(info, results.table)) is not None
            and (name != self._name or file == wanted)
        ]
        super().__init__(player, candidates, infos, say)

    def present(self, name: NetworkName) -> tuple[str, tuple[float, float]] | None:
        record = None if name == self._name else self._results.networks.get(name)
        return None if record is None else (record.file, record.score)

    def updated(self, results: Results) -> Results:
        networks = dict(results.networks)
        for name, origin, policy, levels in self.records():
            networks[name] = NetworkRecord(**dict(origin), policy=policy, levels=levels)
        return results.model_copy(update={"networks": networks})


def mean_score(selections: Mapping[str, Selection], policy: PolicyMode) -> tuple[float, float]:
    """Returns what an agent is compared by: means over levels of the worst rate, and of all."""
    scores = [score(selection[policy]) for selection in selections.values()]
    return sum(worst for worst, _ in scores) / len(scores), sum(m for _, m in scores) / len(scores)


def agent_record(file: str, info: AgentInfo) -> AgentRecord:
    """Returns what is written down about an agent, whatever it plays like."""
    return AgentRecord(
        file=file,
        trained_on=list(info.env.levels),
        preset=info.preset,
        observation=info.env.observation,
        rom_revision=info.rom_revision,
        rom_sha1=info.rom_sha1,
        seed=info.seed,
        steps=info.steps,
        seconds=info.seconds,
        threads=info.threads,
        commit=info.commit,
        command=info.command,
        earlier=info.earlier,
    )


def _sorted(levels: Mapping[str, Record]) -> dict[str, Record]:
    return {level: levels[level] for level in parse_levels(list(levels))} if levels else {}
