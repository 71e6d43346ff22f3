"""The colours of nes-py's pictures, which are not those of `warpzone.nes.console.PALETTE`.

Measured on nes-py 8.2.1, with a program that shows one colour of the picture unit after the other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_COLOURS = """
    7c7c7c 0000fc 0000bc 4428bc 940084 a80020 a81000 881400
    503000 007800 006800 005800 004058 000000 000000 000000
    bcbcbc 0078f8 0058f8 6844fc d800cc e40058 f83800 e45c10
    ac7c00 00b800 00a800 00a844 008888 000000 000000 000000
    f8f8f8 3cbcfc 6888fc 9878f8 f878f8 f85898 f87858 fca044
    f8b800 b8f818 58d854 58f898 00e8d8 787878 000000 000000
    fcfcfc a4e4fc b8b8f8 d8b8f8 f8b8f8 f8a4c0 f0d0b0 fce0a8
    f8d878 d8f878 b8f8b8 b8f8d8 00fcfc f8d8f8 000000 000000
"""

PALETTE: NDArray[np.uint8] = np.frombuffer(bytes.fromhex(_COLOURS), np.uint8).reshape(64, 3)
"""RGB of the 64 colours: uint8[64, 3]."""

_WEIGHTS = np.array([77, 150, 29])
"""Of red, green and blue, in 256ths: https://en.wikipedia.org/wiki/Luma_(video)."""

GREYS: NDArray[np.uint8] = (PALETTE @ _WEIGHTS >> 8).astype(np.uint8)
"""How bright the 64 colours are: uint8[64]."""
