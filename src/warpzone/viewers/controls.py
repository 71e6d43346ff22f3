"""What a person may ask for while something plays: pause, speed, size, level."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warpzone.viewers.window import Window

if TYPE_CHECKING:
    from pygame.event import Event

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
HELP = (
    "space\tpause",
    ".\tone frame",
    "+ -\tfaster, slower",
    "1 - 6, F\tsize, full screen",
    "R\trestart",
    "N P\tnext, previous level",
    "H\tthis help",
    "Esc\tquit",
)


@dataclass(slots=True)
class Controls:
    """Holds what the keys of the window, or of the terminal, have set.

    Attributes:
        paused: whether the game stands still.
        one_frame: show one frame although paused, then stand still again.
        one_back: go back one frame, and stand still (replays only).
        help: whether the help is over the picture.
        restart: begin a new episode.
        level_change: +1 or -1 for the next or previous level.
        switch_policy: change between sampling and argmax (watching only).
        switch_saliency: show, or no longer, what decisions depend on (watching only).
        quit: close the window, or leave the terminal.
    """

    paused: bool = False
    one_frame: bool = False
    one_back: bool = False
    help: bool = False
    restart: bool = False
    level_change: int = 0
    switch_policy: bool = False
    switch_saliency: bool = False
    quit: bool = False
    _speed: int = SPEEDS.index(1.0)

    @property
    def speed(self) -> float:
        """How many times the console's own speed."""
        return SPEEDS[self._speed]

    @property
    def interrupted(self) -> bool:
        """Whether the episode on the screen is to be left."""
        return self.quit or self.restart or self.level_change != 0

    def take_level_change(self) -> int:
        """Returns the wanted change of level and forgets it, and a wanted restart with it."""
        change, self.level_change, self.restart = self.level_change, 0, False
        return change

    def handle(self, events: Iterable[Event], window: Window) -> None:
        """Does what was pressed in the window."""
        import pygame

        for event in events:
            if event.type == pygame.QUIT:
                self.quit = True
            elif event.type == pygame.KEYDOWN:
                self._press(event.key, event.unicode, window)

    def _press(self, key: int, text: str, window: Window) -> None:
        import pygame

        names = {
            pygame.K_PAGEDOWN: "n",
            pygame.K_PAGEUP: "p",
            pygame.K_F1: "h",
            pygame.K_KP_PLUS: "+",
            pygame.K_KP_MINUS: "-",
        }
        if key == pygame.K_ESCAPE:
            self.quit = True
        elif key in (pygame.K_f, pygame.K_F11):
            window.full_screen = not window.full_screen
        elif text and text in "123456":
            window.scale = int(text)
        elif key in names:
            self.type(names[key])
        # By what was typed, not by key: where + is differs between keyboards.
        elif text and text in "+=-":
            self.type(text)
        elif key < 128:
            self.type(chr(key))

    def type(self, key: str) -> None:
        """Does what a key is for in the window and in the terminal; other keys do nothing.

        Args:
            key: one character, letters in lower case.
        """
        match key:
            case " ":
                self.paused = not self.paused
            case ".":
                self.paused = self.one_frame = True
            case ",":
                self.one_back = True
            case "r":
                self.restart = True
            case "n":
                self.level_change = 1
            case "p":
                self.level_change = -1
            case "a":
                self.switch_policy = True
            case "s":
                self.switch_saliency = True
            case "h":
                self.help = not self.help
            case "+" | "=":
                self._speed = min(self._speed + 1, len(SPEEDS) - 1)
            case "-":
                self._speed = max(self._speed - 1, 0)
