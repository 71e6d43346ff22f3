"""Settings that environments of all games have: what they are, and what else they may be called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeAlias

from gymnasium.vector import AutoresetMode

Autoreset = Literal["same_step", "next_step", "disabled"]

MOST_STEPS = 2**31 - 1
"""Agent steps of an episode, more than a year of play."""
MOST_ACTIONS = 256
"""As many as there are combinations of eight buttons."""
MOST_NOOPS = 36_000
"""Idle frames at the start of an episode, ten minutes, which the native core allows."""

AUTORESET_MODES: dict[Autoreset, AutoresetMode] = {
    "same_step": AutoresetMode.SAME_STEP,
    "next_step": AutoresetMode.NEXT_STEP,
    "disabled": AutoresetMode.DISABLED,
}

Actions: TypeAlias = str | Sequence[Sequence[str]]
"""A set of actions by name, where the game has such, or a list of lists of buttons."""


class Seen(Protocol):
    """What settings of all games say of how they are run and seen, see `GameConfig`."""

    @property
    def observation(self) -> str: ...
    @property
    def autoreset(self) -> Autoreset: ...
    @property
    def frame_skip(self) -> int: ...
    @property
    def frame_stack(self) -> int: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def crop_status_bar(self) -> bool: ...
    @property
    def max_pool(self) -> bool: ...
    @property
    def consecutive(self) -> bool: ...


def autoreset_named(value: Any) -> Any:
    """Returns the mode meant by any of its names: AutoresetMode.SAME_STEP, "SameStep", "SAME_STEP",
    "same_step"."""
    for name, mode in AUTORESET_MODES.items():
        if value in (mode, mode.value) or (isinstance(value, str) and value.lower() == name):
            return name
    return value


def size_of(value: Any) -> Any:
    """Returns height and width: one number stands for a square."""
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value
