"""What the game tells at each step, as arrays over the games of a batch."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

import warpzone._native as _native

SIGNALS: tuple[str, ...] = _native.SIGNALS
"""Names of the signals. All are int32[N] but `flag`, bool[N].

    x             px from the left end of the area
    y             px above the bottom of the screen, as gym-super-mario-bros 7.x counts
    world, stage  1-8 and 1-4, where Mario is now
    area          the game's own area number, from 1
    score, coins  points; 0-99, after which it is 0 again (see `total_coins`)
    time          left on the game's timer
    status        0 small, 1 big, 2 fire
    lives         spare lives
    flag          the flagpole or the axe has been reached; of a whole game: the princess is saved
    death         0 alive, 1 enemy, 2 pit, 3 time, 4 left the level through a warp pipe,
                  5 sent back by a maze (`end_thrown_back`); where the game goes on with another
                  life, only of the step that lost one
    progress      px of new-best x in this episode, summed over the areas that it has visited: never
                  falls, unlike x, and rises by what a pipe has skipped
    frames, steps emulated frames and agent steps in this episode
    level         0-31: where the episode began, or where Mario is now with `last_level` and in a
                  whole game
    start         where in the level it began: an index into the states given to
                  `MarioVectorEnv.set_initial_states`; -1: at its start
    total_coins   taken in this episode: never falls, unlike coins, and the 100th adds one as well
    levels_cleared, lives_lost in this episode: more than one where it goes on after a flag or a
                  death
"""

DEATH_TEXTS: dict[str, str] = {
    "enemy": "killed by an enemy",
    "pit": "fell into a pit",
    "time": "ran out of time",
    "warp": "left the level by a warp",
    "maze": "sent back by a maze",
}
"""The ways to die, in words for people; all others that are shown are made of these."""
DEATHS: tuple[str, ...] = ("alive", *DEATH_TEXTS)
"""What the values of the signal `death` mean."""

SignalArrays: TypeAlias = dict[str, NDArray[np.generic]]


def signal_arrays(table: NDArray[np.int32]) -> SignalArrays:
    """Columns of an int32[N, 20] table by name: views, but for `flag`."""
    arrays: SignalArrays = dict(zip(SIGNALS, table.T, strict=True))
    arrays["flag"] = arrays["flag"] != 0
    return arrays


def ram_number(ram: NDArray[np.uint8], *addresses: int) -> NDArray[np.int64]:
    """Returns the number that the bytes at these addresses make, as a number that can be reckoned
    with.

    The elements of a uint8 array stay bytes in arithmetic: since NumPy 2 `ram[0x6D] * 256` is an
    error or wraps around, and `ram[0x86] - 10` may be 250.

    Args:
        ram: uint8[..., 2048], of one game or of many.
        addresses: of its bytes, the highest first: `ram_number(ram, 0x6D, 0x86)` is Mario's x.

    Returns:
        int64[...]; for the RAM of one game a single number.
    """
    number = np.zeros(ram.shape[:-1], np.int64)
    for address in addresses:
        number = number * 256 + ram[..., address]
    return number
