"""Sets of button combinations, named as in gym-super-mario-bros, and one with Down for pipes."""

from __future__ import annotations

from typing import Any

from warpzone.errors import ConfigError
from warpzone.nes.buttons import BUTTONS

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
