"""Records what gym-super-mario-bros 7.4.0 tells along tests/data/play.txt, for tests/parity.

It needs old packages, so it runs in an environment of its own and imports nothing of this project:

    python -m venv peer
    peer/bin/pip install gym-super-mario-bros==7.4.0 nes-py==8.2.1 gym==0.26.2 "numpy<2"
    peer/bin/python scripts/record_gym.py tests/data/play.txt tests/data/gym.jsonl

nes-py ends its frames in the middle of the game's: during the interrupt, after or before the game
has read its buttons, but always before it has moved anything. So a step shows what the game's frame
before has brought, and an action counts in that step's frame or in the next. What is recorded with
a step are therefore the buttons that the game had read for what it shows: `Reads` finds them out.

A record begins with the RAM as it must have been before the interrupt. It ends with the episode, or
where gym-super-mario-bros hurries through a pipe or a vine by writing to RAM, which changes the
course of the game; another one begins after that.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import warnings
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LETTERS = "ABsSUDLR"
FRAMES, TIMERS, TIMER_CONTROL, RANDOM = 0x09, 0x0780, 0x077F, 0x07A7
SPRITE, PAUSE_TIMER, CHANGE_AREA_TIMER = 0x0204, 0x0777, 0x06DE
PAD, PORT = 0x06FC, 0x00
COLUMNS = (
    "reward", "done", "flag_get", "x_pos", "y_pos", "coins", "score", "time", "life", "world",
    "stage", "status",
)  # fmt: skip
STATUS = ["small", "tall", "fireball"]


def parse_moves(text: str) -> Iterator[int]:
    for letters, frames in re.findall(r"(\.|[A-Za-z]+)(\d+)", text):
        byte = sum(1 << LETTERS.index(letter) for letter in letters.replace(".", ""))
        yield from [byte] * int(frames)


def write_moves(buttons: Iterable[int]) -> str:
    runs: list[list[int]] = []
    for byte in buttons:
        if runs and runs[-1][0] == byte:
            runs[-1][1] += 1
        else:
            runs.append([byte, 1])
    names = ["".join(c for i, c in enumerate(LETTERS) if byte >> i & 1) or "." for byte, _ in runs]
    return " ".join(f"{name}{count}" for name, (_, count) in zip(names, runs, strict=True))


def pack(data: bytes) -> str:
    return base64.b85encode(zlib.compress(data, 9)).decode()


def random_before(seven: list[int]) -> list[int]:
    """The game's shift register, one step back; the bit that has left it never counts again."""
    return [
        (byte << 1 | after >> 7) & 255 for byte, after in zip(seven, [*seven[1:], 0], strict=True)
    ]


def before_interrupt(env: Any) -> NDArray[np.uint8] | None:
    """RAM from which our console goes on like this, or None. It can be told where the interrupt has
    counted already and put the sprites away, but nothing has been moved or drawn yet."""
    for _ in range(100):
        ram = env.ram.astype(int)
        if ram[SPRITE] == 0xF8 and not env._is_busy and not env._is_dying:
            ram[FRAMES] = (ram[FRAMES] - 1) & 255
            ram[RANDOM : RANDOM + 7] = random_before(ram[RANDOM : RANDOM + 7].tolist())
            ram[TIMER_CONTROL] += 1
            ram[TIMERS : TIMERS + 21] += ram[TIMERS : TIMERS + 21] > 0
            ram[PAUSE_TIMER] += ram[PAUSE_TIMER] > 0
            before: NDArray[np.uint8] = ram.astype(np.uint8)
            return before
        env._frame_advance(0)
    return None


class Reads:
    """Finds out with which step's buttons each frame of the game was played.

    A step ends before or after the game has taken over a frame's buttons: after it, if the game has
    counted the frame already, or if a byte from the controller's port still lies where the game
    puts it for a while. A game that lags counts too few frames: then the trace is lost.
    """

    def __init__(self, env: Any) -> None:
        self.env = env
        self.early = True
        self.counted = int(env.ram[FRAMES])
        self.lagged = False

    def after_step(self, action: int, last: int) -> int:
        """The buttons with which the frame that is now shown was played: those of this step,
        `action`, or of the step before, `last`."""
        ram = self.env.ram
        was_early = self.early
        self.counted = (self.counted + 1) & 255
        behind = (self.counted - int(ram[FRAMES])) & 255
        self.lagged |= behind > 1
        self.early = behind == 0 or ram[PORT] in (0x40, 0x41)
        if was_early:
            return last
        if not self.early:  # what was read for that frame is still there
            return int(f"{int(ram[PAD]):08b}"[::-1], 2)
        return action


class Recorder:
    def __init__(self, level: str) -> None:
        from gym_super_mario_bros import SuperMarioBrosEnv

        class Watched(SuperMarioBrosEnv):  # type: ignore[misc]  # another environment's
            """Lets us look before it writes to RAM; tells whether it is going to."""

            def _did_step(self, done: bool) -> None:
                self.looked = self.look_first()
                timer = self.ram[CHANGE_AREA_TIMER]
                hurries = self._is_busy or self._is_world_over or 1 < timer < 255
                self.stopped = not done and bool(hurries)
                super()._did_step(done)

        self.level = level
        self.env = Watched(target=tuple(map(int, level.split("-"))))

    def record(self, moves: str, limit: int) -> list[dict[str, str]]:
        """Records of one episode."""
        env = self.env
        env.reset()
        wanted = list(parse_moves(moves))[:limit]
        records = []
        at = 0
        done = False
        while at < len(wanted) and not done:
            ram = before_interrupt(env)
            if ram is None:
                break
            env._did_reset()
            reads = Reads(env)
            rows: list[list[int]] = []
            played: list[int] = []
            last = 0
            stopped = False
            while at < len(wanted) and not done and not stopped and not reads.lagged:
                action = wanted[at] if reads.early or at == 0 else wanted[at - 1]
                at += 1
                env.look_first = lambda a=action, b=last, r=reads: r.after_step(a, b)
                _, reward, done, info = env.step(action)
                played.append(env.looked)
                stopped = env.stopped
                last = action
                info["status"] = STATUS.index(info["status"])
                row = {"reward": reward, "done": done, **info}
                rows.append([int(row[name]) for name in COLUMNS])
            if reads.lagged:
                rows, played = rows[:-1], played[:-1]
            if not rows:
                continue
            values = np.diff(np.array([[0] * len(COLUMNS), *rows]), axis=0).T
            records.append(
                {
                    "level": self.level,
                    "ram": pack(ram.tobytes()),
                    "buttons": write_moves(played),
                    "values": pack(np.ascontiguousarray(values, dtype="<i4").tobytes()),
                }
            )
        return records


def main() -> None:
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("play", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--ways", type=int, default=2, help="of each level")
    parser.add_argument("--limit", type=int, default=3000, help="steps of each way")
    parser.add_argument("--levels", default="")
    args = parser.parse_args()
    ways: dict[str, list[str]] = {}
    for line in args.play.read_text().splitlines():
        if line and not line.startswith("#"):
            level, moves = line.split(" ", 1)
            ways.setdefault(level, []).append(moves)
    with args.out.open("w") as out:
        for level, texts in ways.items():
            if args.levels and level not in args.levels.split(","):
                continue
            recorder = Recorder(level)
            count = steps = 0
            for text in texts[: args.ways]:
                for record in recorder.record(text, args.limit):
                    out.write(json.dumps(record) + "\n")
                    count += 1
                    steps += sum(map(int, re.findall(r"\d+", record["buttons"])))
            print(f"{level}: {count} records, {steps} steps", flush=True)


if __name__ == "__main__":
    main()
