"""The picture unit by itself: its ports and its pictures of random scenes, on cynes and on ours."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.parity.peer import (
    CLEAR,
    CODE,
    QUIET,
    WAIT_VBLANK,
    Peer,
    cartridge,
    peer_colours,
    stop,
)

from warpzone import Console

byte = st.integers(0, 255)


def load(value: int) -> bytes:
    return bytes([0xA9, value])


def store(register: int) -> bytes:
    return b"\x8d" + register.to_bytes(2, "little")


def both(image: bytes, frames: int) -> tuple[Peer, Console]:
    with TemporaryDirectory() as folder:
        path = Path(folder, "program.nes")
        path.write_bytes(image)
        peer, console = Peer(path), Console(path)
    peer.step(0, frames)
    console.step(0, frames)
    return peer, console


PALETTES, SPRITES, NAMETABLES = 0xA000, 0xA100, 0xB000


def copy_to_vram(source: int, target: int, size: int) -> bytes:
    """Sets $2006 and copies `size` bytes, at most 256 at once, through $2007."""
    code = load(target >> 8) + store(0x2006) + load(target & 0xFF) + store(0x2006)
    for begin in range(source, source + size, 256):
        count = min(256, source + size - begin) & 0xFF
        # LDX #0; LDA begin,X; STA $2007; INX; CPX #count; BNE
        code += b"\xa2\x00\xbd" + begin.to_bytes(2, "little") + store(0x2007)
        code += bytes([0xE8, 0xE0, count, 0xD0, 0xF5])
    return code


# What a program can do to the ports while nothing is drawn: (register, value), value None: read.
# $2000 with bit 7 would raise interrupts, $2001 is kept at 0; $2002 tells the time.
access = st.one_of(
    st.tuples(st.just(0x2000), st.integers(0, 0x7F)),
    st.tuples(st.just(0x2003), byte),
    st.tuples(st.just(0x2004), byte),
    st.tuples(st.just(0x2005), byte),
    st.tuples(st.just(0x2006), byte),
    st.tuples(st.just(0x2006), st.sampled_from([0x1F, 0x20, 0x27, 0x2C, 0x3F])),
    st.tuples(st.just(0x2007), byte),
    st.tuples(st.just(0x2007), st.none()),
    st.tuples(st.just(0x2007), st.none()),
    st.tuples(st.just(0x2002), st.none()),
)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(accesses=st.lists(access, min_size=50, max_size=250), vertical=st.booleans())
def test_ports(accesses: list[tuple[int, int | None]], vertical: bool) -> None:
    code = QUIET + CLEAR + 2 * WAIT_VBLANK
    # What its memory holds at power-on is not defined.
    code += copy_to_vram(PALETTES, 0x3F00, 32)
    code += copy_to_vram(NAMETABLES, 0x2000, 1024)
    code += copy_to_vram(NAMETABLES + 1024, 0x2400 if vertical else 0x2800, 1024)
    code += b"\xa2\x00"
    for register, value in accesses:
        if value is not None:
            code += load(value) + store(register)
            continue
        code += b"\xad" + register.to_bytes(2, "little")
        if register == 0x2002:
            code += b"\x29\x00"  # only what reading it does to the write toggle is of interest
        code += b"\x9d\x00\x03\xe8"  # STA $0300,X, INX
    code += b"\xee\xff\x07" + stop(CODE + len(code) + 3)
    rng = np.random.default_rng(len(accesses))
    data = {PALETTES: rng.bytes(32), NAMETABLES: rng.bytes(2048)}
    assert CODE + len(code) < PALETTES
    image = cartridge(code, data=data, pictures=rng.bytes(0x2000), vertical=vertical)
    peer, console = both(image, 6)
    assert console.ram[0x07FF] == 1, "the program did not end"
    assert peer.ram.tolist() == console.ram.tolist()


def scene(rng: np.random.Generator, ctrl: int, mask: int, scroll: tuple[int, int]) -> bytes:
    """A cartridge that shows random tiles and sprites."""
    tiles = rng.integers(0, 256, (512, 16), dtype=np.uint8)
    tiles[rng.random((512, 16)) < 0.3] = 0  # else nearly every pixel is opaque
    tiles[:32] = 0
    sprites = rng.integers(0, 256, (64, 4), dtype=np.uint8)
    sprites[:40, 0] = rng.integers(100, 140, 40)  # more than eight on a line
    sprites[:40, 3] = rng.integers(0, 100, 40)
    sprites[-1] = 255, 0, 0, 255
    sprites[-2] = 50, 77, 0, 252  # over the right edge
    data = {
        PALETTES: rng.integers(0, 64, 32, dtype=np.uint8).tobytes(),
        SPRITES: sprites.tobytes(),
        NAMETABLES: rng.integers(0, 256, 2048, dtype=np.uint8).tobytes(),
    }
    vertical = bool(rng.integers(2))
    second = 0x2400 if vertical else 0x2800
    code = QUIET + CLEAR + 2 * WAIT_VBLANK
    code += copy_to_vram(PALETTES, 0x3F00, 32)
    code += copy_to_vram(NAMETABLES, 0x2000, 1024) + copy_to_vram(NAMETABLES + 1024, second, 1024)
    # LDX #0; LDA SPRITES,X; STA $0200,X; INX; BNE
    code += b"\xa2\x00\xbd" + SPRITES.to_bytes(2, "little") + b"\x9d\x00\x02\xe8\xd0\xf7"
    code += WAIT_VBLANK + load(0) + store(0x2003) + load(2) + store(0x4014)
    code += b"\xad\x02\x20" + load(scroll[0]) + store(0x2005) + load(scroll[1]) + store(0x2005)
    code += load(ctrl) + store(0x2000) + load(mask) + store(0x2001)
    code += stop(CODE + len(code))
    return cartridge(code, data=data, pictures=tiles.tobytes(), vertical=vertical)


@cache
def colours() -> NDArray[np.uint8]:
    return peer_colours()


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32),
    ctrl=st.integers(0, 0x3F),
    mask=st.integers(0, 15).map(lambda bits: bits << 1),  # cynes does not know the grey bit
    x=byte,
    y=st.integers(0, 239),
)
def test_pictures(seed: int, ctrl: int, mask: int, x: int, y: int) -> None:
    image = scene(np.random.default_rng(seed), ctrl, mask, (x, y))
    peer, console = both(image, 10)
    expected = colours()[console.screen()]
    wrong = np.argwhere((peer.picture != expected).any(axis=2))
    assert wrong.tolist() == []


def test_all_colours_can_be_told_apart_but_blacks_and_whites() -> None:
    """Else the comparison of pictures would be blind."""
    table = colours()
    assert len({tuple(colour) for colour in table.tolist()}) >= 52


@pytest.mark.parametrize("mask", [0x00, 0x1E])
def test_a_scene_is_not_one_colour(mask: int) -> None:
    _, console = both(scene(np.random.default_rng(1), 0, mask, (3, 5)), 10)
    assert (len(np.unique(console.screen())) > 10) == (mask != 0)
