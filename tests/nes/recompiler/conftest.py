"""No test of the translator touches the user's own cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from warpzone.nes.recompiler import cache


@pytest.fixture
def cache_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, of this process and of those that it starts."""
    folder = tmp_path / "cache"
    # Read by platformdirs on Linux and by the tests' own processes on every system.
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setenv("WARPZONE_TEST_CACHE", str(folder / "warpzone" / "engine"))
    monkeypatch.setattr(cache, "directory", lambda: folder / "warpzone" / "engine")
    return folder / "warpzone" / "engine"
