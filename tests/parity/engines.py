"""The backends of the engine that are compared with another emulator: how to make a console."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from warpzone import Console

MakeConsole: TypeAlias = Callable[[Path], Console]


def interpreted(path: Path) -> Console:
    return Console(path, engine="interpreter")


ENGINES: dict[str, MakeConsole] = {"interpreter": interpreted}

each_engine = pytest.mark.parametrize("make_console", ENGINES.values(), ids=ENGINES.keys())
"""Runs a test once for each backend, as its argument `make_console`."""
