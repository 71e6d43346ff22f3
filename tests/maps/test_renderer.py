"""The long pictures are what the game shows."""

from __future__ import annotations

import numpy as np
import pytest

from warpzone import _native
from warpzone.errors import EngineError, LevelError
from warpzone.maps import renderer as rendering
from warpzone.maps.renderer import (
    COLUMN,
    HEIGHT,
    STATUS_BAR,
    Strip,
    render_level,
    shown_left,
)
from warpzone.nes.cartridge import cartridge_of
from warpzone.nes.rom import Rom
from warpzone.smb import memory
from warpzone.smb.levels import LEVELS, level_index
from warpzone.smb.memory import map_number
from warpzone.smb.starts import level_starts

RIGHT, RUN, JUMP = 128, 2, 1
SAMPLE = ("1-1", "1-2", "2-2", "3-3", "4-4", "5-2", "7-3")


def console_at(level: str, rom: Rom) -> _native.Console:
    cartridge = cartridge_of(rom, "interpreter")
    console = _native.Console(cartridge.native)
    console.load(level_starts(cartridge).start(level_index(level)))
    return console


def mario(ram: np.ndarray) -> tuple[int, int]:
    """px from the left end of the map and the top of the screen."""
    x, y = (256 * int(ram[page]) + int(ram[at]) for page, at in ((0x6D, 0x86), (0xB5, 0xCE)))
    return x, y - 256


def touch(strip: Strip, console: _native.Console, touched: np.ndarray) -> None:
    """Mark in bool[208, width] what Mario comes near, where he may take a coin or hit a block."""
    x, y = mario(console.ram)
    column, row = x // COLUMN * COLUMN - strip.left, (y - STATUS_BAR) // COLUMN * COLUMN
    columns = slice(max(column - COLUMN, 0), column + 2 * COLUMN)
    touched[max(row - COLUMN, 0) : max(row + 4 * COLUMN, 0), columns] = True


def differing(strip: Strip, console: _native.Console, touched: np.ndarray) -> np.ndarray:
    """Pixels of the screen, [[row, column], …], that the strip does not have so."""
    left = shown_left(console) - strip.left
    there = strip.picture[:, left : left + 256]
    shown = console.background()[STATUS_BAR:, : there.shape[1]]
    return np.argwhere((shown != there) & ~touched[:, left : left + 256])


@pytest.mark.parametrize("level", SAMPLE)
def test_strips_are_the_backgrounds_of_frames(level: str, rom: Rom) -> None:
    strip = render_level(level, rom)[0]
    random = np.random.default_rng(level_index(level))
    compared, farthest = 0, 0
    for _ in range(6):
        console = console_at(level, rom)
        touched: np.ndarray = np.zeros(strip.picture.shape, dtype=bool)
        buttons = RIGHT | RUN
        before = 0
        for frame in range(900):
            if frame % 12 == 0:
                buttons = RIGHT | RUN | (JUMP if random.random() < 0.6 else 0)
            console.ram[memory.STAR_TIMER] = 0xFF  # a star, so that he gets farther
            console.step(buttons)
            if not memory.playing(console.ram):
                break
            assert map_number(console.ram) == strip.map
            assert int(console.ram[memory.AREA]) + 1 == strip.area
            left = shown_left(console)
            if left < before - 256:
                break  # a maze has sent him back, with much of what lay around him
            before = left
            touch(strip, console, touched)
            if frame % 7 == 0:
                wrong = differing(strip, console, touched)
                assert not len(wrong), f"at {wrong[0]} of the screen, from {left}, frame {frame}"
                compared += 1
            farthest = max(farthest, left)
    assert compared > 50
    assert farthest > 64  # the screen has scrolled


def test_colours_are_those_of_the_screen(rom: Rom) -> None:
    strip = render_level("1-1", rom)[0]
    console = console_at("1-1", rom)
    console.step(0)
    # The upper right of the first screen has no sprites; clouds and sky are there.
    sky = console.screen()[STATUS_BAR:128, 96:256]
    shiny = strip.picture[: 128 - STATUS_BAR, 96:256] == 13  # the entry that changes
    colours = strip.palette[strip.picture][: 128 - STATUS_BAR, 96:256]
    assert (colours == sky)[~shiny].all()
    assert len(set(colours.flat)) >= 4
    assert strip.rgb().shape == (HEIGHT, strip.width, 3)


def test_pipes_and_vines_lead_to_places_of_their_own(rom: Rom) -> None:
    first, bonus = render_level("1-1", rom)
    assert (first.left, bonus.width) == (0, 256)
    assert first.map != bonus.map
    assert first.area == bonus.area == 1
    # Behind the last pipe of 1-2 lies the end of 1-1, and the map of its bonus room is that of
    # 1-1's, farther right.
    underground, room, end = render_level("1-2", rom)
    assert room.map == bonus.map
    assert room.left >= bonus.right
    assert end.map == first.map
    assert end.right == first.right
    assert (end.rgb() == first.rgb()[:, end.left - first.left :]).all()
    assert underground.map not in (room.map, end.map)
    assert len(render_level("8-4", rom)) == 2  # the castle and its water
    assert len(render_level("6-2", rom)) == 5


@pytest.mark.slow
def test_every_level_is_drawn(rom: Rom) -> None:
    for level in LEVELS:
        strips = render_level(level, rom)
        assert strips[0].left == 0
        assert 2500 < strips[0].width < 6500
        console = console_at(level, rom)
        assert strips[0].map == map_number(console.ram)
        for strip in strips:
            assert len(np.unique(strip.picture)) > 3
            # No column was left out: none but sky is as black as that.
            assert strip.picture.any(axis=0).mean() > 0.6


def test_errors_are_told(rom: Rom, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LevelError, match="9-1"):
        render_level("9-1", rom)
    monkeypatch.setattr(rendering, "MOST_FRAMES", 10)
    with pytest.raises(EngineError, match="no end"):
        render_level("1-1", rom)
