"""What a second rank gains on this machine, and what a sum over ranks costs.

    python -m benchmarks.ranks                     # table on stderr, JSON on stdout
    python -m benchmarks.ranks --out ranks.json
    python -m benchmarks.ranks --repeats 1 --updates 10

Trains with the preset `tiles` as `warpzone train` does: in one process with one thread and with
two, and in two ranks of one thread each that torchrun starts, with as many games in all and with
twice as many. These take turns, each time in new processes with another seed; ratios are taken
within a turn.

Then two ranks add up arrays of the size of gradients, 0.5 to 4 million float32: what a minibatch
costs beside its computing. Between two processes of one machine that is no network, whose time
comes on top.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer
from benchmarks.options import OutOption, RomOption
from rich.table import Table

from warpzone.bench import report
from warpzone.bench.report import Spread
from warpzone.errors import WarpzoneError
from warpzone.smb.rom import find_rom

ROOT = Path(__file__).parents[1]
GAMES, MINIBATCH = 64, 512
SIZES = (1, 500_000, 1_000_000, 2_000_000, 4_000_000)
"""Numbers in a message; the preset's network has 532,872."""


class Case(NamedTuple):
    ranks: int
    threads: int
    """Of each rank."""
    times: int = 1
    """As many games, and samples of a minibatch, as the preset has."""

    @property
    def name(self) -> str:
        each = "thread" if self.threads == 1 else "threads"
        games = f"{self.times * GAMES} games"
        if self.ranks == 1:
            return f"1 process, {self.threads} {each}, {games}"
        return f"{self.ranks} ranks, {self.threads} {each} each, {games}"


CASES = (Case(1, 1), Case(1, 2), Case(2, 1), Case(2, 1, times=2))


def launch(ranks: int, what: str, order: dict[str, Any]) -> Any:
    """Returns what rank 0 of so many found.

    Raises:
        WarpzoneError: they failed.
    """
    with tempfile.TemporaryDirectory(prefix="warpzone-benchmark-") as folder:
        file = Path(folder) / "found.json"
        line = [sys.executable]
        if ranks > 1:
            line += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
        line += ["-m", "benchmarks.rank_workers", what, str(file), json.dumps(order)]
        places = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        done = subprocess.run(
            line, cwd=ROOT, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": places},
        )  # fmt: skip
        if done.returncode:
            raise WarpzoneError(f"{' '.join(line)} failed:\n{done.stderr[-2000:]}")
        return json.loads(file.read_text())


def ratios_of(measured: dict[Case, list[dict[str, float]]]) -> dict[str, list[float]]:
    """Returns how many times as fast as one process each is, turn by turn: as one with as many
    threads, and as one with a thread."""
    found = {}
    for case in measured:
        for below in (Case(1, 1), Case(1, case.ranks * case.threads)):
            if below == case or below not in measured or f"{case.name} ÷ {below.name}" in found:
                continue
            pairs = zip(measured[case], measured[below], strict=True)
            found[f"{case.name} ÷ {below.name}"] = [
                a["steps_per_second"] / b["steps_per_second"] for a, b in pairs
            ]
    return found


def main(
    level: Annotated[str, typer.Option(help="The level that is learnt.")] = "1-1",
    repeats: Annotated[int, typer.Option(min=1, help="Turns.")] = 5,
    updates: Annotated[int, typer.Option(min=1, help="Of each measurement.")] = 40,
    messages: Annotated[int, typer.Option(min=1, help="Of each size.")] = 200,
    rom: RomOption = None,
    out: OutOption = None,
) -> None:
    """Measure what a second rank gains, and what a sum over ranks costs."""
    console = report.console()
    try:
        game = find_rom(rom, log=console.print)
        facts = {**report.machine(), "torch": torch.__version__}
        for line in report.describe(facts, game):
            console.print(line, markup=False, soft_wrap=True)
        measured: dict[Case, list[dict[str, float]]] = {case: [] for case in CASES}
        for seed in range(repeats):
            for case in CASES if seed % 2 == 0 else CASES[::-1]:
                order = {
                    "games": case.times * GAMES,
                    "minibatch": case.times * MINIBATCH,
                    "threads": case.threads,
                    "updates": updates,
                    "level": level,
                    "seed": seed,
                    "rom": str(game.path),
                }
                got = launch(case.ranks, "training", order)
                measured[case].append(got)
                console.print(
                    f"{case.name}, turn {seed + 1} of {repeats}:"
                    f" {got['steps_per_second']:,.0f} agent steps/s over {got['seconds']:.1f} s"
                )
        sent = launch(2, "messages", {"sizes": SIZES, "times": messages})
    except WarpzoneError as error:
        console.print(str(error), markup=False)
        raise typer.Exit(2) from None

    trainings = [_summary(case, found) for case, found in measured.items()]
    ratios = [
        {"ratio": name, **Spread.of(found)._asdict(), "turns": found}
        for name, found in ratios_of(measured).items()
    ]
    sums = [
        {"numbers": int(size), "seconds": Spread.of(seconds)._asdict(), "each": seconds}
        for size, seconds in sent.items()
    ]
    for table in (_trainings(trainings), _ratios(ratios), _sums(sums)):
        console.print(table)
    result = {
        "benchmark": "ranks",
        "machine": facts,
        "load_after": report.load(),
        "rom": report.rom_facts(game),
        "protocol": {"level": level, "preset": "tiles", "updates": updates, "device": "cpu"},
        "trainings": trainings,
        "ratios": ratios,
        "sums": sums,
    }
    report.write(result, out, console)


def _summary(case: Case, turns: list[dict[str, float]]) -> dict[str, Any]:
    names = ("steps_per_second", "playing_share", "learning_share", "sums_share")
    spreads = {name: Spread.of([turn[name] for turn in turns])._asdict() for name in names}
    return {"case": case.name, **case._asdict(), **spreads, "turns": turns}


def _trainings(rows: list[dict[str, Any]]) -> Table:
    table = Table("what trains", title="agent steps per second")
    for name in ("median", "min–max", "playing", "learning", "of that sums"):
        table.add_column(name, justify="right")
    for row in rows:
        rate = Spread(**row["steps_per_second"])
        shares = [row[f"{name}_share"]["median"] for name in ("playing", "learning", "sums")]
        table.add_row(
            row["case"],
            f"{rate.median:,.0f}",
            f"{rate.min:,.0f}–{rate.max:,.0f}",
            *(f"{share:.0%}" for share in shares),
        )
    return table


def _ratios(rows: list[dict[str, Any]]) -> Table:
    table = Table("ratio of steps per second, within a turn")
    for name in ("median", "min–max"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(row["ratio"], f"{row['median']:.2f}", f"{row['min']:.2f}–{row['max']:.2f}")
    return table


def _sums(rows: list[dict[str, Any]]) -> Table:
    table = Table("float32 in a sum over two ranks")
    for name in ("median, ms", "min–max"):
        table.add_column(name, justify="right")
    for row in rows:
        spread = Spread(**{name: 1e3 * value for name, value in row["seconds"].items()})
        table.add_row(
            f"{row['numbers']:,}", f"{spread.median:.2f}", f"{spread.min:.2f}–{spread.max:.2f}"
        )
    return table


if __name__ == "__main__":
    typer.run(main)
