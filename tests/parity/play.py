"""Recorded play: button sequences that get somewhere, and what cynes makes of them.

A line of `tests/data/play.txt`, which `scripts/find_play.py` found, or of `menus.txt`, which is by
hand, says where a sequence starts and which buttons are held for how many frames. `cynes.txt` holds
digests of what cynes computes along them, so that all of it can be compared in seconds. To compare
frame by frame with cynes itself (about 2 ms a frame), and to record anew after a change:

    python -m tests.parity.play            # all sequences, every frame; a part: 1-1,menu
    python -m tests.parity.play --record   # also writes tests/data/cynes.txt
"""

from __future__ import annotations

import argparse
import re
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from tests.parity.peer import Peer, peer_colours

from warpzone import Console
from warpzone.nes.cartridge import open_rom
from warpzone.nes.rom import Rom
from warpzone.smb.levels import LEVELS, level_index

DATA = Path(__file__).parent.parent / "data"
FILES = ("play.txt", "vines.txt", "menus.txt")
LETTERS = "ABsSUDLR"
"""Of the buttons, from the lowest bit: s is select, S is start."""
BLOCK = 64
"""Frames to a digest."""
SPLIT = range(30, 41)
"""Lines in one of which the game changes the scroll, below its status bar. Ours draws whole lines,
so where the change comes in the middle of one, that one line may differ."""
SPLIT_DIFFERS = "----"
"""In place of a picture's digest where it does."""
LAGS = "--------"
"""In place of a digest of RAM where a frame ended in the middle of the game's: see `compare`."""
COUNTER, PAUSED = 0x09, 0x0776
"""The game's own frames stop being counted where it lags or is paused."""
BOOT = 11
"""Frames from power-on to the title."""
START = 8

OPER_MODE, TASK, PLAYER_STATE = 0x0770, 0x0772, 0x000E
WORLD, STAGE, AREA = 0x075F, 0x075C, 0x0760


@dataclass(frozen=True)
class Run:
    """A sequence. `start` is a level, or "menu" for the title shortly after power-on."""

    name: str
    start: str
    moves: tuple[tuple[int, int], ...]

    @property
    def frames(self) -> int:
        return sum(frames for _, frames in self.moves)

    def buttons(self) -> Iterator[int]:
        for buttons, frames in self.moves:
            yield from [buttons] * frames


def parse_moves(text: str) -> tuple[tuple[int, int], ...]:
    """`RB20 .4`: right and B for 20 frames, then nothing for 4."""
    moves = []
    for token in text.split():
        match = re.fullmatch(rf"(\.|[{LETTERS}]+)(\d+)", token)
        assert match, f"not a move: {token!r}"
        letters = match[1].replace(".", "")
        moves.append((sum(1 << LETTERS.index(letter) for letter in letters), int(match[2])))
    return tuple(moves)


@cache
def load_runs() -> tuple[Run, ...]:
    runs: list[Run] = []
    lines = [line for name in FILES for line in (DATA / name).read_text().splitlines()]
    for start, moves in (line.split(" ", 1) for line in lines if not line.startswith("#")):
        number = 1 + sum(run.start == start for run in runs)
        runs.append(Run(f"{start} {number}", start, parse_moves(moves)))
    return tuple(runs)


def by_start(runs: Iterable[Run]) -> Iterator[tuple[str, list[Run]]]:
    runs = list(runs)
    for start in dict.fromkeys(run.start for run in runs):
        yield start, [run for run in runs if run.start == start]


class Player(Protocol):
    """What both consoles can do."""

    @property
    def ram(self) -> NDArray[np.uint8]: ...
    def poke(self, address: int, value: int) -> None: ...
    def step(self, buttons: int = 0) -> None: ...
    def picture(self) -> NDArray[np.uint8]: ...
    def keep(self) -> Callable[[], None]:
        """Keeps the state; what it returns goes back to it."""


class Theirs:
    def __init__(self, rom: Rom) -> None:
        booted = Ours(rom).ram.tobytes()
        # It does not always need the same number of frames to get there.
        for _ in range(5):
            self.peer = Peer(rom.path)
            self.peer.step(0, 8)
            for _ in range(8):
                if self.peer.ram.tobytes() == booted:
                    break
                self.peer.step()
            else:
                continue
            break
        else:
            raise AssertionError("cynes never came to our frame of the title")
        self.poke, self.step = self.peer.poke, self.peer.step

    @property
    def ram(self) -> NDArray[np.uint8]:
        return self.peer.ram

    def picture(self) -> NDArray[np.uint8]:
        return self.peer.picture

    def keep(self) -> Callable[[], None]:
        state = self.peer.save()
        return lambda: self.peer.load(state)


class Ours:
    def __init__(self, rom: Rom) -> None:
        self.console = Console(rom, engine="compiled")
        self.console.step(0, BOOT)
        self.ram = self.console.ram
        self.step = self.console.step
        self.colours = their_colours()

    def poke(self, address: int, value: int) -> None:
        self.ram[address] = value

    def picture(self) -> NDArray[np.uint8]:
        """In the colours of cynes."""
        return self.colours[self.console.screen()]

    def keep(self) -> Callable[[], None]:
        state = self.console.save()
        return lambda: self.console.load(state)


@cache
def their_colours() -> NDArray[np.uint8]:
    return peer_colours()


