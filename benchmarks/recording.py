"""What it costs a training to be seen: episodes and ends that are written while it runs.

    python -m benchmarks.recording                          # table on stderr, JSON on stdout
    python -m benchmarks.recording --out recording.json --pairs 7 --updates 60

Trains twice with the same seed, with `watched_games` as it is by default and with 0: what is
learnt, and so the work, is the same to the bit. Pairs take turns in which of them comes first; each
run is a process of its own. Measured are whole updates, as in benchmarks/training.py:

    time         wall clock with recording over that without
    CPU          the same of all threads' CPU seconds, which a busy machine disturbs less
    in Python    CPU seconds of the recorder's own calls, over all of the run's, in a third run in
                 which they are timed; what the games write down is not in it. It says most where
                 other programs run

What is written is limited by the second. On a busy machine, where an update takes many of them, the
recorder's clock would let it write more than it does otherwise: here its clock is the CPU time of
the process by the number of its threads, which is the wall clock of a quiet machine.

The preset `tiles` on 1-1 is the fastest training there is, and so the one in which it weighs most.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import torch
import typer
from rich.table import Table

from warpzone.bench import report
from warpzone.bench.report import Spread
from warpzone.errors import WarpzoneError
from warpzone.game.rom import find_rom
from warpzone.learn import hardware, recorder
from warpzone.learn.config import TrainConfig
from warpzone.learn.display import Status
from warpzone.learn.presets import PRESETS, resolve
from warpzone.learn.trainer import train

WARMUP = 3
WANTED = 1.02


VARIANTS = ("without", "with", "timed")


class Stopwatch:
    """A display that shows nothing and notes the time and the CPU seconds after each update."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.cpu: list[float] = []
        self.recorder: list[float] = []
        self.overhead = 0.0
        self.own = 0.0
        nothing = self.timed(lambda: None)
        for _ in range(5000):
            nothing()
        self.overhead = self.own / 5000
        """Of looking at the clock, which takes longer than most calls."""
        self.own = 0.0

    def __enter__(self) -> Stopwatch:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def say(self, text: str) -> None:
        if "cannot" in text:
            raise RuntimeError(text)  # what is not written costs nothing

    def update(self, status: Status) -> None:
        self.seconds.append(time.perf_counter())
        self.cpu.append(time.process_time())
        self.recorder.append(self.own)

    def timed(self, method: Callable[..., None]) -> Callable[..., None]:
        def call(*args: Any) -> None:
            began = time.thread_time()
            method(*args)
            self.own += time.thread_time() - began - self.overhead

        return call


def measure(
    preset: str,
    level: str,
    updates: int,
    games: int,
    threads: int | None,
    seed: int,
    rom: Path,
    timed: bool,
) -> dict[str, float]:
    """Train for some updates; return what they took."""
    total = WARMUP + updates
    config = resolve(
        preset,
        env={"levels": {level: 1.0}},
        total_steps=total * PRESETS[preset].batch,
        target_clear_rate=None,
        eval_every=total + 1,
        eval_episodes=2,
        checkpoint_every=total + 1,
        watched_games=games,
        device="cpu",
        threads=threads,
        seed=seed,
    )
    watch = Stopwatch()
    for name in ("watch", "keep") if timed else ():
        setattr(recorder.Recorder, name, watch.timed(getattr(recorder.Recorder, name)))
    cores = threads or hardware.available_cores()
    clock = SimpleNamespace(monotonic=lambda: time.process_time() / cores)
    # Not an assignment: the type of a module is not that of the clock.
    setattr(recorder, "time", clock)  # noqa: B010
    with tempfile.TemporaryDirectory(prefix="warpzone-benchmark-") as folder:
        out = Path(folder) / "run"
        result = train(config, out, rom=rom, display=watch)
        written = [path.stat().st_size for path in (out / "episodes").glob("*.json")]
        ends = out / "ends.jsonl"
        lines = ends.stat().st_size if ends.exists() else 0
    if result.interrupted:
        raise KeyboardInterrupt
    first = WARMUP - 1
    cpu = watch.cpu[-1] - watch.cpu[first]
    return {
        "seconds": watch.seconds[-1] - watch.seconds[first],
        "cpu_seconds": cpu,
        "recorder_share": (watch.recorder[-1] - watch.recorder[first]) / cpu,
        "steps": updates * config.batch,
        "episodes": len(written),
        "episode_bytes": sum(written),
        "ends_bytes": lines,
    }


