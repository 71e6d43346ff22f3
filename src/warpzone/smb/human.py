"""The window of `render_mode="human"`: every emulated frame, as fast as the console makes them.

No more than that: pausing, speeds and overlays are `warpzone.viewers`, which this room must not
know.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpzone.errors import DisplayError
from warpzone.extras import WINDOW, need
from warpzone.nes.console import FRAMES_PER_SECOND, PALETTE

_SCALE = 3
_INSTEAD = (
    'Use render_mode="rgb_array" and gymnasium.wrappers.RecordVideo, or set SDL_VIDEODRIVER=dummy '
    "to go on without a picture"
)


class HumanWindow:
    """A window of 768x720 that opens with the first frames shown. Closing it lets the game go on
    unseen.

    Raises:
        DisplayError: this machine has no screen.
        MissingPackageError: pygame is not installed.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        named = any(os.environ.get(n) for n in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"))
        if not named and sys.platform not in ("win32", "darwin"):
            raise DisplayError(
                "cannot open a window: this machine has no screen (neither DISPLAY nor "
                f"WAYLAND_DISPLAY is set). {_INSTEAD}"
            )
        need("A window", watch=WINDOW)
        self._clock, self._sleep = clock, sleep
        self._pygame: Any = None
        self._due = 0.0
        self.closed = False

    def show(self, frames: NDArray[np.uint8]) -> None:
        """Shows frames one after another, each a 60.0988th of a second after the one before.

        Args:
            frames: uint8[k, 240, 256], colours of `PALETTE`.

        Raises:
            DisplayError: the window cannot be opened.
        """
        for frame in frames:
            if self.closed:
                return
            if self._pygame is None:
                self._open()
            now = self._clock()
            # Who was away for longer, learning for instance, is not made up for.
            self._due = max(self._due + 1 / FRAMES_PER_SECOND, now - 0.1)
            if self._due > now:
                self._sleep(self._due - now)
            self._draw(frame)
            if any(event.type == self._pygame.QUIT for event in self._pygame.event.get()):
                self.close()

    def close(self) -> None:
        """Closes the window for good."""
        if self._pygame is not None and not self.closed:
            self._pygame.display.quit()
        self.closed = True

    def __getstate__(self) -> dict[str, Any]:
        """A copy opens the window anew."""
        return {**self.__dict__, "_pygame": None}

    def _open(self) -> None:
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # a greeting on standard output
        import pygame

        try:
            pygame.display.init()
            pygame.display.set_caption("warpzone")
            pygame.display.set_mode((256 * _SCALE, 240 * _SCALE))
        except pygame.error as error:
            pygame.display.quit()
            raise DisplayError(f"cannot open a window: {error}. {_INSTEAD}") from error
        self._pygame = pygame

    def _draw(self, frame: NDArray[np.uint8]) -> None:
        pygame = self._pygame
        picture = pygame.image.frombuffer((frame & 63).tobytes(), (256, 240), "P")
        picture.set_palette([tuple(int(c) for c in colour) for colour in PALETTE])
        surface = pygame.display.get_surface()
        pygame.transform.scale(picture.convert(surface), surface.get_size(), surface)
        pygame.display.flip()
