"""What the writers of LLVM IR share: types, constants, the processor's registers, small helpers.

Knows no instruction; see `region` for those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import llvmlite.binding as llvm
from llvmlite import ir

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
POINTER = ir.PointerType()

CONVENTION = "preserve_nonecc" if llvm.llvm_version_info >= (19,) else "fastcc"
"""https://clang.llvm.org/docs/AttributeReference.html#preserve-none, since LLVM 19. Before that one
with fewer registers that lets a call in tail position be a jump, too."""

REGION_TYPE = ir.FunctionType(I32, [POINTER, POINTER, I8, I8, I8, I8, I32, I8, I8, I32])
"""State, context, A, X, Y, S, `nz`, carry, overflow, dot. `nz` is zero-flag-set where its low byte
is 0, negative where bit 7 or bit 8 is set; carry is 0 or 1; overflow is bit 7."""

BAILED, UNKNOWN = 0, 1
"""Why compiled code was left: no time before the next event, or an address that has no region."""

CARRY, ZERO, INTERRUPT, DECIMAL, BREAK, UNUSED, OVERFLOW, NEGATIVE = (1 << bit for bit in range(8))
RAM_BYTES = 0x800


@dataclass(frozen=True)
class Machine:
    """What compiled code has to know of the native core; the module `_native` publishes it.

    `state` maps names of fields to their offsets in the console's state, `context` to theirs in
    the record that every region gets: the functions for reads and writes outside RAM and program,
    the one that says how long a waiting loop waits, and the tables of regions.
    """

    state: Mapping[str, int]
    context: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Registers:
    """The values of the processor's registers at one place in a function."""

    a: ir.Value
    x: ir.Value
    y: ir.Value
    s: ir.Value
    nz: ir.Value  # i32 as it is passed on, or the i8 that decides both flags
    carry: ir.Value  # i8 as it is passed on, or i1
    overflow: ir.Value
    dot: ir.Value


def constant(value: int, kind: ir.IntType = I8) -> ir.Constant:
    return ir.Constant(kind, value)


def literal(value: ir.Value) -> int | None:
    """The number that a value is known to be."""
    return int(value.constant) if isinstance(value, ir.Constant) else None


@dataclass(frozen=True, slots=True)
class Place:
    """Where an operand is."""

    address: ir.Value  # i16; the operand itself (i8) when immediate
    dot: ir.Value  # the clock where the instruction begins, later by a crossed page
    immediate: bool = False
    first: int = 0  # the address lies between these
    last: int = 0xFFFF
    index: ir.Value | None = None  # the address is `first` and this, i8
    base: ir.Value | None = None  # the address before an index was added, i16

    def __post_init__(self) -> None:
        known = literal(self.address)
        if known is not None and not self.immediate:
            object.__setattr__(self, "first", known)
            object.__setattr__(self, "last", known)


def at(build: ir.IRBuilder, base: ir.Value, offset: ir.Value) -> ir.Value:
    """base + offset bytes."""
    return build.gep(base, [offset], inbounds=True, source_etype=I8)


def field(build: ir.IRBuilder, record: ir.Value, offsets: Mapping[str, int], name: str) -> ir.Value:
    """A pointer to a field of the state or the context."""
    return at(build, record, constant(offsets[name], I64))


def region_at(
    build: ir.IRBuilder,
    state: ir.Value,
    context: ir.Value,
    machine: Machine,
    address: ir.Value,
    banked: bool,
) -> ir.Value:
    """The function for an address (i16) out of the context's table, or out of the one of the bank
    that is there at present."""
    index = wide(build, address, I64)
    if banked:
        eighth = build.lshr(index, constant(13, I64))
        # Below $8000, where no bank is, whatever lies before the banks does: all lead to nothing.
        number = wide(build, bank_at(build, state, machine, eighth), I64)
        which = build.or_(build.shl(eighth, constant(8, I64)), number)
        windows = field(build, context, machine.context, "windows")
        table = build.load(at(build, windows, build.shl(which, constant(3, I64))), typ=POINTER)
        offset = build.shl(build.and_(index, constant(0x1FFF, I64)), constant(3, I64))
    else:
        offset = build.shl(index, constant(3, I64))
        table = field(build, context, machine.context, "regions")
    return build.load(at(build, table, offset), typ=REGION_TYPE.as_pointer())


def bank_at(build: ir.IRBuilder, state: ir.Value, machine: Machine, eighth: ir.Value) -> ir.Value:
    """The number (i8) of the bank in an eighth of memory (i64), the fifth or a later one."""
    banks = field(build, state, machine.state, "prg")
    return build.load(at(build, banks, build.sub(eighth, constant(4, I64))), typ=I8)


def wide(build: ir.IRBuilder, value: ir.Value, kind: ir.IntType = I32) -> ir.Value:
    """Zero-extended."""
    known = literal(value)
    return build.zext(value, kind) if known is None else constant(known, kind)


def is_zero(build: ir.IRBuilder, nz: ir.Value) -> ir.Value:
    low = nz if nz.type == I8 else build.trunc(nz, I8)
    return build.icmp_unsigned("==", low, constant(0))


def is_negative(build: ir.IRBuilder, nz: ir.Value) -> ir.Value:
    if nz.type == I8:
        return build.icmp_signed("<", nz, constant(0))
    return build.icmp_unsigned("!=", build.and_(nz, constant(0x180, I32)), constant(0, I32))


def packed_flags(
    build: ir.IRBuilder, nz: ir.Value, carry: ir.Value, overflow: ir.Value
) -> ir.Value:
    """The flags of P that are kept apart, as i8."""
    zero = build.select(is_zero(build, nz), constant(ZERO), constant(0))
    negative = build.select(is_negative(build, nz), constant(NEGATIVE), constant(0))
    v = build.and_(build.lshr(overflow, constant(1)), constant(OVERFLOW))
    return build.or_(build.or_(zero, negative), build.or_(wide(build, carry, I8), v))


def unpacked_flags(build: ir.IRBuilder, p: ir.Value) -> tuple[ir.Value, ir.Value, ir.Value]:
    """nz, carry and overflow, as they are passed on, of a P register."""
    has_zero = build.icmp_unsigned("!=", build.and_(p, constant(ZERO)), constant(0))
    has_negative = build.icmp_unsigned("!=", build.and_(p, constant(NEGATIVE)), constant(0))
    zero = build.select(has_zero, constant(0, I32), constant(1, I32))
    negative = build.select(has_negative, constant(0x100, I32), constant(0, I32))
    return (
        build.or_(zero, negative),
        build.and_(p, constant(CARRY)),
        build.shl(build.and_(p, constant(OVERFLOW)), constant(1)),
    )
