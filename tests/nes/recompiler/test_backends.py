"""Native code and the interpreter leave the same state behind, byte for byte."""

from __future__ import annotations

import ctypes
from typing import TypeVar

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir
from tests.support.recompiler import RAM_AT, Pair, banked_image, dot_of, image, patched, word

from warpzone import _native
from warpzone.nes.recompiler import flow, module, region, values
from warpzone.nes.recompiler.opcodes import BRANCHES, OPCODES, OPERAND_BYTES

pytestmark = pytest.mark.slow

T = TypeVar("T")
CODE = 0x8000
BRK, JMP, JMP_INDIRECT, JSR, RTS, RTI = 0x00, 0x4C, 0x6C, 0x20, 0x60, 0x40
JUMPS = {JMP, JMP_INDIRECT, JSR, RTS, RTI}
PLAIN = [
    code for code, opcode in OPCODES.items() if code not in JUMPS and opcode.name not in BRANCHES
]
BRANCH_CODES = [code for code, opcode in OPCODES.items() if opcode.name in BRANCHES]
UNTRANSLATED = sorted(set(range(256)) - set(OPCODES))

WAITING = [
    bytes.fromhex(f"{body} {branch}")
    for body, branches in {
        "AD 02 20": ("10", "30"),
        "AD 02 20 29 80": ("F0", "D0", "10"),
        "AD 02 20 29 40": ("F0", "D0"),
        "2C 02 20": ("10", "30", "50", "70"),
        "A5 10": ("F0", "D0", "10", "30", "50"),
        "AD 10 00": ("F0", "D0", "10", "30"),
        "2C 02 20 EA EA": ("50",),  # as long as a waiting loop, and none
        "AD 02 20 09 40": ("F0",),
    }.items()
    for branch in branches
]
"""Loops around the status of the picture unit, or a byte of RAM, but for how far back they branch.
"""

SWITCHES = {
    0: ["A9 00 8D 17 40 58"],  # interrupts by the sound unit, CLI
    1: [
        f"A9 {value:02X} 8D {at}" + f" 4A 8D {at}" * 4
        for at in ("00 80", "00 E0")
        for value in (0, 1, 2, 3, 0x0C, 0x08, 0x1E)
    ],
    2: ["8E 00 80", "A9 01 8D 00 C0", "EE 00 90"],
    3: ["8E 00 80", "A9 01 8D 00 C0"],
    4: [
        "A9 06 8D 00 80 8E 01 80",
        "A9 46 8D 00 80 8C 01 80",
        "A9 07 8D 00 80 8E 01 80",
        "A2 03 8E 00 C0 8E 01 C0 8E 01 E0 58",  # an interrupt in four lines, CLI
        "8E 00 E0",
        "A9 80 8D 01 A0",
        "A9 18 8D 01 20 A9 08 8D 00 20",
        "A9 10 8D 06 20 8D 06 20 AD 07 20",
    ],
    7: ["8E 00 80", "A9 11 8D 00 C0"],
}
"""By the number of a board: what writes to its registers."""


