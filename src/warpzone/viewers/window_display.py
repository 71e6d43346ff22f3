"""A window as the place where something is shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from warpzone.nes.console import PALETTE
from warpzone.viewers import loop
from warpzone.viewers.controls import Controls
from warpzone.viewers.loop import Display, Picture
from warpzone.viewers.pacer import Pacer
from warpzone.viewers.window import Window


class WindowDisplay(Display):
    """Shows pictures in a window, with the keys over them at the start."""

    def __init__(self, window: Window, help_frames: int | None = None) -> None:
        """
        Args:
            window: an open one.
            help_frames: how long the keys are shown at the start; None: 4 s.
        """
        self.window = window
        self.help_frames = loop.HELP_FRAMES if help_frames is None else help_frames
        self._pacer = Pacer()

    def listen(self, controls: Controls) -> None:
        controls.handle(self.window.events(), self.window)

    def wait(self, speed: float) -> bool:
        return self._pacer.wait(speed)

    def draw(self, picture: Picture) -> None:
        words = [*picture.status, picture.buttons] if picture.buttons else picture.status
        self.window.show(
            picture.frame,
            status="    ".join(words) + "\tH help",
            overlay=picture.help or picture.message,
        )


@contextmanager
def open_display(
    title: str, *, scale: int, instead: str, help_frames: int | None = None
) -> Iterator[WindowDisplay]:
    """Opens a window to show something in, and closes it at the end.

    Args:
        title: of the window.
        scale: screen pixels per NES pixel, 1-8.
        instead: what the user may do on a machine without a screen.
        help_frames: see `WindowDisplay`.

    Raises:
        DisplayError: no window can be opened.
    """
    with Window(title, PALETTE, scale=scale, instead=instead) as window:
        yield WindowDisplay(window, help_frames)
