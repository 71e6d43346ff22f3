"""LLVM IR for the regions of a 6502 program: the module that holds their functions.

Each region becomes a function. The processor's registers are its arguments and stay in machine
registers from one region to the next: all share a calling convention that passes ten integers in
registers and every way out is a tail call, so that going on is a plain jump.

A function begins with a look at the clock: is there time for the longest way through? If not it
leaves, and the interpreter goes on until the event. See `Machine` for what the functions take.
"""

from __future__ import annotations

from collections.abc import Mapping

from llvmlite import ir

from warpzone.nes.recompiler.flow import Program, Region
from warpzone.nes.recompiler.region import RegionWriter
from warpzone.nes.recompiler.values import (
    BAILED,
    CONVENTION,
    DECIMAL,
    I8,
    I16,
    I32,
    I64,
    INTERRUPT,
    POINTER,
    REGION_TYPE,
    UNKNOWN,
    UNUSED,
    Machine,
    constant,
    field,
    packed_flags,
    region_at,
    unpacked_flags,
)


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
            RegionWriter(
                self.functions[head],
                region,
                program,
                self.prg,
                machine,
                self.functions,
                self.ways_out,
            ).write()
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
        region = region_at(build, state, context, self.machine, pc, self.program.banked)
        arguments = [state, context, a, x, y, s, *unpacked_flags(build, p), dot]
        build.ret(build.call(region, arguments, cconv=CONVENTION))

    def _list_regions(self) -> None:
        """`regions`: pairs of a place and its function; `region_count` of them."""
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
