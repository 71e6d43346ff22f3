"""Measures the engine and its peers within a minute.

Each measurement is a process of its own that warms up, then plays in a few parts, whose median and
range are reported: machines are noisy, and ratios say more than rates. Peers are those that this
Python can import; nothing is installed.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from warpzone.bench import report, workers
from warpzone.bench.report import Spread
from warpzone.errors import WarpzoneError
from warpzone.nes.cartridge import cartridge_of
from warpzone.nes.console import Console
from warpzone.nes.rom import Rom
from warpzone.smb.starts import start_level

GAMES = 64
WARMUP_SECONDS = 0.5
SECONDS = 1.5
PARTS = 5
TIMEOUT_SECONDS = 120
RESTORES = 2000

FRAMES, STEPS = "frames/s", "agent steps/s"


@dataclass(frozen=True)
class Contestant:
    """Something to be measured."""

    title: str
    loop: str
    """Of `workers`."""
    unit: str
    games: int = 1
    threads: int = 1
    module: str | None = None
    """Must be importable; None: ours."""


@dataclass
class Result:
    """What was measured: `rates` by title, `problems` by title, `times` in seconds."""

    rates: dict[str, Spread] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)


COMPILED, INTERPRETED = "compiled", "interpreter"
TILES, PIXELS = "tiles", "pixels 84×84 grey, stack 4"
FCEUMM, RETRO = "FCEUmm (stable-retro)", "stable-retro, pixels"
OLD_GYM = "gym-super-mario-bros, pixels"
ENVPOOL, ALE = "EnvPool, Breakout", "ALE vector, Breakout"


def contestants(threads: int) -> list[Contestant]:
    """What is measured on a machine with so many cores to use."""
    ours = [
        Contestant(COMPILED, "warpzone_frames", FRAMES, workers.HELD_FRAMES),
        Contestant(INTERPRETED, "warpzone_frames_interpreted", FRAMES, workers.HELD_FRAMES),
        Contestant(TILES, "warpzone_tiles", STEPS, GAMES),
        Contestant(PIXELS, "warpzone_pixels", STEPS, GAMES),
    ]
    if threads > 1:
        ours += [
            Contestant(on_threads(TILES, threads), "warpzone_tiles", STEPS, GAMES, threads),
            Contestant(on_threads(PIXELS, threads), "warpzone_pixels", STEPS, GAMES, threads),
        ]
    peers = [
        Contestant(FCEUMM, "stable_retro_frames", FRAMES, module="stable_retro"),
        Contestant(RETRO, "stable_retro", STEPS, module="stable_retro"),
        Contestant(OLD_GYM, "gym_super_mario_bros", STEPS, module="gym_super_mario_bros"),
        Contestant(ENVPOOL, "envpool", STEPS, GAMES, module="envpool"),
        Contestant(ALE, "ale", STEPS, GAMES, module="ale_py"),
    ]
    return ours + [peer for peer in peers if find_spec(peer.module or "") is not None]


def on_threads(title: str, threads: int) -> str:
    return f"{title}, {threads} threads"


def measure_all(rom: Rom, threads: int, log: Callable[[str], None]) -> Result:
    """Measures everything, one after the other.

    Args:
        rom: what is played, except by peers that bring a game of their own.
        threads: for the measurements with several.
        log: is told what is being measured.
    """
    result = Result()
    for contestant in contestants(threads):
        log(f"measuring {contestant.title}")
        result.units[contestant.title] = contestant.unit
        try:
            result.rates[contestant.title] = Spread.of(measure(contestant, rom))
        except WarpzoneError as error:
            result.problems[contestant.title] = str(error)
    result.times = moments(rom)
    result.ratios = ratios(result.rates, threads)
    return result


def measure(contestant: Contestant, rom: Rom) -> list[float]:
    """Its rate in each part of the time.

    Raises:
        WarpzoneError: it does not run.
    """
    command = [sys.executable, "-P", str(Path(workers.__file__)), contestant.loop]
    command += ["--rom", str(rom.path), "--games", str(contestant.games)]
    command += ["--threads", str(contestant.threads), "--warmup", str(WARMUP_SECONDS)]
    command += ["--seconds", str(SECONDS), "--parts", str(PARTS)]
    # Only the games' own threads: none of a numerical library.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise WarpzoneError(f"no result after {TIMEOUT_SECONDS} s") from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise WarpzoneError(said[-1] if said else f"exit status {done.returncode}")
    rates: list[float] = json.loads(done.stdout.splitlines()[-1])["rates"]
    return rates


def moments(rom: Rom) -> dict[str, float]:
    """Seconds, median, to start a console with a level, and to restore a snapshot."""
    begins = []
    for level in ("1-1", "1-2", "1-3", "1-4", "2-1"):  # each is booted once in a process
        begin = time.perf_counter()
        console = Console(rom, engine="interpreter")
        start_level(console, level)
        begins.append(time.perf_counter() - begin)
    snapshot = console.save()
    restores = []
    for _ in range(PARTS):
        begin = time.perf_counter()
        for _ in range(RESTORES):
            console.load(snapshot)
        restores.append((time.perf_counter() - begin) / RESTORES)
    return {
        "console start with a level": statistics.median(begins),
        "restore of a snapshot": statistics.median(restores),
    }


def ratios(rates: dict[str, Spread], threads: int) -> dict[str, float]:
    """Medians by medians, where both were measured."""
    pairs = [
        (COMPILED, INTERPRETED),
        (COMPILED, FCEUMM),
        (INTERPRETED, FCEUMM),
        (TILES, RETRO),
        (PIXELS, RETRO),
        (PIXELS, OLD_GYM),
        (PIXELS, ENVPOOL),
        (PIXELS, ALE),
        (on_threads(TILES, threads), TILES),
        (on_threads(PIXELS, threads), PIXELS),
    ]
    return {
        f"{one} ÷ {other}": rates[one].median / rates[other].median
        for one, other in pairs
        if one in rates and other in rates
    }


def as_json(result: Result, rom: Rom) -> dict[str, Any]:
    """Everything in one object."""
    return {
        "machine": report.machine(),
        "rom": report.rom_facts(rom),
        "engine": cartridge_of(rom).running,
        "rates": {
            title: {"unit": result.units[title], **spread._asdict()}
            for title, spread in result.rates.items()
        },
        "seconds": result.times,
        "ratios": result.ratios,
        "problems": result.problems,
    }
