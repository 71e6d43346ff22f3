from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import replace
from typing import IO

import pytest
from rich.console import Console

from warpzone.training.progress import (
    Display,
    LineDisplay,
    LiveDisplay,
    SafeDisplay,
    Status,
    duration,
    line,
    make_display,
)

STATUS = Status(
    title="1-1 · tiles · seed 0",
    step=250_000,
    total_steps=1_000_000,
    steps_per_second=10_000.0,
    seconds=25.0,
    metrics={
        "rollout/clear_rate": 0.5,
        "rollout/best_x": 3161.0,
        "losses/policy_loss": -0.01234,
        "losses/entropy": 1.25,
    },
    episodes=1234,
    best_measured=None,
)


def test_lines_are_spaced_in_time() -> None:
    file = io.StringIO()
    with LineDisplay(Console(file=file, width=200), interval=1000.0) as display:
        display.update(STATUS)
        display.update(STATUS)
        display.log("[bold]done")
    assert file.getvalue() == (
        "step 250,000 of 1,000,000 · 10,000 steps/s · cleared 50% of recent episodes"
        " · best x 3,161 · entropy 1.25 · at most 1:15 left\n[bold]done\n"
    )


def test_a_line_tells_how_much_is_tried_whatever_learns() -> None:
    told = {name: v for name, v in STATUS.metrics.items() if not name.startswith("losses/")}
    status = replace(STATUS, metrics={**told, "losses/td_loss": 0.1, "charts/epsilon": 0.0501})
    assert "best x 3,161 · epsilon 0.050 · at most 1:15 left" in line(status)
    file = io.StringIO()
    with LiveDisplay(Console(file=file, width=100, force_terminal=True)) as display:
        display.update(status)
    assert "td loss" in file.getvalue()


def test_the_panel_shows_what_matters() -> None:
    file = io.StringIO()
    console = Console(file=file, width=100, force_terminal=True, color_system=None)
    with LiveDisplay(console) as display:
        display.update(STATUS)
        display.update(replace(STATUS, best_measured=0.97))
    shown = file.getvalue()
    for text in (
        "1-1 · tiles · seed 0",
        "250,000 of 1,000,000",
        "10,000",
        "0:25, at most 1:15 left",
        "50% of recent episodes",
        "97% at best",
        "1,234",
        "3,161",
        "policy loss",
        "-0.0123",
    ):
        assert text in shown


def test_the_kind_of_output_decides() -> None:
    assert isinstance(make_display(Console(file=io.StringIO())), LineDisplay)
    assert isinstance(make_display(Console(file=io.StringIO(), force_terminal=True)), LiveDisplay)


def test_duration() -> None:
    assert [duration(s) for s in (0, 59.6, 75, 3700)] == ["0:00", "1:00", "1:15", "1:01:40"]


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "latin-1", "utf-8"])
@pytest.mark.parametrize("terminal", [False, True])
def test_every_encoding_is_served(encoding: str, terminal: bool) -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    with make_display(Console(file=file, force_terminal=terminal, width=120)) as display:
        display.update(STATUS)
        display.log("measured 95.0 % – 99.1 % → runs/\udc80 …")
    file.flush()
    assert isinstance(file.buffer, io.BytesIO)
    shown = file.buffer.getvalue().decode(encoding)
    assert "50% of recent episodes" in shown
    assert "measured 95.0 %" in shown


def closed_pipe() -> io.TextIOWrapper:
    reader, writer = os.pipe()
    os.close(reader)
    return open(writer, "w", encoding="utf-8", buffering=1)


def closed_file() -> io.StringIO:
    file = io.StringIO()
    file.close()
    return file


@pytest.mark.parametrize("broken", [closed_pipe, closed_file])
@pytest.mark.parametrize("kind", [LineDisplay, LiveDisplay, None])
def test_a_display_that_fails_ends_alone(
    broken: Callable[[], IO[str]],
    kind: type[LineDisplay] | type[LiveDisplay] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = broken()
    monkeypatch.setattr("sys.stdout", file)
    inner = make_display() if kind is None else kind(Console(file=file, force_terminal=True))
    with SafeDisplay(inner) as display:
        for _ in range(3):
            display.update(STATUS)
            display.log("a line")
    file.close()


def test_a_display_that_has_failed_is_not_asked_again() -> None:
    class Faulty(LineDisplay):
        asked = 0

        def log(self, text: str) -> None:
            Faulty.asked += 1
            raise RuntimeError("out of paper")

    display: Display = SafeDisplay(Faulty(Console(file=io.StringIO())))
    with display:
        display.log("one")
        display.log("two")
    assert Faulty.asked == 1
