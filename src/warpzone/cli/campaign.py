"""`warpzone campaign`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from warpzone.cli.choose import find_rom
from warpzone.cli.options import (
    MOST_HOURS,
    MOST_STEPS,
    EngineOption,
    JsonOption,
    Preset,
    RomOption,
    finite,
)
from warpzone.cli.output import out, plain, remark
from warpzone.cpu import MOST_THREADS
from warpzone.smb.levels import parse_levels


def campaign(
    levels: Annotated[str, typer.Argument(help="1-1 to 8-4, several with commas, or all.")] = "all",
    out_dir: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where the runs go, one for each level.")
    ] = Path("runs/campaign"),
    hours: Annotated[
        float, typer.Option(help="For all levels together.", min=0, max=MOST_HOURS, callback=finite)
    ] = 8.0,
    jobs: Annotated[
        int | None,
        typer.Option(
            help="Levels trained at once. Default: one for each core.", min=1, max=MOST_THREADS
        ),
    ] = None,
    preset: Annotated[Preset, typer.Option(help="Of every run.")] = Preset.specialist,
    target: Annotated[
        float,
        typer.Option(
            help="Measured clear rate with which a level is done.", min=0, max=1, callback=finite
        ),
    ] = 0.95,
    slice_steps: Annotated[
        int,
        typer.Option(
            help="Agent steps of a level before another has its turn.", min=1, max=MOST_STEPS
        ),
    ] = 1_000_000,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any setting, for every run."),
    ] = None,
    as_json: JsonOption = False,
    rom: RomOption = None,
    engine: EngineOption = "auto",
) -> None:
    """Train an agent for each of many levels within a time budget."""
    from warpzone.cpu import available_cores
    from warpzone.training import sweep as many

    find_rom(rom)
    entries = many.run(
        list(parse_levels(levels)),
        out_dir,
        hours=hours,
        jobs=jobs or available_cores(),
        preset=preset.value,
        slice_steps=slice_steps,
        target=target,
        settings=settings or [],
        rom=rom,
        log=remark,
    )
    if as_json:
        print(json.dumps(many.summary(entries), indent=2))
        return
    table = Table("level", "steps", "best measured", "run", box=None, header_style="bold")
    for entry in entries:
        rate = "–" if entry.clear_rate is None else f"{entry.clear_rate:.0%}"
        table.add_row(entry.level, f"{entry.steps:,}", rate, plain(entry.reason or str(entry.path)))
    out.print(table)
