"""How fast the bare console is: frames per second and the time to draw one.

    python -m benchmarks.console                 # table on stderr, JSON on stdout
    python -m benchmarks.console --no-peers      # ours alone, nothing is installed
    valgrind --tool=callgrind python -m benchmarks.console --no-peers --repeats 1 --frames 2000

Runs level 1-1 from its start with random buttons, changed every eight frames, on one thread: as
native code, interpreted, interpreted with every round of waiting loops executed; and draws the
picture again and again. In turns with FCEUmm, the emulator that stable-retro brings along, stepped
by itself: nobody looks at its frames either. Ratios are taken within each repeat. Under callgrind
the instruction counts tell what a noisy machine hides.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import platformdirs
import typer
from benchmarks import peers
from benchmarks.environment import Contestant, measure
from benchmarks.peers import PeerError
from rich.table import Table

from warpzone import _native
from warpzone.bench import report
from warpzone.bench.report import Spread
from warpzone.nes.cartridge import cartridge_of
from warpzone.nes.rom import Rom
from warpzone.smb.rom import find_rom
from warpzone.smb.starts import level_starts

BUTTONS = (0x80, 0x81, 0x82, 0x83, 0x40, 0x01, 0x00)
HELD_FRAMES = 8
EPISODE_FRAMES = 2000
DRAWS = 500
DRAWN = np.random.default_rng(0).choice(BUTTONS, size=4096).tolist()
"""Buttons drawn in advance: drawing them takes longer than a frame."""
FCEUMM = Contestant(
    "fceumm", "FCEUmm", "stable_retro_frames", games=HELD_FRAMES, peer=peers.STABLE_RETRO
)
GOALS = {"compiled": 90.0, "interpreted": 13.0}
"""Times as many frames per second as FCEUmm."""


def play(console: _native.Console, start: bytes, frames: int, *, skip_waiting: bool = True) -> None:
    """Runs `frames` frames, from the start of 1-1 every `EPISODE_FRAMES`."""
    for number, frame in enumerate(range(0, frames, HELD_FRAMES)):
        if frame % EPISODE_FRAMES == 0:
            console.load(start)
        console.step(DRAWN[number % len(DRAWN)], HELD_FRAMES, skip_waiting)


def per_second(work: Callable[[], None], amount: int) -> float:
    """`amount` over the seconds that `work` takes."""
    begin = time.perf_counter()
    work()
    return amount / (time.perf_counter() - begin)


def contests(rom: Rom, frames: int, fceumm: Path | None) -> dict[str, Callable[[], float]]:
    """What is measured: each returns something per second."""
    cartridge = cartridge_of(rom, "compiled")
    start = level_starts(cartridge).start(0)
    compiled = _native.Console(cartridge.native)
    interpreted = _native.Console(cartridge_of(rom, "interpreter").native)
    few = max(frames // 10, HELD_FRAMES)

    def draw() -> None:
        for _ in range(DRAWS):
            interpreted.screen()

    found: dict[str, Callable[[], float]] = {
        "compiled": lambda: per_second(lambda: play(compiled, start, frames), frames),
        "interpreted": lambda: per_second(lambda: play(interpreted, start, frames), frames),
        "interpreted, waiting executed": lambda: per_second(
            lambda: play(interpreted, start, few, skip_waiting=False), few
        ),
        "pictures": lambda: per_second(draw, DRAWS),
    }
    if fceumm is not None:
        python = fceumm
        found["FCEUmm"] = lambda: float(measure(FCEUMM, python, rom.path, 2.0)["steps_per_second"])
    return found


def main(
    repeats: Annotated[int, typer.Option(help="Measurements of each kind.", min=1)] = 7,
    frames: Annotated[int, typer.Option(help="Frames of one measurement.", min=8)] = 40_000,
    with_peers: Annotated[
        bool, typer.Option("--peers/--no-peers", help="Measure FCEUmm beside it.")
    ] = True,
    peers_dir: Annotated[
        Path | None,
        typer.Option(help="Where peers are installed.", show_default="the user's cache"),
    ] = None,
    peers_python: Annotated[
        str, typer.Option(help="The Python that peers are installed for.", show_default="this one")
    ] = sys.executable,
) -> None:
    """Measure the console."""
    rom, facts, out = find_rom(), report.machine(), report.console()
    fceumm = None
    if with_peers:
        folder = peers_dir or platformdirs.user_cache_path("warpzone") / "benchmark-peers"
        try:
            fceumm = peers.install(peers.STABLE_RETRO, folder.absolute(), peers_python, out.print)
        except PeerError as error:
            out.print(f"FCEUmm: {error}", markup=False)
    rates: dict[str, list[float]] = {}
    found = contests(rom, frames, fceumm)
    for _ in range(repeats):
        for name, contest in list(found.items()):
            try:
                rates.setdefault(name, []).append(contest())
            except PeerError as error:
                out.print(f"{name}: {error}", markup=False)
                del found[name], rates[name]
    spreads = {name: Spread.of(values) for name, values in rates.items()}
    ratios = {
        name: Spread.of([a / b for a, b in zip(rates[name], rates["FCEUmm"], strict=True)])
        for name in (GOALS if "FCEUmm" in rates else ())
    }
    table = Table("per second, one thread", "median (min–max)", "÷ FCEUmm", "goal")
    for name, spread in spreads.items():
        ratio = ratios[name].text(".1f") if name in ratios else ""
        goal = f"≥ {GOALS[name]:g}" if name in GOALS else ""
        table.add_row(name, spread.text(",.0f"), ratio, goal)
    for line in report.describe(facts, rom):
        out.print(line, markup=False, soft_wrap=True)
    out.print(table)
    result = {
        "machine": facts,
        "rom": report.rom_facts(rom),
        "per_second": {name: spread._asdict() for name, spread in spreads.items()},
        "to_fceumm": {name: spread._asdict() for name, spread in ratios.items()},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    typer.run(main)
