"""Run directories under a folder, as a reader sees them.

Nothing is locked or written; files that change or vanish meanwhile are no errors, and what is wrong
with a run is told beside it and spoils no other. A folder holds runs, and campaigns, whose runs lie
one deeper.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from warpzone.errors import RunError
from warpzone.files import read_regular_file
from warpzone.runs.metrics import Metrics, Progress

SCAN_EVERY = 0.5
"""Seconds for which the list of runs is taken as it is."""
LARGEST_DOCUMENT = 1 << 22
"""Of config.json and status.json, in bytes."""
MOST_TEXT = 2000
"""Characters that are shown of a text in a run directory."""
MOST_NAMES, LONGEST_NAME = 256, 100
"""Levels of a run that are named, and characters of such a name."""
MARKS = ("status.json", "metrics.jsonl", "checkpoints", "agent.safetensors")
"""What a directory with one of these, but without a config.json, was once: a run."""


class Document:
    """Holds a JSON object of a file, which is read again when the file has changed.

    Attributes:
        value: the object; empty where there is none.
        problem: what is wrong with the file; None: nothing.
        modified: seconds since 1970; None where there is no file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.value: dict[str, Any] = {}
        self.problem: str | None = None
        self.modified: float | None = None
        self._stamp: tuple[int, int, int] | None = None

    def refresh(self) -> None:
        """Reads the file again if it has changed."""
        name = self.path.name
        try:
            found = self.path.stat()
            stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
            self.modified = found.st_mtime
            if stamp == self._stamp:
                return
            self._parse(read_regular_file(self.path, LARGEST_DOCUMENT, within=self.path.parent))
            self._stamp = stamp
        except FileNotFoundError:
            self._set({}, f"there is no {name}")
            self._stamp = self.modified = None
        except OSError as error:
            self._set({}, f"{name} cannot be read: {error.strerror or error}")
            self._stamp = None

    def _parse(self, data: bytes) -> None:
        try:
            value = from_json(data)
        except ValueError as error:
            self._set({}, f"{self.path.name} is damaged or half-written: {error}")
            return
        if isinstance(value, dict):
            self._set(value, None)
        else:
            self._set({}, f"{self.path.name} holds no JSON object")

    def _set(self, value: dict[str, Any], problem: str | None) -> None:
        self.value, self.problem = value, problem


