"""How fast other projects' trainers collect experience over our games.

    python -m benchmarks.trainers                        # table on stderr, JSON on stdout
    python -m benchmarks.trainers --rounds 5 --out trainers.json
    python -m benchmarks.trainers --only native-tiles --only processes-tiles

Agent steps per second of all games of 1-1 together, `collected` by a trainer with its policy, which
does not learn, and `stepped` with random actions and no policy. PPO of Stable-Baselines3
(CnnPolicy, or MultiInputPolicy with our extractor for tiles) over

    native       `warpzone.compat.sb3.make_vec_env`: games in native threads
    in-turn      DummyVecEnv over `warpzone.make`, one game after the other
    processes    SubprocVecEnv over `warpzone.make`, a process a game
    stable-retro SubprocVecEnv over stable-retro (FCEUmm, the same ROM), a process a game

with tiles and with 84×84 grey pictures in stacks of four; and, with tiles, the network of

    one-file     `examples/ppo.py`, over `make_vec`
    envpool      the same, over `warpzone.compat.envpool`, half of the games at a time
    torchrl      `examples/torchrl_ppo.py`, by TorchRL's collector over `make_vec`
    rllib        `examples/rllib_ppo.py`, by an env runner of RLlib over `make_vec`
    tianshou     `examples/tianshou_dqn.py`, by Tianshou's collector over `warpzone.make`, one game
                 after the other
    agent        the agent that comes along for 1-1, which only plays
    onnx         `warpzone export` of it, by ONNX Runtime
    export       the same, by torch.export

`--games` of them each (8), and those over native games also with 64. Each measurement is a process
of its own; in each round every contestant is measured once, every other round in the opposite
order, and ratios are taken within the rounds. On a busy machine `--cpu --threads 1` counts seconds
of the processor instead of the clock's, of all but those that have processes of their own. Needs
the trainers in the environment that warpzone is installed in, and for stable-retro
opencv-python-headless; what is not there is named.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from benchmarks import trainer_workers
from benchmarks.options import OutOption, RomOption
from benchmarks.trainer_contestants import OTHERS, ROLLOUT, Order
from rich.table import Table

from warpzone.bench import report
from warpzone.bench.report import Spread
from warpzone.cpu import available_cores
from warpzone.errors import EngineError, WarpzoneError
from warpzone.nes.cartridge import cartridge_of
from warpzone.smb.rom import find_rom

ROOT = Path(__file__).resolve().parent.parent
OVERHEAD_SECONDS = 300
"""What a process may take beyond what it measures."""
MANY = 64
QUANTITIES = ("collected", "stepped")
RATIOS = (
    ("native-tiles", "processes-tiles"),
    ("native-tiles", "in-turn-tiles"),
    ("native-pixels", "processes-pixels"),
    ("native-pixels", "in-turn-pixels"),
    ("native-pixels", "stable-retro-pixels"),
    ("one-file-tiles", "in-turn-tiles"),
    ("envpool-tiles", "in-turn-tiles"),
    ("torchrl-tiles", "in-turn-tiles"),
    ("rllib-tiles", "in-turn-tiles"),
    ("tianshou-tiles", "in-turn-tiles"),
    (f"one-file-tiles-{MANY}", f"native-tiles-{MANY}"),
    (f"envpool-tiles-{MANY}", f"native-tiles-{MANY}"),
    (f"torchrl-tiles-{MANY}", f"native-tiles-{MANY}"),
    (f"rllib-tiles-{MANY}", f"native-tiles-{MANY}"),
    ("onnx-tiles", "agent-tiles"),
    ("export-tiles", "agent-tiles"),
    (f"onnx-tiles-{MANY}", f"agent-tiles-{MANY}"),
    (f"export-tiles-{MANY}", f"agent-tiles-{MANY}"),
)
OVER_NATIVE = (
    "native-tiles",
    "native-pixels",
    *(name for name in OTHERS if name != "tianshou-tiles"),
)
"""Which play native games, and many of them."""
CONTESTANTS = {
    **{name: name for name in trainer_workers.NAMES},
    **{f"{name}-{MANY}": name for name in OVER_NATIVE},
}
"""What is measured, and the worker that does it."""


def measure(name: str, order: Order) -> dict[str, Any]:
    """Measures one contestant in a process of its own; returns what the worker does.

    Raises:
        WarpzoneError: it failed.
    """
    line = [sys.executable, "-m", "benchmarks.trainer_workers", name, json.dumps(order._asdict())]
    limit = 2 * order.seconds + OVERHEAD_SECONDS
    try:
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        raise WarpzoneError(f"{name} was still busy after {limit:.0f} s") from None
    if done.returncode != 0:
        words = done.stderr.strip().splitlines() or ["it said nothing"]
        raise WarpzoneError(f"{name}: status {done.returncode}, {words[-1]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def ratios(rounds: dict[str, dict[int, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Returns how many times as fast one of `RATIOS` is as the other, over all rounds that measured
    both."""
    found = []
    for ours, other in RATIOS:
        both = rounds.get(ours, {}).keys() & rounds.get(other, {}).keys()
        if not both:
            continue
        row: dict[str, Any] = {"ours": ours, "other": other}
        for name in QUANTITIES:
            paired = [rounds[ours][at][name] / rounds[other][at][name] for at in sorted(both)]
            row[name] = Spread.of(paired)._asdict()
        found.append(row)
    return found


