"""`warpzone campaign`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from warpzone.cli.choose import find_rom
from warpzone.cli.options import (
    EXIT_INTERRUPTED,
    MOST_EPISODES,
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
from warpzone.extras import AGENT, need
from warpzone.smb.levels import parse_levels

if TYPE_CHECKING:
    from warpzone.training.campaign import Outcome


def campaign(
    levels: Annotated[str, typer.Argument(help="1-1 to 8-4, several with commas, or all.")] = "all",
    out_dir: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where everything goes.")
    ] = Path("runs/campaign"),
    hours: Annotated[
        float,
        typer.Option(
            help="Of training, all together. Measuring at the end takes some minutes more.",
            min=0,
            max=MOST_HOURS,
            callback=finite,
        ),
    ] = 8.0,
    jobs: Annotated[
        int | None,
        typer.Option(
            help="Levels trained at once, then threads of the network. Default: one for each core.",
            min=1,
            max=MOST_THREADS,
        ),
    ] = None,
    network_share: Annotated[
        float | None,
        typer.Option(
            help="Share of the hours for the one network; 0: a specialist for each level only. "
            "Default: half, and 0 for a single level.",
            min=0,
            max=1,
            callback=finite,
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="RUN_OR_AGENT", help="An agent for all levels, that the network begins with."
        ),
    ] = None,
    preset: Annotated[Preset, typer.Option(help="Of every specialist.")] = Preset.specialist,
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
        typer.Option("--set", metavar="NAME=VALUE", help="Any setting, for every specialist."),
    ] = None,
    network_settings: Annotated[
        list[str] | None,
        typer.Option("--set-network", metavar="NAME=VALUE", help="Any setting of the network."),
    ] = None,
    episodes: Annotated[
        int,
        typer.Option(help="Of each measurement at the end, per level.", min=1, max=MOST_EPISODES),
    ] = 100,
    as_json: JsonOption = False,
    rom: RomOption = None,
    engine: EngineOption = "auto",
) -> None:
    """Train an agent for each of many levels, and then one network for all, within a time budget.

    At the end all are measured, see DIR/results.md. The same line goes on after an interruption.
    """
    need("warpzone campaign", train=AGENT)

    from warpzone.cpu import available_cores
    from warpzone.training import campaign as whole

    find_rom(rom)
    names = list(parse_levels(levels))
    count = jobs or available_cores()
    share = network_share
    if share is None:
        share = 0.5 if len(names) > 1 else 0.0
    given = [("--set", text) for text in settings or []]
    given += [("--set-network", text) for text in network_settings or []]
    if init is not None:
        given.append(("--init", init))
    line = shlex.join(
        [
            *("warpzone", "campaign", levels, "--out", str(out_dir), "--hours", f"{hours:g}"),
            *("--jobs", str(count), "--network-share", f"{share:g}", "--preset", preset.value),
            *("--target", f"{target:g}", "--slice-steps", str(slice_steps)),
            *("--episodes", str(episodes)),
            *(word for pair in given for word in pair),
        ]
    )
    outcome = whole.run(
        names,
        out_dir,
        hours=hours,
        jobs=count,
        network_share=share,
        init=init,
        preset=preset.value,
        slice_steps=slice_steps,
        target=target,
        settings=settings or [],
        network_settings=network_settings or [],
        rom=rom,
        log=remark,
    )
    if not outcome.interrupted:
        from warpzone.agents.campaign_results import measure_campaign

        remark("measuring")
        measure_campaign(
            outcome.runs,
            names,
            out_dir,
            line,
            episodes=episodes,
            jobs=count,
            rom=rom,
            log=remark,
        )
    if as_json:
        print(json.dumps(outcome.as_json(), indent=2))
    else:
        _print_outcome(outcome, out_dir)
    if outcome.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)


def _print_outcome(outcome: Outcome, out_dir: Path) -> None:
    table = Table("level", "steps", "best measured", "run", box=None, header_style="bold")
    rows = [(e.level, e.steps, e.clear_rate, e.reason or str(e.path)) for e in outcome.entries]
    if outcome.network is not None:
        network = outcome.network
        told = network.reason or str(network.path)
        rows.append(("all", network.steps, network.clear_rate, told))
    for name, steps, rate, text in rows:
        table.add_row(name, f"{steps:,}", "–" if rate is None else f"{rate:.0%}", plain(text))
    out.print(table)
    if not outcome.interrupted:
        out.print(plain(f"The table: {out_dir / 'results.md'}"), soft_wrap=True)
