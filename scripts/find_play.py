"""Finds the button sequences of tests/data/play.txt: long ways through all 32 levels.

    python scripts/find_play.py --out tests/data/play.txt                # about 20 minutes
    python scripts/find_play.py --levels 1-1,4-4 --frames 200000 --out /dev/stdout

Search over snapshots, as in "First return, then explore" (Ecoffet et al. 2021): places that play
has reached are kept with their snapshot and the buttons that lead there; again and again one of
them is chosen, rarely chosen ones rather, and some random buttons are tried from it. Then of all
ways found those are written that clear the level, warp, or see most that the ones before did not.
Everything follows from the seed, the engine and the ROM.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass, field
from pathlib import Path

from warpzone import Console
from warpzone.nes.cartridge import open_rom
from warpzone.nes.rom import Rom
from warpzone.smb import memory
from warpzone.smb.levels import LEVELS, level_index
from warpzone.smb.starts import start_level

A, B, UP, DOWN, LEFT, RIGHT = 1, 2, 16, 32, 64, 128
LETTERS = "ABsSUDLR"

CHOICES = [
    (RIGHT | B, 20), (RIGHT | B | A, 30), (RIGHT, 6), (RIGHT | A, 12), (A, 6), (LEFT, 6),
    (LEFT | A, 6), (LEFT | B | A, 6), (DOWN, 8), (UP, 8), (0, 6), (RIGHT | DOWN, 2), (B, 2),
]  # fmt: skip
LENGTHS = [2, 4, 6, 10, 16, 24, 32]
BURST = 14
WAIT = 1500
"""The most frames that loading, a pipe or the end of a level takes."""
FARTHEST = 6400
"""px: no level is longer."""
VINE = 0x2F
MAZES = ("4-4", "7-4", "8-4")
TAIL = 90
"""Frames that a way goes on after its last place, for what comes there."""

Moves = list[tuple[int, int]]
Cell = tuple[int, ...]


def write_moves(moves: Moves) -> str:
    """As text: the buttons' letters and for how many frames, `.` for none."""
    merged: Moves = []
    for buttons, frames in moves:
        if merged and merged[-1][0] == buttons:
            merged[-1] = buttons, merged[-1][1] + frames
        else:
            merged.append((buttons, frames))
    names = ["".join(c for i, c in enumerate(LETTERS) if b >> i & 1) or "." for b, _ in merged]
    return " ".join(f"{name}{frames}" for name, (_, frames) in zip(names, merged, strict=True))


@dataclass(eq=False)
class Place:
    """Where a search has been."""

    parent: Place | None
    moves: Moves
    """From its parent."""
    snapshot: bytes
    frames: int
    """From the level's start."""
    cell: Cell
    chosen: int = 0

    def way(self) -> list[Place]:
        places: list[Place] = []
        place: Place | None = self
        while place is not None:
            places.append(place)
            place = place.parent
        return places[::-1]


