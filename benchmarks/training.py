"""How fast agents are trained: agent steps per second of `warpzone train`'s presets.

    python -m benchmarks.training                           # table on stderr, JSON on stdout
    python -m benchmarks.training --out training.json
    python -m benchmarks.training --preset tiles --repeats 5 --updates 40
    python -m benchmarks.training --preset tiles --threads 1 --threads 2 --against b05a411

Measures whole updates of the trainer, as `warpzone train` runs it: playing, learning, the copy of
the state that an interruption falls back to, and the logs. Left out: start-up, the first updates
(warm-up), and what comes once in many updates, that is checkpoints and measured clear rates. Each
repeat is a process of its own with a new agent and another seed; presets take turns.

With `--threads` more than once each number of threads takes its turn, and the most are compared
with the fewest; with `--against REV` another commit does, built by itself and measured by its own
copy of this script, always with seed 0. Ratios are taken within the repeats.

Agents at the beginning of their training are measured: later episodes are longer and other screens
are seen, which changes the speed a little.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

import torch
import typer
from benchmarks import revisions
from benchmarks.options import OutOption, RomOption
from benchmarks.revisions import Revision
from rich.table import Table

from warpzone.bench import report
from warpzone.bench.report import Spread
from warpzone.errors import WarpzoneError
from warpzone.process import keep_freed_memory, limit_spinning
from warpzone.smb.rom import find_rom
from warpzone.training.presets import PRESETS, resolve
from warpzone.training.progress import Status
from warpzone.training.trainer import train


class Plan(NamedTuple):
    updates: int
    """Measured in each repeat: ten to twenty seconds on two cores of 2023."""
    warmup: int
    goal: float
    """Agent steps per second wanted on two cores."""


PLANS = {
    "tutorial": Plan(updates=2, warmup=1, goal=200.0),
    "pixels": Plan(updates=5, warmup=1, goal=700.0),
    "tiles": Plan(updates=40, warmup=3, goal=45_000.0),
}
FASTER, SCALING = {"tiles": 3.0, "pixels": 4.0}, 1.8
"""Wanted: times as fast as the commit before native learning, and two threads as one."""


class Case(NamedTuple):
    """What is measured in each repeat."""

    preset: str
    threads: int | None
    """None: all cores."""
    other: bool = False
    """Of another commit."""


class Stopwatch:
    """A display that shows nothing and notes when each update ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.playing: list[float] = []
        self.learning: list[float] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def log(self, text: str) -> None:
        pass

    def update(self, status: Status) -> None:
        self.ends.append(time.perf_counter())
        self.playing.append(status.metrics["charts/rollout_seconds"])
        self.learning.append(status.metrics["charts/update_seconds"])


def measure(
    preset: str, level: str, updates: int, warmup: int, threads: int | None, seed: int, rom: Path
) -> dict[str, float]:
    """Train for some updates; return agent steps per second, and where the time went."""
    keep_freed_memory()
    batch = PRESETS[preset].batch
    config = resolve(
        preset,
        env={"levels": {level: 1.0}},
        total_steps=(warmup + updates) * batch,
        target_clear_rate=None,
        eval_every=warmup + updates + 1,
        eval_episodes=2,
        checkpoint_every=warmup + updates + 1,
        device="cpu",
        threads=threads,
        seed=seed,
    )
    watch = Stopwatch()
    with tempfile.TemporaryDirectory(prefix="warpzone-benchmark-") as folder:
        result = train(config, Path(folder) / "run", rom=rom, display=watch)
    if result.interrupted:
        raise KeyboardInterrupt
    seconds = watch.ends[-1] - watch.ends[warmup - 1]
    playing, learning = sum(watch.playing[warmup:]), sum(watch.learning[warmup:])
    return {
        "steps_per_second": updates * batch / seconds,
        "steps": updates * batch,
        "seconds": seconds,
        "playing_share": playing / seconds,
        "learning_share": learning / seconds,
    }


