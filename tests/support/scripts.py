"""Runs through levels that are known to lead somewhere, and a plain Python copy of the rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpzone import Console, MarioEnv
from warpzone.nes.rom import Rom
from warpzone.smb.levels import LEVELS
from warpzone.smb.starts import start_level

A, B, DOWN, LEFT, RIGHT = 1, 2, 32, 64, 128
RUN, LEAP, WALK, HOP = RIGHT | B, RIGHT | B | A, RIGHT, RIGHT | A

BUTTONS = {
    0: [], DOWN: ["down"], LEFT: ["left"], WALK: ["right"], HOP: ["right", "A"],
    RUN: ["right", "B"], LEAP: ["right", "A", "B"],
}  # fmt: skip
ACTIONS = list(BUTTONS.values())
INDEX = {byte: i for i, byte in enumerate(BUTTONS)}

Script = list[tuple[int, int]]
"""Buttons and for how many steps of four frames they are held."""


def alternate(first: int, second: int, lengths: str) -> Script:
    return [((first, second)[i % 2], int(n)) for i, n in enumerate(lengths.split())]


FLAGPOLE: Script = alternate(
    RUN, LEAP,
    "5 2 6 12 2 9 9 1 12 8 8 14 15 16 4 10 14 3 2 6 4 9 9 7 7 10 7 4 3 4 11 2 8 8 3 9 4 8 4 10 7 8 "
    "1 13 2 7 5 3",
)  # fmt: skip
"""Through 1-1 to the flagpole."""

AXE: Script = [
    (RUN, 5), (0, 8), (LEAP, 11), (0, 4), (LEAP, 15), (RUN, 5), (LEAP, 5), (0, 2), (LEAP, 6),
    (0, 4), (LEAP, 3), (RUN, 6), (LEAP, 4), (RUN, 3), (LEAP, 5), (0, 7), (LEAP, 13), (RUN, 27),
    (0, 4), (LEAP, 7), (RUN, 9), (LEAP, 9), (0, 6), (RUN, 5), (LEAP, 13), (RUN, 8), (LEAP, 5),
    (RUN, 4), (LEAP, 8), (RUN, 7), (LEAP, 5), (RUN, 31), (LEAP, 10),
]  # fmt: skip
"""Through 1-4 to the axe."""

LIFTS: Script = [
    (RUN, 11), (0, 1), (RUN, 5), (HOP, 3), (0, 2), (WALK, 7), (HOP, 17), (0, 9), (WALK, 4), (0, 2),
    (WALK, 5), (LEAP, 5), (0, 5), (WALK, 1), (LEAP, 7), (WALK, 1), (HOP, 8), (RUN, 5), (HOP, 2),
    (LEAP, 1), (WALK, 5), (0, 4), (HOP, 6), (RUN, 14), (HOP, 3), (0, 13), (RUN, 8), (LEAP, 4),
    (0, 6), (RUN, 6), (HOP, 10), (WALK, 3), (HOP, 1), (RUN, 6), (LEAP, 8), (HOP, 2), (RUN, 1),
    (LEAP, 9), (WALK, 1), (LEAP, 1), (WALK, 6), (0, 6), (LEAP, 7), (0, 7), (HOP, 3), (LEAP, 7),
    (HOP, 1), (WALK, 4), (0, 5), (LEAP, 4), (WALK, 1), (0, 1), (WALK, 6), (LEAP, 7), (0, 4),
    (LEAP, 8), (RUN, 4), (0, 9), (LEAP, 5), (0, 6), (WALK, 1), (HOP, 9), (0, 15), (LEAP, 1),
    (WALK, 1), (LEAP, 3),
]  # fmt: skip
"""Through 1-3 with its lifts to the flagpole."""

PIPE: Script = [
    (WALK, 5), (DOWN, 8), (HOP, 11), (DOWN, 7), (HOP, 3), (WALK, 6), (DOWN, 2), (WALK, 7),
    (DOWN, 8), (WALK, 2), (HOP, 20), (DOWN, 3), (WALK, 10), (DOWN, 16), (HOP, 9), (WALK, 4),
    (DOWN, 12), (HOP, 8), (WALK, 6), (HOP, 4), (DOWN, 11), (HOP, 2), (WALK, 2), (DOWN, 3),
    (WALK, 6), (DOWN, 5), (WALK, 8), (DOWN, 3), (WALK, 8), (DOWN, 16), (HOP, 11), (WALK, 9),
    (HOP, 6), (DOWN, 8), (HOP, 18), (DOWN, 1), (WALK, 8), (HOP, 10), (DOWN, 1),
]  # fmt: skip
"""In 1-1 onto the fourth pipe; the last Down enters it."""


def steps(script: Script) -> Iterator[int]:
    """The buttons of each step."""
    for buttons, count in script:
        yield from [buttons] * count


def play(env: MarioEnv, script: Script) -> list[tuple[Any, float, bool, bool, dict[str, Any]]]:
    """What each step of a script brings; `env` has the actions `ACTIONS`."""
    return [env.step(INDEX[buttons]) for buttons in steps(script)]


@dataclass
class Reference:
    """The rules of an episode in plain Python over a console's RAM: no noops, no sticky actions.

    Rewards are recomputed frame by frame; cutscenes are skipped as in the environments.
    """

    rom: Rom
    level: str
    frame_skip: int = 4
    max_steps: int | None = None
    console: Console = field(init=False)

    def __post_init__(self) -> None:
        self.console = Console(self.rom)
        self.reset()

    def reset(self) -> None:
        start_level(self.console, self.level)
        self.frames = self.steps = 0
        self.over = False
        self.best = {self._area(): self.x()}
        self.progress = self.total_coins = self.unpaid = 0
        self.last = self.x(), self.digits(0x07F8, 3)

    def digits(self, at: int, count: int) -> int:
        return int("".join(str(digit & 15) for digit in self.ram[at : at + count].tolist()))

    @property
    def ram(self) -> NDArray[np.uint8]:
        return self.console.ram

    def x(self) -> int:
        return int(self.ram[0x6D]) * 256 + int(self.ram[0x86])

    def _area(self) -> bytes:
        return self.ram[0xE7:0xE9].tobytes()

    def dead(self) -> bool:
        return self.ram[0x0E] in (0x0B, 0x06) or self.ram[0xB5] > 1

    def cleared(self) -> bool:
        climbing = self.ram[0x1D] == 3 and any(i in (0x2D, 0x31) for i in self.ram[0x16:0x1B])
        return bool(self.ram[0x0770] == 2) or climbing

    def supported(self) -> bool:
        return self.ram[0x1D] in (0, 3) or self.ram[0x704] != 0

    def warped(self) -> bool:
        return f"{self.ram[0x75F] + 1}-{self.ram[0x75C] + 1}" != self.level

    def cutscene(self) -> bool:
        playing = (self.ram[0x0770], self.ram[0x0772]) == (1, 3)
        return not playing or self.ram[0x0E] in (0, 1, 2, 3, 4, 5, 7)

    def _frame(self, buttons: int) -> None:
        coins = self.digits(0x07ED, 2)
        self.console.step(buttons)
        self.frames += 1
        self.total_coins += (self.digits(0x07ED, 2) - coins) % 100
        self.over = self.cleared() or self.dead() or self.warped()
        if not self.over and not self.cutscene():
            best = self.best.setdefault(self._area(), self.x())
            gained = max(self.x() - best, 0)
            self.best[self._area()] += gained
            self.progress += gained

    def step(self, buttons: int) -> dict[str, Any]:
        """Rewards of all kinds, the ends, the signals."""
        gym = 0
        before = self.progress
        for _ in range(self.frame_skip):
            self._frame(buttons)
            now = self.x(), self.digits(0x07F8, 3)
            moved, ticked = now[0] - self.last[0], now[1] - self.last[1]
            self.last = now
            reward = (moved if -5 <= moved <= 5 else 0) + min(ticked, 0)
            gym += max(-15, min(15, reward - 25 * self.dead()))
            while not self.over and self.cutscene():
                self._frame(0)
            if self.over:
                break
        self.steps += 1
        flag = self.over and self.cleared()
        end = 0 if not self.over else 50 if flag else -50
        px = min(self.progress - before, 16)
        self.unpaid += px
        landed = 0
        if flag or (not self.over and self.supported()):
            landed, self.unpaid = self.unpaid, 0
        ending = end / 10 if flag else end / 20
        truncated = not self.over and self.max_steps is not None and self.steps >= self.max_steps
        return {
            "rewards": {
                "gym": gym,
                "tutorial": (gym + end) / 10,
                "progress": px / 20 - 0.01 + ending,
                "landed": landed / 20 - 0.01 + ending,
            },
            "terminated": self.over,
            "truncated": truncated,
            "signals": self.signals(),
        }

    def signals(self) -> dict[str, int]:
        ram = self.ram
        death = 0
        if self.over and not self.cleared():
            death = 4 if not self.dead() else 2 if ram[0xB5] > 1 else 1
            death = 3 if death == 1 and self.digits(0x07F8, 3) == 0 else death
        return {
            "x": self.x(),
            "y": 255 - int(ram[0x03B8]) + (255 if ram[0xB5] < 1 else 0),
            "world": int(ram[0x075F]) + 1,
            "stage": int(ram[0x075C]) + 1,
            "area": int(ram[0x0760]) + 1,
            "score": self.digits(0x07DE, 6),
            "coins": self.digits(0x07ED, 2),
            "time": self.digits(0x07F8, 3),
            "status": min(int(ram[0x0756]), 2),
            "lives": int(ram[0x075A]),
            "flag": int(self.over and self.cleared()),
            "death": death,
            "progress": self.progress,
            "frames": self.frames,
            "steps": self.steps,
            "level": LEVELS.index(self.level),
            "start": -1,
            "total_coins": self.total_coins,
            "levels_cleared": int(self.over and self.cleared()),
            "lives_lost": int(self.over and self.dead() and not self.cleared()),
        }
