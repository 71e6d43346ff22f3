"""A campaign: a specialist for each level, and then one network for all of them, in a time budget.

First the levels are trained as `warpzone.training.sweep` says, each in `DIR/<level>`, then the
network in `DIR/network`, with the preset `generalist` and the specialists as distillation policies:
of each level the one that was trained, if it has ever been measured to clear it. Levels are drawn
the more often the more of their episodes fail (`warpzone.training.level_priority`). Specialists
have their share of the time; what they leave, because all have reached their target, is the
network's.

The network's learning rate falls linearly to 0 at its last step, so that it must know how many
steps fit into its time. That is found on the way: after an eighth of the time, but at most five
minutes, and then whenever half of what is left is over, the training is stopped and goes on with
the steps that its pace allows.

`DIR/campaign.json` says how much time has been spent, and how levels got on; everything else is in
the run directories. Whenever a campaign is interrupted, the same command goes on with it, and a
larger budget than before gives it more time.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from warpzone.errors import CheckpointError, ConfigError, RunError
from warpzone.files import make_directory, read_regular_file, write_atomically
from warpzone.settings import describe, merge, parse_overrides
from warpzone.smb.config import EnvConfig
from warpzone.training import sweep
from warpzone.training.config import TrainConfig
from warpzone.training.interrupt import Interrupt, Interrupted
from warpzone.training.network_registry import has_memory
from warpzone.training.presets import resolve
from warpzone.training.resolve_agent import resolve_agent
from warpzone.training.run_settings import LOCK, read_status, require_utf8
from warpzone.training.sweep import ATTEMPTS, LEVEL, Entry, LevelState, train_command
from warpzone.training.time_slice import TimeSlice

NETWORK = "network"
"""The directory of the network's run."""
PRESET = "generalist"
STATE = "campaign.json"
MOST_STATE_BYTES = 1 << 20
SAVE_EVERY = 10.0
"""Seconds of training between two notes of the time spent, which is what a power cut loses."""
FIRST_ROUND = 1 / 8
"""Of the network's time, after which its steps are reckoned anew."""
LONGEST_FIRST_ROUND = 300.0
"""Seconds: in that time no machine plays all steps of the preset."""
NEXT_ROUND = 1 / 2
"""Of the time that is left then, and each time after that."""
SHORTEST_ROUND = 20.0
"""Seconds; less is not worth beginning anew for."""
SLACK = 0.97
"""Of the steps that the pace allows: the last ones are to be played before time is up."""


