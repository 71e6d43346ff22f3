"""Runs public test ROMs on our console and writes a table of what passes.

    python scripts/test_roms.py FOLDER_OR_ZIP              # everything in it that NROM can run
    python scripts/test_roms.py FOLDER_OR_ZIP cpu ppu_vbl  # only paths with one of these in them

The ROMs belong to their authors and are not part of this project: get them from the repository
`christopherpow/nes-test-roms` on GitHub (a clone, or its zip). Each tells its verdict on the
screen, so that is where it is read: "Passed", "Failed #3", "$01". Needs `cynes` (an extra of the
tests) for ROMs that draw their own tiles: ours has no picture RAM, so they run with the tiles that
they have drawn there.
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

import numpy as np

from warpzone import Console
from warpzone.errors import EngineError, WarpzoneError

LOOK_EVERY, LOOKS = 30, 120  # frames
START = 8
# A snapshot ends with two nametables, sprite memory and the palette.
NAMETABLES = slice(-(2048 + 256 + 32), -(256 + 32))
VERDICT = re.compile(r"\b(passed|failed|error)\b[^\n]*", re.IGNORECASE)
CODE = re.compile(r"^\s*\$([0-9A-F]{2})\s*$", re.MULTILINE)
TO_RESET = re.compile("press reset", re.IGNORECASE)


@dataclass(frozen=True)
class Verdict:
    """What a ROM said; `passed` is None when it said nothing that we understand."""

    passed: bool | None
    said: str


def is_nrom(image: bytes) -> bool:
    """Whether this is an NROM cartridge for an NTSC console."""
    return (
        len(image) > 16
        and image[:4] == b"NES\x1a"
        and (image[6] >> 4 | image[7] & 0xF0) == 0
        and image[4] in (1, 2)
        and image[5] in (0, 1)
    )


def read_images(source: Path) -> Iterator[tuple[str, bytes]]:
    """Path and content of every NROM image in a folder or a zip file, in order."""
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.suffix.lower() == ".nes" and is_nrom(image := path.read_bytes()):
                yield path.relative_to(source).as_posix(), image
        return
    with zipfile.ZipFile(source) as archive:
        for name in sorted(archive.namelist()):
            if name.lower().endswith(".nes") and is_nrom(image := archive.read(name)):
                yield name, image


def picture_ram_in_snapshots(image: bytes, folder: Path) -> int:
    """Where cynes keeps the picture RAM of such a cartridge: a program marks it."""
    import cynes

    marker = bytes(range(100, 164))
    wait = "AD 02 20 10 FB"  # for the vertical blank
    program = bytes.fromhex(
        f"A9 00 8D 00 20 8D 01 20 {wait} {wait} A9 00 8D 06 20 8D 06 20 A2 00 "
        "8A 18 69 64 8D 07 20 E8 E0 40 D0 F4 4C 28 80"
    )
    vectors = 3 * (0x8000).to_bytes(2, "little")
    size = len(image) - 16
    code = program.ljust(0x4000, b"\0") if size > 0x4000 else b""
    last = (b"" if code else program).ljust(0x4000 - len(vectors), b"\0") + vectors
    if not code:
        last = last.replace(vectors, 3 * (0xC000).to_bytes(2, "little"))
    path = folder / "marker.nes"
    path.write_bytes(image[:16] + code + last)
    nes = cynes.NES(str(path))
    nes.step(10)
    snapshot: bytes = nes.save().tobytes()
    return snapshot.index(marker)


def with_tiles(image: bytes, folder: Path) -> bytes:
    """A ROM that has picture RAM, with the tiles that its program puts there, as a plain one."""
    import cynes

    at = picture_ram_in_snapshots(image, folder)
    path = folder / "tiles.nes"
    path.write_bytes(image)
    nes = cynes.NES(str(path))
    nes.step(200)
    tiles = bytes(nes.save()[at : at + 0x2000])
    return image[:5] + b"\x01" + image[6:] + tiles


def screen_text(console: Console) -> str:
    """Both nametables as text: tiles are numbered like ASCII, or like ASCII from the space on."""
    cells = np.frombuffer(console.save(), np.uint8)[NAMETABLES].reshape(2, 32, 32)[:, :30]
    texts = []
    for first in (0, 32):
        codes = cells.astype(int) % 128 + first
        codes[(codes < 32) | (codes > 126)] = 32
        rows = ("".join(map(chr, row)).rstrip() for row in codes.reshape(60, 32))
        texts.append("\n".join(row for row in rows if row))
    return max(texts, key=lambda text: VERDICT.search(text) is not None)


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
        path.write_bytes(image if image[5] else with_tiles(image, Path(folder)))
        console = Console(path)
    text = ""
    for _ in range(LOOKS):
        try:
            console.step(0, LOOK_EVERY)
        except EngineError:
            return Verdict(False, "halts the processor")
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
        print(f"{options.source}: no NROM test in it that gives a verdict", file=sys.stderr)
        return 2
    print(table(verdicts))
    print(f"\nNot counted: {silent} ROMs that give no verdict on the screen.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
