"""When frames are due, in whatever they are shown. Knows no window and no game."""

from __future__ import annotations

import time
from collections.abc import Callable

from warpzone.nes.console import FRAMES_PER_SECOND

LARGEST_LAG = 0.1
"""Seconds behind which a game is no longer caught up with, but goes on from where it is."""
LONGEST_GAP = 0.25
"""Seconds after which a picture is drawn even where drawing is too slow for it."""


class Pacer:
    """Keeps a loop at the console's frame rate times a speed, and says which frames to draw."""

    def __init__(
        self,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
        *,
        largest_lag: float = LARGEST_LAG,
    ) -> None:
        """
        Args:
            clock: the time in seconds, from any moment on.
            sleep: waits for so many seconds.
            largest_lag: seconds; more where drawing takes long, so that the game keeps its speed.
        """
        self._clock, self._sleep, self._largest_lag = clock, sleep, largest_lag
        self._due = clock()
        self._drawn = self._due
        """When the last picture was done."""
        self._drawing = False

    def wait(self, speed: float = 1.0) -> bool:
        """Waits until the next frame is due, at `speed` times the console's own rate.

        Returns:
            Whether to draw it: frames that are late are left out, so that the game keeps its
            speed, and above normal speed those that no screen could show.
        """
        now = self._clock()
        if self._drawing:
            self._drawn = now
        self._due = max(self._due + 1.0 / (FRAMES_PER_SECOND * speed), now - self._largest_lag)
        if self._due > now:
            self._sleep(self._due - now)
            now = self._clock()
        late = now - self._due > 1.0 / FRAMES_PER_SECOND
        seen = speed <= 1.0 or now - self._drawn >= 0.9 / FRAMES_PER_SECOND
        self._drawing = (not late and seen) or now - self._drawn >= LONGEST_GAP
        return self._drawing
