"""Plays a cartridge on one emulator for some seconds; `cartridges.py` runs it.

    python cartridge_loops.py cynes --rom GAME.nes --seconds 3

Runs under the Python that has the emulator, so it imports nothing of this project but `warpzone`
itself, and that only to measure it. Buttons are the same for all: Start now and then at first, so
that menus are left, then at random and mostly to the right, held for eight frames. Nobody looks at
the pictures, but for the emulators that make them anyway. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from importlib import import_module, metadata
from typing import Any

HELD, MENUS, DRAWN = 8, 75, 4096
START, RIGHT = 8, 128
Hold = Callable[[int], None]
"""Holds buttons (A=1 B=2 select=4 start=8 up=16 down=32 left=64 right=128) for `HELD` frames."""


def buttons() -> list[int]:
    """What is held, eight frames each."""
    drawn = random.Random(0)
    menus = [START if i % 4 == 0 else 0 for i in range(MENUS)]
    rest = [
        drawn.choice((RIGHT, RIGHT, RIGHT, 64, 32, 16, 0)) | drawn.randrange(4)
        for _ in range(DRAWN)
    ]
    return menus + rest


def warpzone_compiled(rom: str) -> Hold:
    return _warpzone(rom, "compiled")


def warpzone_interpreter(rom: str) -> Hold:
    return _warpzone(rom, "interpreter")


def _warpzone(rom: str, engine: str) -> Hold:
    console = import_module("warpzone").Console(rom, engine=engine)
    return lambda held: console.step(held, HELD)


def cynes(rom: str) -> Hold:
    nes = import_module("cynes").NES(rom)

    def hold(held: int) -> None:
        nes.controller = int(f"{held:08b}"[::-1], 2)  # its bits are in the opposite order
        nes.step(HELD)

    return hold


def nes_py(rom: str) -> Hold:
    env: Any = import_module("nes_py").NESEnv(rom)
    env.reset()

    def hold(held: int) -> None:
        for _ in range(HELD):
            env.step(held)

    return hold


def stable_retro(rom: str) -> Hold:
    """FCEUmm by itself: no environment around it, and no picture is fetched."""
    retro = import_module("stable_retro")
    emulator = retro.RetroEmulator(rom)
    numpy = import_module("numpy")
    order = ("B", None, "SELECT", "START", "UP", "DOWN", "LEFT", "RIGHT", "A")
    bits = {"A": 1, "B": 2, "SELECT": 4, "START": 8, "UP": 16, "DOWN": 32, "LEFT": 64, "RIGHT": 128}

    def hold(held: int) -> None:
        mask = [name is not None and held & bits[name] != 0 for name in order]
        emulator.set_button_mask(numpy.array(mask, numpy.uint8), 0)
        for _ in range(HELD):
            emulator.step()

    return hold


LOOPS: dict[str, tuple[Callable[[str], Hold], str]] = {
    "warpzone_compiled": (warpzone_compiled, "warpzone"),
    "warpzone_interpreter": (warpzone_interpreter, "warpzone"),
    "cynes": (cynes, "cynes"),
    "nes_py": (nes_py, "nes-py"),
    "stable_retro": (stable_retro, "stable-retro"),
}
"""By name: what makes the loop, and the package whose version is told."""


def measure(hold: Hold, seconds: float) -> float:
    """Frames per second, without the way out of the menus."""
    held = buttons()
    for value in held[:MENUS]:
        hold(value)
    frames, begin, at = 0, time.perf_counter(), MENUS
    while (passed := time.perf_counter() - begin) < seconds:
        hold(held[at])
        frames += HELD
        at = at + 1 if at + 1 < len(held) else MENUS
    return frames / passed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("loop", choices=LOOPS)
    parser.add_argument("--rom", required=True)
    parser.add_argument("--seconds", type=float, default=3.0)
    given = parser.parse_args()
    make, package = LOOPS[given.loop]
    rate = measure(make(given.rom), given.seconds)
    print(json.dumps({"frames_per_second": rate, "version": metadata.version(package)}), flush=True)


if __name__ == "__main__":
    main()
