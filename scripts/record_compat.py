"""Records what gym-super-mario-bros 7.4.0 gives along random steps, for tests/compat.

It needs old packages, so it runs in an environment of its own and imports nothing of this project:

    python -m venv peer
    peer/bin/pip install gym-super-mario-bros==7.4.0 nes-py==8.2.1 gym==0.26.2 "numpy<2"
    peer/bin/python scripts/record_compat.py tests/data/compat.jsonl

A line for each environment: its arguments, and episodes with the action of each step, the reward,
whether it was done, the info, and of every 16th step the CRC-32 of the picture without its first
line, in which nes-py repeats sprites of the last one. Types are told too.
"""

from __future__ import annotations

import argparse
import base64
import json
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np

EVERY = 16
INFO = (
    "coins", "flag_get", "life", "score", "stage", "status", "time", "world", "x_pos", "y_pos",
)  # fmt: skip
ACTIONS = (0, 128, 129, 130, 131, 1, 64)
"""The bytes of SIMPLE_MOVEMENT."""
ODDS = (0.05, 0.15, 0.2, 0.2, 0.25, 0.05, 0.1)
CHANGE = 0.2
"""Probability of another action in a step."""
ENVIRONMENTS: tuple[dict[str, Any], ...] = (
    *({"target": target} for target in ((1, 1), (1, 2), (1, 4), (2, 2), (4, 1), (8, 1))),
    {"target": (2, 1), "rom_mode": "downsample"},
    {"target": (3, 1), "lost_levels": True},
    {"target": (4, 2), "lost_levels": True},
    {},
    {"lost_levels": True},
)


def record(arguments: dict[str, Any], steps: int, seed: int) -> dict[str, Any]:
    """Plays at least so many steps, up to the end of an episode or 600 more."""
    from gym_super_mario_bros import SuperMarioBrosEnv

    env = SuperMarioBrosEnv(**arguments)
    random = np.random.RandomState(seed)
    episodes = []
    played = 0
    while played < steps:
        shown = env.reset()
        actions, values, pictures = [], [], [crc(shown)]
        action, done = 0, False
        while not done and played < steps + 600:
            if random.rand() < CHANGE:
                action = ACTIONS[random.choice(len(ACTIONS), p=ODDS)]
            shown, reward, done, info = env.step(action)
            played += 1
            actions.append(action)
            values.append([reward, done, *(told(info[name]) for name in INFO)])
            if len(actions) % EVERY == 0:
                pictures.append(crc(shown))
        episodes.append({"actions": actions, "values": columns(values), "pictures": pictures})
    types = {name: type(info[name]).__name__ for name in INFO}
    return {"arguments": arguments, "types": types, "steps": played, "episodes": episodes}


def columns(rows: list[list[Any]]) -> dict[str, list[list[Any]]]:
    """Of each value its changes: [step, value]."""
    found = {}
    for index, name in enumerate(("reward", "done", *INFO)):
        column = [row[index] for row in rows]
        found[name] = [
            [step, value]
            for step, value in enumerate(column)
            if step == 0 or value != column[step - 1]
        ]
    return found


def pack(value: Any) -> str:
    text = json.dumps(value, separators=(",", ":"))
    return base64.b85encode(zlib.compress(text.encode(), 9)).decode()


def crc(picture: Any) -> int:
    return zlib.crc32(np.ascontiguousarray(picture[1:]).tobytes())


def told(value: Any) -> Any:
    return value if isinstance(value, str) else int(value)


def main() -> None:
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=2000, help="of each environment")
    args = parser.parse_args()
    with args.out.open("w") as out:
        for seed, arguments in enumerate(ENVIRONMENTS):
            found = record(arguments, args.steps, seed)
            steps, episodes = found["steps"], len(found["episodes"])
            found["episodes"] = pack(found["episodes"])
            out.write(json.dumps(found) + "\n")
            print(arguments, steps, episodes, flush=True)


if __name__ == "__main__":
    main()
