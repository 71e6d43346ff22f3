"""Plays cartridges on our console and on cynes, frame by frame, and says where their RAM differs.

    python scripts/compare_cartridges.py FRAMES CARTRIDGE.nes...

Buttons are held at random for ten frames each, Start often at first so that menus are left. Work
RAM is compared after every frame, outside the stack page: there the address at which an interrupt
came may be that of the instruction before or behind. Needs `cynes` (an extra of the tests), which
runs mappers 0 to 4 and 7.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cynes
import numpy as np
from numpy.typing import NDArray

from warpzone import Console

MARKER = bytes(range(1, 65))
HELD, MENUS, START = 10, 600, 8
SHOWN = 6


class Peer:
    """A cynes console whose work RAM can be read quickly, out of its snapshots."""

    def __init__(self, path: Path) -> None:
        self._nes = cynes.NES(str(path))
        for i, byte in enumerate(MARKER):
            self._nes[0x0300 + i] = byte
        self._ram_at = self._nes.save().tobytes().index(MARKER) - 0x0300
        for i in range(len(MARKER)):
            self._nes[0x0300 + i] = 0

    def step(self, buttons: int) -> NDArray[np.uint8]:
        """Runs a frame and returns the RAM behind it."""
        self._nes.controller = int(f"{buttons:08b}"[::-1], 2)
        self._nes.step(1)
        state: NDArray[np.uint8] = self._nes.save()
        return state[self._ram_at : self._ram_at + 0x800]


def different(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> list[int]:
    """Addresses outside the stack page at which they differ."""
    at = np.flatnonzero(ours != theirs)
    return [int(i) for i in at if not 0x100 <= i < 0x200]


def compare(path: Path, frames: int) -> str:
    """Plays, and returns a sentence on what was found."""
    peer, console = Peer(path), Console(path)
    theirs = np.zeros(0x800, np.uint8)
    for _ in range(12):
        theirs = peer.step(0)
    # Its first frame ends at once, or not: ours is to come to the same moment.
    for _ in range(15):
        console.step(0)
        if not different(console.ram, theirs):
            break
    random = np.random.default_rng(0)
    held, found = 0, []
    for frame in range(frames):
        if frame % HELD == 0:
            held = int(random.integers(256))
            if frame < MENUS:
                held = START if frame // HELD % 3 == 0 else 0
        theirs = peer.step(held)
        console.step(held)
        at = different(console.ram, theirs)
        if at:
            found.append(f"{frame}: {', '.join(f'${i:04X}' for i in at[:SHOWN])}")
    said = f"{path.name}: {frames} frames, {len(found)} differ"
    return "\n  ".join([said, *found[:SHOWN]])


def main(arguments: list[str] | None = None) -> int:
    """Prints what was found; 2 when there is nothing to compare."""
    given = sys.argv[1:] if arguments is None else arguments
    if len(given) < 2 or not given[0].isdecimal():
        print(__doc__, file=sys.stderr)
        return 2
    for name in given[1:]:
        print(compare(Path(name), int(given[0])), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
