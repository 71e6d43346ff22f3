"""How fast the bare console is: frames per second and the time to draw one.

    python -m benchmarks.console                 # table on stderr, JSON on stdout
    valgrind --tool=callgrind python -m benchmarks.console --repeats 1 --frames 2000

Runs level 1-1 from its start with random buttons, changed every eight frames, on one thread: with
waiting loops skipped, with every round of them executed, and then draws the picture again and
again. Under callgrind the instruction counts tell what a noisy machine hides.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Annotated

import numpy as np
import typer
from benchmarks import report
from benchmarks.report import Spread
from rich.table import Table

from warpzone import _native
from warpzone.game.console import cartridge_of
from warpzone.game.rom import find_rom

BUTTONS = (0x80, 0x81, 0x82, 0x83, 0x40, 0x01, 0x00)
HELD_FRAMES = 8
EPISODE_FRAMES = 2000
DRAWS = 500


def play(console: _native.Console, frames: int, *, skip_waiting: bool) -> None:
    """Runs `frames` frames, from the start of 1-1 every `EPISODE_FRAMES`."""
    random = np.random.default_rng(0)
    for frame in range(0, frames, HELD_FRAMES):
        if frame % EPISODE_FRAMES == 0:
            console.start_level(0)
        console.step(int(random.choice(BUTTONS)), HELD_FRAMES, skip_waiting)


def per_second(work: Callable[[], None], amount: int) -> float:
    """`amount` over the seconds that `work` takes."""
    begin = time.perf_counter()
    work()
    return amount / (time.perf_counter() - begin)


def main(
    repeats: Annotated[int, typer.Option(help="Measurements of each kind.", min=1)] = 7,
    frames: Annotated[int, typer.Option(help="Frames of one measurement.", min=8)] = 40_000,
) -> None:
    """Measure the console."""
    rom, facts = find_rom(), report.machine()
    console = _native.Console(cartridge_of(rom).levels)
    rates: dict[str, list[float]] = {"frames": [], "frames, waiting executed": [], "pictures": []}

    few = max(frames // 10, HELD_FRAMES)

    def skipping() -> None:
        play(console, frames, skip_waiting=True)

    def executing() -> None:
        play(console, few, skip_waiting=False)

    def draw() -> None:
        for _ in range(DRAWS):
            console.screen()

    for _ in range(repeats):
        rates["frames"].append(per_second(skipping, frames))
        rates["frames, waiting executed"].append(per_second(executing, few))
        rates["pictures"].append(per_second(draw, DRAWS))
    spreads = {name: Spread.of(values) for name, values in rates.items()}
    table = Table("per second, one thread", "median (min–max)")
    for name, spread in spreads.items():
        table.add_row(name, spread.text(",.0f"))
    for line in report.describe(facts, rom):
        report.console().print(line)
    report.console().print(table)
    result = {name: spread._asdict() for name, spread in spreads.items()}
    print(json.dumps({"machine": facts, "rom": report.rom_facts(rom), "per_second": result}))


if __name__ == "__main__":
    typer.run(main)
