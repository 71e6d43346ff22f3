"""What somebody who means harm sends to the dashboard: requests, frames of WebSockets, and many of
them, each with what has to come back. `scripts/attack_dashboard.py` sends the same for longer.
"""

from __future__ import annotations

import os
import random
import re
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

import psutil

HOST = b"host: 127.0.0.1\r\n"
END = b"connection: close\r\n\r\n"
GET = b"GET /api/runs HTTP/1.1\r\n" + HOST
POST = b"POST /api/runs HTTP/1.1\r\n" + HOST
SMUGGLED = b"GET /static/main.js HTTP/1.1\r\n" + HOST + END
KEY = b"d2FycHpvbmUgd2FycHpvbg=="
UPGRADE = (
    b"GET /api/stream?run=good HTTP/1.1\r\n"
    + HOST
    + b"upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n"
    + b"sec-websocket-key: "
    + KEY
    + b"\r\n"
)
PARTS = [b"%d-%d" % (place, place) for place in range(0, 2000, 2)]
OPEN = b'{"ask": 1, "open": "live/000.json"}'


def get(path: bytes, more: bytes = b"") -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\n" + HOST + more + END


REQUESTS: dict[str, tuple[bytes | tuple[bytes, ...], list[int]]] = {
    # Where a request ends, of which servers and proxies may think differently.
    "length and chunks": (
        POST + b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        [413],
    ),
    "chunks and length": (
        POST + b"transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n" + SMUGGLED,
        [413],
    ),
    "a request in a body": (POST + b"content-length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED, [413]),
    "a body for GET": (GET + b"content-length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED, [413]),
    "two lengths": (GET + b"content-length: 0\r\ncontent-length: 5\r\n\r\nabcde", [400]),
    "lengths in one": (GET + b"content-length: 5, 6\r\n\r\nabcde", [400]),
    "a negative length": (GET + b"content-length: -1\r\n\r\n", [400]),
    "a length with a sign": (GET + b"content-length: +5\r\n\r\nabcde", [400]),
    "a length in hexadecimal": (GET + b"content-length: 0x5\r\n\r\nabcde", [400]),
    "a length without end": (GET + b"content-length: " + b"9" * 100 + b"\r\n\r\n", [400]),
    "a length of a terabyte": (POST + b"content-length: 1099511627776\r\n\r\nx", [413]),
    "a length of nothing": (GET + b"content-length: 0\r\n" + END, [200]),
    "an unknown coding": (GET + b"transfer-encoding: xchunked\r\n\r\n", [400]),
    "identity": (GET + b"transfer-encoding: identity\r\n\r\n" + SMUGGLED, [400]),
    "codings in one": (POST + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", [400]),
    "a coding twice": (POST + b"transfer-encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n", [400]),
    "a coding after a space": (POST + b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n", [400]),
    "a coding after a tab": (POST + b"transfer-encoding:\tchunked\r\n\r\n0\r\n\r\n", [413]),
    "a coding after a bare CR": (POST + b"a: b\rtransfer-encoding: chunked\r\n\r\n", [400]),
    "a bad chunk": (
        (POST + b"transfer-encoding: chunked\r\n\r\n", b"zz\r\nhello\r\n"),
        [413],
    ),
    "a chunk without end": (
        (POST + b"transfer-encoding: chunked\r\n\r\n", b"f" * 100 + b"\r\n"),
        [413],
    ),
    "to go on with a body": (POST + b"expect: 100-continue\r\ncontent-length: 5\r\n\r\n", [413]),
    "a folded header": (GET + b"a: b\r\n c\r\n" + END, [200]),
    "a space before a header": (b"GET / HTTP/1.1\r\n " + HOST + END, [400]),
    "no name of a header": (GET + b": b\r\n" + END, [400]),
    "no colon": (GET + b"nothing\r\n" + END, [400]),
    # What is no HTTP.
    "a zero byte in an address": (b"GET /api\x00 HTTP/1.1\r\n" + HOST + END, [400]),
    "a zero byte in a header": (GET + b"a: \x00\r\n" + END, [400]),
    "a space in an address": (b"GET /api runs HTTP/1.1\r\n" + HOST + END, [400]),
    "HTTP/0.9": (b"GET /api/runs\r\n\r\n", [400]),
    "HTTP/9.9": (b"GET /api/runs HTTP/99.99\r\n" + HOST + END, [400]),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400, 400]),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), [400]),
    "no method": (b" / HTTP/1.1\r\n" + HOST + END, [400]),
    "only line ends": (b"\r\n" * 20_000, [400]),
    "bytes": (bytes(range(256)) * 4, [400]),
    # Large.
    "an address of 10 MB": (b"GET /" + b"a" * 10_000_000, [400]),
    "a header of 10 MB": (GET + b"a: " + b"b" * 10_000_000, [400]),
    "a million headers": (GET + b"a: b\r\n" * 1_000_000, [400]),
    "a long address": (get(b"/static/" + b"a" * 15_000), [404]),
    "a long name of a run": (get(b"/api/curves?run=" + b"a" * 15_000), [404]),
    "a long question": (get(b"/api/curves?" + b"run=a&" * 2500), [404]),
    # Hosts.
    "another host": (b"GET / HTTP/1.1\r\nhost: evil.example\r\n" + END, [400]),
    "two hosts": (GET + b"host: evil.example\r\n" + END, [400]),
    "no host": (b"GET / HTTP/1.1\r\n" + END, [400]),
    "no host, HTTP/1.0": (b"GET / HTTP/1.0\r\n\r\n", [400]),
    "a user at a host": (b"GET / HTTP/1.1\r\nhost: evil@127.0.0.1\r\n" + END, [400]),
    "a host of bytes": (b"GET / HTTP/1.1\r\nhost: \xff\r\n" + END, [400]),
    "half an address of IPv6": (b"GET / HTTP/1.1\r\nhost: [\r\n" + END, [400]),
    "a whole address": (b"GET http://evil.example/api/runs HTTP/1.1\r\n" + HOST + END, [404]),
    "a host in the path": (get(b"//evil.example/api/runs"), [404]),
    "forwarded": (get(b"/", b"x-forwarded-host: evil.example\r\nx-forwarded-for: ::1\r\n"), [200]),
    # Ways out of the folder.
    "dots": (get(b"/static/../app.py"), [404]),
    "encoded dots": (get(b"/static/%2e%2e/app.py"), [404]),
    "encoded twice": (get(b"/static/%252e%252e%252fapp.py"), [404]),
    "an encoded slash": (get(b"/static/..%2fapp.py"), [404]),
    "a backslash": (get(b"/static/..\\app.py"), [404]),
    "an absolute path": (get(b"/static//etc/passwd"), [404]),
    "an encoded absolute path": (get(b"/static/%2fetc%2fpasswd"), [404]),
    "too long in UTF-8": (get(b"/static/%c0%ae%c0%ae/app.py"), [404]),
    "an encoded zero byte": (get(b"/static/main.js%00.png"), [404]),
    "a zero byte in a run": (get(b"/api/curves?run=good%00"), [404]),
    "no UTF-8": (get(b"/static/%ff%fe"), [404]),
    "no UTF-8 in a run": (get(b"/api/curves?run=%ff%fe"), [404]),
    "out by a run": (get(b"/api/curves?run=../good"), [404]),
    "a run by its whole path": (get(b"/api/config?run=/etc"), [404]),
    "a level of dots": (get(b"/api/map/picture?level=../../1-1"), [422]),
    "a strip without end": (get(b"/api/map/picture?level=1-1&strip=" + b"9" * 5000), [422]),
    "the last of too many": (get(b"/api/map?run=good&level=1-1&last=-1"), [422]),
    "a percent sign": (get(b"/%"), [404]),
    # Methods.
    "POST": (POST + b"content-length: 0\r\n" + END, [405]),
    "DELETE": (b"DELETE /api/runs HTTP/1.1\r\n" + HOST + END, [405]),
    "PUT": (b"PUT /static/main.js HTTP/1.1\r\n" + HOST + END, [405]),
    "TRACE": (b"TRACE / HTTP/1.1\r\n" + HOST + b"cookie: secret\r\n" + END, [405]),
    "CONNECT": (b"CONNECT 127.0.0.1:22 HTTP/1.1\r\n" + HOST + END, [404]),
    "OPTIONS": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"origin: http://evil.example\r\n" + END, [404]),
    "a method of its own": (b"WARP / HTTP/1.1\r\n" + HOST + END, [405]),
    "HEAD": (b"HEAD /api/runs HTTP/1.1\r\n" + HOST + END, [200]),
    # Parts of files.
    "a thousand parts": (
        get(b"/static/main.js", b"range: bytes=" + b",".join(PARTS) + b"\r\n"),
        [200, 206],
    ),
    "parts over each other": (
        get(b"/static/main.js", b"range: bytes=" + b"0-," * 1000 + b"0-\r\n"),
        [200, 206],
    ),
    "a part without end": (
        get(b"/static/main.js", b"range: bytes=" + b"9" * 5000 + b"-\r\n"),
        [400, 416],
    ),
    "a part backwards": (get(b"/static/main.js", b"range: bytes=9-1\r\n"), [400, 416]),
    "many ETags": (get(b"/api/runs", b"if-none-match: " + b'"a", ' * 2000 + b"*\r\n"), [200]),
    "a date of nines": (
        get(b"/static/main.js", b"if-modified-since: " + b"9" * 3000 + b"\r\n"),
        [200],
    ),
    # Upgrades.
    "to HTTP/2": (GET + b"upgrade: h2c\r\nconnection: upgrade, close\r\n\r\n", [200]),
    "a WebSocket by POST": (UPGRADE.replace(b"GET", b"POST") + b"\r\n", [400, 405]),
    "a WebSocket with a body": (UPGRADE + b"content-length: 5\r\n\r\nabcde", [400]),
    "a WebSocket with chunks": (UPGRADE + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n", [400]),
    "a WebSocket with 300 headers": (
        UPGRADE + b"".join(b"a%d: b\r\n" % i for i in range(300)) + b"\r\n",
        [400],
    ),
    "a WebSocket with a long header": (UPGRADE + b"a: " + b"b" * 9000 + b"\r\n\r\n", [400]),
    "a WebSocket for a long name": (UPGRADE.replace(b"=good", b"=" + b"a" * 9000) + b"\r\n", [400]),
    "a WebSocket with a bad key": (UPGRADE.replace(KEY, b"!") + b"\r\n", [400]),
    "a WebSocket of no version": (
        UPGRADE.replace(b"version: 13", b"version: x") + b"\r\n",
        [400, 426],
    ),
    "a WebSocket elsewhere": (UPGRADE.replace(b"/api/stream", b"/api/runs") + b"\r\n", [403]),
    "a WebSocket of another host": (UPGRADE.replace(b"127.0.0.1", b"evil") + b"\r\n", [400]),
    "a WebSocket of another site": (UPGRADE + b"origin: http://evil.example\r\n\r\n", [403]),
    "a WebSocket of another port": (UPGRADE + b"origin: http://127.0.0.1:1\r\n\r\n", [403]),
    "a WebSocket of a file": (UPGRADE + b"origin: null\r\n\r\n", [403]),
    "a WebSocket of half an origin": (UPGRADE + b"origin: http://[\r\n\r\n", [403]),
    "a WebSocket of bytes": (UPGRADE + b"origin: http://\xff\r\n\r\n", [403]),
    "a WebSocket of two origins": (
        UPGRADE + b"origin: http://127.0.0.1\r\norigin: http://evil\r\n\r\n",
        [400, 403],
    ),
}  # fmt: skip
"""What is sent, in parts, and the status of each answer; where it is one of several, any of them:
what a library answers may change, but not that there is one."""


