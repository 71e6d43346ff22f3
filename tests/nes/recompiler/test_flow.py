"""Which bytes are instructions, and how they group into regions."""

from __future__ import annotations

import numpy as np
import pytest
from tests.nes.recompiler.test_backends import Maker

from warpzone import _native
from warpzone.nes.recompiler import flow
from warpzone.nes.recompiler.flow import Instruction, Observed, Program, Region
from warpzone.nes.recompiler.opcodes import BRANCHES, OPCODES, OPERAND_BYTES

CYCLES: bytes = _native.MACHINE["cycles"]


def program(parts: dict[int, str], *, reset: int = 0x8000) -> Program:
    """Bytes in hex by address; everything else halts the processor, so it is not translated."""
    prg = bytearray([0x02]) * 0x8000
    for at, part in parts.items():
        code = bytes.fromhex(part)
        prg[at - 0x8000 : at - 0x8000 + len(code)] = code
    prg[0x7FFA:0x8000] = reset.to_bytes(2, "little") * 3
    return Program(bytes(prg), CYCLES)


def code_of(parts: dict[int, str], observed: Observed = Observed()) -> list[int]:  # noqa: B008  # immutable
    return sorted(flow.reachable(program(parts), observed))


def random_code(seed: int) -> tuple[Program, Observed, dict[int, Instruction]]:
    make = Maker(seed)
    made = Program(make.program(400)[16 : 16 + 0x8000], CYCLES)
    executed = frozenset(start for start in make.starts if make.below(3) == 0)
    observed = Observed(executed, frozenset(start for start in executed if make.below(4) == 0))
    return made, observed, flow.reachable(made, observed)


def longest(region: Region, begin: int) -> int:
    """The most dots from one instruction's beginning to that of any after it, or to the end of a
    branch that leaves: every way tried."""
    inside = {i.address: i for i in region.instructions}
    best, todo = 0, [(begin, 0)]
    while todo:
        address, dots = todo.pop()
        best = max(best, dots)
        instruction = inside[address]
        assert dots < 100_000, "goes round in circles"
        leaves = instruction.target not in inside or instruction.target == region.head
        if instruction.opcode.name in BRANCHES and leaves:
            best = max(best, dots + 3 * (instruction.cycles + 1))
        todo += [
            (target, dots + instruction.max_dots)
            for target in instruction.flows_to
            if target in inside and target != region.head
        ]
    return best


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("limit", [0, 60, flow.MAX_REGION_DOTS])
def test_regions_of_random_programs(seed: int, limit: int) -> None:
    made, observed, code = random_code(seed)
    heads = flow.entries(made, code, observed)
    regions = flow.regions(code, heads, limit)
    assert all(head == region.head for head, region in regions.items())
    assert heads <= set(regions)

    homes: dict[int, int] = {}
    for region in regions.values():
        for i in region.instructions:
            assert i.address not in homes, "an instruction in two regions"
            homes[i.address] = region.head
    todo, led_to = list(heads), set(heads)
    while todo:
        for target in code[todo.pop()].flows_to:
            if target in code and target not in led_to:
                led_to.add(target)
                todo.append(target)
    assert set(homes) == led_to

    for source in homes:
        for target in code[source].flows_to:
            if target in code and homes[target] != homes[source]:
                assert target in regions, "entered elsewhere than at its head"
    for region in regions.values():
        order = {i.address: n for n, i in enumerate(region.instructions)}
        assert order[region.head] == 0
        for i in region.instructions:
            for target in i.flows_to:
                if target in order and target != region.head:
                    assert order[target] > order[i.address], "does not run forward"
        # Short enough to try every way; the real limit makes regions with very many ways.
        if len(region.instructions) <= 40:
            assert region.ahead == {i.address: longest(region, i.address) for i in code_in(region)}
        assert region.ahead[region.head] <= limit + 9
        assert not heads & set(order) - {region.head}


def code_in(region: Region) -> list[Instruction]:
    return region.instructions


def test_an_instruction_takes_at_most_what_is_said() -> None:
    """Every opcode at a page's end: all that its cycles can be, but for halts."""
    for code, opcode in OPCODES.items():
        size = OPERAND_BYTES[opcode.mode]
        instruction = program({0x80FD: f"{code:02X} FF 01"}).decode(0x80FD)
        assert instruction is not None
        assert instruction.next == 0x80FE + size
        extra = 2 if opcode.name in BRANCHES else 1
        assert instruction.max_dots == 3 * (CYCLES[code] + extra)


