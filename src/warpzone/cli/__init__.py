"""The command `warpzone`: each command reads its arguments, calls the library and prints.

`app` lists the commands; a file holds each group of them; `options`, `choose` and `output` are what
they share. What is slow to import (torch, pygame, TensorBoard) is imported inside the commands that
need it: `warpzone --help`, `levels` and `rom` answer at once.

Knows no rule of a game or of learning: nothing is decided here that somebody who uses warpzone from
Python would miss. No other package knows this one.
"""

from __future__ import annotations


def main() -> None:
    """Runs the command; this is its entry point."""
    from warpzone.cli.app import app

    app()
