"""Every known cartridge that is found here: native code and the interpreter, byte for byte."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.recompiler import Pair

from warpzone.errors import RomError
from warpzone.smb.known_cartridges import KNOWN
from warpzone.smb.rom import find_known

pytestmark = pytest.mark.slow

FRAMES, MENUS = 2400, 600
START = 8


def buttons(seed: int) -> bytes:
    """Menus are left with Start; then anything, held for a while."""
    random = np.random.default_rng(seed)
    held = [START if i % 3 == 0 else 0 for i in range(MENUS // 10)]
    held += random.choice([0, 1, 2, 3, 16, 32, 64, 65, 66, 128, 129, 130, 131], 200).tolist()
    held[-20:] = random.integers(0, 256, 20).tolist()
    return bytes(np.repeat(np.array(held, np.uint8), 10)[:FRAMES])


@pytest.mark.parametrize("name", KNOWN)
def test_both_ways_are_the_same(name: str) -> None:
    try:
        rom = find_known(KNOWN[name], fetch=False)
    except RomError as error:
        pytest.skip(str(error))
    pair = Pair(rom.data)
    pair.run(buttons(0))
    assert np.array_equal(pair.plain.screen(), pair.compiled.screen())
    # What was not foreseen joins the next translation.
    wanted = pair.cartridge.wanted()
    again = Pair(rom.data, [pair.plain.save()], wanted)
    assert len(again.cartridge.wanted()) <= len(wanted)
    again.load(pair.plain.save())
    again.run(buttons(1))
    # A frame without skipped waiting and without native code is the slow, obvious twin of all.
    before = again.compiled.save()
    again.compiled.step(0)
    again.plain.load(before)
    again.plain.step(0, skip_waiting=False)
    assert again.plain.save() == again.compiled.save()
