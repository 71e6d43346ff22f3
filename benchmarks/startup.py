"""How long `import warpzone` and `warpzone --help` take, each in a new process of Python.

    python -m benchmarks.startup --out startup.json

Beside them what they cannot be quicker than: Python itself, and with NumPy and Gymnasium. All take
turns, so that what else the machine does hits all alike; the first turn, which may have to compile
modules and to read the disk, does not count. Seconds of the clock are those that a user waits,
seconds of the processor the measure where the machine does something else. `--modules 20` lists the
modules that take longest (`python -X importtime`).
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from warpzone.bench import report

PROGRAMS: dict[str, list[str]] = {
    "python": ["-c", "pass"],
    "import numpy, gymnasium": ["-c", "import numpy, gymnasium"],
    "import warpzone": ["-c", "import warpzone"],
    "warpzone --help": ["-P", "-m", "warpzone", "--help"],
}
GOALS = {"import warpzone": 0.3, "warpzone --help": 0.4}
"""Seconds of the clock, on a machine that does nothing else."""


def run(arguments: Sequence[str]) -> tuple[float, float]:
    """Seconds of the clock and of the processor that a new Python takes."""
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, used = wait_for(process.pid)
    clock = time.perf_counter() - begin
    process.returncode = status
    if status != 0:
        raise SystemExit(f"{' '.join(arguments)}: status {status}")
    return clock, used


def wait_for(pid: int) -> tuple[int, int, float]:
    """Waits for a child: its number, its status, its seconds of the processor."""
    pid, status, usage = os.wait4(pid, 0)
    return pid, os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime


def measure(turns: int) -> dict[str, dict[str, Any]]:
    """Returns by program its `clock` and `processor`: all seconds, without the first turn's."""
    found: dict[str, dict[str, Any]] = {name: {"clock": [], "processor": []} for name in PROGRAMS}
    for turn in range(turns + 1):
        for name, arguments in PROGRAMS.items():
            clock, processor = run(arguments)
            if turn > 0:
                found[name]["clock"].append(clock)
                found[name]["processor"].append(processor)
    return found


def slowest_modules(arguments: Sequence[str], count: int) -> list[tuple[float, str]]:
    """Returns seconds that modules take by themselves, those that take longest first."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    rows = re.findall(r"^import time:\s+(\d+) \|\s+\d+ \| +(\S+)$", done.stderr, re.MULTILINE)
    return sorted(((int(own) / 1e6, name) for own, name in rows), reverse=True)[:count]


def cell(values: Sequence[float]) -> str:
    """Median and range, in milliseconds."""
    low, middle, high = (1000 * of(values) for of in (min, statistics.median, max))
    return f"{middle:.0f} ({low:.0f}–{high:.0f})"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--turns", type=int, default=15, help="how often each is started")
    parser.add_argument("--modules", type=int, default=0, help="list so many slow modules, too")
    parser.add_argument("--out", type=Path, help="of the JSON; default: standard output")
    options = parser.parse_args(arguments)
    if options.turns < 1:
        parser.error(f"--turns is {options.turns}, must be 1 or more")
    console = report.console()
    facts = report.machine()
    found = measure(options.turns)
    console.print(
        "| program | ms of the clock | ms of the processor |\n|---|---|---|", markup=False
    )
    for name, values in found.items():
        console.print(
            f"| `{name}` | {cell(values['clock'])} | {cell(values['processor'])} |", markup=False
        )
    result: dict[str, Any] = {"benchmark": "startup", "machine": facts, "seconds": found}
    result["goals"] = {
        name: {"seconds": goal, "reached": statistics.median(found[name]["clock"]) <= goal}
        for name, goal in GOALS.items()
    }
    if options.modules:
        result["modules"] = {}
        for name in GOALS:
            result["modules"][name] = slowest_modules(PROGRAMS[name], options.modules)
            for seconds, module in result["modules"][name]:
                console.print(f"{1000 * seconds:7.1f} ms  {module}  ({name})", markup=False)
    report.write(result, options.out, console)


if __name__ == "__main__":
    main()
