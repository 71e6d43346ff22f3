"""A short, good episode for tests of files."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.episodes import recorded


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Of a short, good episode."""
    path = tmp_path / "game.json"
    recorded("1-1", frames=50)[0].save(path)
    return path
