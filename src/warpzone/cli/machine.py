"""`warpzone levels`, `bench`, `doctor` and `rom`: what is there and how well it runs."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Annotated

import typer
from rich.table import Table

from warpzone.cli.choose import find_rom
from warpzone.cli.options import EngineOption, JsonOption, RomOption
from warpzone.cli.output import err, out, plain
from warpzone.cpu import MOST_THREADS
from warpzone.errors import EngineError
from warpzone.smb.level_guide import GUIDE
from warpzone.smb.levels import LEVELS, level_kind


def levels(as_json: JsonOption = False) -> None:
    """List the 32 levels."""
    if as_json:
        rows = {name: {"kind": level_kind(name), "note": GUIDE[name]} for name in LEVELS}
        print(json.dumps(rows, indent=2))
        return
    table = Table("level", "kind", "what makes it hard", box=None, header_style="bold")
    for name in LEVELS:
        table.add_row(name, level_kind(name), GUIDE[name])
    out.print(table)


def doctor(
    as_json: JsonOption = False, rom: RomOption = None, engine: EngineOption = "auto"
) -> None:
    """Check what is installed, the device, the ROM, and that the game runs."""
    from warpzone import doctor as ward

    findings = ward.examine(rom)
    if as_json:
        print(json.dumps(ward.as_json(findings), indent=2))
    else:
        marks = {True: "[green]ok[/] ", False: "[bold red]bad[/]", None: "[dim]--[/] "}
        for finding in findings:
            # No table, which would break paths in two.
            line = f"{marks[finding.ok]} {finding.name:<11} {plain(finding.text)}"
            out.print(line, soft_wrap=True)
    if not ward.healthy(findings):
        raise typer.Exit(1)


def bench(
    threads: Annotated[
        int | None, typer.Option(help="For several. Default: all cores.", min=1, max=MOST_THREADS)
    ] = None,
    as_json: JsonOption = False,
    rom: RomOption = None,
) -> None:
    """Measure how fast games run here, beside the other emulators that are installed."""
    from warpzone.bench import report, run
    from warpzone.cpu import available_cores
    from warpzone.nes.cartridge import cartridge_of

    found = find_rom(rom)
    with err.status("making native code"):
        cartridge = cartridge_of(found)
        if cartridge.engine is not None:
            with suppress(EngineError):  # the table says so
                cartridge.engine.wait()
    with err.status("") as status:
        result = run.measure_all(found, threads or available_cores(), status.update)
    if as_json:
        print(json.dumps(run.as_json(result, found), indent=2))
        return
    for line in report.describe(report.machine(), found):
        out.print(f"[dim]{plain(line)}[/]", soft_wrap=True)
    out.print(f"games run {plain(cartridge.running)}", soft_wrap=True)
    table = Table(box=None, header_style="bold")
    table.add_column("one thread unless it says more")
    table.add_column("median (range)", justify="right")
    table.add_column("")
    for title, unit in result.units.items():
        spread = result.rates.get(title)
        text = result.problems[title] if spread is None else spread.text(",.0f")
        table.add_row(title, plain(text), unit)
    for title, seconds in result.times.items():
        table.add_row(title, f"{seconds * 1e6:,.1f}", "µs")
    out.print(table)
    for title, ratio in result.ratios.items():
        out.print(f"{title}: [bold]{ratio:.1f}[/]")


def rom(
    path: RomOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which ROM is used; fetch one where there is none."""
    found = find_rom(path)
    facts = {
        "path": str(found.path),
        "found": found.origin,
        "revision": found.revision,
        "sha1": found.sha1,
        "sha256": found.sha256,
    }
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    for name, text in facts.items():
        out.print(f"[bold]{name:<10}[/]{plain(text)}", soft_wrap=True)
