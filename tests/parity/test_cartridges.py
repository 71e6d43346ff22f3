"""The other cartridges of the gym-super-mario-bros wheel: Lost Levels, and games drawn simpler.

They are kept where `warpzone rom NAME` keeps them.
"""

from __future__ import annotations

import numpy as np
import pytest
from tests.parity.play import Ours, Run, compare_runs, go_to, load_runs, parse_moves

from warpzone.nes.rom import Rom
from warpzone.smb.known_cartridges import DEFAULT, KNOWN
from warpzone.smb.rom import find_known
from warpzone.smb.starts import start_level

CARTRIDGES = [name for name, known in KNOWN.items() if known.levels and name != DEFAULT]


@pytest.fixture(scope="module")
def cartridges() -> dict[str, Rom]:
    return {name: find_known(KNOWN[name]) for name in CARTRIDGES}


DEMO = Run("demo", "menu", parse_moves(".300"))
PLAY = Run(
    "play", "menu", parse_moves(".40 S3 .170 RB60 RAB30 RB20 RAB25 LA12 RAB28 D8 RB40 RA300")
)


@pytest.mark.parametrize("name", CARTRIDGES)
def test_runs_as_on_cynes(name: str, cartridges: dict[str, Rom]) -> None:
    rom = cartridges[name]
    seen = {run.name: digests for run, digests in compare_runs([DEMO, PLAY], rom)}
    assert len(set(seen["play"].split())) > 8, "a picture that does not move tells nothing"

    ours = Ours(rom)
    go_to(ours, "menu")
    farthest = 0
    for buttons in PLAY.buttons():
        ours.step(buttons)
        if ours.ram[0x0770] == 1 and ours.ram[0x0772] == 3:
            farthest = max(farthest, int(ours.ram[0x6D]) * 256 + int(ours.ram[0x86]))
    assert farthest > 250, "Mario is under way"


def test_they_differ_in_what_they_draw(cartridges: dict[str, Rom]) -> None:
    pictures = set()
    for rom in cartridges.values():
        ours = Ours(rom)
        start_level(ours.console, "1-1")
        pictures.add(ours.console.screen().tobytes())
    assert len(pictures) == len(cartridges)


def test_pixel_is_the_same_game(cartridges: dict[str, Rom]) -> None:
    """Only drawn otherwise: the same buttons lead through it."""
    run = next(run for run in load_runs() if run.name == "1-1 1")
    ours = Ours(cartridges["super-mario-bros-pixel"])
    go_to(ours, run.start)
    for buttons in run.buttons():
        ours.step(buttons)
    assert (ours.ram[0x075F], ours.ram[0x075C]) == (0, 1)
    assert np.unique(ours.console.screen()).size > 1
