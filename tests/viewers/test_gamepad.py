"""Keyboard and gamepad to NES buttons."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pygame
import pytest
from pygame._sdl2 import controller

from warpzone.viewers import gamepad
from warpzone.viewers.gamepad import DOWN, LEFT, RIGHT, SELECT, START, UP, A, B, pressed_buttons
from warpzone.viewers.window import Window


class Pad:
    """A gamepad with a stick, a hat and ten buttons."""

    def __init__(
        self,
        buttons: tuple[int, ...] = (),
        stick: tuple[float, float] = (0, 0),
        hat: tuple[int, int] = (0, 0),
    ) -> None:
        self._buttons, self._stick, self._hat = buttons, stick, hat

    def get_numbuttons(self) -> int:
        return 10

    def get_button(self, number: int) -> bool:
        return number in self._buttons

    def get_numaxes(self) -> int:
        return 2

    def get_axis(self, number: int) -> float:
        return self._stick[number]

    def get_numhats(self) -> int:
        return 1

    def get_hat(self, number: int) -> tuple[int, int]:
        return self._hat


class KnownPad:
    """A gamepad that SDL has names for."""

    def __init__(self, *buttons: str, stick: tuple[int, int] = (0, 0)) -> None:
        self._buttons = {getattr(pygame, f"CONTROLLER_BUTTON_{name}") for name in buttons}
        axes = pygame.CONTROLLER_AXIS_LEFTX, pygame.CONTROLLER_AXIS_LEFTY
        self._stick = dict(zip(axes, stick, strict=True))

    def get_button(self, number: int) -> bool:
        return number in self._buttons

    def get_axis(self, number: int) -> int:
        return self._stick[number]


@pytest.fixture(autouse=True)
def dummy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.init()
    pygame.display.set_mode((8, 8))
    yield
    pygame.quit()


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Any:
    def hold_keys(*names: str) -> None:
        held = {pygame.key.key_code(name) for name in names}

        class Keys:
            def __getitem__(self, key: int) -> bool:
                return key in held

        monkeypatch.setattr(pygame.key, "get_pressed", Keys)

    return hold_keys


@pytest.mark.parametrize(
    ("keys", "buttons"),
    [
        ((), 0),
        (("right", "x"), RIGHT | A),
        (("d", "j", "k"), RIGHT | A | B),
        (("left", "z"), LEFT | B),
        (("return",), START),
        (("left", "right", "x"), A),
        (("up", "down"), 0),
    ],
)
def test_keys(hold: Any, keys: tuple[str, ...], buttons: int) -> None:
    hold(*keys)
    assert pressed_buttons([]) == buttons


def test_every_key_name_is_known_to_pygame() -> None:
    assert all(pygame.key.key_code(name) for name in gamepad.KEY_NAMES)


@pytest.mark.parametrize(
    ("pad", "buttons"),
    [
        (Pad(), 0),
        (Pad(buttons=(0, 1)), A | B),
        (Pad(stick=(0.9, 0.1)), RIGHT),
        (Pad(stick=(-0.6, 0.8)), LEFT | DOWN),
        (Pad(stick=(0.4, -0.4)), 0),
        (Pad(hat=(1, -1)), RIGHT | DOWN),
        (Pad(hat=(0, 1)), UP),
        (Pad(stick=(-1, 0), hat=(1, 0)), 0),
    ],
)
def test_pads(hold: Any, pad: Any, buttons: int) -> None:
    hold()
    assert pressed_buttons([pad]) == buttons


@pytest.mark.parametrize(
    ("pad", "buttons"),
    [
        (KnownPad(), 0),
        (KnownPad("A", "B"), A | B),
        (KnownPad("Y", "X"), A | B),
        (KnownPad("START", "DPAD_UP"), START | UP),
        (KnownPad("BACK", "DPAD_DOWN", "DPAD_LEFT"), SELECT | DOWN | LEFT),
        (KnownPad(stick=(32767, -32768)), RIGHT | UP),
        (KnownPad(stick=(8000, -8000)), 0),
        (KnownPad("DPAD_RIGHT", stick=(-32768, 0)), 0),
    ],
)
def test_pads_that_sdl_knows(
    hold: Any, monkeypatch: pytest.MonkeyPatch, pad: Any, buttons: int
) -> None:
    monkeypatch.setattr(controller, "Controller", KnownPad)
    hold()
    assert pressed_buttons([pad]) == buttons


def test_gamepads_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    connected: list[str] = []
    opened: list[str] = []
    for where, kind in ((controller, "Controller"), (pygame.joystick, "Joystick")):
        monkeypatch.setattr(
            where, kind, lambda n, kind=kind: opened.append(f"{kind} {connected[n]}")
        )
    monkeypatch.setattr(pygame.joystick, "get_count", lambda: len(connected))
    monkeypatch.setattr(controller, "is_controller", lambda n: connected[n] == "known")
    palette = np.zeros((64, 3), np.uint8)
    with Window("test", palette, scale=1, instead="") as window:
        assert window.gamepads() == []
        connected += ["strange", "known"]
        window.events()
        pygame.event.post(pygame.event.Event(pygame.JOYDEVICEADDED, device_index=0, guid=""))
        window.events()
        assert len(window.gamepads()) == len(window.gamepads()) == 2
        assert opened == ["Joystick strange", "Controller known"]
        connected.pop()
        pygame.event.post(pygame.event.Event(pygame.JOYDEVICEREMOVED, instance_id=1))
        window.events()
        assert len(window.gamepads()) == 1


def test_keyboard_and_pad_together(hold: Any) -> None:
    hold("right")
    pad: Any = Pad(buttons=(0,))
    assert pressed_buttons([pad]) == RIGHT | A
