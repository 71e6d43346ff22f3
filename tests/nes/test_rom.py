"""The ROM: which files are taken, which are refused and with what words."""

import hashlib
import os
from pathlib import Path

import pytest
from tests.support.roms import cartridge, write

from warpzone.errors import RomError
from warpzone.nes import rom
from warpzone.nes.rom import load_rom, validate


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"<html>not found</html>", "not an iNES file", id="web page"),
        pytest.param(b"PK\x03\x04" + bytes(100), "unpack it", id="zip archive"),
        pytest.param(b"NES\x1a\x02\x01", "6 bytes, and the header alone has 16", id="header cut"),
        pytest.param(cartridge()[:-1], "40975 bytes, and its header promises 40976", id="cut"),
        pytest.param(cartridge(flags6=4)[:-1], "header promises 41488", id="trainer, cut"),
        pytest.param(cartridge(flags6=0x51), "mapper 5; supported are NROM (0)", id="MMC5"),
        pytest.param(cartridge(flags7=0x40), "mapper 64;", id="mapper's upper nibble"),
        pytest.param(cartridge(flags7=0x08, flags={8: 1}), "mapper 256;", id="NES 2.0 mapper"),
        pytest.param(cartridge(flags={9: 1}), "marked as PAL", id="PAL"),
        pytest.param(cartridge(flags7=0x08, flags={12: 1}), "marked as PAL", id="NES 2.0 PAL"),
        pytest.param(cartridge(prg=0), "the header says 0 KB", id="no program"),
        pytest.param(cartridge(prg=4), "the header says 64 KB", id="program too big"),
        pytest.param(cartridge(chr_=2), "the header says 16 KB", id="pictures too big"),
    ],
)
def test_what_is_refused_and_why(data: bytes, words: str) -> None:
    with pytest.raises(RomError) as error:
        validate(data, "the ROM 'x.nes'")
    assert words in str(error.value)
    assert str(error.value).startswith("the ROM 'x.nes' ")
    assert "WARPZONE_ROM" in str(error.value)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(cartridge(), id="iNES"),
        pytest.param(cartridge(prg=1), id="small"),
        pytest.param(cartridge(flags6=4), id="with trainer"),
        pytest.param(cartridge(flags7=0x08), id="NES 2.0"),
        pytest.param(cartridge(flags7=0x08, flags={12: 2}), id="NES 2.0, both timings"),
        pytest.param(cartridge() + b"tail", id="more than the header promises"),
        pytest.param(cartridge(chr_=0), id="pictures in RAM"),
        pytest.param(cartridge(flags6=9), id="four screens"),
        pytest.param(cartridge(prg=8, chr_=16, flags6=0x40), id="MMC3"),
        pytest.param(cartridge(prg=8, chr_=0, flags6=0x12), id="MMC1 with a battery"),
        pytest.param(
            cartridge(flags6=0x31, flags7=0x40, flags={12: 68}), id="a name in the header"
        ),
    ],
)
def test_what_is_taken(data: bytes) -> None:
    validate(data, "a ROM")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
@pytest.mark.timeout(20)
def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.nes"
    os.mkfifo(pipe)
    with pytest.raises(RomError, match="a pipe"):
        load_rom(pipe)
    with pytest.raises(RomError, match="/dev/zero"):
        load_rom("/dev/zero")


def test_a_file_far_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.nes"
    with path.open("wb") as file:
        file.write(cartridge())
        file.truncate(20 << 30)  # a hole, which takes no room
    with pytest.raises(RomError, match="cannot be read"):
        load_rom(path)


def test_a_directory_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(RomError, match="it is a folder, not a file"):
        load_rom(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RomError, match=r"gone\.nes' \(argument\) does not exist"):
        load_rom(tmp_path / "gone.nes")


def test_an_unreadable_file_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    path = write(tmp_path / "game.nes", cartridge())
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(RomError, match="cannot be read: Permission denied"):
        load_rom(path)


def test_what_is_known_of_a_file(tmp_path: Path) -> None:
    data = cartridge(prg=1, flags6=0)
    found = load_rom(str(write(tmp_path / "game.nes", data)))
    assert found.path == tmp_path / "game.nes"
    assert found.data == data
    assert found.sha1 == hashlib.sha1(data).hexdigest()
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert (found.prg_bytes, found.chr_bytes, found.mirroring) == (16384, 8192, "horizontal")
    assert found.revision == "other NROM"


@pytest.mark.parametrize(("flags6", "name"), [(1, "vertical"), (0, "horizontal")])
def test_mirroring(tmp_path: Path, flags6: int, name: str) -> None:
    assert load_rom(write(tmp_path / "game.nes", cartridge(flags6=flags6))).mirroring == name


def test_revisions_are_told_apart_by_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what is in the cartridge: headers, and what follows the cartridge in the file, differ."""
    data = cartridge()
    monkeypatch.setitem(rom.REVISIONS, hashlib.sha1(data[16:]).hexdigest(), "World")
    assert load_rom(write(tmp_path / "game.nes", data)).revision == "World"
    assert load_rom(write(tmp_path / "long.nes", data + b"!")).revision == "World"
    other_header = data[:15] + b"!" + data[16:]
    assert load_rom(write(tmp_path / "header.nes", other_header)).revision == "World"
    hack = data[:100] + bytes([data[100] ^ 1]) + data[101:]
    assert load_rom(write(tmp_path / "hack.nes", hack)).revision == "other NROM"
