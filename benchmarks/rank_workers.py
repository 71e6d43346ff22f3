"""What `benchmarks.ranks` measures, in each of the processes that torchrun starts, or in one alone:
a training, or messages of the size of a network's gradients. Rank 0 writes what it found.

    torchrun --standalone --nproc-per-node 2 -m benchmarks.rank_workers training FILE '{"games": …}'
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from benchmarks.training import Stopwatch
from torch import Tensor

from warpzone.process import prepare_for_training
from warpzone.training import resolve, train
from warpzone.training.ranks import Ranks, joined

WARMUP = 3
"""Updates, and messages of each size, that are not measured."""


def messages(order: dict[str, Any]) -> dict[str, list[float]]:
    """Returns seconds of each sum over all ranks, by how many float32 it has.

    Args:
        order: `sizes`, and how many `times` each is sent.
    """
    ranks, found = joined(), dict[str, list[float]]()
    for size in order["sizes"]:
        tensor, seconds = torch.ones(size), list[float]()
        for _ in range(WARMUP + order["times"]):
            ranks.any(False)  # all begin together
            began = time.perf_counter()
            ranks.sum(tensor)
            seconds.append(time.perf_counter() - began)
            tensor.fill_(1.0)
        found[str(size)] = seconds[WARMUP:]
    return found


def training(order: dict[str, Any]) -> dict[str, float]:
    """Returns agent steps per second of some updates, and how long one played, learnt, and was
    about sums over all ranks, which is waiting for the slower one too.

    Args:
        order: `games` and `minibatch` of all ranks together, `threads` of each, `updates`, `seed`,
            `level` and `rom`.
    """
    spent = 0.0
    told = Ranks.sum

    def timed(ranks: Ranks, tensor: Tensor) -> None:
        nonlocal spent
        began = time.perf_counter()
        told(ranks, tensor)
        spent += time.perf_counter() - began

    mock.patch.object(Ranks, "sum", timed).start()  # for the rest of this process
    updates = order["updates"]
    config = resolve(
        "tiles",
        env={"levels": {order["level"]: 1.0}},
        num_envs=order["games"],
        minibatch_size=order["minibatch"],
        target_clear_rate=None,
        eval_every=WARMUP + updates + 1,
        eval_episodes=2,
        checkpoint_every=WARMUP + updates + 1,
        device="cpu",
        threads=order["threads"],
        seed=order["seed"],
    )
    config = config.model_copy(update={"total_steps": (WARMUP + updates) * config.batch})
    watch = Stopwatch()
    with tempfile.TemporaryDirectory(prefix="warpzone-benchmark-") as folder:
        train(config, Path(folder) / "run", rom=order["rom"], display=watch)
    if not joined().first:
        return {}
    seconds = watch.ends[-1] - watch.ends[WARMUP - 1]
    return {
        "steps_per_second": updates * config.batch / seconds,
        "seconds": seconds,
        "playing_share": sum(watch.playing[WARMUP:]) / seconds,
        "learning_share": sum(watch.learning[WARMUP:]) / seconds,
        "sums_share": spent / (WARMUP + updates) * updates / seconds,
    }


if __name__ == "__main__":
    prepare_for_training()
    what, file, text = sys.argv[1:]
    result = {"messages": messages, "training": training}[what](json.loads(text))
    if joined().first:
        Path(file).write_text(json.dumps(result))
