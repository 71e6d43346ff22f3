"""Cartridges that are no part of this project: their tests are skipped where there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from warpzone.errors import RomError
from warpzone.nes.rom import Rom
from warpzone.smb.known_cartridges import KNOWN
from warpzone.smb.rom import find_known


@pytest.fixture(scope="session")
def played() -> Callable[[str], list[int]]:
    """Returns what is held in each frame of a way to a goal, of a file in tests/data, where it is
    written as `byte*frames`."""

    def read(name: str) -> list[int]:
        text = (Path(__file__).parents[1] / "data" / f"{name}.txt").read_text()
        pairs = (word.split("*") for word in text.split())
        return [int(byte) for byte, frames in pairs for _ in range(int(frames))]

    return read


@pytest.fixture(scope="session")
def found() -> Callable[[str], Rom]:
    """Returns a known cartridge by its name, or skips the test."""

    def find(name: str) -> Rom:
        try:
            return find_known(KNOWN[name], fetch=False)
        except RomError:
            pytest.skip(f"the cartridge {name} is not here: `warpzone rom {name}` fetches it")

    return find
