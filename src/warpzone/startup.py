"""Ctrl-C while the command `warpzone` is still being loaded: an end without a traceback. A leaf.

Imported first by the package, and importing next to nothing itself, so that nothing slow comes
before. It touches nothing where warpzone is a library. Machines that are not supported are refused
here, too.
"""

from __future__ import annotations

import os
import signal
import sys

EXIT_INTERRUPTED = 130


def check_machine(byteorder: str, maxsize: int) -> None:
    """Refuses a machine that this cannot run on, before anything else fails there in other words.

    Args:
        byteorder, maxsize: as in `sys`.

    Raises:
        ImportError: it is big-endian, or Python is one of 32 bits.
    """
    what = "big-endian" if byteorder != "little" else "32-bit" if maxsize <= 1 << 32 else None
    if what is not None:
        raise ImportError(
            f"warpzone does not run on a {what} Python: saved games are bytes in memory's order,"
            " and native code counts on 64 bits. It needs a 64-bit Python on x86-64 or AArch64."
        )


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


check_machine(sys.byteorder, sys.maxsize)
begin()
