"""A file of lines that grows: each call reads what was added since the last."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from warpzone.files import open_regular_file

BLOCK = 1 << 22
"""Bytes read at once."""
REMEMBERED = 256
"""Bytes before the place where reading goes on, which tell whether the file is still the same."""
LONGEST_LINE = 1 << 20
"""Of a line, in bytes; a longer one is no line."""
LARGEST_FILE = 1 << 30
"""Bytes; a million updates take less."""


class LineReader:
    """Reads a growing file of lines; never waits, writes or locks, nor follows a link out of the
    file's folder.

    Attributes:
        generation: another number each time that the file is read from its start.
        problem: why the file is not read, for people; None: it is, or there is none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.generation = time.time_ns()
        self.problem: str | None = None
        self._start_over()

    def _start_over(self) -> None:
        self._offset = 0
        self._before = b""
        self._stamp: tuple[int, int, int] | None = None
        self._lost = False

    def blocks(self) -> Iterator[bytes] | None:
        """Returns whole lines that were added, in blocks; None where the file must be read anew.

        After None the next call begins at the start. A file that is not there is an empty one, and
        so is one that is not read (see `problem`).
        """
        if self._lost:  # while it was read
            self._forget()
            return None
        try:
            found = self.path.stat()
            if self.problem is None and _stamp(found) == self._stamp:
                return iter(())
            file = open_regular_file(self.path, LARGEST_FILE, within=self.path.parent)
            self.problem = None
        except FileNotFoundError:
            self.problem = None
            return self._nothing()
        except OSError as error:
            self.problem = f"{self.path.name} cannot be read: {error.strerror or error}"
            return self._nothing()
        return self._follow(file)

    def _nothing(self) -> Iterator[bytes] | None:
        if self._offset == 0:
            return iter(())
        self._forget()
        return None

    def _forget(self) -> None:
        self._start_over()
        self.generation += 1

    def _follow(self, file: BinaryIO) -> Iterator[bytes] | None:
        """Reads on in an open file, which is closed afterwards."""
        try:
            found = os.fstat(file.fileno())  # of what was opened
            if found.st_size >= self._offset:
                file.seek(self._offset - len(self._before))
                if file.read(len(self._before)) == self._before:
                    return self._read(file, found)
        except OSError:
            pass
        file.close()
        return self._nothing()

    def _read(self, file: BinaryIO, found: os.stat_result) -> Iterator[bytes]:
        rest = b""
        try:
            while added := file.read(BLOCK):
                data = rest + added
                whole = data.rfind(b"\n") + 1
                if whole:
                    self._passed(data[:whole])
                    yield data[:whole]
                rest = data[whole:]
                if len(rest) > LONGEST_LINE:  # left out up to its end
                    self._passed(rest)
                    yield b"\n"
                    rest = b""
            self._stamp = _stamp(found)
        except OSError:  # what was read of it is to be forgotten
            self._lost = True
        finally:
            file.close()

    def _passed(self, data: bytes) -> None:
        self._offset += len(data)
        self._before = (self._before + data[-REMEMBERED:])[-REMEMBERED:]


def _stamp(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns
