"""What the tests of consoles and environments share."""

from __future__ import annotations

import importlib.util

import pytest

from warpzone.nes.cartridge import open_rom
from warpzone.nes.rom import Rom
from warpzone.smb.known_cartridges import KNOWN
from warpzone.smb.rom import find_known

BROWSER = {"browser", "open_tab", "training"}
"""Fixtures that cost a browser or a training: one process of pytest-xdist makes them for all."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Says which tests one process runs: those of a file, and all that need a browser."""
    if importlib.util.find_spec("xdist") is None:
        return  # one process runs all
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            used = BROWSER & set(getattr(item, "fixturenames", ()))
            group = "browser" if used else item.path.relative_to(config.rootpath).as_posix()
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def rom() -> Rom:
    return open_rom()


@pytest.fixture(scope="session")
def lost() -> Rom:
    """The cartridge of the Lost Levels."""
    return find_known(KNOWN["lost-levels"])


# Browsers, runs to look at and agents are made by tests/support, once for whoever asks for them,
# where the packages that they need are installed (tests/environments.txt runs without them).
pytest_plugins = [
    plugin
    for plugin, package in {
        "tests.support.agents": "torch",
        "tests.support.browser": "playwright",
    }.items()
    if importlib.util.find_spec(package) is not None
]
