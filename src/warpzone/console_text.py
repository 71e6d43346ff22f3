"""Text for terminals: what a terminal can show, and nothing that it would obey. A leaf."""

from __future__ import annotations

from typing import IO, Any


def escape_controls(text: str) -> str:
    """Returns `text` with control characters, as in a file from elsewhere, written as escapes.

    They move the cursor, change colours or titles, or reverse the direction of writing, when a
    terminal prints them. Spaces of all kinds and everything that can be seen stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(
        letter
        if letter.isprintable() or letter == "\N{NO-BREAK SPACE}"
        else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


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
        text.encode(encoding)
    except LookupError:
        encoding = "ascii"
    except UnicodeEncodeError:
        pass
    else:
        return text
    plain = text.translate(_SUBSTITUTES)
    return plain.encode(encoding, "backslashreplace").decode(encoding)


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
    }
)
"""What stands for characters of ours where a terminal lacks them."""
