"""How fast agents are trained: agent steps per second of `warpzone train`'s presets.

    python -m benchmarks.training                           # table on stderr, JSON on stdout
    python -m benchmarks.training --out training.json
    python -m benchmarks.training --preset tiles --repeats 5 --updates 40

Measures whole updates of the trainer, as `warpzone train` runs it: playing, learning, the copy of
the state that an interruption falls back to, and the logs. Left out: start-up, the first updates
(warm-up), and what comes once in many updates, that is checkpoints and measured clear rates. Each
repeat is a process of its own with a new agent and another seed; presets take turns.

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
    "tiles": Plan(updates=20, warmup=3, goal=8000.0),
}


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
        int | None, typer.Option(min=1, help="CPU threads.", show_default="all cores")
    ] = None,
    rom: Annotated[
        Path | None, typer.Option(help="The ROM to play.", show_default="looked for")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File for the JSON.", show_default="standard output")
    ] = None,
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
    except WarpzoneError as error:
        console.print(str(error), markup=False)
        raise typer.Exit(2) from None

    facts = {**report.machine(), "torch": torch.__version__}
    for line in report.describe(facts, game):
        console.print(line, markup=False, soft_wrap=True)
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in plans}
    limit_spinning()  # for those to be started, as `warpzone train` does
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        for seed in range(repeats):
            for name, plan in plans.items():
                task = (name, level, plan.updates, plan.warmup, threads, seed, game.path)
                try:
                    got = pool.submit(measure, *task).result()
                except WarpzoneError as error:
                    console.print(str(error), markup=False)
                    raise typer.Exit(2) from None
                measured[name].append(got)
                console.print(
                    f"{name}, repeat {seed + 1} of {repeats}: {got['steps_per_second']:,.0f}"
                    f" agent steps/s over {got['seconds']:.1f} s"
                )

    results = [_summary(name, plans[name], measured[name]) for name in plans]
    console.print(_table(results, level))
    result = {
        "benchmark": "training",
        "machine": facts,
        "load_after": report.load(),
        "rom": report.rom_facts(game),
        "protocol": {"level": level, "device": "cpu", "threads": threads or "all cores"},
        "presets": results,
    }
    report.write(result, out, console)


def _summary(name: str, plan: Plan, repeats: list[dict[str, float]]) -> dict[str, Any]:
    spread = Spread.of([repeat["steps_per_second"] for repeat in repeats])
    return {
        "preset": name,
        "updates": plan.updates,
        "warmup_updates": plan.warmup,
        "steps_per_second": spread._asdict(),
        "playing_share": Spread.of([repeat["playing_share"] for repeat in repeats])._asdict(),
        "learning_share": Spread.of([repeat["learning_share"] for repeat in repeats])._asdict(),
        "repeats": repeats,
        "goal": plan.goal,
        "met": spread.median >= plan.goal,
    }


def _table(results: list[dict[str, Any]], level: str) -> Table:
    table = Table("preset", title=f"training on {level}: agent steps per second")
    for name in ("median", "min–max", "playing", "learning", "goal"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in results:
        rate = Spread(**row["steps_per_second"])
        table.add_row(
            row["preset"],
            f"{rate.median:,.0f}",
            f"{rate.min:,.0f}–{rate.max:,.0f}",
            f"{row['playing_share']['median']:.0%}",
            f"{row['learning_share']['median']:.0%}",
            f"≥ {row['goal']:,.0f}",
            "[green]met[/]" if row["met"] else "[red]missed[/]",
        )
    return table


if __name__ == "__main__":
    typer.run(main)
