"""Ctrl-C while the command `warpzone` is still being loaded: an end without a traceback. A leaf.

Imported first by the package, and importing next to nothing itself, so that nothing slow comes
before. It touches nothing where warpzone is a library.
"""

from __future__ import annotations

import os
import signal
import sys

EXIT_INTERRUPTED = 130


def is_command() -> bool:
    """Whether this process is the command `warpzone` or `python -m warpzone`."""
    words = sys.orig_argv
    if "--multiprocessing-fork" in words:
        return False  # a process that the command has begun
    if "-m" in words:
        return words[words.index("-m") + 1 :][:1] == ["warpzone"]
    return os.path.splitext(os.path.basename(sys.argv[0]))[0] == "warpzone"


def _leave(number: int, frame: object) -> None:
    os._exit(EXIT_INTERRUPTED)  # nothing has been begun


def begin() -> None:
    """Until `end`, Ctrl-C ends the command at once."""
    if is_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        try:
            signal.signal(signal.SIGINT, _leave)
        except ValueError:
            return  # not the main thread, so not the command either


def end() -> None:
    """From here on Ctrl-C is KeyboardInterrupt again, where `begin` changed it."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


begin()
