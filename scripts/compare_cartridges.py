"""Plays cartridges on our console and on cynes, frame by frame, and says where they differ.

    python -m scripts.compare_cartridges FRAMES CARTRIDGE.nes...

Work RAM and the cartridge's RAM are compared after every frame, the picture after every eighth.
The frames are shared by sessions of 2,500 frames, each of which begins with switching the console
on and leaves the menus with Start. Then it plays in one of three styles: at random; mostly to the
right, like somebody who wants to get on; and by search, which tries some ways to go on from a
snapshot and takes the one behind which the picture is the one that has been seen least.

Both consoles end their frames where the interrupt of vertical blank is due, ours behind the
instruction in which it comes. Where a frame of the game takes longer than one of the console, what
is compared may be one instruction apart: such a difference is gone in the next frame, and is
counted apart from those that stay. The same makes an interrupt leave another address behind below
the stack pointer, where nobody reads it any more: frames in which only such bytes differ are
counted as stale. Needs `cynes` (an extra of the tests), which runs mappers 0 to 4 and 7.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tests.parity.peer import Peer, peer_colours

from warpzone import Console

SESSION, BOOT, HELD, MENUS, PICTURES = 2500, 30, 10, 500, 8
START, RIGHT = 8, 128
STYLES = ("random", "right", "search")
MARKER = bytes(range(101, 165))
SHOWN, SHOWN_FRAMES = 4, 40


@dataclass
class Findings:
    """What differed: numbers of frames, and places by how often."""

    frames: int = 0
    pictures: int = 0
    once: list[str] = field(default_factory=list)
    """Frames in which RAM differed and in the next one did not."""
    stayed: list[str] = field(default_factory=list)
    stale: int = 0
    pictures_differ: list[str] = field(default_factory=list)


def prg_ram_in(peer: Peer) -> int | None:
    """Where the cartridge's RAM is in the peer's snapshots; None where it has none. Clears it, like
    ours when it is switched on."""
    for i, byte in enumerate(MARKER):
        peer.poke(0x6000 + i, byte)
    at = peer.save().tobytes().find(MARKER)
    for i in range(0x2000):
        peer.poke(0x6000 + i, 0)
    return at if at >= 0 else None


def unequal(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> list[int]:
    return [int(i) for i in np.flatnonzero(ours != theirs)]


def live(console: Console, places: list[int]) -> list[int]:
    """Addresses of work RAM without those below the stack pointer."""
    stack = 0x100 + console.native.registers()[5]
    return [i for i in places if not 0x100 <= i <= stack]


class Player:
    """Chooses buttons. The console that it looks at is then where it was before."""

    def __init__(self, style: str, seed: int) -> None:
        self.style, self.random = style, np.random.default_rng(seed)
        self.seen: Counter[bytes] = Counter()

    def buttons(self, console: Console, frame: int) -> list[int]:
        """The buttons of the next frames."""
        if frame < MENUS and self.style != "search":
            return [START if frame // HELD % 3 == 0 else self.any() & 0xF3] * HELD
        if self.style != "search":
            return self.stretch()
        ways = [self.stretch() + self.stretch() + self.stretch() for _ in range(5)]
        ways.append(([START] * HELD + [0] * HELD) * 2)
        before, counts = console.save(), []
        for way in ways:
            for held in way:
                console.step(held)
            cell = (console.screen()[::24, ::16] >> 2).tobytes()
            counts.append(self.seen[cell])
            self.seen[cell] += 1
            console.load(before)
        return ways[int(np.argmin(counts))]

    def any(self) -> int:
        return int(self.random.integers(256))

    def stretch(self) -> list[int]:
        if self.style == "random" or self.random.integers(8) == 0:
            return [self.any()] * HELD
        held = RIGHT if self.random.integers(4) else int(self.random.choice([64, 32, 16, 0]))
        return [held | int(self.random.integers(4))] * (HELD * int(self.random.integers(1, 4)))


def boot(path: Path) -> tuple[Peer, Console, int | None]:
    """Both consoles at the same frame, and where the peer's snapshots have the cartridge's RAM. The
    peer's first frame ends at once, or not."""
    for _ in range(8):
        peer, console = Peer(path), Console(path, engine="interpreter")
        at = prg_ram_in(peer) if len(console.prg_ram) else None
        peer.step(0, BOOT)
        for _ in range(BOOT + 4):
            console.step(0)
            if not live(console, unequal(console.ram, peer.ram)):
                return peer, console, at
    raise RuntimeError(f"{path}: cynes and we never come to the same frame")


def session(path: Path, style: str, seed: int, frames: int, found: Findings) -> None:
    """Plays a session and adds what is found."""
    peer, console, at = boot(path)
    player, colours = Player(style, seed), peer_colours()
    done, complaint = 0, ""
    while done < frames:
        for held in player.buttons(console, done)[: frames - done]:
            peer.step(held)
            console.step(held)
            done += 1
            state = peer.save()
            where = unequal(console.ram, peer.ram_of(state))
            names = [f"${i:04X}" for i in live(console, where)]
            if at is not None:
                ram = state[at : at + len(console.prg_ram)]
                names += [f"${0x6000 + i:04X}" for i in unequal(console.prg_ram, ram)]
            found.stale += len(where) > 0 and not names
            if complaint:
                (found.stayed if names else found.once).append(complaint)
            complaint = f"{style} {seed}, {done}: {', '.join(names[:SHOWN])}" if names else ""
            if done % PICTURES == 0:
                found.pictures += 1
                wrong = np.argwhere((colours[console.screen()] != peer.picture).any(axis=2))
                if len(wrong):
                    lines = sorted({int(y) for y, _ in wrong})
                    found.pictures_differ.append(
                        f"{style} {seed}, {done}: {len(wrong)} px in {len(lines)} lines from "
                        f"{lines[0]} to {lines[-1]}"
                    )
    found.frames += done


def sessions(frames: int) -> Iterator[tuple[str, int, int]]:
    """Style, seed and frames of each session."""
    for i in range((frames + SESSION - 1) // SESSION):
        yield STYLES[i % len(STYLES)], i, min(SESSION, frames - i * SESSION)


def report(name: str, found: Findings) -> str:
    """What was found, in words."""
    lines = [
        f"{name}: {found.frames:,} frames; RAM differs for a frame in {len(found.once)}, longer in "
        f"{len(found.stayed)}; {found.stale} are stale; of {found.pictures:,} pictures "
        f"{len(found.pictures_differ)} differ"
    ]
    for kind in ("once", "stayed", "pictures_differ"):
        lines += [f"  {kind}: {line}" for line in getattr(found, kind)[:SHOWN_FRAMES]]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Prints what was found."""
    parser = argparse.ArgumentParser(description="Compare cartridges with cynes, frame by frame.")
    parser.add_argument("frames", type=int, help="for each cartridge")
    parser.add_argument("cartridges", type=Path, nargs="+", help="files with .nes")
    parser.add_argument("--json", action="store_true", help="print all of it, as JSON")
    options = parser.parse_args(arguments)
    for path in options.cartridges:
        found = Findings()
        for style, seed, frames in sessions(options.frames):
            session(path, style, seed, frames, found)
            print(report(path.name, found).partition("\n")[0], file=sys.stderr, flush=True)
        if options.json:
            print(json.dumps({"cartridge": path.name, **vars(found)}), flush=True)
        else:
            print(report(path.name, found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
