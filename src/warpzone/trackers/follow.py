"""The process that follows a run and sends its figures to one service.

It is started as `python -m warpzone.trackers.follow`, with a `Request` as JSON. It reads
`metrics.jsonl` from where it was left, tells what the user should know as lines on its standard
output, and goes on until its standard input says "end", or is closed because whoever started it is
gone. What a service's library prints goes to `trackers/NAME.log` in the run directory.

Nothing in here can disturb a training: it has its own process, and a training waits for its end no
longer than `beside.FINISH_SECONDS`.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import filelock

from warpzone.files import (
    append_to,
    lines_of,
    open_regular_file,
    read_regular_file,
    require_no_link,
    write_atomically,
)
from warpzone.trackers.services import SERVICES, About, Row, Service

FOLDER = "trackers"
"""Of a run directory: how far each service has come, and what its library has printed."""
END = "end"
"""The line that says that the run is over."""
DONE, NOT_DONE = "\x04done", "\x04not done"
"""The last line that is told: whether the service has everything."""
POLL_SECONDS = 2.0
RETRY_SECONDS = (15.0, 30.0, 60.0, 120.0, 300.0)
"""Between attempts, after the service has failed once, twice …"""
ALONE_SECONDS = 60.0
"""That sending may take where nobody waits for it any more."""
TAKE_OVER_SECONDS = ALONE_SECONDS + 10.0
"""That the process of a training waits for one that sends the same run: that of a training which
was killed goes on for a while."""
ASK_SECONDS = 0.2
"""Between two times that it looks whether that one has ended."""
ROWS = 200
"""Sent at once."""
MOST_BYTES = 1 << 20
"""Of a JSON document that is read here."""


@dataclass
class Request:
    """What a process is to do.

    Attributes:
        run: the run directory.
        service: of `SERVICES`.
        project: see `About`.
        facts: see `About`.
        files: to be sent at the end beside the run's own, e.g. a film.
        once: send what there is, and end.
    """

    run: str
    service: str
    project: str
    facts: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    once: bool = False

    def to_json(self) -> str:
        """Returns it as one argument."""
        return json.dumps(asdict(self))


@dataclass
class Sent:
    """How far a service has come with a run.

    Attributes:
        key: what the service knows the run by.
        offset: bytes of `metrics.jsonl` that it has.
        step: of the last line of those.
        lines: how many it has of that step.
    """

    key: str
    offset: int = 0
    step: int = -1
    lines: int = 0

    @classmethod
    def read(cls, file: Path) -> Sent:
        """Returns what `file` says, or that nothing has been sent."""
        found = _read(file)
        with suppress(TypeError):  # other names
            sent = cls(**found)
            numbers = (sent.offset, sent.step, sent.lines)
            if isinstance(sent.key, str) and all(type(number) is int for number in numbers):
                return sent
        return cls(secrets.token_hex(8))

    def write(self, file: Path) -> None:
        write_atomically(file, json.dumps(asdict(self)).encode(), durable=False)


class Follower:
    """Reads what is new in a run, and gives it to a service, as often as it takes."""

    def __init__(self, request: Request, service: Service, say: Callable[[str], None]) -> None:
        self.run = Path(request.run)
        self.about = About(self.run, request.project, _config(self.run), request.facts)
        self.files = [Path(file) for file in request.files]
        self.service, self.say = service, say
        self._file = self.run / FOLDER / f"{request.service}.json"
        self.sent = Sent.read(self._file)
        self._started = False
        self._failures = 0
        self._not_before = 0.0
        self._at: int | None = None
        """Bytes of `metrics.jsonl` that have been read; None: as many as have been sent."""
        self._skipping, self._seen = False, 0

    def try_to_send(self) -> bool:
        """Sends what is new, if the service does not fail; then not before some time has passed.

        Returns:
            Whether it has everything now.
        """
        if time.monotonic() < self._not_before:
            return False
        try:
            self._send()
        # Also what a library raises that is no Exception: nothing may end the sending but its end.
        except BaseException as error:
            wait = RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS) - 1)]
            self._not_before = time.monotonic() + wait
            self._failures += 1
            if self._failures == 1:
                self.say(f"cannot be sent to yet: {reason(error)}. The training goes on")
            return False
        self._failures = 0
        return True

    def finish(self, log_file: Path) -> bool:
        """Sends the rest, and how the run ended; returns whether that went well."""
        self._not_before = 0.0
        try:
            self._send()
            status = _read(self.run / "status.json")
            state = str(status.get("state", "failed"))
            files = [*_own_files(self.run, state), *self.files]
            self.service.finish(
                "failed" if state == "running" else state,
                max(self.sent.step, 0),
                summary(status),
                [file for file in files if file.is_file()],
            )
        except BaseException as error:
            self.say(f"has not got everything: {reason(error)} (more in {log_file})")
            return False
        return True

    def _send(self) -> None:
        if not self._started:
            self.service.start(self.about, self.sent.key)
            self._started = True
            self.sent.write(self._file)
            if self.service.remark is not None:
                self.say(self.service.remark)
        try:
            while rows := self._next_rows():
                self.service.log([row for row, _ in rows])
                self.sent = rows[-1][1]
                self.sent.write(self._file)
        except BaseException:
            self._at = None  # once more from what has been sent
            raise

    def _next_rows(self) -> list[tuple[Row, Sent]]:
        """The next lines that have not been sent, each with what will have been after it."""
        found: list[tuple[Row, Sent]] = []
        place = self.sent
        with open_regular_file(self.run / "metrics.jsonl") as file:
            size = file.seek(0, os.SEEK_END)
            if self._at is None or size < self._at:
                self._at = self._beginning(file, size)
            file.seek(self._at)
            for line in lines_of(file):
                if not line.endswith(b"\n"):
                    break  # being written
                self._at += len(line)
                row = _row(line)
                if row is None or (self._skipping and self._is_known(row[0])):
                    continue
                self._skipping = False
                lines = place.lines + 1 if row[0] == place.step else 1
                place = Sent(place.key, self._at, row[0], lines)
                found.append((row, place))
                if len(found) == ROWS:
                    break
        return found

    def _beginning(self, file: BinaryIO, size: int) -> int:
        """Where to read on. A run that went back to a checkpoint has written its file anew from
        there: then what has been sent is known by its step, from the beginning of the file."""
        self._skipping, self._seen = False, 0
        offset = self.sent.offset
        if 0 < offset <= size:
            file.seek(offset - 1)
            if file.read(1) == b"\n":
                return offset
        self._skipping = offset > 0
        return 0

    def _is_known(self, step: int) -> bool:
        self._seen += step == self.sent.step
        return step < self.sent.step or (step == self.sent.step and self._seen <= self.sent.lines)


_NO_ROW = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)


def _row(line: bytes) -> Row | None:
    """What a line says; None: it is damaged."""
    with suppress(*_NO_ROW):
        values = json.loads(line)
        step = values.pop("step")
        if type(step) is int:
            numbers = {
                name: float(value)
                for name, value in values.items()
                if isinstance(value, int | float)
            }
            return step, numbers
    return None


def summary(status: Mapping[str, Any]) -> dict[str, float]:
    """Returns the measured rates of a run's `status.json` by name."""
    found: dict[str, float] = {}
    for name in ("best_clear_rate", "seconds"):
        if isinstance(status.get(name), int | float):
            with suppress(OverflowError):
                found[f"final/{name}"] = float(status[name])
    measured = status.get("measured")
    for level, result in measured.items() if isinstance(measured, dict) else ():
        with suppress(LookupError, TypeError, ValueError, OverflowError):
            low, high = result["ci95"]
            found |= {
                f"final/clear_rate/{level}": float(result["clear_rate"]),
                f"final/clear_rate_low/{level}": float(low),
                f"final/clear_rate_high/{level}": float(high),
                f"final/episodes/{level}": float(result["episodes"]),
            }
    return found


