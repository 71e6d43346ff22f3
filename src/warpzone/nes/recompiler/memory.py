"""How the functions of regions reach memory: RAM and program directly, all else by the core."""

from __future__ import annotations

from dataclasses import replace

from llvmlite import ir

from warpzone.nes.recompiler.flow import ANY_BANK, PRG_START, Instruction, Program
from warpzone.nes.recompiler.opcodes import MODIFIES, WRITES
from warpzone.nes.recompiler.values import (
    I8,
    I16,
    I32,
    I64,
    POINTER,
    RAM_BYTES,
    Machine,
    Place,
    Registers,
    at,
    bank_at,
    constant,
    field,
    literal,
    wide,
)


class Memory:
    """Writes loads, stores and the stack into one function.

    Args:
        function: with state and context as its first arguments.
        program: the cartridge's.
        prg: the module's copy of it, a constant array of bytes.
        machine: where the native core has what.
    """

    def __init__(
        self, function: ir.Function, program: Program, prg: ir.GlobalVariable, machine: Machine
    ) -> None:
        self.function, self.program, self.prg, self.machine = function, program, prg, machine
        self.build = ir.IRBuilder(function.append_basic_block("clock"))
        self.state, self.context = function.args[0], function.args[1]

    def _look_again(self, address: int, registers: Registers) -> None:
        """Looks at the clock where time has passed that nobody counted; regions know how."""
        raise NotImplementedError

    def _go_to_value(self, target: ir.Value, registers: Registers) -> None:
        """Ends the block and goes on at an address; regions know how."""
        raise NotImplementedError

    def _state(self, name: str) -> ir.Value:
        return field(self.build, self.state, self.machine.state, name)

    def _later(self, dot: ir.Value, dots: int) -> ir.Value:
        return self.build.add(dot, constant(dots, I32))

    def _word(self, low: ir.Value, high: ir.Value) -> ir.Value:
        high = self.build.shl(wide(self.build, high, I16), constant(8, I16))
        return self.build.or_(wide(self.build, low, I16), high)

    def _place(self, i: Instruction, r: Registers, modifies: bool = False) -> Place:
        """Where an instruction reads or writes, and when it begins to: after a crossed page."""
        build = self.build
        mode, operand = i.opcode.mode, i.operand
        writes = modifies or i.opcode.name in WRITES
        if mode == "immediate":
            return Place(constant(operand), r.dot, immediate=True)
        if mode == "zero":
            return Place(constant(operand, I16), r.dot)
        if mode in ("zero_x", "zero_y"):
            index = build.add(constant(operand), r.x if mode == "zero_x" else r.y)
            return Place(wide(build, index, I16), r.dot, first=0, last=0xFF)
        if mode == "absolute":
            return Place(constant(operand, I16), r.dot)
        if mode in ("absolute_x", "absolute_y"):
            index = r.x if mode == "absolute_x" else r.y
            address = build.add(constant(operand, I16), wide(build, index, I16))
            dot = r.dot
            if not writes and operand & 0xFF:
                low = build.add(constant(operand & 0xFF, I32), wide(build, index))
                dot = build.add(dot, build.mul(build.lshr(low, constant(8, I32)), constant(3, I32)))
            base = constant(operand, I16)
            last = operand + 0xFF
            if last > 0xFFFF:
                return Place(address, dot, base=base)
            return Place(address, dot, first=operand, last=last, index=index, base=base)
        if mode == "indirect_x":
            pointer = build.add(constant(operand), r.x)
            low = self._ram_load(wide(build, pointer, I64))
            high = self._ram_load(wide(build, build.add(pointer, constant(1)), I64))
            return Place(self._word(low, high), r.dot)
        assert mode == "indirect_y"
        low = self._ram_load(constant(operand, I64))
        high = self._ram_load(constant((operand + 1) & 0xFF, I64))
        dot = r.dot
        if not writes:
            sum_ = build.add(wide(build, low), wide(build, r.y))
            dot = build.add(dot, build.mul(build.lshr(sum_, constant(8, I32)), constant(3, I32)))
        base = self._word(low, high)
        return Place(build.add(base, wide(build, r.y, I16)), dot, base=base)

    def _ram(self, index: ir.Value) -> ir.Value:
        """A pointer to a byte of RAM; `index`, i64, is below its size."""
        return at(self.build, self._state("ram"), index)

    def _ram_load(self, index: ir.Value) -> ir.Value:
        return self.build.load(self._ram(index), typ=I8)

    def _ram_index(self, place: Place) -> ir.Value:
        """The index into RAM of an address that is below $2000."""
        build = self.build
        known = literal(place.address)
        if known is not None:
            return constant(known & (RAM_BYTES - 1), I64)
        if place.index is not None and (place.first & (RAM_BYTES - 1)) + 0xFF < RAM_BYTES:
            base = constant(place.first & (RAM_BYTES - 1), I64)
            return build.add(base, wide(build, place.index, I64))
        if place.last < RAM_BYTES:
            return wide(build, place.address, I64)
        return wide(build, build.and_(place.address, constant(RAM_BYTES - 1, I16)), I64)

    def _prg_load(self, i: Instruction, place: Place) -> ir.Value:
        build, program = self.build, self.program
        known = literal(place.address)
        first = program.offset(program.seen_from(i.address, place.first))
        if known is not None and first is not None:
            return constant(program.prg[first])
        last = program.offset(program.seen_from(i.address, place.last))
        size = place.last - place.first
        if place.index is not None and first is not None and last == first + size:
            offset = build.add(constant(first, I64), wide(build, place.index, I64))
        elif program.banked:
            address = wide(build, place.address, I64)
            eighth = build.lshr(address, constant(13, I64))
            bank = wide(build, bank_at(build, self.state, self.machine, eighth), I64)
            within = build.and_(address, constant(0x1FFF, I64))
            offset = build.or_(build.shl(bank, constant(13, I64)), within)
        else:
            offset = wide(build, build.and_(place.address, constant(0x7FFF, I16)), I64)
        return build.load(at(build, self.prg, offset), typ=I8)

    def _in_program_ram(self, place: Place, flag: str) -> ir.Value:
        """Whether an address lies in the cartridge's RAM, and that can be read, or written to."""
        build = self.build
        there = build.icmp_unsigned("!=", build.load(self._state(flag), typ=I8), constant(0))
        if place.first >= 0x6000 and place.last < PRG_START:
            return there
        eighth = build.and_(place.address, constant(0xE000, I16))
        return build.and_(build.icmp_unsigned("==", eighth, constant(0x6000, I16)), there)

    def _program_ram(self, place: Place) -> ir.Value:
        build = self.build
        bank = wide(build, build.load(self._state("ram_bank"), typ=I8), I64)
        within = wide(build, build.and_(place.address, constant(0x1FFF, I16)), I64)
        offset = build.or_(build.shl(bank, constant(13, I64)), within)
        return at(build, self._state("memory"), offset)

    def _may_be_program_ram(self, place: Place) -> bool:
        return self.program.banked and place.first < PRG_START and place.last >= 0x6000

    def _load(self, i: Instruction, place: Place) -> ir.Value:
        build = self.build
        if place.immediate:
            return place.address
        if place.last < 0x2000:
            return self._ram_load(self._ram_index(place))
        if place.first >= PRG_START:
            return self._prg_load(i, place)
        if place.first >= 0x2000 and place.last < PRG_START:
            return self._outside_load(i, place)
        in_ram, above, in_prg, elsewhere, done = (
            self.function.append_basic_block() for _ in range(5)
        )
        below = build.icmp_unsigned("<", place.address, constant(0x2000, I16))
        build.cbranch(below, in_ram, above)
        build.position_at_end(in_ram)
        ram = self._ram_load(self._ram_index(place))
        build.branch(done)
        build.position_at_end(above)
        high = build.icmp_signed("<", place.address, constant(0, I16))
        build.cbranch(high, in_prg, elsewhere)
        build.position_at_end(in_prg)
        prg = self._prg_load(i, place)
        build.branch(done)
        build.position_at_end(elsewhere)
        outside = self._outside_load(i, place)
        from_outside = build.block
        build.branch(done)
        build.position_at_end(done)
        value = build.phi(I8)
        for block, result in ((in_ram, ram), (in_prg, prg), (from_outside, outside)):
            value.add_incoming(result, block)
        return value

    def _outside_load(self, i: Instruction, place: Place) -> ir.Value:
        """Reads what lies between RAM and program."""
        if not self._may_be_program_ram(place):
            return self._io_read(i, place)
        build = self.build
        in_ram, elsewhere, done = (self.function.append_basic_block() for _ in range(3))
        build.cbranch(self._in_program_ram(place, "ram_reads"), in_ram, elsewhere)
        build.position_at_end(in_ram)
        ram = build.load(self._program_ram(place), typ=I8)
        build.branch(done)
        build.position_at_end(elsewhere)
        io = self._io_read(i, place)
        build.branch(done)
        build.position_at_end(done)
        value = build.phi(I8)
        value.add_incoming(ram, in_ram)
        value.add_incoming(io, elsewhere)
        return value

    def _store(
        self,
        i: Instruction,
        place: Place,
        value: ir.Value,
        after: Registers,
        before: ir.Value | None = None,
    ) -> Registers:
        """Stores; `after` are the registers after the instruction. `before` is what was there when
        it is modified."""
        build = self.build
        if place.last < 0x2000:
            build.store(value, self._ram(self._ram_index(place)))
            return after
        banked = self.program.banked
        if place.first >= PRG_START and not banked:
            return after
        if place.first >= 0x2000 and (place.last < PRG_START or banked):
            return self._outside_store(i, place, value, after, before)
        in_ram, above, elsewhere, done = (self.function.append_basic_block() for _ in range(4))
        below = build.icmp_unsigned("<", place.address, constant(0x2000, I16))
        build.cbranch(below, in_ram, above)
        build.position_at_end(in_ram)
        build.store(value, self._ram(self._ram_index(place)))
        build.branch(done)
        build.position_at_end(above)
        ways = [(in_ram, after.dot)]
        if banked:
            build.branch(elsewhere)
        else:  # nothing takes a write to the program
            high = build.icmp_signed("<", place.address, constant(0, I16))
            build.cbranch(high, done, elsewhere)
            ways.append((above, after.dot))
        build.position_at_end(elsewhere)
        written = self._outside_store(i, place, value, after, before)
        ways.append((build.block, written.dot))
        build.branch(done)
        build.position_at_end(done)
        dot = build.phi(I32)
        for block, result in ways:
            dot.add_incoming(result, block)
        return replace(after, dot=dot)

    def _outside_store(
        self,
        i: Instruction,
        place: Place,
        value: ir.Value,
        after: Registers,
        before: ir.Value | None,
    ) -> Registers:
        """Writes to what is no RAM of the console."""
        if not self._may_be_program_ram(place):
            return self._io_write(i, place, value, after, before)
        build = self.build
        in_ram, elsewhere, done = (self.function.append_basic_block() for _ in range(3))
        build.cbranch(self._in_program_ram(place, "ram_writes"), in_ram, elsewhere)
        build.position_at_end(in_ram)
        build.store(value, self._program_ram(place))
        build.branch(done)
        build.position_at_end(elsewhere)
        written = self._io_write(i, place, value, after, before)
        from_io = build.block
        build.branch(done)
        build.position_at_end(done)
        dot = build.phi(I32)
        dot.add_incoming(after.dot, in_ram)
        dot.add_incoming(written.dot, from_io)
        return replace(after, dot=dot)

    def _io_read(self, i: Instruction, place: Place) -> ir.Value:
        cycle = i.cycles - 2 if i.opcode.name in MODIFIES else i.cycles
        self._read_uncarried(i, place, cycle - 1)
        dot = self._later(place.dot, 3 * (cycle - 1))
        value = self._helper("read", I32, wide(self.build, place.address), dot)
        return self.build.trunc(value, I8)

    def _io_write(
        self,
        i: Instruction,
        place: Place,
        value: ir.Value,
        after: Registers,
        before: ir.Value | None,
    ) -> Registers:
        """May halt the processor or call for an interrupt, so there is another look at the clock
        where the region goes on."""
        build = self.build
        address, dot = wide(build, place.address), place.dot
        halted = constant(0, I32)
        if before is None:
            self._read_uncarried(i, place, i.cycles - 1)
        else:  # a value that is modified is first written back as it was
            when = self._later(dot, 3 * (i.cycles - 2))
            halted = self._helper("write", I32, address, wide(build, before), when)
            dot = build.add(dot, halted)
        when = self._later(dot, 3 * (i.cycles - 1))
        halted = build.add(halted, self._helper("write", I32, address, wide(build, value), when))
        after = replace(after, dot=build.add(after.dot, halted))
        if place.last >= PRG_START:
            self._stay(i, after)
        self._look_again(i.next, after)
        return after

    def _stay(self, i: Instruction, after: Registers) -> None:
        """Where another bank may have come: goes on only if what follows is still there."""
        if not self.program.moves(i.next) or i.next >> 16 == ANY_BANK:
            return
        build = self.build
        same, other = (self.function.append_basic_block() for _ in range(2))
        address = i.next & 0xFFFF
        bank = bank_at(build, self.state, self.machine, constant(address >> 13, I64))
        build.cbranch(build.icmp_unsigned("==", bank, constant(i.next >> 16)), same, other)
        build.position_at_end(other)
        self._go_to_value(constant(address, I16), after)
        build.position_at_end(same)

    def _read_uncarried(self, i: Instruction, place: Place, cycle: int) -> None:
        """Indexed addresses are first read without the carry into their high byte; reads only do so
        when there is one."""
        if place.base is None:
            return
        known = literal(place.base)
        if known is not None and not 0x2000 <= known < 0x4100:
            return
        always = i.opcode.name in WRITES or i.opcode.name in MODIFIES
        dot = self._later(place.dot, 3 * (cycle - 1))
        build = self.build
        arguments = (
            wide(build, place.base),
            wide(build, place.address),
            constant(int(always), I32),
        )
        self._helper("read_uncarried", I32, *arguments, dot)

    def _helper(self, name: str, result: ir.Type, *arguments: ir.Value) -> ir.Value:
        """Calls a function of the native core with state, context and these."""
        build = self.build
        kind = ir.FunctionType(result, [POINTER, POINTER, *(value.type for value in arguments)])
        pointer = field(build, self.context, self.machine.context, name)
        function = build.load(pointer, typ=kind.as_pointer())
        return build.call(function, [self.state, self.context, *arguments])

    def _stack(self, s: ir.Value) -> ir.Value:
        build = self.build
        return self._ram(build.add(constant(0x100, I64), wide(build, s, I64)))

    def _push(self, r: Registers, value: ir.Value) -> Registers:
        self.build.store(value, self._stack(r.s))
        return replace(r, s=self.build.sub(r.s, constant(1)))

    def _pull(self, r: Registers) -> tuple[ir.Value, Registers]:
        s = self.build.add(r.s, constant(1))
        return self.build.load(self._stack(s), typ=I8), replace(r, s=s)
