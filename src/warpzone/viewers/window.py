"""One window that shows NES pictures with a status line under them. Knows no game and no agent."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from warpzone.errors import DisplayError
from warpzone.extras import WINDOW, need
from warpzone.viewers.gamepad import Gamepad, open_gamepads

# pygame prints a greeting on import otherwise, into the output of every command.
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")

if TYPE_CHECKING:
    import pygame
    from pygame.event import Event

WIDTH, HEIGHT = 256, 240
MAX_SCALE = 8
BAR_HEIGHT = 26

_INK = (235, 235, 235)
_BAR = (24, 24, 28)
_AROUND = (0, 0, 0)
_SHADE = (0, 0, 0, 170)


def _size_at(scale: int) -> tuple[int, int]:
    """Returns width and height of a window, in screen pixels."""
    scale = min(max(scale, 1), MAX_SCALE)
    return WIDTH * scale, HEIGHT * scale + BAR_HEIGHT


def missing_display() -> str | None:
    """Says why no window can be opened on this machine, or None where one can be tried."""
    if "SDL_VIDEODRIVER" in os.environ or sys.platform in ("win32", "darwin"):
        return None
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return None
    return "this machine has no screen (neither DISPLAY nor WAYLAND_DISPLAY is set)"


def require_display(instead: str) -> None:
    """Checks that a window can be tried.

    Args:
        instead: what to do on a machine without a screen.

    Raises:
        DisplayError: this machine has no screen.
        MissingPackageError: pygame is not installed.
    """
    reason = missing_display()
    if reason is not None:
        raise DisplayError(f"cannot open a window: {reason}. {instead}")
    need("A window", watch=WINDOW)


class Window:
    """Shows 256x240 NES pixels times a whole scale in a pygame window, and a status line.

    Its user may pull it to any size, or fill the screen with it: the picture then has the largest
    whole scale that fits, and black around it.

    Raises:
        MissingPackageError: pygame is not installed.
        DisplayError: on a machine without a screen; the text names what to do instead.
    """

    def __init__(
        self, title: str, palette: NDArray[np.uint8], *, scale: int = 3, instead: str
    ) -> None:
        """
        Args:
            title: of the window.
            palette: uint8[64, 3] RGB.
            scale: screen pixels per NES pixel, 1-8.
            instead: what the user may do on a machine without a screen.
        """
        require_display(instead)
        import pygame

        self._pygame = pygame
        self._palette = [tuple(int(c) for c in colour) for colour in palette]
        self._full_screen = False
        try:
            pygame.display.init()
            pygame.font.init()
            pygame.display.set_caption(title)
            self._surface = self._open(_size_at(scale))
            self._windowed = self._surface.get_size()
        except pygame.error as error:
            pygame.quit()
            raise DisplayError(f"cannot open a window: {error}. {instead}") from error
        self._font = pygame.font.Font(None, 22)
        self._pads: list[Gamepad] | None = None

    def _open(self, size: tuple[int, int]) -> pygame.Surface:
        display = self._pygame.display
        if self._full_screen:
            surface: pygame.Surface = display.set_mode((0, 0), self._pygame.FULLSCREEN)
        else:
            surface = display.set_mode(size, self._pygame.RESIZABLE)
        return surface

    @property
    def scale(self) -> int:
        """Screen pixels per NES pixel, as large as the window has room for.

        Setting it, within 1-8, ends the full screen and gives the window just the size for it.
        """
        width, height = self._surface.get_size()
        return max(1, min(width // WIDTH, (height - BAR_HEIGHT) // HEIGHT))

    @scale.setter
    def scale(self, value: int) -> None:
        size = _size_at(value)
        if self._full_screen or size != self._surface.get_size():
            self._full_screen = False
            self._surface = self._open(size)

    @property
    def full_screen(self) -> bool:
        """Whether the window fills the screen; afterwards it has its old size again."""
        return self._full_screen

    @full_screen.setter
    def full_screen(self, value: bool) -> None:
        if value != self._full_screen:
            if value:
                self._windowed = self._surface.get_size()
            self._full_screen = value
            self._surface = self._open(self._windowed)

    def show(
        self,
        frame: NDArray[np.uint8],
        *,
        status: str = "",
        overlay: Sequence[str] = (),
    ) -> None:
        """Draws one picture.

        Args:
            frame: uint8[240, 256] NES palette indices or uint8[240, 256, 3] RGB.
            status: one line under the picture; what follows a tab stands at its right end.
            overlay: lines over the picture, on a dark ground.
        """
        pygame = self._pygame
        if frame.ndim == 3:
            picture = pygame.image.frombuffer(frame.tobytes(), (WIDTH, HEIGHT), "RGB")
        else:
            picture = pygame.image.frombuffer((frame & 63).tobytes(), (WIDTH, HEIGHT), "P")
            picture.set_palette(self._palette)
        scaled = pygame.transform.scale_by(picture.convert(self._surface), self.scale)
        width, height = self._surface.get_size()
        room = pygame.Rect(0, 0, width, max(1, height - BAR_HEIGHT))
        place = scaled.get_rect(center=room.center)
        if not place.contains(room):
            self._surface.fill(_AROUND, room)
        self._surface.blit(scaled, place)
        if overlay:
            self._draw_overlay(self._surface.subsurface(room), overlay)
        self._draw_status(room, status)
        pygame.display.flip()

    def _draw_status(self, area: pygame.Rect, status: str) -> None:
        self._surface.fill(_BAR, (0, area.height, area.width, BAR_HEIGHT))
        left, _, right = status.partition("\t")
        hint = self._font.render(right, True, _INK)
        end = area.width - hint.get_width() - 8
        text = self._font.render(left, True, _INK)
        # A long text ends before the hint, so that help can always be found.
        self._surface.blit(text, (8, area.height + 6), (0, 0, max(0, end - 16), BAR_HEIGHT))
        self._surface.blit(hint, (end, area.height + 6))

    def _draw_overlay(self, area: pygame.Surface, lines: Sequence[str]) -> None:
        """Draws lines over the picture; what follows a tab stands in a second column."""
        pygame = self._pygame
        rows = [[self._font.render(t, True, _INK) for t in line.split("\t")] for line in lines]
        second = max((row[0].get_width() for row in rows if len(row) > 1), default=0) + 16
        ends = [x * second + text.get_width() for row in rows for x, text in enumerate(row)]
        height = self._font.get_linesize()
        box = pygame.Surface((max(ends) + 24, height * len(rows) + 16), pygame.SRCALPHA)
        box.fill(_SHADE)
        for y, row in enumerate(rows):
            for x, text in enumerate(row):
                box.blit(text, (12 + x * second, 8 + y * height))
        fit = min(1.0, area.get_width() / box.get_width(), area.get_height() / box.get_height())
        if fit < 1.0:
            box = pygame.transform.smoothscale_by(box, fit)
        area.blit(box, box.get_rect(center=area.get_rect().center))

    def events(self) -> list[Event]:
        """Returns what the user did since the last call."""
        pygame = self._pygame
        events: list[Event] = pygame.event.get()
        if any(e.type in (pygame.JOYDEVICEADDED, pygame.JOYDEVICEREMOVED) for e in events):
            self._pads = None
        return events

    def gamepads(self) -> list[Gamepad]:
        """Returns those that are connected now."""
        if self._pads is None:
            self._pads = open_gamepads()
        return self._pads

    def close(self) -> None:
        self._pygame.quit()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
