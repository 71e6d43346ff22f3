"""Sets of button combinations, named as in gym-super-mario-bros, and one with Down for pipes."""

from __future__ import annotations

from collections.abc import Sequence

from warpzone.errors import ConfigError

BUTTONS: dict[str, int] = {
    "A": 1,
    "B": 2,
    "select": 4,
    "start": 8,
    "up": 16,
    "down": 32,
    "left": 64,
    "right": 128,
}
"""Bits of the controller's buttons: A jumps, B runs and throws."""

_RIGHT_ONLY = [[], ["right"], ["right", "A"], ["right", "B"], ["right", "A", "B"]]
_SIMPLE = [*_RIGHT_ONLY, ["A"], ["left"]]
_COMPLEX = [*_SIMPLE, ["left", "A"], ["left", "B"], ["left", "A", "B"], ["down"], ["up"]]
_DOWN = [*_SIMPLE, ["left", "A"], ["left", "A", "B"], ["down"], ["right", "down", "B"]]

ACTION_SETS: dict[str, list[list[str]]] = {
    "right_only": _RIGHT_ONLY,
    "simple": _SIMPLE,
    "complex": _COMPLEX,
    "down": _DOWN,
}
"""RIGHT_ONLY (5), SIMPLE_MOVEMENT (7), COMPLEX_MOVEMENT (12), and `down` (11): simple movement with
jumps to the left, Down for pipes, and sliding under things."""


def buttons_of(names: Sequence[str]) -> int:
    """The controller's byte for buttons held together. "NOOP" stands for none.

    Raises:
        ConfigError: a name that is not a button.
    """
    byte = 0
    for name in names:
        if name == "NOOP":
            continue
        if name not in BUTTONS:
            raise ConfigError(f"there is no button {name!r}: buttons are {', '.join(BUTTONS)}")
        byte |= BUTTONS[name]
    return byte


def action_names(actions: Sequence[Sequence[str]]) -> list[str]:
    """What each action does, for people: "right + A", "nothing"."""
    return [" + ".join(n for n in names if n != "NOOP") or "nothing" for names in actions]
