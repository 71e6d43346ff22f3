"""What a person presses, as the buttons of an NES controller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from pygame._sdl2.controller import Controller
    from pygame.joystick import JoystickType

Gamepad: TypeAlias = "Controller | JoystickType"

A, B, SELECT, START, UP, DOWN, LEFT, RIGHT = (1 << bit for bit in range(8))

KEY_NAMES: Mapping[str, int] = {
    "x": A,
    "k": A,
    "z": B,
    "y": B,  # where Z is on German keyboards
    "j": B,
    "right shift": SELECT,
    "return": START,
    "up": UP,
    "w": UP,
    "down": DOWN,
    "s": DOWN,
    "left": LEFT,
    "a": LEFT,
    "right": RIGHT,
    "d": RIGHT,
}
"""pygame's name of a key → button."""

CONTROLLER_BUTTONS: Mapping[str, int] = {
    "A": A,
    "Y": A,
    "B": B,
    "X": B,
    "BACK": SELECT,
    "START": START,
    "DPAD_UP": UP,
    "DPAD_DOWN": DOWN,
    "DPAD_LEFT": LEFT,
    "DPAD_RIGHT": RIGHT,
}
"""Button of a gamepad that SDL knows, by SDL's name for it → NES button."""

PAD_BUTTONS: Mapping[int, int] = {0: A, 1: B, 2: B, 3: A, 6: SELECT, 7: START, 8: SELECT, 9: START}
"""Number of another gamepad's button → NES button, for two usual layouts (XInput, DirectInput)."""

STICK = 0.5
"""How far the stick must be pushed, of 1."""

KEYBOARD_HELP = (
    "arrows, WASD\twalk, duck",
    "X or K\tjump (gamepad: A)",
    "Z or J\trun, fire (gamepad: B)",
    "Enter\tstart",
)


def open_gamepads() -> list[Gamepad]:
    """Returns all that are connected: with named buttons where SDL knows them, else numbers."""
    import pygame
    from pygame._sdl2 import controller

    pygame.joystick.init()
    controller.init()
    return [
        controller.Controller(number)
        if controller.is_controller(number)
        else pygame.joystick.Joystick(number)
        for number in range(pygame.joystick.get_count())
    ]


def without_opposites(buttons: int) -> int:
    """Returns `buttons` without left and right, or up and down, where both are held.

    A real controller cannot press both, and the game goes wrong when it sees them.
    """
    for pair in (LEFT | RIGHT, UP | DOWN):
        if buttons & pair == pair:
            buttons &= ~pair
    return buttons


def stick_buttons(x: float, y: float) -> int:
    """Returns the directions of a stick or a hat; x to the right and y downwards, -1 to 1."""
    buttons = 0
    if abs(x) >= STICK:
        buttons |= RIGHT if x > 0 else LEFT
    if abs(y) >= STICK:
        buttons |= DOWN if y > 0 else UP
    return buttons


def _of_joystick(pad: JoystickType) -> int:
    buttons = 0
    for number, button in PAD_BUTTONS.items():
        if number < pad.get_numbuttons() and pad.get_button(number):
            buttons |= button
    if pad.get_numaxes() >= 2:
        buttons |= stick_buttons(pad.get_axis(0), pad.get_axis(1))
    for hat in range(pad.get_numhats()):
        x, y = pad.get_hat(hat)
        buttons |= stick_buttons(x, -y)
    return buttons


def _of_controller(pad: Controller) -> int:
    import pygame

    buttons = 0
    for name, button in CONTROLLER_BUTTONS.items():
        if pad.get_button(getattr(pygame, f"CONTROLLER_BUTTON_{name}")):
            buttons |= button
    x, y = (
        pad.get_axis(axis) / 32768
        for axis in (pygame.CONTROLLER_AXIS_LEFTX, pygame.CONTROLLER_AXIS_LEFTY)
    )
    return buttons | stick_buttons(x, y)


def pressed_buttons(pads: Sequence[Gamepad]) -> int:
    """Returns everything held now on the keyboard and on all gamepads, as one NES button mask."""
    import pygame
    from pygame._sdl2 import controller

    buttons = 0
    keys = pygame.key.get_pressed()
    for name, button in KEY_NAMES.items():
        if keys[pygame.key.key_code(name)]:
            buttons |= button
    for pad in pads:
        if isinstance(pad, controller.Controller):
            buttons |= _of_controller(pad)
        else:
            buttons |= _of_joystick(pad)
    return without_opposites(buttons)