@dataclass
class Search:
    rom: Rom
    level: str
    seed: int
    vines: bool = False
    places: dict[Cell, Place] = field(default_factory=dict)
    ends: dict[int, Place] = field(default_factory=dict)
    """By the level that follows: the shortest way there."""
    spent: int = 0

    def __post_init__(self) -> None:
        self.console = Console(self.rom)
        self.ram = self.console.ram
        self.random = random.Random(f"{self.seed} {self.level}")
        start_level(self.console, self.level)
        self.recent: list[Place] = []
        self._keep(Place(None, [], self.console.save(), 0, self.cell()))

    def number(self) -> int:
        return memory.level_number(self.ram)

    def cell(self) -> Cell:
        ram = self.ram
        x, y = memory.player_x(ram), memory.player_y(ram) + 256
        area = int(ram[memory.AREA_DATA]) | int(ram[memory.AREA_DATA + 1]) << 8
        extras = (
            int(ram[memory.FLOAT_STATE] == 3),
            min(int(ram[memory.POWER]), 2),
            int(ram[memory.STAR_TIMER] > 0),
        )
        if self.vines:
            active, kinds = ram[memory.OBJECT_ACTIVE :][:5], ram[memory.OBJECT_ID :][:5]
            extras = extras[0] + 2 * int(((active != 0) & (kinds == VINE)).any()), *extras[1:]
        return area, int(ram[memory.MAZE_CORRECT]), x // 24, y // 32, *extras

    def dead(self) -> bool:
        lost = (memory.STATES["lose_life"], memory.STATES["dying"])
        return self.ram[memory.PLAYER_STATE] in lost or bool(self.ram[memory.Y_PAGE] > 1)

    def playing(self) -> bool:
        return memory.playing(self.ram)

    def _keep(self, place: Place) -> None:
        known = self.places.get(place.cell)
        if known is not None:
            return
        self.places[place.cell] = place
        self.recent.append(place)
        del self.recent[:-40]

    def _choose(self) -> Place:
        if self.recent and self.random.random() < 0.4:
            return self.random.choice(self.recent)
        few = self.random.sample(self._all, min(8, len(self._all)))
        return min(few, key=lambda place: place.chosen)

    def run(self, frames: int) -> None:
        """Goes on until so many frames have been played."""
        self._all = list(self.places.values())
        tried = 0
        while self.spent < frames:
            tried += 1
            if tried % 50 == 0:
                self._all = list(self.places.values())
            self._explore(self._choose())

    def _explore(self, place: Place) -> None:
        place.chosen += 1
        self.console.load(place.snapshot)
        parent, moves, frames = place, [], place.frames
        buttons = 0
        for _ in range(BURST):
            if self.random.random() < 0.8:
                buttons = self.random.choices(
                    [b for b, _ in CHOICES], [weight for _, weight in CHOICES]
                )[0]
            length = self.random.choice(LENGTHS)
            self.console.step(buttons, length)
            self.spent += length
            frames += length
            moves.append((buttons, length))
            if self.dead():
                return
            waited = 0
            while not self.playing() and not self.dead() and waited < WAIT:
                self.console.step(0, 4)
                waited += 4
            if waited:
                moves.append((0, waited))
                frames += waited
                self.spent += waited
            if self.dead() or waited >= WAIT:
                return
            cell = self.cell()
            if cell[2] * 24 > FARTHEST:  # past the flagpole, where levels never end
                return
            number = self.number()
            if number != level_index(self.level):
                end = self.ends.get(number)
                if end is None or frames < end.frames:
                    self.ends[number] = Place(parent, moves, b"", frames, (-number, *cell))
                return
            if cell not in self.places:
                new = Place(parent, moves, self.console.save(), frames, cell)
                self._keep(new)
                parent, moves = new, []

    def best(self, budget: int) -> list[list[Place]]:
        """Ways with at most so many frames together: to all ends, then what shows most."""
        ways: list[list[Place]] = []
        seen: set[Cell] = set()

        def worth(place: Place) -> float:
            rooms = {(cell[0], cell[2] // 10) for cell in seen}
            value = 0.0
            for step in place.way():
                if step.cell not in seen:
                    value += 1
                room = step.cell[0], step.cell[2] // 10
                if room not in rooms:
                    value += 8
                    rooms.add(room)
            return value / (step.frames + 200)

        def take(place: Place) -> int:
            ways.append(place.way())
            seen.update(step.cell for step in ways[-1])
            return place.frames + TAIL

        for end in sorted(self.ends.values(), key=lambda place: place.frames):
            budget -= take(end)

        def sights(cell: Cell) -> set[Cell]:
            """What a level is not played for without having seen: rooms, vines, powers."""
            return {(0, cell[0]), (1, cell[4]), (2, cell[5]), (3, cell[6])}

        for sight in sorted(set().union(*map(sights, self.places))):
            if sight in set().union(*map(sights, seen or [(0,) * 7])):
                continue
            there = [place for cell, place in self.places.items() if sight in sights(cell)]
            budget -= take(max(there, key=worth))
        while budget > 200:
            fitting = [p for p in self.places.values() if p.frames + TAIL <= budget]
            place = max(fitting, key=worth)
            if place.frames == 0:
                break
            budget -= take(place)
        return ways


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--levels", default=",".join(LEVELS))
    parser.add_argument(
        "--frames", type=int, default=1_200_000, help="searched in a level; three times in a maze"
    )
    parser.add_argument("--budget", type=int, default=3600, help="frames written for each level")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--vines", action="store_true", help="places where one has grown count anew"
    )
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    rom = open_rom()
    with args.out.open("w") as out:
        for level in args.levels.split(","):
            search = Search(rom, level, args.seed, args.vines)
            search.run(args.frames * (3 if level in MAZES else 1))
            tail = random.Random(level)
            ends = [LEVELS[number] for number in sorted(search.ends)]
            areas = {cell[0] for cell in search.places}
            ways = search.best(args.budget)
            far = max(cell[2] * 24 for cell in search.places)
            print(
                f"{level}: {len(search.places)} places in {len(areas)} areas, x up to {far}, "
                f"then {ends}; {len(ways)} ways, {sum(w[-1].frames for w in ways)} frames",
                flush=True,
            )
            for way in ways:
                moves = [move for place in way for move in place.moves]
                for _ in range(3):
                    moves.append((tail.choice(CHOICES)[0], TAIL // 3))
                out.write(f"{level} {write_moves(moves)}\n")
            out.flush()


if __name__ == "__main__":
    main()
