"""Serving the dashboard on this machine alone: by itself, or beside a training."""

from __future__ import annotations

import html
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, Queue
from typing import IO
from urllib.parse import quote

import uvicorn
from starlette.routing import BaseRoute

from warpzone.dashboard import games, level_map
from warpzone.dashboard.app import create
from warpzone.dashboard.connections import SEND_BUFFER, Protocol, Server, WebSocketProtocol
from warpzone.dashboard.games import MOST_ASKED
from warpzone.errors import ServerError, WarpzoneError
from warpzone.runs.library import Library, printable

ADDRESS = "127.0.0.1"
PORT = 1985
NICENESS = 10
"""Of a dashboard beside a training, which is to have the processor first."""
PATIENCE = 15.0
"""Seconds that a training waits for the dashboard beside it to begin."""
ENDING = 5.0
"""Seconds that it waits for it to end."""
LONGEST_LINE = 4096
TOKEN = "WARPZONE_DASHBOARD_TOKEN"
"""The variable in which the process of `Beside` is told its token."""


def all_routes(library: Library, *, same_origin: bool = True) -> list[BaseRoute]:
    """Returns the routes of every view that has a module of its own."""
    return [*games.routes(library, same_origin=same_origin), *level_map.routes(library)]


def new_token() -> str:
    """Returns what nobody can guess, of letters, digits, - and _."""
    return secrets.token_urlsafe(32)


def listen(port: int) -> socket.socket:
    """Returns a socket that waits for browsers of this machine; port 0: any that is free.

    Raises:
        ServerError: the port is taken or refused.
    """
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # there it would share a port that is taken
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Of what is accepted, too: what nobody reads is kept by the system up to this size.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        server.bind((ADDRESS, port))
        server.listen(128)
    except OSError as error:
        server.close()
        raise ServerError(
            f"no dashboard on port {port}: {error.strerror or error}. Perhaps one runs already at "
            f"http://{ADDRESS}:{port}; or choose another port: warpzone dashboard --port "
            f"{port + 1 if port < 65535 else PORT}"
        ) from None
    return server


def address(server: socket.socket, token: str | None = None) -> str:
    """Returns what a browser is to be given."""
    root = f"http://{ADDRESS}:{server.getsockname()[1]}"
    return root if token is None else f"{root}/{token}/"


@contextmanager
def link_to(address: str) -> Iterator[str]:
    """While entered, there is a page that nobody but this user can read and that leads to
    `address`: its own address."""
    with tempfile.TemporaryDirectory(prefix="warpzone-") as folder:
        page = Path(folder) / "dashboard.html"
        page.write_text(
            '<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
            f'<meta http-equiv="refresh" content="0; url={html.escape(address)}">',
            encoding="utf-8",
        )
        yield page.as_uri()


def serve(
    folder: Path,
    port: int = PORT,
    *,
    token: str | None = None,
    log: Callable[[str], None] = print,
    until: IO[bytes] | None = None,
) -> None:
    """Serves the runs under `folder` until Ctrl-C or SIGTERM, or the end of the stream `until`.

    With a `token`, whoever has it in the address is answered, by whatever name of this machine, for
    a proxy that is before this; without, browsers of this machine. `log` receives the address as
    soon as it answers.

    Raises:
        RunError: there is no such folder.
        ServerError: the port is taken.
    """
    config = _configure(folder, token)
    with listen(port) as listening:
        server = _Server(config, lambda: log(address(listening, token)))
        if until is not None:
            threading.Thread(target=_wait, args=(until, server), daemon=True).start()
        with suppress(KeyboardInterrupt):  # the way to end it
            server.run([listening])


@contextmanager
def serving(folder: Path, port: int = 0, *, token: str | None = None) -> Iterator[str]:
    """While entered, a thread of this process serves, on any free port by default: the address.

    `token` as for `serve`.

    Raises:
        RunError: there is no such folder.
        ServerError: the port is taken.
    """
    config = _configure(folder, token)
    with listen(port) as listening:
        server = Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            yield address(listening, token)
        finally:
            server.should_exit = True
            thread.join()


