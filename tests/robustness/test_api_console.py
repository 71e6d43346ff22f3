"""The API fuzzer on consoles and the search: each console runs beside a twin on the other engine.

Plain cartridges (the game itself, Catch) and one with banks. What is refused changes no byte.
"""

from __future__ import annotations

import copy
import pickle
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, rule
from tests.support.api_fuzz import (
    DAMAGE,
    HUGE,
    NEGATIVE,
    NO_BYTES,
    NO_NUMBERS,
    Answer,
    Damage,
    budget,
    call,
    case,
    in_a_fork,
    interrupted,
    must,
    refused,
    together,
)

import warpzone
from warpzone import Console
from warpzone.games.catch import cartridge
from warpzone.nes.cartridge import open_rom
from warpzone.nes.rom import Rom, load_rom
from warpzone.smb.levels import LEVELS
from warpzone.smb.search import Explorer, Trajectory

CARTRIDGES = ("mario", "catch", "banked")
BUTTONS = st.integers(0, 255)
NUMBERS = (TypeError, ValueError)


@pytest.fixture(scope="module", autouse=True)
def made(request: pytest.FixtureRequest) -> None:
    roms()  # before the first case is measured


_roms: dict[str, Rom] = {}


def roms() -> dict[str, Rom]:
    """Returns the cartridges by name."""
    if not _roms:
        _roms["mario"] = open_rom()
        with tempfile.TemporaryDirectory() as folder:
            for name in ("catch", "banked"):
                data = bytearray(cartridge())
                data[6] |= 0x20 if name == "banked" else 0
                path = Path(folder) / f"{name}.nes"
                path.write_bytes(data)
                _roms[name] = load_rom(path)
    return _roms


@dataclass
class Pair:
    """Two consoles that are given the same, one as games usually run and one interpreted."""

    cartridge: str
    one: Console
    twin: Console

    def agree(self) -> None:
        assert self.one.save() == self.twin.save()
        assert self.one.frame == self.twin.frame

    def both(self, name: str, *args: Any, also: Any = (), **kwargs: Any) -> Answer:
        """Calls both, which have to answer alike. Nothing may have changed where they refuse."""
        before = self.one.save()
        answers = [
            call(getattr(console, name), *args, also=also, **kwargs)
            for console in (self.one, self.twin)
        ]
        assert str(answers[0].error) == str(answers[1].error)
        self.agree()
        if answers[0].refused and "crashed" not in str(answers[0].error):
            assert self.one.save() == before, "a refused call changed the console"
        return answers[0]


