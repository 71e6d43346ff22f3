"""Which actions may be chosen, by a function of a user's own, for `info["action_mask"]`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from warpzone.errors import ConfigError
from warpzone.own_code import described, imported

ActionMasks: TypeAlias = Callable[[dict[str, NDArray[Any]]], NDArray[np.bool_]]
"""Says which actions may be chosen: called with what `info` holds as arrays over the N games, it
returns bool[N, actions], at least one of each game.

    def no_way_back(info):
        masks = np.ones((len(info["x"]), 7), bool)
        masks[info["x"] < 100, 6] = False
        return masks
"""

ACTION_MASK = "action_mask"
"""In `info`: int8[actions] of one game, as `Discrete.sample(mask)` takes it; of many [N, actions].
"""


def action_masks_of(given: str | ActionMasks | None) -> ActionMasks | None:
    """Returns the function that is meant: by itself, or named as `module:function`.

    Raises:
        ConfigError: there is none of that name, or it is no function.
    """
    found = imported(given, "action_masks") if isinstance(given, str) else given
    if found is not None and not callable(found):
        raise ConfigError(f"action_masks {given!r} is no function of info: {found!r}")
    masks: ActionMasks | None = found
    return masks


def checked_masks(
    function: ActionMasks, info: dict[str, NDArray[Any]], games: int, actions: int
) -> NDArray[np.bool_]:
    """Returns what a function says of the games as they stand, bool[games, actions].

    Raises:
        ConfigError: it fails, returns something else, or leaves a game no action.
    """
    name = getattr(function, "__name__", type(function).__name__)
    try:
        masks = np.asarray(function(info))
    except Exception as error:
        known = f". It is given {', '.join(info)}" if isinstance(error, KeyError) else ""
        raise ConfigError(f"action_masks {name} failed: {described(error)}{known}") from error
    wrong = None
    if masks.shape != (games, actions) or masks.dtype != np.bool_:
        wrong = f"{masks.dtype}{list(masks.shape)}"
    elif not masks.any(1).all():
        wrong = f"none for game {int(np.flatnonzero(~masks.any(1))[0])}"
    if wrong is not None:
        raise ConfigError(
            f"action_masks must return bool[{games}, {actions}] with at least one action for each "
            f"game, and {name} returned {wrong}"
        )
    return masks