def frame(
    kind: int,
    data: bytes = b"",
    *,
    last: bool = True,
    reserved: int = 0,
    masked: bool = True,
    length: int | None = None,
) -> bytes:
    """A frame of a WebSocket, however wrong; `length`: what it says to have."""
    size = len(data) if length is None else length
    mask = b"abcd" if masked else b""
    head = bytes([(0x80 if last else 0) | reserved << 4 | kind])
    bit = 0x80 if masked else 0
    if size < 126:
        head += bytes([bit | size])
    elif size < 1 << 16:
        head += struct.pack(">BH", bit | 126, size)
    else:
        head += struct.pack(">BQ", bit | 127, size)
    if masked:
        data = bytes(byte ^ mask[place % 4] for place, byte in enumerate(data))
    return head + mask + data


TEXT, BYTES, CLOSE, PING, PONG = 1, 2, 8, 9, 10
FRAMES: dict[str, tuple[bytes, list[int | None]]] = {
    "reserved bits": (frame(TEXT, OPEN, reserved=1), [1002]),
    "compressed, which was not agreed on": (frame(TEXT, b"\xaa" * 100, reserved=4), [1002]),
    "an unknown kind": (frame(3, OPEN), [1002]),
    "an unknown kind of control": (frame(11, b""), [1002]),
    "half a ping": (frame(PING, b"x", last=False), [1002]),
    "half an end": (frame(CLOSE, b"", last=False), [1002]),
    "a long ping": (frame(PING, b"x" * 126), [1002]),
    "not masked": (frame(TEXT, OPEN, masked=False), [1002]),
    "no UTF-8": (frame(TEXT, b"\xff\xfe"), [1007]),
    "half a character": (frame(TEXT, b"\xe2\x82"), [1007]),
    "a character too long": (frame(TEXT, b"\xc0\xaf"), [1007]),
    "an end in no UTF-8": (frame(CLOSE, b"\x03\xe8\xff\xfe"), [1002, 1007]),
    "an end of one byte": (frame(CLOSE, b"\x03"), [1002]),
    "an end with no code": (frame(CLOSE, b"\x00\x00"), [1002]),
    "an end with a code that is never sent": (frame(CLOSE, struct.pack(">H", 1006)), [1002]),
    "a part of nothing": (frame(0, OPEN), [1002]),
    "a text in a text": (frame(TEXT, b"{", last=False) + frame(TEXT, b"}"), [1002]),
    "a size beyond all": (frame(TEXT, length=2**63 - 1), [1002, 1009]),
    "a negative size": (frame(TEXT, length=2**64 - 1), [1002, 1009]),
    "a large message": (frame(TEXT, b" " * 5000), [1009]),
    "a large message in parts": (
        frame(TEXT, b" " * 100, last=False) + frame(0, b" " * 100, last=False) * 60,
        [1009],
    ),
    "empty parts without end": (
        frame(TEXT, b"", last=False) + frame(0, b"", last=False) * 1000,
        [1009],
    ),
    "bytes": (frame(BYTES, OPEN), [1008]),
    "nothing": (frame(TEXT, b""), [1008]),
    "no question": (frame(TEXT, b"{}"), [1008]),
    "deep": (frame(TEXT, b"[" * 4000), [1008]),
    "a number without end": (frame(TEXT, b'{"ask": %s, "open": "a"}' % (b"9" * 4000)), [1008]),
    "infinity": (frame(TEXT, b'{"ask": 1, "key": "a", "segment": 1e999}'), [1008]),
    "a name of JavaScript": (frame(TEXT, b'{"ask": 1, "open": "a", "__proto__": {}}'), [1008]),
    "an end": (frame(CLOSE, struct.pack(">H", 1000)), [1000]),
    "an end, and more": (frame(CLOSE, struct.pack(">H", 1000)) + frame(TEXT, OPEN), [1000]),
    "a pong that nobody asked for": (frame(PONG, b"x") + frame(CLOSE, b"\x03\xe8"), [1000]),
}
"""What is sent after the beginning of a WebSocket, and the code that it is closed with."""

