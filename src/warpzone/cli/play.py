"""`warpzone play` and `replay`: games of people, and episodes again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from warpzone.cli.choose import check_level, described_game, find_rom, levels_from
from warpzone.cli.options import EngineOption, RomOption
from warpzone.cli.output import err, out, plain, print_episode
from warpzone.errors import ConfigError
from warpzone.files import check_output_path, write_atomically
from warpzone.nes.start_states import SUFFIX

if TYPE_CHECKING:
    from warpzone.episodes.format import Episode
    from warpzone.nes.game import Game
    from warpzone.nes.rom import Rom


def play(
    level: Annotated[
        str,
        typer.Argument(
            metavar="[LEVEL]",
            help="1-1 to 8-4; or another game: tetris, super-mario-bros-3 …, a Python file that "
            "describes one, or the file of any cartridge (.nes).",
        ),
    ] = "1-1",
    start: Annotated[
        str | None,
        typer.Option(
            help="Where a described game begins, one of its starts. Default: the first of them."
        ),
    ] = None,
    power_on: Annotated[
        bool, typer.Option("--power-on", help="Begin at the title screen, not at a level.")
    ] = False,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write what is played since the last start as an episode, name.json, "
            "for `warpzone replay`.",
        ),
    ] = None,
    scale: Annotated[int, typer.Option(help="Screen pixels per NES pixel.", min=1, max=8)] = 3,
    rom: RomOption = None,
    engine: EngineOption = "auto",
) -> None:
    """Play a level or another game yourself, with keyboard or gamepad."""
    from warpzone.episodes.format import POWER_ON, Person, check_episode_path
    from warpzone.episodes.play_recorder import PlayRecorder
    from warpzone.viewers.window import require_display

    game = described_game(level)
    if power_on and start is not None:
        raise ConfigError(
            f"two beginnings are named, --power-on and --start {start}: leave out one"
        )
    if game is not None:
        order = _starts_from(game, start)
    elif start is not None:
        raise ConfigError(f"--start is for described games, and {level!r} is none")
    elif Path(level).suffix.lower() == ".nes":
        if rom is not None:
            raise ConfigError(f"two cartridges are named, {level} and --rom {rom}: leave out one")
        order, rom = [], Path(level)
        power_on = True
    else:
        order = levels_from(check_level(level))
    if power_on:
        order = [POWER_ON, *order]
    if record is not None:
        check_episode_path(record)
    require_display("To play, run this where there is a screen")

    from warpzone.nes.console import Console
    from warpzone.viewers.play import play as open_window

    recorder = PlayRecorder(Console(_cartridge(rom, game)), game)
    try:
        open_window(recorder.console, order, scale=scale, recorder=recorder)
    finally:  # Ctrl-C ends a game like closing the window does
        if record is not None and recorder.frames > 0:
            episode = recorder.episode(Person())
            episode.save(record)
            print_episode(record, episode)
        elif record is not None:
            err.print(f"nothing was played: {plain(record)} is not written", soft_wrap=True)


def _starts_from(game: Game, start: str | None) -> list[str]:
    """Returns the starts of a game in their order, from the one that is named on."""
    names = list(game.starts)
    if start is not None and start not in names:
        raise ConfigError(f"{game.name} has no start {start!r}: there are {', '.join(names)}")
    first = 0 if start is None else names.index(start)
    return [*names[first:], *names[:first]]


def _cartridge(rom: Path | None, game: Game | None) -> Rom:
    if game is None:
        return find_rom(rom)
    return game.open_rom(rom)


def replay(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="An episode (.json), or an FM2 movie that begins at power-on."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="No window, but a file: a film (.mp4, .gif), a sheet of pictures (.png), "
            "a movie (.fm2), an episode (.json), or with --at a moment (.state).",
        ),
    ] = None,
    at: Annotated[
        int | None,
        typer.Option(
            metavar="FRAME",
            help="With -o name.state: write the moment after so many frames, for "
            "`warpzone eval --start` and the setting start_states.",
            min=0,
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="No window: say whether the game goes as it was recorded."),
    ] = False,
    scale: Annotated[
        int | None,
        typer.Option(
            help="Screen or film pixels per NES pixel. Default: 3; for mp4 4, for gif 1.",
            min=1,
            max=8,
        ),
    ] = None,
    pictures: Annotated[
        int | None, typer.Option(help="On a sheet (.png). Default: 20.", min=1, max=1000)
    ] = None,
    rom: RomOption = None,
    engine: EngineOption = "auto",
) -> None:
    """Play an episode again, exactly: in a window, or into a film, a sheet, an FM2 movie or a
    moment at which others begin."""
    from warpzone.episodes.replay import Replay
    from warpzone.nes.console import Console
    from warpzone.viewers import replay as again

    to_state = output is not None and output.suffix.lower() == SUFFIX
    if (at is not None) != to_state:
        raise ConfigError("a moment is written by --at FRAME -o name.state: give both or neither")
    if scale is not None and (at is not None or (check and output is None)):
        raise ConfigError(
            f"--scale is {scale}, and is for a window or a film: leave it out with --at and --check"
        )
    if pictures is not None and (output is None or at is not None):
        raise ConfigError(
            f"--pictures is {pictures}, and is for a sheet: leave it out, or write one, -o name.png"
        )
    cartridge = find_rom(rom)
    episode = again.read_episode(file, cartridge)
    if output is not None and at is not None:
        _write_moment(episode, at, output, cartridge)
        _tell_checked(file, episode)
        return
    player = Replay(episode, Console(cartridge))
    if not check and output is None:
        from warpzone.viewers.window import require_display

        require_display(f"Make a film instead: warpzone replay {file} -o clip.mp4")
    if output is not None:
        again.export(player, output, scale=scale, pictures=pictures)
    elif check:
        player.verify()
    else:
        shown = again.show(player, title=f"warpzone: {file.name}", scale=scale or 3)
        if shown.ended:
            player.verify()
        else:
            return
    _tell_checked(file, episode)
    if output is not None:
        size = output.stat().st_size / 1e6
        out.print(f"[bold]{plain(output)}[/]  {size:.2f} MB", soft_wrap=True)


def _tell_checked(file: Path, episode: Episode) -> None:
    print_episode(file, episode)
    known = "as recorded" if episode.ram_sha256 else "played to the end (no checksum to compare)"
    out.print(f"RAM after the last frame: {known}")


def _write_moment(episode: Episode, frame: int, output: Path, cartridge: Rom) -> None:
    from warpzone.episodes.replay import snapshot_at

    check_output_path(output, "a moment", (SUFFIX,))
    write_atomically(output, snapshot_at(episode, frame, cartridge))
    out.print(f"[bold]{plain(output)}[/]  the moment after frame {frame:,}", soft_wrap=True)
