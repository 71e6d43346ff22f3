"""A process that trains for a while, as a campaign starts it, ends it and reads what it said."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from warpzone.files import append_to, open_regular_file
from warpzone.process import end_with_parent

GRACE = 60.0
"""Seconds that a run has to save itself when time is up."""
LAST_BYTES = 1 << 16
"""Of what a process said, in which its last line is looked for."""


class TimeSlice:
    """A running process, and the log that it writes to.

    Where the system can, it is asked to end, and to save itself, when this process is gone.

    Args:
        line: the command.
        log: a file that what it says is appended to.
    """

    def __init__(self, line: Sequence[str], log: Path) -> None:
        self.log, self.began = log, time.monotonic()
        preparation: Callable[[], None] | None = (
            None if sys.platform == "win32" else end_with_parent
        )
        with append_to(log) as file:
            # In a group of its own, so that Ctrl-C reaches it through us alone.
            self._process = subprocess.Popen(
                line, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                process_group=0 if sys.platform != "win32" else None, preexec_fn=preparation,
            )  # fmt: skip

    @property
    def ended(self) -> bool:
        """Whether the process is over."""
        return self._process.poll() is not None

    @property
    def code(self) -> int:
        """Its status, once it is over."""
        return self._process.returncode

    @property
    def seconds(self) -> float:
        """How long ago it began."""
        return time.monotonic() - self.began

    def ask_to_end(self) -> None:
        """Lets it finish its update and save."""
        self._process.terminate()

    def wait(self) -> None:
        """Waits for the end that was asked for; after `GRACE` it is made."""
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def last_line(self) -> str:
        """Returns the last of what it said."""
        try:
            with open_regular_file(self.log) as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - LAST_BYTES))
                lines = file.read(LAST_BYTES).decode(errors="replace").strip().splitlines()
        except OSError as error:
            return f"its output cannot be read: {error.strerror or error}"
        return lines[-1] if lines else "it said nothing"
