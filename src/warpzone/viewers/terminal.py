"""An agent plays in a terminal: two pixels to each character, in 24-bit colours.

The upper half block ▀ has the colour of the upper pixel and on its ground that of the lower one.
Where the terminal's encoding has no such sign, a space with a coloured ground stands for both.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from warpzone.agents.playback import Playback
from warpzone.console_text import printable
from warpzone.errors import DisplayError
from warpzone.extras import need
from warpzone.nes.console import PALETTE
from warpzone.video.film import Frame, colours
from warpzone.viewers.controls import Controls
from warpzone.viewers.loop import Display, Picture
from warpzone.viewers.pacer import Pacer
from warpzone.viewers.watch import WATCH_HELP, Stats, watch_on

WIDTH, HEIGHT = 256, 240
LEAST_COLUMNS, LEAST_ROWS = 40, 20
"""With fewer characters nobody could make out Mario."""
LARGEST_LAG = 0.5
"""Seconds: terminals are slow, and a game that keeps its speed is worth a few frames."""

KEYS = "H help   Q quit"
TERMINAL_HELP = (*WATCH_HELP[:3], *WATCH_HELP[4:-1], "Q\tquit")
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.)?")
"""What a terminal sends for arrows and the like; the letters within are no keys."""
# Both together reach the screen in one go on terminals that know them; others ignore them.
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
_COLOURS = b"\x1b[38;2;000;000;000;48;2;000;000;000m"
_BLOCK = "▀".encode()
_GROUND = b"\x1b[48;2;000;000;000m"
_IN_GROUND = (7, 11, 15)
"""Where in `_GROUND` the numbers stand."""
_DIGITS = np.array([list(f"{n:03}".encode()) for n in range(256)], np.uint8)
"""uint8[256, 3]: all numbers in three digits, so that all characters of a row are equally long."""
_UPPER, _LOWER = (7, 11, 15), (24, 28, 32)
"""Where in `_COLOURS` the numbers stand."""


def require_terminal(console: Console) -> None:
    """Raises DisplayError, with what to do, where `console` cannot show the game."""
    need("Drawing in a terminal", films=("PIL",))
    film = "make a film instead: warpzone record … -o clip.mp4"
    if not console.is_terminal:
        raise DisplayError(
            f"cannot draw the game: the output is not a terminal. Run it in one, or {film}"
        )
    if console.color_system != "truecolor":
        told = os.environ.get("COLORTERM") or "not set"
        raise DisplayError(
            "cannot draw the game: this terminal does not say that it has 24-bit colours "
            f"(COLORTERM is {told}, TERM is {os.environ.get('TERM') or 'not set'}). If it has "
            f"them, put COLORTERM=truecolor before the command; if not, {film}"
        )
    columns, rows = console.size
    if not _large_enough(columns, rows):
        raise DisplayError(
            f"cannot draw the game: this terminal has {columns} x {rows} characters, and "
            f"{LEAST_COLUMNS} x {LEAST_ROWS} are needed. Enlarge it or make its font smaller"
        )


def picture_size(columns: int, rows: int) -> tuple[int, int]:
    """Returns width and height in pixels of the largest picture in so many characters.

    A character is taken to be twice as high as wide. One row is for the status.
    """
    share = min(columns / WIDTH, 2 * (rows - 1) / HEIGHT, 1.0)
    return max(1, int(WIDTH * share)), max(2, int(HEIGHT * share) // 2 * 2)


def half_blocks(pixels: NDArray[np.uint8]) -> list[bytes]:
    """Returns a picture as rows of characters.

    Args:
        pixels: uint8[2 * rows, columns, 3] RGB.

    Returns:
        UTF-8 of each row. Colours are only written where they change along it.
    """
    both = np.concatenate([pixels[::2], pixels[1::2]], axis=2)
    return _rows(both, _COLOURS, (*_UPPER, *_LOWER), _BLOCK)


def coloured_spaces(pixels: NDArray[np.uint8]) -> list[bytes]:
    """Returns a picture as rows of spaces on coloured grounds, where there are no half blocks.

    Args:
        pixels: uint8[rows, columns, 3] RGB.

    Returns:
        ASCII of each row. Colours are only written where they change along it.
    """
    return _rows(pixels, _GROUND, _IN_GROUND, b" ")


def _rows(
    values: NDArray[np.uint8], colours: bytes, places: Sequence[int], sign: bytes
) -> list[bytes]:
    """Returns rows of one sign, with the sequence for its colours where they change.

    Args:
        values: uint8[rows, columns, n]: the numbers in the sequence.
        colours: the sequence, with three digits for each number.
        places: n places of the numbers in it.
        sign: that is coloured.
    """
    rows, columns = values.shape[:2]
    cells = np.empty((rows, columns, len(colours) + len(sign)), np.uint8)
    cells[:] = np.frombuffer(colours + sign, np.uint8)
    for channel, place in enumerate(places):
        cells[:, :, place : place + 3] = _DIGITS[values[:, :, channel]]
    wanted = np.ones(cells.shape, np.bool_)
    wanted[:, 1:, : len(colours)] = (values[:, 1:] != values[:, :-1]).any(axis=2)[:, :, None]
    return [row[kept].tobytes() for row, kept in zip(cells, wanted, strict=True)]


class TerminalScreen:
    """Draws pictures into a terminal, of which it writes only the rows that have changed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._size = (0, 0)
        self._shown: list[bytes] = []
        self._has_blocks = printable("▀", console.file) == "▀"

    def show(
        self,
        frame: Frame,
        palette: NDArray[np.uint8],
        status: str,
        overlay: Sequence[str] = (),
    ) -> None:
        """Draws one picture.

        Args:
            frame: uint8[240, 256] NES palette indices or uint8[240, 256, 3] RGB.
            palette: uint8[64, 3] RGB.
            status: one line under the picture, cut to the width of the terminal.
            overlay: lines in place of the picture's first ones, with a column after a tab.
        """
        columns, rows = size = self._console.size
        out = [_BEGIN]
        if size != self._size:
            self._size, self._shown = size, []
            out.append("\x1b[0m\x1b[2J")
        if not _large_enough(columns, rows):
            out.append(f"\x1b[H{'too small: enlarge the terminal'[:columns]}")
        else:
            lines = [*self._picture(frame, palette), self._text(status, columns)]
            for number, text in enumerate(overlay[: len(lines) - 1]):
                lines[number] = self._text(f" {text}".expandtabs(9), columns)
            known = self._shown or [b""] * len(lines)
            for number, (line, old) in enumerate(zip(lines, known, strict=True), start=1):
                if line != old:
                    out.append(f"\x1b[{number};1H{line.decode()}\x1b[0m\x1b[K")
            self._shown = lines
        out.append(_END)
        self._console.file.write("".join(out))
        self._console.file.flush()

    def close(self) -> None:
        """Ends a picture that was broken off, so that nothing after it has its colours."""
        self._console.file.write(f"{_END}\x1b[0m")
        self._console.file.flush()

    def _picture(self, frame: Frame, palette: NDArray[np.uint8]) -> list[bytes]:
        columns, rows = self._size
        width, height = picture_size(columns, rows)
        from PIL import Image

        image = Image.fromarray(colours(frame, palette))
        size = (width, height) if self._has_blocks else (width, height // 2)
        small = np.asarray(image.resize(size, Image.Resampling.BOX))
        margin = b" " * ((columns - width) // 2)
        lines = half_blocks(small) if self._has_blocks else coloured_spaces(small)
        return [margin + line for line in lines]

    def _text(self, text: str, columns: int) -> bytes:
        """Returns as much of a line as there is room for, in what the terminal can show."""
        return printable(text, self._console.file)[: columns - 1].encode()


def watch_in_terminal(
    open_playback: Callable[[str], Playback],
    levels: Sequence[str],
    *,
    console: Console | None = None,
    seed: int = 0,
    max_frames: int | None = None,
    keys: AbstractContextManager[Callable[[], str]] | None = None,
    pacer: Pacer | None = None,
) -> Stats:
    """Shows an agent's play in the terminal until a key or Ctrl-C ends it.

    However it ends, the terminal is as it was before.

    Args:
        open_playback: makes the player of a level.
        levels: the levels that the keys n and p go through, from the first one on.
        console: the terminal; None: the one that the process writes to.
        seed: of the first episode; the following ones count up.
        max_frames: end after so many emulated frames; None waits for the user.
        keys: gives a function that returns the keys pressed since its last call; None: those of
            the terminal, where the input is one.
        pacer: says when frames are due; None: at the console's own rate.

    Raises:
        DisplayError: not a terminal, without 24-bit colours, or too small.
    """
    terminal = console or Console()
    require_terminal(terminal)
    with (
        terminal.screen(hide_cursor=True),
        closing(TerminalScreen(terminal)) as screen,
        keys or pressed_keys() as read,
    ):
        display = TerminalDisplay(screen, read, pacer or Pacer(largest_lag=LARGEST_LAG))
        return watch_on(
            display,
            open_playback,
            levels,
            seed=seed,
            max_frames=max_frames,
            keys=TERMINAL_HELP,
        )


class TerminalDisplay(Display):
    """Shows pictures in a terminal, and reads its keys."""

    def __init__(self, screen: TerminalScreen, read: Callable[[], str], pacer: Pacer) -> None:
        """
        Args:
            screen: draws.
            read: returns the keys pressed since its last call.
            pacer: says when frames are due.
        """
        self._screen, self._read, self._pacer = screen, read, pacer

    def listen(self, controls: Controls) -> None:
        for key in _SEQUENCE.sub("", self._read()).lower():
            if key == "q":
                controls.quit = True
            else:
                controls.type(key)

    def wait(self, speed: float) -> bool:
        return self._pacer.wait(speed)

    def draw(self, picture: Picture) -> None:
        # What changes all the time stands last, so that nothing else moves.
        last = "  ".join(picture.message) or picture.buttons
        status = "   ".join([*picture.status, KEYS, last])
        self._screen.show(picture.frame, PALETTE, status, picture.help)


@contextmanager
def pressed_keys() -> Iterator[Callable[[], str]]:
    """Yields a function that returns the keys pressed since its last call, without waiting.

    Where the input is no terminal there are none. Ctrl-C stays what it is.
    """
    if not sys.stdin.isatty():
        yield lambda: ""
    elif sys.platform == "win32":
        import msvcrt

        def waiting() -> str:
            keys = ""
            while msvcrt.kbhit():
                keys += msvcrt.getwch()
            return keys

        yield waiting
    else:
        import select
        import termios
        import tty

        terminal = sys.stdin.fileno()
        before = termios.tcgetattr(terminal)

        def typed() -> str:
            ready, _, _ = select.select([terminal], [], [], 0)
            return os.read(terminal, 64).decode(errors="ignore") if ready else ""

        try:
            tty.setcbreak(terminal)  # keys come one by one and are not written on the screen
            yield typed
        finally:
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _large_enough(columns: int, rows: int) -> bool:
    return columns >= LEAST_COLUMNS and rows >= LEAST_ROWS
