"""Ctrl-C, SIGTERM and a closed terminal as a request that is answered at the next safe point.

Knows nothing of what is interrupted: whoever works reads the request between two pieces of work.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, Self

PATIENCE = 1.0
"""Seconds without an answer to a request after which `Interrupt.announce` is called."""

_HANGUP: int | None = getattr(signal, "SIGHUP", None)  # Windows has none
_REQUESTS = [n for n in (signal.SIGINT, signal.SIGTERM, _HANGUP) if n is not None]


class Interrupted(Exception):
    """The answer to a request, raised by `Interrupt.check` or within `Interrupt.at_once`."""


class Interrupt:
    """While entered, a first signal only sets `requested`; a second Ctrl-C ends at once.

    A signal that the process was started to ignore, as SIGHUP under nohup, stays ignored. In
    another thread than the main one, where Python allows no signal handlers, it does nothing.
    """

    def __init__(self, announce: Callable[[], None] = lambda: None) -> None:
        """`announce` is called, from another thread, where the answer takes over a second."""
        self.requested = False
        self.announce = announce
        self._immediate = False
        self._timer: threading.Timer | None = None
        self._previous: dict[int, Any] = {}

    def check(self) -> None:
        """Raises `Interrupted` if an end has been requested."""
        if self.requested:
            raise Interrupted

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within this a request raises `Interrupted` wherever the main thread stands: for work that
        can be thrown away and done again, as a measurement or a search."""
        self._immediate = True
        try:
            self.check()
            yield
        finally:
            self._immediate = False

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            # Closing a terminal sends SIGHUP twice; only a person's second Ctrl-C is impatience.
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        self.requested = True
        if self._immediate:
            raise Interrupted
        self._timer = threading.Timer(PATIENCE, self._announce)
        self._timer.daemon = True
        self._timer.start()

    def _announce(self) -> None:
        with suppress(Exception):  # the terminal may be what has gone
            self.announce()

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _REQUESTS:
                if number != _HANGUP or signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()
        if self._timer is not None:
            self._timer.cancel()
