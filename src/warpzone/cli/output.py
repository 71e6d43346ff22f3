"""The consoles that commands print with: results go to one, remarks beside them to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from warpzone.nes.console import FRAMES_PER_SECOND

if TYPE_CHECKING:
    from pathlib import Path

    from warpzone.episodes.episode import Episode

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def print_film(path: Path, frames: int) -> None:
    seconds = frames / FRAMES_PER_SECOND
    size = path.stat().st_size / 1e6
    out.print(f"[bold]{escape(str(path))}[/]  {seconds:.1f} s, {size:.1f} MB", soft_wrap=True)


def print_episode(path: Path, episode: Episode) -> None:
    ended = f", {episode.outcome}" if episode.outcome else ""
    out.print(
        f"[bold]{escape(str(path))}[/]  from {episode.start}, {episode.frames:,} frames "
        f"({episode.seconds:.1f} s), by {escape(str(episode.player))}{escape(ended)}",
        soft_wrap=True,
    )
