"""ROM files: read, checked, and told apart by what is in them.

Formats: iNES and NES 2.0 as documented by the NESdev wiki (https://www.nesdev.org/wiki/INES).
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from warpzone import _native
from warpzone.errors import RomError
from warpzone.files import read_regular_file

VARIABLE = "WARPZONE_ROM"
"""The environment variable that names the ROM to use."""

REVISIONS: dict[str, str] = {}
"""SHA-1 of program and pictures, without the header → what that cartridge is called. Games fill it
in: this room knows none."""

MAPPERS = {0: "NROM", 1: "MMC1", 2: "UxROM", 3: "CNROM", 4: "MMC3", 7: "AxROM"}
"""The boards that can be run, by their number in the header: https://www.nesdev.org/wiki/Mapper."""

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
        """Size of the program in bytes."""
        return _sizes(self.data)[0]

    @property
    def chr_bytes(self) -> int:
        """Size of the pictures in bytes; 0 where the program draws them into RAM."""
        return _sizes(self.data)[1]

    @property
    def mapper(self) -> int:
        """The number of its board, one of `MAPPERS`."""
        return mapper_number(self.data)

    @property
    def mirroring(self) -> str:
        """How the header lays out the nametables: "vertical", "horizontal" or "four"; boards may
        change it."""
        if self.data[6] & 8:
            return "four"
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
    return rom_of(data, path, origin)


def rom_of(data: bytes, path: Path, origin: str) -> Rom:
    """Checks what was read of the file at `path`, or would be; `origin` says where it comes from.

    Raises:
        RomError: it cannot be used.
    """
    validate(data, f"the ROM {str(path)!r} ({origin})")
    sha1 = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    return Rom(
        path=path.absolute(),
        data=data,
        sha1=sha1,
        sha256=hashlib.sha256(data).hexdigest(),
        revision=REVISIONS.get(contents_sha1_of(data), f"other {MAPPERS[mapper_number(data)]}"),
        origin=origin,
    )


def validate(data: bytes, source: str) -> None:
    """Checks that ``data`` is the iNES or NES 2.0 file of an NTSC cartridge that can be run.

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
    mapper = mapper_number(data)
    if mapper not in MAPPERS:
        raise RomError(
            f"{source} is for a cartridge with mapper {mapper}; supported are "
            f"{', '.join(f'{name} ({number})' for number, name in MAPPERS.items())}. {HELP}"
        )
    pal = data[12] & 3 == 1 if _is_nes2(data) else bool(data[9] & 1)
    if pal:
        raise RomError(
            f"{source} is marked as PAL; only NTSC timing (60 frames/s) can be run. Games that "
            f"were sold in Europe have NTSC files, too. {HELP}"
        )
    prg, chr_ = _sizes(data)
    needed = HEADER_BYTES + bool(data[6] & 4) * TRAINER_BYTES + prg + chr_
    if len(data) < needed:
        raise RomError(
            f"{source} is truncated: {len(data)} bytes, and its header promises {needed}. {HELP}"
        )
    try:
        _native.Cartridge(data)
    except ValueError as error:
        raise RomError(f"{source} cannot be run: {error}. {HELP}") from None


def mapper_number(data: bytes) -> int:
    """Returns the number of the board that an iNES or NES 2.0 header names."""
    if _is_nes2(data):
        return data[6] >> 4 | data[7] & 0xF0 | (data[8] & 0x0F) << 8
    # Old tools wrote their name from byte 7 on: then nothing of it counts.
    return data[6] >> 4 | (0 if any(data[12:16]) else data[7] & 0xF0)


def _is_nes2(data: bytes) -> bool:
    return data[7] & 0x0C == 0x08


def _sizes(data: bytes) -> tuple[int, int]:
    """Program and pictures in bytes, as the header says."""
    high = data[9] if _is_nes2(data) else 0
    return _size(data[4], high & 15, PRG_UNIT), _size(data[5], high >> 4, CHR_UNIT)


def _size(low: int, high: int, unit: int) -> int:
    if high < 15:
        return (low | high << 8) * unit
    return (1 << (low >> 2)) * ((low & 3) * 2 + 1)


def contents_sha1_of(data: bytes) -> str:
    """Returns the SHA-1 of program and pictures of a checked iNES file, without its header."""
    begin = HEADER_BYTES + bool(data[6] & 4) * TRAINER_BYTES
    end = begin + sum(_sizes(data))
    return hashlib.sha1(data[begin:end], usedforsecurity=False).hexdigest()
