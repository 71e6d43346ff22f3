"""All of the game on ours as on cynes: 100,000 frames of play, most of them by recorded digests.

`python -m tests.parity.play` compares every frame with cynes itself.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.parity.play import (
    OPER_MODE,
    PLAYER_STATE,
    STAGE,
    TASK,
    WORLD,
    Digests,
    Ours,
    Run,
    compare_runs,
    go_to,
    load_digests,
    load_runs,
    same,
)

from warpzone import Console
from warpzone.nes.cartridge import open_rom
from warpzone.smb.known_cartridges import DEFAULT, KNOWN
from warpzone.smb.levels import LEVELS

NAMES = {
    "mode": OPER_MODE,
    "task": TASK,
    "state": PLAYER_STATE,
    "world": WORLD,
    "stage": STAGE,
    "kind": 0x074E,
    "map": 0x00E7,
    "map_high": 0x00E8,
    "page": 0x006D,
    "frame": 0x0009,
    "pause": 0x0776,
    "two": 0x077A,
    "current": 0x0753,
    "power": 0x0756,
    "star": 0x079F,
    "injured": 0x079E,
    "swims": 0x0704,
    "floats": 0x001D,
    "crouches": 0x0714,
    "warp": 0x06D6,
    "loop": 0x0745,
    "fire": 0x0024,
    "bowser": 0x0483,
    "time": 0x07F8,
    **{f"object{slot}": 0x0016 + slot for slot in range(6)},
    **{f"active{slot}": 0x000F + slot for slot in range(6)},
}


LIVE = 12
"""Sequences that are compared live."""


@dataclass(frozen=True)
class Played:
    """What one start's sequences came to on ours."""

    digests: dict[str, str]
    trace: dict[str, NDArray[np.int64]]
    """Bytes of RAM by `NAMES`, for all frames of all sequences."""
    lags: int
    """Frames in which the game's own frame counter stood still, though nobody had paused."""


@cache
def played(start: str) -> Played:
    ours = Ours(open_rom())
    go_to(ours, start)
    back = ours.keep()
    found: dict[str, str] = {}
    rows: list[NDArray[np.uint8]] = []
    lags = 0
    at = np.array(list(NAMES.values()))
    for run in load_runs():
        if run.start != start:
            continue
        back()
        first = len(rows)
        digests = Digests(ours, run.frames)
        for buttons in run.buttons():
            ours.step(buttons)
            digests.add()
            rows.append(ours.ram[at])
        found[run.name] = str(digests)
        frames = np.array(rows[first:])
        counter, pause = (
            frames[:, list(NAMES).index("frame")],
            frames[:, list(NAMES).index("pause")],
        )
        lags += int(((np.diff(counter) == 0) & (pause[1:] & 1 == 0)).sum())
    table = np.array(rows).astype(np.int64)
    return Played(found, {name: table[:, i] for i, name in enumerate(NAMES)}, lags)


STARTS = ["menu", *LEVELS]


@pytest.fixture(scope="module", autouse=True)
def recorded_cartridge() -> None:
    if open_rom().sha256 != KNOWN[DEFAULT].sha256:
        pytest.skip("the records are of the cartridge that `warpzone rom` fetches")


@pytest.mark.parametrize("start", STARTS)
def test_as_recorded_from_cynes(start: str) -> None:
    recorded = load_digests()
    for name, digests in played(start).digests.items():
        blocks = zip(digests.split(), recorded[name].split(), strict=True)
        wrong = [i for i, (ours, theirs) in enumerate(blocks) if not same(ours, theirs)]
        assert not wrong, f"{name}: from block {wrong[0]} on; python -m tests.parity.play {start}"


def test_nearly_all_of_the_record_counts() -> None:
    blocks = " ".join(load_digests().values()).split()
    assert sum("-" in block[:8] for block in blocks) < 0.005 * len(blocks)
    assert sum("-" in block[8:] for block in blocks) < 0.05 * len(blocks)


def test_live() -> None:
    """Some of it beside cynes itself, frame by frame: so the records are of cynes."""
    recorded = load_digests()
    shortest = sorted(load_runs(), key=lambda run: run.frames)[:LIVE]
    for run, digests in compare_runs(shortest):
        assert digests == recorded[run.name]


def trace(name: str, starts: list[str] = STARTS) -> NDArray[np.int64]:
    return np.concatenate([played(start).trace[name] for start in starts])


def playing() -> NDArray[np.bool_]:
    on: NDArray[np.bool_] = (trace("mode") == 1) & (trace("task") == 3)
    return on


def test_there_is_enough_of_it() -> None:
    assert len(trace("mode")) >= 100_000


