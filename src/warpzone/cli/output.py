"""The consoles that commands print with: results go to one, remarks beside them to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from warpzone.console_text import escape_controls

if TYPE_CHECKING:
    from pathlib import Path

    from warpzone.episodes.format import Episode

out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)


def plain(thing: object, keep: str = "") -> str:
    """Returns text from elsewhere for the middle of a line of ours: nothing in it is markup, and no
    terminal obeys it; control characters but those in `keep` are escapes."""
    return escape(escape_controls(str(thing), keep))


def remark(text: str) -> None:
    """Prints one line beside the results."""
    err.print(plain(text), soft_wrap=True)


def print_film(path: Path, frames: int) -> None:
    from warpzone.nes.console import FRAMES_PER_SECOND

    seconds = frames / FRAMES_PER_SECOND
    size = path.stat().st_size / 1e6
    out.print(f"[bold]{plain(path)}[/]  {seconds:.1f} s, {size:.1f} MB", soft_wrap=True)


def print_episode(path: Path, episode: Episode) -> None:
    ended = f", {episode.outcome}" if episode.outcome else ""
    out.print(
        f"[bold]{plain(path)}[/]  from {episode.start}, {episode.frames:,} frames "
        f"({episode.seconds:.1f} s), by {plain(episode.player)}{plain(ended)}",
        soft_wrap=True,
    )
