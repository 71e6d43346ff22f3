"""`warpzone levels`, `bench`, `doctor` and `rom`: what is there and how well it runs."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Annotated

import typer
from rich.table import Table

from warpzone.cli.choose import find_rom
from warpzone.cli.options import EngineOption, JsonOption, RomOption
from warpzone.cli.output import err, out, plain, remark
from warpzone.cpu import MOST_THREADS
from warpzone.errors import ConfigError, EngineError, RomError
from warpzone.nes.rom import Rom, load_rom
from warpzone.smb.known_cartridges import KNOWN, KnownCartridge
from warpzone.smb.level_guide import GUIDE
from warpzone.smb.levels import LEVELS, level_kind
from warpzone.smb.rom import fetch_known, locate


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
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="A known cartridge (see --list); fetched if need be."),
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="The known cartridges, and which of them are here.")
    ] = False,
    path: RomOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which ROM is used, or a known one by name; fetch one where there is none."""
    if listed:
        if name is not None or path is not None:
            raise ConfigError("--list shows all known cartridges: leave out NAME and --rom")
        _list_known(as_json)
        return
    if name is not None:
        if path is not None:
            raise ConfigError("give either NAME or --rom, not both")
        if name not in KNOWN:
            raise ConfigError(f"no known cartridge {name!r}: there are {', '.join(KNOWN)}")
        _show_known(KNOWN[name], as_json)
        return
    _show(find_rom(path), as_json)


def _show(found: Rom, as_json: bool) -> None:
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


def _show_known(known: KnownCartridge, as_json: bool) -> None:
    """Where it is, whether the console can run it or not."""
    found = locate(known)
    path, origin = (fetch_known(known, remark), "fetched") if found is None else found
    facts = {**_facts_of(known), "path": str(path), "found": origin}
    try:
        load_rom(path, origin)
    except RomError as error:
        facts["problem"] = str(error)
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    for name, text in facts.items():
        out.print(f"[bold]{name:<10}[/]{plain(text)}", soft_wrap=True)


def _facts_of(known: KnownCartridge) -> dict[str, str]:
    levels = f"{known.levels[0]} to {known.levels[-1]}" if known.levels else "none: another game"
    return {
        "name": known.name,
        "revision": known.title,
        "levels": levels,
        "package": known.package,
        "sha256": known.sha256,
    }


def _list_known(as_json: bool) -> None:
    rows = [
        {**_facts_of(known), "path": None if found is None else str(found[0])}
        for known in KNOWN.values()
        for found in [locate(known)]
    ]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    table = Table(box=None, header_style="bold")
    table.add_column("name", no_wrap=True)  # it is typed as it stands here
    for head in ("cartridge", "levels", "carried by", "here"):
        table.add_column(head, overflow="fold")
    for row in rows:
        here = "–" if row["path"] is None else plain(row["path"])
        table.add_row(row["name"], row["revision"], row["levels"], row["package"], here)
    out.print(table)