def main(
    preset: Annotated[str, typer.Option(help="The preset that is trained with.")] = "tiles",
    level: Annotated[str, typer.Option(help="The level that is learnt.")] = "1-1",
    pairs: Annotated[int, typer.Option(min=1, help="Runs with, and without, and timed.")] = 5,
    updates: Annotated[int, typer.Option(min=1, help="Updates of each run.")] = 40,
    games: Annotated[
        int | None, typer.Option(min=1, help="Games to watch.", show_default="as in training")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads.", show_default="all cores")
    ] = None,
    rom: Annotated[
        Path | None, typer.Option(help="The ROM to play.", show_default="looked for")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File for the JSON.", show_default="standard output")
    ] = None,
) -> None:
    """Measure what recording costs a training."""
    console = report.console()
    if preset not in PRESETS:
        raise typer.BadParameter(f"{preset}: there are {', '.join(PRESETS)}")
    games = games or TrainConfig.model_fields["watched_games"].default
    try:
        game = find_rom(rom, say=console.print)
    except WarpzoneError as error:
        console.print(str(error), markup=False)
        raise typer.Exit(2) from None
    facts = {**report.machine(), "torch": torch.__version__}
    for line in report.describe(facts, game):
        console.print(line, markup=False, soft_wrap=True)

    measured: list[dict[str, dict[str, float]]] = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        for seed in range(pairs):
            pair: dict[str, dict[str, float]] = {}
            for which in VARIANTS if seed % 2 == 0 else reversed(VARIANTS):
                watched, timed = 0 if which == "without" else games, which == "timed"
                task = (preset, level, updates, watched, threads, seed, game.path, timed)
                pair[which] = pool.submit(measure, *task).result()
            measured.append(pair)
            found = _ratios(pair)
            console.print(
                f"pair {seed + 1} of {pairs}: {found['time'] - 1:+.1%} time,"
                f" {found['cpu'] - 1:+.1%} CPU, {found['recorder_share']:.2%} in Python"
            )

    ratios = {
        name: Spread.of([_ratios(pair)[name] for pair in measured])
        for name in ("time", "cpu", "recorder_share")
    }
    console.print(_table(ratios, f"{games} watched games, {preset} on {level}"))
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
        "ratios": {name: spread._asdict() for name, spread in ratios.items()},
        "wanted": WANTED,
        "pairs": measured,
    }
    report.write(result, out, console)


def _ratios(pair: dict[str, dict[str, float]]) -> dict[str, float]:
    return {
        "time": pair["with"]["seconds"] / pair["without"]["seconds"],
        "cpu": pair["with"]["cpu_seconds"] / pair["without"]["cpu_seconds"],
        "recorder_share": pair["timed"]["recorder_share"],
    }


def _table(ratios: dict[str, Spread], title: str) -> Table:
    table = Table("", title=title)
    for name in ("median", "min–max"):
        table.add_column(name, justify="right")
    for name, text, base in (
        ("time", "time", 1.0),
        ("cpu", "CPU", 1.0),
        ("recorder_share", "of it in Python", 0.0),
    ):
        median, low, high = (value - base for value in ratios[name])
        table.add_row(text, f"{median:+.2%}", f"{low:+.2%} – {high:+.2%}")
    return table


if __name__ == "__main__":
    typer.run(main)