def measure_other(
    other: Revision, case: Case, level: str, updates: int | None, rom: Path
) -> dict[str, float]:
    """Trains another commit for some updates; returns what `measure` does.

    Raises:
        WarpzoneError: it failed.
    """
    options = ["--preset", case.preset, "--level", level, "--repeats", "1", "--rom", str(rom)]
    options += ["--threads", str(case.threads)] if case.threads is not None else []
    options += ["--updates", str(updates)] if updates is not None else []
    with tempfile.TemporaryDirectory(prefix="warpzone-benchmark-") as folder:
        out = Path(folder) / "training.json"
        found = other.benchmark("training", [*options, "--out", str(out)], out)
    repeats: list[dict[str, float]] = found["presets"][0]["repeats"]
    return repeats[0]


def ratios_of(
    measured: dict[Case, list[dict[str, float]]], other: str
) -> dict[str, tuple[list[float], float | None]]:
    """Returns the ratios of each repeat by name, and what is wanted of their median, if anything:
    this commit to `other`, and the most threads to the fewest."""
    found: dict[str, tuple[list[float], float | None]] = {}

    def add(title: str, above: Case, below: Case, goal: float | None) -> None:
        pairs = zip(measured[above], measured[below], strict=True)
        rates = [a["steps_per_second"] / b["steps_per_second"] for a, b in pairs]
        found[title] = (rates, goal)

    for case in measured:
        if not case.other and (before := case._replace(other=True)) in measured:
            add(
                f"{_name(case, '')} ÷ {_name(before, other)}", case, before, FASTER.get(case.preset)
            )
    for preset, of in dict.fromkeys((case.preset, case.other) for case in measured):
        counts = [case.threads for case in measured if (case.preset, case.other) == (preset, of)]
        known = sorted(count for count in counts if count is not None)
        if len(known) > 1:
            most, fewest = Case(preset, known[-1], of), Case(preset, known[0], of)
            goal = SCALING if (known[0], known[-1]) == (1, 2) and not of else None
            add(f"{_name(most, other)} ÷ {known[0]}", most, fewest, goal)
    return found


def _name(case: Case, other: str) -> str:
    threads = f", threads {case.threads}" if case.threads is not None else ""
    return f"{case.preset}{f' of {other}' if case.other else ''}{threads}"


