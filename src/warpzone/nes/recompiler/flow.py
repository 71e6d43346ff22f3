"""Control flow of a 6502 program: which bytes are instructions, and how they group into regions.

A region is what becomes one native function: instructions that are entered at one place, its head,
and run forward from there without loops, calls or returns. So the longest way through a region
is known, and one look at the clock where it begins says whether all of it happens before the next
event; if not, the interpreter goes on until that event. That makes events exact.

A program is read by places: an address, and in the upper half of the number the bank of 8 KB that
is there. In a plain cartridge nothing moves, so that a place is an address.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from warpzone import _native
from warpzone.nes.recompiler.opcodes import BRANCHES, OPCODES, OPERAND_BYTES, Opcode

PRG_START = 0x8000
VECTORS = (0xFFFA, 0xFFFC, 0xFFFE)
"""Where the addresses of the handlers of NMI, reset and IRQ are."""

BANK_BYTES = 0x2000
ANY_BANK = 0xFFFF
"""Stands for the bank of a place where only running shows which one is there."""

MAX_REGION_DOTS = 3 * 150
"""The longest way through a region. What a slice of time leaves over is interpreted: long regions
make few checks, short ones leave less to interpret."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction where it stands in the program."""

    address: int
    """Its place."""
    opcode: Opcode
    operand: int
    cycles: int
    """Without the extra ones of crossed pages and taken branches."""
    next: int
    """The place behind it."""
    target: int
    """The place to which a branch leads when it is taken, or a jump or call to an address."""

    @property
    def flows_to(self) -> tuple[int, ...]:
        """Where it leads without the stack or a jump through memory."""
        name = self.opcode.name
        if name in BRANCHES:
            return (self.next, self.target)
        if name == "jmp":
            return (self.target,) if self.opcode.mode == "absolute" else ()
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
    """What running the program has shown: places in it."""

    executed: frozenset[int] = frozenset()
    """Where instructions began."""
    jumped_to: frozenset[int] = frozenset()
    """Of these: reached by a return, an indirect jump or an interrupt, or out of another bank."""

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
    it in the region, or to the end of a taken branch out of it: where that ends on an event, the
    interrupt comes later, and it is the interpreter that knows so. Halts and skipped waiting come
    on top: behind them the clock is looked at again."""


class Program:
    """The 32 KB at $8000-$FFFF of a plain cartridge, read as instructions.

    Args:
        prg: 32,768 bytes.
        cycles: base cycles of the 256 opcodes.
    """

    banked = False
    """Whether what is at an address may change, and all else that plain consoles have not."""
    clocked_by_reads = False
    """Whether reading $2007 may bring an interrupt near."""

    def __init__(self, prg: bytes, cycles: bytes) -> None:
        if len(prg) != 0x8000 or len(cycles) != 0x100:
            raise ValueError("a program has 32,768 bytes and there are 256 opcodes")
        self.prg = prg
        self._cycles = cycles

    def offset(self, place: int) -> int | None:
        """Returns where in `prg` the byte of a place is, None where there is none."""
        return place - PRG_START if PRG_START <= place <= 0xFFFF else None

    def seen_from(self, place: int, address: int) -> int:
        """Returns the place that is at an address while the instruction at `place` is there."""
        return address

    def moves(self, place: int) -> bool:
        """Returns whether another bank can be where this place is."""
        return False

    @property
    def handlers(self) -> frozenset[int]:
        """Where interrupts and the reset lead, as far as that never changes."""
        return frozenset(self.word(vector) for vector in VECTORS)

    def byte(self, place: int) -> int:
        offset = self.offset(place)
        if offset is None:
            raise ValueError(f"no byte of the program is at {place:#x}")
        return self.prg[offset]

    def word(self, place: int) -> int:
        return self.byte(place) | self.byte(place + 1) << 8

    def decode(self, place: int) -> Instruction | None:
        """The instruction that begins there; None where it cannot be translated."""
        if self.offset(place) is None:
            return None
        code = self.byte(place)
        opcode = OPCODES.get(code)
        if opcode is None:
            return None
        size = OPERAND_BYTES[opcode.mode]
        address = place & 0xFFFF
        if address + size > 0xFFFE:  # runs off the end of memory
            return None
        operand = 0
        for i in range(size):
            at = self.seen_from(place, address + 1 + i)
            if self.offset(at) is None:  # in a bank that may be another one
                return None
            operand |= self.byte(at) << (8 * i)
        behind = (address + 1 + size) & 0xFFFF
        target = operand
        if opcode.name in BRANCHES:
            target = (behind + operand - 2 * (operand & 0x80)) & 0xFFFF
        return Instruction(
            place,
            opcode,
            operand,
            self._cycles[code],
            self.seen_from(place, behind),
            self.seen_from(place, target),
        )


UNITS = {0: 0x8000, 1: 0x4000, 2: 0x4000, 3: 0x8000, 4: 0x2000, 7: 0x8000}
"""By the number of a board: so many bytes are always switched together."""
FIXED = {0: 0x8000, 2: 0xC000, 3: 0x8000, 4: 0xE000}
"""By the number of a board: from which address on the last banks always are."""


class BankedProgram(Program):
    """A program of which parts come and go at $8000-$FFFF, or whose console is not a plain one.

    Args:
        prg: all banks of 8 KB, at least four.
        cycles: base cycles of the 256 opcodes.
        mapper: the number of the board.
    """

    banked = True

    def __init__(self, prg: bytes, cycles: bytes, mapper: int) -> None:
        if len(prg) < 0x8000 or len(prg) % BANK_BYTES or len(cycles) != 0x100:
            raise ValueError("a program has four banks or more and there are 256 opcodes")
        self.prg = prg
        self._cycles = cycles
        self._banks = len(prg) // BANK_BYTES
        self._unit, self._fixed = UNITS[mapper], FIXED.get(mapper, 0x10000)
        self.clocked_by_reads = mapper == 4

    def offset(self, place: int) -> int | None:
        bank, address = place >> 16, place & 0xFFFF
        if address < PRG_START or bank >= self._banks:
            return None
        return bank * BANK_BYTES + address % BANK_BYTES

    def seen_from(self, place: int, address: int) -> int:
        if address < PRG_START:
            return address
        if address >= self._fixed:
            bank = self._banks - 8 + address // BANK_BYTES
        elif (place ^ address) & 0xFFFF & -self._unit == 0:
            bank = (place >> 16) + address // BANK_BYTES - (place & 0xFFFF) // BANK_BYTES
        else:
            return ANY_BANK << 16 | address
        return bank % self._banks << 16 | address

    def moves(self, place: int) -> bool:
        return place & 0xFFFF < self._fixed

    @property
    def handlers(self) -> frozenset[int]:
        if self._fixed > VECTORS[0]:
            return frozenset()
        places = (self.seen_from(0, vector) for vector in VECTORS)
        return frozenset(self.seen_from(place, self.word(place)) for place in places)


def program_of(cartridge: _native.Cartridge) -> Program:
    """Reads a cartridge's program."""
    if cartridge.plain:
        return Program(cartridge.program, _native.MACHINE["cycles"])
    return BankedProgram(cartridge.program, _native.MACHINE["cycles"], cartridge.mapper)


