"""`warpzone dashboard`, `report` and `map`: what is to be seen of runs."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from warpzone.cli.choose import check_level, check_network, find_rom, use_one_torch_thread
from warpzone.cli.options import MOST_STEPS, EngineOption, NetworkOption, RomOption
from warpzone.cli.output import err, out, plain, remark
from warpzone.errors import ConfigError
from warpzone.extras import AGENT, FILM, need


def dashboard(
    folder: Annotated[
        Path,
        typer.Argument(metavar="[RUNS_DIR]", help="The folder that holds run directories."),
    ] = Path("runs"),
    port: Annotated[
        int, typer.Option(help="On this machine; 0: any free one.", min=0, max=65535)
    ] = 1985,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open it in the browser, too.")
    ] = False,
    token: Annotated[
        bool,
        typer.Option(
            "--token",
            help="Put a token into the address, and answer whoever has it: behind a proxy, such as "
            "that of JupyterHub.",
        ),
    ] = False,
) -> None:
    """Show runs in a browser of this machine: curves, settings, results, live."""
    from warpzone.dashboard.server import link_to, new_token, serve

    with ExitStack() as held:

        def tell(address: str) -> None:
            out.print(f"dashboard of {plain(folder)}: {address}  (Ctrl-C ends it)")
            if open_browser:
                import webbrowser

                # Others may read the arguments of a browser.
                webbrowser.open(held.enter_context(link_to(address)) if token else address)

        serve(folder, port, token=new_token() if token else None, log=tell)


def level_map(
    level: Annotated[str, typer.Argument(metavar="LEVEL", help="1-1 to 8-4.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Where to: name.png. Default: map-LEVEL.png."),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Draw where Mario died in this run's training, and where he went in the "
            "episodes that it kept.",
        ),
    ] = None,
    last: Annotated[
        int | None,
        typer.Option(help="Only so many ends, the latest. Default: all.", min=1, max=MOST_STEPS),
    ] = None,
    rom: RomOption = None,
) -> None:
    """Draw a level as one long picture, with a heat map of a run's deaths."""
    from warpzone.files import write_atomically
    from warpzone.maps import picture as drawing
    from warpzone.maps.run_map import rom_of
    from warpzone.runs.library import Run
    from warpzone.video.film import SHEET_SUFFIX, check_film_path

    path = check_film_path(output or Path(f"map-{check_level(level)}.png"), (SHEET_SUFFIX,))
    if last is not None and run is None:
        raise ConfigError("--last counts the ends of a run; name the run with --run")
    named = rom if rom is not None or run is None else rom_of(Run(run, run.name))
    cartridge = find_rom(named)
    picture, lines = drawing.draw_run(check_level(level), run, last=last, rom=cartridge)
    write_atomically(path, drawing.png(picture))
    for line in lines:
        out.print(plain(line), soft_wrap=True)
    out.print(f"[bold]{plain(path)}[/]  {picture.width}×{picture.height} px", soft_wrap=True)


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Where to: name.html. Default: report.html in RUN."),
    ] = None,
    films: Annotated[
        int, typer.Option(help="Levels that the agent is filmed on, at the most.", min=0, max=32)
    ] = 3,
    rom: RomOption = None,
    network: NetworkOption = None,
    engine: EngineOption = "auto",
) -> None:
    """Write one HTML file about a run, to be sent to somebody: it holds all that it shows."""
    need("warpzone report", train=AGENT, films=FILM)

    from warpzone.report.page import NAME, write_report

    use_one_torch_thread()
    check_network(network, run)
    written = write_report(
        run,
        output or run / NAME,
        films=films,
        rom=rom,
        log=remark,
    )
    for line in written.missing:
        err.print(f"[yellow]left out:[/] {plain(line)}", soft_wrap=True)
    size = written.size / 1e6
    out.print(f"[bold]{plain(written.path)}[/]  {size:.2f} MB", soft_wrap=True)
