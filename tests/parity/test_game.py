"""Super Mario Bros. on cynes and on ours, frame by frame: the same RAM, the same pictures."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.parity.peer import Peer, differences, peer_colours

from warpzone import Console
from warpzone.nes.cartridge import open_rom

OPER_MODE, TASK, PLAYER_STATE = 0x0770, 0x0772, 0x000E
WORLD, STAGE, AREA = 0x075F, 0x075C, 0x0760
START, RIGHT, B, A = 8, 128, 2, 1


@pytest.fixture(scope="module")
def colours() -> NDArray[np.uint8]:
    return peer_colours()


def aligned() -> tuple[Peer, Console]:
    """Both on the title screen, at the same frame; cynes needs a frame more or less to start."""
    rom = open_rom()
    peer, console = Peer(rom.path), Console(rom)
    peer.step(0, 10)
    for _ in range(20):
        console.step()
        same = console.ram[0x09] == peer.ram[0x09]
        if same and np.array_equal(console.ram[0x200:], peer.ram[0x200:]):
            return peer, console
    raise AssertionError("the two never came to the same frame of the title screen")


def at_level(world: int, stage: int, area: int) -> tuple[Peer, Console]:
    """Both at the first frame of a level in which Mario obeys."""
    peer, console = aligned()

    def step(buttons: int = 0) -> None:
        peer.step(buttons)
        console.step(buttons)
        assert differences(peer, console) == {}

    for _ in range(40):
        step()
    for i in range(200):
        if console.ram[OPER_MODE] == 1:
            break
        for address, value in ((WORLD, world), (STAGE, stage), (AREA, area)):
            peer.poke(address, value)
            console.ram[address] = value
        step(START if i % 2 else 0)
    for _ in range(600):
        ram = console.ram
        if (ram[OPER_MODE], ram[TASK], ram[PLAYER_STATE]) == (1, 3, 8):
            assert (ram[WORLD], ram[STAGE], ram[AREA]) == (world, stage, area)
            return peer, console
        step()
    raise AssertionError("the level did not begin")


@pytest.mark.parametrize(
    ("world", "stage", "area"),
    [
        pytest.param(0, 0, 0, id="1-1"),
        pytest.param(0, 1, 2, id="1-2 underground"),
        pytest.param(0, 2, 3, id="1-3 treetops, lifts"),
        pytest.param(0, 3, 4, id="1-4 castle, firebars"),
        pytest.param(1, 1, 2, id="2-2 water"),
        pytest.param(3, 0, 0, id="4-1 lakitu"),
        pytest.param(7, 3, 3, id="8-4 maze"),
    ],
)
def test_random_play(world: int, stage: int, area: int, colours: NDArray[np.uint8]) -> None:
    peer, console = at_level(world, stage, area)
    rng = np.random.default_rng(100 * world + stage)
    buttons = 0
    for frame in range(450):
        if frame % 8 == 0:
            # Mostly on to the right, so that much of the level is seen; anything at times.
            onward = [RIGHT | B, RIGHT | B | A, RIGHT | A, RIGHT]
            buttons = int(rng.choice(onward)) if rng.random() < 0.8 else int(rng.integers(256)) & ~8
        peer.step(buttons)
        console.step(buttons)
        assert differences(peer, console) == {}, f"frame {frame}"
        if frame % 9 == 0:
            wrong = (colours[console.screen()] != peer.picture).any(axis=2)
            assert not wrong.any(), (
                f"frame {frame}: {wrong.sum()} pixels, first {np.argwhere(wrong)[0]}"
            )


def test_pause_and_demo(colours: NDArray[np.uint8]) -> None:
    """The title's own demo, and a game that is paused and goes on."""
    peer, console = aligned()
    for frame in range(700):
        peer.step()
        console.step()
        assert differences(peer, console) == {}, f"frame {frame}"
    assert console.ram[0x86] != 40, "Mario runs in the demo"
    assert np.array_equal(colours[console.screen()], peer.picture)

    peer, console = at_level(0, 0, 0)
    for frame in range(120):
        buttons = START if frame in (20, 80) else RIGHT
        peer.step(buttons)
        console.step(buttons)
        assert differences(peer, console) == {}, f"frame {frame}"
        assert (console.ram[0x0776] & 1 != 0) == (20 <= frame < 80), f"frame {frame}"
