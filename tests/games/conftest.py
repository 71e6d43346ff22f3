"""Cartridges that are no part of this project: their tests are skipped where there is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from warpzone.errors import RomError
from warpzone.nes.rom import Rom
from warpzone.smb.known_cartridges import KNOWN
from warpzone.smb.rom import find_known


@pytest.fixture(scope="session")
def found() -> Callable[[str], Rom]:
    """Returns a known cartridge by its name, or skips the test."""

    def find(name: str) -> Rom:
        try:
            return find_known(KNOWN[name], fetch=False)
        except RomError:
            pytest.skip(f"the cartridge {name} is not here: `warpzone rom {name}` fetches it")

    return find
