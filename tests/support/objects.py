"""What can lie in the place of a file: pipes, devices, folders, links that lead nowhere …"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

NOBODY = 65534
"""A user who owns nothing."""


@contextmanager
def _missing(path: Path, good: bytes) -> Iterator[None]:
    yield


@contextmanager
def _folder(path: Path, good: bytes) -> Iterator[None]:
    path.mkdir()
    (path / "file").write_bytes(good)
    yield


@contextmanager
def _pipe(path: Path, good: bytes) -> Iterator[None]:
    os.mkfifo(path)
    yield


@contextmanager
def _filled_pipe(path: Path, good: bytes) -> Iterator[None]:
    """Somebody holds its other end, and has written to it."""
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        with suppress(BlockingIOError):
            os.write(descriptor, good[:4096])
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _socket(path: Path, good: bytes) -> Iterator[None]:
    here = os.getcwd()
    with socket.socket(socket.AF_UNIX) as listening:
        try:  # the names of sockets must be short
            os.chdir(path.parent)
            listening.bind(path.name)
        finally:
            os.chdir(here)
        listening.listen()
        yield


def _link(target: Callable[[Path], str]) -> Callable[[Path, bytes], AbstractContextManager[None]]:
    @contextmanager
    def make(path: Path, good: bytes) -> Iterator[None]:
        path.symlink_to(target(path))
        yield

    return make


@contextmanager
def _loop(path: Path, good: bytes) -> Iterator[None]:
    other = path.with_name(f"{path.name}.other")
    other.symlink_to(path.name)
    path.symlink_to(other.name)
    yield
    other.unlink(missing_ok=True)


@contextmanager
def _huge(path: Path, good: bytes) -> Iterator[None]:
    """A terabyte, of which nothing is on the disk."""
    path.write_bytes(good)
    for size in (1 << 40, 1 << 36, 20 << 30):
        with suppress(OSError):  # as large as the file system lets it be
            os.truncate(path, size)
            break
    yield


@contextmanager
def _forbidden(path: Path, good: bytes) -> Iterator[None]:
    """Of somebody who lets nobody read it."""
    path.write_bytes(good)
    path.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        path.chmod(0o644)


@contextmanager
def _in_a_closed_folder(path: Path, good: bytes) -> Iterator[None]:
    """The folder can be listed, and nothing in it can be looked at."""
    path.write_bytes(good)
    path.parent.chmod(0o744 if os.geteuid() == 0 else 0o444)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        path.parent.chmod(0o755)


OBJECTS: dict[str, Callable[[Path, bytes], AbstractContextManager[None]]] = {
    "nothing": _missing,
    "a folder": _folder,
    "a pipe": _pipe,
    "a filled pipe": _filled_pipe,
    "a socket": _socket,
    "a link to nothing": _link(lambda path: "no-such-file"),
    "a link to itself": _link(lambda path: path.name),
    "two links to each other": _loop,
    "a link to its folder": _link(lambda path: "."),
    "a link to zeroes without end": _link(lambda path: "/dev/zero"),
    "a link to nothing at all": _link(lambda path: "/dev/null"),
    "a link to the terminal": _link(lambda path: "/dev/tty"),
    "a link to a file of the system": _link(lambda path: "/proc/self/mem"),
    "a terabyte": _huge,
    "what may not be read": _forbidden,
    "in a folder that may not be entered": _in_a_closed_folder,
}
"""Each puts something in a place, where a good file would have the bytes given."""


def remove(path: Path) -> None:
    """Removes whatever is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
