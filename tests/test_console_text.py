"""Text that is printed: what a terminal lacks is written otherwise, and what it obeys is shown."""

from __future__ import annotations

import io

import pytest

from warpzone.console_text import escape_controls, printable, show_everything


def stream(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "cp1252", "latin-1", "utf-8", "shift_jis"])
def test_what_is_printable_can_be_written(encoding: str) -> None:
    texts = ["plain", "95.0 % – 99.1 %", "×2 → “argmax” … ▀█", "马里奥", "\udc80.nes", "\0\x1b[2J"]
    for text in texts:
        out = stream(encoding)
        out.write(printable(text, out))
        out.flush()


def test_ascii_has_signs_that_stand_for_ours() -> None:
    assert printable("cleared 3–5 × … → “a”", stream("ascii")) == 'cleared 3-5 x ... -> "a"'
    assert printable("马", stream("ascii")) == "\\u9a6c"


def test_what_the_stream_can_show_stays() -> None:
    assert printable("×2 → 马", stream("utf-8")) == "×2 → 马"
    assert printable("×2", stream("latin-1")) == "×2"
    assert printable("×2", io.StringIO()) == "×2"


def test_a_terminal_obeys_nothing_in_a_text_from_elsewhere() -> None:
    assert escape_controls("a\x1b]0;title\x07b\r\n") == "a\\x1b]0;title\\x07b\\r\\n"
    assert escape_controls("\u202egpj.exe") == "\\u202egpj.exe"
    assert escape_controls("World 1-1 ‒ Häuser 马") == "World 1-1 ‒ Häuser 马"


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "utf-8"])
def test_a_stream_that_shows_everything(encoding: str) -> None:
    out = stream(encoding)
    show_everything(out)
    out.write("95 % – \udc80 ⠋ 马\n")
    out.flush()
    assert isinstance(out.buffer, io.BytesIO)
    written = out.buffer.getvalue().decode(encoding)
    assert written.startswith("95 % ")
    assert "\\udc80" in written
    assert (written == "95 % - \\udc80 * \\u9a6c\n") == (encoding != "utf-8")
