"""`nes_py.ram`: numbers in RAM, described by where they lie and how they are written there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from warpzone.compat.nes_py.arrays import checked_output
from warpzone.errors import ConfigError
from warpzone.nes.variables import Coding, decoded

RAM_BYTES = 0x800
RAM_READ_ENCODINGS = {"byte": 0, "little": 1, "big": 2, "bcd": 3, "digits": 4}
"""A byte; low or high byte first; two digits to a byte; one digit to a byte."""
CODINGS: tuple[Coding, ...] = ("binary", "binary", "binary", "bcd", "digits")
"""By number. Of a digit the whole byte counts."""
LONGEST = {"byte": 1, "little": 4, "big": 4, "bcd": 4, "digits": 9}
"""Bytes of a number at most."""

Spec: TypeAlias = Any
"""An address; (address, size), low byte first; (address, size, encoding); or a mapping with
"address", "size" (1) and "encoding" ("byte")."""
Specs: TypeAlias = tuple[NDArray[np.uint16], NDArray[np.uint8], NDArray[np.uint8]]


def normalize_ram_read_specs(specs: Iterable[Spec]) -> Specs:
    """Returns addresses, sizes and numbers of encodings.

    Raises:
        ConfigError: not a list of such numbers, an unknown encoding, or beyond the RAM.
    """
    try:
        checked = [_checked(spec) for spec in specs]
    except TypeError as error:
        raise ConfigError(f"RAM read specs must be a list of numbers in RAM: {error}") from None
    addresses, sizes, encodings = zip(*checked, strict=True) if checked else ((), (), ())
    return (
        np.array(addresses, np.uint16),
        np.array(sizes, np.uint8),
        np.array(encodings, np.uint8),
    )


def _checked(spec: Spec) -> tuple[int, int, int]:
    if isinstance(spec, Mapping):
        if "address" not in spec:
            raise ConfigError(f"RAM read spec {spec!r} has no address")
        parts = spec["address"], spec.get("size", 1), spec.get("encoding", "byte")
    elif isinstance(spec, int | np.integer):
        parts = int(spec), 1, "byte"
    else:
        given = tuple(spec)
        if len(given) not in (2, 3):
            raise ConfigError(
                f"RAM read spec {spec!r} must be (address, size) or (address, size, encoding)"
            )
        parts = given[0], given[1], given[2] if len(given) == 3 else "little"
    try:
        address, size, encoding = int(parts[0]), int(parts[1]), str(parts[2]).lower()
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(f"address and size of RAM read spec {spec!r} must be integers") from None
    if encoding not in RAM_READ_ENCODINGS:
        raise ConfigError(
            f"unknown RAM read encoding {encoding!r}: there are {', '.join(RAM_READ_ENCODINGS)}"
        )
    if not 1 <= size <= LONGEST[encoding]:
        raise ConfigError(f"{encoding} RAM reads have 1 to {LONGEST[encoding]} bytes, not {size}")
    if address < 0 or address + size > RAM_BYTES:
        raise ConfigError(f"RAM read spec {spec!r} is not within the {RAM_BYTES} bytes of RAM")
    return address, size, RAM_READ_ENCODINGS[encoding]


def read_values(
    rams: NDArray[np.uint8], specs: Iterable[Spec], output: NDArray[np.uint32] | None
) -> NDArray[np.uint32]:
    """Reads numbers of many RAMs.

    Args:
        rams: uint8[n, 2048].
        specs: see `normalize_ram_read_specs`.
        output: uint32[n, number of specs] to write to, or None for a new one.

    Raises:
        ConfigError: wrong specs, or an output of another shape or type.
    """
    addresses, sizes, encodings = normalize_ram_read_specs(specs)
    out = checked_output(output, (len(rams), len(addresses)), np.uint32)
    for column, (address, size, encoding) in enumerate(
        zip(addresses.tolist(), sizes.tolist(), encodings.tolist(), strict=True)
    ):
        parts = rams[:, address : address + size]
        little = encoding == RAM_READ_ENCODINGS["little"]
        out[:, column] = decoded(parts if little else parts[:, ::-1], CODINGS[encoding], "byte")
    return out


__all__ = ["RAM_READ_ENCODINGS", "normalize_ram_read_specs"]
