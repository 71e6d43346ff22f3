"""Bounds within which settings are explored."""

from __future__ import annotations

import math
import random

import pytest

from warpzone.errors import ConfigError
from warpzone.fleet.explored import Explored, parse_explored, parse_values
from warpzone.training.presets import resolve

BASE = resolve("tiles")


def test_a_range_is_never_left_and_wide_ones_are_drawn_by_magnitude() -> None:
    explored = parse_explored("lr=1e-4..1e-2", BASE)
    stream = random.Random(0)
    drawn = [explored.draw(stream) for _ in range(2000)]
    assert all(1e-4 <= value <= 1e-2 for value in drawn)
    # Evenly by magnitude: half of them below the geometric mean, of evenly drawn ones a tenth.
    assert 0.45 < sum(value < 1e-3 for value in drawn) / len(drawn) < 0.55
    value, seen = 1e-3, set()
    for _ in range(500):
        value = explored.explore(value, stream)
        seen.add(value)
        assert 1e-4 <= value <= 1e-2
    assert {1e-4, 1e-2} & seen  # it comes to the ends, and no farther
    narrow = parse_explored("gae_lambda=0.8..0.99", BASE)
    mean = sum(narrow.draw(stream) for _ in range(2000)) / 2000
    assert math.isclose(mean, 0.895, abs_tol=0.005)


def test_what_counts_is_explored_by_neighbours() -> None:
    explored = parse_explored("update_epochs=1..4", BASE)
    assert explored.choices == (1, 2, 3, 4)
    stream = random.Random(1)
    seen = {explored.explore(2, stream) for _ in range(200)}
    assert seen == {1, 2, 3, 4}  # 2 and 4 by drawing anew
    at_the_end = [explored.explore(4, stream) for _ in range(400)]
    counts = [at_the_end.count(value) for value in explored.choices]
    assert min(counts[2:]) > 2 * max(counts[:2])
    listed = parse_explored("minibatch_size=128,256,512", BASE)
    assert listed.choices == (128, 256, 512)
    assert listed.explore(64, stream) in listed.choices


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("gamma=0.9..0.99", "discount"),
        ("num_envs=8,16", "as they stand"),
        ("env.noop_max=1..30", "as they stand"),
        ("lrr=1..2", "Did you mean lr"),
        ("lr", "not of the form"),
        ("lr=1e-3", "nothing to explore"),
        ("lr=1e-2..1e-3", "from a lower to a higher"),
        ("lr=a..b", "two numbers"),
        ("lr=1e-3..inf", "from a lower to a higher"),
        ("lr=-1..1e-3", "lr"),
        ("update_epochs=0..3", "update_epochs"),
        ("update_epochs=1.5..3", "whole numbers"),
        ("checkpoint_every=1..3", "checkpoints"),
    ],
)
def test_what_cannot_be_explored(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        parse_explored(text, BASE)


def test_values_with_commas() -> None:
    assert parse_values("--grid", "lr", "1e-3,2e-3") == [0.001, 0.002]
    assert parse_values("--grid", "network.hidden", "[64,32],[8]") == [[64, 32], [8]]
    with pytest.raises(ConfigError, match="twice"):
        parse_values("--grid", "lr", "1e-3,0.001")
    with pytest.raises(ConfigError, match="missing"):
        parse_values("--grid", "lr", "1e-3,")


def test_an_explored_setting_has_a_range_or_choices() -> None:
    for wrong in (
        {"name": "lr"},
        {"name": "lr", "low": 1.0, "high": 1.0},
        {"name": "lr", "low": 1.0, "high": 2.0, "choices": (1,)},
    ):
        with pytest.raises(ValueError, match="range"):
            Explored.model_validate(wrong)
