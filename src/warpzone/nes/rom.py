"""ROM files: read, checked, and told apart by what is in them.

Formats: iNES and NES 2.0 as documented by the NESdev wiki (https://www.nesdev.org/wiki/INES).
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from warpzone.errors import RomError
from warpzone.files import read_regular_file

VARIABLE = "WARPZONE_ROM"
"""The environment variable that names the ROM to use."""

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
    f"Give the path of a ROM (.nes), set {VARIABLE} to it, or let `warpzone rom` find or fetch one."
)


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
        return contents_sha1_of(self.data)

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


def load_rom(path: str | os.PathLike[str], origin: str = "argument") -> Rom:
    """Reads and checks the ROM at `path`; `origin` says how it was found.

    Raises:
        RomError: there is none, or it cannot be used.
    """
    path = Path(path).expanduser()
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
        revision=REVISIONS.get(contents_sha1_of(data), "other NROM"),
        origin=origin,
    )


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
            f"{source} is for a cartridge with mapper {mapper}; only mapper 0 (NROM) can be "
            f"run. {HELP}"
        )
    pal = data[12] & 3 == 1 if nes2 else bool(data[9] & 1)
    if pal:
        raise RomError(
            f"{source} is marked as PAL; only NTSC timing (60 frames/s) can be run. Games that "
            f"were sold in Europe have NTSC files, too. {HELP}"
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


def contents_sha1_of(data: bytes) -> str:
    """Returns the SHA-1 of program and pictures of a checked iNES file, without its header."""
    begin = HEADER_BYTES + bool(data[6] & 4) * TRAINER_BYTES
    end = begin + data[4] * PRG_UNIT + data[5] * CHR_UNIT
    return hashlib.sha1(data[begin:end], usedforsecurity=False).hexdigest()
