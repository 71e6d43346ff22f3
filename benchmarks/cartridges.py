"""How fast cartridges of all boards run, beside other emulators.

    python -m benchmarks.cartridges                              # the known cartridges found here
    python -m benchmarks.cartridges --rom GAME.nes --seconds 5   # and these files
    python -m benchmarks.cartridges --python peers/bin/python    # peers that this Python has

Frames per second on one thread of the bare console: as native code, interpreted, and on cynes,
nes-py and FCEUmm (of stable-retro), as far as one of the given Pythons has them, and on QuickerNES
(see `quickernes.cpp`); then with observations for an agent, uint8[4, 84, 84] for each fourth frame,
through the vector environment of the cartridge's game and on FCEUmm. Each measurement is a process
of its own and takes turns with the others; in every other round their order is the opposite. Ratios
are taken within each round. What cannot be measured is named, with the reason.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from benchmarks import cartridge_loops
from rich.table import Table

from warpzone.bench import report
from warpzone.bench.report import Spread
from warpzone.errors import RomError
from warpzone.nes.rom import load_rom
from warpzone.smb.known_cartridges import KNOWN
from warpzone.smb.rom import find_known

LOOPS_FILE = Path(cartridge_loops.__file__)
OURS = ("warpzone_compiled", "warpzone_interpreter", "warpzone_pixels")
OVERHEAD_SECONDS = 900
"""What a process may take beyond its measurement: translating a cartridge for the first time."""


def cartridges(given: list[Path], only: list[str]) -> dict[str, Path]:
    """Cartridges by what they are called: files, and the known ones that are here."""
    found = {path.stem: load_rom(path).path for path in given}
    for name, known in KNOWN.items():
        if only and name not in only:
            continue
        try:
            found.setdefault(name, find_known(known, fetch=False).path)
        except RomError:
            continue
    return found


def run(loop: str, python: str, rom: Path, seconds: float) -> float:
    """Frames per second of one measurement.

    Raises:
        RuntimeError: it does not run; the text says why.
    """
    command = [python, str(LOOPS_FILE), loop, "--rom", str(rom), "--seconds", str(seconds)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + OVERHEAD_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(str(error)) from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise RuntimeError(said[-1] if said else f"exit status {done.returncode}")
    return float(json.loads(done.stdout.splitlines()[-1])["frames_per_second"])


def main(
    rom: Annotated[list[Path] | None, typer.Option(help="A cartridge to measure, too.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Of the known ones, these.")] = None,
    python: Annotated[list[str] | None, typer.Option(help="A Python that has peers.")] = None,
    repeats: Annotated[int, typer.Option(help="Rounds.", min=1)] = 5,
    seconds: Annotated[float, typer.Option(help="Of one measurement.", min=0.1)] = 3.0,
) -> None:
    """Measure cartridges."""
    out = report.console()
    pythons = [sys.executable, *(python or [])]
    result: dict[str, dict[str, object]] = {}
    table = Table("cartridge", "emulator", "frames/s, median (min–max)", "ours ÷ it")
    for name, path in cartridges(rom or [], only or []).items():
        places: dict[str, str] = {}
        for loop in cartridge_loops.LOOPS:
            reason = ""
            for place in pythons if loop not in OURS else pythons[:1]:
                try:
                    run(loop, place, path, 0.1)
                except RuntimeError as error:
                    reason = str(error)
                else:
                    places[loop] = place
                    break
            if loop not in places:
                out.print(f"{name}: {loop} is left out: {reason}", markup=False)
        rates: dict[str, list[float]] = {loop: [] for loop in places}
        for number in range(repeats):
            for loop in list(places)[:: -1 if number % 2 else 1]:
                rates[loop].append(run(loop, places[loop], path, seconds))
        for loop, values in rates.items():
            ours = rates.get("warpzone_pixels" if loop.endswith("pixels") else OURS[0])
            if ours is None:
                continue
            ratio = Spread.of([a / b for a, b in zip(ours, values, strict=True)])
            spread = Spread.of(values)
            table.add_row(name, loop, spread.text(",.0f"), ratio.text(".1f"))
            result.setdefault(name, {})[loop] = {
                "frames_per_second": spread._asdict(),
                "ours_to_it": ratio._asdict(),
            }
    out.print(table)
    print(json.dumps({"machine": report.machine(), "cartridges": result}))


if __name__ == "__main__":
    typer.run(main)
