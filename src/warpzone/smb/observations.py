"""What agents see, of any console: the map of tiles, the grey picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import warpzone._native as _native
from warpzone.nes.console import Console


def tiles(console: Console) -> NDArray[np.uint8]:
    """Returns what an agent with the observation `tiles` sees now.

    Args:
        console: with Super Mario Bros. in it.

    Returns:
        uint8[8, 13, 16], planes `_native.TILE_PLANES`.
    """
    return _native.tiles(console.native)


def grey(
    console: Console,
    size: tuple[int, int] = (84, 84),
    *,
    crop_status_bar: bool = False,
    before: bytes | None = None,
) -> NDArray[np.uint8]:
    """Returns the last frame as an agent with the observation `pixels` sees it.

    Args:
        console: whose picture it is.
        size: height and width, at most (240, 256).
        crop_status_bar: without the lines of score and time.
        before: what `Console.save` gave after the frame before: each pixel is the brighter of both.

    Returns:
        uint8[height, width].

    Raises:
        ValueError: an impossible size, or `before` is no snapshot of this cartridge.
    """
    return _native.grey(console.native, *size, crop_status_bar, before)
