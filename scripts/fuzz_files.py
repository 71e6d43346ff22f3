"""Damages files of every format that warpzone reads, and looks at what comes of it.

    python scripts/fuzz_files.py --minutes 60                # all formats, drawn at random
    python scripts/fuzz_files.py --minutes 10 --format agent --seed 5
    python scripts/fuzz_files.py --all                       # every systematic case, once
    python scripts/fuzz_files.py --format agent --case drawn/12345 --keep damaged.safetensors
    python scripts/fuzz_files.py --list

Each file must be taken, or refused with one error of those documented that names it, within bounds
of time and memory; see docs/robustness.md. How to repeat a case is printed with it. Exit status 1:
there were faults.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # what tests share is not installed: only found from here on

from tests.support.file_cases import Order, Report, carry_out  # noqa: E402


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--minutes", type=float, default=1.0, help="for random cases")
    options.add_argument("--seed", type=int, help="of the first random case; by default the time")
    options.add_argument("--format", action="append", default=[], help="see --list; all by default")
    options.add_argument("--all", action="store_true", help="systematic cases instead")
    options.add_argument("--case", help="one case of one format, as it was printed")
    options.add_argument("--keep", type=Path, help="writes the damaged file of --case")
    options.add_argument("--list", action="store_true", help="the names of the formats")
    options.add_argument("--json", action="store_true", help="counts as JSON")
    given = options.parse_args()
    if given.case is not None and len(given.format) != 1:
        options.error("--case is of one --format")
    if given.keep is not None and given.case is None:
        options.error("--keep writes the file of a --case")
    if given.list:
        from tests.support.formats import Formats

        with TemporaryDirectory() as folder:
            print("\n".join(Formats(Path(folder)).all))
        return 0
    with suppress(OSError):
        os.nice(5)
    seed = given.seed if given.seed is not None else int(time.time()) * 1_000_000
    random = not given.all and given.case is None
    order = Order(
        formats=given.format,
        most=0 if random else None,
        draws=random,
        seconds=given.minutes * 60,
        seed=seed,
        only=given.case,
        keep=None if given.keep is None else str(given.keep.absolute()),
    )
    report = carry_out(order)
    show(report, given.json)
    return 1 if report.faults else 0


def show(report: Report, as_json: bool) -> None:
    """Prints what was counted, and how each fault is repeated."""
    for case, wrong in report.faults:
        name, _, which = case.partition("/")
        again = ["python", "scripts/fuzz_files.py", "--format", name, "--case", which]
        print(f"{case}\n  {wrong}\n  again: {shlex.join(again)}\n", file=sys.stderr)
    if as_json:
        rows = [
            {"format": name, "kind": kind, **vars(count)}
            for (name, kind), count in report.counts.items()
        ]
        print(json.dumps(rows))
        return
    print(f"{'format':32}{'cases':>9}{'taken':>9}{'refused':>9}{'passed':>9}{'MB':>7}{'s':>7}")
    for name in dict.fromkeys(name for name, _ in report.counts):
        counts = [count for (of, _), count in report.counts.items() if of == name]
        print(
            f"{name:32}"
            + "".join(
                f"{sum(values):9,}"
                for values in (
                    [c.cases for c in counts],
                    [c.taken for c in counts],
                    [c.refused for c in counts],
                    [c.passed_over for c in counts],
                )
            )
            + f"{max(c.memory for c in counts) / 1e6:7.0f}{max(c.seconds for c in counts):7.2f}"
        )
    print(f"{report.cases:,} cases, {len(report.faults)} faults")


if __name__ == "__main__":
    sys.exit(main())
