"""A reverse proxy before a server of this machine, as hosted notebooks have one.

It answers under a prefix, which it takes off, names itself as the host, and needs no key: whoever
finds it may ask.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

HOST = "notebooks.example"
"""What it calls itself to the server behind it."""


@contextmanager
def proxied(prefix: str) -> Iterator[str]:
    """While entered: `{address}{prefix}PORT/…` is `/…` at that port. Yields the address."""
    with socket.create_server(("127.0.0.1", 0)) as waiting:
        threading.Thread(target=_accept, args=(waiting, prefix), daemon=True).start()
        yield f"http://127.0.0.1:{waiting.getsockname()[1]}"


def _accept(waiting: socket.socket, prefix: str) -> None:
    while True:
        try:
            client, _ = waiting.accept()
        except OSError:  # closed: the test is over
            return
        threading.Thread(target=_serve, args=(client, prefix), daemon=True).start()


def _serve(client: socket.socket, prefix: str) -> None:
    """One request for a connection; what follows it are the frames of a WebSocket, if anything."""
    with client, suppress(OSError):
        head = b""
        while b"\r\n\r\n" not in head:
            part = client.recv(65536)
            if not part:
                return
            head += part
        head, _, body = head.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, version = first.split(" ")
        port, slash, rest = path.removeprefix(prefix).partition("/")
        if not path.startswith(prefix) or not port.isdigit() or not slash:
            client.sendall(
                b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
            return
        upgrade = any(line.lower().startswith("upgrade:") for line in lines)
        kept = [line for line in lines if not line.lower().startswith("host:")]
        if not upgrade:
            kept = [line for line in kept if not line.lower().startswith("connection:")]
            kept.append("connection: close")
        request = "\r\n".join([f"{method} /{rest} {version}", f"host: {HOST}", *kept, "", ""])
        with socket.create_connection(("127.0.0.1", int(port))) as server:
            server.sendall(request.encode("latin-1") + body)
            threading.Thread(target=_pump, args=(client, server), daemon=True).start()
            _pump(server, client)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
        target.shutdown(socket.SHUT_WR)
