"""Writes the function of one region: its instructions, and what happens between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from llvmlite import ir

from warpzone.nes.recompiler.flow import ANY_BANK, PRG_START, Instruction, Program, Region
from warpzone.nes.recompiler.opcodes import BRANCHES, MODIFIES, WRITES
from warpzone.nes.recompiler.operations import Operations
from warpzone.nes.recompiler.values import (
    BAILED,
    CONVENTION,
    I1,
    I8,
    I16,
    I32,
    INTERRUPT,
    UNKNOWN,
    Machine,
    Place,
    Registers,
    constant,
    is_negative,
    is_zero,
    literal,
    region_at,
    wide,
)


class RegionWriter(Operations):
    """Writes the function of one region.

    Args:
        functions: of all regions by the place where they begin.
        ways_out: the functions that leave compiled code, by the reason why.
    """

    def __init__(
        self,
        function: ir.Function,
        region: Region,
        program: Program,
        prg: ir.GlobalVariable,
        machine: Machine,
        functions: Mapping[int, ir.Function],
        ways_out: Mapping[int, ir.Function],
    ) -> None:
        super().__init__(function, program, prg, machine)
        self.region = region
        self.functions, self.ways_out = functions, ways_out
        self.inside = {i.address for i in region.instructions}
        # For each instruction that was jumped to: from which blocks, with which registers.
        self.arrivals: dict[int, list[tuple[ir.Block, Registers]]] = {}
        self.blocks: dict[int, ir.Block] = {}
        joins: dict[int, int] = {}
        for instruction in region.instructions:
            for target in instruction.flows_to:
                joins[target] = joins.get(target, 0) + 1
        self.joins = {target for target, count in joins.items() if count > 1}

    def write(self) -> None:
        head = self.region.head
        registers = Registers(*self.function.args[2:])
        begin = self.function.append_basic_block("begin")
        bail = self.function.append_basic_block("bail")
        self.build.cbranch(self._in_time(registers.dot, self.region.ahead[head]), begin, bail)
        self.build.position_at_end(bail)
        self._leave(head, registers, BAILED)
        self.build.position_at_end(begin)
        for instruction in self.region.instructions:
            if instruction.address != head:
                registers = self._arrive(instruction.address)
            self._instruction(instruction, registers)

    # --- between instructions -------------------------------------------------------------------

    def _in_time(self, dot: ir.Value, ahead: int) -> ir.Value:
        """Whether an instruction that begins `ahead` dots after `dot` begins before the event."""
        event = self.build.load(self._state("next_event"), typ=I32)
        latest = self.build.add(dot, constant(ahead, I32)) if ahead else dot
        return self.build.icmp_signed("<", latest, event, name="in_time")

    def _look_again(self, address: int, registers: Registers) -> None:
        """Where time has passed that `ahead` does not count: leaves if the region goes on at an
        address and there is no time for the rest. Another region looks for itself."""
        if address in self.inside and address != self.region.head:
            bail, on = (self.function.append_basic_block() for _ in range(2))
            in_time = self._in_time(registers.dot, self.region.ahead[address])
            self.build.cbranch(in_time, on, bail)
            self.build.position_at_end(bail)
            self._leave(address, registers, BAILED)
            self.build.position_at_end(on)

    def _arrive(self, address: int) -> Registers:
        """Goes to the block of an instruction and joins the registers of all ways there."""
        self.build.position_at_end(self.blocks[address])
        ways = self.arrivals[address]
        if len(ways) == 1:
            return ways[0][1]
        joined: dict[str, ir.Value] = {}
        for name in Registers.__slots__:
            values = [getattr(registers, name) for _, registers in ways]
            if all(value is values[0] for value in values):
                joined[name] = values[0]
                continue
            phi = self.build.phi(values[0].type)
            for (block, _), value in zip(ways, values, strict=True):
                phi.add_incoming(value, block)
            joined[name] = phi
        return Registers(**joined)

    def _go(self, address: int, registers: Registers) -> None:
        """Ends the block: goes on at an address."""
        if address in self.inside and address != self.region.head:
            if address in self.joins:
                registers = self._as_passed_on(registers)
            if address not in self.blocks:
                self.blocks[address] = self.function.append_basic_block(f"at_{address:04X}")
            self.build.branch(self.blocks[address])
            self.arrivals.setdefault(address, []).append((self.build.block, registers))
        elif address in self.functions:
            self._call(self.functions[address], registers)
        elif address >> 16 == ANY_BANK:
            self._go_to_value(constant(address & 0xFFFF, I16), registers)
        else:
            self._leave(address, registers, UNKNOWN)

    def _leave(self, address: int, registers: Registers, reason: int) -> None:
        """Ends the block: hands the registers back; the program is to go on at `address`."""
        self.build.store(constant(address & 0xFFFF, I16), self._state("pc"))
        self._call(self.ways_out[reason], registers)

    def _go_to_value(self, target: ir.Value, registers: Registers) -> None:
        """Ends the block: goes on at an address (i16) that only running knows."""
        build = self.build
        build.store(target, self._state("pc"))  # for an address without a region
        banked = self.program.banked
        region = region_at(build, self.state, self.context, self.machine, target, banked)
        self._call(region, registers)

    def _call(self, function: ir.Value, registers: Registers) -> None:
        r = self._as_passed_on(registers)
        arguments = [self.state, self.context, r.a, r.x, r.y, r.s, r.nz, r.carry, r.overflow, r.dot]
        done = self.build.call(function, arguments, cconv=CONVENTION, tail="musttail")
        self.build.ret(done)

    def _as_passed_on(self, registers: Registers) -> Registers:
        return replace(
            registers,
            nz=wide(self.build, registers.nz) if registers.nz.type == I8 else registers.nz,
            carry=wide(self.build, registers.carry, I8)
            if registers.carry.type == I1
            else registers.carry,
        )

    # --- instructions ---------------------------------------------------------------------------

    def _instruction(self, i: Instruction, r: Registers) -> None:
        name = i.opcode.name
        if name in BRANCHES:
            self._branch(i, r)
        elif name in ("jmp", "jsr", "rts", "rti"):
            self._jump(i, r)
        elif self.program.banked and name in ("cli", "sei", "plp"):
            self._change_mask(i, r)
        elif i.opcode.mode == "implied":
            self._go(i.next, self._after(i, getattr(self, f"_{name}")(r)))
        elif name in WRITES:
            value = {"sta": r.a, "stx": r.x, "sty": r.y}.get(name)
            if value is None:
                value = self.build.and_(r.a, r.x)
            place = self._place(i, r)
            self._go(i.next, self._store(i, place, value, self._after(i, r)))
        elif name in MODIFIES:
            self._modify(i, r)
        else:
            place = self._place(i, r)
            r = replace(r, dot=place.dot)
            m = self._load(i, place)
            after = self._after(i, getattr(self, f"_{name}")(r, m))
            if self._may_clock(place):
                self._look_again(i.next, after)
            self._go(i.next, after)

    def _after(self, i: Instruction, r: Registers) -> Registers:
        return replace(r, dot=self._later(r.dot, 3 * i.cycles))

    def _may_clock(self, place: Place) -> bool:
        """Whether a read may bring an interrupt near: one of $2007."""
        if place.immediate or not self.program.clocked_by_reads:
            return False
        known = literal(place.address)
        if known is not None:
            return 0x2000 <= known < 0x4000 and known & 7 == 7
        return place.first < 0x4000 and place.last >= 0x2000

    def _change_mask(self, i: Instruction, r: Registers) -> None:
        """CLI, SEI, PLP: the core knows when interrupts come, and ends the slice in time."""
        before = self.build.load(self._state("p"), typ=I8)
        after = self._after(i, getattr(self, f"_{i.opcode.name}")(r))
        self._helper("mask_changed", I32, wide(self.build, before), after.dot)
        self._look_again(i.next, after)
        self._go(i.next, after)

    def _end_slice_if_unmasked(self, before: ir.Value) -> None:
        """RTI: where interrupts are let through again, it is looked whether there is one."""
        build = self.build
        after = build.load(self._state("p"), typ=I8)
        let_through = build.and_(build.and_(before, build.not_(after)), constant(INTERRUPT))
        event = build.load(self._state("next_event"), typ=I32)
        unmasked = build.icmp_unsigned("!=", let_through, constant(0))
        build.store(build.select(unmasked, constant(0, I32), event), self._state("next_event"))

    def _branch(self, i: Instruction, r: Registers) -> None:
        build = self.build
        name = i.opcode.name
        if name in ("beq", "bne"):
            flag = is_zero(build, r.nz)
        elif name in ("bmi", "bpl"):
            flag = is_negative(build, r.nz)
        elif name in ("bcs", "bcc"):
            flag = r.carry
            if flag.type != I1:
                flag = build.icmp_unsigned("!=", flag, constant(0))
        else:
            flag = build.icmp_signed("<", r.overflow, constant(0))
        taken = self.function.append_basic_block()
        passed = self.function.append_basic_block()
        if name in ("beq", "bmi", "bcs", "bvs"):
            build.cbranch(flag, taken, passed)
        else:
            build.cbranch(flag, passed, taken)
        build.position_at_end(passed)
        self._go(i.next, self._after(i, r))
        build.position_at_end(taken)
        crosses = ((i.target ^ i.next) & 0xFF00) != 0
        dot = self._later(r.dot, 6 if crosses else 3)
        if self._may_wait(i):
            dot = build.add(dot, self._waiting_dots(i, r, self._later(dot, 6)))
        after = self._after(i, replace(r, dot=dot))
        if self._may_wait(i):
            self._look_again(i.target, after)
        self._go(i.target, after)

    def _may_wait(self, i: Instruction) -> bool:
        """LDA/BIT $2002, [AND #mask,] branch back, and where programs are not plain LDA RAM, branch
        back: see `waiting_dots` in the native core."""
        code, target, size = self.program, i.target & 0xFFFF, i.address - i.target
        if target < PRG_START or target > 0xFFF0 or size not in (2, 3, 5):
            return False
        if code.banked and target & 0x1FFF > 0x1FF0:  # goes on in another bank
            return False
        opcode = code.byte(i.target)
        if size == 2:
            return code.banked and opcode == 0xA5
        read = code.word(i.target + 1)
        if read != 0x2002:
            return code.banked and size == 3 and opcode == 0xAD and read < 0x2000
        return (size == 3 and opcode in (0xAD, 0x2C)) or (
            size == 5 and opcode == 0xAD and code.byte(i.target + 3) == 0x29
        )

    def _waiting_dots(self, i: Instruction, r: Registers, dot: ir.Value) -> ir.Value:
        addresses = (constant(i.address & 0xFFFF, I32), constant(i.target & 0xFFFF, I32))
        return self._helper("waiting_dots", I32, *addresses, wide(self.build, r.a), dot)

    def _jump(self, i: Instruction, r: Registers) -> None:
        build = self.build
        name, mode = i.opcode.name, i.opcode.mode
        if name == "jsr":
            back = (i.next - 1) & 0xFFFF
            r = self._push(self._push(r, constant(back >> 8)), constant(back & 0xFF))
            self._go(i.target, self._after(i, r))
        elif name == "rts":
            low, r = self._pull(r)
            high, r = self._pull(r)
            target = build.add(self._word(low, high), constant(1, I16))
            self._go_to_value(target, self._after(i, r))
        elif name == "rti":
            before = build.load(self._state("p"), typ=I8) if self.program.banked else None
            p, r = self._pull(r)
            r = self._set_p(r, p)
            if before is not None:
                self._end_slice_if_unmasked(before)
            low, r = self._pull(r)
            high, r = self._pull(r)
            self._go_to_value(self._word(low, high), self._after(i, r))
        elif mode == "indirect":  # the high byte comes from the same page
            second = (i.operand & 0xFF00) | ((i.operand + 1) & 0xFF)
            low = self._load(i, Place(constant(i.operand, I16), r.dot))
            high = self._load(i, Place(constant(second, I16), r.dot))
            self._go_to_value(self._word(low, high), self._after(i, r))
        else:
            dot = r.dot
            if i.target == i.address:  # waits for the event: whole rounds of three cycles
                event = build.load(self._state("next_event"), typ=I32)
                left = build.sub(build.sub(event, dot), constant(1, I32))
                rounds = build.udiv(left, constant(9, I32))  # an event is ahead: left >= 0
                dot = build.add(dot, build.mul(rounds, constant(9, I32)))
            self._go(i.target, self._after(i, replace(r, dot=dot)))

    def _modify(self, i: Instruction, r: Registers) -> None:
        operation = {
            "slo": "asl", "rla": "rol", "sre": "lsr", "rra": "ror", "dcp": "dec", "isc": "inc",
        }.get(i.opcode.name, i.opcode.name)  # fmt: skip
        if i.opcode.mode == "accumulator":
            a, r = getattr(self, f"_{operation}")(r, r.a)
            self._go(i.next, self._after(i, replace(r, a=a)))
            return
        place = self._place(i, r, modifies=True)
        before = self._load(i, place)
        value, r = getattr(self, f"_{operation}")(r, before)
        combine = {
            "slo": "_ora", "rla": "_and", "sre": "_eor",
            "rra": "_adc", "dcp": "_cmp", "isc": "_sbc",
        }.get(i.opcode.name)  # fmt: skip
        if combine is not None:
            r = getattr(self, combine)(r, value)
        self._go(i.next, self._store(i, place, value, self._after(i, r), before))
