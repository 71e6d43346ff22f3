"""The game itself, both ways: all levels, and every change from one way to the other."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.support.recompiler import difference

from warpzone import _native
from warpzone.nes.cartridge import open_rom
from warpzone.nes.recompiler.loader import Loaded, load
from warpzone.nes.recompiler.translate import Translation, translate
from warpzone.smb.levels import LEVELS

FRAMES = 240


class Game:
    """The cartridge, its level starts and its native code."""

    def __init__(self) -> None:
        self.image = open_rom().data
        self.plain = _native.Cartridge(self.image)
        starts = _native.LevelStarts(self.plain)
        self.starts = [starts.start(level) for level in range(len(LEVELS))]
        self.translation: Translation = translate(self.plain, self.starts)
        self.loaded: Loaded = load(self.translation.object_code)
        self.compiled = self.cartridge()

    def cartridge(self, *, compiled: bool = True) -> _native.Cartridge:
        cartridge = _native.Cartridge(self.image)
        if compiled:
            self.use(cartridge)
        return cartridge

    def use(self, cartridge: _native.Cartridge) -> None:
        loaded = self.loaded
        cartridge.use(loaded.enter, loaded.unknown, loaded.regions, loaded.region_count)


@pytest.fixture(scope="module")
def game() -> Game:
    return Game()


def buttons(seed: int, frames: int) -> bytes:
    """Random, held for a while, and mostly to the right."""
    random = np.random.default_rng(seed)
    held: list[int] = []
    while len(held) < frames:
        choice = int(random.choice([130, 131, 129, 128, 64, 66, 32, 0, int(random.integers(256))]))
        held += [choice] * int(random.integers(1, 30))
    return bytes(held[:frames])


def play(console: _native.Console, held: bytes) -> list[bytes]:
    """The state after every frame."""
    seen = []
    for byte in held:
        console.step(byte)
        seen.append(console.save())
    return seen


def assert_same(plain: list[bytes], compiled: list[bytes]) -> None:
    for frame, (one, other) in enumerate(zip(plain, compiled, strict=True)):
        assert one == other, f"frame {frame}: {difference(one, other)}"


@pytest.mark.parametrize("level", range(len(LEVELS)), ids=LEVELS)
def test_levels(game: Game, level: int) -> None:
    plain, compiled = _native.Console(game.plain), _native.Console(game.compiled)
    plain.load(game.starts[level])
    compiled.load(game.starts[level])
    held = buttons(level, FRAMES)
    assert_same(play(plain, held), play(compiled, held))


@pytest.mark.parametrize("seed", range(2))
def test_from_power_on(game: Game, seed: int) -> None:
    """Title screen, demonstration, and what random buttons begin."""
    plain, compiled = _native.Console(game.plain), _native.Console(game.compiled)
    held = bytes(1500) if seed == 0 else buttons(seed, 1500)
    assert_same(play(plain, held), play(compiled, held))


def test_level_starts_are_the_same(game: Game) -> None:
    """Booted by native code."""
    starts = _native.LevelStarts(game.compiled)
    assert [starts.start(level) for level in (0, 5, 13, 31)] == [
        game.starts[level] for level in (0, 5, 13, 31)
    ]


def test_waiting_loops_need_not_be_skipped(game: Game) -> None:
    """Native code against the plainest way that there is."""
    plain, compiled = _native.Console(game.plain), _native.Console(game.compiled)
    for console in (plain, compiled):
        console.load(game.starts[8])
    for byte in buttons(80, 300):
        plain.step(byte, 1, False)
        compiled.step(byte)
        assert plain.save() == compiled.save()


def test_snapshots_go_from_one_way_to_the_other(game: Game) -> None:
    held = buttons(1, 400)
    plain = _native.Console(game.plain)
    plain.load(game.starts[1])
    whole = play(plain, held)
    consoles = _native.Console(game.plain), _native.Console(game.compiled)
    state, at = game.starts[1], 0
    seen: list[bytes] = []
    for i, length in enumerate((1, 7, 40, 93, 2, 150, 107)):
        console = consoles[(i + 1) % 2]
        console.load(state)
        seen += play(console, held[at : at + length])
        state, at = seen[-1], at + length
    assert at == len(held)
    assert_same(whole, seen)


def test_changing_over_in_the_middle_of_play(game: Game) -> None:
    cartridge = game.cartridge(compiled=False)
    console, plain = _native.Console(cartridge), _native.Console(game.plain)
    held = buttons(2, 300)
    for each in (console, plain):
        each.load(game.starts[4])
    seen = play(console, held[:150])
    game.use(cartridge)
    assert cartridge.compiled
    seen += play(console, held[150:])
    assert_same(play(plain, held), seen)


def test_many_consoles_in_two_threads_change_over(game: Game) -> None:
    held = [buttons(100 + i, 200) for i in range(16)]

    def run(cartridge: _native.Cartridge, i: int) -> bytes:
        console = _native.Console(cartridge)
        console.load(game.starts[2 * i])
        for byte in held[i]:
            console.step(byte)
            if i == 0 and console.frame % 10 == 0:
                begun.set()
        return console.save()

    begun = threading.Event()
    plain = [run(game.plain, i) for i in range(16)]
    begun.clear()
    cartridge = game.cartridge(compiled=False)
    with ThreadPoolExecutor(2) as pool:
        results = [pool.submit(run, cartridge, i) for i in range(16)]
        assert begun.wait(60)
        for _ in range(5):  # again and again: what was in use before must stay
            game.use(cartridge)
        seen = [result.result() for result in results]
    assert cartridge.compiled
    assert seen == plain


def test_hardly_anything_is_left_to_the_interpreter(game: Game) -> None:
    """What this module has played, elsewhere than where the translator looked."""
    console = _native.Console(game.compiled)
    for level in range(len(LEVELS)):
        console.load(game.starts[level])
        for byte in buttons(500 + level, 300):
            console.step(byte)
    wanted = game.compiled.wanted()
    assert len(wanted) <= game.translation.instructions // 100
    assert game.translation.instructions > 4000


def test_pictures_are_the_same(game: Game) -> None:
    plain, compiled = _native.Console(game.plain), _native.Console(game.compiled)
    for console in (plain, compiled):
        console.load(game.starts[6])
        for byte in buttons(3, 120):
            console.step(byte)
    assert np.array_equal(plain.screen(), compiled.screen())
