"""The instruction set of the 6502: which operation and addressing mode an opcode stands for.

Documented opcodes and the stable undocumented ones; the others are left out and stay with the
interpreter. Source: https://www.nesdev.org/wiki/CPU_unofficial_opcodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal[
    "implied", "accumulator", "immediate", "zero", "zero_x", "zero_y", "absolute", "absolute_x",
    "absolute_y", "indirect", "indirect_x", "indirect_y", "relative",
]  # fmt: skip

OPERAND_BYTES: dict[Mode, int] = {
    "implied": 0, "accumulator": 0, "immediate": 1, "zero": 1, "zero_x": 1, "zero_y": 1,
    "absolute": 2, "absolute_x": 2, "absolute_y": 2, "indirect": 2, "indirect_x": 1,
    "indirect_y": 1, "relative": 1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Opcode:
    """An operation with its addressing mode."""

    name: str
    mode: Mode


_READ: tuple[Mode, ...] = (
    "immediate", "zero", "zero_x", "absolute", "absolute_x", "absolute_y", "indirect_x",
    "indirect_y",
)  # fmt: skip
_MODIFY: tuple[Mode, ...] = ("accumulator", "zero", "zero_x", "absolute", "absolute_x")
_COMBINE: tuple[Mode, ...] = (
    "zero", "zero_x", "absolute", "absolute_x", "absolute_y", "indirect_x", "indirect_y",
)  # fmt: skip


def _table() -> dict[int, Opcode]:
    table: dict[int, Opcode] = {}

    def add(name: str, modes: tuple[Mode, ...], *opcodes: int) -> None:
        for mode, opcode in zip(modes, opcodes, strict=True):
            assert opcode not in table
            table[opcode] = Opcode(name, mode)

    add("lda", _READ, 0xA9, 0xA5, 0xB5, 0xAD, 0xBD, 0xB9, 0xA1, 0xB1)
    add("ldx", ("immediate", "zero", "zero_y", "absolute", "absolute_y"),
        0xA2, 0xA6, 0xB6, 0xAE, 0xBE)  # fmt: skip
    add("ldy", ("immediate", "zero", "zero_x", "absolute", "absolute_x"),
        0xA0, 0xA4, 0xB4, 0xAC, 0xBC)  # fmt: skip
    add("sta", _READ[1:], 0x85, 0x95, 0x8D, 0x9D, 0x99, 0x81, 0x91)
    add("stx", ("zero", "zero_y", "absolute"), 0x86, 0x96, 0x8E)
    add("sty", ("zero", "zero_x", "absolute"), 0x84, 0x94, 0x8C)
    add("adc", _READ, 0x69, 0x65, 0x75, 0x6D, 0x7D, 0x79, 0x61, 0x71)
    add("sbc", _READ, 0xE9, 0xE5, 0xF5, 0xED, 0xFD, 0xF9, 0xE1, 0xF1)
    add("and", _READ, 0x29, 0x25, 0x35, 0x2D, 0x3D, 0x39, 0x21, 0x31)
    add("ora", _READ, 0x09, 0x05, 0x15, 0x0D, 0x1D, 0x19, 0x01, 0x11)
    add("eor", _READ, 0x49, 0x45, 0x55, 0x4D, 0x5D, 0x59, 0x41, 0x51)
    add("cmp", _READ, 0xC9, 0xC5, 0xD5, 0xCD, 0xDD, 0xD9, 0xC1, 0xD1)
    add("cpx", ("immediate", "zero", "absolute"), 0xE0, 0xE4, 0xEC)
    add("cpy", ("immediate", "zero", "absolute"), 0xC0, 0xC4, 0xCC)
    add("bit", ("zero", "absolute"), 0x24, 0x2C)
    add("asl", _MODIFY, 0x0A, 0x06, 0x16, 0x0E, 0x1E)
    add("lsr", _MODIFY, 0x4A, 0x46, 0x56, 0x4E, 0x5E)
    add("rol", _MODIFY, 0x2A, 0x26, 0x36, 0x2E, 0x3E)
    add("ror", _MODIFY, 0x6A, 0x66, 0x76, 0x6E, 0x7E)
    add("inc", _MODIFY[1:], 0xE6, 0xF6, 0xEE, 0xFE)
    add("dec", _MODIFY[1:], 0xC6, 0xD6, 0xCE, 0xDE)
    for name, opcode in {
        "inx": 0xE8, "iny": 0xC8, "dex": 0xCA, "dey": 0x88, "tax": 0xAA, "txa": 0x8A, "tay": 0xA8,
        "tya": 0x98, "tsx": 0xBA, "txs": 0x9A, "clc": 0x18, "sec": 0x38, "cli": 0x58, "sei": 0x78,
        "cld": 0xD8, "sed": 0xF8, "clv": 0xB8, "pha": 0x48, "pla": 0x68, "php": 0x08, "plp": 0x28,
        "rts": 0x60, "rti": 0x40, "nop": 0xEA,
    }.items():  # fmt: skip
        add(name, ("implied",), opcode)
    for name, opcode in {
        "bpl": 0x10, "bmi": 0x30, "bvc": 0x50, "bvs": 0x70, "bcc": 0x90, "bcs": 0xB0, "bne": 0xD0,
        "beq": 0xF0,
    }.items():  # fmt: skip
        add(name, ("relative",), opcode)
    add("jmp", ("absolute", "indirect"), 0x4C, 0x6C)
    add("jsr", ("absolute",), 0x20)

    # Undocumented.
    add("lax", ("zero", "zero_y", "absolute", "absolute_y", "indirect_x", "indirect_y"),
        0xA7, 0xB7, 0xAF, 0xBF, 0xA3, 0xB3)  # fmt: skip
    add("sax", ("zero", "zero_y", "absolute", "indirect_x"), 0x87, 0x97, 0x8F, 0x83)
    add("slo", _COMBINE, 0x07, 0x17, 0x0F, 0x1F, 0x1B, 0x03, 0x13)
    add("rla", _COMBINE, 0x27, 0x37, 0x2F, 0x3F, 0x3B, 0x23, 0x33)
    add("sre", _COMBINE, 0x47, 0x57, 0x4F, 0x5F, 0x5B, 0x43, 0x53)
    add("rra", _COMBINE, 0x67, 0x77, 0x6F, 0x7F, 0x7B, 0x63, 0x73)
    add("dcp", _COMBINE, 0xC7, 0xD7, 0xCF, 0xDF, 0xDB, 0xC3, 0xD3)
    add("isc", _COMBINE, 0xE7, 0xF7, 0xEF, 0xFF, 0xFB, 0xE3, 0xF3)
    for name, opcode in {
        "sbc": 0xEB, "anc": 0x0B, "alr": 0x4B, "arr": 0x6B, "axs": 0xCB,
    }.items():  # fmt: skip
        add(name, ("immediate",), opcode)
    add("anc", ("immediate",), 0x2B)
    for opcode in (0x1A, 0x3A, 0x5A, 0x7A, 0xDA, 0xFA):
        add("nop", ("implied",), opcode)
    for opcode in (0x80, 0x82, 0x89, 0xC2, 0xE2):
        add("nop", ("immediate",), opcode)
    for opcode in (0x04, 0x44, 0x64):
        add("nop", ("zero",), opcode)
    for opcode in (0x14, 0x34, 0x54, 0x74, 0xD4, 0xF4):
        add("nop", ("zero_x",), opcode)
    add("nop", ("absolute",), 0x0C)
    for opcode in (0x1C, 0x3C, 0x5C, 0x7C, 0xDC, 0xFC):
        add("nop", ("absolute_x",), opcode)
    return table


OPCODES = _table()
"""By opcode; what is missing (BRK, the opcodes that halt, unstable ones) is not translated."""

BRANCHES = frozenset({"bpl", "bmi", "bvc", "bvs", "bcc", "bcs", "bne", "beq"})
WRITES = frozenset({"sta", "stx", "sty", "sax"})
MODIFIES = frozenset({
    "asl", "lsr", "rol", "ror", "inc", "dec", "slo", "rla", "sre", "rra", "dcp", "isc",
})  # fmt: skip
"""Read, change and write back; with the mode `accumulator` no memory is touched."""
