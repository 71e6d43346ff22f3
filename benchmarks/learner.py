"""How fast the networks learn and decide, without games.

    python -m benchmarks.learner                            # table on stderr, JSON on stdout
    python -m benchmarks.learner --out learner.json
    python -m benchmarks.learner --preset tiles --repeats 9 --threads 1

Measures on random observations, for each preset with its own network and minibatch:

    samples/s   gradient steps as training makes them: gathering, forward, backward, Adam
    rows/s      decisions as a rollout makes them, for half of the preset's games at once, on one
                thread: logits, value and a sampled action
    faults      pages that the system had to clear for each sample learnt

each with memory kept by the allocator, as `warpzone train` does it, and as the system would manage
it by itself. Each repeat is a process of its own; variants take turns.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.table import Table

from warpzone import hardware
from warpzone.bench import report
from warpzone.bench.report import Spread
from warpzone.cpu import available_cores
from warpzone.ppo import losses as ppo
from warpzone.ppo.policy import shapes_of
from warpzone.ppo.update import Batch, Coefficients, Updater
from warpzone.process import keep_freed_memory, limit_spinning
from warpzone.smb.spaces import observation_space
from warpzone.training.networks import make_policy
from warpzone.training.presets import PRESETS

MINIBATCHES = 8
SECONDS = 2.0
"""Of each measurement, at least."""


def page_faults() -> int:
    """Pages that this process got from the system up to now; 0 where nobody counts."""
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def measure(preset: str, threads: int, keep_memory: bool) -> dict[str, float]:
    """Learn and decide for some seconds each."""
    if keep_memory:
        keep_freed_memory()
    config = PRESETS[preset].model_copy(update={"update_epochs": 1})
    shapes = shapes_of(observation_space(config.env))
    actions = len(config.env.action_list)
    policy = make_policy(config.network, shapes, actions)
    policy.amp = hardware.has_bfloat16(torch.device("cpu"))
    samples = config.minibatch_size * MINIBATCHES
    observations = {
        name: torch.randn(samples, *shape)
        if name == "scalars"
        else torch.randint(0, 256, (samples, *shape), dtype=torch.uint8)
        for name, shape in shapes.items()
    }
    batch = Batch(
        observations,
        actions=torch.randint(0, actions, (samples,)),
        log_probs=torch.randn(samples, actions).log_softmax(1),
        advantages=torch.randn(samples),
        targets=torch.randn(samples),
    )
    updater, shuffle = Updater(policy, observations, config, threads), torch.Generator()

    def learn() -> None:
        updater.update(batch, shuffle, Coefficients(lr=1e-9, entropy=0.0))

    rows = config.num_envs // 2
    few = {name: array[:rows] for name, array in observations.items()}

    def decide() -> None:
        for _ in range(100):
            ppo.sample(policy(few)[0], shuffle)

    learn()
    before, faults = time.perf_counter(), page_faults()
    updates = repeat(learn)
    learning, faults = time.perf_counter() - before, page_faults() - faults
    with hardware.torch_threads(1), torch.no_grad(), policy.autocast():
        decide()
        before = time.perf_counter()
        decisions = repeat(decide) * 100
        deciding = time.perf_counter() - before
    return {
        "samples_per_second": updates * samples / learning,
        "faults_per_sample": faults / (updates * samples),
        "rows_per_second": decisions * rows / deciding,
    }


def repeat(work: Any) -> int:
    """Call `work` for `SECONDS`; return how often."""
    begin, calls = time.perf_counter(), 0
    while time.perf_counter() - begin < SECONDS:
        work()
        calls += 1
    return calls


def main(
    preset: Annotated[list[str] | None, typer.Option(help="Default: all.")] = None,
    repeats: Annotated[int, typer.Option(help="Processes for each variant.", min=1)] = 5,
    threads: Annotated[int | None, typer.Option(help="Default: all cores.", min=1)] = None,
    out: Annotated[Path | None, typer.Option(help="JSON goes there.")] = None,
) -> None:
    """Measure the learner."""
    facts, count = report.machine(), threads or available_cores()
    variants = [(name, keep) for name in preset or PRESETS for keep in (True, False)]
    found: dict[tuple[str, bool], list[dict[str, float]]] = {variant: [] for variant in variants}
    limit_spinning()  # for those to be started, as `warpzone train` does
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
        for _ in range(repeats):
            for name, keep in variants:
                found[name, keep].append(pool.submit(measure, name, count, keep).result())

    table = Table("preset", "memory", "samples/s", "rows/s", "faults per sample")
    results = []
    for (name, keep), measured in found.items():
        spreads = {key: Spread.of([one[key] for one in measured]) for key in measured[0]}
        table.add_row(
            name,
            "kept" if keep else "given back",
            spreads["samples_per_second"].text(",.0f"),
            spreads["rows_per_second"].text(",.0f"),
            f"{spreads['faults_per_sample'].median:,.1f}",
        )
        figures = {key: spread._asdict() for key, spread in spreads.items()}
        results.append({"preset": name, "memory_kept": keep, **figures})
    console = report.console()
    console.print(f"{facts['cpu']}, {count} threads, load {facts['load']}", highlight=False)
    console.print(table)
    report.write({"machine": facts, "threads": count, "results": results}, out, console)


if __name__ == "__main__":
    typer.run(main)
