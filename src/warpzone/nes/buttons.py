"""The controller's buttons by name."""

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
"""Bits of the controller's byte."""


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
