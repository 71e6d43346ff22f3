"""Curves as SVG."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from warpzone.report.plots import MOST_POINTS, Line, interval_svg, short, summary, svg, ticks


def points(text: str, name: str) -> list[tuple[float, float]]:
    """Of the path of a class."""
    (path,) = [e.get("d", "") for e in ET.fromstring(text).iter("path") if e.get("class") == name]
    numbers = [float(number) for number in re.findall(r"[-\d.]+", path)]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def curve(count: int, **settings: object) -> Line:
    steps = np.arange(1, count + 1) * 1000.0
    return Line("height & <width>", steps, np.linspace(2.0, 10.0, count), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [1, 2, 50, 10_000])
def test_a_curve_rises_where_its_values_do(count: int) -> None:
    text = svg(curve(count))
    line = points(text, "line")
    assert len(line) == min(count, MOST_POINTS)
    assert all(a[0] < b[0] and a[1] > b[1] for a, b in itertools.pairwise(line))
    band = points(text, "band")
    assert min(y for _, y in band) <= line[-1][1] <= line[0][1] <= max(y for _, y in band)
    assert len(text) < 30_000


def test_shares_are_drawn_from_0_to_1() -> None:
    half = Line("rate", np.array([1.0, 2.0]), np.array([0.5, 0.5]), percent=True)
    low = Line("rate", np.array([1.0, 2.0]), np.array([0.0, 1.0]), percent=True)
    (_, middle), _ = points(svg(half), "line")
    (_, bottom), (_, top) = points(svg(low), "line")
    assert middle == pytest.approx((bottom + top) / 2, abs=0.1)
    assert "50%" in svg(half)


def test_dots_need_no_line() -> None:
    nothing = np.array([])
    text = svg(Line("rate", nothing, nothing, percent=True, points=[(500.0, 0.25)]))
    assert len([*ET.fromstring(text).iter("circle")]) == 1
    assert "from 25% to 25%" in text


@pytest.mark.parametrize("value", [0.0, -3.0, 1e-9, 5e12])
def test_the_same_value_throughout_can_be_drawn(value: float) -> None:
    text = svg(Line("flat", np.array([0.0, 1.0]), np.array([value, value])))
    line = points(text, "line")
    assert line[0][1] == line[1][1]
    assert 0 <= line[0][1] <= 190


def test_ticks_are_round_and_few() -> None:
    assert ticks(0, 1) == [0, 0.25, 0.5, 0.75, 1]
    assert ticks(0, 3000) == [0, 1000, 2000, 3000]
    for high in (0.013, 0.7, 9, 31, 155_648, 2e9):
        found = ticks(0, high)
        assert 2 <= len(found) <= 6
        assert found[-1] <= high * 1.000001
    assert [short(v) for v in (0, 950, 1200, 3e6, 0.0123, -4500)] == [
        "0", "950", "1.2k", "3M", "0.0123", "-4.5k",
    ]  # fmt: skip


def test_words_are_escaped_and_true() -> None:
    drawn = curve(5)
    assert summary(drawn) == "from 2 to 10, at most 10"
    label = ET.fromstring(svg(drawn)).get("aria-label")
    assert label == "height & <width> over agent steps: from 2 to 10, at most 10"


def test_an_interval_is_as_wide_as_it_is() -> None:
    _, band, mark = ET.fromstring(interval_svg(0.5, 0.4, 0.7))
    assert (float(band.get("x", "")), float(band.get("width", ""))) == (40, 30)
    assert float(mark.get("x", "")) == pytest.approx(49.4)