def reason(error: BaseException) -> str:
    """Returns in a line what an error of somebody else's code says."""
    text = ""
    with suppress(Exception):
        text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _own_files(run: Path, state: str) -> list[Path]:
    """Settings, and of a finished run the agent."""
    agents = [run / "best.safetensors", run / "agent.safetensors"]
    agent = [file for file in agents if file.is_file()][:1] if state == "finished" else []
    return [run / "config.json", *agent]


def _config(run: Path) -> dict[str, Any]:
    return _read(run / "config.json")


def _read(file: Path) -> dict[str, Any]:
    """Returns a JSON object, or {} where there is none."""
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(read_regular_file(file, MOST_BYTES))
        if isinstance(found, dict):
            return found
    return {}


class _Listener(threading.Thread):
    """Waits for the end of the run on the standard input."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()

    def run(self) -> None:
        with suppress(OSError, ValueError):
            for line in sys.stdin:
                if line.strip() == END:
                    break
        self.over.set()
        # Nobody may be there to end this process, should the service never answer.
        time.sleep(ALONE_SECONDS)
        os._exit(1)


def take_over(lock: filelock.BaseFileLock, over: threading.Event, seconds: float) -> bool:
    """Waits until nobody else sends the run; returns whether that came about before so many seconds
    had passed and before the run was `over`."""
    until = time.monotonic() + seconds
    while True:
        with suppress(filelock.Timeout):
            lock.acquire(timeout=0)
            return True
        if time.monotonic() >= until or over.wait(ASK_SECONDS):
            return False


def main(argument: str) -> int:
    """Does what `argument`, a `Request`, says; returns the exit status."""
    request = Request(**json.loads(argument))
    folder = Path(request.run) / FOLDER
    require_no_link(folder)
    folder.mkdir(exist_ok=True)
    log_file = folder / f"{request.service}.log"
    say = _sayer(log_file)
    with suppress(AttributeError, OSError):
        os.nice(5)  # games and learning come first
    listener = _Listener()
    listener.start()
    lock = filelock.FileLock(folder / f"{request.service}.lock")
    if not take_over(lock, listener.over, 0.0 if request.once else TAKE_OVER_SECONDS):
        say("another process sends this run already")
        say(NOT_DONE)
        return 1
    try:
        follower = Follower(request, SERVICES[request.service](), say)
        while not request.once and not listener.over.is_set():
            follower.try_to_send()
            listener.over.wait(POLL_SECONDS)
        done = follower.finish(log_file)
    finally:
        lock.release()
    say(DONE if done else NOT_DONE)
    return 0 if done else 1


def _sayer(log_file: Path) -> Callable[[str], None]:
    """Keeps the standard output for what the user is told, and puts all else into `log_file`."""
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace")
    with append_to(log_file) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    sys.stdout.reconfigure(line_buffering=True, errors="replace")  # type: ignore[union-attr]

    def say(text: str) -> None:
        with suppress(OSError, ValueError):
            messages.write(text.replace("\n", " ") + "\n")
            messages.flush()

    return say


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
