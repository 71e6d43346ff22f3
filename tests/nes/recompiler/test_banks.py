"""Programs of our own for each board: code in every bank, banks that switch, interrupts."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from tests.support.recompiler import Pair, banked_image, word

from warpzone import _native
from warpzone.nes.recompiler import flow
from warpzone.nes.recompiler.flow import ANY_BANK, BankedProgram

pytestmark = pytest.mark.slow

CYCLES: bytes = _native.MACHINE["cycles"]
COUNTS, BANK, TICKS = 0x20, 0x10, 0x18
"""In RAM: calls of each bank, the one that is called, interrupts."""


def hexed(text: str) -> bytes:
    return bytes.fromhex(text)


def bank(parts: Mapping[int, bytes], vectors: tuple[int, int, int]) -> bytes:
    """16 KB, filled with an opcode that halts the processor; parts by offset."""
    content = bytearray([0x02]) * 0x4000
    for at, part in parts.items():
        content[at : at + len(part)] = part
    content[0x3FFA:] = b"".join(map(word, vectors))
    return bytes(content)


# Puts the number in A where the board takes it, by the board.
SWITCH = {
    1: hexed("8D 00 E0 4A 8D 00 E0 4A 8D 00 E0 4A 8D 00 E0 4A 8D 00 E0"),
    2: hexed("AA 9D 00 FF"),  # where that number is in ROM: the bus has both
    4: hexed("A2 06 8E 00 80 8D 01 80"),
    7: hexed("8D 00 80"),
}
NUMBERS = bytes(range(256))
RTI = b"\x40"


def count(number: int) -> bytes:
    """INC the count of a bank, RTS."""
    return bytes([0xE6, COUNTS + number, 0x60])


def caller(mapper: int, at: int, banks: int) -> dict[int, bytes]:
    """A loop that calls $8000 in each bank in turn, for ever: begins at an address of $C000 on."""
    loop = bytes([0xE6, BANK, 0xA5, BANK, 0x29, banks - 1]) + SWITCH[mapper]
    return {at & 0x3FFF: loop + bytes([0x20]) + word(0x8000) + bytes([0x4C]) + word(at)}


def counts(pair: Pair, banks: int) -> list[int]:
    return [int(pair.compiled.ram[COUNTS + i]) for i in range(banks)]


def ran_wholly_native(pair: Pair, frames: int = 12) -> None:
    """Both the same, and nothing that was run has been left to the interpreter."""
    pair.run(bytes(frames))
    assert pair.cartridge.wanted() == []


@pytest.mark.parametrize("mapper", [1, 2, 4])
def test_code_in_every_bank(mapper: int) -> None:
    """MMC3 has banks of 8 KB and its last one is fixed at $E000, the others' of 16 KB at $C000."""
    size, fixed = (0x2000, 0xE100) if mapper == 4 else (0x4000, 0xC100)
    vectors = (0xFFF0, fixed, 0xFFF0)
    rest = {0x3F00: NUMBERS[:0xF0], 0x3FF0: RTI}
    prg = bytearray(bank({}, vectors) * 7 + bank({**caller(mapper, fixed, 8), **rest}, vectors))
    for number in range(8):
        prg[number * size : number * size + 3] = count(number)
    pair = Pair(
        banked_image(mapper, [bytes(prg[i : i + 0x4000]) for i in range(0, 0x20000, 0x4000)])
    )
    ran_wholly_native(pair)
    assert min(counts(pair, 8)) > 5


def test_a_bank_that_switches_itself() -> None:
    """AxROM has no fixed bank: what follows the write is in the other one."""
    half = bank({}, (0xFFF0, 0x8000, 0xFFF0))
    banks = []
    for number in range(4):
        content = bytearray(half + half)
        code = bytes([0xE6, COUNTS + number, 0xA9, (number + 1) % 4]) + SWITCH[7]
        content[: len(code)] = code
        content[len(code) : len(code) + 3] = bytes([0x4C]) + word(0x8000)
        content[0x7FF0:0x7FF1] = RTI
        banks += [bytes(content[:0x4000]), bytes(content[0x4000:])]
    pair = Pair(banked_image(7, banks))
    ran_wholly_native(pair)
    assert min(counts(pair, 4)) > 5


def test_interrupts_of_the_board() -> None:
    """Loops that wait and loops that work are interrupted every eight lines."""
    begin = hexed(
        "A9 40 8D 17 40 A9 08 8D 00 20 A9 18 8D 01 20 A9 07 8D 00 C0 8D 01 C0 8D 01 E0 58"
    )
    handler = bytes([0x8D, 0x00, 0xE0, 0x8D, 0x01, 0xE0, 0xE6, TICKS, 0x40])
    ticks = []
    for body in (
        "4C 1B E0",
        "A5 10 F0 FC",
        "A5 11 18 69 01 85 11 4C 1B E0",
        "58 78 28 08 4C 1B E0",
    ):
        parts = {0x2000: begin + hexed(body), 0x3E00: handler, 0x3FF0: RTI}
        pair = Pair(banked_image(4, [bank({}, (0, 0, 0)), bank(parts, (0xFFF0, 0xE000, 0xFE00))]))
        ran_wholly_native(pair)
        ticks.append(int(pair.compiled.ram[TICKS]))
    assert min(ticks) > 100


