"""Short trainings for `tests/training/test_ranks.py`: the same in one process, where it calls them,
and in each of several that torchrun has started with this file.

    torchrun --nproc-per-node 2 -m tests.support.ranked_runs DIRECTORY
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import psutil

from warpzone.errors import WarpzoneError
from warpzone.training import TrainConfig, resolve, train
from warpzone.training.progress import NoDisplay

GAMES, STEPS = 8, 32
BATCH = GAMES * STEPS

ENVS: dict[str, Any] = {"levels": {"1-1": 1.0, "1-2": 1.0}, "noop_max": 30, "max_steps": 40}

RUNS: dict[str, dict[str, Any]] = {
    "native": {"learner": "native"},
    "torch": {"learner": "torch", "objective": "kl"},
    "pictures": {
        "preset": "pixels",
        "env": {**ENVS, "size": (20, 20)},
        "network": {"kind": "patches", "hidden": [16]},
    },
    "curriculum": {
        "env": {**ENVS, "levels": {"1-1": 1.0, "1-2": 2.0}, "start_steps": 16},
        "curriculum": {"share": 0.6, "search_steps": 20_000},
        "prioritize_levels": True,
        "last_end_penalty": 2.0,
    },
}
"""What is trained with several ranks and with one, by name."""

RESUMED = "native"
"""The one that other numbers of ranks go on with."""

UNFIT: dict[str, dict[str, Any]] = {
    "games": {"num_envs": 9},
    "practice": {"env": {**ENVS, "start_steps": 40}, "practice": {"share": 0.5}},
    "algorithm": {"preset": "pqn"},
}
"""What several ranks cannot train."""


def config_of(settings: dict[str, Any], updates: int = 2) -> TrainConfig:
    """Returns the settings of a training of so many updates."""
    chosen: dict[str, Any] = {
        "env": ENVS,
        "num_envs": GAMES,
        "rollout_steps": STEPS,
        "minibatch_size": 100,
        "update_epochs": 2,
        "total_steps": updates * BATCH,
        "network": {"hidden": [32, 16]},
        "target_clear_rate": None,
        "eval_episodes": 3,
        "checkpoint_every": 1,
        "keep_checkpoints": 9,
        "amp": False,
        "device": "cpu",
        "threads": 1,
        **settings,
    }
    return resolve(chosen.pop("preset", "tiles"), **chosen)


def run(name: str, out: Path, *, updates: int = 2, resume: bool = False) -> None:
    """Trains one of `RUNS`."""
    config = config_of(RUNS[name], updates)
    train(config, out, display=NoDisplay(), resume=resume)


def main(directory: Path) -> None:
    """Trains all of them, goes on with one that one process has begun, and asks for what is not to
    be had; what was said to that, and where it listens, goes to files of this rank."""
    rank = os.environ["RANK"]
    for name in RUNS:
        run(name, directory / name)
    listening = {c.laddr.ip for c in psutil.Process().net_connections() if c.status == "LISTEN"}
    (directory / f"listening-{rank}.txt").write_text(" ".join(sorted(listening)))
    run(RESUMED, directory / "begun-by-one", updates=3, resume=True)
    for name, settings in UNFIT.items():
        try:
            train(config_of(settings), directory / "unfit", display=NoDisplay())
        except WarpzoneError as error:
            (directory / f"{name}-{rank}.txt").write_text(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
