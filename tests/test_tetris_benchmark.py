"""Lines per game of Tetris: the hand-written player sees good places, and beats even draws."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks import tetris
from typer.testing import CliRunner

from warpzone.errors import RomError
from warpzone.smb.known_cartridges import KNOWN
from warpzone.smb.rom import find_known

SQUARE, UPRIGHT, FLAT = 10, 17, 18


def test_the_best_place_of_a_piece() -> None:
    tiles = np.zeros((20, 10), bool)
    tiles[16:, :9] = True
    for piece in (UPRIGHT, FLAT):  # four rows at once
        assert tetris.best_place(tiles, piece, 0) == (UPRIGHT, 9)
    assert tetris.best_place(np.zeros((20, 10), bool), UPRIGHT, 0)[0] == FLAT
    tiles[16:, :9] = False
    tiles[18:, [0, 1, 4, 5, 6, 7, 8, 9]] = True
    position, column = tetris.best_place(tiles, SQUARE, 0)
    assert position == SQUARE
    assert column == 3  # its tiles lie at this column and the one before


def test_each_player_is_told() -> None:
    try:
        find_known(KNOWN["tetris"], fetch=False)
    except RomError:
        pytest.skip("the cartridge tetris is not here: `warpzone rom tetris` fetches it")
    told = CliRunner().invoke(tetris.app, ["--games", "2", "--minutes", "1.2"])
    assert told.exit_code == 0, told.output
    draws, hand = told.output.splitlines()
    assert draws.startswith("even draws: 0.00 lines per game")
    assert hand.startswith("by hand: ")
    assert float(hand.split()[2]) > 3
    assert hand.endswith("2 games")
