"""What observations look like, as Gymnasium's spaces."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

import warpzone._native as _native
from warpzone.smb.config import EnvConfig


def observation_space(config: EnvConfig) -> gymnasium.Space[Any]:
    """Returns the space of one game's observations.

    `pixels`: uint8[frame_stack, height, width]. `rgb`: uint8[240, 256, 3]. `ram`: uint8[2048].
    `tiles`: a dict of `tiles`, uint8[8, 13, 16], and `scalars`, float32[148], whose bounds are
    those of the numbers that can occur. They are not 0 to 255 everywhere, by which
    Stable-Baselines3 takes an array for a picture: a map of tiles is none, and `MultiInputPolicy`
    makes it flat.
    """
    box = gymnasium.spaces.Box
    if config.observation == "tiles":
        low, high = _native.scalar_bounds()
        highest = _native.tile_bounds()
        return gymnasium.spaces.Dict(
            scalars=box(low, high, dtype=np.float32),
            tiles=box(np.zeros_like(highest), highest, dtype=np.uint8),
        )
    shapes = {
        "pixels": (config.frame_stack, *config.size),
        "rgb": (240, 256, 3),
        "ram": (2048,),
    }
    return box(0, 255, shapes[config.observation], np.uint8)