WAYS_OUT = (
    "live/../../secret.json",
    "live/..%2f..%2fsecret.json",
    "/etc/passwd",
    "live/\u0000.json",
    "../good/live/000.json",
    "live/000.json\n",
    "LIVE/000.json",
    "live//000.json",
    "live/.json",
    "episodes/" + "a" * 180 + ".json",
    "live\\000.json",
    "checkpoints/000.json",
)
"""Names of episodes that lead elsewhere."""


@dataclass
class Dashboard:
    """A dashboard in a process of its own, and what it writes to its error output."""

    url: str
    process: psutil.Process
    errors: Path
    running: subprocess.Popen[str] = field(repr=False)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def connect(self, *, receive_buffer: int | None = None) -> socket.socket:
        connection = socket.socket()
        if receive_buffer is not None:  # of the system: what it takes in that nobody reads
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(60)
        connection.connect(("127.0.0.1", self.port))
        return connection

    def answers(self) -> bool:
        """Asks as a page does."""
        with urlopen(f"{self.url}/api/runs", timeout=60) as answer:
            return b'"good"' in answer.read()

    def check(self) -> None:
        """It is there, answers, and had nothing to say."""
        assert self.running.poll() is None, self.errors.read_text()
        assert self.answers()
        assert self.errors.read_text() == ""


