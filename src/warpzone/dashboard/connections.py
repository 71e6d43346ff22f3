"""An end to waiting, to what is kept for whoever does not read, and to the number of connections.

uvicorn ends a connection that is silent between two requests, but would wait for ever for a first
request, for the rest of one that was begun, and for somebody who does not take what was sent; it
answers pings that nobody reads, collects the parts of a message without end, and writes a
traceback for each of several things that a client can get wrong. Where file descriptors are used
up, asyncio tries to accept the same connection over and over, and writes a traceback each time.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import sys
import time
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame
from websockets.protocol import State

REQUEST_TIMEOUT = 10.0
"""Seconds that a request may take to arrive, and a WebSocket to be opened."""
READ_TIMEOUT = 60.0
"""Seconds that a client may take to read what was sent before there is room for more: some 300 kB,
so that 5 kB/s will do."""
SEND_BUFFER = 1 << 17
"""Bytes that the system keeps of what a client has not read, of each connection; Linux doubles
it."""
CLOSING = 5.0
"""Seconds that a client may take to read the end of what was sent."""
LOOK_EVERY = 1.0
"""Seconds between two looks at who does not read."""
MOST_PARTS = 16
"""Of a message of a WebSocket; browsers send theirs in one."""
MOST_CONNECTIONS = 256
"""At once; fewer where the system grants few files."""
WAITING = 128
"""Connections that the system keeps until they are accepted."""
TOLD_EVERY = 60.0
"""Seconds between two lines about file descriptors that are used up."""
USED_UP = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
FULL = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
NO_WEBSOCKET = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


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


class _Watched:
    """A connection that is ended when nobody reads what is sent, see `Server`."""

    transport: asyncio.Transport
    full_since: float | None = None
    """When there was no more room for what is sent; None: there is."""
    closing_since: float | None = None
    """When it was first seen to be closing."""

    def pause_writing(self) -> None:
        super().pause_writing()  # type: ignore[misc]  # of the protocol
        self.full_since = time.monotonic()

    def resume_writing(self) -> None:
        super().resume_writing()  # type: ignore[misc]
        self.full_since = None

    def end_if_not_read(self, now: float) -> None:
        """Ends it, without what is still to be sent, where that waits for too long."""
        if self.closing_since is None and self.transport.is_closing():
            self.closing_since = now
        for since, seconds in (
            (self.full_since, READ_TIMEOUT),
            (self.closing_since, CLOSING),
        ):
            if since is not None and now >= since + seconds:
                self.transport.abort()
                return


class Protocol(_Watched, H11Protocol):
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

    def send_400_response(self, msg: str) -> None:
        if self.cycle is not None:  # an answer that has not come to its end is not gone on with
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

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


class WebSocketProtocol(_Watched, WebSocketsSansIOProtocol):
    """Speaks WebSocket as uvicorn does, but keeps nothing that grows with what a client sends."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.handshake_initiated and self.conn.handshake_exc is not None:
            # Good HTTP, but not what a WebSocket begins with: a body, too many headers …
            self.transport.write(NO_WEBSOCKET)
            self.transport.close()

    def handle_ping(self) -> None:
        if self.full_since is None:
            super().handle_ping()
        else:  # answers that nobody reads would pile up
            self.conn.data_to_send()

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= MOST_PARTS:
            self.frames = []
            self._refuse(CloseCode.MESSAGE_TOO_BIG)
        elif not self.close_sent:
            super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text":
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:  # no fault of ours, which uvicorn would log it as
                self.frames = []
                self._refuse(CloseCode.INVALID_DATA)
                return
        super().send_receive_event_to_app()

    def _refuse(self, code: CloseCode) -> None:
        if self.conn.state is State.OPEN:  # or it has an end already
            self.conn.send_close(code)
            self.handle_parser_exception()

    async def send(self, message: Any) -> None:
        try:
            await super().send(message)
        except RuntimeError:
            if not self.close_sent:
                raise
            raise ClientDisconnected from None  # it was ended here, for what the client did
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True  # refused, which is an answer, too


class Server(uvicorn.Server):
    """Serves, ends connections whose other side does not read, and takes it calmly when there are
    no file descriptors left."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(_Told())
        # asyncio accepts up to `backlog` connections in a row, and goes on doing so after the
        # first that fails: with one at a time it waits a second after each failure.
        self.config.backlog = 1
        await super().startup(sockets)
        for listening in sockets or ():
            listening.listen(WAITING)
        self._look()

    def _look(self) -> None:
        now = time.monotonic()
        for connection in [*self.server_state.connections]:
            if isinstance(connection, _Watched):
                connection.end_if_not_read(now)
        asyncio.get_running_loop().call_later(LOOK_EVERY, self._look)


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
