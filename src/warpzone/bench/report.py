"""What all benchmarks share: the machine's name, medians with their spread, and the output."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from warpzone.cpu import available_cores
from warpzone.nes.rom import Rom

BUSY_LOAD = 0.5
"""Processes that want to run before the benchmark does: above this the machine is not quiet."""
RESAMPLES = 2000
"""Of a bootstrap."""


class Spread(NamedTuple):
    """Repeated measurements of one quantity."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))

    def text(self, form: str) -> str:
        """`median (min–max)`, e.g. with form ",.0f"."""
        return f"{self.median:{form}} ({self.min:{form}}–{self.max:{form}})"


class Interval(NamedTuple):
    """A quantity of repeated measurements, with the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(
        cls, values: NDArray[np.float64], quantity: Callable[[NDArray[np.float64]], Any]
    ) -> Interval:
        """What `quantity` makes of sums over the rows of `values` [N, K].

        It is given sums [S, K] and returns [S]. The interval comes from a bootstrap over the rows
        (Efron 1979, percentiles).
        """
        picks = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
        picks[0] = np.arange(len(values))  # first as it was measured
        found = quantity(values[picks].sum(1))
        low, high = np.percentile(found, (2.5, 97.5))
        return cls(float(found[0]), float(low), float(high))

    def text(self, form: str) -> str:
        """`value (low to high)`, e.g. with form "+.2%"."""
        return f"{self.value:{form}} ({self.low:{form}} to {self.high:{form}})"


def console() -> Console:
    """Standard error; wide enough for tables where it is not a terminal."""
    plain = Console(stderr=True, highlight=False)
    if not plain.is_terminal:
        plain.width = 120
    return plain


def machine() -> dict[str, Any]:
    """The computer, its system, this Python, this revision of the project, and how busy it is."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "cores_available": available_cores(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "revision": _revision(),
        "load": load(),
    }


def load() -> float | None:
    """Processes that wanted to run, averaged over the last minute; None where nobody counts."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def describe(facts: dict[str, Any], rom: Rom) -> list[str]:
    """The machine and the ROM for people, with a warning where the machine is not quiet."""
    lines = [
        f"{facts['cpu']} · {facts['cores_available']} of {facts['cores']} cores"
        f" · Python {facts['python']} · {facts['system']}",
        f"revision {facts['revision'] or 'unknown'} · ROM: {rom.revision}, SHA-1 {rom.sha1}",
    ]
    if (facts["load"] or 0) > BUSY_LOAD:
        lines.append(f"the machine is busy (load {facts['load']}): figures will be too low")
    return lines


def rom_facts(rom: Rom) -> dict[str, str]:
    """Which ROM was played."""
    return {"revision": rom.revision, "sha1": rom.sha1}


def write(result: dict[str, Any], out: Path | None, console: Console) -> None:
    """The result as JSON, to `out` or to standard output."""
    text = json.dumps(result, indent=2)
    if out is None:
        print(text)
    else:
        out.write_text(text + "\n", encoding="utf-8")
        console.print(f"written to {out}", highlight=False)


def _cpu() -> str:
    """The processor's name; on Linux with the family and model that tell clouds' names apart."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    found = {name.strip(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    if "model name" not in found:
        return platform.machine()
    numbers = [f"{name} {found[name]}" for name in ("cpu family", "model") if name in found]
    return ", ".join([found["model name"], *numbers])


def _revision() -> str | None:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
