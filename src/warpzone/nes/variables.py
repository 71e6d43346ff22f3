"""Numbers and stretches in a console's memory, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import warpzone._native as _native
from warpzone.errors import ConfigError
from warpzone.nes.checks import is_whole, require

Coding = Literal["binary", "bcd", "digits"]
AboveNine = Literal["kept", "modulo", "byte"]
MOST_BYTES: dict[Coding, int] = {"binary": 7, "bcd": 9, "digits": 18}
"""Of a variable: what 64 bits hold."""


class Values(dict[str, NDArray[Any]]):
    """The variables of n games by name, int64[n] each; beside them `steps` and `frames` of the
    episode and, where the game says what its progress is, `progress` and the best of the episode,
    `best_progress`. What the game names as `memory` is uint8[n, size], to be read only."""

    def __missing__(self, name: str) -> NDArray[Any]:
        raise ConfigError(f"there is no variable {name!r}: there are {', '.join(self)}")


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A number in a console's memory.

    Args:
        address: of its first byte, or the addresses of all its bytes, the least significant first.
            Work RAM is at 0x0000 to 0x07FF, the cartridge's own RAM (its first 8 KB) at 0x6000 to
            0x7FFF.
        width: how many bytes there are from a single `address` on.
        order: of such bytes: "little", the least significant one first, or "big".
        coding: "binary"; "bcd", two decimal digits in each byte; "digits", one in each.
        signed: a binary number in two's complement.
        bit: only that bit of a binary number, 0 to 7 of the least significant byte and so on: its
            value is 0 or 1.
        bits: so many bits from `bit` on.
        above_nine: what a decimal digit above 9 counts as: "kept", what it is (games blank digits
            so), or "modulo", what is over ten, as stable-retro reads it.

    Raises:
        ConfigError: what does not fit together.
    """

    address: int | tuple[int, ...]
    width: int = 1
    order: Literal["little", "big"] = "little"
    coding: Coding = "binary"
    signed: bool = False
    bit: int | None = None
    bits: int = 1
    above_nine: Literal["kept", "modulo"] = "kept"

    def __post_init__(self) -> None:
        given: Any = self.address
        one = not isinstance(given, tuple | list)
        addresses: Sequence[Any] = [given] if one else given
        whole = "a whole number"
        require(all(map(is_whole, addresses)), "address", self.address, f"{whole}, or several")
        require(is_whole(self.width), "width", self.width, whole)
        require(self.bit is None or is_whole(self.bit), "bit", self.bit, f"{whole}, or None")
        require(is_whole(self.bits), "bits", self.bits, whole)
        require(isinstance(self.signed, bool), "signed", self.signed, "True or False")
        if self.coding not in ("binary", "bcd", "digits"):
            raise ConfigError(f"coding is {self.coding!r}: there is 'binary', 'bcd' or 'digits'")
        if self.order not in ("little", "big"):
            raise ConfigError(f"order is {self.order!r}: there is 'little' or 'big'")
        if not one and (self.width != 1 or self.order != "little"):
            raise ConfigError("width and order are for a single address, and several are given")
        if self.width < 1:
            raise ConfigError(f"width is {self.width}: a variable has at least one byte")
        if self.coding != "binary" and (self.signed or self.bit is not None):
            raise ConfigError(f"only binary variables have a sign or bits, this is {self.coding}")
        if self.above_nine not in ("kept", "modulo"):
            raise ConfigError(f"above_nine is {self.above_nine!r}: there is 'kept' or 'modulo'")
        if self.coding == "binary" and self.above_nine != "kept":
            raise ConfigError("above_nine is for decimal digits, and this is binary")
        if not 1 <= len(self.addresses) <= MOST_BYTES[self.coding]:
            raise ConfigError(
                f"a {self.coding} variable has 1 to {MOST_BYTES[self.coding]} bytes, this has"
                f" {len(self.addresses)}"
            )
        for address in self.addresses:
            if not (0 <= address < 0x800 or 0x6000 <= address < 0x8000):
                raise ConfigError(
                    f"there is no variable at {address:#06x}: work RAM is at 0x0000 to 0x07ff, the"
                    " cartridge's own at 0x6000 to 0x7fff"
                )
        if self.bits < 1 or (self.bit is None and self.bits != 1):
            raise ConfigError("bits is how many bits there are from `bit` on, at least 1")
        if self.bit is not None and not 0 <= self.bit <= 8 * len(self.addresses) - self.bits:
            raise ConfigError(
                f"bit {self.bit} and {self.bits} in all: there are {8 * len(self.addresses)}"
            )
        if self.bit is not None and self.bits == 1 and self.signed:
            raise ConfigError("a single bit has no sign: leave out signed, or give more bits")

    @property
    def addresses(self) -> tuple[int, ...]:
        """Of its bytes, the least significant one first."""
        if isinstance(self.address, tuple | list):
            return tuple(self.address)
        bytes_ = range(self.address, self.address + self.width)
        return tuple(bytes_ if self.order == "little" else reversed(bytes_))

    @property
    def most(self) -> int:
        """The highest value that it can have."""
        if self.coding == "digits":
            return int(10 ** len(self.addresses)) - 1
        if self.coding == "bcd":
            return int(100 ** len(self.addresses)) - 1
        bits = self.bits if self.bit is not None else 8 * len(self.addresses)
        return (1 << (bits - self.signed)) - 1

    def native(self) -> _native.Variable:
        """As the native core has it."""
        return _native.Variable(
            list(self.addresses),
            getattr(_native.Coding, self.coding),
            self.signed,
            self.bit or 0,
            0 if self.bit is None else self.bits,
            self.above_nine == "modulo",
        )

    def read(self, ram: NDArray[np.uint8], prg_ram: NDArray[np.uint8]) -> int:
        """Returns the number in a console's memory, `Console.ram` and `Console.prg_ram`.

        Raises:
            ConfigError: the cartridge has no RAM there.
        """
        found: list[int] = []
        for at in self.addresses:
            if at >= 0x6000 and at - 0x6000 >= len(prg_ram):
                raise ConfigError(f"the cartridge has no RAM at {at:#06x}")
            found.append(int(ram[at] if at < 0x800 else prg_ram[at - 0x6000]))
        data = np.array(found, np.uint8)
        value = int(decoded(data, self.coding, self.above_nine))
        if self.coding != "binary":
            return value
        width = 8 * len(found)
        if self.bit is not None:
            width = self.bits
            value = value >> self.bit & (1 << width) - 1
        return value - (1 << width) if self.signed and value >> (width - 1) else value


