"""What is seen of a described game: the space, and the observation that is made of variables."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from warpzone.console_text import shown
from warpzone.errors import ConfigError
from warpzone.nes.game import Game
from warpzone.nes.game_config import GameConfig
from warpzone.nes.variables import Values


def observation_space(
    game: Game, config: GameConfig, first: tuple[Values, Values]
) -> gymnasium.Space[Any]:
    """Returns the space of one game's observations; `first` are the variables of one game.

    `pixels`: uint8[frame_stack, height, width]. `rgb`: uint8[240, 256, 3]. `ram`: uint8[2048].
    `variables`: float32[k].

    Raises:
        ConfigError: the game's `observe` does not return what it is to.
    """
    box = gymnasium.spaces.Box
    if config.observation == "variables":
        shape = _seen(game, *first).shape
        if len(shape) != 2 or shape[0] != 1:
            raise ConfigError(
                f"{game.name}: observe returned shape {shape} for one game; it is to be (1, k)"
            )
        return box(-np.inf, np.inf, shape[1:], np.float32)
    shapes = {
        "pixels": (config.frame_stack, *config.size),
        "rgb": (240, 256, 3),
        "ram": (2048,),
    }
    return box(0, 255, shapes[config.observation], np.uint8)


def observed(game: Game, now: Values, before: Values, shape: tuple[int, ...]) -> NDArray[Any]:
    """Returns what is seen of n games, float32[n, *shape], where variables are.

    Raises:
        ConfigError: the game's `observe` does not return that.
    """
    found = _seen(game, now, before)
    expected = (len(now["steps"]), *shape)
    if found.shape != expected:
        raise ConfigError(
            f"{game.name}: observe returned shape {found.shape}; it is to be {expected}"
        )
    return found


def _seen(game: Game, now: Values, before: Values) -> NDArray[Any]:
    if game.observe is not None:
        found = game.observe(now, before)
        try:
            return np.asarray(found, np.float32)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"{game.name}: observe returned {shown(found, 60)}: {error}"
            ) from None
    scaled = [now[name] / variable.most for name, variable in game.variables.items()]
    return np.stack(scaled, axis=1).astype(np.float32)