def main(
    preset: Annotated[
        list[str] | None,
        typer.Option(help="Measure only this preset; may be repeated.", show_default="all"),
    ] = None,
    level: Annotated[str, typer.Option(help="The level that is learnt.")] = "1-1",
    repeats: Annotated[int, typer.Option(min=1, help="Times that each is measured.")] = 3,
    updates: Annotated[
        int | None,
        typer.Option(min=1, help="Updates of each measurement.", show_default="by preset"),
    ] = None,
    threads: Annotated[
        list[int] | None,
        typer.Option(min=1, help="CPU threads; may be repeated.", show_default="all cores"),
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="REV", help="Measure this commit in turns.")
    ] = None,
    rom: RomOption = None,
    out: OutOption = None,
) -> None:
    """Measure the speed of training with each preset."""
    console = report.console()
    if unknown := [name for name in preset or () if name not in PLANS]:
        raise typer.BadParameter(f"{', '.join(unknown)}: there are {', '.join(PLANS)}")
    plans = {name: plan for name, plan in PLANS.items() if name in (preset or PLANS)}
    if updates is not None:
        plans = {name: plan._replace(updates=updates) for name, plan in plans.items()}
    try:
        game = find_rom(rom, log=console.print)
        other = None if against is None else revisions.build(against, console.print)
        if other is not None:
            other.warm_up(game.path, console.print)
    except WarpzoneError as error:
        console.print(str(error), markup=False)
        raise typer.Exit(2) from None

    facts = {**report.machine(), "torch": torch.__version__}
    for line in report.describe(facts, game):
        console.print(line, markup=False, soft_wrap=True)
    counts = dict.fromkeys(threads) if threads else [None]
    sides = [False] if other is None else [False, True]
    cases = [Case(name, count, side) for name in plans for count in counts for side in sides]
    measured: dict[Case, list[dict[str, float]]] = {case: [] for case in cases}
    title = "" if other is None else other.name
    limit_spinning()  # for those to be started, as `warpzone train` does
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        for seed in range(repeats):
            for case in cases if seed % 2 == 0 else cases[::-1]:
                plan = plans[case.preset]
                task = (
                    case.preset,
                    level,
                    plan.updates,
                    plan.warmup,
                    case.threads,
                    seed,
                    game.path,
                )
                try:
                    if case.other and other is not None:
                        got = measure_other(other, case, level, updates, game.path)
                    else:
                        got = pool.submit(measure, *task).result()
                except WarpzoneError as error:
                    console.print(str(error), markup=False)
                    raise typer.Exit(2) from None
                measured[case].append(got)
                console.print(
                    f"{_name(case, title)}, repeat {seed + 1} of {repeats}:"
                    f" {got['steps_per_second']:,.0f} agent steps/s over {got['seconds']:.1f} s"
                )

    results = [_summary(case, plans[case.preset], measured[case]) for case in cases]
    ratios = [
        {"ratio": name, **Spread.of(rates)._asdict(), "repeats": rates, "goal": goal}
        for name, (rates, goal) in ratios_of(measured, title).items()
    ]
    console.print(_table(results, level, title))
    if ratios:
        console.print(_ratio_table(ratios))
    result = {
        "benchmark": "training",
        "machine": facts,
        "load_after": report.load(),
        "rom": report.rom_facts(game),
        "protocol": {"level": level, "device": "cpu", "threads": threads or "all cores"},
        "against": None if other is None else other.commit,
        "presets": results,
        "ratios": ratios,
    }
    report.write(result, out, console)


def _summary(case: Case, plan: Plan, repeats: list[dict[str, float]]) -> dict[str, Any]:
    def spread(name: str) -> dict[str, float]:
        return Spread.of([repeat[name] for repeat in repeats])._asdict()

    rate = spread("steps_per_second")
    wanted = not case.other and case.threads is None
    return {
        "preset": case.preset,
        "threads": case.threads,
        "other": case.other,
        "updates": None if case.other else plan.updates,
        "warmup_updates": None if case.other else plan.warmup,
        "steps_per_second": rate,
        "playing_share": spread("playing_share"),
        "learning_share": spread("learning_share"),
        "repeats": repeats,
        "goal": plan.goal if wanted else None,
        "met": rate["median"] >= plan.goal if wanted else None,
    }


def _table(results: list[dict[str, Any]], level: str, other: str) -> Table:
    table = Table("preset", title=f"training on {level}: agent steps per second")
    for name in ("median", "min–max", "playing", "learning", "goal"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in results:
        rate = Spread(**row["steps_per_second"])
        table.add_row(
            _name(Case(row["preset"], row["threads"], row["other"]), other),
            f"{rate.median:,.0f}",
            f"{rate.min:,.0f}–{rate.max:,.0f}",
            f"{row['playing_share']['median']:.0%}",
            f"{row['learning_share']['median']:.0%}",
            "" if row["goal"] is None else f"≥ {row['goal']:,.0f}",
            _met(row["met"]),
        )
    return table


def _ratio_table(ratios: list[dict[str, Any]]) -> Table:
    table = Table("ratio of steps per second")
    for name in ("median", "min–max", "goal"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in ratios:
        goal, median = row["goal"], row["median"]
        table.add_row(
            row["ratio"],
            f"{median:.2f}",
            f"{row['min']:.2f}–{row['max']:.2f}",
            "" if goal is None else f"≥ {goal}",
            _met(None if goal is None else median >= goal),
        )
    return table


def _met(met: bool | None) -> str:
    return {None: "", True: "[green]met[/]", False: "[red]missed[/]"}[met]


if __name__ == "__main__":
    typer.run(main)