def tables(
    found: dict[str, dict[str, Any]], reasons: dict[str, str], compared: list[dict[str, Any]]
) -> list[Table]:
    """Returns the results for people."""
    speeds = Table("environments", "games", title="agent steps per second")
    times = Table("ratio", title="ratios within rounds: median (min–max)")
    for name in QUANTITIES:
        speeds.add_column(name, justify="right")
        times.add_column(name, justify="right")
    for name, row in found.items():
        rates = [Spread(**row[quantity]).text(",.0f") for quantity in QUANTITIES]
        speeds.add_row(name, str(row["games"]), *rates)
    for name, why in reasons.items():
        speeds.add_row(name, "", why, "")
    for row in compared:
        cells = [Spread(**row[quantity]).text(".1f") for quantity in QUANTITIES]
        times.add_row(f"{row['ours']} ÷ {row['other']}", *cells)
    return [speeds, times]


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Times that everything is measured.")] = 3,
    seconds: Annotated[float, typer.Option(min=0.1, help="Of each measurement.")] = 3.0,
    games: Annotated[int, typer.Option(min=1, help="Games of each, but for those of 64.")] = 8,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads.", show_default="all cores")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only these environments; may be repeated.", show_default="all"),
    ] = None,
    cpu: Annotated[
        bool,
        typer.Option(
            "--cpu", help="Seconds of the processor, not of the clock: on a busy machine."
        ),
    ] = False,
    rom: RomOption = None,
    out: OutOption = None,
) -> None:
    """Measure how fast trainers collect experience."""
    console = report.console()
    if unknown := [name for name in only or () if name not in CONTESTANTS]:
        raise typer.BadParameter(f"{', '.join(unknown)}: there are {', '.join(CONTESTANTS)}")
    try:
        game = find_rom(rom, log=console.print)
        cartridge_of(game, None)  # native code is made now, so that nobody waits for it later
    except (EngineError, WarpzoneError) as error:
        console.print(str(error), markup=False)
        raise typer.Exit(2) from None
    facts = report.machine()
    for line in report.describe(facts, game):
        console.print(line, markup=False, soft_wrap=True)

    chosen = [name for name in CONTESTANTS if name in (only or CONTESTANTS)]
    count = threads or available_cores()
    reasons = {n: why for n in chosen if (why := trainer_workers.missing(CONTESTANTS[n]))}
    if cpu:
        own = "has processes of its own, whose time --cpu does not count"
        reasons |= {n: own for n in chosen if n in trainer_workers.IN_PROCESSES}
    measured: dict[str, dict[int, dict[str, Any]]] = {}
    for number in range(rounds):
        console.print(f"round {number + 1} of {rounds}")
        for name in chosen if number % 2 == 0 else reversed(chosen):
            if name in reasons:
                continue
            many = MANY if CONTESTANTS[name] != name else games
            try:
                got = measure(CONTESTANTS[name], Order(many, count, seconds, str(game.path), cpu))
            except WarpzoneError as error:
                reasons[name] = str(error)
                console.print(f"  {name}: {error}", markup=False)
                continue
            measured.setdefault(name, {})[number] = {**got, "games": many}
            console.print(f"  {name}: {got['collected']:,.0f}, {got['stepped']:,.0f}")

    found: dict[str, dict[str, Any]] = {}
    for name in chosen:
        if results := [*measured.get(name, {}).values()]:
            found[name] = {"games": results[0]["games"], "versions": results[0]["versions"]}
            for quantity in QUANTITIES:
                spread = Spread.of([result[quantity] for result in results])
                found[name][quantity] = spread._asdict()
    compared = ratios(measured)
    for table in tables(found, reasons, compared):
        console.print(table)
    report.write(
        {
            "benchmark": "trainers",
            "machine": facts,
            "load_after": report.load(),
            "rom": report.rom_facts(game),
            "protocol": {
                "level": "1-1",
                "rounds": rounds,
                "seconds": seconds,
                "threads": count,
                "seconds_of": "the processor" if cpu else "the clock",
                "rollout": ROLLOUT,
                "warmup_seconds": trainer_workers.WARMUP_SECONDS,
            },
            "environments": found,
            "rounds": {name: [*results.values()] for name, results in measured.items()},
            "ratios": compared,
            "failures": reasons,
        },
        out,
        console,
    )


if __name__ == "__main__":
    typer.run(main)
