"""Draws docs/described-games.png: where the games begin that come along as descriptions.

    python scripts/draw_games.py

Needs their cartridges: `warpzone rom --list`, `warpzone rom NAME`.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from warpzone.games.catch import cartridge
from warpzone.nes import make

TARGET = Path(__file__).resolve().parents[1] / "docs" / "described-games.png"
SHOWN = ("tetris", "super-mario-bros-3", "super-mario-bros-2-usa", "zelda", "catch")
STARTS = {"super-mario-bros-2-usa": "1-2"}
STEPS = 30
SIZE = (256, 240)


def main() -> None:
    sheet = Image.new("RGB", (SIZE[0] * len(SHOWN), SIZE[1]))
    catch = Path("catch.nes")
    cartridge(catch)
    for column, name in enumerate(SHOWN):
        starts = {"starts": STARTS[name]} if name in STARTS else {}
        env = make(catch if name == "catch" else None, name, render_mode="rgb_array", **starts)
        env.reset(seed=0)
        for _ in range(STEPS):
            env.step(0)
        sheet.paste(Image.fromarray(env.render()), (SIZE[0] * column, 0))
    catch.unlink()
    sheet.quantize(64).save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
