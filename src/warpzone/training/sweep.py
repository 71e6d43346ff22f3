"""A sweep: many runs, one for each level, that share a time budget. Part of a campaign.

Each level is a run directory of its own, trained by a process of its own in time slices of some
agent steps. What a level needs is found on the way, by one rule for all (`Entry.priority`):

- each level has a slice first, in the order of the game;
- then the next slice goes to the level where `gain + failing / (slices + 1)` is largest: `gain` is
  by how much its last slice raised its measured clear rate, `failing` the share of episodes that it
  does not clear at its best, `slices` how many it has had.

So levels that get on come first, and where nothing gets on time is divided in proportion to what
fails. A level that reaches its target leaves its time to the others. A run that fails is tried once
more after a pause and then left; the others go on. Everything is in the run directories and in what
is kept of each level (`LevelState`), so that a sweep goes on where an earlier one stopped. Knows
run directories and the command line of a training, and no learner.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from warpzone.training.interrupt import Interrupt
from warpzone.training.run_settings import read_status
from warpzone.training.time_slice import TimeSlice

ATTEMPTS = 2
"""Times that a slice is tried."""
PAUSE = 5.0
"""Seconds before a slice is tried again: another process may be about to leave the run."""
POLL = 0.2
LEVEL = "{level}"
"""Stands for the name of a run's level in a setting, e.g. init=agents/{level}.safetensors."""

MakeCommand = Callable[..., list[str]]


class LevelState(BaseModel):
    """What a campaign keeps of a level beside its run directory."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    slices: int = Field(0, ge=0)
    """Time slices that it has had."""
    gain: float = 0.0
    """By how much the last one raised its clear rate."""


@dataclass
class Entry:
    """A level of a sweep, as its run directory tells."""

    level: str
    path: Path
    state: LevelState = field(default_factory=LevelState)
    steps: int = 0
    """Agent steps trained."""
    clear_rate: float | None = None
    """Best measured."""
    failures: int = 0
    """In a row."""
    reason: str = ""
    """Why the last slice failed."""
    paused_until: float = 0.0
    """By the monotonic clock, after a failure."""
    done: bool = False
    """The target has been reached."""

    def read(self, target: float) -> None:
        """Takes over what the run directory says; what makes no sense is passed over."""
        status = read_status(self.path)
        step, rate = status.get("step"), status.get("best_clear_rate")
        if isinstance(step, int):
            self.steps = step
        if isinstance(rate, int | float):
            self.clear_rate = rate
        self.done = self.clear_rate is not None and self.clear_rate >= target

    @property
    def waiting(self) -> bool:
        """Whether it is to be trained on."""
        return not self.done and self.failures < ATTEMPTS

    @property
    def priority(self) -> float:
        """How urgent its next slice is; see the rule above."""
        failing = 1.0 - (self.clear_rate or 0.0)
        return self.state.gain + failing / (self.state.slices + 1)


def next_entry(entries: Sequence[Entry], busy: Sequence[Entry]) -> Entry | None:
    """Returns the level to train next: one that had no slice yet, else the one of the highest
    priority; None: none is to be trained now."""
    now = time.monotonic()
    free = [e for e in entries if e.waiting and e not in busy and e.paused_until <= now]
    for entry in free:
        if entry.state.slices == 0:
            return entry
    return max(free, key=lambda entry: entry.priority, default=None)


def command(
    entry: Entry, preset: str, total_steps: int, settings: Sequence[str], rom: Path | None
) -> list[str]:
    """Returns the command of a process that trains a level up to `total_steps`."""
    given = [setting.replace(LEVEL, entry.level) for setting in settings]
    return train_command(entry.level, entry.path, preset, total_steps, 1, given, rom)


def train_command(
    levels: str,
    path: Path,
    preset: str,
    total_steps: int,
    threads: int,
    settings: Sequence[str],
    rom: Path | None,
) -> list[str]:
    """Returns the command of a training in `path`, which begins or goes on."""
    line = [sys.executable, "-P", "-m", "warpzone", "train", levels, "--preset", preset]
    line += ["--out", str(path), "--steps", str(total_steps), "--threads", str(threads)]
    if os.path.lexists(path / "config.json"):
        line.append("--resume")
    for setting in settings:
        line += ["--set", setting]
    if rom is not None:
        line += ["--rom", str(rom)]
    return line


def run(
    entries: Sequence[Entry],
    left: Callable[[], float],
    interrupt: Interrupt,
    *,
    jobs: int,
    preset: str,
    slice_steps: int,
    target: float,
    settings: Sequence[str],
    rom: Path | None,
    log: Callable[[str], None],
    make_command: MakeCommand = command,
) -> None:
    """Trains `entries` until all reach `target` or have failed, or the time is over.

    What runs then is stopped and saved, and so it is where an end is requested.

    Args:
        entries: levels, read already.
        left: seconds that are left; called every now and then.
        interrupt: asked for an end.
        jobs: levels trained at once, one thread each.
        preset, settings: of every run, as `warpzone train` has them; see also `LEVEL`.
        slice_steps: agent steps between two choices of a level.
        target: measured clear rate with which a level is done.
        rom: the ROM, or None to look for it.
        log: receives a line for each slice.

    Raises:
        Interrupted: an end was requested.
    """
    running: list[tuple[Entry, TimeSlice]] = []
    settings = [*settings, f"target_clear_rate={target}"]
    try:
        while True:
            interrupt.check()
            for entry, ended in [each for each in running if each[1].ended]:
                running.remove((entry, ended))
                _take_in(entry, ended, target, log)
            remaining = left()
            while len(running) < jobs and remaining > 0:
                following = next_entry(entries, [entry for entry, _ in running])
                if following is None:
                    break
                line = make_command(following, preset, following.steps + slice_steps, settings, rom)
                log_file = following.path.with_name(f"{following.level}.log")
                running.append((following, TimeSlice(line, log_file)))
            if remaining <= 0 or not (running or any(entry.waiting for entry in entries)):
                break
            time.sleep(POLL)
    finally:
        for _, one in running:
            one.ask_to_end()
        for entry, one in running:
            one.wait()
            _take_in(entry, one, target, log, stopped=True)


def _take_in(
    entry: Entry,
    ended: TimeSlice,
    target: float,
    log: Callable[[str], None],
    *,
    stopped: bool = False,
) -> None:
    steps, rate = entry.steps, entry.clear_rate
    entry.read(target)
    if ended.code != 0 and entry.steps <= steps:
        if stopped:  # it had not come to anything yet
            return
        entry.failures += 1
        entry.reason = ended.last_line()
        entry.paused_until = time.monotonic() + PAUSE
        what = "tried again" if entry.failures < ATTEMPTS else "left out from now on"
        log(f"{entry.level}: failed with status {ended.code}, {what}: {entry.reason}")
        return
    entry.failures = 0
    if not stopped:  # what is stopped half-way is not measured
        entry.state.slices += 1
        entry.state.gain = (entry.clear_rate or 0.0) - (rate or 0.0)
    told = "not measured yet" if entry.clear_rate is None else f"best {entry.clear_rate:.0%}"
    mark = ", target reached" if entry.done else ""
    log(f"{entry.level}: {entry.steps:,} steps, {told}{mark} ({ended.seconds:.0f} s)")


def summary(entries: Sequence[Entry]) -> dict[str, Any]:
    """Returns what became of the levels, as JSON has it."""
    return {
        entry.level: {
            "run": str(entry.path),
            "steps": entry.steps,
            "best_clear_rate": entry.clear_rate,
            "done": entry.done,
            **({"failed": entry.reason} if entry.failures else {}),
        }
        for entry in entries
    }
