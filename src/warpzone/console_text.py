"""Text for terminals: what a terminal can show, and nothing that it would obey. A leaf."""

from __future__ import annotations

import codecs
import sys
from contextlib import suppress
from typing import IO, Any, TextIO

HANDLER = "warpzone.ascii"
"""Name of the codec error handler of `show_everything`."""


def escape_controls(text: str, keep: str = "") -> str:
    """Returns `text` with control characters, as in a file from elsewhere, written as escapes.

    They move the cursor, change colours or titles, or reverse the direction of writing, when a
    terminal prints them. Spaces of all kinds and everything that can be seen stay as they are, and
    so do the letters of `keep`.
    """
    if text.isprintable():
        return text
    return "".join(
        letter
        if letter.isprintable() or letter in keep or letter == "\N{NO-BREAK SPACE}"
        else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def one_line(text: str, most: int = 400) -> str:
    """Returns the beginning of a text from elsewhere as one line that can be printed."""
    shown = escape_controls(" ".join(text[: 2 * most].split("\n")))
    return shown if len(shown) <= most and len(text) <= 2 * most else f"{shown[:most]}…"


def shown(value: object, most: int = 80) -> str:
    """Returns the beginning of what `repr` says of a value, for a sentence about it."""
    try:
        return repr(value)[:most]
    except ValueError:  # Python writes no number of thousands of digits
        return "a number of too many digits"


def announce(text: str) -> None:
    """Tells in a line of the standard error that something goes over the network now.

    Args:
        text: whom it asks, and for what.
    """
    with suppress(OSError, ValueError, AttributeError):  # closed, or none: a window's program
        print(one_line(text), file=sys.stderr, flush=True)


def printable(text: str, stream: IO[Any]) -> str:
    """Returns `text` with what the encoding of `stream` lacks written in ASCII.

    A terminal that is not UTF-8 then shows `->` or `\\u2192` instead of ending the program with
    UnicodeEncodeError.

    Args:
        text: to be written to the stream.
        stream: a text stream; one without an encoding takes everything.
    """
    encoding = getattr(stream, "encoding", None)
    if not encoding:
        return text
    try:
        codecs.lookup(encoding)
    except LookupError:
        encoding = "ascii"
    return text.encode(encoding, HANDLER).decode(encoding)


def show_everything(stream: TextIO) -> None:
    """Makes a stream write whatever it is given, as `printable` does, in place of raising
    UnicodeEncodeError. For a program's own streams: a library leaves them alone."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors=HANDLER)


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(
        _SUBSTITUTES.get(ord(letter)) or letter.encode("ascii", "backslashreplace").decode("ascii")
        for letter in lacking
    ), error.end


_SUBSTITUTES = str.maketrans(
    {
        "–": "-",
        "—": "-",
        "…": "...",
        "×": "x",
        "→": "->",
        "←": "<-",
        "·": "*",
        "•": "*",
        "≤": "<=",
        "≥": ">=",
        "“": '"',
        "”": '"',
        "’": "'",
        "µ": "u",
        "\N{NO-BREAK SPACE}": " ",
        "█": "#",
        "▀": "#",
        "━": "-",
        "─": "-",
        "│": "|",
        **{chr(code): "*" for code in range(0x2800, 0x2900)},  # Braille, of which spinners are made
    }
)
"""What stands for characters of ours where a terminal lacks them."""

codecs.register_error(HANDLER, _in_ascii)
