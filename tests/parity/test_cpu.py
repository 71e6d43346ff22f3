"""Random programs leave the same RAM behind on cynes and on ours."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.parity.engines import MakeConsole, compiled, each_engine, interpreted
from tests.parity.peer import CLEAR, CODE, QUIET, WAIT_VBLANK, Peer, cartridge, stop

from warpzone import _native

# Documented opcodes, and the undocumented ones that act alike on every chip.
IMPLIED = bytes.fromhex(
    "0A 2A 4A 6A E8 C8 CA 88 AA 8A A8 98 BA 9A 18 38 58 78 D8 F8 B8 48 68 08 28 EA1A 3A 5A 7A DA FA"
)
IMMEDIATE = bytes.fromhex("69 29 C9 E0 C0 49 A9 A2 A0 09 E9 EB 0B 2B 4B 6B CB 80 82 89 C2 E2")
ZERO_PAGE = bytes.fromhex(
    "A5 65 E5 25 05 45 C5 E4 C4 24 A6 A4 85 86 84 06 46 26 66 E6 C6 A7 87 07 27 47 67 C7 E704 44 64"
)
ZERO_PAGE_INDEXED = bytes.fromhex(
    "B5 75 F5 35 15 55 D5 B4 95 94 16 56 36 76 F6 D6 17 37 57 77 D7 F7 14 34 54 74 D4 F4B6 96 B7 97"
)
ABSOLUTE = bytes.fromhex(
    "AD 6D ED 2D 0D 4D CD EC CC 2C AE AC 8D 8E 8C 0E 4E 2E 6E EE CE AF 8F 0F 2F 4F 6F CF EF 0C"
)
INDEXED_READS = bytes.fromhex(
    "BD 7D FD 3D 1D 5D DD BC 1C 3C 5C 7C DC FC B9 79 F9 39 19 59 D9 BE BF"
)
INDEXED_WRITES = bytes.fromhex("9D 1E 5E 3E 7E FE DE 1F 3F 5F 7F DF FF 99 1B 3B 5B 7B DB FB")
INDIRECT_X = bytes.fromhex("A1 61 E1 21 01 41 C1 A3 81 83 03 23 43 63 C3 E3")
INDIRECT_Y = bytes.fromhex("B1 71 F1 31 11 51 D1 B3 91 13 33 53 73 D3 F3")
BRANCHES = bytes.fromhex("10 30 50 70 90 B0 D0 F0")
# These leave Y, memory and the stack alone, so that a loop around them ends.
LOOP_BODY = bytes.fromhex("0A 2A 4A 6A E8 CA AA 8A 98 18 38 D8 F8 B8 EA")

LOG = 0xF000
# Appends A, X, P and Y to $0400, $0500, $0600 and $0700; its own variables are at $03F0-$03F2.
LOG_ROUTINE = bytes.fromhex(
    "08 48 8D F0 03 8E F1 03 BA BD 02 01 AE F2 03 9D 00 06 AD F1 03 9D 00 05"
    "AD F0 03 9D 00 04 98 9D 00 07 EE F2 03 AE F1 03 68 28 60"
)
# BRK keeps the flags that it pushed, then goes on behind its padding byte.
BREAK_HANDLER = bytes.fromhex("68 48 8D F3 03 40")
FINISHED = 0x03F4

Piece: TypeAlias = tuple[Any, ...]
"""What to assemble and its numbers: see `_piece`."""

byte = st.integers(0, 255)
# Below $03F0 and its mirrors, or in the program: reads there have no effect, and the log is safe.
address = st.one_of(
    st.builds(lambda page, at: page * 0x800 + at, st.integers(0, 3), st.integers(0, 0x3EF)),
    st.integers(0x8000, 0xFFFF),
)
base = st.one_of(
    st.builds(lambda page, at: page * 0x800 + at, st.integers(0, 3), st.integers(0, 0x2F0)),
    st.integers(0x8000, 0xFF80),
)


def one_of(opcodes: bytes) -> st.SearchStrategy[int]:
    return st.sampled_from(list(opcodes))


def word(value: int) -> bytes:
    return value.to_bytes(2, "little")


plain: st.SearchStrategy[Piece] = st.one_of(
    st.tuples(st.just("op"), one_of(IMPLIED).map(lambda op: bytes([op]))),
    st.tuples(st.just("op"), st.tuples(one_of(IMMEDIATE), byte).map(bytes)),
    st.tuples(st.just("op"), st.tuples(one_of(ZERO_PAGE + ZERO_PAGE_INDEXED), byte).map(bytes)),
    st.tuples(
        st.just("op"),
        st.tuples(one_of(ABSOLUTE), address).map(lambda t: bytes([t[0]]) + word(t[1])),
    ),
    st.tuples(
        st.just("op"),
        st.tuples(one_of(INDEXED_READS + INDEXED_WRITES), base).map(
            lambda t: bytes([t[0]]) + word(t[1])
        ),
    ),
    st.tuples(st.just("indirect x"), one_of(INDIRECT_X), byte, byte, address, byte),
    st.tuples(st.just("indirect y"), one_of(INDIRECT_Y), byte, byte, base, byte),
    st.tuples(st.just("registers"), byte, byte, byte, byte),
)
simple = st.lists(one_of(LOOP_BODY), max_size=12).map(bytes)
piece: st.SearchStrategy[Piece] = st.one_of(
    plain,
    plain,
    plain,
    st.tuples(st.just("branch"), one_of(BRANCHES), st.lists(plain, max_size=6)),
    st.tuples(st.just("loop"), st.integers(1, 20), simple),
    st.tuples(st.just("call"), simple),
    st.tuples(st.just("break"), byte),
    st.tuples(st.just("return from interrupt"), byte),
    st.tuples(st.just("jump"), st.binary(max_size=9)),
    st.tuples(st.just("jump indirect"), st.one_of(st.just(0x2FF), st.integers(0x10, 0x3EE)), byte),
)


def assemble(pieces: list[Piece], at: int) -> bytes:
    """The program from address `at` on; after each piece the registers are logged."""
    code = b""
    for item in pieces:
        code += _piece(item, at + len(code))
        code += b"\x20" + word(LOG)
    return code


def _piece(item: Piece, at: int) -> bytes:
    body: bytes
    match item:
        case "op", code:
            return bytes(code)
        case "registers", a, x, y, p:  # LDA, PHA, PLP
            return bytes([0xA9, p, 0x48, 0xA2, x, 0xA0, y, 0xA9, a, 0x28])
        case "indirect x", op, zero_page, x, target, a:
            pointer = _pointer(zero_page, target)
            return pointer + bytes([0xA9, a, 0xA2, x, op, (zero_page - x) & 0xFF])
        case "indirect y", op, zero_page, y, target, a:
            return _pointer(zero_page, target) + bytes([0xA9, a, 0xA0, y, op, zero_page])
        case "branch", op, over:
            body = assemble(over, at + 2)
            return bytes([op, len(body), *body])
        case "loop", count, body:
            return bytes([0xA0, count, *body, 0x88, 0xD0, 0xFD - len(body)])
        case "call", body:  # JSR behind the jump over the routine
            end = at + 6 + len(body) + 1
            return bytes([0x20, *word(at + 6), 0x4C, *word(end), *body, 0x60])
        case "break", padding:
            return bytes([0x00, padding])
        case "return from interrupt", p:
            end = at + 10
            return bytes([0xA9, end >> 8, 0x48, 0xA9, end & 0xFF, 0x48, 0xA9, p, 0x48, 0x40])
        case "jump", junk:
            return b"\x4c" + word(at + 3 + len(junk)) + bytes(junk)
        case "jump indirect", pointer, trap:
            # The high byte comes from the start of the pointer's page, never from the next one.
            wrapped = (pointer & 0xFF00) | ((pointer + 1) & 0xFF)
            end = at + 18
            return b"".join(
                [
                    bytes([0xA9, trap, 0x8D]) + word(pointer + 1),
                    bytes([0xA9, end & 0xFF, 0x8D]) + word(pointer),
                    bytes([0xA9, end >> 8, 0x8D]) + word(wrapped),
                    b"\x6c" + word(pointer),
                ]
            )
    raise AssertionError(item)


def _pointer(zero_page: int, target: int) -> bytes:
    low, high = word(target)
    return bytes([0xA9, low, 0x85, zero_page, 0xA9, high, 0x85, (zero_page + 1) & 0xFF])


def both(make_console: MakeConsole, image: bytes, frames: int) -> tuple[Peer, _native.Console]:
    with TemporaryDirectory() as folder:
        path = Path(folder, "program.nes")
        path.write_bytes(image)
        peer, console = Peer(path), make_console(path)
    peer.step(0, frames)
    console.step(0, frames)
    return peer, console


quick = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
programs = given(pieces=st.lists(piece, min_size=20, max_size=120), skew=st.integers(0, 255))


@settings(quick, max_examples=60)
@programs
def test_random_programs_interpreted(pieces: list[Piece], skew: int) -> None:
    compare_program(interpreted, pieces, skew)


@settings(quick, max_examples=12)  # each has to be translated
@programs
def test_random_programs_compiled(pieces: list[Piece], skew: int) -> None:
    compare_program(compiled, pieces, skew)


def compare_program(make_console: MakeConsole, pieces: list[Piece], skew: int) -> None:
    code = QUIET + CLEAR
    start = CODE + skew
    code += assemble(pieces, start + len(code))
    code += b"\xee" + word(FINISHED)  # INC
    code += stop(start + len(code))
    image = cartridge(code, at=start, irq=BREAK_HANDLER, data={LOG: LOG_ROUTINE})
    peer, console = both(make_console, image, 8)
    assert not peer.crashed()
    assert console.ram[FINISHED] == 1, "the program did not end"
    assert peer.ram.tolist() == console.ram.tolist()


@each_engine
def test_random_programs_do_something(make_console: MakeConsole) -> None:
    """What the comparison above would miss if the log or the handlers were broken."""
    pieces: list[Piece] = [
        ("registers", 0x12, 0x34, 0x56, 0xC1),
        ("break", 0xFF),
        ("call", b"\xe8"),
    ]
    code = QUIET + CLEAR
    code += assemble(pieces, CODE + len(code))
    code += stop(CODE + len(code))
    image = cartridge(code, irq=BREAK_HANDLER, data={LOG: LOG_ROUTINE})
    peer, console = both(make_console, image, 8)
    for ram in (peer.ram, console.ram):
        assert ram[0x0400:0x0403].tolist() == [0x12, 0xF1, 0xF1]  # BRK's handler loads P into A
        assert ram[0x0500:0x0503].tolist() == [0x34, 0x34, 0x35]
        assert ram[0x0600:0x0602].tolist() == [0xF1, 0xF1]
        assert ram[0x0700:0x0703].tolist() == [0x56, 0x56, 0x56]
        assert ram[0x03F3] == 0xF1


COUNTER, POINTERS, TABLE = 0x03F0, 0x30, 0x0400
NEAR, FAR, STEP = 0x0310, 0x02F8, 0x10  # FAR + STEP is on the next page
# Routines at fixed places, so that a loop of theirs never crosses a page.
BEGIN, COUNT = 0xE200, 0xE280
COUNT_ROUTINE = bytes.fromhex("A2 00 A0 00 E8 D0 01 C8 2C 02 20 10 F7 60")


def timed(code: bytes, rounds: int = 16) -> bytes:
    """Counts how often a loop runs from the end of 4 x `rounds` times `code` to the next vblank."""
    body = bytes([0xA2, STEP, 0xA0, STEP]) + code
    again = body * 4 + b"\xce" + word(COUNTER) + b"\xd0"
    return b"".join(
        [
            b"\x20" + word(BEGIN),
            b"\xa9" + bytes([rounds]) + b"\x8d" + word(COUNTER),
            again + bytes([0x100 - len(again) - 1]),
            b"\x20" + word(COUNT),
        ]
    )


def operations() -> dict[str, bytes]:
    """Every opcode in every situation in which it takes another number of cycles."""
    found: dict[str, bytes] = {}
    for op in IMPLIED:
        found[f"{op:02X}"] = bytes([op])
    for op in IMMEDIATE:
        found[f"{op:02X} #"] = bytes([op, 0x55])
    for op in ZERO_PAGE + ZERO_PAGE_INDEXED:
        found[f"{op:02X} zero page"] = bytes([op, 0x20])
    for op in ABSOLUTE:
        found[f"{op:02X} absolute"] = bytes([op]) + word(NEAR)
    for op in INDEXED_READS + INDEXED_WRITES:
        found[f"{op:02X} indexed"] = bytes([op]) + word(NEAR)
        found[f"{op:02X} indexed, next page"] = bytes([op]) + word(FAR)
    for op in INDIRECT_X:
        found[f"{op:02X} (zero page, X)"] = bytes([op, POINTERS - STEP])
    for op in INDIRECT_Y:
        found[f"{op:02X} (zero page), Y"] = bytes([op, POINTERS])
        found[f"{op:02X} (zero page), Y, next page"] = bytes([op, POINTERS + 2])
    for op in BRANCHES:
        ready = bytes([0xA9, 0x00, 0x48, 0x28])  # all flags clear
        found[f"{op:02X} branch"] = ready + bytes([op, 0])
        ready = bytes([0xA9, 0xC3, 0x48, 0x28])  # N, V, Z, C set
        found[f"{op:02X} other branch"] = ready + bytes([op, 0])
    found["JSR, BCC, RTS"] = b"\x20" + word(0xE0D0)
    found["JSR, BCC to the next page, RTS"] = b"\x20" + word(0xE0FC)
    found["JSR, JMP (indirect), RTS"] = b"\x20" + word(0xE000)
    found["BRK, RTI"] = b"\x00\x00"
    return found


@each_engine
def test_cycles_of_every_instruction(make_console: MakeConsole, tmp_path: Path) -> None:
    measured = {name: timed(code) for name, code in operations().items()}
    measured["OAM DMA"] = timed(b"\x8d\x14\x40", rounds=2)
    code = QUIET + CLEAR
    for i, part in enumerate(measured.values()):
        code += part + b"\x8e" + word(TABLE + i) + b"\x8c" + word(TABLE + 0x200 + i)
    code += stop(CODE + len(code))
    pointers = word(NEAR) + word(FAR)
    set_pointers = b"".join(bytes([0xA9, p, 0x85, POINTERS + i]) for i, p in enumerate(pointers))
    branch = bytes.fromhex("18 90 01 EA 60")  # CLC, BCC over a NOP, RTS
    data = {
        0xE000: b"\x6c" + word(0xE010),
        0xE010: word(0xE020),
        0xE020: b"\x60",
        0xE0D0: branch,
        0xE0FC: branch,
        BEGIN: set_pointers + b"\x2c\x02\x20" + WAIT_VBLANK + b"\x60",
        COUNT: COUNT_ROUTINE,
    }
    assert CODE + len(code) < min(data)
    path = tmp_path / "cycles.nes"
    path.write_bytes(cartridge(code, data=data))
    assert len(measured) <= 0x200
    peer, console = Peer(path), make_console(path)
    peer.step(0, 3 * len(measured))
    console.step(0, 3 * len(measured))

    def counts(ram: NDArray[np.uint8]) -> list[int]:
        low, high = ram[TABLE : TABLE + 0x200], ram[TABLE + 0x200 : TABLE + 0x400]
        return [int(x) + 256 * int(y) for x, y in zip(low, high, strict=True)][: len(measured)]

    theirs, ours = counts(peer.ram), counts(console.ram)
    assert min(ours) > 100
    # A read of $2002 one dot before vblank keeps the flag away: a frame more.
    whole_frame = 29780.5 / 12
    assert max(ours) < 2 * whole_frame
    # 64 executions: a cycle more or less in one of them shows as five rounds of the counting loop.
    wrong = {
        name: (a, b)
        for name, a, b in zip(measured, theirs, ours, strict=True)
        if not abs((a - b) % whole_frame) <= 2.5 and not abs((b - a) % whole_frame) <= 2.5
    }
    assert wrong == {}