def go_to(player: Player, start: str) -> None:
    """From the title shortly after power-on to where a sequence starts: like `boot_level`, at the
    first frame of a level in which Mario obeys."""
    if start == "menu":
        return
    number = level_index(start)
    world, stage = number // 4, number % 4
    # In these worlds the walk to a pipe before the second stage is an area of its own.
    area = stage + (world in (0, 1, 3, 6) and stage >= 1)
    for _ in range(40 - BOOT):
        player.step()
    for i in range(200):
        if player.ram[OPER_MODE] == 1:
            break
        for address, value in ((WORLD, world), (STAGE, stage), (AREA, area)):
            player.poke(address, value)
        player.step(0 if i % 2 else START)
    for _ in range(600):
        ram = player.ram
        if (ram[OPER_MODE], ram[TASK], ram[PLAYER_STATE]) == (1, 3, 8):
            assert (ram[WORLD], ram[STAGE], ram[AREA]) == (world, stage, area)
            return
        player.step()
    raise AssertionError(f"{start} did not begin")


class Digests:
    """Of a console along a sequence: for each `BLOCK` frames one of RAM in all of them, and of the
    picture after the last."""

    def __init__(self, player: Player, frames: int) -> None:
        self.player, self.frames = player, frames
        self.frame = self.ram = 0
        self.counter = -1
        self.lagged = False
        self.found: list[str] = []

    def add(self) -> None:
        """To be called after each frame."""
        ram = self.player.ram
        self.frame += 1
        if ram[COUNTER] == self.counter and ram[PAUSED] & 1 == 0:  # so it was when the last ended
            self.lagged = True
            if self.frame % BLOCK == 1:
                self.found[-1] = LAGS + self.found[-1][8:]
        self.counter = int(ram[COUNTER])
        self.ram = zlib.crc32(ram.tobytes(), self.ram)
        if self.frame % BLOCK == 0 or self.frame == self.frames:
            picture = zlib.crc32(self.player.picture().tobytes())
            digest = LAGS if self.lagged else f"{self.ram:08x}"
            self.found.append(f"{digest}{picture & 0xFFFF:04x}")
            self.ram, self.lagged = 0, False

    def __str__(self) -> str:
        return " ".join(self.found)


def same(ours: str, theirs: str) -> bool:
    """Whether two digests of a block are, as far as they can be compared."""
    parts = [(ours[part], theirs[part]) for part in (slice(0, 8), slice(8, 12))]
    return all("-" in their or our == their for our, their in parts)


def load_digests() -> dict[str, str]:
    path = DATA / "cynes.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    pairs = (line.split(": ", 1) for line in lines if line and not line.startswith("#"))
    return dict(pairs)


def compare(theirs: Player, ours: Player, run: Run, pictures: int = 8) -> str:
    """RAM in every frame, the picture in every so many. Returns the digests, the same ones.

    Where a frame ends in the middle of the game's own, for which it has needed too long, cynes has
    at times executed an instruction more or less. That must be all, and in the next frame gone.
    """
    found = Digests(theirs, run.frames)
    complaint, counter = "", -1
    for frame, buttons in enumerate(run.buttons(), 1):
        theirs.step(buttons)
        ours.step(buttons)
        their_ram = theirs.ram
        at = np.flatnonzero(their_ram != ours.ram).tolist()
        lagged = their_ram[COUNTER] == counter == ours.ram[COUNTER]
        assert not complaint or (lagged and not at), complaint
        complaint, counter = "", int(their_ram[COUNTER])
        found.add()
        if at:
            bytes_ = [f"${i:04X}: {their_ram[i]}, ours {ours.ram[i]}" for i in at[:8]]
            complaint = f"{run.name}, frame {frame}: {len(at)} bytes differ: {bytes_}"
            assert len(at) <= 2, complaint
        last = found.frame % BLOCK == 0 or frame == run.frames
        if frame % pictures == 0 or last:
            wrong = np.argwhere((theirs.picture() != ours.picture()).any(axis=2))
            lines = set(wrong[:, 0].tolist())
            complain = f"{run.name}, frame {frame}: {len(wrong)} pixels differ, in lines {lines}"
            assert len(lines) <= 1, complain
            assert lines <= set(SPLIT), complain
            if lines and last:
                found.found[-1] = found.found[-1][:8] + SPLIT_DIFFERS
    return str(found)


def compare_runs(runs: Iterable[Run], rom: Rom | None = None) -> Iterator[tuple[Run, str]]:
    """Frame by frame on both; yields what has been found the same, with its digests."""
    rom = rom or open_rom()
    for start, group in by_start(runs):
        theirs, ours = Theirs(rom), Ours(rom)
        go_to(theirs, start)
        go_to(ours, start)
        assert theirs.ram.tolist() == ours.ram.tolist(), f"the starts of {start} differ"
        back = theirs.keep(), ours.keep()
        for run in group:
            for go_back in back:
                go_back()
            yield run, compare(theirs, ours, run)


def write_digests(found: dict[str, str]) -> None:
    """Those of sequences that are no more are left out."""
    known = {**load_digests(), **found}
    lines = ["# What cynes computes along the sequences: see tests/parity/play.py."]
    lines += [f"{run.name}: {known[run.name]}" for run in load_runs() if run.name in known]
    (DATA / "cynes.txt").write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("starts", nargs="?", default=",".join(["menu", *LEVELS]))
    parser.add_argument("--record", action="store_true", help="write what cynes computes")
    args = parser.parse_args()
    runs = [run for run in load_runs() if run.start in args.starts.split(",")]
    frames = 0
    began = time.perf_counter()
    for run, found in compare_runs(runs):
        frames += run.frames
        print(f"{run.name}: {run.frames} frames, {time.perf_counter() - began:.0f} s", flush=True)
        if args.record:
            write_digests({run.name: found})
    print(f"{frames} frames in {len(runs)} sequences: RAM the same in each, pictures in every 8th")


if __name__ == "__main__":
    main()