def identity_of(cartridge: _native.Cartridge) -> bytes:
    """Returns all of a cartridge that native code depends on: the program, and on which board."""
    board = b"" if cartridge.plain else b"mapper %d\n" % cartridge.mapper
    return board + cartridge.program


def reachable(program: Program, observed: Observed) -> dict[int, Instruction]:
    """All instructions that the handlers and what was observed lead to, by place.

    A call is taken to come back unless running has shown otherwise: a subroutine that was called
    and never returned to its caller takes what follows the call as data (a table of addresses).
    """
    starts = program.handlers | observed.executed
    calls = [
        call
        for call in map(program.decode, observed.executed)
        if call is not None and call.opcode.name == "jsr"
    ]
    returning = {call.target for call in calls if call.next in observed.executed}
    keeping = {call.target for call in calls} - returning
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
            todo.append(instruction.target)
            if instruction.target not in keeping:
                todo.append(instruction.next)
    return found


def entries(program: Program, code: Mapping[int, Instruction], observed: Observed) -> set[int]:
    """Where control can come from elsewhere: handlers, subroutines, where they return to."""
    heads = set(program.handlers | observed.jumped_to)
    for instruction in code.values():
        if instruction.opcode.name == "jsr":
            heads |= {instruction.target, instruction.next}
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
        leaves = instruction.opcode.name in BRANCHES and (
            instruction.target not in inside or instruction.target == head
        )
        ahead[instruction.address] = max(following, default=0)
        if leaves:
            least = 3 * (instruction.cycles + 1)
            ahead[instruction.address] = max(ahead[instruction.address], least)
    return Region(head, members, ahead), rim