def test_interrupts_of_the_sound_unit() -> None:
    begin = hexed("A9 00 8D 17 40 58 E6 11 4C 06 C0")
    handler = bytes([0xAD, 0x15, 0x40, 0xE6, TICKS, 0x40])
    parts = {0: begin, 0x3E00: handler, 0x3FF0: RTI}
    pair = Pair(banked_image(2, [bank({}, (0, 0, 0)), bank(parts, (0xFFF0, 0xC000, 0xFE00))]))
    ran_wholly_native(pair, 30)
    assert 25 <= pair.compiled.ram[TICKS] <= 32


def test_samples_take_time_from_native_code() -> None:
    begin = hexed("A9 4F 8D 10 40 A9 01 8D 13 40 A9 10 8D 15 40 E6 11 D0 FC E6 12 4C 0F C0")
    parts = {0: begin, 0x3FF0: RTI}
    pair = Pair(banked_image(2, [bank({}, (0, 0, 0)), bank(parts, (0xFFF0, 0xC000, 0xFFF0))]))
    ran_wholly_native(pair, 30)


def test_ram_of_the_cartridge() -> None:
    """Read and written, protected, and run: what lies there is the interpreter's."""
    begin = hexed("A9 80 8D 01 A0 A9 E6 8D 00 60 A9 18 8D 01 60 A9 60 8D 02 60")
    loop = hexed(
        "20 00 60 EE 10 60 AD 10 60 85 11 A2 05 FE 00 61 A0 03 B9 00 5F 99 00 60 "
        "A9 C0 8D 01 A0 EE 20 60 A9 00 8D 01 A0 AD 10 60 85 12 A9 80 8D 01 A0 4C"
    )
    parts = {0x2000: begin + loop + word(0xE000 + len(begin)), 0x3FF0: RTI}
    pair = Pair(banked_image(4, [bank({}, (0, 0, 0)), bank(parts, (0xFFF0, 0xE000, 0xFFF0))]))
    ran_wholly_native(pair, 30)
    assert pair.compiled.ram[TICKS] > 100
    assert pair.compiled.prg_ram[0x10] > 100
    assert pair.compiled.prg_ram[0x20] == 0
    assert pair.compiled.ram[0x12] == 0x60  # open bus


@pytest.mark.parametrize(
    ("number", "modify"),
    [
        (0x00, "38 7E 00 90"),  # SEC, ROR $9000,X: writes $00, then $80
        (0xFF, "FE 00 90"),  # INC $9000,X: $FF, then $00
    ],
)
def test_a_reset_in_the_place_of_a_lost_write(number: int, modify: str) -> None:
    """MMC1 takes no bit of a second write in a row, but a reset."""
    begin = hexed("A9 80 8D 00 80 A9 00 8D 00 80 A2 00") + hexed(modify)
    begin += hexed("A9 01") + SWITCH[1] + hexed("AD 00 80 85 10")
    loop = 0xC000 + len(begin)
    parts = {0: begin + bytes([0xE6, TICKS, 0x4C]) + word(loop), 0x3FF0: RTI}
    banks = [bank({0: bytes([5 + i]), 0x1000: bytes([number])}, (0, 0, 0)) for i in range(3)]
    pair = Pair(banked_image(1, [*banks, bank(parts, (0xFFF0, 0xC000, 0xFFF0))]))
    ran_wholly_native(pair)
    assert pair.compiled.ram[BANK] == 6  # of bank 1
    assert pair.compiled.ram[TICKS] > 0


def test_where_an_address_leads() -> None:
    prg = bytes(0x20000)  # 16 banks of 8 KB
    here = 5 << 16 | 0x8123
    any_bank = ANY_BANK << 16
    expected = {
        1: (5 << 16 | 0x8000, 6 << 16 | 0xA000, any_bank | 0xC000, any_bank | 0xE000),
        2: (5 << 16 | 0x8000, 6 << 16 | 0xA000, 14 << 16 | 0xC000, 15 << 16 | 0xE000),
        4: (5 << 16 | 0x8000, any_bank | 0xA000, any_bank | 0xC000, 15 << 16 | 0xE000),
        7: tuple((5 + i) << 16 | 0x8000 + 0x2000 * i for i in range(4)),
    }
    for mapper, places in expected.items():
        program = BankedProgram(prg, CYCLES, mapper)
        assert tuple(program.seen_from(here, 0x8000 + 0x2000 * i) for i in range(4)) == places
        assert program.seen_from(here, 0x0300) == 0x0300
        for place in places:
            known = place >> 16 != ANY_BANK
            assert (program.offset(place) is not None) == known
            if known:
                assert program.offset(place) == (place >> 16) * 0x2000
        assert program.moves(here)
    assert not BankedProgram(prg, CYCLES, 4).moves(15 << 16 | 0xE000)


def test_an_instruction_across_banks_is_not_translated() -> None:
    prg = bytearray(0x20000)
    prg[0x1FFE:0x2001] = hexed("AD 00 03")
    assert BankedProgram(bytes(prg), CYCLES, 4).decode(0x9FFE) is None
    across = BankedProgram(bytes(prg), CYCLES, 7).decode(0x9FFE)
    assert across is not None
    assert across.operand == 0x0300
    assert across.next == 1 << 16 | 0xA001


def test_a_banked_program_has_banks() -> None:
    for size in (0x4000, 0x9000):
        with pytest.raises(ValueError, match="four banks"):
            BankedProgram(bytes(size), CYCLES, 4)


def test_boards_are_told_apart() -> None:
    parts = {0: hexed("4C 00 C0")}
    banks = [bank({}, (0, 0, 0)), bank(parts, (0xC000,) * 3)]
    names = {
        flow.identity_of(_native.Cartridge(banked_image(mapper, banks), True))
        for mapper in (0, 1, 2, 3, 4, 7)
    }
    assert len(names) == 6
