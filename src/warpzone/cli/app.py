"""The list of commands, each with an example, and what becomes of errors."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from warpzone.cli import campaign, evaluate, fleet, machine, play, record, runs, share, train, watch
from warpzone.cli.options import EXIT_ERROR, EXIT_FAILED, EXIT_INTERRUPTED
from warpzone.cli.output import err, out, plain
from warpzone.errors import TrainingError, WarpzoneError, is_out_of_memory
from warpzone.registration import register
from warpzone.version import VERSION

_NEWLINE = "\n"
_NO_MEMORY = "out of memory. End other programs, or do less at once: fewer games, fewer threads"


class _Commands(TyperGroup):
    """Prints what a user can mend as one message; anything else keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        register()  # for code of the user's own that a command runs
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            # Newer versions of typer tell of the bound alone.
            cause = error.__cause__
            if isinstance(cause, ValidationError):
                given = cause.errors(include_url=False, include_context=False)[0]["input"]
                if repr(given) not in error.message:
                    error.message += f" (given: {given!r})"
            raise
        except WarpzoneError as error:
            _report(_NO_MEMORY if is_out_of_memory(error) else str(error))
            failed = isinstance(error, TrainingError)
            raise typer.Exit(EXIT_FAILED if failed else EXIT_ERROR) from error
        except BrokenPipeError:
            raise  # whoever read the output has seen enough
        except OSError as error:
            # A full disk, a folder that may not be entered, a name that is too long.
            where = "" if error.filename is None else f"{str(error.filename)!r}: "
            _report(f"{where}{error.strerror or error}")
            raise typer.Exit(EXIT_ERROR) from error
        except KeyboardInterrupt as error:
            err.print("interrupted")
            raise typer.Exit(EXIT_INTERRUPTED) from error
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            _report(_NO_MEMORY)
            raise typer.Exit(EXIT_ERROR) from error


def _report(text: str) -> None:
    err.print(f"[bold red]error:[/] {plain(text, keep=_NEWLINE)}", soft_wrap=True)


app = typer.Typer(
    name="warpzone",
    help="Teach Super Mario Bros. to an agent, measure it, and watch it play.",
    epilog="Start with: [cyan]warpzone train 1-1 --watch[/]",
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"warpzone {VERSION}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    command = context.invoked_subcommand
    if command not in (None, "train") and "TORCHELASTIC_RUN_ID" in os.environ:
        from warpzone.training.launch import refuse_torchrun

        refuse_torchrun(command)


# The order is that of `warpzone --help` and of the reference.
app.command(epilog="Example: [cyan]warpzone train 1-1 --seed 1 --watch[/]")(train.train)
app.command(
    epilog="Example: [cyan]warpzone campaign all --hours 8[/]  (the same line goes on with it)"
)(campaign.campaign)
app.command(
    epilog="Example: [cyan]warpzone fleet 1-1,1-2 --seeds 3 --grid lr=0.001,0.002[/]  (needs "
    "warpzone\\[ray]; --resume goes on with it)"
)(fleet.fleet)
app.command(epilog="Example: [cyan]warpzone dashboard runs[/]  (Ctrl-C ends it)")(runs.dashboard)
app.command(
    epilog="Example: [cyan]warpzone watch 1-1[/]  (or runs/1-1-tiles-seed0; over ssh: "
    "[cyan]warpzone watch 1-1 --terminal[/])"
)(watch.watch)
app.command(
    epilog="Example: [cyan]warpzone record 1-1 -o clip.mp4[/]  (or runs/1-1-tiles-seed0, clip.gif; "
    "how it learnt: [cyan]warpzone record runs/1-1-tiles-seed0 --progress[/]; "
    "all 32 levels: [cyan]warpzone record all -o mosaic.mp4[/])"
)(record.record)
app.command(
    "eval",
    epilog="Example: [cyan]warpzone eval runs/1-1-tiles-seed0 --sticky 0.25 --json[/]",
)(evaluate.evaluate)
app.command(epilog="Example: [cyan]warpzone play 1-1[/]  (or --power-on --record game.json)")(
    play.play
)
app.command(epilog="Example: [cyan]warpzone replay game.json[/]  (or -o clip.mp4; or movie.fm2)")(
    play.replay
)
app.command(epilog="Example: [cyan]warpzone levels[/]")(machine.levels)
app.command("map", epilog="Example: [cyan]warpzone map 1-1 --run runs/1-1-tiles-seed0[/]")(
    runs.level_map
)
app.command(epilog="Example: [cyan]warpzone report runs/1-1-tiles-seed0[/]")(runs.report)
app.command(
    epilog="Example: [cyan]warpzone push runs/1-1-tiles-seed0 me/mario-1-1[/]  (or --folder mario)"
)(share.push)
app.command(epilog="Example: [cyan]warpzone track runs/1-1-tiles-seed0 wandb[/]")(share.track)
app.command(epilog="Example: [cyan]warpzone export 1-1 -o mario.onnx[/]  (or mario.pt2)")(
    share.export
)
app.command(epilog="Example: [cyan]warpzone doctor[/]")(machine.doctor)
app.command(epilog="Example: [cyan]warpzone bench --json > bench.json[/]")(machine.bench)
app.command(epilog="Example: [cyan]warpzone rom --rom my-copy.nes[/]")(machine.rom)
