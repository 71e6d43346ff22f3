"""Sets of button combinations, named as in gym-super-mario-bros, and one with Down for pipes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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

RIGHT_ONLY: list[list[str]] = [[], ["right"], ["right", "A"], ["right", "B"], ["right", "A", "B"]]
"""5 actions, those of gym-super-mario-bros in its order."""
SIMPLE_MOVEMENT: list[list[str]] = [*RIGHT_ONLY, ["A"], ["left"]]
"""7 actions, those of gym-super-mario-bros in its order."""
COMPLEX_MOVEMENT: list[list[str]] = [
    *SIMPLE_MOVEMENT,
    ["left", "A"],
    ["left", "B"],
    ["left", "A", "B"],
    ["down"],
    ["up"],
]
"""12 actions, those of gym-super-mario-bros in its order."""

ACTION_SETS: dict[str, list[list[str]]] = {
    "right_only": RIGHT_ONLY,
    "simple": SIMPLE_MOVEMENT,
    "complex": COMPLEX_MOVEMENT,
    "down": [*SIMPLE_MOVEMENT, ["left", "A"], ["left", "A", "B"], ["down"], ["right", "down", "B"]],
    "all": [[name for name, bit in BUTTONS.items() if byte & bit] for byte in range(256)],
}
"""RIGHT_ONLY (5), SIMPLE_MOVEMENT (7), COMPLEX_MOVEMENT (12), `down` (11): simple movement with
jumps to the left, Down for pipes, and sliding under things; and `all` (256): each action is the
controller's byte, Start and Select among them."""


def action_set(actions: Any) -> Any:
    """Returns the name in `ACTION_SETS` that is meant by `actions`, upper case or with "_MOVEMENT"
    as gym-super-mario-bros has it; what is no name comes back as it is.

    Raises:
        ConfigError: a name that is not one of a set.
    """
    if not isinstance(actions, str):
        return actions
    name = actions.lower().removesuffix("_movement")
    if name not in ACTION_SETS:
        raise ConfigError(
            f"there is no action set {actions!r}: there are {', '.join(ACTION_SETS)}, "
            "or give a list of lists of buttons"
        )
    return name


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


_KEYS = {"A": "o", "B": "p", "up": "w", "down": "s", "left": "a", "right": "d"}
_KEYS |= {"select": " ", "start": "\r"}


def keys_to_action(actions: Sequence[Sequence[str]]) -> dict[tuple[int, ...], int]:
    """Returns which action each combination of keys is, as `gymnasium.utils.play` wants it.

    The keys are nes-py's: W A S D for the directions, O for A, P for B, space for Select and Enter
    for Start. A combination is a rising tuple of key codes.
    """
    found: dict[tuple[int, ...], int] = {}
    for index, names in enumerate(actions):
        keys = tuple(sorted({ord(_KEYS[name]) for name in names if name != "NOOP"}))
        if keys:
            found.setdefault(keys, index)
    return found