class Maker:
    """Random programs. They cannot be told from a game's by anything that a translator sees."""

    def __init__(self, seed: int, mapper: int | None = None) -> None:
        self.random = np.random.default_rng(seed)
        self.starts: list[int] = []
        self.mapper = mapper

    def pick(self, *choices: T) -> T:
        return choices[self.below(len(choices))]

    def below(self, end: int) -> int:
        return int(self.random.integers(end))

    def address(self) -> int:
        """An operand: RAM and its mirrors, registers, the program, and what lies between."""
        kind = self.below(20)
        if kind < 7:
            return self.below(0x800)
        if kind < 9:
            return self.below(0x2000)
        if kind < 12:
            return self.pick(0x2000, 0x2001, 0x2002, 0x2003, 0x2004, 0x2005, 0x2006, 0x2007)
        if kind < 13:
            return 0x2000 + self.below(0x2000)
        if kind < 14:
            return self.pick(0x4014, 0x4016, 0x4017, 0x4015, 0x5000 + self.below(0x3000))
        if kind < 16:  # where an index leads from one kind of memory to the next
            return self.pick(0x0000, 0x07C0, 0x1F80, 0x3F80, 0x3FC0, 0x7F80, 0xFF80) + self.below(
                0x80
            )
        return CODE + self.below(0x8000)

    def plain(self) -> bytes:
        code = PLAIN[self.below(len(PLAIN))]
        size = OPERAND_BYTES[OPCODES[code].mode]
        if size == 2:
            return bytes([code]) + word(self.address())
        return bytes([code, *(self.below(256) for _ in range(size))])

    def place(self) -> int:
        """Where to jump: the beginning of an instruction, now and then its middle, RAM, …"""
        kind = self.below(40)
        if kind == 0:
            return self.below(0x10000)
        start = int(self.random.choice(self.starts))
        return start + (self.below(3) if kind < 6 else 0)

    def program(self, instructions: int) -> bytes:
        """The image. Instructions lie in one piece that begins anywhere."""
        begin = CODE + self.below(0x7000)
        code, self.starts = self.piece(begin, instructions)
        handlers = [int(self.random.choice(self.starts)) for _ in range(3)]
        parts = {begin: code}
        filling = self.random.bytes(0x8000)
        if begin > 0x8400:
            parts = {0x8000: filling[: begin - 0x8000]} | parts
        return image(
            parts, reset=handlers[0], nmi=handlers[1], irq=handlers[2], fill=self.pick(0xEA, 0)
        )

    def piece(self, begin: int, instructions: int) -> tuple[bytes, list[int]]:
        """Code, and where its instructions begin, which may jump to `starts` too."""
        elsewhere = self.starts
        self.starts = elsewhere + [begin + 2 * i for i in range(instructions)]
        # The first pass finds out where instructions begin, the second jumps there.
        for _ in range(2):
            state = self.random.bit_generator.state
            code, starts = b"", []
            for _ in range(instructions):
                starts.append(begin + len(code))
                code += self.instruction(begin + len(code))
            self.random.bit_generator.state = state
            self.starts = elsewhere + starts
        return code, starts

    def banks(self, count: int, instructions: int) -> bytes:
        """The image of a cartridge with that many banks of 16 KB: in each of them two pieces of
        code, some of which go on in the next 8 KB."""
        assert self.mapper is not None
        banks = [bytearray(self.random.bytes(0x4000)) for _ in range(count)]
        for bank in banks:
            for half in (0, 0x2000):
                base = self.pick(0x8000, 0xC000) if self.mapper in (1, 2, 4) else 0x8000
                begin = half + self.pick(self.below(0x1000), 0x1F80 if half == 0 else 0x100)
                code, starts = self.piece(base + begin, instructions)
                bank[begin : begin + len(code)] = code
                self.starts = [*self.starts[-400:], *starts]
        for bank in banks:
            bank[0x3FFA:] = b"".join(word(int(self.random.choice(self.starts))) for _ in range(3))
        return banked_image(self.mapper, [bytes(bank) for bank in banks])

    def instruction(self, at: int) -> bytes:
        # Every piece draws as much from the generator in both passes.
        kind = self.below(100)
        offset, place, nested = self.below(120) - 60, self.place(), self.plain()
        if self.mapper is not None and self.below(12) == 0:
            return bytes.fromhex(self.pick(*SWITCHES[self.mapper]))
        if kind < 60:
            return nested
        if kind < 74:
            target = place if abs(place - at - 2) < 120 and kind < 72 else at + 2 + offset
            return bytes([self.pick(*BRANCH_CODES), (target - at - 2) & 0xFF])
        if kind < 79:
            return bytes([JSR]) + word(place)
        if kind < 82:
            return bytes([JMP]) + word(place)
        if kind < 86:
            return bytes([RTS])
        if kind < 87:
            return bytes([RTI])
        if kind < 88:
            return bytes([JMP]) + word(at)  # waits for the next interrupt
        if kind < 90:
            return bytes([JMP_INDIRECT]) + word(self.pick(0x02FF, 0x10, 0x30FF, 0x2007, place))
        if kind < 94:
            loop = self.pick(*WAITING)
            return loop + bytes([(-len(loop) - 1) & 0xFF])
        if kind < 95:  # the same, begun at its end
            loop = self.pick(*WAITING)
            over = bytes([JMP]) + word(at + 3 + len(loop) - 1)
            return over + loop + bytes([(-len(loop) - 1) & 0xFF])
        if kind < 96:
            return bytes([0xA9, 0x80, 0x8D, 0x00, 0x20])  # LDA #$80, STA $2000
        if kind < 97:
            return bytes([0xA9, 0x1E, 0x8D, 0x01, 0x20])
        if kind < 98:
            return bytes([0x2C]) + nested[:2].ljust(2, b"\xe8")  # the trick with BIT
        if kind < 99:
            return bytes([BRK])
        return bytes([UNTRANSLATED[self.below(len(UNTRANSLATED))]]) if offset > 40 else nested

    def state(self, snapshot: bytes) -> bytes:
        """A snapshot with any registers, RAM and picture memory."""
        size = _native.SNAPSHOT_BYTES - RAM_AT
        memory = bytearray(self.random.bytes(size))
        for i in range(0, 0x200, 2):  # pointers, and where returns lead
            if self.below(3):
                target = self.address() if i < 0x100 else self.place() - self.below(2)
                memory[i : i + 2] = word(target)
        if self.below(2):
            memory[0x300:0x800] = bytes(0x500)  # BRK where RAM is run
        state = snapshot[:RAM_AT] + bytes(memory) + snapshot[RAM_AT + size :]
        return patched(
            state,
            a=self.below(256),
            x=self.below(256),
            y=self.below(256),
            s=self.pick(self.below(256), 0, 1, 0xFF),
            p=self.below(256),
            pc=self.place() & 0xFFFF,
            dot=dot_of(snapshot) + self.below(400),
        )

    def buttons(self, frames: int) -> bytes:
        return self.random.bytes(frames)


