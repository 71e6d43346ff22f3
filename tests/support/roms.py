"""Files of cartridges that hold nothing."""

from __future__ import annotations

from pathlib import Path


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


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
