"""Frames are due at the console's rate, however slow the drawing is."""

from __future__ import annotations

import pytest

from warpzone.nes.console import FRAMES_PER_SECOND
from warpzone.viewers.pacer import LONGEST_GAP, Pacer
from warpzone.viewers.terminal import LARGEST_LAG


class Clock:
    """A time that passes while sleeping, and while drawing takes it."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def play(clock: Clock, frames: int, drawing: float) -> int:
    """How many of so many frames are drawn when each takes so many seconds."""
    pacer = Pacer(lambda: clock.now, clock.sleep, largest_lag=LARGEST_LAG)
    drawn = 0
    for _ in range(frames):
        if pacer.wait():
            drawn += 1
            clock.now += drawing
    return drawn


def test_a_fast_terminal_shows_every_frame_in_time() -> None:
    clock = Clock()
    assert play(clock, 600, drawing=0.005) == 600
    assert clock.now == pytest.approx(600 / FRAMES_PER_SECOND, abs=0.02)


@pytest.mark.parametrize("speed", [0.25, 4.0])
def test_the_game_is_as_fast_as_asked_for(speed: float) -> None:
    clock = Clock()
    pacer = Pacer(lambda: clock.now, clock.sleep, largest_lag=LARGEST_LAG)
    drawn = sum(pacer.wait(speed) for _ in range(600))
    assert clock.now == pytest.approx(600 / (FRAMES_PER_SECOND * speed), rel=0.01)
    assert drawn == pytest.approx(600 if speed < 1 else 150, rel=0.05)


def test_a_slow_terminal_drops_frames_and_the_game_keeps_its_speed() -> None:
    clock = Clock()
    assert 150 < play(clock, 600, drawing=0.05) < 240
    assert clock.now == pytest.approx(600 / FRAMES_PER_SECOND, abs=0.1)


def test_a_terminal_that_is_far_too_slow_still_shows_something() -> None:
    clock = Clock()
    drawn = play(clock, 600, drawing=0.4)
    assert drawn >= 0.9 * (clock.now / (0.4 + LONGEST_GAP))
    assert clock.now < 600 / FRAMES_PER_SECOND + LARGEST_LAG + 0.5


def test_pacer_keeps_the_console_rate_without_drift() -> None:
    clock = Clock()
    pacer = Pacer(lambda: clock.now, clock.sleep)
    for _ in range(601):
        clock.now += 0.005
        assert pacer.wait(1.0)
    assert clock.now == pytest.approx(601 / 60.0988)


def test_pacer_draws_at_most_what_a_screen_can_show() -> None:
    clock = Clock()
    pacer = Pacer(lambda: clock.now, clock.sleep)
    drawn = sum(pacer.wait(8.0) for _ in range(800))
    assert 95 <= drawn <= 115
    assert clock.now == pytest.approx(100 / 60.0988)


def test_pacer_does_not_hurry_after_a_long_stop() -> None:
    clock = Clock()
    pacer = Pacer(lambda: clock.now, clock.sleep)
    clock.now += 30
    for _ in range(60):
        pacer.wait(1.0)
    assert clock.now > 30.8