@pytest.mark.parametrize("seed", range(5))
def test_random_programs(seed: int) -> None:
    make = Maker(seed)
    program = make.program(160)
    while not _native.Cartridge(program).plain:  # what asks the sound unit is not translated
        program = make.program(160)
    console = _native.Console(_native.Cartridge(program))
    bases = [console.save()]
    for _ in range(4):
        console.step(make.below(256))
        bases.append(console.save())
    states = [make.state(make.pick(*bases)) for _ in range(80)]
    pair = Pair(program, states[:6])
    for state in states:
        pair.load(state)
        pair.run(make.buttons(4))
    wanted = pair.cartridge.wanted()
    assert wanted, "no program was run in a way that its translation did not foresee"

    again = Pair(program, states[:6], wanted)
    assert again.translation.instructions >= pair.translation.instructions
    for state in states[::3]:
        again.load(state)
        again.run(make.buttons(6))
    decode = flow.Program(again.cartridge.program, _native.MACHINE["cycles"]).decode
    missing = set(again.cartridge.wanted()) & set(wanted)
    assert all(decode(address) is None for address in missing)


@pytest.mark.parametrize("mapper", sorted(SWITCHES))
def test_random_programs_in_banks(mapper: int) -> None:
    unforeseen = 0
    for seed in range(3):
        make = Maker(seed, mapper)
        program = make.banks(2 if mapper in (0, 3) else 8, 40)
        console = _native.Console(_native.Cartridge(program, True))
        bases = [console.save()]
        for _ in range(6):
            console.step(make.below(256))
            bases.append(console.save())
        states = [make.state(make.pick(*bases)) for _ in range(80)]
        pair = Pair(program, states[:2], full=True)
        for state in states:
            pair.load(state)
            pair.run(make.buttons(4))
        wanted = pair.cartridge.wanted()
        if not wanted:
            continue
        unforeseen += 1
        again = Pair(program, states[:2], wanted, full=True)
        assert again.translation.instructions >= pair.translation.instructions
        for state in states[::3]:
            again.load(state)
            again.run(make.buttons(6))
        decode = flow.program_of(again.cartridge).decode
        missing = set(again.cartridge.wanted()) & set(wanted)
        assert all(decode(place) is None for place in missing)
    assert unforeseen, "no program was run in a way that its translation did not foresee"