class CampaignState(BaseModel):
    """What `campaign.json` holds."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    specialist_seconds: float = Field(0.0, ge=0.0)
    """Spent on the levels, all processes side by side."""
    network_seconds: float = Field(0.0, ge=0.0)
    """Spent on the network."""
    levels: dict[str, LevelState] = {}


@dataclass
class NetworkRun:
    """The training of one network for all levels, as its run directory tells."""

    path: Path
    steps: int = 0
    """Agent steps trained."""
    clear_rate: float | None = None
    """Best measured, mean over the levels."""
    failures: int = 0
    """In a row."""
    reason: str = ""
    """Why the last attempt failed."""
    finished: bool = False
    """Its steps are over, or its target is reached."""

    def read(self) -> None:
        """Takes over what the run directory says."""
        status = read_status(self.path)
        step, rate = status.get("step"), status.get("best_clear_rate")
        self.steps = step if isinstance(step, int) else self.steps
        self.clear_rate = rate if isinstance(rate, int | float) else self.clear_rate
        self.finished = status.get("state") == "finished"


@dataclass(frozen=True)
class Outcome:
    """What became of a campaign.

    Attributes:
        entries: its levels.
        network: None: only specialists were asked for.
        interrupted: an end was requested before the time was over.
        seconds: spent until now.
    """

    entries: list[Entry]
    network: NetworkRun | None
    interrupted: bool
    seconds: float

    @property
    def runs(self) -> list[Path]:
        """The directories of all runs."""
        network = [] if self.network is None else [self.network.path]
        return [*(entry.path for entry in self.entries), *network]

    def as_json(self) -> dict[str, Any]:
        """Returns `levels` → level → run, steps, best_clear_rate, done; `network`; `seconds`."""
        network = self.network
        return {
            "levels": sweep.summary(self.entries),
            "network": network
            and {
                "run": str(network.path),
                "steps": network.steps,
                "best_clear_rate": network.clear_rate,
                **({"failed": network.reason} if network.failures else {}),
            },
            "interrupted": self.interrupted,
            "seconds": round(self.seconds),
        }


def run(
    levels: Sequence[str],
    out: Path,
    *,
    hours: float,
    jobs: int,
    network_share: float = 0.5,
    init: str | None = None,
    preset: str = "specialist",
    slice_steps: int = 1_000_000,
    target: float = 0.95,
    settings: Sequence[str] = (),
    network_settings: Sequence[str] = (),
    rom: Path | None = None,
    log: Callable[[str], None] = print,
    make_command: sweep.MakeCommand = sweep.command,
    make_network_command: Callable[..., list[str]] = train_command,
) -> Outcome:
    """Trains specialists of `levels` and one network for all of them, until the time is over.

    Args:
        levels: names, "1-1" to "8-4".
        out: a directory for the runs; that of an earlier campaign goes on.
        hours: of training, all calls together; measurements within runs are part of it.
        jobs: levels trained at once, one thread each; threads of the network's training.
        network_share: of the hours, for the network; 0: specialists only, 1: the network only.
        init: an agent that the network begins with, see `TrainConfig.init`.
        preset, settings: of every specialist, as `warpzone train` has them; see also `sweep.LEVEL`.
        slice_steps: agent steps of a level between two choices of one.
        target: measured clear rate with which a level is done.
        network_settings: of the network.
        rom: the ROM, or None to look for it.
        log: receives a line for each piece of work.

    Raises:
        ConfigError: a number or a setting out of its range, or an `out` that cannot be made.
        CheckpointError: `campaign.json` is damaged.
        RunError: another campaign works in `out`.
        AgentError: there is no agent `init`.
    """
    if hours <= 0 or jobs < 1 or slice_steps < 1:
        raise ConfigError(
            f"hours ({hours}) must be above 0, jobs ({jobs}) and slice_steps ({slice_steps})"
            " at least 1"
        )
    if not 0 <= network_share <= 1:
        raise ConfigError(f"network_share is {network_share}; it must be from 0 to 1")
    if network_share > 0 and len(levels) < 2:
        raise ConfigError(
            "one network for all levels needs at least two of them; set the network's share to 0"
        )
    if network_share == 0 and (init is not None or network_settings):
        raise ConfigError("there is no network to begin with an agent or to set: its share is 0")
    network_settings = list(network_settings)
    if init is not None:
        resolve_agent(init)
        network_settings.append(f"init={json.dumps(init)}")

    def specialist(level: str) -> TrainConfig:
        given = parse_overrides([text.replace(LEVEL, level) for text in settings], TrainConfig)
        return resolve(preset, **merge(given, {"env": {"levels": {level: 1.0}}}))

    for level in levels:  # what is wrong is told now, not by each process
        specialist(level)
    of_network = resolve(PRESET, **parse_overrides(network_settings, TrainConfig)).env
    if 0 < network_share < 1:
        _check_teachers(specialist(levels[0]), of_network)
    require_utf8(out)
    try:
        make_directory(out)
    except OSError as error:
        raise ConfigError(
            f"cannot write runs to {str(out)!r}: {error.strerror or error}; choose another --out"
        ) from error
    with _alone(out), Interrupt() as interrupt:
        ledger = _Ledger(out / STATE)
        entries = [Entry(level, out / level, ledger.level(level)) for level in levels]
        for entry in entries:
            entry.read(target)
        network = NetworkRun(out / NETWORK) if network_share > 0 else None
        total, interrupted = hours * 3600, False
        try:
            if network_share < 1:
                with ledger.spending("specialist_seconds", total * (1 - network_share)) as left:
                    sweep.run(
                        entries, left, interrupt, jobs=jobs, preset=preset,
                        slice_steps=slice_steps, target=target, settings=settings, rom=rom,
                        log=log, make_command=make_command,
                    )  # fmt: skip
            if network is not None:
                network.read()
                # What specialists have not used is the network's too.
                budget = total - ledger.state.specialist_seconds
                with ledger.spending("network_seconds", budget) as left:
                    spent = ledger.state.network_seconds
                    work = _NetworkTraining(network, entries, left, interrupt, log)
                    work.train(spent, jobs, network_settings, rom, make_network_command)
        except Interrupted:
            interrupted = True
            log("interrupted; the runs have saved themselves. The same command goes on")
    state = ledger.state
    seconds = state.specialist_seconds + state.network_seconds
    return Outcome(entries, network, interrupted, seconds)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Raises: RunError: another campaign works in `out`."""
    lock = filelock.FileLock(out / LOCK)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise RunError(
            f"another campaign works in {str(out)!r}. Wait for it, or end it with Ctrl-C there; or"
            " choose another directory with --out"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"cannot write runs to {str(out)!r}: {error.strerror or error}; choose another --out"
        ) from error
    try:
        yield
    finally:
        lock.release()


