"""How fast pictures of 1-1 are learnt beside other projects, each with its best-known settings.

    python -m benchmarks.learning_peers                     # table on stderr, JSON on stdout
    python -m benchmarks.learning_peers --seconds 900 --seeds 3 --out learning-peers.json
    python -m benchmarks.learning_peers --only warpzone --only cleanrl-style

    warpzone            `warpzone train 1-1 --preset pixels`
    cleanrl-style       `cleanrl_ppo.py`, our reading of CleanRL's PPO for Atari, its settings
    stable-baselines3   its PPO, its zoo's settings for Atari: pip install stable-baselines3

All play our environment, whose reward, ends and random starts are the same for all; the others see
84×84 grey pictures in stacks of four, as they do in Atari. Each trains in a process of its own on
the CPU with all cores (`--threads` for fewer), until half of its last 100 training episodes cleared
the level or `--seconds` are spent: "not reached" is a result. Clocks start when playing does.
Their settings are for Atari and its 10 million steps, because nothing better is published for this
game; what they would be worth with ours is not measured here. With several seeds learners take
turns, every other time in the opposite order.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from benchmarks import cleanrl_ppo, learning_workers
from benchmarks.learning_workers import LEARNERS, WINDOW, Order
from benchmarks.options import OutOption, RomOption
from rich.table import Table

from warpzone.bench import report
from warpzone.bench.report import Spread
from warpzone.cpu import available_cores
from warpzone.errors import EngineError, WarpzoneError
from warpzone.nes.cartridge import cartridge_of
from warpzone.smb.rom import find_rom

ROOT = Path(__file__).resolve().parent.parent
OVERHEAD_SECONDS = 300
"""What a process may take beyond its budget."""


def measure(name: str, order: Order) -> dict[str, Any]:
    """Trains one learner in a process of its own; returns what `Watch.result` does.

    Raises:
        WarpzoneError: it failed.
    """
    line = [sys.executable, "-m", "benchmarks.learning_workers", name, json.dumps(order._asdict())]
    limit = order.seconds + OVERHEAD_SECONDS
    try:
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        raise WarpzoneError(f"{name} was still busy after {limit:.0f} s") from None
    if done.returncode != 0:
        words = done.stderr.strip().splitlines() or ["it said nothing"]
        raise WarpzoneError(f"{name}: status {done.returncode}, {words[-1]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"seed": order.seed, **result}


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns medians and ranges over the seeds; of the goal over those that reached it."""
    reached = [result["reached"] for result in results if result["reached"] is not None]
    best = [max((rate for *_, rate in result["curve"]), default=0.0) for result in results]
    return {
        "steps_per_second": Spread.of([it["steps_per_second"] for it in results])._asdict(),
        "reached": len(reached),
        "of": len(results),
        **{
            f"{name}_to_goal": Spread.of([it[name] for it in reached])._asdict()
            if reached
            else None
            for name in ("seconds", "steps")
        },
        "best_clear_rate": Spread.of(best)._asdict(),
    }


def table(found: dict[str, dict[str, Any]], reasons: dict[str, str], budget: float) -> Table:
    """Returns a line for each learner."""
    made = Table("learner", title="pictures of 1-1, from nothing")
    for heading in ("steps/s", "steps to the goal", "seconds to the goal", "reached", "best rate"):
        made.add_column(heading, justify="right")
    for name in LEARNERS:
        if name in reasons:
            made.add_row(name, reasons[name], "", "", "", "")
            continue
        if name not in found:
            continue
        row, goal = found[name], "steps_to_goal"
        late = f"not reached in {budget:,.0f} s"
        made.add_row(
            name,
            Spread(**row["steps_per_second"]).text(",.0f"),
            Spread(**row[goal]).text(",.0f") if row[goal] else late,
            Spread(**row["seconds_to_goal"]).text(",.0f") if row["seconds_to_goal"] else late,
            f"{row['reached']} of {row['of']}",
            f"{row['best_clear_rate']['median']:.0%}",
        )
    return made


def main(
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only this learner; may be repeated.", show_default="all"),
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="Budget of each training.")] = 600.0,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each, seeds 0, 1, 2 …")] = 1,
    goal: Annotated[float, typer.Option(min=0.01, max=1, help="Share cleared that ends it.")] = 0.5,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads.", show_default="all cores")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Of ours, as `warpzone train` has it."),
    ] = None,
    rom: RomOption = None,
    out: OutOption = None,
) -> None:
    """Measure learners on pictures of 1-1."""
    console = report.console()
    if unknown := [name for name in only or () if name not in LEARNERS]:
        raise typer.BadParameter(f"{', '.join(unknown)}: there are {', '.join(LEARNERS)}")
    try:
        game = find_rom(rom, log=console.print)
        engine = cartridge_of(game).engine
        if engine is not None:
            engine.wait()
    except EngineError as error:  # then all play with the interpreter
        console.print(str(error), markup=False)
    except WarpzoneError as error:
        console.print(str(error), markup=False)
        raise typer.Exit(2) from None
    facts = {**report.machine(), "torch": torch.__version__}
    for words in report.describe(facts, game):
        console.print(words, markup=False, soft_wrap=True)

    count = threads or available_cores()
    chosen = [name for name in LEARNERS if name in (only or LEARNERS)]
    reasons = {name: why for name in chosen if (why := learning_workers.missing(name))}
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in chosen if name not in reasons}
    for name, why in reasons.items():
        console.print(f"{name}: {why}", markup=False)
    for seed in range(seeds):
        for name in [*results] if seed % 2 == 0 else [*results][::-1]:
            order = Order(seed, seconds, count, str(game.path), goal)
            if name == "warpzone":
                order = order._replace(settings=tuple(settings or ()))
            try:
                got = measure(name, order)
            except WarpzoneError as error:
                reasons[name] = str(error)
                console.print(str(error), markup=False, soft_wrap=True)
                continue
            results[name].append(got)
            at = got["reached"]
            said = f"{at['seconds']:,.0f} s" if at else f"not reached in {seconds:,.0f} s"
            console.print(
                f"{name}, seed {seed}: {got['steps_per_second']:,.0f} steps/s,"
                f" {goal:.0%} cleared: {said}"
            )
    found = {name: summary(measured) for name, measured in results.items() if measured}
    console.print(table(found, {n: why for n, why in reasons.items() if n not in found}, seconds))
    report.write(
        {
            "benchmark": "learning_peers",
            "machine": facts,
            "load_after": report.load(),
            "rom": report.rom_facts(game),
            "protocol": {
                "level": "1-1",
                "goal": goal,
                "window": WINDOW,
                "seconds": seconds,
                "threads": count,
                "settings": {
                    "warpzone": ["preset pixels", *(settings or [])],
                    "cleanrl-style": cleanrl_ppo.Args().__dict__,
                    "stable-baselines3": learning_workers.SB3,
                },
            },
            "learners": found,
            "seeds": results,
            "failures": reasons,
        },
        out,
        console,
    )


if __name__ == "__main__":
    typer.run(main)
