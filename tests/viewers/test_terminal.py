"""The game in a terminal: the right colours in the right places, keys, and a clean end."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import time
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
from rich.console import Console
from tests.support.playback import PALETTE, FakePlayback

from warpzone.agents.playback import Playback
from warpzone.errors import DisplayError
from warpzone.viewers.pacer import Pacer
from warpzone.viewers.terminal import (
    TerminalScreen,
    coloured_spaces,
    half_blocks,
    picture_size,
    require_terminal,
    watch_in_terminal,
)
from warpzone.viewers.watch import Stats

Colour = tuple[int, int, int]


def terminal(columns: int = 80, rows: int = 24, system: Any = "truecolor") -> Console:
    return Console(
        file=io.StringIO(),
        force_terminal=True,
        color_system=system,
        width=columns,
        height=rows,
        legacy_windows=False,
        _environ={"TERM": "xterm-256color"},
    )


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def cells(row: bytes) -> list[tuple[Colour, Colour]]:
    """What a terminal shows of a row of `half_blocks`: upper and lower colour of each character."""
    shown: list[tuple[Colour, Colour]] = []
    now = ((0, 0, 0), (0, 0, 0))
    for part in re.findall(r"\x1b\[38;2;([\d;]+)m|(▀)", row.decode()):
        if part[1]:
            shown.append(now)
        else:
            n = [int(number) for number in part[0].split(";") if number]
            assert n[3:5] == [48, 2]
            now = ((n[0], n[1], n[2]), (n[5], n[6], n[7]))
    return shown


class Keys:
    """A person at the keyboard: what is pressed at which look at it."""

    def __init__(self, presses: dict[int, str]) -> None:
        self.looks, self._presses = 0, presses

    def __call__(self) -> str:
        self.looks += 1
        return self._presses.get(self.looks, "")


def at_once() -> Pacer:
    return Pacer(clock=lambda: 0.0, sleep=lambda seconds: None)


def show(
    console: Console,
    playback: FakePlayback | None = None,
    keys: Callable[[], str] | None = None,
    **options: int,
) -> Stats:
    return watch_in_terminal(
        lambda level: cast(Playback, playback or FakePlayback(level)),
        ["1-1", "1-2"],
        console=console,
        keys=contextlib.nullcontext(keys or Keys({})),
        pacer=at_once(),
        **options,
    )


def test_each_character_has_the_colours_of_its_two_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    pixels[:, 4] = pixels[:, 3]  # a repeated colour is not written again
    rows = half_blocks(pixels)
    assert len(rows) == 3
    for number, row in enumerate(rows):
        upper, lower = pixels[2 * number], pixels[2 * number + 1]
        assert cells(row) == [
            (tuple(u), tuple(d)) for u, d in zip(upper.tolist(), lower.tolist(), strict=True)
        ]
        assert row.count(b"\x1b") == 8


def test_each_character_has_the_colour_of_its_pixel() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    pixels[1, 2] = pixels[1, 1]
    rows = coloured_spaces(pixels)
    assert [row.count(b" ") for row in rows] == [5, 5, 5]
    assert [row.count(b"m") for row in rows] == [5, 4, 5]
    red, green, blue = pixels[2, 4]
    assert rows[2].endswith(f"\x1b[48;2;{red:03};{green:03};{blue:03}m ".encode())


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "utf-8"])
def test_the_game_is_drawn_in_every_encoding(encoding: str) -> None:
    console = terminal()
    raw = io.BytesIO()
    console.file = io.TextIOWrapper(raw, encoding=encoding, errors="strict")
    require_terminal(console)
    assert show(console, keys=Keys({2: "-", 4: "hs", 8: "q"})).frames == 7
    console.file.flush()
    text = raw.getvalue().decode(encoding)
    assert ("▀" in text) == (encoding in ("cp437", "utf-8"))
    assert "48;2;" in text
    assert "cleared 0 of 0" in text
    assert ("×0.5" if encoding in ("latin-1", "utf-8") else "x0.5") in text


@pytest.mark.parametrize("size", [(80, 24), (40, 20), (200, 60), (60, 200), (1000, 1000)])
def test_the_picture_fits_and_keeps_its_shape(size: tuple[int, int]) -> None:
    columns, rows = size
    width, height = picture_size(columns, rows)
    assert width <= columns
    assert height <= 2 * (rows - 1)
    assert height % 2 == 0
    assert width / height == pytest.approx(256 / 240, rel=0.06)
    assert (width, height) == (256, 240) or columns - width < 2 or 2 * (rows - 1) - height < 2


def test_only_rows_that_changed_are_written() -> None:
    console = terminal()
    screen = TerminalScreen(console)
    frame = np.zeros((240, 256), np.uint8)
    screen.show(frame, PALETTE, "status")
    first = len(written(console))
    screen.show(frame, PALETTE, "status")
    assert len(written(console)) - first < 30
    frame[:20] = 5
    screen.show(frame, PALETTE, "status")
    change = written(console)[first:]
    assert re.findall(r"\x1b\[(\d+);1H", change) == ["1", "2"]
    assert "status" not in change


def test_a_smaller_terminal_is_cleared_and_one_too_small_says_so() -> None:
    console = terminal()
    screen = TerminalScreen(console)
    frame = np.zeros((240, 256), np.uint8)
    screen.show(frame, PALETTE, "status")
    console.size = (60, 22)
    before = len(written(console))
    screen.show(frame, PALETTE, "status")
    assert "\x1b[2J" in written(console)[before:]
    console.size = (10, 5)
    before = len(written(console))
    screen.show(frame, PALETTE, "status")
    assert "too small" in written(console)[before:]
    assert "▀" not in written(console)[before:]


def test_plays_and_leaves_the_terminal_as_it_was() -> None:
    console, playback = terminal(), FakePlayback(clears=(0,))
    stats = show(console, playback, max_frames=20)
    assert stats == Stats(frames=20, episodes=1, cleared=1)
    assert playback.closed
    text = written(console)
    assert text.index("\x1b[?1049h") < text.index("▀")
    assert text.index("\x1b[?25l") < text.index("▀")
    assert "cleared in 0.2 s" in text
    end = text[text.rindex("▀") :]
    assert "\x1b[?25h" in end
    assert "\x1b[?1049l" in end


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_the_terminal_is_restored_after_ctrl_c_and_errors(error: type[BaseException]) -> None:
    def stop() -> str:
        raise error

    console, playback = terminal(), FakePlayback()
    with pytest.raises(error):
        show(console, playback, keys=stop)
    assert playback.closed
    assert "\x1b[?25h" in written(console)
    assert "\x1b[?1049l" in written(console)


def test_ctrl_c_within_a_picture_leaves_no_colours() -> None:
    class Cut(io.StringIO):
        """A terminal that is interrupted in the middle of a picture."""

        def write(self, text: str) -> int:
            if "▀" in text:
                super().write(text[:2000])
                raise KeyboardInterrupt
            return super().write(text)

    console = terminal()
    console.file = Cut()
    with pytest.raises(KeyboardInterrupt):
        show(console)
    assert "\x1b[?2026l\x1b[0m\x1b[?1049l" in written(console)


def test_q_quits_and_n_goes_to_the_next_level() -> None:
    console = terminal()
    assert show(console, keys=Keys({3: "n", 6: "q"})).frames == 5
    assert "1-2   sample   cleared 0 of 0" in written(console)
    assert show(terminal(), keys=Keys({1: "xQ"})).frames == 0


def test_space_holds_the_game() -> None:
    keys = Keys({2: " ", 10: " ", 12: "q"})
    console = terminal()
    stats = show(console, keys=keys)
    assert "paused" in written(console)
    assert (keys.looks, stats.frames) == (12, 3)


def test_a_full_stop_goes_on_by_one_frame() -> None:
    keys = Keys({2: ".", 6: ".", 9: "q"})
    stats = show(terminal(), keys=keys)
    assert (keys.looks, stats.frames) == (9, 3)


def test_r_begins_a_new_episode_and_a_switches_the_policy() -> None:
    playback = FakePlayback()
    show(terminal(), playback, keys=Keys({3: "r", 5: "a", 8: "q"}))
    assert playback.played == [0, 1]
    assert playback.policy == "argmax"


def test_plus_and_minus_set_the_speed() -> None:
    class Speeds(Pacer):
        def wait(self, speed: float = 1.0) -> bool:
            asked.append(speed)
            return True

    asked: list[float] = []
    console = terminal()
    watch_in_terminal(
        lambda level: cast(Playback, FakePlayback(level)),
        ["1-1"],
        console=console,
        keys=contextlib.nullcontext(Keys({2: "++", 4: "---", 6: "q"})),
        pacer=Speeds(),
    )
    assert asked == [1.0, 4.0, 4.0, 0.5, 0.5]
    assert "×4" in written(console)
    assert "×0.5" in written(console)


def test_arrow_keys_are_no_letters() -> None:
    playback = FakePlayback()
    keys = Keys({2: "\x1b[A\x1b[5~\x1bOP", 4: "\x1b", 6: "q"})
    assert show(terminal(), playback, keys=keys).frames == 5
    assert playback.policy == "sample"


def test_h_shows_the_keys_and_takes_them_away() -> None:
    console = terminal()
    show(console, keys=Keys({3: "h", 5: "h", 7: "q"}))
    pictures = written(console).split("\x1b[?2026h")[1:]
    assert ["previous level" in picture for picture in pictures] == [
        *[False] * 2,
        True,  # only what changes is written
        *[False] * 3,
    ]
    assert "\x1b[5;1H" in pictures[4]
    assert "▀" in pictures[4][pictures[4].index("\x1b[5;1H") :].split("\x1b[K")[0]


def test_no_terminal_no_colours_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DisplayError, match=r"not a terminal.*warpzone record"):
        require_terminal(Console(file=io.StringIO(), _environ={}))
    monkeypatch.setenv("COLORTERM", "no")
    with pytest.raises(DisplayError, match=r"COLORTERM is no,.*COLORTERM=truecolor"):
        require_terminal(terminal(system="256"))
    with pytest.raises(DisplayError, match="has 39 x 50 characters, and 40 x 20 are needed"):
        require_terminal(terminal(39, 50))
    require_terminal(terminal(40, 20))


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
def test_keys_of_a_real_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    import pty
    import termios

    from warpzone.viewers.terminal import pressed_keys

    person, program = pty.openpty()
    with open(program, closefd=False) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        before = termios.tcgetattr(program)
        with pressed_keys() as read:
            assert read() == ""
            os.write(person, b"nq")
            for _ in range(100):
                if keys := read():
                    break
                time.sleep(0.01)
            assert keys == "nq", "without waiting for Enter"
            assert not termios.tcgetattr(program)[3] & termios.ECHO
        assert termios.tcgetattr(program) == before
    os.close(person)
    os.close(program)
