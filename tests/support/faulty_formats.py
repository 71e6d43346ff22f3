"""Readers that do what none may, each for another reason: what looks for faults must find these."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import damage


class Refusal(Exception):
    """The one documented error."""


@dataclass(frozen=True)
class Faulty:
    """As `formats.Format`, which imports too much for this."""

    name: str
    read: Callable[[Path], Any]
    errors: tuple[type[Exception], ...] = (Refusal,)
    file: str = "file.json"
    layout: damage.Layout = field(default_factory=damage.json_file)
    named: bool = True
    handed_over: bool = False
    unreadable: tuple[type[Exception], ...] = ()
    share: float = 1.0
    found: tuple[str, ...] = ()

    def good(self) -> bytes:
        return b'{"a": 1}'


def _damaged(path: Path) -> bool:
    return path.read_bytes() != b'{"a": 1}'


def _when_damaged(do: Callable[[Path], Any]) -> Callable[[Path], bool]:
    def read(path: Path) -> bool:
        if _damaged(path):
            do(path)
        return True

    return read


def _raising(error: Callable[[Path], Exception]) -> Callable[[Path], bool]:
    def read(path: Path) -> None:
        raise error(path)

    return _when_damaged(read)


def _hold(size: int) -> None:
    held = bytearray(size)
    held[::4096] = b"x" * len(held[::4096])


class Formats:
    """Makes them.

    Args:
        folder: for their files.
    """

    def __init__(self, folder: Path) -> None:
        self.work = folder
        readers = {
            "good": _raising(lambda path: Refusal(f"{path} is damaged")),
            "it raises something else": _raising(lambda path: KeyError(str(path))),
            "it names no file": _raising(lambda path: Refusal("damaged")),
            "it says nothing": _raising(lambda path: Refusal("")),
            "it says too much": _raising(lambda path: Refusal(f"{path} " + "x" * 100_000)),
            "it says what a terminal obeys": _raising(lambda path: Refusal(f"{path} \x1b[2J")),
            "it crashes": _when_damaged(lambda path: os.abort()),
            "it exits": _when_damaged(lambda path: os._exit(0)),
            "it hangs": _when_damaged(lambda path: time.sleep(3600)),
            "it needs memory": _when_damaged(lambda path: _hold(400 << 20)),
            "it needs all memory": _when_damaged(lambda path: _hold(1 << 60)),
            "it takes no good one": lambda path: False,
            "it waits for a pipe": lambda path: len(path.read_bytes()) > 0,
        }
        self.all = {name: Faulty(name, read) for name, read in readers.items()}
