"""A small assembler: cartridges for examples and tests, from a text that people can read.

One statement a line: `name:`, `name = 5`, `byte 1, 2, $FF`, or an instruction as the 6502's manual
writes it, `lda table,x`. What follows `;` is a comment. Numbers are decimal or `$` hexadecimal;
`<name` and `>name` are the low and the high byte of an address, `name+1` the address behind it.
Operands below 256 that are known by then are in the zero page. Knows the documented instructions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from warpzone.errors import ConfigError
from warpzone.nes.recompiler.opcodes import BRANCHES, OPCODES, OPERAND_BYTES, Mode

_CODES = {(opcode.name, opcode.mode): code for code, opcode in reversed(OPCODES.items())}

_OPERANDS: tuple[tuple[str, Mode], ...] = (
    (r"#(.+)", "immediate"),
    (r"\((.+),x\)", "indirect_x"),
    (r"\((.+)\),y", "indirect_y"),
    (r"\((.+)\)", "indirect"),
    (r"(.+),x", "absolute_x"),
    (r"(.+),y", "absolute_y"),
    (r"(.+)", "absolute"),
)
_ZERO: Mapping[str, Mode] = {"absolute": "zero", "absolute_x": "zero_x", "absolute_y": "zero_y"}


def assemble(text: str, origin: int) -> tuple[bytes, dict[str, int]]:
    """Returns the program, which begins at address `origin`, and the addresses of its names.

    Raises:
        ConfigError: a line that is not understood, or a branch that is too long.
    """
    names: dict[str, int] = {}
    program = b""
    for _ in range(3):  # names that come later are known in the second round, and settled then
        program = _round(text, origin, names)
    return program, names


def _round(text: str, origin: int, names: dict[str, int]) -> bytes:
    out = bytearray()
    for number, line in enumerate(text.splitlines(), 1):
        statement = line.partition(";")[0].strip()
        try:
            if statement:
                _statement(statement, origin, names, out)
        except (ValueError, KeyError, OverflowError) as error:
            raise ConfigError(f"line {number}, {statement!r}: {error}") from None
    return bytes(out)


def _statement(statement: str, origin: int, names: dict[str, int], out: bytearray) -> None:
    if statement.endswith(":"):
        names[statement[:-1]] = origin + len(out)
        return
    if "=" in statement:
        name, _, given = statement.partition("=")
        names[name.strip()] = _value(given, names)
        return
    name, _, operand = statement.partition(" ")
    operand = operand.replace(" ", "")
    if name == "byte":
        out += bytes(_value(item, names) & 0xFF for item in operand.split(","))
        return
    mode, value = _operand(name, operand, names)
    if (name, mode) not in _CODES:
        raise ValueError("there is no such instruction")
    out.append(_CODES[name, mode])
    if mode == "relative":
        distance = value - (origin + len(out) + 1) if value else 0  # 0: not known yet
        out += distance.to_bytes(1, "little", signed=True)
    else:
        out += value.to_bytes(OPERAND_BYTES[mode], "little")


def _operand(name: str, operand: str, names: Mapping[str, int]) -> tuple[Mode, int]:
    if not operand:
        return ("accumulator" if (name, "accumulator") in _CODES else "implied"), 0
    if name in BRANCHES:
        return "relative", _value(operand, names)
    for pattern, mode in _OPERANDS:
        found = re.fullmatch(pattern, operand)
        if found is None:
            continue
        value = _value(found[1], names)
        zero = _ZERO.get(mode)
        label = re.match(r"[a-z_]\w*", found[1])
        known = label is None or names.get(label[0], 0x8000) < 0x100
        if zero is not None and value < 0x100 and known and (name, zero) in _CODES:
            return zero, value
        return mode, value
    raise ValueError("this is no operand")


def _value(text: str, names: Mapping[str, int]) -> int:
    text = text.strip()
    if text[:1] in "<>":
        value = _value(text[1:], names)
        return value & 0xFF if text[0] == "<" else value >> 8
    if "+" in text:
        return sum(_value(part, names) for part in text.split("+"))
    if text.startswith("$"):
        return int(text[1:], 16)
    if text.isdecimal():
        return int(text)
    if re.fullmatch(r"[a-z_]\w*", text):
        return names.get(text, 0)
    raise ValueError(f"{text!r} is no number")


def image(program: bytes, tiles: bytes, *, nmi: int, reset: int, irq: int) -> bytes:
    """Returns an iNES file: 32 KB of program from $8000 on, and 8 KB of tiles.

    Raises:
        ConfigError: more than there is room for.
    """
    room = 0x8000 - 6
    if len(program) > room or len(tiles) > 0x2000:
        raise ConfigError(
            f"there is room for {room} bytes of program and 8,192 of tiles, not for"
            f" {len(program)} and {len(tiles)}"
        )
    vectors = b"".join(address.to_bytes(2, "little") for address in (nmi, reset, irq))
    header = b"NES\x1a" + bytes([2, 1, 1]) + bytes(9)
    return header + program.ljust(room, b"\xea") + vectors + tiles.ljust(0x2000, b"\0")