class _Ledger:
    """Notes the time that is spent in `campaign.json`.

    Raises:
        CheckpointError: there is one, and it is damaged.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            text = read_regular_file(file, MOST_STATE_BYTES)
            self.state = CampaignState.model_validate_json(text)
        except FileNotFoundError:
            self.state = CampaignState()
        except (OSError, ValueError) as error:
            what = describe(error) if isinstance(error, ValidationError) else str(error)
            raise CheckpointError(
                f"cannot read {file}: {what}. Put it back, or remove it: then the time is reckoned"
                " anew, and the runs go on"
            ) from error

    def level(self, name: str) -> LevelState:
        """Returns what is noted of a level, to be changed."""
        return self.state.levels.setdefault(name, LevelState())

    @contextmanager
    def spending(self, name: str, budget: float) -> Iterator[Callable[[], float]]:
        """Yields what says how much of `budget` is left of the seconds `name`; they run."""
        before, began = getattr(self.state, name), time.monotonic()
        saved = began

        def left() -> float:
            nonlocal saved
            now = time.monotonic()
            setattr(self.state, name, before + now - began)
            if now >= saved + SAVE_EVERY:
                self.save()
                saved = now
            return float(budget - getattr(self.state, name))

        try:
            yield left
        finally:
            left()
            self.save()

    def save(self) -> None:
        """Raises: FileError: it cannot be written."""
        write_atomically(self.file, self.state.model_dump_json(indent=2).encode())


class _NetworkTraining:
    """Trains the network in rounds, between which its steps are reckoned anew."""

    def __init__(
        self,
        network: NetworkRun,
        entries: Sequence[Entry],
        left: Callable[[], float],
        interrupt: Interrupt,
        log: Callable[[str], None],
    ) -> None:
        self.network, self.entries, self.left = network, entries, left
        self.interrupt, self.log = interrupt, log
        self._delay = math.inf
        """Seconds before the first update of a round, in the shortest of them."""

    def train(
        self,
        spent: float,
        threads: int,
        settings: Sequence[str],
        rom: Path | None,
        make_command: Callable[..., list[str]],
    ) -> None:
        """Trains until the time is over, the target is reached, or it has failed.

        Args:
            spent: seconds of trainings before this one.
            others: see `sweep.train_command`.

        Raises:
            Interrupted: an end was requested.
        """
        network, levels = self.network, ",".join(entry.level for entry in self.entries)
        policies = distillation_policies(self.entries)
        if policies:
            settings = [*settings, f"distillation_policies={json.dumps(policies)}"]
        total = resolve(PRESET, **parse_overrides(list(settings), TrainConfig)).total_steps
        if network.steps > 0 and spent > 0:
            total = self._reckoned(network.steps / spent)
        while (remaining := self.left()) > 0 and network.failures < ATTEMPTS:
            self.interrupt.check()
            if network.steps > 0 and remaining < SHORTEST_ROUND:
                return
            length = NEXT_ROUND * remaining
            if network.steps == 0:
                length = min(FIRST_ROUND * remaining, LONGEST_FIRST_ROUND)
            length = max(length, SHORTEST_ROUND)
            last = remaining - length < SHORTEST_ROUND
            line = make_command(levels, network.path, PRESET, total, threads, settings, rom)
            before = network.steps
            pace = self._round(line, remaining if last else length)
            if network.finished and network.steps < total:  # it has reached its target
                return
            if network.steps > before:
                total = self._reckoned(pace)

    def _reckoned(self, pace: float) -> int:
        """How many steps fit into the time, with those that are done."""
        delay = self._delay if math.isfinite(self._delay) else 0.0
        seconds = max(0.0, self.left() - delay)
        return self.network.steps + max(1, int(SLACK * pace * seconds))

    def _round(self, line: Sequence[str], seconds: float) -> float:
        """Trains for a while; returns agent steps per second since its first update."""
        network, before = self.network, self.network.steps
        metrics = network.path / "metrics.jsonl"
        size, begun, end = _size(metrics), None, self.left() - seconds
        work = TimeSlice(line, network.path.with_name(f"{NETWORK}.log"))
        stopped = False
        try:
            while not work.ended:
                self.interrupt.check()
                if begun is None and _size(metrics) != size:
                    begun = time.monotonic()
                left = self.left()
                # Before its first update it searches, and would begin that anew.
                if left <= 0 or (left <= end and begun is not None):
                    stopped = True
                    break
                time.sleep(sweep.POLL)
        except Interrupted:
            stopped = True
            raise
        finally:
            if not work.ended:
                work.ask_to_end()
                work.wait()
            network.read()
            self._note(work, before, stopped)
        begun = work.began if begun is None else begun
        self._delay = min(self._delay, begun - work.began)
        spent = time.monotonic() - begun
        return (network.steps - before) / max(spent, 1e-6)

    def _note(self, work: TimeSlice, before: int, stopped: bool) -> None:
        network = self.network
        if work.code != 0 and network.steps <= before and not stopped:
            network.failures += 1
            network.reason = work.last_line()
            what = "tried again" if network.failures < ATTEMPTS else "left"
            self.log(f"{NETWORK}: failed with status {work.code}, {what}: {network.reason}")
            time.sleep(sweep.PAUSE if network.failures < ATTEMPTS else 0.0)
            return
        network.failures = 0
        rate = network.clear_rate
        told = "not measured yet" if rate is None else f"best {rate:.0%}"
        self.log(f"{NETWORK}: {network.steps:,} steps, {told} ({work.seconds:.0f} s)")


def distillation_policies(entries: Sequence[Entry]) -> dict[str, str]:
    """Returns the run of each level whose specialist has been measured to clear it."""
    return {
        entry.level: str(entry.path)
        for entry in entries
        if entry.clear_rate and (entry.path / "best.safetensors").is_file()
    }


def _size(file: Path) -> int:
    try:
        return os.stat(file).st_size
    except OSError:
        return 0


def _check_teachers(specialists: TrainConfig, network: EnvConfig) -> None:
    """Raises ConfigError where a network that sees and acts as `network` cannot learn from what
    `specialists` trains."""
    if has_memory(specialists.network.kind):
        raise ConfigError(
            "the network cannot learn from specialists whose network has a memory"
            f" (network.kind {specialists.network.kind}); choose another kind, or give"
            " --network-share 0"
        )
    for name in ("observation", "action_list", "frame_skip"):
        theirs, its = getattr(specialists.env, name), getattr(network, name)
        if theirs != its:
            setting = {"action_list": "actions"}.get(name, name)
            raise ConfigError(
                f"the network cannot learn from specialists with another env.{setting}:"
                f" theirs is {theirs}, the network's {its}; set the same for both, or give"
                " --network-share 0"
            )