def test_branches_lead_both_ways() -> None:
    made = program({0x8000: "D0 7F", 0x8010: "D0 80", 0xFFF0: "D0 7F", 0x9000: "4C 00 90"})
    leads = {at: made.decode(at) for at in (0x8000, 0x8010, 0xFFF0, 0x9000)}
    assert [i.flows_to if i else None for i in leads.values()] == [
        (0x8002, 0x8081), (0x8012, 0x7F92), (0xFFF2, 0x0071), (0x9000,),
    ]  # fmt: skip


def test_data_behind_a_call_that_does_not_return() -> None:
    # A dispatcher: JSR, then a table of addresses; the dispatcher pulls where the table is.
    parts = {0x8000: "20 00 90 10 80 20 80", 0x9000: "68 A8 68 4C 00 90"}
    call, table = 0x8000, 0x8003
    assert table in code_of(parts), "nothing is known: it may come back"
    assert table not in code_of(parts, Observed(frozenset({call, 0x9000})))
    assert table in code_of(parts, Observed(frozenset({call, 0x9000, table})))
    # One call that has come back speaks for all calls of the same subroutine.
    parts[0x8000] = "20 00 90 EA 20 00 90 EA"
    found = code_of(parts, Observed(frozenset({call, 0x8003, 0x8004, 0x9000})))
    assert 0x8007 in found


def test_overlapping_instructions() -> None:
    # BIT abs hides LDA #$01: entered at both.
    parts = {0x8000: "F0 01 2C A9 01 85 10 60"}
    assert code_of(parts) == [0x8000, 0x8002, 0x8003, 0x8005, 0x8007]
    made = program(parts)
    code = flow.reachable(made, Observed())
    regions = flow.regions(code, {0x8000})
    assert list(regions) == [0x8000]
    assert len(regions[0x8000].instructions) == 5


def test_code_at_the_end_of_memory() -> None:
    made = program({0xFFF8: "EA EA"})
    prg = bytearray(made.prg)
    prg[0x7FFA:] = bytes.fromhex("EA EA EA A5 EA EA")
    made = Program(bytes(prg), CYCLES)
    assert made.decode(0xFFFE) is not None
    assert made.decode(0xFFFD) is not None
    assert made.decode(0xFFFF) is None, "what follows it lies in RAM"
    prg[0x7FFE:] = b"\xa5\x10"
    assert Program(bytes(prg), CYCLES).decode(0xFFFE) is None
    prg[0x7FFD:] = b"\xad\x00\x03"
    assert Program(bytes(prg), CYCLES).decode(0xFFFD) is None
    assert made.decode(0x7FFF) is None
    assert made.decode(0x10000) is None


def test_what_is_not_translated_ends_a_region() -> None:
    parts = {0x8000: "EA 00 EA EA"}
    assert code_of(parts) == [0x8000]
    code = flow.reachable(program(parts), Observed())
    assert flow.regions(code, {0x8000})[0x8000].ahead == {0x8000: 0}


def test_where_control_comes_from_elsewhere() -> None:
    parts = {0x8000: "20 00 90 EA 4C 00 80", 0x9000: "60", 0xA000: "E8 60"}
    observed = Observed(frozenset({0xA000}), frozenset({0xA000, 0xB000}))
    made = program(parts)
    heads = flow.entries(made, flow.reachable(made, observed), observed)
    assert heads == {0x8000, 0x8003, 0x9000, 0xA000}


def test_a_program_has_one_size() -> None:
    with pytest.raises(ValueError, match="32,768"):
        Program(bytes(0x4000), CYCLES)
    with pytest.raises(ValueError, match="256"):
        Program(bytes(0x8000), CYCLES[:-1])


def test_observations_add_up() -> None:
    some = Observed(frozenset({1, 2}), frozenset({2}))
    more = Observed(frozenset({3}), frozenset({3}))
    assert some | more == Observed(frozenset({1, 2, 3}), frozenset({2, 3}))


def test_random_programs_make_regions_of_many_shapes() -> None:
    """What the comparison above would miss if the programs were dull."""
    sizes = []
    for seed in range(8):
        made, observed, code = random_code(seed)
        regions = flow.regions(code, flow.entries(made, code, observed))
        sizes += [len(region.instructions) for region in regions.values()]
    assert np.max(sizes) > 20
    assert np.min(sizes) == 1