class Run:
    """Reads a run directory.

    Attributes:
        path: the directory.
        name: its path below the folder of the library, `printable`, with `/` in campaigns.
        lock: to be held, by threads of this process, while `metrics` are refreshed and read.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self.lock = threading.RLock()
        self._documents = threading.RLock()
        self._config = Document(path / "config.json")
        self._status = Document(path / "status.json")
        self._metrics: Metrics | None = None
        self._progress: Progress | None = None

    @property
    def config(self) -> dict[str, Any]:
        """Returns the settings as config.json has them, those of older versions too; {} where it
        cannot be read."""
        with self._documents:
            self._config.refresh()
            return self._config.value

    @property
    def config_problem(self) -> str | None:
        """Returns what is wrong with config.json, as last read, for people; None: nothing."""
        return self._config.problem

    @property
    def status(self) -> dict[str, Any]:
        """Returns what status.json says now; {}: nothing."""
        with self._documents:
            self._status.refresh()
            return self._status.value

    @property
    def metrics(self) -> Metrics:
        """Returns all of metrics.jsonl up to now; hold `lock` while you use it."""
        with self.lock:
            if self._metrics is None:
                self._metrics = Metrics(self.path / "metrics.jsonl")
            self._metrics.refresh()
            return self._metrics

    @property
    def levels(self) -> list[str]:
        """Returns the names of the levels that are trained on."""
        env = self.config.get("env")
        game = self.config.get("game")
        if isinstance(game, dict) and game.get("name") is not None:
            return []  # a described game has none
        levels = env.get("levels") if isinstance(env, dict) else None
        if not isinstance(levels, dict | list):
            return []
        return [shortened(str(name), LONGEST_NAME) for name in islice(levels, MOST_NAMES)]

    @property
    def rom_revision(self) -> str | None:
        """Returns the revision of the cartridge that is trained on, as `Rom.revision` has it; None:
        not known."""
        rom = self.status.get("rom")
        revision = rom.get("revision") if isinstance(rom, dict) else None
        return revision if isinstance(revision, str) else None

    @property
    def measured(self) -> dict[str, dict[str, Any]]:
        """Returns the measurement of a finished run by level, as `EvalResult.as_dict` has it."""
        measured = self.status.get("measured")
        if not isinstance(measured, dict):
            return {}
        return {
            str(level): result
            for level, result in measured.items()
            if isinstance(result, dict) and number(result.get("clear_rate")) is not None
        }

    def summary(self) -> dict[str, Any]:
        """Returns what a list of runs shows; JSON can hold it.

        `state` is that of status.json, `starting` before there is one, or `damaged`; `best` the
        best measured clear rate, 0-1; `updated` when the run last wrote, in seconds since 1970;
        `problems` are for people. What nobody has thought of is a problem of this run alone.
        """
        try:
            return self._summary()
        except Exception as error:
            nothing = ("preset", "seed", "step", "total_steps", "best", "error", "updated")
            return {
                **dict.fromkeys(nothing),
                "name": self.name,
                "state": "damaged",
                "levels": [],
                "problems": [f"it cannot be read: {type(error).__name__}: {error}"],
            }

    def _summary(self) -> dict[str, Any]:
        with self._documents:  # not `lock`: another thread may hold it while it reads long curves
            config, status = self.config, self.status
            state = status.get("state")
            problems = [self._config.problem, self._status.problem]
            if config and self._status.modified is None:  # written once there are games
                state, problems = "starting", []
            step, best = number(status.get("step")), number(status.get("best_clear_rate"))
            if state == "running" or "best_clear_rate" not in status:
                told = self._read_progress()
                step = told.step if told.step is not None else step
                best = told.best if best is None else best
                problems.append(told.problem)
            return {
                "name": self.name,
                "state": shortened(state, LONGEST_NAME)
                if isinstance(state, str) and config
                else "damaged",
                "levels": self.levels,
                "preset": _text(config.get("preset")),
                "seed": number(config.get("seed")),
                "step": step,
                "total_steps": number(config.get("total_steps")),
                "best": best,
                "error": _text(status.get("error")),
                "updated": self._updated(),
                "problems": [text for text in problems if text],
            }

    def _read_progress(self) -> Progress:
        if self._progress is None:
            self._progress = Progress(self.path / "metrics.jsonl")
        self._progress.refresh()
        return self._progress

    def _updated(self) -> float | None:
        times = [self._status.modified, self._config.modified]
        with suppress(OSError):
            times.append((self.path / "metrics.jsonl").stat().st_mtime)
        return max((found for found in times if found is not None), default=None)


class Library:
    """Finds the runs under a folder. A folder that is a run directory itself is a library of one.

    May be used by several threads.
    """

    def __init__(self, folder: Path) -> None:
        """Looks at a folder.

        Raises:
            RunError: there is no such folder.
        """
        if not folder.is_dir():
            what = "it is a file" if folder.exists() else "there is no such folder"
            raise RunError(
                f"no runs in {str(folder)!r}: {what}. A training makes one, for example "
                "`warpzone train 1-1`, which writes to runs/; or name the folder that holds yours"
            )
        self.folder = folder
        self.problem: str | None = None
        """Why the folder cannot be read now; None: it can."""
        self._lock = threading.Lock()
        self._runs: dict[str, Run] = {}
        self._scanned = -math.inf

    def runs(self) -> list[Run]:
        """Returns what is there now, by name; damaged run directories too."""
        return list(self._scan().values())

    def run(self, name: str) -> Run:
        """Returns the run of that name.

        Raises:
            RunError: there is none.
        """
        found = self._scan()
        if name not in found:
            names = [*found][:5]
            there = ", ".join(names) + (" …" if len(found) > len(names) else "")
            raise RunError(
                f"there is no run {name!r} in {str(self.folder)!r}"
                + (f"; there are {there}" if names else ", nor any other")
            )
        return found[name]

    def _scan(self) -> dict[str, Run]:
        with self._lock:
            if time.monotonic() >= self._scanned + SCAN_EVERY:
                try:
                    found = _named(_find(self.folder))
                    self.problem = None
                except OSError as error:
                    found = {}
                    self.problem = f"{str(self.folder)!r} cannot be read: {error.strerror or error}"
                self._runs = {
                    name: self._runs.get(name) or Run(path, name)
                    for name, path in sorted(found.items())
                }
                self._scanned = time.monotonic()
            return self._runs


def printable(name: str) -> str:
    """Returns the name of a file as text: bytes that are no UTF-8 become `\\xff`."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _named(found: Iterator[tuple[str, Path]]) -> dict[str, Path]:
    """Returns run directories by their names as text, each of which is another one."""
    named: dict[str, Path] = {}
    for name, path in found:
        text = printable(name)
        while text in named:
            text += "'"
        named[text] = path
    return named


def _find(folder: Path) -> Iterator[tuple[str, Path]]:
    if (folder / "config.json").is_file():
        yield folder.resolve().name, folder
        return
    for name in _folders(folder):
        path = folder / name
        if _is_run(path):
            yield name, path
            continue
        try:
            inside = _folders(path)
        except OSError:  # not ours to read, or gone meanwhile
            continue
        for below in inside:
            if _is_run(path / below):
                yield f"{name}/{below}", path / below


def _folders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [e.name for e in entries if not e.name.startswith(".") and e.is_dir()]


def _is_run(path: Path) -> bool:
    return any(os.path.lexists(path / name) for name in ("config.json", *MARKS))


def number(value: object) -> int | float | None:
    """Returns `value` if it is a finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        return None


def shortened(text: str, most: int = MOST_TEXT) -> str:
    """Returns a text, or its beginning and how many characters there are of it."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"


def _text(value: object) -> str | None:
    return shortened(value) if isinstance(value, str) else None
