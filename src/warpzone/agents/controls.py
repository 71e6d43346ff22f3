"""What a person may ask of the window while something plays in it: pause, speed, size, level."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warpzone.agents.window import Window

if TYPE_CHECKING:
    from pygame.event import Event

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
HELP = (
    "space\tpause",
    ".\tone frame",
    "+ -\tfaster, slower",
    "1 - 6\tsize",
    "R\trestart",
    "N P\tnext, previous level",
    "H\tthis help",
    "Esc\tquit",
)


@dataclass(slots=True)
class Controls:
    """The state that the keys of the window set.

    Attributes:
        paused: whether the game stands still.
        one_frame: show one frame although paused, then stand still again.
        one_back: go back one frame, and stand still (replays only).
        help: whether the help is over the picture.
        restart: begin a new episode.
        level_change: +1 or -1 for the next or previous level.
        switch_policy: change between sampling and argmax (watching only).
        quit: close the window.
    """

    paused: bool = False
    one_frame: bool = False
    one_back: bool = False
    help: bool = False
    restart: bool = False
    level_change: int = 0
    switch_policy: bool = False
    quit: bool = False
    _speed: int = SPEEDS.index(1.0)

    @property
    def speed(self) -> float:
        """Times the console's own."""
        return SPEEDS[self._speed]

    @property
    def interrupted(self) -> bool:
        """Whether the episode on the screen is to be left."""
        return self.quit or self.restart or self.level_change != 0

    def take_level_change(self) -> int:
        """Return the wanted change of level and forget it, and a wanted restart with it."""
        change, self.level_change, self.restart = self.level_change, 0, False
        return change

    def handle(self, events: Iterable[Event], window: Window) -> None:
        import pygame

        for event in events:
            if event.type == pygame.QUIT:
                self.quit = True
            elif event.type == pygame.KEYDOWN:
                self._press(event.key, event.unicode, window)

    def _press(self, key: int, text: str, window: Window) -> None:
        import pygame

        if key == pygame.K_ESCAPE:
            self.quit = True
        elif key == pygame.K_SPACE:
            self.paused = not self.paused
        elif key == pygame.K_PERIOD:
            self.paused = self.one_frame = True
        elif key == pygame.K_COMMA:
            self.one_back = True
        elif key == pygame.K_r:
            self.restart = True
        elif key in (pygame.K_n, pygame.K_PAGEDOWN):
            self.level_change = 1
        elif key in (pygame.K_p, pygame.K_PAGEUP):
            self.level_change = -1
        elif key == pygame.K_a:
            self.switch_policy = True
        elif key == pygame.K_h:
            self.help = not self.help
        # By what was typed, not by key: where + is differs between keyboards.
        elif text in ("+", "=") or key == pygame.K_KP_PLUS:
            self._speed = min(self._speed + 1, len(SPEEDS) - 1)
        elif text == "-" or key == pygame.K_KP_MINUS:
            self._speed = max(self._speed - 1, 0)
        elif text and text in "123456":
            window.scale = int(text)
