"""What it costs a training to be seen: episodes and ends that are written while it runs.

    python -m benchmarks.recording                          # table on stderr, JSON on stdout
    python -m benchmarks.recording --out recording.json --seeds 7 --updates 96

Three trainings with the same seed, each a process of its own: with `watched_games` as it is by
default, with 0, and with the recorder's own calls timed. What is learnt, and so the work, is the
same to the bit. They take turns, an update each, in an order that changes, so that never two of
them run at once and what else the machine does hits all of them alike:

    time         wall clock of an update with recording over that of the same update without
    CPU          the same of all threads' CPU seconds
    in Python    CPU seconds of the recorder's own calls, over those of the update, in the third
                 training; what the games write down is not in it

`--seeds` repeats it with other games. Compared are sums over updates, of one seed and of all; the
intervals come from a bootstrap over updates (Efron 1979, percentiles).

What is written is limited by the second. On a busy machine, where an update takes many of them, the
recorder's clock would let it write more than it does otherwise: here its clock is the CPU time of
the process by the number of its threads, which is the wall clock of a quiet machine.

The preset `tiles` on 1-1 is the fastest training there is, and so the one in which it weighs most.
"""

from __future__ import annotations

import itertools
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
import typer
from benchmarks.options import OutOption, RomOption
from rich.table import Table

from warpzone.bench import report
from warpzone.bench.report import Interval
from warpzone.cpu import available_cores
from warpzone.errors import WarpzoneError
from warpzone.process import keep_freed_memory, limit_spinning
from warpzone.smb.rom import find_rom
from warpzone.training import episode_writer
from warpzone.training.config import TrainConfig
from warpzone.training.episode_writer import EpisodeWriter
from warpzone.training.presets import PRESETS, resolve
from warpzone.training.progress import Status
from warpzone.training.trainer import train

WARMUP = 3
WANTED = 0.02


VARIANTS = ("without", "with", "timed")


class Turn(NamedTuple):
    """What an update took."""

    seconds: float
    cpu: float
    recorder: float