class Consoles(RuleBasedStateMachine):
    """Consoles of several cartridges, and their snapshots, which only fit the same cartridge."""

    pairs = Bundle("pairs")
    snapshots = Bundle("snapshots")

    @initialize()
    def begin(self) -> None:
        case()

    @rule(target=pairs, name=st.sampled_from(CARTRIDGES))
    def make(self, name: str) -> Pair:
        rom = roms()[name]
        engine = None if name == "mario" else "interpreter"
        return Pair(name, Console(rom, engine=engine), Console(rom, engine="interpreter"))

    @rule(
        rom=st.sampled_from(["nothing.nes", "", 5, b"x", "/", None]),
        engine=st.sampled_from([None, "auto", "fast", "", 3, "Interpreter"]),
    )
    def make_wrongly(self, rom: Any, engine: Any) -> None:
        call(Console, rom, engine=engine)

    @rule(pair=pairs, buttons=BUTTONS, frames=st.integers(0, 40))
    def step(self, pair: Pair, buttons: int, frames: int) -> None:
        frame = pair.one.frame
        answer = pair.both("step", buttons, frames)
        assert answer.refused or pair.one.frame == frame + frames

    @rule(pair=pairs, second=BUTTONS)
    def step_second(self, pair: Pair, second: int) -> None:
        pair.both("step", 0, 1, second=second, also=ValueError)

    @rule(
        pair=pairs,
        which=st.sampled_from(["buttons", "frames", "second"]),
        # As many frames as the first of these can be asked for, and take a quarter of an hour.
        value=NO_NUMBERS | HUGE.filter(lambda number: number >= 2**31) | NEGATIVE,
    )
    def step_wrongly(self, pair: Pair, which: str, value: Any) -> None:
        assert pair.both("step", **{which: value}, also=NUMBERS).refused

    @rule(pair=pairs)
    def reset(self, pair: Pair) -> None:
        pair.both("reset")
        assert pair.one.frame == 0

    @rule(pair=pairs, address=st.integers(0, 2047), value=BUTTONS)
    def poke(self, pair: Pair, address: int, value: int) -> None:
        for console in (pair.one, pair.twin):
            console.ram[address] = value
            if len(console.prg_ram):
                console.prg_ram[address % len(console.prg_ram)] = value
        pair.agree()

    @rule(pair=pairs)
    def look(self, pair: Pair) -> None:
        screen, rgb = must(pair.one.screen), must(pair.one.rgb)
        assert screen.shape == (240, 256)
        assert screen.max() < 64
        assert rgb.shape == (240, 256, 3)
        assert np.array_equal(screen, pair.twin.screen())

    @rule(target=snapshots, pair=pairs)
    def save(self, pair: Pair) -> tuple[str, bytes]:
        return pair.cartridge, pair.one.save()

    @rule(pair=pairs, snapshot=snapshots)
    def load(self, pair: Pair, snapshot: tuple[str, bytes]) -> None:
        name, data = snapshot
        answer = pair.both("load", data)
        assert answer.refused == (name != pair.cartridge)
        assert answer.refused or pair.one.save() == data

    @rule(pair=pairs, snapshot=snapshots, damage=DAMAGE, frames=st.integers(0, 4))
    def load_damaged(
        self, pair: Pair, snapshot: tuple[str, bytes], damage: Damage, frames: int
    ) -> None:
        if not pair.both("load", damage.to(snapshot[1])).refused:
            pair.both("step", 0, frames)

    @rule(pair=pairs, value=NO_BYTES | st.binary(max_size=64))
    def load_wrongly(self, pair: Pair, value: Any) -> None:
        assert pair.both("load", value, also=NUMBERS).refused

    @rule(target=pairs, pair=pairs, how=st.sampled_from(["deepcopy", "copy", "pickle"]))
    def copies(self, pair: Pair, how: str) -> Pair:
        """A copy goes on by itself."""
        copied: Console
        if how == "pickle":
            copied = pickle.loads(must(pickle.dumps, pair.one))
        else:
            copied = must(getattr(copy, how), pair.one)
        assert copied.save() == pair.one.save()
        before = pair.one.save()
        call(copied.step, 1, 2)
        assert pair.one.save() == before
        copied.load(before)
        twin = Console(roms()[pair.cartridge], engine="interpreter")
        twin.load(before)
        return Pair(pair.cartridge, copied, twin)

    @rule(pair=pairs, level=st.sampled_from(["1-1", "4-2", "8-4", "1-5", "", "a", 3, None]))
    def start(self, pair: Pair, level: Any) -> None:
        for console in (pair.one, pair.twin):
            answer = call(warpzone.start_level, console, level)
            assert answer.refused != (pair.cartridge == "mario" and level in LEVELS)
        pair.agree()

    @rule(pair=pairs, after=st.floats(1e-6, 0.004), frames=st.integers(20, 3000))
    def ctrl_c(self, pair: Pair, after: float, frames: int) -> None:
        """Wherever it stands, the console goes on from there, and can be set back."""
        before = pair.one.save()
        interrupted(after, pair.one.step, 1, frames)
        played = pair.one.frame - pair.twin.frame
        assert 0 <= played <= frames
        call(pair.twin.step, 1, played)
        pair.agree()
        pair.both("load", before)

    @rule(pair=pairs)
    def fork(self, pair: Pair) -> None:
        data = pair.twin.save()
        call(pair.twin.step, 3, 5)
        after = pair.twin.save()
        pair.twin.load(data)

        def child() -> bool:
            call(pair.one.step, 3, 5)
            return pair.one.save() == after

        assert in_a_fork(child)
        pair.agree()

    @rule(pair=consumes(pairs))
    def drop(self, pair: Pair) -> None:
        ram = pair.one.ram
        del pair
        assert ram.sum() >= 0  # lives on by itself


Consoles.TestCase.settings = budget(25, 14)
TestConsoles = Consoles.TestCase


CALLS = ("step", "screen", "save", "load", "reset", "rgb", "ram")


@budget(6)
@given(
    cartridge=st.sampled_from(CARTRIDGES),
    works=st.lists(
        st.lists(st.tuples(st.sampled_from(CALLS), BUTTONS), min_size=1, max_size=8),
        min_size=2,
        max_size=4,
    ),
)
def test_many_threads_on_one_console(cartridge: str, works: list[list[tuple[str, int]]]) -> None:
    """Each call works or is refused; then the console is as any other."""
    case()
    console = Console(roms()[cartridge])
    console.step(0, 30)
    data = console.save()

    def work(name: str, value: int) -> Any:
        if name == "step":
            return console.step(value, 30)
        if name == "load":
            return console.load(data)
        return console.ram.sum() if name == "ram" else getattr(console, name)()

    together([[partial(work, *one) for one in each] for each in works])
    twin = Console(roms()[cartridge])
    for one in (console, twin):
        one.load(data)
        call(one.step, 9, 20)
    assert console.save() == twin.save()


