"""LLVM IR for the regions of a 6502 program.

Each region becomes a function. The processor's registers are its arguments and stay in machine
registers from one region to the next: all share a calling convention that passes ten integers in
registers and every way out is a tail call, so that going on is a plain jump.

A function begins with a look at the clock: is there time for the longest way through? If not it
leaves, and the interpreter goes on until the event. See `Machine` for what the functions take.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from llvmlite import ir

from warpzone.nes.recompiler.flow import PRG_START, Instruction, Program, Region
from warpzone.nes.recompiler.opcodes import BRANCHES, MODIFIES, WRITES

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
POINTER = ir.PointerType()

CONVENTION = "preserve_nonecc"
"""https://clang.llvm.org/docs/AttributeReference.html#preserve-none"""

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
    the one that says how long a waiting loop waits, and the table of regions by address.
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


class ModuleWriter:
    """The module: regions, the way in, the ways out, the list of regions."""

    def __init__(self, program: Program, regions: Mapping[int, Region], machine: Machine) -> None:
        self.program = program
        self.machine = machine
        self.module = ir.Module("cartridge")
        image = ir.ArrayType(I8, len(program.prg))
        self.prg = ir.GlobalVariable(self.module, image, "prg")
        self.prg.initializer = ir.Constant(image, bytearray(program.prg))
        self.prg.global_constant = True
        self.prg.linkage = "internal"
        self.functions = {head: self._function(f"at_{head:04X}") for head in regions}
        self.ways_out = {reason: self._way_out(reason) for reason in (BAILED, UNKNOWN)}
        for head, region in regions.items():
            RegionWriter(self, self.functions[head], region).write()
        self._way_in()
        self._list_regions()

    def _function(self, name: str) -> ir.Function:
        function = ir.Function(self.module, REGION_TYPE, name)
        function.calling_convention = CONVENTION
        function.linkage = "internal"
        function.attributes.add("nounwind")
        return function

    def _way_out(self, reason: int) -> ir.Function:
        """Writes the registers back to the state and returns why. PC has been stored before."""
        function = self._function("unknown" if reason == UNKNOWN else "bail")
        function.attributes.add("noinline")
        if reason == UNKNOWN:
            function.linkage = "external"  # also the entry of addresses that have no region
        build = ir.IRBuilder(function.append_basic_block())
        state, _, a, x, y, s, nz, carry, overflow, dot = function.args
        values = {"a": a, "x": x, "y": y, "s": s, "dot": dot}
        for name, value in values.items():
            build.store(value, field(build, state, self.machine.state, name))
        p = field(build, state, self.machine.state, "p")
        kept = build.and_(build.load(p, typ=I8), constant(INTERRUPT | DECIMAL))
        flags = packed_flags(build, nz, carry, overflow)
        build.store(build.or_(build.or_(flags, kept), constant(UNUSED)), p)
        build.ret(constant(reason, I32))
        return function

    def _way_in(self) -> None:
        """i32 enter(state, context): goes on where the state's registers say."""
        function = ir.Function(self.module, ir.FunctionType(I32, [POINTER, POINTER]), "enter")
        build = ir.IRBuilder(function.append_basic_block())
        state, context = function.args
        kinds = {"a": I8, "x": I8, "y": I8, "s": I8, "p": I8, "dot": I32, "pc": I16}
        a, x, y, s, p, dot, pc = (
            build.load(field(build, state, self.machine.state, name), typ=kind)
            for name, kind in kinds.items()
        )
        region = region_at(build, context, self.machine, pc)
        arguments = [state, context, a, x, y, s, *unpacked_flags(build, p), dot]
        build.ret(build.call(region, arguments, cconv=CONVENTION))

    def _list_regions(self) -> None:
        """`regions`: pairs of an address and its function; `region_count` of them."""
        pair = ir.LiteralStructType([I64, POINTER])
        rows = [
            ir.Constant(pair, [constant(head, I64), function])
            for head, function in sorted(self.functions.items())
        ]
        array = ir.ArrayType(pair, len(rows))
        table = ir.GlobalVariable(self.module, array, "regions")
        table.initializer = ir.Constant(array, rows)
        table.global_constant = True
        count = ir.GlobalVariable(self.module, I64, "region_count")
        count.initializer = constant(len(rows), I64)
        count.global_constant = True


def at(build: ir.IRBuilder, base: ir.Value, offset: ir.Value) -> ir.Value:
    """base + offset bytes."""
    return build.gep(base, [offset], inbounds=True, source_etype=I8)


def field(build: ir.IRBuilder, record: ir.Value, offsets: Mapping[str, int], name: str) -> ir.Value:
    """A pointer to a field of the state or the context."""
    return at(build, record, constant(offsets[name], I64))


def region_at(
    build: ir.IRBuilder, context: ir.Value, machine: Machine, address: ir.Value
) -> ir.Value:
    """The function for an address (i16) out of the context's table."""
    offset = build.shl(wide(build, address, I64), constant(3, I64))
    table = field(build, context, machine.context, "regions")
    return build.load(at(build, table, offset), typ=REGION_TYPE.as_pointer())


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


