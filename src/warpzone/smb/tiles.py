"""The map of tiles that an agent with the observation `tiles` sees, of any console."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from warpzone.nes.console import Console


def tiles(console: Console) -> NDArray[np.uint8]:
    """Returns what an agent with the observation `tiles` sees now.

    Args:
        console: with Super Mario Bros. in it.

    Returns:
        uint8[8, 13, 16], planes `_native.TILE_PLANES`.
    """
    return console.native.tiles()
