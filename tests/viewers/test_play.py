"""A person playing the real game, in a window of SDL's dummy driver."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pygame
import pytest

from warpzone.nes.console import Console
from warpzone.smb.starts import start_level
from warpzone.viewers.gamepad import RIGHT
from warpzone.viewers.pacer import Pacer
from warpzone.viewers.play import play
from warpzone.viewers.window import Window

X_PAGE, X_PIXEL = 0x6D, 0x86


@pytest.fixture(autouse=True)
def dummy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(Pacer, "wait", lambda pacer, speed: True)
    yield
    pygame.quit()


def mario_x(console: Console) -> int:
    return int(console.ram[X_PAGE]) * 256 + int(console.ram[X_PIXEL])


def test_buttons_reach_the_game_every_frame() -> None:
    console, twin = Console(), Console()
    assert play(console, ["1-1"], max_frames=90, read_buttons=lambda pads: RIGHT) == 90
    start_level(twin, "1-1")
    start = mario_x(twin)
    twin.step(RIGHT, frames=90)
    assert console.save() == twin.save()
    assert mario_x(console) > start + 50


def test_keys_pause_and_change_the_level(monkeypatch: pytest.MonkeyPatch) -> None:
    events = {3: " ", 6: ".", 10: " ", 15: "n"}
    shown: list[str] = []
    show = Window.show

    def spy(window: Window, frame: np.ndarray, *, status: str, overlay: tuple[str, ...]) -> None:
        show(window, frame, status=status, overlay=overlay)
        shown.append(status.split()[0] + (" paused" if "paused" in status else ""))
        key = events.get(len(shown))
        if key:
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=ord(key), unicode=key))

    monkeypatch.setattr(Window, "show", spy)
    console = Console()
    frames = play(console, ["1-1", "1-2"], max_frames=12, read_buttons=lambda pads: 0)
    assert frames == 12
    assert shown[3:6] == ["1-1 paused"] * 3
    assert shown[6] == "1-1"
    assert shown[7:10] == ["1-1 paused"] * 3
    assert shown[10:15] == ["1-1"] * 5
    assert set(shown[15:]) == {"1-2"}
    twin = Console()
    start_level(twin, "1-2")
    twin.step(0, frames=len(shown[15:]))
    assert console.save() == twin.save()


def test_escape_closes() -> None:
    def press_escape(pads: object) -> int:
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE, unicode="\x1b"))
        return 0

    assert play(Console(), ["1-1"], read_buttons=press_escape) == 1