class RegionWriter:
    """Writes the function of one region."""

    def __init__(self, module: ModuleWriter, function: ir.Function, region: Region) -> None:
        self.module = module
        self.function = function
        self.region = region
        self.inside = {i.address for i in region.instructions}
        self.build = ir.IRBuilder(function.append_basic_block("clock"))
        self.state, self.context = function.args[0], function.args[1]
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
        elif address in self.module.functions:
            self._call(self.module.functions[address], registers)
        else:
            self._leave(address, registers, UNKNOWN)

    def _leave(self, address: int, registers: Registers, reason: int) -> None:
        """Ends the block: hands the registers back; the program is to go on at `address`."""
        self.build.store(constant(address, I16), self._state("pc"))
        self._call(self.module.ways_out[reason], registers)

    def _go_to_value(self, target: ir.Value, registers: Registers) -> None:
        """Ends the block: goes on at an address (i16) that only running knows."""
        build = self.build
        build.store(target, self._state("pc"))  # for an address without a region
        region = region_at(build, self.context, self.module.machine, target)
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

    def _state(self, name: str) -> ir.Value:
        return field(self.build, self.state, self.module.machine.state, name)

    # --- instructions ---------------------------------------------------------------------------

    def _instruction(self, i: Instruction, r: Registers) -> None:
        name = i.opcode.name
        if name in BRANCHES:
            self._branch(i, r)
        elif name in ("jmp", "jsr", "rts", "rti"):
            self._jump(i, r)
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
            self._go(i.next, self._after(i, getattr(self, f"_{name}")(r, m)))

    def _after(self, i: Instruction, r: Registers) -> Registers:
        return replace(r, dot=self._later(r.dot, 3 * i.cycles))

    def _later(self, dot: ir.Value, dots: int) -> ir.Value:
        return self.build.add(dot, constant(dots, I32))

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
        """LDA/BIT $2002, [AND #mask,] branch back: see `waiting_dots` in the native core."""
        if i.target < PRG_START or i.target > 0xFFF0 or i.next - i.target not in (5, 7):
            return False
        code = self.module.program
        opcode = code.byte(i.target)
        if opcode not in (0xAD, 0x2C) or code.word(i.target + 1) != 0x2002:
            return False
        masked = opcode == 0xAD and code.byte(i.target + 3) == 0x29
        return i.address == i.target + 3 or (masked and i.address == i.target + 5)

    def _waiting_dots(self, i: Instruction, r: Registers, dot: ir.Value) -> ir.Value:
        addresses = (constant(i.address, I32), constant(i.target, I32))
        return self._helper("waiting_dots", I32, *addresses, wide(self.build, r.a), dot)

    def _jump(self, i: Instruction, r: Registers) -> None:
        build = self.build
        name, mode = i.opcode.name, i.opcode.mode
        if name == "jsr":
            back = (i.next - 1) & 0xFFFF
            r = self._push(self._push(r, constant(back >> 8)), constant(back & 0xFF))
            self._go(i.operand, self._after(i, r))
        elif name == "rts":
            low, r = self._pull(r)
            high, r = self._pull(r)
            target = build.add(self._word(low, high), constant(1, I16))
            self._go_to_value(target, self._after(i, r))
        elif name == "rti":
            p, r = self._pull(r)
            r = self._set_p(r, p)
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
            if i.operand == i.address:  # waits for the event: whole rounds of three cycles
                event = build.load(self._state("next_event"), typ=I32)
                left = build.sub(build.sub(event, dot), constant(1, I32))
                rounds = build.udiv(left, constant(9, I32))  # an event is ahead: left >= 0
                dot = build.add(dot, build.mul(rounds, constant(9, I32)))
            self._go(i.operand, self._after(i, replace(r, dot=dot)))

    def _word(self, low: ir.Value, high: ir.Value) -> ir.Value:
        high = self.build.shl(wide(self.build, high, I16), constant(8, I16))
        return self.build.or_(wide(self.build, low, I16), high)

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

    # --- memory ---------------------------------------------------------------------------------

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

    def _prg_load(self, place: Place) -> ir.Value:
        build = self.build
        known = literal(place.address)
        if known is not None:
            return constant(self.module.program.byte(known))
        if place.index is not None and place.first >= PRG_START:
            base = constant(place.first - PRG_START, I64)
            offset = build.add(base, wide(build, place.index, I64))
        else:
            offset = wide(build, build.and_(place.address, constant(0x7FFF, I16)), I64)
        return build.load(at(build, self.module.prg, offset), typ=I8)

    def _load(self, i: Instruction, place: Place) -> ir.Value:
        build = self.build
        if place.immediate:
            return place.address
        if place.last < 0x2000:
            return self._ram_load(self._ram_index(place))
        if place.first >= PRG_START:
            return self._prg_load(place)
        if place.first >= 0x2000 and place.last < PRG_START:
            return self._io_read(i, place)
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
        prg = self._prg_load(place)
        build.branch(done)
        build.position_at_end(elsewhere)
        io = self._io_read(i, place)
        build.branch(done)
        build.position_at_end(done)
        value = build.phi(I8)
        for block, result in ((in_ram, ram), (in_prg, prg), (elsewhere, io)):
            value.add_incoming(result, block)
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
        if place.first >= PRG_START:
            return after
        if place.first >= 0x2000 and place.last < PRG_START:
            return self._io_write(i, place, value, after, before)
        in_ram, above, elsewhere, done = (self.function.append_basic_block() for _ in range(4))
        below = build.icmp_unsigned("<", place.address, constant(0x2000, I16))
        build.cbranch(below, in_ram, above)
        build.position_at_end(in_ram)
        build.store(value, self._ram(self._ram_index(place)))
        build.branch(done)
        build.position_at_end(above)
        high = build.icmp_signed("<", place.address, constant(0, I16))
        build.cbranch(high, done, elsewhere)
        build.position_at_end(elsewhere)
        written = self._io_write(i, place, value, after, before)
        from_io = build.block
        build.branch(done)
        build.position_at_end(done)
        dot = build.phi(I32)
        for block, result in ((in_ram, after.dot), (above, after.dot), (from_io, written.dot)):
            dot.add_incoming(result, block)
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
        self._look_again(i.next, after)
        return after

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
        pointer = field(build, self.context, self.module.machine.context, name)
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

    # --- operations -----------------------------------------------------------------------------

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
