"""Runs the machines of the API fuzzer (tests/robustness/test_api_*.py) for long, on new cases.

    python scripts/fuzz_api.py --minutes 60
    python scripts/fuzz_api.py --minutes 60 --seed 700 --only console envs

Each file is run in a process of its own, again and again with the next seed, so that a crash or a
hang ends that process alone and is told like any other failure: with its output, and the command
that makes it again. Exits with 1 if there was one. `--nice N` sets the priority. Ctrl-C ends it
sooner.
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from itertools import cycle
from pathlib import Path

ROOT = Path(__file__).parents[1]
HANGS = 900.0
"""Seconds after which a process is ended; it says where its threads stand a little earlier."""
NAMES = ("cases", "calls", "refused", "interrupts")


def main() -> int:
    files = {path.stem.removeprefix("test_api_"): path for path in machines()}
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, required=True, help="how long")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="the first")
    parser.add_argument("--only", nargs="+", choices=files, default=list(files), help="which files")
    parser.add_argument("--cases", type=float, default=1.0, help="times the short budget's, each")
    parser.add_argument("--nice", type=int, default=0)
    parser.add_argument("-k", default="", help="which tests of them, as pytest's")
    given = parser.parse_args()
    os.nice(given.nice)
    end = time.monotonic() + 60 * given.minutes
    totals: Counter[str] = Counter()
    failures: list[str] = []
    seed = given.seed
    for number, name in enumerate(cycle(given.only)):
        if number and time.monotonic() >= end:
            break
        seed = given.seed + number
        command = [
            *(sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"),
            *("-o", f"faulthandler_timeout={HANGS - 60:g}", "-o", "timeout=0", "--tb=short"),
            *(f"--hypothesis-seed={seed}", str(files[name].relative_to(ROOT))),
            *(("-k", given.k) if given.k else ()),
        ]
        begun = time.monotonic()
        try:
            status, output, counted = run(command, given.cases)
        except KeyboardInterrupt:
            seed -= 1
            break
        totals.update(counted)
        seconds = time.monotonic() - begun
        print(
            f"{name} seed {seed}: {'ok' if status == 0 else f'FAILED ({status})'}, "
            f"{counted['cases']:,} cases, {counted['calls']:,} calls, {seconds:.0f} s",
            flush=True,
        )
        if status != 0:
            again = f"WARPZONE_FUZZ_CASES={given.cases:g} {' '.join(command)}"
            failures.append(again)
            print(f"{output}\nonce more: {again}", flush=True)
    told = ", ".join(f"{totals[name]:,} {name}" for name in NAMES)
    print(f"{told}; {len(failures)} failures; seeds {given.seed} to {seed}")
    for again in failures:
        print(f"once more: {again}")
    return 1 if failures else 0


def machines() -> list[Path]:
    """Returns the files that have machines of the fuzzer."""
    return sorted((ROOT / "tests" / "robustness").glob("test_api_*.py"))


def run(command: list[str], cases: float) -> tuple[int | str, str, Counter[str]]:
    """Returns how a process ended, what it said, and how many cases it ran."""
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder) / "counts"
        env = {
            **os.environ,
            "WARPZONE_FUZZ_CASES": f"{cases:g}",
            "WARPZONE_FUZZ_COUNTS": str(counts),
            "PYTHONFAULTHANDLER": "1",
        }
        env.setdefault("SDL_VIDEODRIVER", "dummy")
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=env, timeout=HANGS, check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            )  # fmt: skip
            status: int | str = done.returncode
            output = done.stdout
        except subprocess.TimeoutExpired as error:
            status = "hangs"
            output = error.stdout.decode(errors="replace") if error.stdout else ""
        found: Counter[str] = Counter()
        if counts.exists():
            for line in counts.read_text().splitlines():
                found.update(dict(zip(NAMES, map(int, line.split()), strict=True)))
        return status, output[-20_000:], found


if __name__ == "__main__":
    sys.exit(main())