@contextmanager
def dashboard(folder: Path, errors: Path, **limits: float) -> Iterator[Dashboard]:
    """While entered, a dashboard of `folder`; `limits`: names of `connections` and their values."""
    code = (
        "import sys; from pathlib import Path\n"
        "from warpzone.dashboard import connections, server\n"
        f"vars(connections).update({limits!r})\n"
        "server.serve(Path(sys.argv[1]), 0, log=lambda text: print(text, flush=True))"
    )
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", code, str(folder)],
            stdout=subprocess.PIPE, stderr=stderr, text=True,
        )  # fmt: skip
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url, errors.read_text()
        yield Dashboard(url, psutil.Process(process.pid), errors, process)
    finally:
        process.kill()
        process.communicate()


def statuses(answer: bytes) -> list[int]:
    """Of the answers that were received one after the other."""
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def exchange(target: Dashboard, parts: Sequence[bytes], pause: float = 0.1) -> bytes:
    """Sends, and returns what comes until the other side ends the connection."""
    received = b""
    with target.connect() as connection, suppress(ConnectionError):
        for number, part in enumerate(parts):
            if number:
                time.sleep(pause)
            with suppress(ConnectionError):  # it need not read all of it
                connection.sendall(part)
        while part := connection.recv(1 << 16):
            received += part
    return received


