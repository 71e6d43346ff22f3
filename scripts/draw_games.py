"""Draws the pictures of docs/own-game.md and docs/other-games.md: where games begin.

    python scripts/draw_games.py

Writes docs/described-games.png, one picture of each game, and docs/starts-NAME.png, where episodes
of one may begin. Needs their cartridges: `warpzone rom --list`, `warpzone rom NAME`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import warpzone
from warpzone.games.catch import cartridge
from warpzone.nes import make
from warpzone.nes.game import game_named
from warpzone.smb.cartridges import all_levels
from warpzone.smb.rom import find_rom

DOCS = Path(__file__).resolve().parents[1] / "docs"
SHOWN = ("tetris", "super-mario-bros-3", "super-mario-bros-2-usa", "zelda", "catch")
STARTS = {"super-mario-bros-2-usa": "1-2"}
SHEETS = {"super-mario-bros-3": 4, "super-mario-bros-2-usa": 5}
"""Columns of a sheet of all starts."""
STEPS = 30
SIZE = (256, 240)
SMALL = (192, 180)

Picture = NDArray[np.uint8]


def picture(name: str, rom: Path | None, start: str | None) -> Picture:
    """Returns what a game shows some steps after a start."""
    starts = {} if start is None else {"starts": start}
    env = make(rom, name, render_mode="rgb_array", noop_max=0, **starts)
    env.reset(seed=0)
    for _ in range(STEPS):
        env.step(0)
    shown = env.render()
    env.close()
    assert isinstance(shown, np.ndarray)
    return shown


def lost_levels() -> Iterator[Picture]:
    """Yields where the levels of the Lost Levels begin."""
    rom = find_rom("lost-levels")
    for level in all_levels(rom):
        env = warpzone.make(level, rom=rom, render_mode="rgb_array")
        env.reset(seed=0)
        shown = env.render()
        env.close()
        assert isinstance(shown, np.ndarray)
        yield shown


def write(name: str, pictures: Sequence[Picture], columns: int, size: tuple[int, int]) -> None:
    """Writes pictures side by side, in so many columns."""
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (size[0] * columns, size[1] * rows))
    for k, shown in enumerate(pictures):
        small = Image.fromarray(shown).resize(size, Image.Resampling.BOX)
        sheet.paste(small, (k % columns * size[0], k // columns * size[1]))
    sheet.quantize(64).save(DOCS / name, optimize=True)


def main() -> None:
    """Draws all of them."""
    with TemporaryDirectory() as folder:
        catch = Path(folder) / "catch.nes"
        cartridge(catch)
        first = [
            picture(name, catch if name == "catch" else None, STARTS.get(name)) for name in SHOWN
        ]
    write("described-games.png", first, len(SHOWN), SIZE)
    for name, columns in SHEETS.items():
        starts = [picture(name, None, start) for start in game_named(name).starts]
        write(f"starts-{name}.png", starts, columns, SMALL)
    write("starts-lost-levels.png", list(lost_levels()), 4, SMALL)


if __name__ == "__main__":
    main()
