"""Runs public test ROMs on our console and writes a table of what passes.

    python scripts/test_roms.py FOLDER_OR_ZIP              # everything in it that we can run
    python scripts/test_roms.py FOLDER_OR_ZIP cpu ppu_vbl  # only paths with one of these in them

The ROMs belong to their authors and are not part of this project: get them from the repository
`christopherpow/nes-test-roms` on GitHub (a clone, or its zip). Each tells its verdict on the
screen ("Passed", "Failed #3", "$01"), and newer ones in the cartridge's RAM as well: that is where
it is read. Those for PAL consoles are left out.
"""

from __future__ import annotations

import argparse
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from warpzone import Console, _native
from warpzone.errors import EngineError, WarpzoneError

LOOK_EVERY, LOOKS = 30, 120  # frames
START = 8
IN_RAM, RUNS, WANTS_RESET, TEXT_AT = b"\xde\xb0\x61", 0x80, 0x81, 4
"""Where $6001-$6003 hold this, $6000 says how a ROM is getting on and $6004 why, in ASCII."""
VERDICT = re.compile(r"\b(passed|failed|error)\b[^\n]*", re.IGNORECASE)
CODE = re.compile(r"^\s*\$([0-9A-F]{2})\s*$", re.MULTILINE)
TO_RESET = re.compile("press reset", re.IGNORECASE)


@dataclass(frozen=True)
class Verdict:
    """What a ROM said; `passed` is None when it said nothing that we understand."""

    passed: bool | None
    said: str


def is_ours(name: str, image: bytes) -> bool:
    """Whether this is a cartridge for our console."""
    if re.search(r"\bpal_?", name, re.IGNORECASE):
        return False
    try:
        _native.Cartridge(image)
    except ValueError:
        return False
    return True


def read_images(source: Path) -> Iterator[tuple[str, bytes]]:
    """Path and content of every image in a folder or a zip file that we can run, in order."""
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            name = path.relative_to(source).as_posix()
            if path.suffix.lower() == ".nes" and is_ours(name, image := path.read_bytes()):
                yield name, image
        return
    with zipfile.ZipFile(source) as archive:
        for name in sorted(archive.namelist()):
            if name.lower().endswith(".nes") and is_ours(name, image := archive.read(name)):
                yield name, image


def screen_text(console: Console) -> str:
    """Both nametables as text: tiles are numbered like ASCII, or like ASCII from the space on."""
    cells = console.native.nametables.reshape(2, 32, 32)[:, :30]
    texts = []
    for first in (0, 32):
        codes = cells.astype(int) % 128 + first
        codes[(codes < 32) | (codes > 126)] = 32
        rows = ("".join(map(chr, row)).rstrip() for row in codes.reshape(60, 32))
        texts.append("\n".join(row for row in rows if row))
    return max(texts, key=lambda text: VERDICT.search(text) is not None)


def ram_verdict(console: Console) -> Verdict | None:
    """What the cartridge's RAM says; None where it says nothing yet."""
    ram = console.prg_ram
    if len(ram) == 0 or ram[1:4].tobytes() != IN_RAM or ram[0] == RUNS:
        return None
    if ram[0] == WANTS_RESET:
        return Verdict(None, "wants to be reset")
    text = ram[TEXT_AT:].tobytes().split(b"\0")[0].decode("ascii", "replace")
    said = VERDICT.search(text)
    return Verdict(ram[0] == 0, said[0].strip() if said else f"${ram[0]:02X}")


def menu_verdict(text: str) -> Verdict:
    """nestest writes OK or a number before every line of its menu."""
    lines = [line.split() for line in text.splitlines()]
    bad = [" ".join(line[1:]) for line in lines if line and re.fullmatch("[0-9A-F]{2}", line[0])]
    good = sum(bool(line) and line[0] == "OK" for line in lines)
    return Verdict(good > 5 and not bad, ", ".join(bad) or f"{good} OK")


def judge(image: bytes) -> Verdict:
    """Runs one ROM until it gives its verdict, or for a minute."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "test.nes")
        path.write_bytes(image)
        console = Console(path, engine="interpreter")
    text = ""
    for _ in range(LOOKS):
        try:
            console.step(0, LOOK_EVERY)
        except EngineError:
            return Verdict(False, "halts the processor")
        if told := ram_verdict(console):
            return told
        before, text = text, screen_text(console)
        if "Run all tests" in text:
            console.step(START, 5)
            console.step(0, LOOK_EVERY)
            return menu_verdict(screen_text(console))
        if text != before:
            continue
        if TO_RESET.search(text):
            return Verdict(None, "wants to be reset")
        if found := VERDICT.search(text):
            return Verdict(found[1].lower() == "passed", found[0].strip())
        if found := CODE.search(text):
            return Verdict(found[1] == "01", f"${found[1]}")
    return Verdict(None, "")


def table(verdicts: dict[str, Verdict]) -> str:
    """Markdown: one line for each folder, naming the ROMs that do not pass."""
    folders: dict[str, dict[str, Verdict]] = {}
    for name, verdict in verdicts.items():
        folder, _, rom = name.rpartition("/")
        folders.setdefault(folder.removesuffix("/rom_singles"), {})[rom] = verdict
    lines = ["| ROMs | pass | do not |", "|---|---|---|"]
    for folder, roms in folders.items():
        failing = [
            f"{Path(rom).stem} ({verdict.said})"
            for rom, verdict in roms.items()
            if not verdict.passed
        ]
        passed = len(roms) - len(failing)
        lines.append(f"| {folder} | {passed} of {len(roms)} | {', '.join(failing)} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Prints the table; 0 whatever the verdicts are, 2 when there is nothing to run."""
    parser = argparse.ArgumentParser(description="Run public NES test ROMs; table in Markdown.")
    parser.add_argument("source", type=Path, help="folder or zip file with .nes files")
    parser.add_argument("only", nargs="*", help="run only paths that contain one of these")
    options = parser.parse_args(arguments)
    if not (options.source.is_dir() or zipfile.is_zipfile(options.source)):
        print(f"{options.source}: neither a folder nor a zip file", file=sys.stderr)
        return 2
    verdicts: dict[str, Verdict] = {}
    silent = 0
    for name, image in read_images(options.source):
        if options.only and not any(part in name for part in options.only):
            continue
        try:
            verdict = judge(image)
        except WarpzoneError:
            verdict = Verdict(False, "damaged")
        if verdict.passed is None and not verdict.said:
            silent += 1
            continue
        verdicts[name] = verdict
        print(f"{name}: {verdict.said}", file=sys.stderr)
    if not verdicts:
        print(f"{options.source}: no test in it that gives a verdict", file=sys.stderr)
        return 2
    print(table(verdicts))
    print(f"\nNot counted: {silent} ROMs that give no verdict on the screen.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
