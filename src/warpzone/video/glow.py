"""What counts in a decision, as a glow over the game."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from warpzone.agents.playback import Moment
from warpzone.agents.saliency import SCREEN_HEIGHT, SCREEN_WIDTH
from warpzone.video.film import Frame, colours

FADE = 0.98
"""What remains of the brightest score after each decision, as the measure of those that follow:
after some two seconds half. Without it one great moment would leave the rest of a film dark."""
DIM = 0.6
"""Of the picture's brightness, where nothing counts."""
COVER = 0.6
"""How much of the picture is covered where most counts."""
_RAMP = np.array([[255, 0, 128], [255, 60, 40], [255, 220, 40]], np.float32)
"""From what counts little to what counts most."""


class Glow:
    """Draws the heat of one film: bright where most counts, the picture dimmed elsewhere.

    Brightness is the square root of the score, a distance, beside the largest of the last seconds.
    """

    def __init__(self, palette: NDArray[np.uint8]) -> None:
        """`palette`: uint8[64, 3] RGB."""
        self._palette = palette
        self._largest = 0.0

    def frames(self, moment: Moment) -> Iterator[Frame]:
        """Yields the frames of a moment: uint8[240, 256] as they are or, if it has heat, with it as
        RGB uint8[240, 256, 3]."""
        heat = moment.heat
        if heat is None:
            yield from moment.frames
            return
        distances = np.sqrt(heat.scores)
        self._largest = max(self._largest * FADE, float(distances.max()))
        if self._largest > 0:
            distances = distances / self._largest
        size = (heat.width, heat.height)
        way = Image.Resampling.BILINEAR if heat.smooth else Image.Resampling.NEAREST
        glow = np.asarray(Image.fromarray(distances.astype(np.float32)).resize(size, way))
        for number, frame in enumerate(moment.frames):
            shift = round(heat.drift * number / len(moment.frames))
            strength = _placed(glow, heat.left - shift, heat.top)
            yield _lit(colours(frame, self._palette), strength)


def _placed(glow: NDArray[np.float32], left: int, top: int) -> NDArray[np.float32]:
    """Returns what of a rectangle is on the screen: float32[240, 256]."""
    screen = np.zeros((SCREEN_HEIGHT, SCREEN_WIDTH), np.float32)
    height, width = glow.shape
    up, down = max(top, 0), min(top + height, SCREEN_HEIGHT)
    start, end = max(left, 0), min(left + width, SCREEN_WIDTH)
    if up < down and start < end:
        screen[up:down, start:end] = glow[up - top : down - top, start - left : end - left]
    return screen


def _lit(picture: Frame, strength: NDArray[np.float32]) -> Frame:
    """Returns an RGB picture uint8[h, w, 3] under a glow of float32[h, w], 0 to 1."""
    steps = strength * (len(_RAMP) - 1)
    low = np.minimum(steps.astype(np.int64), len(_RAMP) - 2)
    part = (steps - low)[..., None]
    colour = _RAMP[low] * (1 - part) + _RAMP[low + 1] * part
    shade = DIM + (1 - DIM) * np.minimum(2 * strength, 1.0)[..., None]
    cover = COVER * strength[..., None]
    lit: Frame = (picture * shade * (1 - cover) + colour * cover).astype(np.uint8)
    return lit
