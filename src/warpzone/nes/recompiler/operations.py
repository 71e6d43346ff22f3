"""What the instructions of the 6502 do to registers and values, apart from memory and jumps.

Each method is one operation, named as in `opcodes`: it takes the registers before and, where the
instruction reads, the value read, and returns the registers after; the last ones return a changed
value, too.
"""

from __future__ import annotations

from dataclasses import replace

from llvmlite import ir

from warpzone.nes.recompiler.memory import Memory
from warpzone.nes.recompiler.values import (
    BREAK,
    DECIMAL,
    I1,
    I8,
    I16,
    I32,
    INTERRUPT,
    NEGATIVE,
    UNUSED,
    Registers,
    constant,
    literal,
    packed_flags,
    unpacked_flags,
    wide,
)


class Operations(Memory):
    """Writes operations into one function."""

    def _set_p(self, r: Registers, p: ir.Value) -> Registers:
        nz, carry, overflow = unpacked_flags(self.build, p)
        kept = self.build.and_(p, constant(INTERRUPT | DECIMAL))
        self.build.store(kept, self._state("p"))
        return replace(r, nz=nz, carry=carry, overflow=overflow)

    def _set_interrupt_or_decimal(self, r: Registers, clear: int, bits: int) -> Registers:
        kept = self.build.and_(self.build.load(self._state("p"), typ=I8), constant(~clear & 0xFF))
        self.build.store(self.build.or_(kept, constant(bits)), self._state("p"))
        return r

    def _cli(self, r: Registers) -> Registers:
        return self._set_interrupt_or_decimal(r, INTERRUPT, 0)

    def _sei(self, r: Registers) -> Registers:
        return self._set_interrupt_or_decimal(r, INTERRUPT, INTERRUPT)

    def _cld(self, r: Registers) -> Registers:
        return self._set_interrupt_or_decimal(r, DECIMAL, 0)

    def _sed(self, r: Registers) -> Registers:
        return self._set_interrupt_or_decimal(r, DECIMAL, DECIMAL)

    def _clc(self, r: Registers) -> Registers:
        return replace(r, carry=constant(0))

    def _sec(self, r: Registers) -> Registers:
        return replace(r, carry=constant(1))

    def _clv(self, r: Registers) -> Registers:
        return replace(r, overflow=constant(0))

    def _inx(self, r: Registers) -> Registers:
        x = self.build.add(r.x, constant(1))
        return replace(r, x=x, nz=x)

    def _iny(self, r: Registers) -> Registers:
        y = self.build.add(r.y, constant(1))
        return replace(r, y=y, nz=y)

    def _dex(self, r: Registers) -> Registers:
        x = self.build.sub(r.x, constant(1))
        return replace(r, x=x, nz=x)

    def _dey(self, r: Registers) -> Registers:
        y = self.build.sub(r.y, constant(1))
        return replace(r, y=y, nz=y)

    def _tax(self, r: Registers) -> Registers:
        return replace(r, x=r.a, nz=r.a)

    def _txa(self, r: Registers) -> Registers:
        return replace(r, a=r.x, nz=r.x)

    def _tay(self, r: Registers) -> Registers:
        return replace(r, y=r.a, nz=r.a)

    def _tya(self, r: Registers) -> Registers:
        return replace(r, a=r.y, nz=r.y)

    def _tsx(self, r: Registers) -> Registers:
        return replace(r, x=r.s, nz=r.s)

    def _txs(self, r: Registers) -> Registers:
        return replace(r, s=r.x)

    def _pha(self, r: Registers) -> Registers:
        return self._push(r, r.a)

    def _pla(self, r: Registers) -> Registers:
        a, r = self._pull(r)
        return replace(r, a=a, nz=a)

    def _php(self, r: Registers) -> Registers:
        build = self.build
        kept = build.and_(build.load(self._state("p"), typ=I8), constant(INTERRUPT | DECIMAL))
        flags = packed_flags(build, r.nz, r.carry, r.overflow)
        return self._push(r, build.or_(build.or_(flags, kept), constant(UNUSED | BREAK)))

    def _plp(self, r: Registers) -> Registers:
        p, r = self._pull(r)
        return self._set_p(r, p)

    def _nop(self, r: Registers, m: ir.Value | None = None) -> Registers:
        return r

    def _lda(self, r: Registers, m: ir.Value) -> Registers:
        return replace(r, a=m, nz=m)

    def _ldx(self, r: Registers, m: ir.Value) -> Registers:
        return replace(r, x=m, nz=m)

    def _ldy(self, r: Registers, m: ir.Value) -> Registers:
        return replace(r, y=m, nz=m)

    def _lax(self, r: Registers, m: ir.Value) -> Registers:
        return replace(r, a=m, x=m, nz=m)

    def _and(self, r: Registers, m: ir.Value) -> Registers:
        return self._lda(r, self.build.and_(r.a, m))

    def _ora(self, r: Registers, m: ir.Value) -> Registers:
        return self._lda(r, self.build.or_(r.a, m))

    def _eor(self, r: Registers, m: ir.Value) -> Registers:
        return self._lda(r, self.build.xor(r.a, m))

    def _compare(self, r: Registers, register: ir.Value, m: ir.Value) -> Registers:
        carry = self.build.icmp_unsigned(">=", register, m)
        return replace(r, carry=carry, nz=self.build.sub(register, m))

    def _cmp(self, r: Registers, m: ir.Value) -> Registers:
        return self._compare(r, r.a, m)

    def _cpx(self, r: Registers, m: ir.Value) -> Registers:
        return self._compare(r, r.x, m)

    def _cpy(self, r: Registers, m: ir.Value) -> Registers:
        return self._compare(r, r.y, m)

    def _bit(self, r: Registers, m: ir.Value) -> Registers:
        build = self.build
        both = wide(build, build.and_(r.a, m))
        negative = build.shl(wide(build, build.and_(m, constant(NEGATIVE))), constant(1, I32))
        return replace(r, nz=build.or_(both, negative), overflow=build.shl(m, constant(1)))

    def _adc(self, r: Registers, m: ir.Value) -> Registers:
        build = self.build
        if literal(r.carry) == 0:
            result = build.add(r.a, m)
            carry = build.icmp_unsigned("<", result, m)
        else:
            total = build.add(wide(build, r.a, I16), wide(build, m, I16))
            total = build.add(total, wide(build, r.carry, I16))
            result = build.trunc(total, I8)
            carry = build.trunc(build.lshr(total, constant(8, I16)), I1)
        overflow = build.and_(build.xor(r.a, result), build.xor(m, result))
        return replace(r, a=result, nz=result, carry=carry, overflow=overflow)

    def _sbc(self, r: Registers, m: ir.Value) -> Registers:
        build = self.build
        if literal(r.carry) != 1:
            return self._adc(r, build.not_(m))
        result = build.sub(r.a, m)
        carry = build.icmp_unsigned(">=", r.a, m)
        overflow = build.and_(build.xor(r.a, m), build.xor(r.a, result))
        return replace(r, a=result, nz=result, carry=carry, overflow=overflow)

    def _anc(self, r: Registers, m: ir.Value) -> Registers:
        r = self._and(r, m)
        return replace(r, carry=self.build.lshr(r.a, constant(7)))

    def _alr(self, r: Registers, m: ir.Value) -> Registers:
        a, r = self._lsr(r, self.build.and_(r.a, m))
        return replace(r, a=a)

    def _arr(self, r: Registers, m: ir.Value) -> Registers:
        build = self.build
        a, r = self._ror(r, build.and_(r.a, m))
        carry = build.and_(build.lshr(a, constant(6)), constant(1))
        overflow = build.shl(build.xor(a, build.shl(a, constant(1))), constant(1))
        return replace(r, a=a, carry=carry, overflow=overflow)

    def _axs(self, r: Registers, m: ir.Value) -> Registers:
        both = self.build.and_(r.a, r.x)
        r = self._compare(r, both, m)
        return replace(r, x=r.nz)

    # Those that change a value return it with the registers.

    def _asl(self, r: Registers, m: ir.Value) -> tuple[ir.Value, Registers]:
        value = self.build.shl(m, constant(1))
        return value, replace(r, nz=value, carry=self.build.lshr(m, constant(7)))

    def _lsr(self, r: Registers, m: ir.Value) -> tuple[ir.Value, Registers]:
        value = self.build.lshr(m, constant(1))
        return value, replace(r, nz=value, carry=self.build.and_(m, constant(1)))

    def _rol(self, r: Registers, m: ir.Value) -> tuple[ir.Value, Registers]:
        build = self.build
        value = build.or_(build.shl(m, constant(1)), wide(build, r.carry, I8))
        return value, replace(r, nz=value, carry=build.lshr(m, constant(7)))

    def _ror(self, r: Registers, m: ir.Value) -> tuple[ir.Value, Registers]:
        build = self.build
        high = build.shl(wide(build, r.carry, I8), constant(7))
        value = build.or_(build.lshr(m, constant(1)), high)
        return value, replace(r, nz=value, carry=build.and_(m, constant(1)))

    def _inc(self, r: Registers, m: ir.Value) -> tuple[ir.Value, Registers]:
        value = self.build.add(m, constant(1))
        return value, replace(r, nz=value)

    def _dec(self, r: Registers, m: ir.Value) -> tuple[ir.Value, Registers]:
        value = self.build.sub(m, constant(1))
        return value, replace(r, nz=value)