# --- the search -----------------------------------------------------------------------------------


class Searches(RuleBasedStateMachine):
    """Two searches with one seed know the same at each step, and what they find can be replayed."""

    @initialize(level=st.sampled_from(LEVELS), seed=st.integers(0, 2**64 - 1))
    def begin(self, level: str, seed: int) -> None:
        case()
        self.envs = warpzone.make_vec(level, 1, threads=1, observation="ram")
        self.level = level
        self.one, self.twin = (self.envs.explorer(level, seed) for _ in range(2))

    def agree(self) -> None:
        for name in ("places", "cleared", "progress", "steps"):
            assert getattr(self.one, name) == getattr(self.twin, name), name

    @rule(steps=st.integers(0, 400))
    def search(self, steps: int) -> None:
        found = [must(one.search, steps) for one in (self.one, self.twin)]
        assert found[0] == found[1]
        self.agree()

    @rule(progress=st.integers(-5, 600), steps=st.integers(0, 600))
    def reach(self, progress: int, steps: int) -> None:
        found = [must(one.reach, progress, steps) for one in (self.one, self.twin)]
        assert found[0] == found[1]
        self.agree()

    @rule(value=NO_NUMBERS | NEGATIVE)
    def search_wrongly(self, value: Any) -> None:
        refused(self.one.search, value)
        refused(self.one.reach, 10, value)
        self.agree()

    @rule(value=NO_NUMBERS)
    def reach_wrongly(self, value: Any) -> None:
        refused(self.one.reach, value, 10)
        self.agree()

    @rule()
    def replay(self) -> None:
        found = must(self.one.search, 0)
        must(self.envs.record_initial_states, self.level, found)
        must(self.envs.set_progress_masks, {self.level: [found]})

    @rule(data=st.data(), frames=st.booleans())
    def replay_wrongly(self, data: st.DataObject, frames: bool) -> None:
        inputs = data.draw(st.binary(max_size=80))
        begin = data.draw(st.none() | st.binary(max_size=40))
        level = data.draw(st.sampled_from([self.level, "9-9", "", "1-1"]))
        given_ = Trajectory(inputs, frames=frames, begin=begin)
        call(self.envs.record_initial_states, level, given_)
        call(self.envs.set_progress_masks, {level: [given_]})

    @rule(
        level=st.sampled_from(["1-1", "9-1", "", None, 4]),
        seed=NO_NUMBERS | HUGE | NEGATIVE,
    )
    def begin_wrongly(self, level: Any, seed: Any) -> None:
        right = isinstance(seed, int) and 0 <= seed < 2**64 and level == "1-1"
        assert call(self.envs.explorer, level, seed).refused != right

    @rule(after=st.floats(1e-6, 0.002))
    def ctrl_c(self, after: float) -> None:
        interrupted(after, self.one.search, self.one.steps + 2000)
        call(self.twin.search, self.one.steps)
        self.one, self.twin = (self.envs.explorer(self.level, 1) for _ in range(2))

    @rule(how=st.sampled_from([copy.copy, copy.deepcopy, pickle.dumps]))
    def copies(self, how: Any) -> None:
        """A search cannot be copied, and says so."""
        refused(how, self.one, also=TypeError)
        self.agree()

    def teardown(self) -> None:
        if hasattr(self, "envs"):
            self.envs.close()


Searches.TestCase.settings = budget(8, 10)
TestSearches = Searches.TestCase


@budget(5)
@given(
    works=st.lists(
        st.lists(
            st.sampled_from(["search", "reach", "places", "progress"]), min_size=1, max_size=6
        ),
        min_size=2,
        max_size=4,
    )
)
def test_many_threads_on_one_search(works: list[list[str]]) -> None:
    case()
    envs = warpzone.make_vec("1-1", 1, threads=1, observation="ram")
    search: Explorer = envs.explorer("1-1", 3)

    def work(name: str) -> Any:
        if name == "search":
            return search.search(search.steps + 1500)
        if name == "reach":
            return search.reach(10_000, search.steps + 1500)
        return getattr(search, name)

    together([[partial(work, one) for one in each] for each in works])
    must(search.search, search.steps + 50)
    envs.close()
