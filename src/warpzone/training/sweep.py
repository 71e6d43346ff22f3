"""A sweep: many runs, one for each level, within a time budget. The command is `warpzone campaign`.

Each level is a run directory of its own, trained by a process of its own in time slices of some
agent steps. After each slice the level that has had fewest comes next, so that all levels get
their turn and those that reach their target leave their time to the others. A run that fails is
tried once more and then left; the others go on. Everything is in the run directories: the same
command goes on where an earlier one stopped. Knows run directories and the command line of a
training, and no learner.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warpzone.errors import ConfigError
from warpzone.files import make_directory, open_regular_file
from warpzone.settings import parse_overrides
from warpzone.training.config import TrainConfig
from warpzone.training.interrupt import Interrupt, Interrupted
from warpzone.training.presets import resolve
from warpzone.training.run_settings import read_status, require_utf8

ATTEMPTS = 2
"""Times that a slice is tried."""
GRACE = 60.0
"""Seconds that a run has to save itself when time is up."""
POLL = 0.2
LAST_BYTES = 1 << 16
"""Of what a process said, in which its last line is looked for."""
LEVEL = "{level}"
"""Stands for the name of a run's level in a setting, e.g. init=agents/{level}.safetensors."""


@dataclass
class Entry:
    """A level of a sweep, as its run directory tells."""

    level: str
    path: Path
    steps: int = 0
    """Agent steps trained."""
    clear_rate: float | None = None
    """Best measured."""
    failures: int = 0
    """In a row."""
    reason: str = ""
    """Why the last slice failed."""
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


@dataclass
class _TimeSlice:
    """A process that trains a level for some steps."""

    entry: Entry
    process: subprocess.Popen[bytes]
    log: Path
    began: float


def command(
    entry: Entry, preset: str, total_steps: int, settings: Sequence[str], rom: Path | None
) -> list[str]:
    """Returns the command of a process that trains a level up to `total_steps`."""
    line = [sys.executable, "-P", "-m", "warpzone", "train", entry.level, "--preset", preset]
    line += ["--out", str(entry.path), "--steps", str(total_steps), "--threads", "1"]
    if os.path.lexists(entry.path / "config.json"):
        line.append("--resume")
    for setting in settings:
        line += ["--set", setting.replace(LEVEL, entry.level)]
    if rom is not None:
        line += ["--rom", str(rom)]
    return line


def next_entry(entries: Sequence[Entry], busy: Sequence[Entry], most_steps: int) -> Entry | None:
    """Returns the level to train next: of those that need it, the one trained least, then the
    worst; None: there is none."""
    waiting = [
        entry
        for entry in entries
        if entry not in busy
        and not entry.done
        and entry.failures < ATTEMPTS
        and entry.steps < most_steps
    ]
    return min(waiting, key=lambda e: (e.steps, e.clear_rate or 0.0), default=None)


def run(
    levels: Sequence[str],
    out: Path,
    *,
    hours: float,
    jobs: int,
    preset: str = "specialist",
    slice_steps: int = 1_000_000,
    most_steps: int = 20_000_000,
    target: float = 0.95,
    settings: Sequence[str] = (),
    rom: Path | None = None,
    log: Callable[[str], None] = print,
    make_command: Callable[..., list[str]] = command,
) -> list[Entry]:
    """Trains each of `levels` in `out`/<level> until all reach `target` or the time is over.

    Args:
        levels: names, "1-1" to "8-4".
        out: a directory for the run directories; that of an earlier sweep goes on.
        hours: for all levels together; what runs then is stopped and saved.
        jobs: levels trained at once, one thread each.
        preset, settings: of every run, as `warpzone train` has them; see also `LEVEL`.
        slice_steps: agent steps between two choices of a level.
        most_steps: agent steps of one level at the most.
        target: measured clear rate with which a level is done.
        log: receives a line for each slice.

    Raises:
        ConfigError: a number or a setting out of its range, or an `out` that cannot be made.
    """
    if hours <= 0 or jobs < 1 or slice_steps < 1:
        raise ConfigError(
            f"hours ({hours}) must be above 0, jobs ({jobs}) and slice_steps ({slice_steps})"
            " at least 1"
        )
    for level in levels:  # what is wrong is told now, not by each process
        given = [setting.replace(LEVEL, level) for setting in settings]
        resolve(preset, **parse_overrides(given, TrainConfig))
    entries = [Entry(level, out / level) for level in levels]
    for entry in entries:
        entry.read(target)
    settings = [*settings, f"target_clear_rate={target}"]
    end = time.monotonic() + hours * 3600
    running: list[_TimeSlice] = []
    require_utf8(out)
    try:
        make_directory(out)
    except OSError as error:
        raise ConfigError(
            f"cannot write runs to {str(out)!r}: {error.strerror or error}; choose another --out"
        ) from error
    with Interrupt() as interrupt:
        try:
            while True:
                interrupt.check()
                for ended in [s for s in running if s.process.poll() is not None]:
                    running.remove(ended)
                    _take_in(ended, target, log)
                while len(running) < jobs and time.monotonic() < end:
                    following = next_entry(entries, [s.entry for s in running], most_steps)
                    if following is None:
                        break
                    steps = min(following.steps + slice_steps, most_steps)
                    line = make_command(following, preset, steps, settings, rom)
                    running.append(_start(following, line))
                if not running or time.monotonic() >= end:
                    break
                time.sleep(POLL)
        except Interrupted:
            log("interrupted; the runs save themselves. The same command goes on")
        finally:
            _stop(running, target, log)
    return entries


def _start(entry: Entry, line: list[str]) -> _TimeSlice:
    log = entry.path.with_name(f"{entry.level}.log")
    with log.open("ab") as file:
        # In a group of its own, so that Ctrl-C reaches it through us alone.
        process = subprocess.Popen(
            line, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            process_group=0 if sys.platform != "win32" else None,
        )  # fmt: skip
    return _TimeSlice(entry, process, log, time.monotonic())


def _take_in(ended: _TimeSlice, target: float, log: Callable[[str], None]) -> None:
    entry, before = ended.entry, ended.entry.steps
    entry.read(target)
    seconds = time.monotonic() - ended.began
    code = ended.process.returncode
    if code != 0 and entry.steps <= before:
        entry.failures += 1
        entry.reason = _last_line(ended.log)
        what = "tried again" if entry.failures < ATTEMPTS else "left out from now on"
        log(f"{entry.level}: failed with status {code}, {what}: {entry.reason}")
        return
    entry.failures = 0
    rate = "not measured yet" if entry.clear_rate is None else f"best {entry.clear_rate:.0%}"
    mark = ", target reached" if entry.done else ""
    log(f"{entry.level}: {entry.steps:,} steps, {rate}{mark} ({seconds:.0f} s)")


def _stop(running: list[_TimeSlice], target: float, log: Callable[[str], None]) -> None:
    for one in running:
        one.process.terminate()
    for one in running:
        try:
            one.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            one.process.kill()
            one.process.wait()
        _take_in(one, target, log)


def _last_line(log: Path) -> str:
    try:
        with open_regular_file(log) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LAST_BYTES))
            lines = file.read(LAST_BYTES).decode(errors="replace").strip().splitlines()
    except OSError as error:
        return f"its output cannot be read: {error.strerror or error}"
    return lines[-1] if lines else "it said nothing"


def summary(entries: Sequence[Entry]) -> dict[str, Any]:
    """Returns what became of a sweep, as JSON has it."""
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
