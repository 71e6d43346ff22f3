"""Translates a cartridge into the cache: `python -m warpzone.nes.recompiler`.

Reads an order from standard input and writes what the cache's file holds to standard output, so
that a cache that cannot be written costs no more than the next start's time.

A process of its own, so that a game goes on meanwhile and LLVM's memory goes back afterwards. Its
priority is no lower: a training that uses all cores would wait minutes for what it needs most.
"""

from __future__ import annotations

import contextlib
import signal
import sys

from warpzone.nes.recompiler.provide import Order, make


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for whoever is playing
    data = make(Order.from_json(sys.stdin.read()))
    with contextlib.suppress(BrokenPipeError):  # nobody waits any more
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
