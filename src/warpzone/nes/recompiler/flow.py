"""Control flow of a 6502 program: which bytes are instructions, and how they group into regions.

A region is what becomes one native function: instructions that are entered at one place, its head,
and run forward from there without loops, calls or returns. So the longest way through a region
is known, and one look at the clock where it begins says whether all of it happens before the next
event; if not, the interpreter goes on until that event. That makes events exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from warpzone.nes.recompiler.opcodes import BRANCHES, OPCODES, OPERAND_BYTES, Opcode

PRG_START = 0x8000
VECTORS = (0xFFFA, 0xFFFC, 0xFFFE)
"""Where the addresses of the handlers of NMI, reset and IRQ are."""

MAX_REGION_DOTS = 3 * 150
"""The longest way through a region. What a slice of time leaves over is interpreted: long regions
make few checks, short ones leave less to interpret."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction where it stands in the program."""

    address: int
    opcode: Opcode
    operand: int
    cycles: int
    """Without the extra ones of crossed pages and taken branches."""

    @property
    def next(self) -> int:
        return (self.address + 1 + OPERAND_BYTES[self.opcode.mode]) & 0xFFFF

    @property
    def target(self) -> int:
        """Where a branch leads when it is taken."""
        return (self.next + self.operand - 2 * (self.operand & 0x80)) & 0xFFFF

    @property
    def flows_to(self) -> tuple[int, ...]:
        """Where it leads without the stack or a jump through memory."""
        name = self.opcode.name
        if name in BRANCHES:
            return (self.next, self.target)
        if name == "jmp":
            return (self.operand,) if self.opcode.mode == "absolute" else ()
        if name in ("jsr", "rts", "rti"):
            return ()
        return (self.next,)

    @property
    def max_dots(self) -> int:
        """The most that it can take (three dots to a cycle) but for halts and waiting."""
        if self.opcode.name in BRANCHES:
            return 3 * (self.cycles + 2)
        return 3 * (self.cycles + 1)


@dataclass(frozen=True, slots=True)
class Observed:
    """What running the program has shown: addresses in the program."""

    executed: frozenset[int] = frozenset()
    """Where instructions began."""
    jumped_to: frozenset[int] = frozenset()
    """Of these: reached by a return, an indirect jump or an interrupt."""

    def __or__(self, other: Observed) -> Observed:
        return Observed(self.executed | other.executed, self.jumped_to | other.jumped_to)


@dataclass(slots=True)
class Region:
    """Instructions that are entered at `head` only, in an order in which none comes before what
    leads to it."""

    head: int
    instructions: list[Instruction]
    ahead: dict[int, int] = field(default_factory=dict)
    """For each instruction: the most dots from its beginning to the beginning of any that follows
    it in the region. Halts and skipped waiting come on top: behind them the clock is looked at
    again."""


class Program:
    """The 32 KB at $8000-$FFFF, read as instructions.

    Args:
        prg: 32,768 bytes.
        cycles: base cycles of the 256 opcodes.
    """

    def __init__(self, prg: bytes, cycles: bytes) -> None:
        if len(prg) != 0x8000 or len(cycles) != 0x100:
            raise ValueError("a program has 32,768 bytes and there are 256 opcodes")
        self.prg = prg
        self._cycles = cycles

    def byte(self, address: int) -> int:
        return self.prg[address - PRG_START]

    def word(self, address: int) -> int:
        return self.byte(address) | self.byte(address + 1) << 8

    def decode(self, address: int) -> Instruction | None:
        """The instruction that begins there; None where it cannot be translated."""
        if not PRG_START <= address <= 0xFFFF:
            return None
        code = self.byte(address)
        opcode = OPCODES.get(code)
        if opcode is None:
            return None
        size = OPERAND_BYTES[opcode.mode]
        if address + size > 0xFFFE:  # runs off the end of memory
            return None
        operand = 0
        if size == 1:
            operand = self.byte(address + 1)
        elif size == 2:
            operand = self.word(address + 1)
        return Instruction(address, opcode, operand, self._cycles[code])


def reachable(program: Program, observed: Observed) -> dict[int, Instruction]:
    """All instructions that the vectors and what was observed lead to, by address.

    A call is taken to come back unless running has shown otherwise: a subroutine that was called
    and never returned to its caller takes what follows the call as data (a table of addresses).
    """
    starts = {program.word(vector) for vector in VECTORS} | observed.executed
    calls = [
        call
        for call in map(program.decode, observed.executed)
        if call is not None and call.opcode.name == "jsr"
    ]
    returning = {call.operand for call in calls if call.next in observed.executed}
    keeping = {call.operand for call in calls} - returning
    found: dict[int, Instruction] = {}
    todo = sorted(starts)
    while todo:
        address = todo.pop()
        if address in found:
            continue
        instruction = program.decode(address)
        if instruction is None:
            continue
        found[address] = instruction
        todo.extend(instruction.flows_to)
        if instruction.opcode.name == "jsr":
            todo.append(instruction.operand)
            if instruction.operand not in keeping:
                todo.append(instruction.next)
    return found


def entries(program: Program, code: Mapping[int, Instruction], observed: Observed) -> set[int]:
    """Where control can come from elsewhere: handlers, subroutines, where they return to."""
    heads = {program.word(vector) for vector in VECTORS} | observed.jumped_to
    for instruction in code.values():
        if instruction.opcode.name == "jsr":
            heads |= {instruction.operand, instruction.next}
    return {head for head in heads if head in code}


def regions(
    code: Mapping[int, Instruction], heads: Iterable[int], limit: int = MAX_REGION_DOTS
) -> dict[int, Region]:
    """Groups all instructions that the heads lead to into regions, by their heads."""
    leads_from: dict[int, set[int]] = {address: set() for address in code}
    for instruction in code.values():
        for target in instruction.flows_to:
            if target in code:
                leads_from[target].add(instruction.address)
    known = set(heads)
    todo = sorted(known, reverse=True)
    made: dict[int, Region] = {}
    while todo:
        head = todo.pop()
        if head in made:
            continue
        made[head], rim = _grow(code, leads_from, known, head, limit)
        todo.extend(sorted((address for address in rim if address not in made), reverse=True))
        known |= rim
    return made


def _grow(
    code: Mapping[int, Instruction],
    leads_from: Mapping[int, set[int]],
    heads: set[int],
    head: int,
    limit: int,
) -> tuple[Region, set[int]]:
    """The region of a head, and the addresses that it leads to beyond its end."""
    begin = {head: 0}  # the most dots from the head to the beginning of each instruction
    members: list[Instruction] = []
    ready = [head]
    rim: set[int] = set()
    inside: set[int] = set()
    while ready:
        instruction = code[ready.pop()]
        members.append(instruction)
        inside.add(instruction.address)
        after = begin[instruction.address] + instruction.max_dots
        for target in instruction.flows_to:
            if target not in code:
                continue
            begin[target] = max(begin.get(target, 0), after)
            whole = leads_from[target] <= inside
            if target in heads or target == head or not whole or begin[target] > limit:
                rim.add(target)
            elif target not in ready:
                rim.discard(target)
                ready.append(target)
    ahead: dict[int, int] = {}
    for instruction in reversed(members):
        following = [
            instruction.max_dots + ahead[target]
            for target in instruction.flows_to
            if target in inside and target != head
        ]
        ahead[instruction.address] = max(following, default=0)
    return Region(head, members, ahead), rim
