"""`warpzone fleet`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from warpzone.cli.choose import find_rom
from warpzone.cli.options import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    MOST_SEED,
    MOST_STEPS,
    AddressOption,
    EngineOption,
    JsonOption,
    Preset,
    RomOption,
    finite,
)
from warpzone.cli.output import out, plain, remark
from warpzone.cpu import MOST_THREADS
from warpzone.errors import ConfigError, LevelError
from warpzone.smb.levels import parse_levels

if TYPE_CHECKING:
    from warpzone.fleet.fleet import FleetOutcome

MOST_GPUS = 8.0
MOST_SEEDS = 10_000


def fleet(
    levels: Annotated[
        str | None,
        typer.Argument(metavar="LEVELS", help="1-1 to 8-4, several with commas, or all."),
    ] = None,
    out_dir: Annotated[
        Path,
        typer.Option(
            "--out", metavar="DIR", help="For a run directory of each trial. All machines see it."
        ),
    ] = Path("runs/fleet"),
    seeds: Annotated[
        int | None, typer.Option(help="So many of each. Default: 1.", min=1, max=MOST_SEEDS)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="The first. Default: 0.", min=0, max=MOST_SEED - MOST_SEEDS)
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=V1,V2",
            help="Values of a setting to compare, e.g. lr=0.001,0.002. May be given several times: "
            "all combinations.",
        ),
    ] = None,
    pbt: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=LOW..HIGH",
            help="Population-based training: the worst go on from the best, with this setting "
            "changed within the range (or NAME=V1,V2). May be given several times.",
        ),
    ] = None,
    interval: Annotated[
        int | None,
        typer.Option(
            help="With --pbt: agent steps between two comparisons. Default: 1,000,000.",
            min=1,
            max=MOST_STEPS,
        ),
    ] = None,
    together: Annotated[
        bool, typer.Option("--together", help="Each trial is trained on all of the levels.")
    ] = False,
    preset: Annotated[Preset | None, typer.Option(help="Of every trial. Default: tiles.")] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Agent steps of a trial. Default: the preset's.", min=1, max=MOST_STEPS),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any setting, for every trial."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="CPUs of a trial. Default: 1.", min=1, max=MOST_THREADS)
    ] = None,
    gpus: Annotated[
        float | None,
        typer.Option(
            help="GPUs of a trial; 0.25: four share one. Default: 0.",
            min=0,
            max=MOST_GPUS,
            callback=finite,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the fleet in DIR, as it was begun."),
    ] = False,
    address: AddressOption = None,
    jobs: Annotated[
        int | None,
        typer.Option(help="CPUs to use on this machine. Default: all.", min=1, max=MOST_THREADS),
    ] = None,
    as_json: JsonOption = False,
    rom: RomOption = None,
    engine: EngineOption = "auto",
) -> None:
    """Train levels × seeds × settings, or populations of them, side by side on a Ray cluster.

    Each trial is a run directory in DIR. What fails is told at the end, and the others go on.
    """
    from warpzone.fleet import fleet as whole
    from warpzone.fleet.cluster import require_ray
    from warpzone.fleet.plan import make_plan

    if resume:
        given: dict[str, Any] = {
            "LEVELS": levels, "--seeds": seeds, "--seed": seed, "--grid": grid, "--pbt": pbt,
            "--interval": interval, "--together": together or None, "--preset": preset,
            "--steps": steps, "--set": settings, "--threads": threads, "--gpus": gpus,
        }  # fmt: skip
        also = [name for name, value in given.items() if value is not None]
        if also:
            raise ConfigError(
                f"a fleet goes on as it was begun: leave out {', '.join(also)}, or begin another"
                " one without --resume, with another --out"
            )
    else:
        if levels is None:
            raise LevelError("which levels? For example: warpzone fleet 1-1,1-2 --seeds 3")
        if interval is not None and not pbt:
            raise ConfigError("--interval is for --pbt: leave it out, or give that too")
        names = list(parse_levels(levels))
        if together and len(names) == 1:
            raise ConfigError("--together is for several levels; leave it out for one")
        plan = make_plan(
            names,
            seeds=seeds or 1,
            first_seed=seed or 0,
            together=together,
            preset=(preset or Preset.tiles).value,
            steps=steps,
            grid=grid or (),
            explored=pbt or (),
            interval=interval or 1_000_000,
            settings=settings or (),
            threads=threads or 1,
            gpus=gpus or 0.0,
        )
    require_ray(address)
    find_rom(rom)
    if not resume:
        whole.begin(plan, out_dir)
    outcome = whole.run(out_dir, address=address, jobs=jobs, rom=rom, log=remark)
    if as_json:
        print(json.dumps(outcome.as_json(), indent=2))
    else:
        _print_outcome(outcome, out_dir)
    if outcome.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    if any("failed" in row for row in outcome.trials):
        raise typer.Exit(EXIT_FAILED)


def _print_outcome(outcome: FleetOutcome, out_dir: Path) -> None:
    table = Table(box=None, header_style="bold")
    for column in ("trial", "state"):
        table.add_column(column)
    for column in ("steps", "best measured"):
        table.add_column(column, justify="right")
    table.add_column("settings")
    for row in outcome.trials:
        rate = row["best_clear_rate"]
        told = ", ".join(f"{name} {value}" for name, value in row["settings"].items())
        if "failed" in row:
            told = row["failed"].splitlines()[0] if row["failed"] else ""
        table.add_row(
            plain(row["trial"]),
            row["state"],
            f"{row['steps']:,}",
            "–" if rate is None else f"{rate:.0%}",
            plain(told),
        )
    out.print(table)
    out.print(plain(f"Look at them: warpzone dashboard {out_dir}"), soft_wrap=True)
