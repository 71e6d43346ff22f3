"""Public training scripts for gym-super-mario-bros, before and after a change of their imports.

    python -m benchmarks.public_scripts --sources FOLDER --before PYTHON --out scripts.json

FOLDER has a clone of each repository of `SCRIPTS`, at its commit, under the name there. PYTHON is
one with gym 0.25.2, gym-super-mario-bros 7.4.0, nes-py 8.2.1 and NumPy 1; both it and this one have
torch, opencv-python-headless, scikit-image and tensorboardX. `scripts/adapt_imports.py` makes the
copies that run on warpzone.

Before and after run in turns, in new processes of one thread each, and CPU seconds are counted, so
that a busy machine slows both alike. "environment": the environment as the script builds it, its
wrappers included, with random actions; both must give the same sum of rewards. "training": the
script's own loop, with its network and updates.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.turns import row, summary
from scripts.adapt_imports import adapt


@dataclass(frozen=True)
class Script:
    """A repository, and how its parts are used.

    Attributes:
        folder: of its clone.
        repository: on GitHub.
        commit: that was measured.
        environment: Python that makes `env`.
        training: Python that trains for about `steps` agent steps, or "".
        frames: of the game in an agent step.
    """

    folder: str
    repository: str
    commit: str
    environment: str
    training: str = ""
    frames: int = 4


SCRIPTS = (
    Script(
        "ppo",
        "uvipen/Super-mario-bros-PPO-pytorch",
        "ab4248d715346c6adc33c2157455e2b98c130bcc",
        "from src.env import SIMPLE_MOVEMENT, create_train_env\n"
        "env = create_train_env(1, 1, SIMPLE_MOVEMENT)",
    ),
    Script(
        "a3c",
        "uvipen/Super-mario-bros-A3C-pytorch",
        "08ca511b82d2d8acbe93b9568136f05064ec7d0b",
        "from src.env import create_train_env\n"
        "env, shown, actions = create_train_env(1, 1, 'complex')",
        "from types import SimpleNamespace\n"
        "from src.env import create_train_env\n"
        "from src.model import ActorCritic\n"
        # Their own, of 2018, does not run with torch 2, on either side.
        "from torch.optim import Adam\n"
        "from src.process import local_train\n"
        "options = SimpleNamespace(world=1, stage=1, action_type='complex', lr=1e-4, gamma=0.9,\n"
        "    tau=1.0, beta=0.01, num_local_steps=50, num_global_steps=steps, save_interval=10**9,\n"
        "    log_path='log', saved_path='.', use_gpu=False)\n"
        "env, shown, actions = create_train_env(1, 1, 'complex')\n"
        "model = ActorCritic(shown, actions)\n"
        "local_train(0, options, model, Adam(model.parameters(), lr=options.lr))",
    ),
    Script(
        "ddqn",
        "yfeng997/MadMario",
        "6c7bfc2cfe40baae78d9a9aeb62f68d651887ea0",
        "exec(open('main.py').read().split('env.reset()')[0])",
        # Its memory is filled for 100,000 steps before it learns; here for a tenth of the steps.
        "import agent\n"
        "made, kept = agent.Mario.__init__, agent.Mario.cache\n"
        "class Enough(Exception): pass\n"
        "def make(self, *given, **named):\n"
        "    made(self, *given, **named)\n"
        "    self.burnin = steps // 10\n"
        "def keep(self, *given):\n"
        "    kept(self, *given)\n"
        "    if self.curr_step >= steps: raise Enough\n"
        "agent.Mario.__init__, agent.Mario.cache = make, keep\n"
        "try: exec(open('main.py').read())\n"
        "except Enough: pass",
    ),
)

COMMON = """
import json, os, random, sys, time, warnings
warnings.filterwarnings("ignore")
sys.path.insert(0, "")
import numpy as np
import torch
torch.set_num_threads(1); torch.manual_seed(1); random.seed(1); np.random.seed(1)
steps, total = int(sys.argv[1]), 0.0
"""
ENVIRONMENT = """
draws = np.random.RandomState(2).randint(0, env.action_space.n, steps).tolist()
env.reset()
done = False
begun = time.thread_time()
for action in draws:
    if done:
        env.reset()
    *_, reward, done, _ = env.step(action)
    total += float(reward)
"""
END = """
print("MEASURED", json.dumps({"seconds": time.thread_time() - begun, "reward": total}))
"""


def program(script: Script, what: str) -> str:
    """Returns the Python that measures one thing."""
    if what == "environment":
        return COMMON + script.environment + ENVIRONMENT + END
    return COMMON + "begun = time.thread_time()\n" + script.training + END


def measure(python: str, folder: Path, script: Script, what: str, steps: int) -> dict[str, float]:
    """Runs it in a process of its own, in the script's folder. Returns `seconds` and `reward`."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    ran = subprocess.run(
        [python, "-c", program(script, what), str(steps)],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
    )
    for line in ran.stdout.splitlines():
        if line.startswith("MEASURED "):
            found: dict[str, float] = json.loads(line.removeprefix("MEASURED "))
            return found
    raise SystemExit(f"{script.repository}, {what}: {ran.stdout[-500:]}{ran.stderr[-2000:]}")


def compare(
    before: str, sources: Path, copies: Path, script: Script, what: str, steps: int, repeats: int
) -> dict[str, Any]:
    """Measures before and after in turns. Returns agent steps per CPU second of both, and the
    ratio: medians, and all of them."""
    turns = []
    for _ in range(repeats):
        old = measure(before, sources / script.folder, script, what, steps)
        new = measure(sys.executable, copies / script.folder, script, what, steps)
        if what == "environment" and old["reward"] != new["reward"]:
            raise SystemExit(f"{script.repository}: rewards differ, {old} and {new}")
        turns.append((steps / old["seconds"], steps / new["seconds"]))
    return {
        "repository": script.repository,
        "commit": script.commit,
        "what": what,
        "steps": steps,
        **summary(turns),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--sources", type=Path, required=True)
    parser.add_argument("--before", required=True, help="a Python with the old packages")
    parser.add_argument("--steps", type=int, default=1000, help="agent steps of a measurement")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    results = []
    print("| script | what | before | after | times |\n|---|---|--:|--:|--:|", file=sys.stderr)
    with tempfile.TemporaryDirectory() as copies:
        for script in SCRIPTS:
            adapt(args.sources / script.folder, Path(copies) / script.folder)
            for what in ("environment", "training") if script.training else ("environment",):
                results.append(
                    compare(
                        args.before,
                        args.sources,
                        Path(copies),
                        script,
                        what,
                        args.steps,
                        args.repeats,
                    )
                )
                print(row(results[-1], "repository", "what"), file=sys.stderr, flush=True)
    text = json.dumps({"results": results}, indent=1)
    if args.out is None:
        print(text)
    else:
        args.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
