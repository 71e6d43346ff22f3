"""Draws `docs/observations.png`: one moment of 1-1 as each observation shows it.

python scripts/draw_observations.py [FILE]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import warpzone
from warpzone import _native
from warpzone.smb.actions import ACTION_SETS
from warpzone.smb.config import Observation

ROOT = Path(__file__).resolve().parents[1]
PAPER, INK = (24, 28, 32), (220, 224, 228)
GAP, LINE = 8, 14
STEPS = 24
"""Of `right + B` from the start of 1-1: the first goomba and the first blocks are in sight."""


def moment(observation: Observation) -> Any:
    """What an agent sees after `STEPS` steps; the game is the same each time."""
    env = warpzone.make("1-1", observation=observation)
    seen, _ = env.reset(seed=0)
    for _ in range(STEPS):
        seen, *_ = env.step(ACTION_SETS["simple"].index(["right", "B"]))
    env.close()
    return seen


def enlarged(picture: NDArray[np.uint8], factor: int) -> Image.Image:
    return Image.fromarray(picture.repeat(factor, 0).repeat(factor, 1))


def draw() -> Image.Image:
    """`rgb` at the left, `pixels` and `ram` at its right, the planes of `tiles` below."""
    whole = Image.fromarray(moment("rgb"))
    grey = [Image.fromarray(channel) for channel in moment("pixels")]
    planes = [enlarged(plane, 8) for plane in moment("tiles")["tiles"]]
    cell = planes[0].width + GAP
    width = GAP + 4 * cell
    below = GAP + LINE + whole.height + GAP
    sheet = Image.new("RGB", (width, below + 2 * (LINE + planes[0].height + GAP)), PAPER)
    pen = ImageDraw.Draw(sheet)

    def put(image: Image.Image, x: int, y: int, title: str) -> None:
        pen.text((x, y), title, INK)
        sheet.paste(image, (x, y + LINE))

    put(whole, GAP, GAP, "rgb")
    for index, image in enumerate(grey):
        x = 2 * GAP + whole.width + index % 2 * (image.width + GAP)
        put(image, x, GAP + index // 2 * (image.height + LINE + GAP), f"pixels {index}")
    ram = enlarged(moment("ram").reshape(64, 32), 2)
    put(ram, 2 * GAP + whole.width + 2 * (grey[0].width + GAP), GAP, "ram")
    for index, (name, plane) in enumerate(zip(_native.TILE_PLANES, planes, strict=True)):
        row, column = divmod(index, 4)
        put(plane, GAP + column * cell, below + row * (LINE + plane.height + GAP), name)
    return sheet.quantize(64)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "observations.png"
    draw().save(target, optimize=True)
    print(target)