class Turns:
    """A display that shows nothing, and lets each update begin when the other end says so."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self.own = 0.0
        self.overhead = 0.0
        nothing = self.timed(lambda: None)
        for _ in range(5000):
            nothing()
        self.overhead = self.own / 5000
        """Of looking at the clock, which takes longer than most calls."""
        self.began = self.now()

    def now(self) -> Turn:
        return Turn(time.perf_counter(), time.process_time(), self.own)

    def __enter__(self) -> Turns:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def log(self, text: str) -> None:
        if "cannot" in text:
            raise RuntimeError(text)  # what is not written costs nothing

    def update(self, status: Status) -> None:
        self.pipe.send(Turn(*np.subtract(self.now(), self.began)))
        self.pipe.recv()
        self.began = self.now()

    def timed(self, method: Callable[..., None]) -> Callable[..., None]:
        def call(*args: Any) -> None:
            began = time.thread_time()
            method(*args)
            self.own += time.thread_time() - began - self.overhead

        return call


class Plan(NamedTuple):
    """What is trained."""

    preset: str
    level: str
    updates: int
    games: int
    threads: int | None
    seed: int
    rom: Path


def training(pipe: Connection, plan: Plan, timed: bool) -> None:
    """Train for some updates, one a message, answered with a `Turn`; then send what was written."""
    preset, level, updates, games, threads, seed, rom = plan
    config = resolve(
        preset,
        env={"levels": {level: 1.0}},
        total_steps=updates * PRESETS[preset].batch,
        target_clear_rate=None,
        eval_every=updates + 1,
        eval_episodes=2,
        checkpoint_every=updates + 1,
        watched_games=games,
        device="cpu",
        threads=threads,
        seed=seed,
    )
    keep_freed_memory()
    turns = Turns(pipe)
    for name in ("observe", "keep") if timed else ():
        setattr(EpisodeWriter, name, turns.timed(getattr(EpisodeWriter, name)))
    cores = threads or available_cores()
    clock = SimpleNamespace(monotonic=lambda: time.process_time() / cores)
    # Not an assignment: the type of a module is not that of the clock.
    setattr(episode_writer, "time", clock)  # noqa: B010
    with tempfile.TemporaryDirectory(prefix="warpzone-benchmark-") as folder:
        out = Path(folder) / "run"
        pipe.recv()
        train(config, out, rom=rom, display=turns)
        written = [path.stat().st_size for path in (out / "episodes").glob("*.json")]
        ends = out / "episode_ends.jsonl"
        pipe.send(
            {
                "episodes": len(written),
                "episode_bytes": sum(written),
                "ends_bytes": ends.stat().st_size if ends.exists() else 0,
            }
        )


def measure(plan: Plan) -> tuple[dict[str, list[Turn]], dict[str, dict[str, int]]]:
    """The updates of the three trainings after the first few, and what each of them wrote."""
    limit_spinning()  # for those to be started, as `warpzone train` does
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, Connection] = {}
    processes = []
    total = WARMUP + plan.updates
    for which in VARIANTS:
        pipes[which], far = context.Pipe()
        games = 0 if which == "without" else plan.games
        task = (far, plan._replace(updates=total, games=games), which == "timed")
        processes.append(context.Process(target=training, args=task, daemon=True))
        processes[-1].start()
        far.close()
    turns: dict[str, list[Turn]] = {which: [] for which in VARIANTS}
    wrote = {}
    try:
        orders = itertools.cycle(itertools.permutations(VARIANTS))
        for order in itertools.islice(orders, total):
            for which in order:
                pipes[which].send(None)
                turns[which].append(pipes[which].recv())
        for which, pipe in pipes.items():
            pipe.send(None)
            wrote[which] = pipe.recv()
    except EOFError:
        raise WarpzoneError("a training ended early; it has said why above") from None
    finally:
        for process in processes:
            process.terminate()
            process.join()
    return {which: got[WARMUP:] for which, got in turns.items()}, wrote


def main(
    preset: Annotated[str, typer.Option(help="The preset that is trained with.")] = "tiles",
    level: Annotated[str, typer.Option(help="The level that is learnt.")] = "1-1",
    seeds: Annotated[int, typer.Option(min=1, help="Games that it is repeated with.")] = 5,
    updates: Annotated[int, typer.Option(min=2, help="Updates of each training.")] = 48,
    games: Annotated[
        int | None, typer.Option(min=1, help="Games to watch.", show_default="as in training")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads.", show_default="all cores")
    ] = None,
    rom: RomOption = None,
    out: OutOption = None,
) -> None:
    """Measure what recording costs a training."""
    console = report.console()
    if preset not in PRESETS:
        raise typer.BadParameter(f"{preset}: there are {', '.join(PRESETS)}")
    games = games or TrainConfig.model_fields["watched_games"].default
    try:
        game = find_rom(rom, log=console.print)
        facts = {**report.machine(), "torch": torch.__version__}
        for line in report.describe(facts, game):
            console.print(line, markup=False, soft_wrap=True)
        results: list[dict[str, Any]] = []
        all_turns: dict[str, list[Turn]] = {which: [] for which in VARIANTS}
        for seed in range(seeds):
            plan = Plan(preset, level, updates, games, threads, seed, game.path)
            turns, wrote = measure(plan)
            for which in VARIANTS:
                all_turns[which] += turns[which]
            found = costs(turns)
            told = {name: cost._asdict() for name, cost in found.items()}
            results.append({"costs": told, "wrote": wrote["with"]})
            console.print(
                f"seed {seed}: {found['time'].text('+.2%')} time, {found['cpu'].text('+.2%')} CPU,"
                f" {found['recorder'].text('+.2%')} in Python"
            )
    except WarpzoneError as error:
        console.print(str(error), markup=False)
        raise typer.Exit(2) from None

    overall = costs(all_turns)
    console.print(_table(overall, f"{games} watched games, {preset} on {level}"))
    result = {
        "benchmark": "recording",
        "machine": facts,
        "load_after": report.load(),
        "rom": report.rom_facts(game),
        "protocol": {
            "preset": preset,
            "level": level,
            "watched_games": games,
            "updates": updates,
            "warmup_updates": WARMUP,
            "device": "cpu",
            "threads": threads or "all cores",
        },
        "costs": {name: cost._asdict() for name, cost in overall.items()},
        "wanted": WANTED,
        "seeds": results,
    }
    report.write(result, out, console)


def costs(turns: dict[str, list[Turn]]) -> dict[str, Interval]:
    """By name the cost as a share of a training."""
    # [updates, variants by the fields of a turn]
    values = np.concatenate([turns[which] for which in VARIANTS], axis=1)
    without, watched, timed = (slice(3 * place, 3 * place + 3) for place in range(3))
    shares: dict[str, Callable[[Any], Any]] = {
        "time": lambda sums: sums[:, watched][:, 0] / sums[:, without][:, 0] - 1,
        "cpu": lambda sums: sums[:, watched][:, 1] / sums[:, without][:, 1] - 1,
        "recorder": lambda sums: sums[:, timed][:, 2] / sums[:, timed][:, 1],
    }
    return {name: Interval.of(values, share) for name, share in shares.items()}


def _table(overall: dict[str, Interval], title: str) -> Table:
    table = Table("", "cost", "95 %", title=title)
    for name, text in (("time", "time"), ("cpu", "CPU"), ("recorder", "of it in Python")):
        cost, low, high = overall[name]
        table.add_row(text, f"{cost:+.2%}", f"{low:+.2%} to {high:+.2%}")
    return table


if __name__ == "__main__":
    typer.run(main)
