"""How settings change in the course of a run."""

from __future__ import annotations

import pytest

from warpzone.training.schedules import scheduled


def test_schedules() -> None:
    for clear_rate in (0.0, 0.5, 1.0):
        assert scheduled(2.0, "constant", 0.7, clear_rate) == 2.0
        assert scheduled(2.0, "linear", 0.0, clear_rate) == 2.0
        assert scheduled(2.0, "linear", 0.25, clear_rate) == 1.5
        assert scheduled(2.0, "linear", 1.0, clear_rate) == 0.0


def test_competence_lowers_a_setting_to_a_tenth_however_long_it_takes() -> None:
    for progress in (0.0, 0.5, 1.0):
        assert scheduled(2.0, "competence", progress, 0.0) == 2.0
        assert scheduled(2.0, "competence", progress, 0.5) == pytest.approx(1.1)
        assert scheduled(2.0, "competence", progress, 1.0) == pytest.approx(0.2)