def test_all_levels_are_played_to_the_end() -> None:
    """A sequence leads from each level to the next; the last one is as long as it gets."""
    for number, level in enumerate(LEVELS[:-1]):
        seen = played(level).trace
        levels = 4 * seen["world"] + seen["stage"]
        began = (seen["mode"] == 1) & (seen["task"] == 3)
        assert {number, number + 1} <= set(levels[began].tolist()), level
        assert (seen["page"][levels == number] >= 8).any()


def test_all_sorts_of_places_are_seen() -> None:
    on = playing()
    maps = trace("map")[on] | trace("map_high")[on] << 8
    kinds = trace("kind")[on] & 3
    seen: dict[int, set[int]] = {}
    for kind, place in set(zip(kinds.tolist(), maps.tolist(), strict=True)):
        seen.setdefault(kind, set()).add(place)
    # The game has 3 maps with water, 22 on the ground, 3 below and 6 castles.
    counts = {kind: len(places) for kind, places in seen.items()}
    assert counts[0] >= 1
    assert counts[1] >= 18
    assert counts[2] >= 3
    assert counts[3] >= 6
    pages = set(zip(maps.tolist(), trace("page")[on].tolist(), strict=True))
    assert len(pages) >= 320


def test_all_sorts_of_things_happen() -> None:
    on = playing()
    states = Counter(trace("state")[on].tolist())
    wanted = {
        1: "climbs a vine", 2: "walks into a pipe", 3: "goes down a pipe", 4: "flagpole",
        5: "walks to the castle", 6: "loses a life", 7: "enters", 8: "plays", 9: "grows",
        10: "shrinks", 11: "dies",
    }  # fmt: skip
    missing = [what for state, what in wanted.items() if states[state] < 5]
    assert missing == []
    for name, values in {
        "mode": {0, 1, 2, 3},  # title, game, castle victory, game over
        "two": {0, 1},
        "current": {0, 1},
        "power": {0, 1, 2},
        "swims": {0, 1},
        "floats": {0, 1, 2, 3},
    }.items():
        counts = Counter(trace(name).tolist())
        assert all(counts[value] > 50 for value in values), (name, counts)
    for name in ("star", "injured", "warp", "crouches", "fire", "loop"):
        assert (trace(name) > 0).sum() > 20, name
    assert (trace("pause") & 1).sum() > 100
    assert (trace("time")[trace("mode") == 1] == 0).any(), "time runs low"


def test_all_sorts_of_objects_are_met() -> None:
    seen: Counter[int] = Counter()
    for slot in range(6):
        seen.update(trace(f"object{slot}")[trace(f"active{slot}") > 0].tolist())
    everything = {*range(0x09), *range(0x0A, 0x13), 0x14, 0x15, *range(0x1B, 0x20)}
    everything |= {*range(0x24, 0x2F), *range(0x30, 0x36)}
    never = {0x04, 0x09, 0x1E, 0x2A}
    assert everything - never - set(seen) == set()


def test_the_game_lags() -> None:
    """At times it needs more than a frame; that is compared too."""
    assert sum(played(start).lags for start in STARTS) >= 3


# --- saving and loading ------------------------------------------------------------------------


def stretch(run: Run, first: int, frames: int) -> tuple[Ours, list[int]]:
    """A console before frame `first` of a sequence, and the buttons of the next ones."""
    ours = Ours(open_rom())
    go_to(ours, run.start)
    buttons = list(run.buttons())
    for byte in buttons[:first]:
        ours.step(byte)
    return ours, buttons[first : first + frames]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    run=st.sampled_from(load_runs()),
    at=st.floats(0, 1),
    frames=st.integers(1, 400),
    junk=st.integers(0, 255),
)
def test_going_on_from_a_snapshot_is_going_on(run: Run, at: float, frames: int, junk: int) -> None:
    ours, buttons = stretch(run, int(at * run.frames), frames)
    snapshot = ours.console.save()
    other = Console(open_rom(), engine="interpreter")
    other.step(junk, junk)
    other.load(snapshot)
    for byte in buttons:
        ours.console.step(byte)
        other.step(byte)
    assert ours.console.save() == other.save()
    assert np.array_equal(ours.console.screen(), other.screen())


@pytest.mark.parametrize("name", ["menu 1", "menu 2", "1-2 1", "8-4 1"])
def test_every_frame_can_be_left_and_come_back_to(name: str) -> None:
    """Also those in which the game lags, loads an area, waits at an odd frame."""
    run = next(run for run in load_runs() if run.name == name)
    ours, buttons = stretch(run, 0, 4000)
    other = Console(open_rom(), engine="interpreter")
    for frame, byte in enumerate(buttons):
        before = ours.console.save()
        ours.console.step(byte)
        other.load(before)
        assert other.save() == before
        other.step(byte)
        assert other.save() == ours.console.save(), f"frame {frame}"
