"""The script that runs public test ROMs, on ROMs made here that speak as those do."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from scripts.test_roms import main
from tests.parity.peer import CODE, QUIET, WAIT_VBLANK, cartridge, stop


def says(text: str, first: int = 0) -> bytes:
    """A ROM that writes to the screen, with tiles numbered from `first` in ASCII."""
    code = QUIET + 2 * WAIT_VBLANK
    for register, value in ((0x2006, 0x20), (0x2006, 0x42)):
        code += bytes([0xA9, value, 0x8D]) + register.to_bytes(2, "little")
    for letter in text.encode("ascii"):
        code += bytes([0xA9, letter - first, 0x8D, 0x07, 0x20])
    return cartridge(code + stop(CODE + len(code)))


def with_picture_ram(image: bytes) -> bytes:
    return image[:5] + b"\0" + image[6:-0x2000]


def writes(status: int, text: str) -> bytes:
    """An MMC1 that says it in its RAM and nothing on the screen."""
    code = QUIET
    for i, byte in enumerate(b"\0\xde\xb0\x61" + text.encode("ascii") + b"\0"):
        code += bytes([0xA9, byte, 0x8D]) + (0x6000 + i).to_bytes(2, "little")
    code += bytes([0xA9, status, 0x8D, 0x00, 0x60])
    image = cartridge(code + stop(CODE + len(code)))
    return image[:6] + b"\x11" + image[7:]


@pytest.fixture
def roms(tmp_path: Path) -> Path:
    folder = tmp_path / "roms"
    for name, image in {
        "one/good.nes": says("Passed"),
        "one/rom_singles/shifted.nes": says("All tests passed", first=32),
        "one/rom_singles/own_tiles.NES": with_picture_ram(says("PASSED")),
        "two/bad.nes": says("Failed #7"),
        "two/code.nes": says("$01"),
        "two/crash.nes": cartridge(b"\x02"),
        "two/reset.nes": says("Press reset"),
        "two/silent.nes": says("hello"),
        "two/another_mapper.nes": says("Passed")[:6] + b"\x51" + says("Passed")[7:],
        "two/pal_timing.nes": says("Failed"),
        "three/good.nes": writes(0, "all of it\nPassed"),
        "three/bad.nes": writes(3, "Failed #3"),
        "three/code.nes": writes(4, "no such word"),
        "three/reset.nes": writes(0x81, ""),
        "two/readme.txt": b"Passed",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image)
    return folder


TABLE = """\
| ROMs | pass | do not |
|---|---|---|
| one | 3 of 3 |  |
| three | 1 of 4 | bad (Failed #3), code ($04), reset (wants to be reset) |
| two | 1 of 4 | bad (Failed #7), crash (halts the processor), reset (wants to be reset) |

Not counted: 1 ROMs that give no verdict on the screen.
"""


def test_table(roms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(roms)]) == 0
    assert capsys.readouterr().out == TABLE
    packed = tmp_path / "roms.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in roms.rglob("*.*"):
            archive.write(path, path.relative_to(roms))
    assert main([str(packed), "two/bad", "good"]) == 0
    assert "| two | 0 of 1 | bad (Failed #7) |" in capsys.readouterr().out


def test_nothing_to_run(roms: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(roms), "no such part"]) == 2
    assert "no test in it" in capsys.readouterr().err
    assert main([str(roms / "two/readme.txt")]) == 2
    assert "neither a folder nor a zip file" in capsys.readouterr().err