@pytest.mark.parametrize("full", [False, True], ids=["plain", "full"])
@pytest.mark.parametrize("entered", ["at the beginning", "at the end"])
def test_waiting_loops(entered: str, full: bool) -> None:
    """All forms, within a page and across two. Where one is entered at its end, its branch comes
    before what it leads to."""
    parts, firsts = {0xF000: bytes.fromhex("E6 11 40")}, []
    for i, loop in enumerate(WAITING):
        for at in (0x8020 + i * 0x200, 0x80FC + i * 0x200):
            size = len(loop) + 1
            first = at if entered == "at the beginning" else at + size - 2
            code = loop + bytes([-size & 0xFF])
            code += bytes.fromhex("E6 10 A9 00") + bytes([JMP]) + word(first)
            parts[at] = code
            firsts.append(first)
    program = image(parts, reset=firsts[0], nmi=0xF000, irq=0xF000)
    banks = [at >> 13 & 3 if full else 0 for at in firsts]
    wanted = [bank << 16 | at for bank, at in zip(banks, firsts, strict=True)]
    pair = Pair(program, wanted=wanted, full=full)
    begin = pair.plain.save()
    rendering = bytes.fromhex("A9 1E 8D 01 20 A9 80 8D 00 20") + bytes([JMP]) + word(0x8000)
    for first in firsts:
        for later in range(0, 30, 3):
            code = rendering[:-2] + word(first)
            pair.load(patched(begin, pc=0x300, ram={0x300: code}, dot=dot_of(begin) + later))
            pair.run(bytes(12))


class Counting(region.RegionWriter):
    """Regions that note which of their instructions have been executed."""

    def _instruction(self, i: flow.Instruction, r: values.Registers) -> None:
        module = self.function.module
        count = module.globals.get("executed")
        if count is None:
            kind = ir.ArrayType(values.I8, 0x8000)
            count = ir.GlobalVariable(module, kind, "executed")
            count.initializer = ir.Constant(kind, None)
        place = [values.constant(n, values.I64) for n in (0, i.address - CODE)]
        self.build.store(values.constant(1), self.build.gep(count, place, inbounds=True))
        super()._instruction(i, r)


def test_every_opcode_runs_as_native_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """With operands of every kind, and each has been executed by native code."""
    random = np.random.default_rng(0)
    operands: dict[int, list[int]] = {
        0: [0],
        1: [0x00, 0x80, 0xFF, int(random.integers(256))],
        2: [
            *(0x0010, 0x02F8, 0x07FF, 0x1FF0, 0x2002, 0x2007, 0x4014, 0x4016, 0x7FF8, 0x90F4),
            0xFFF8,
        ],
    }
    pieces: list[bytes] = []
    for code in PLAIN:
        size = OPERAND_BYTES[OPCODES[code].mode]
        pieces += [bytes([code]) + word(operand)[:size] for operand in operands[size]]
    for code in BRANCH_CODES:
        pieces += [bytes([code, 0]), bytes([code, 1, 0xE8])]
    parts: dict[int, bytes] = {}
    at = CODE
    heads = []
    for i in range(0, len(pieces), 6):
        heads.append(at)
        parts[at] = b"".join(pieces[i : i + 6]) + bytes([JMP]) + word(at)
        at += len(parts[at])
    jumps = {
        "jsr": bytes([JSR]) + word(at + 3),
        "rts": bytes([0xA9, 0x80, 0x48, 0xA9, 0x08, 0x48, RTS]),
        "rti": bytes([0xA9, 0x80, 0x48, 0xA9, 0x00, 0x48, 0xA9, 0xC3, 0x48, RTI]),
        "jmp": bytes([JMP_INDIRECT]) + word(0x02FF),
    }
    for part in jumps.values():
        heads.append(at)
        parts[at] = part
        at += len(part)
    assert at < 0xFF00

    program = image(parts, reset=CODE, nmi=0xFF00, irq=0xFF00)
    monkeypatch.setattr(module, "RegionWriter", Counting)
    counts: list[int] = []
    finalize = llvm.ExecutionEngine.finalize_object

    def find_counts(engine: llvm.ExecutionEngine) -> None:
        finalize(engine)
        counts.append(engine.get_global_value_address("executed"))

    monkeypatch.setattr(llvm.ExecutionEngine, "finalize_object", find_counts)
    pair = Pair(program, wanted=heads)
    executed = (ctypes.c_uint8 * 0x8000).from_address(counts[-1])
    begin = pair.plain.save()
    make = Maker(1)
    make.starts = heads
    for head in heads:
        for _ in range(6):
            state = patched(make.state(begin), pc=head)
            pair.load(state)
            pair.run(b"\0\x55")
    native = {
        pair.cartridge.program[i] for i in np.flatnonzero(np.frombuffer(bytes(executed), np.uint8))
    }
    assert native == set(OPCODES)
