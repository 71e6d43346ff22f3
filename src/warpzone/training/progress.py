"""What a person sees of a run: a live panel in a terminal, plain lines elsewhere.

A training outlives whoever looks at it: a display that fails, on a terminal that is gone, a pipe
that is closed or an encoding that lacks a letter, ends alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table

from warpzone.console_text import escape_controls, printable


@dataclass(frozen=True)
class Status:
    """How a run stands after an update."""

    title: str
    step: int
    total_steps: int
    steps_per_second: float
    seconds: float
    """Since the run began, all its processes together."""
    metrics: dict[str, float]
    episodes: int
    best_measured: float | None

    @property
    def seconds_left(self) -> float:
        return max(0, self.total_steps - self.step) / max(self.steps_per_second, 1e-9)


class Display(Protocol):
    """Where a run shows itself."""

    def __enter__(self) -> Display: ...
    def __exit__(self, *_: object) -> None: ...
    def update(self, status: Status) -> None: ...
    def log(self, text: str) -> None: ...


class LiveDisplay:
    """A panel that is redrawn in place; said lines stay above it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> LiveDisplay:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def log(self, text: str) -> None:
        _print(self._console, text)

    def update(self, status: Status) -> None:
        self._live.update(panel(status), refresh=True)


class LineDisplay:
    """A line at most every `interval` seconds, for logs and pipes."""

    def __init__(self, console: Console, interval: float = 10.0) -> None:
        self._console, self._interval = console, interval
        self._next = 0.0

    def __enter__(self) -> LineDisplay:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def log(self, text: str) -> None:
        _print(self._console, text)

    def update(self, status: Status) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self._interval
            self.log(line(status))


class NoDisplay:
    """Shows nothing: another process does."""

    def __enter__(self) -> NoDisplay:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def log(self, text: str) -> None:
        pass

    def update(self, status: Status) -> None:
        pass


class SafeDisplay:
    """Another display until it fails, then none."""

    def __init__(self, display: Display) -> None:
        self._display: Display | None = display

    def __enter__(self) -> Self:
        self._guarded(lambda display: display.__enter__())
        return self

    def __exit__(self, *error: object) -> None:
        self._guarded(lambda display: display.__exit__(*error))

    def log(self, text: str) -> None:
        self._guarded(lambda display: display.log(text))

    def update(self, status: Status) -> None:
        self._guarded(lambda display: display.update(status))

    def _guarded(self, use: Callable[[Display], object]) -> None:
        if self._display is None:
            return
        try:
            use(self._display)
        except (Exception, SystemExit):  # rich exits where a pipe is closed
            failed, self._display = self._display, None
            with suppress(
                Exception, SystemExit
            ):  # what it changed of the terminal, it shall put back
                failed.__exit__()


def make_display(console: Console | None = None) -> Display:
    """Returns a panel where the output is a terminal that can show it, else lines."""
    console = console or Console()
    if console.is_terminal and console.encoding.startswith("utf"):
        return LiveDisplay(console)
    return LineDisplay(console)


def _print(console: Console, text: str) -> None:
    text = printable(escape_controls(text, "\n"), console.file)
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def line(status: Status) -> str:
    metrics = status.metrics
    return (
        f"step {status.step:,} of {status.total_steps:,}"
        f" · {status.steps_per_second:,.0f} steps/s"
        f" · cleared {metrics['rollout/clear_rate']:.0%} of recent episodes"
        f" · best x {metrics['rollout/best_x']:,.0f}"
        f" · {_exploration(metrics)}"
        f" · at most {duration(status.seconds_left)} left"
    )


def _exploration(metrics: dict[str, float]) -> str:
    """How much is tried, by what the algorithm has."""
    if "charts/epsilon" in metrics:
        return f"epsilon {metrics['charts/epsilon']:.3f}"
    return f"entropy {metrics['losses/entropy']:.2f}"


def panel(status: Status) -> Panel:
    metrics = status.metrics
    table = Table.grid(padding=(0, 3))
    rows = [
        ("steps", f"{status.step:,} of {status.total_steps:,}"),
        ("steps/s", f"{status.steps_per_second:,.0f}"),
        ("time", f"{duration(status.seconds)}, at most {duration(status.seconds_left)} left"),
        ("cleared", f"{metrics['rollout/clear_rate']:.0%} of recent episodes"),
        (
            "measured",
            "—" if status.best_measured is None else f"{status.best_measured:.0%} at best",
        ),
        ("episodes", f"{status.episodes:,}"),
        ("best x", f"{metrics['rollout/best_x']:,.0f}"),
    ]
    losses = [
        (name.removeprefix("losses/").replace("_", " "), f"{value:.4f}")
        for name, value in metrics.items()
        if name.startswith("losses/")
    ]
    for i in range(max(len(rows), len(losses))):
        left = rows[i] if i < len(rows) else ("", "")
        right = losses[i] if i < len(losses) else ("", "")
        table.add_row(f"[dim]{left[0]}[/]", left[1], f"[dim]{right[0]}[/]", right[1])
    bar = ProgressBar(total=status.total_steps, completed=min(status.step, status.total_steps))
    return Panel(Group(table, bar), title=status.title, expand=False, width=76)


def duration(seconds: float) -> str:
    """`75` → `1:15`, `3700` → `1:01:40`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
