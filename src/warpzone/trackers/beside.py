"""Services beside a training: one process for each, which the training never waits for but at its
end, and there for a stated time."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from warpzone.extras import need
from warpzone.trackers import follow

FINISH_SECONDS = 20.0
"""That a training waits at its end, for all services together; then their processes are ended."""
EXIT_SECONDS = 2.0
"""Of those, that a process may take to end after it has sent everything."""
HOW_ON = "send the rest with: warpzone track {run} {service}"

Log = Callable[[str], None]


def require_installed(services: Sequence[str]) -> None:
    """Raises `MissingPackageError` where the package of one of `services` is not installed."""
    for name in services:
        need(f"The tracker {name}", **{name: (name,)})


class Process:
    """A process that follows a run for one service (see `follow`)."""

    def __init__(self, request: follow.Request) -> None:
        """Starts it; what keeps it from starting is told as it would tell."""
        self.service, self.run = request.service, request.run
        self.done: bool | None = None
        """Whether the service has everything; None: that is open."""
        self._done_at = 0.0
        self._told: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self.ended = False
        """Whether all that it will ever tell has been told."""
        try:
            self._process = subprocess.Popen(
                # Not the current directory, which may hold a folder of a package's name.
                [sys.executable, "-P", "-m", "warpzone.trackers.follow", request.to_json()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
                **_apart(),
            )
        except OSError as error:
            self._told.put(f"cannot be started: {error.strerror or error}")
            self.ended, self.done = True, False
            return
        self._reader = threading.Thread(target=self._read, args=[self._process], daemon=True)
        self._reader.start()

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with suppress(OSError, ValueError):
            for line in process.stdout:
                self._told.put(line.decode("utf-8", "replace").rstrip("\r\n"))
        self._told.put(None)

    def messages(self) -> list[str]:
        """Returns what has been told since, as lines for the user."""
        found = []
        with suppress(queue.Empty):
            while True:
                text = self._told.get_nowait()
                if text is None:
                    self.ended = True
                elif text in (follow.DONE, follow.NOT_DONE):
                    self.done, self._done_at = text == follow.DONE, time.monotonic()
                else:
                    found.append(f"{self.service}: {text}")
        if self.ended and self.done is None:
            self.done = False
            file = Path(self.run) / follow.FOLDER / f"{self.service}.log"
            found.append(f"{self.service}: its process has ended (see {file})")
        return found

    def end(self) -> None:
        """Says that the run is over."""
        if self._process is None or self._process.stdin is None:
            return
        with suppress(OSError, ValueError):
            self._process.stdin.write(f"{follow.END}\n".encode())
            self._process.stdin.close()

    def wait(self, until: float) -> list[str]:
        """Waits until it has ended, at most until that time of `time.monotonic`, after which it is
        killed; returns what it has told."""
        found = self.messages()
        while not self.ended:
            if self.done is not None:
                # It has nothing more to do, whatever keeps it.
                until = min(until, self._done_at + EXIT_SECONDS)
            if time.monotonic() >= until:
                if self.done is None:
                    found.append(f"{self.service}: it does not answer and is given up")
                    self.done = False
                self.kill()
                break
            time.sleep(0.02)
            found += self.messages()
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)
        return found

    def kill(self) -> None:
        """Ends it at once, with the processes that it has started."""
        if self._process is None or self._process.poll() is not None:
            return
        with suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()

    @property
    def how_on(self) -> str:
        """Returns what the user can do where the service has not got everything."""
        return f"{self.service}: " + HOW_ON.format(run=self.run, service=self.service)


class Followers:
    """The processes of a training's services; a context that ends them."""

    def __init__(
        self,
        run: Path,
        services: Sequence[str],
        project: str,
        facts: Mapping[str, str],
        log: Log,
    ) -> None:
        """
        Args:
            run: the run directory, with `config.json` and `metrics.jsonl` in it.
            services: names of `services.SERVICES`.
            project: that they list the run in.
            facts: see `services.About`.
            log: receives what the user should know, in the thread that calls.
        """
        self._log = log
        self._processes = [
            Process(follow.Request(str(run), name, project, dict(facts))) for name in services
        ]

    def tell(self) -> None:
        """Tells what there is to be told, without waiting."""
        for process in self._processes:
            for text in process.messages():
                self._log(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        until = time.monotonic() + FINISH_SECONDS
        try:
            for process in self._processes:
                process.end()
            for process in self._processes:
                for text in process.wait(until):
                    self._log(text)
                if not process.done:
                    self._log(process.how_on)
        finally:
            for process in self._processes:
                process.kill()


def send(request: follow.Request, log: Log) -> bool:
    """Sends what a service has not got of a run yet, and waits for it without a limit.

    Returns:
        Whether it has everything now.
    """
    process = Process(request)
    try:
        while not process.ended:
            for text in process.messages():
                log(text)
            time.sleep(0.05)
    finally:
        process.kill()
    return bool(process.done)


def _apart() -> dict[str, Any]:
    """Options by which Ctrl-C in the terminal is the training's alone."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}
