"""An end to waiting, and to the number of connections, whoever opens them and never finishes.

uvicorn ends a connection that is silent between two requests, but would wait for ever for a first
request, and for the rest of one that was begun; and where file descriptors are used up, asyncio
tries to accept the same connection over and over and writes a traceback each time.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import sys
import time
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_TIMEOUT = 10.0
"""Seconds that a request may take to arrive."""
MOST_CONNECTIONS = 256
"""At once; fewer where the system grants few files."""
WAITING = 128
"""Connections that the system keeps until they are accepted."""
TOLD_EVERY = 60.0
"""Seconds between two lines about file descriptors that are used up."""
USED_UP = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
FULL = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def most_connections() -> int:
    """Returns how many connections may be open at once: half of the files that are granted are
    left for reading runs."""
    if sys.platform == "win32":
        return MOST_CONNECTIONS
    import resource

    granted, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if granted == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(min(MOST_CONNECTIONS, granted // 2), 1)


class Protocol(H11Protocol):
    """Speaks HTTP as uvicorn does, to so many at once, and to nobody who lets it wait."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._waiting: asyncio.TimerHandle | None = None
        if len(self.connections) > most_connections():
            transport.write(FULL)
            transport.close()
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait()

    def _wait(self) -> None:
        """Begins to wait for a request."""
        self._stop_waiting()
        self._waiting = self.loop.call_later(REQUEST_TIMEOUT, self._give_up)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        is_answered = self.cycle is not None and not self.cycle.response_complete
        is_websocket = self.transport.get_protocol() is not self
        if not is_answered and not is_websocket:
            self.transport.close()


class Server(uvicorn.Server):
    """Serves, and takes it calmly when there are no file descriptors left."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(_Told())
        # asyncio accepts up to `backlog` connections in a row, and goes on doing so after the
        # first that fails: with one at a time it waits a second after each failure.
        self.config.backlog = 1
        await super().startup(sockets)
        for listening in sockets or ():
            listening.listen(WAITING)


class _Told:
    """Handles what a loop has nobody to tell of: that files are used up in one line, seldom."""

    def __init__(self) -> None:
        self._at = -TOLD_EVERY

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in USED_UP:
            loop.default_exception_handler(context)
        elif time.monotonic() >= self._at + TOLD_EVERY:
            self._at = time.monotonic()
            logging.getLogger("uvicorn.error").error(
                "the dashboard cannot open more connections: %s. It goes on as soon as others "
                "are closed",
                error.strerror,
            )
