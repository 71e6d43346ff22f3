"""Plays a cartridge on one emulator for some seconds; `cartridges.py` runs it.

    python cartridge_loops.py cynes --rom GAME.nes --seconds 3

Runs under the Python that has the emulator, so it imports nothing of this project but `warpzone`
itself, and that only to measure it. Buttons are the same for all: Start now and then at first, so
that menus are left, then at random and mostly to the right, held for eight frames. Nobody looks at
the pictures, but for the emulators that make them anyway, and where a loop's name ends in "pixels":
there each fourth frame gives an observation, the last four pictures in grey, uint8[4, 84, 84]. The
last line is one JSON object.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import time
from collections.abc import Callable
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

HELD, MENUS, DRAWN = 8, 75, 4096
GAMES, SKIP, STACK, SIZE = 64, 4, 4, 84
START, RIGHT = 8, 128
QUICKERNES = "WARPZONE_QUICKERNES"
"""The environment variable that says where QuickerNES is."""
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


def warpzone_pixels(rom: str) -> Hold:
    """Games of the description that comes along, through its vector environment, on one thread.
    Actions are drawn for each game."""
    numpy: Any = import_module("numpy")
    warpzone_nes: Any = import_module("warpzone.nes")
    game = import_module("warpzone.nes.game")
    import_module("warpzone.games")
    contents = import_module("warpzone.nes.cartridge").open_rom(rom).contents_sha1
    known = [game.game_named(name) for name in game.game_names()]
    found = [one for one in known if contents in one.contents]
    if not found:
        raise SystemExit("no description of this cartridge comes along")
    envs = warpzone_nes.make_vec(
        rom, found[0], GAMES, threads=1, seed=0, engine="compiled",
        frame_skip=SKIP, frame_stack=STACK, size=SIZE,
    )  # fmt: skip
    envs.reset(seed=0)
    actions = numpy.random.default_rng(0).integers(len(found[0].actions), size=(DRAWN, GAMES))
    at = 0

    def hold(held: int) -> None:
        nonlocal at
        for _ in range(HELD // SKIP):
            envs.step(actions[at])
        at = (at + 1) % DRAWN

    return hold


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


def _mask(held: int) -> list[bool]:
    """Buttons in the order in which stable-retro has them."""
    order = ("B", None, "SELECT", "START", "UP", "DOWN", "LEFT", "RIGHT", "A")
    bits = {"A": 1, "B": 2, "SELECT": 4, "START": 8, "UP": 16, "DOWN": 32, "LEFT": 64, "RIGHT": 128}
    return [name is not None and held & bits[name] != 0 for name in order]


def stable_retro(rom: str) -> Hold:
    """FCEUmm by itself: no environment around it, and no picture is fetched."""
    retro = import_module("stable_retro")
    emulator = retro.RetroEmulator(rom)
    numpy = import_module("numpy")

    def hold(held: int) -> None:
        emulator.set_button_mask(numpy.array(_mask(held), numpy.uint8), 0)
        for _ in range(HELD):
            emulator.step()

    return hold


def quickernes_paged(rom: str) -> Hold:
    return _quickernes(rom, flat=False)


def quickernes_flat(rom: str) -> Hold:
    return _quickernes(rom, flat=True)


def _quickernes(rom: str, flat: bool) -> Hold:
    """The library that `quickernes.cpp` says how to make."""
    library = os.environ.get(QUICKERNES)
    if not library:
        raise SystemExit(f"{QUICKERNES} does not name the library of quickernes.cpp")
    core = ctypes.CDLL(library)
    core.quickernes_open.restype = ctypes.c_void_p
    core.quickernes_open.argtypes = (ctypes.c_char_p, ctypes.c_uint32, ctypes.c_int)
    core.quickernes_step.argtypes = (ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int)
    image = Path(rom).read_bytes()
    console = core.quickernes_open(image, len(image), int(flat))
    if console is None:
        raise SystemExit("QuickerNES does not take the cartridge")
    return lambda held: core.quickernes_step(console, held, HELD)


def stable_retro_pixels(rom: str) -> Hold:
    """The same with observations, made the fastest way that OpenCV offers."""
    numpy: Any = import_module("numpy")
    cv2: Any = import_module("cv2")
    cv2.setNumThreads(1)
    emulator = import_module("stable_retro").RetroEmulator(rom)
    stack = numpy.zeros((STACK, SIZE, SIZE), numpy.uint8)

    def hold(held: int) -> None:
        emulator.set_button_mask(numpy.array(_mask(held), numpy.uint8), 0)
        for frame in range(HELD):
            emulator.step()
            if frame % SKIP == SKIP - 1:
                grey = cv2.cvtColor(emulator.get_screen(), cv2.COLOR_RGB2GRAY)
                stack[:-1] = stack[1:]
                stack[-1] = cv2.resize(grey, (SIZE, SIZE), interpolation=cv2.INTER_AREA)

    return hold


LOOPS: dict[str, tuple[Callable[[str], Hold], str, int]] = {
    "warpzone_compiled": (warpzone_compiled, "warpzone", 1),
    "warpzone_interpreter": (warpzone_interpreter, "warpzone", 1),
    "cynes": (cynes, "cynes", 1),
    "nes_py": (nes_py, "nes-py", 1),
    "stable_retro": (stable_retro, "stable-retro", 1),
    "quickernes_paged": (quickernes_paged, "", 1),
    "quickernes_flat": (quickernes_flat, "", 1),
    "warpzone_pixels": (warpzone_pixels, "warpzone", GAMES),
    "stable_retro_pixels": (stable_retro_pixels, "stable-retro", 1),
}
"""By name: what makes the loop, the package whose version is told if it is one, and how many games
run."""


def measure(hold: Hold, seconds: float) -> float:
    """Frames per second of one game, without the way out of the menus."""
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
    make, package, games = LOOPS[given.loop]
    rate = games * measure(make(given.rom), given.seconds)
    version = metadata.version(package) if package else ""
    print(json.dumps({"frames_per_second": rate, "version": version}), flush=True)


if __name__ == "__main__":
    main()
