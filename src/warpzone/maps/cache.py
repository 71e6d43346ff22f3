"""The pictures of a level, drawn once and then kept as a PNG in the user's cache directory."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
import platformdirs
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from warpzone.errors import FileError
from warpzone.files import read_regular_file, write_atomically
from warpzone.maps.renderer import HEIGHT, MOST_PLACES, STATUS_BAR, Strip, render_level
from warpzone.nes.cartridge import RomSource, open_rom
from warpzone.nes.console import PALETTE
from warpzone.smb.levels import level_index

VERSION = 1
"""Of how levels are drawn: other pictures, another number."""
LARGEST = 1 << 24
"""Of a file, in bytes; the largest level takes 20 kB."""
MOST_PIXELS = 1 << 26
"""Of all strips of a level; the largest have a twentieth of it."""
ENTRIES = 16
"""Palette entries of one place."""
MARIO_WIDTH, MARIO_HEIGHT = 16, 32


class _Place(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    map: int = Field(ge=0, le=127)
    area: int = Field(ge=1, le=256)
    left: int = Field(ge=0, le=0xFFFF)
    width: int = Field(ge=1, le=0xFFFF)
    palette: list[Annotated[int, Field(ge=0, le=255)]] = Field(
        min_length=ENTRIES, max_length=ENTRIES
    )


class _Places(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    places: list[_Place] = Field(min_length=1, max_length=MOST_PLACES)


@dataclass(frozen=True)
class LevelMap:
    """Holds a level's pictures.

    Attributes:
        level: "1-1" to "8-4".
        strips: where the level begins first.
    """

    level: str
    strips: Sequence[Strip]

    def find(self, x: int, *, map: int | None = None, area: int | None = None) -> int | None:
        """Returns the number of the strip that a place is on; None: it is on none.

        Args:
            x: px from the left end of the map.
            map: see `memory.map_number`; where it is not known, the first strip that reaches so
                far.
            area: as in the signals; None: any.
        """
        for number, strip in enumerate(self.strips):
            here = map in (None, strip.map) and area in (None, strip.area)
            if here and strip.holds(x):
                return number
        return None


def open_map(level: str, rom: RomSource = None) -> LevelMap:
    """Reads a level's pictures from the cache, or draws them.

    Raises:
        LevelError: no such level.
        RomError: no ROM.
        EngineError: the cartridge does not behave like Super Mario Bros.
    """
    level_index(level)
    cartridge = open_rom(rom)
    file = directory() / f"{cartridge.sha1[:16]}-{level}-{VERSION}.png"
    with suppress(OSError, ValueError):
        return LevelMap(level, unpack(read_regular_file(file, LARGEST)))
    strips = render_level(level, cartridge)
    with suppress(FileError):  # it will be drawn again
        write_atomically(file, pack(strips))
    return LevelMap(level, strips)


def directory() -> Path:
    """Returns the folder that the files are in."""
    return Path(platformdirs.user_cache_dir("warpzone")) / "maps"


def pack(strips: Sequence[Strip]) -> bytes:
    """Returns strips one below the other as a PNG that says what they are."""
    width = max(strip.width for strip in strips)
    sheet = np.zeros((HEIGHT * len(strips), width), np.uint8)
    colours = np.zeros((256, 3), np.uint8)
    for number, strip in enumerate(strips):
        rows = slice(number * HEIGHT, (number + 1) * HEIGHT)
        sheet[rows, : strip.width] = strip.picture + number * ENTRIES
        colours[number * ENTRIES :][:ENTRIES] = PALETTE[strip.palette]
    places = _Places(
        places=[
            _Place(map=s.map, area=s.area, left=s.left, width=s.width, palette=s.palette.tolist())
            for s in strips
        ]
    )
    return _png(sheet, colours, places.model_dump_json())


def unpack(data: bytes) -> list[Strip]:
    """Returns the strips that `pack` was given.

    Raises:
        ValueError: it is something else, or damaged.
    """
    try:
        with PngImagePlugin.PngImageFile(io.BytesIO(data)) as image:
            # Before memory is taken for it. Image.open would warn of less, and on its own terms.
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"the picture has {image.width:,} by {image.height:,} px")
            sheet = np.array(image)
            text = str(image.info.get("warpzone"))
    except (OSError, SyntaxError, LookupError, TypeError, struct.error) as error:
        raise ValueError(f"no picture: {error}") from None
    try:
        places = _Places.model_validate_json(text).places
    except ValidationError as error:
        raise ValueError(str(error)) from None
    fits = sheet.ndim == 2 and sheet.shape[0] == HEIGHT * len(places)
    if not fits or any(place.width > sheet.shape[1] for place in places):
        raise ValueError("the picture is not of these places")
    strips = []
    for number, place in enumerate(places):
        rows = sheet[number * HEIGHT : (number + 1) * HEIGHT, : place.width]
        picture = (rows % ENTRIES).astype(np.uint8)
        palette = (np.array(place.palette) & 63).astype(np.uint8)
        strips.append(Strip(place.map, place.area, place.left, picture, palette))
    return strips


def strip_png(strip: Strip) -> bytes:
    """Returns one strip as a PNG by itself, 208 px high."""
    colours = np.zeros((256, 3), np.uint8)
    colours[:ENTRIES] = PALETTE[strip.palette]
    return _png(strip.picture, colours[:ENTRIES], json.dumps({"map": strip.map}))


Pixels = TypeVar("Pixels", int, NDArray[np.int64])


def middle_of_mario(x: Pixels, screen_y: Pixels) -> tuple[Pixels, Pixels]:
    """Returns where he is on a strip's map, px, from the place of his upper left corner on the
    screen: the middle of small Mario, who stands in the lower half of what he takes up."""
    return x + MARIO_WIDTH // 2, screen_y + MARIO_HEIGHT * 3 // 4 - STATUS_BAR


def _png(picture: NDArray[np.uint8], colours: NDArray[np.uint8], text: str) -> bytes:
    image = Image.fromarray(picture)
    image.putpalette(colours.tobytes())
    info = PngImagePlugin.PngInfo()
    info.add_text("warpzone", text)
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=info, optimize=True)
    return file.getvalue()