def decoded(
    data: NDArray[np.uint8], coding: Coding, above_nine: AboveNine = "kept"
) -> NDArray[np.int64]:
    """Returns the unsigned numbers that bytes make.

    Args:
        data: uint8[..., k], the least significant byte first.
        coding: see `Variable`.
        above_nine: what a decimal digit above 9 counts as: "kept", what it is; "modulo", what is
            over ten; "byte", where a byte holds one digit, all of the byte.

    Returns:
        int64[...], of 64 bits whatever is beyond them.
    """
    places = data.astype(np.int64)
    if coding != "binary":
        most = 10 if above_nine == "modulo" else 16
        high, low = (places >> 4) % most, (places & 15) % most
        if coding == "bcd":
            places = 10 * high + low
        elif above_nine != "byte":
            places = low
    base = {"binary": 256, "bcd": 100, "digits": 10}[coding]
    value = np.zeros(places.shape[:-1], np.int64)
    for place in reversed(range(places.shape[-1])):
        value = value * base + places[..., place]
    return value


@dataclass(frozen=True, kw_only=True)
class Memory:
    """A stretch of a console's memory, such as a field or a map: functions get it as bytes.

    Args:
        address: of its first byte: 0x0000 to 0x07FF, or 0x6000 to 0x7FFF as of `Variable`.
        size: how many bytes there are.

    Raises:
        ConfigError: it does not lie within one of the two.
    """

    address: int
    size: int

    def __post_init__(self) -> None:
        require(is_whole(self.address), "address", self.address, "a whole number")
        require(is_whole(self.size), "size", self.size, "a whole number")
        last = self.address + self.size - 1
        if self.size < 1 or not (
            0 <= self.address <= last < 0x800 or 0x6000 <= self.address <= last < 0x8000
        ):
            raise ConfigError(
                f"there is no stretch of {self.size} bytes at {self.address:#06x}: work RAM is at"
                " 0x0000 to 0x07ff, the cartridge's own at 0x6000 to 0x7fff"
            )

    def view(self, ram: NDArray[np.uint8], prg_ram: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Returns it in a console's memory, `Console.ram` and `Console.prg_ram`: uint8[size].

        Raises:
            ConfigError: the cartridge has no RAM there.
        """
        at, whole = (
            (self.address, ram) if self.address < 0x800 else (self.address - 0x6000, prg_ram)
        )
        if at + self.size > len(whole):
            raise ConfigError(f"the cartridge has no RAM at {self.address + self.size - 1:#06x}")
        return whole[at : at + self.size]

    def native(self) -> _native.Stretch:
        """As the native core has it."""
        return _native.Stretch(self.address, self.size)