@contextmanager
def websocket(target: Dashboard, *, receive_buffer: int | None = None) -> Iterator[socket.socket]:
    """A WebSocket, of which the greeting has been read."""
    with target.connect(receive_buffer=receive_buffer) as connection:
        connection.sendall(UPGRADE + b"\r\n")
        received = b""
        while b'"planes"' not in received:
            part = connection.recv(1 << 16)
            assert part, received
            received += part
        yield connection


def close_code(connection: socket.socket) -> int | None:
    """Reads up to the end of a WebSocket; None: it ended without a word."""
    received = b""
    with suppress(ConnectionError):
        while part := connection.recv(1 << 16):
            received += part
            while len(received) >= 4:
                kind, size, start = received[0] & 15, received[1] & 127, 2
                if size == 126:
                    size, start = int.from_bytes(received[2:4], "big"), 4
                if kind == CLOSE:
                    return int.from_bytes(received[start : start + 2], "big")
                if len(received) < start + size:
                    break
                received = received[start + size :]
    return None


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Returns it with some bytes changed, left out, doubled, or exchanged."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        if not changed:
            break
        at = chance.randrange(len(changed))
        end = min(at + chance.choice((1, 2, 8, 64)), len(changed))
        match chance.randrange(6):
            case 0:
                changed[at] = chance.randrange(256)
            case 1:
                changed[at] ^= 1 << chance.randrange(8)
            case 2:
                del changed[at:end]
            case 3:
                changed[at:at] = changed[at:end] * chance.choice((1, 2, 50))
            case 4:
                changed[at:end] = chance.choice(
                    (b"\r\n", b"\n", b"\x00", b"\xff" * 8, b": ", b"%00")
                )
            case 5:
                del changed[at:]
    return bytes(changed)


def mutations(seed: int, count: int) -> Iterator[bytes]:
    """So many connections' worth of damage, the same for the same seed."""
    chance = random.Random(seed)
    requests = [
        b"".join(parts) if isinstance(parts, tuple) else parts for parts, _ in REQUESTS.values()
    ]
    requests = [request for request in requests if len(request) < 20_000]
    frames = [sent for sent, _ in FRAMES.values()] + [frame(TEXT, OPEN), frame(PING, b"x")]
    for _ in range(count):
        if chance.random() < 0.5:
            yield b"".join(
                mutated(chance.choice(requests), chance) for _ in range(chance.choice((1, 1, 2)))
            )
        else:
            sent = b"".join(chance.choice(frames) for _ in range(chance.choice((1, 2, 4))))
            yield UPGRADE + b"\r\n" + mutated(sent, chance)


def send_many(target: Dashboard, data: Sequence[bytes], wait: float = 0.3) -> None:
    """Sends each over a connection of its own, all at once; reads for a moment what comes."""
    with ExitStack() as held:
        connections = [held.enter_context(target.connect()) for _ in data]
        for connection, sent in zip(connections, data, strict=True):
            connection.setblocking(False)
            # Frames that came with what opens a WebSocket would not be looked at.
            head, upgrade, frames = sent.partition(UPGRADE + b"\r\n")
            with suppress(OSError):
                connection.send(head + upgrade if upgrade else sent)
        time.sleep(wait / 3)
        for connection, sent in zip(connections, data, strict=True):
            _, _, frames = sent.partition(UPGRADE + b"\r\n")
            with suppress(OSError):
                connection.send(frames)
        until = time.monotonic() + wait
        waiting = set(connections)
        while waiting and time.monotonic() < until:
            ready, _, _ = select.select(list(waiting), [], [], 0.05)
            for connection in ready:
                try:
                    if not connection.recv(1 << 16):
                        waiting.discard(connection)
                except OSError:
                    waiting.discard(connection)


def open_files(process: psutil.Process) -> int:
    """How many descriptors it holds."""
    if hasattr(process, "num_fds"):
        return int(process.num_fds())
    return len(os.listdir(f"/proc/{process.pid}/fd"))
