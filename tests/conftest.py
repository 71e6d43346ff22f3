"""What the tests of consoles and environments share."""

from __future__ import annotations

import pytest

from warpzone.game.console import open_rom
from warpzone.game.rom import Rom


@pytest.fixture(scope="session")
def rom() -> Rom:
    return open_rom()
