"""What the tests of consoles and environments share."""

from __future__ import annotations

import pytest

from warpzone.nes.cartridge import open_rom
from warpzone.nes.rom import Rom


@pytest.fixture(scope="session")
def rom() -> Rom:
    return open_rom()


# Browsers, runs to look at and agents are made by tests/support, once for whoever asks for them.
pytest_plugins = ["tests.support.agents", "tests.support.browser"]
