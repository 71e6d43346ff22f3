"""Programs made for the translator, and consoles that run them both ways."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from warpzone import _native
from warpzone.nes.recompiler.loader import load
from warpzone.nes.recompiler.opcodes import OPCODES
from warpzone.nes.recompiler.translate import Translation, translate

HEADER_BYTES = 24
"""Of a snapshot; the state follows as it lies in memory."""

RAM_AT = HEADER_BYTES + _native.MACHINE["state"]["ram"]

BY_NAME = {(opcode.name, opcode.mode): code for code, opcode in reversed(OPCODES.items())}


def word(value: int) -> bytes:
    return (value & 0xFFFF).to_bytes(2, "little")


def image(parts: Mapping[int, bytes], *, reset: int, nmi: int, irq: int, fill: int = 0xEA) -> bytes:
    """An iNES image of 32 KB: `parts` by address, the rest is filled (with NOPs)."""
    program = bytearray([fill]) * 0x8000
    for at, part in parts.items():
        assert at >= 0x8000
        assert at + len(part) <= 0x10000
        program[at - 0x8000 : at - 0x8000 + len(part)] = part
    program[0x7FFA:] = word(nmi) + word(reset) + word(irq)
    # Every tile is opaque nearly everywhere, so that sprite 0 hits.
    pictures = bytes([0xFF, 0x7F, 0xFE, 0x3C] * 0x800)
    return b"NES\x1a" + bytes([2, 1, 1]) + bytes(9) + bytes(program) + pictures


def banked_image(mapper: int, banks: Sequence[bytes]) -> bytes:
    """An iNES image with banks of 16 KB, and tiles in RAM where the board has one bank of them."""
    assert all(len(bank) == 0x4000 for bank in banks)
    pictures = b"" if mapper in (2, 7) else bytes([0xFF, 0x7F, 0xFE, 0x3C] * 0x800)
    pictures *= 4 if mapper in (1, 3, 4) else 1
    header = bytes([len(banks), len(pictures) // 0x2000, (mapper & 15) << 4 | 1])
    return b"NES\x1a" + header + bytes(9) + b"".join(banks) + pictures


def use(cartridge: _native.Cartridge, translation: Translation) -> None:
    loaded = load(translation.object_code)
    cartridge.use(loaded.enter, loaded.unknown, loaded.regions, loaded.region_count)


class Pair:
    """A console with the interpreter alone and one with native code, to be run side by side."""

    def __init__(
        self,
        image: bytes,
        starts: Sequence[bytes] = (),
        wanted: Iterable[int] = (),
        *,
        full: bool = False,
    ) -> None:
        self.plain_cartridge = _native.Cartridge(image, full)
        self.cartridge = _native.Cartridge(image, full)
        self.translation = translate(self.plain_cartridge, starts, wanted)
        use(self.cartridge, self.translation)
        self.plain, self.compiled = (
            _native.Console(cartridge) for cartridge in (self.plain_cartridge, self.cartridge)
        )
        assert self.cartridge.compiled
        assert not self.plain_cartridge.compiled

    def load(self, snapshot: bytes) -> None:
        self.plain.load(snapshot)
        self.compiled.load(snapshot)

    def run(self, buttons: Iterable[int]) -> None:
        """A frame for each; fails where anything differs."""
        for frame, held in enumerate(buttons):
            before = self.plain.save()
            self.plain.step(held)
            self.compiled.step(held)
            if self.plain.save() != self.compiled.save():
                raise AssertionError(
                    f"frame {frame}: {difference(self.plain.save(), self.compiled.save())}; "
                    f"PC before it {self.registers(before)}"
                )

    @staticmethod
    def registers(snapshot: bytes) -> str:
        at = HEADER_BYTES + _native.MACHINE["state"]["pc"]
        return f"${int.from_bytes(snapshot[at : at + 2], 'little'):04X}"


def difference(plain: bytes, compiled: bytes) -> str:
    """Where two snapshots differ, in words."""
    assert len(plain) == len(compiled)
    at = np.flatnonzero(np.frombuffer(plain, np.uint8) != np.frombuffer(compiled, np.uint8))
    names = {offset + HEADER_BYTES: name for name, offset in _native.MACHINE["state"].items()}

    def name(i: int) -> str:
        if RAM_AT <= i < RAM_AT + 0x800:
            return f"RAM ${i - RAM_AT:04X}"
        known = max(offset for offset in (0, *names) if offset <= i)
        return f"{names.get(known, 'header')}+{i - known}"

    shown = [f"{name(int(i))}: {plain[i]:02X} not {compiled[i]:02X}" for i in at[:8]]
    return f"{len(at)} bytes, {', '.join(shown)}"


def patched(
    snapshot: bytes,
    *,
    ram: Mapping[int, bytes] | None = None,
    dot: int | None = None,
    **registers: int,
) -> bytes:
    """A snapshot with other registers (a, x, y, s, p, pc) and other bytes in RAM."""
    state = bytearray(snapshot)
    offsets = _native.MACHINE["state"]
    sizes = dict.fromkeys("axysp", 1) | {"pc": 2}
    for name, value in registers.items():
        at = HEADER_BYTES + offsets[name]
        state[at : at + sizes[name]] = value.to_bytes(sizes[name], "little")
    if dot is not None:
        at = HEADER_BYTES + offsets["dot"]
        state[at : at + 4] = dot.to_bytes(4, "little")
    for address, part in (ram or {}).items():
        assert address + len(part) <= 0x800
        state[RAM_AT + address : RAM_AT + address + len(part)] = part
    return bytes(state)


def dot_of(snapshot: bytes) -> int:
    at = HEADER_BYTES + _native.MACHINE["state"]["dot"]
    return int.from_bytes(snapshot[at : at + 4], "little")