def _configure(folder: Path, token: str | None) -> uvicorn.Config:
    library = Library(folder)
    return uvicorn.Config(
        create(library, all_routes(library, same_origin=token is None), token=token),
        log_level="error",
        access_log=False,
        lifespan="off",
        http=Protocol,
        ws=WebSocketProtocol,
        loop="asyncio",  # whose failures `Server` knows
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
        ws_max_size=MOST_ASKED,
        ws_per_message_deflate=False,  # what is large is packed already
    )


class _Server(Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def _wait(stream: IO[bytes], server: uvicorn.Server) -> None:
    while stream.read(1):
        pass
    server.should_exit = True


@contextmanager
def beside(
    run: Path, port: int | None = None, *, log: Callable[[str], None] = print
) -> Iterator[None]:
    """While entered, a process of its own serves the run directory `run` and those beside it.

    On `port`, by default 1985.

    It has a lower priority than this process, and ends with it, however that ends. Where there is
    none, or it hangs, `log` is told why, and nothing else happens.
    """
    folder = run.resolve().parent
    with suppress(OSError):  # which the training tells of
        folder.mkdir(parents=True, exist_ok=True)
    try:
        server = Beside(folder, port or PORT)
    except ServerError as error:
        log(str(error))
        yield
        return
    try:
        log(f"dashboard: {server.url}/#/run/{quote(printable(run.resolve().name))}")
        yield
    finally:
        server.close()


class Beside:
    """A process of its own that serves the runs of a folder, with a lower priority than this one.

    It ends with this process, however that ends.

    Attributes:
        url: what a browser of this machine opens.
        port: where it waits.
    """

    def __init__(self, folder: Path, port: int, token: str | None = None) -> None:
        """Returns once it answers.

        Raises:
            ServerError: there is none, or it hangs.
        """
        # -P: what lies in the user's current directory is not imported.
        command = [sys.executable, "-P", "-m", "warpzone.dashboard.server"]
        try:
            self._process = subprocess.Popen(
                [*command, str(folder), str(port)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # Others may read the arguments of a process.
                env={**os.environ, TOKEN: token or ""},
                # In a group of its own, so that Ctrl-C is for the training.
                process_group=0 if sys.platform != "win32" else None,
            )
        except OSError as error:
            raise ServerError(
                f"there is no dashboard: its process cannot be started: {error.strerror or error}"
            ) from None
        assert self._process.stdout is not None
        told = _first_line(self._process.stdout)
        if told is not None and told.startswith("http://"):
            self.url = told
            self.port = int(told.split("/")[2].partition(":")[2])
            return
        if told is None:
            self._process.kill()
            told = f"there is no dashboard: its process has not answered within {PATIENCE:g} s"
        self.close()
        raise ServerError(told or "there is no dashboard: its process ended at once")

    @property
    def runs(self) -> bool:
        """Whether it still does."""
        return self._process.poll() is None

    def close(self) -> None:
        """Ends it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):  # one that cannot be killed stays behind
                self._process.wait(ENDING)


def _first_line(stream: IO[bytes]) -> str | None:
    """Returns what a process says first; None: it says nothing for too long."""
    lines: Queue[bytes] = Queue()

    def read() -> None:  # by itself, since nothing ends a read that waits
        with stream:
            lines.put(stream.readline(LONGEST_LINE))

    threading.Thread(target=read, daemon=True).start()
    try:
        return lines.get(timeout=PATIENCE).decode(errors="replace").strip()
    except Empty:
        return None


def _beside(folder: str, port: str) -> None:
    """Runs as the process that `beside` starts: a line, the address or why there is none; then it
    serves."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    try:
        token = os.environ.pop(TOKEN, "") or None
        serve(Path(folder), int(port), token=token, log=_tell, until=sys.stdin.buffer)
    except (WarpzoneError, OSError) as error:
        _tell(str(error))


def _tell(text: str) -> None:
    """Writes a line to the process that began this one, whatever the encoding of the terminal."""
    sys.stdout.buffer.write(text.encode(errors="backslashreplace") + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    _beside(*sys.argv[1:])
