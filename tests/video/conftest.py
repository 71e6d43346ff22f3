"""Agents of these tests decide on one thread: two that wait for each other are slow."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _one_thread(one_torch_thread: None) -> None:
    pass
