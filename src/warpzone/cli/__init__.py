"""The command `warpzone`: each command reads its arguments, calls the library and prints.

`app` lists the commands; a file holds each group of them; `options`, `choose` and `output` are what
they share. What is slow to import (torch, pygame, TensorBoard) is imported inside the commands that
need it: `warpzone --help`, `levels` and `rom` answer at once.

Knows no rule of a game or of learning: nothing is decided here that somebody who uses warpzone from
Python would miss. No other package knows this one.
"""

from __future__ import annotations

import os
import sys

from warpzone import startup
from warpzone.console_text import show_everything


def main() -> None:
    """Runs the command; this is its entry point."""
    startup.begin()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            show_everything(stream)
    try:
        from warpzone.cli.app import app

        startup.end()
        app()
    except KeyboardInterrupt:
        sys.exit(startup.EXIT_INTERRUPTED)
    except OSError as error:  # a command has reported its own; this was help that found no room
        _discard_output()
        print(f"error: {error.strerror or error}", file=sys.stderr)
        sys.exit(2)
    finally:
        _finish()


def _finish() -> None:
    """Writes what is still in the buffer, while an error can be told of.

    Raises:
        SystemExit: the output cannot be written, e.g. on a full disk.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()  # whoever read it has seen enough
    except OSError as error:
        _discard_output()
        print(f"error: the output cannot be written: {error.strerror}", file=sys.stderr)
        sys.exit(2)


def _discard_output() -> None:
    """Lets Python's own last flush of the output succeed."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
