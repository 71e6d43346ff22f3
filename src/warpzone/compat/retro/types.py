"""Type strings of stable-retro: byte order, format, and how many bytes.

https://stable-retro.farama.org/integration/#appendix-types
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpzone.console_text import one_line
from warpzone.errors import ConfigError
from warpzone.nes.variables import Coding, decoded

MEMORY = ((0, 0x800), (0x6000, 0x8000))
"""Where there is work RAM, and where the cartridge's own."""
_TYPE = re.compile(r"(<|>|=|\|)([uidn])([1-8])")
"""Orders of both kinds, such as "><", are for 16-bit machines."""


CODINGS: dict[str, Coding] = {"u": "binary", "i": "binary", "d": "bcd", "n": "digits"}
"""By format."""


@dataclass(frozen=True, slots=True)
class RamNumber:
    """A number in the console's RAM, or in that of the cartridge.

    Attributes:
        address: of its first byte.
        size: bytes, 1 to 8.
        big: the highest byte comes first.
        format: "u" unsigned, "i" signed, "d" two decimal digits in a byte, "n" one. Of a digit
            above 9 what is over ten counts.
        mask: bits that count, or None: all.
    """

    address: int
    size: int
    big: bool
    format: str
    mask: int | None = None

    @classmethod
    def parse(cls, address: Any, text: Any, mask: Any = None) -> RamNumber:
        """Reads an entry of `data.json`.

        Raises:
            ConfigError: an address outside the RAM, or a type that there is not.
        """
        matched = _TYPE.fullmatch(text) if isinstance(text, str) else None
        if matched is None:
            raise ConfigError(
                f"the type is {one_line(repr(text), 80)}: it must be a byte order (< > = |), a"
                " format (u i d n) and 1 to 8 bytes, such as '>u2'"
            )
        order, kind, size = matched[1], matched[2], int(matched[3])
        if isinstance(address, bool) or not isinstance(address, int):
            raise ConfigError(f"the address must be an integer, not {one_line(repr(address), 80)}")
        if not any(begin <= address <= end - size for begin, end in MEMORY):
            raise ConfigError(
                f"there is no RAM at address {address} with {size} bytes: work RAM is at 0 to "
                "2047, the cartridge's at 24576 to 32767"
            )
        if mask is not None and (isinstance(mask, bool) or not isinstance(mask, int)):
            raise ConfigError(f"the mask must be an integer, not {one_line(repr(mask), 80)}")
        if mask is not None and not -(1 << 63) <= mask < 1 << 64:
            given = one_line(repr(mask), 40)
            raise ConfigError(f"the mask has 64 bits at most, and {given} has more")
        return cls(address, size, order == ">", kind, mask)

    def read(
        self, rams: NDArray[np.uint8], prg_rams: NDArray[np.uint8] | None = None
    ) -> NDArray[np.int64]:
        """Returns the number in each of n consoles: int64[n].

        Args:
            rams: their work RAM, uint8[n, 2048].
            prg_rams: the RAM of their cartridges, uint8[n, up to 8192].

        Raises:
            ConfigError: the cartridge has no RAM there.
        """
        begin, memory = self.address, rams
        if begin >= MEMORY[1][0]:
            begin -= MEMORY[1][0]
            if prg_rams is None or prg_rams.shape[-1] < begin + self.size:
                raise ConfigError(f"the cartridge has no RAM at address {self.address}")
            memory = prg_rams
        parts = memory[..., begin : begin + self.size]
        value = decoded(parts[..., ::-1] if self.big else parts, CODINGS[self.format], "modulo")
        if self.format == "i" and self.size < 8:
            half = 1 << (8 * self.size - 1)
            value = (value ^ half) - half
        if self.mask is None:
            return value
        return value & (self.mask if self.mask < 1 << 63 else self.mask - (1 << 64))
