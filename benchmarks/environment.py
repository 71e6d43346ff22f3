"""How fast the environments are, beside those of other projects.

    python -m benchmarks.environment                        # table on stderr, JSON on stdout
    python -m benchmarks.environment --out environment.json
    python -m benchmarks.environment --only warpzone-pixels --only stable-retro --rounds 3

Measures agent steps per second with random actions (SIMPLE_MOVEMENT), frame skip 4, in level 1-1,
episodes ended by death and begun again, through each project's own Python interface:

    pixels   84×84 grey, stack of 4: ours, stable-retro (FCEUmm, the same ROM),
             gym-super-mario-bros 7.4 (nes-py, the ROM that it brings along)
    tiles    our view of the game's own map
    Breakout 84×84 grey, stack of 4, on EnvPool and on ALE's vector environment: another console and
             another game, to know the order of magnitude

Each measurement is a process of its own: one second of warm-up, then `--seconds`. In each round
every contestant is measured once, every other round in the opposite order, so that a machine that
changes its speed changes it for all. Ratios are taken within each round; a goal is met when their
median meets it. "Two processes" runs ours twice at once with one thread each: what the machine
gives two threads that share nothing.

Peers are installed on the first run, in virtual environments of their own. One that cannot be
installed or run is named, with the reason.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import platformdirs
import typer
from benchmarks import peers
from benchmarks.options import OutOption, RomOption
from benchmarks.peers import Peer, PeerError
from rich.table import Table

from warpzone.bench import report, workers
from warpzone.bench.report import Spread
from warpzone.errors import WarpzoneError
from warpzone.smb.rom import find_rom

WORKERS = Path(workers.__file__)
GAMES, FEW_GAMES = 64, 8
_RECEIVED = "warpzone_tiles_received"
OVERHEAD_SECONDS = 300
"""What a process may take beyond its measurement."""


@dataclass(frozen=True)
class Contestant:
    """Something to be measured: a loop of `workers.py`."""

    name: str
    title: str
    loop: str
    games: int = 1
    threads: int = 1
    processes: int = 1
    peer: Peer | None = None
    """Whose Python runs it; None: this one."""


@dataclass(frozen=True)
class Ratio:
    """A comparison of two contestants, with the least that is wanted of it."""

    title: str
    ours: str
    other: str
    goal: float | None = None


@dataclass
class Measured:
    """What became of a contestant."""

    rounds: dict[int, dict[str, Any]] = field(default_factory=dict)
    """By number of the round."""
    problem: str | None = None

    def rates(self) -> dict[int, float]:
        return {number: result["steps_per_second"] for number, result in self.rounds.items()}


def _ours(view: str, name: str, title: str, threads: int, processes: int = 1) -> Contestant:
    loop = f"warpzone_{view}"
    return Contestant(f"warpzone-{view}{name}", title, loop, GAMES, threads, processes)


CONTESTANTS = (
    _ours("pixels", "", "warpzone pixels", threads=1),
    _ours("pixels", "-2-threads", "warpzone pixels, two threads", threads=2),
    _ours("pixels", "-2-processes", "warpzone pixels, two processes", threads=1, processes=2),
    _ours("tiles", "", "warpzone tiles", threads=1),
    _ours("tiles", "-2-threads", "warpzone tiles, two threads", threads=2),
    _ours("tiles", "-2-processes", "warpzone tiles, two processes", threads=1, processes=2),
    Contestant("warpzone-tiles-received", "warpzone tiles, send and recv", _RECEIVED, GAMES),
    Contestant("warpzone-tiles-8", "warpzone tiles, send and recv, 8 games", _RECEIVED, FEW_GAMES),
    Contestant("stable-retro", "stable-retro", "stable_retro", peer=peers.STABLE_RETRO),
    Contestant(
        "stable-retro-bare",
        "stable-retro, emulator only",
        "stable_retro_bare",
        peer=peers.STABLE_RETRO,
    ),
    Contestant(
        "gym-super-mario-bros",
        "gym-super-mario-bros 7.4",
        "gym_super_mario_bros",
        peer=peers.GYM_SUPER_MARIO_BROS,
    ),
    Contestant("envpool", "EnvPool, Breakout", "envpool", GAMES, peer=peers.ENVPOOL),
    Contestant("ale", "ALE vector, Breakout", "ale", GAMES, peer=peers.ALE),
)

RATIOS = (
    Ratio("pixels ÷ stable-retro", "warpzone-pixels", "stable-retro", goal=40.0),
    Ratio("tiles ÷ stable-retro", "warpzone-tiles", "stable-retro", goal=80.0),
    Ratio("pixels, two threads ÷ one", "warpzone-pixels-2-threads", "warpzone-pixels", goal=1.9),
    Ratio("tiles, two threads ÷ one", "warpzone-tiles-2-threads", "warpzone-tiles", goal=1.9),
    Ratio("tiles, 8 games ÷ 64", "warpzone-tiles-8", "warpzone-tiles-received", goal=0.85),
    Ratio("pixels, two processes ÷ one", "warpzone-pixels-2-processes", "warpzone-pixels"),
    Ratio("tiles, two processes ÷ one", "warpzone-tiles-2-processes", "warpzone-tiles"),
    Ratio("pixels ÷ stable-retro, emulator only", "warpzone-pixels", "stable-retro-bare"),
    Ratio("tiles ÷ stable-retro, emulator only", "warpzone-tiles", "stable-retro-bare"),
    Ratio("pixels ÷ gym-super-mario-bros 7.4", "warpzone-pixels", "gym-super-mario-bros"),
    Ratio("pixels ÷ EnvPool, Breakout", "warpzone-pixels", "envpool", goal=14.0),
    Ratio("pixels ÷ ALE vector, Breakout", "warpzone-pixels", "ale"),
)


def measure(contestant: Contestant, python: Path, rom: Path, seconds: float) -> dict[str, Any]:
    """Measure a contestant once, in new processes.

    Raises:
        PeerError: it does not run.
    """
    command = [str(python), str(WORKERS), contestant.loop, "--rom", str(rom)]
    command += ["--games", str(contestant.games), "--threads", str(contestant.threads)]
    command += ["--seconds", str(seconds)]
    # Only the games' own threads: none of a numerical library.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(contestant.processes)
    ]
    try:
        results = [_result(process, seconds + OVERHEAD_SECONDS) for process in running]
    finally:
        for process in running:
            with suppress(OSError):
                process.kill()
    return {
        "steps_per_second": sum(result["steps"] / result["seconds"] for result in results),
        "cores_used": sum(result["cpu_seconds"] / result["seconds"] for result in results),
        "steps": sum(result["steps"] for result in results),
        "episodes": sum(result["episodes"] for result in results),
        "versions": results[0]["versions"],
        "rom_sha1": results[0]["rom_sha1"],
    }


def _result(process: subprocess.Popen[str], timeout: float) -> dict[str, Any]:
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise PeerError(f"does not run: no result after {error.timeout:.0f} s") from error
    if process.returncode != 0:
        raise PeerError(f"does not run: {peers.reason(errors)}")
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def compare(ratio: Ratio, measured: dict[str, Measured]) -> dict[str, Any]:
    """A ratio over all rounds that measured both; where one was not measured, the reason."""
    result: dict[str, Any] = {"title": ratio.title, "goal": ratio.goal}
    for name in (ratio.ours, ratio.other):
        if (problem := measured[name].problem) is not None:
            return {**result, "problem": f"{name} {problem}"}
    ours, other = measured[ratio.ours].rates(), measured[ratio.other].rates()
    paired = [ours[number] / other[number] for number in ours if number in other]
    spread = Spread.of(paired)
    return {
        **result,
        "of_medians": Spread.of(list(ours.values())).median
        / Spread.of(list(other.values())).median,
        "paired": spread._asdict(),
        "paired_rounds": paired,
        "met": None if ratio.goal is None else spread.median >= ratio.goal,
    }


def summary(contestant: Contestant, measured: Measured) -> dict[str, Any]:
    """A contestant's part of the JSON."""
    result: dict[str, Any] = {
        "name": contestant.name,
        "title": contestant.title,
        "games": contestant.games * contestant.processes,
        "threads": contestant.threads * contestant.processes,
    }
    if measured.problem is not None:
        result["problem"] = measured.problem
    if measured.rounds:
        rounds = list(measured.rounds.values())
        result["steps_per_second"] = Spread.of(list(measured.rates().values()))._asdict()
        result["cores_used"] = Spread.of([r["cores_used"] for r in rounds])._asdict()
        result["versions"] = rounds[0]["versions"]
        result["rom_sha1"] = rounds[0]["rom_sha1"]
        result["rounds"] = [
            {k: r[k] for k in ("steps_per_second", "cores_used", "steps", "episodes")}
            for r in rounds
        ]
    return result


def tables(contestants: Sequence[dict[str, Any]], ratios: Sequence[dict[str, Any]]) -> list[Table]:
    """The results for people."""
    speeds = Table(title="agent steps per second")
    speeds.add_column("contestant", no_wrap=True)
    for name in ("games", "threads", "median", "min–max", "cores used"):
        speeds.add_column(name, justify="right", no_wrap=True)
    speeds.add_column("measured with")
    for row in contestants:
        known = [row["title"], str(row["games"]), str(row["threads"])]
        if "problem" in row:
            speeds.add_row(*known, "—", "—", "—", f"not measured: {row['problem']}")
            continue
        rate, cores = Spread(**row["steps_per_second"]), Spread(**row["cores_used"])
        main, version = next(iter(row["versions"].items()))
        speeds.add_row(
            *known,
            f"{rate.median:,.0f}",
            f"{rate.min:,.0f}–{rate.max:,.0f}",
            f"{cores.median:.2f}",
            f"{main} {version}",
        )
    compared = Table(title="ratios")
    compared.add_column("ratio", no_wrap=True)
    for name in ("of medians", "within rounds: median (min–max)", "goal"):
        compared.add_column(name, justify="right")
    compared.add_column("")
    for row in ratios:
        goal = "" if row["goal"] is None else f"≥ {row['goal']:g}"
        if "problem" in row:
            compared.add_row(row["title"], "—", "—", goal, "not measured")
            continue
        verdict = {None: "", True: "[green]met[/]", False: "[red]missed[/]"}[row["met"]]
        compared.add_row(
            row["title"],
            f"{row['of_medians']:.2f}",
            Spread(**row["paired"]).text(".2f"),
            goal,
            verdict,
        )
    return [speeds, compared]


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Times that everything is measured.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.1, help="Of each measurement.")] = 3.0,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Measure only this contestant; may be repeated.", show_default="all"),
    ] = None,
    rom: RomOption = None,
    peers_dir: Annotated[
        Path | None,
        typer.Option(help="Where peers are installed.", show_default="the user's cache"),
    ] = None,
    peers_python: Annotated[
        str, typer.Option(help="The Python that peers are installed for.", show_default="this one")
    ] = sys.executable,
    out: OutOption = None,
) -> None:
    """Measure the speed of the environments beside other projects'."""
    console = report.console()
    names = [contestant.name for contestant in CONTESTANTS]
    if unknown := [name for name in only or () if name not in names]:
        raise typer.BadParameter(f"{', '.join(unknown)}: there are {', '.join(names)}")
    chosen = [contestant for contestant in CONTESTANTS if contestant.name in (only or names)]
    try:
        game = find_rom(rom, log=console.print)
    except WarpzoneError as error:
        console.print(str(error), markup=False)
        raise typer.Exit(2) from None

    folder = (peers_dir or platformdirs.user_cache_path("warpzone") / "benchmark-peers").absolute()
    measured = {contestant.name: Measured() for contestant in chosen}
    pythons: dict[str, Path] = {}
    installed: dict[str, Path | PeerError] = {}
    for contestant in chosen:
        if (peer := contestant.peer) is None:
            pythons[contestant.name] = Path(sys.executable)
            continue
        if peer.name not in installed:
            try:
                installed[peer.name] = peers.install(peer, folder, peers_python, console.print)
            except PeerError as error:
                installed[peer.name] = error
        found = installed[peer.name]
        if isinstance(found, PeerError):
            measured[contestant.name].problem = str(found)
        else:
            pythons[contestant.name] = found

    facts = report.machine()
    for line in report.describe(facts, game):
        console.print(line, markup=False, soft_wrap=True)
    for number in range(rounds):
        console.print(f"round {number + 1} of {rounds}")
        for contestant in chosen if number % 2 == 0 else reversed(chosen):
            result = measured[contestant.name]
            if result.problem is not None:
                continue
            try:
                got = measure(contestant, pythons[contestant.name], game.path, seconds)
            except PeerError as error:
                result.problem = str(error)
                console.print(f"  {contestant.title}: {error}", markup=False)
                continue
            result.rounds[number] = got
            rate, cores = got["steps_per_second"], got["cores_used"]
            console.print(f"  {contestant.title}: {rate:,.0f} ({cores:.2f} cores)", markup=False)

    speeds = [summary(contestant, measured[contestant.name]) for contestant in chosen]
    ratios = [
        compare(ratio, measured)
        for ratio in RATIOS
        if ratio.ours in measured and ratio.other in measured
    ]
    for table in tables(speeds, ratios):
        if table.row_count:
            console.print(table)
    result_json = {
        "benchmark": "environment",
        "machine": facts,
        "load_after": report.load(),
        "rom": report.rom_facts(game),
        "protocol": {
            "level": "1-1",
            "actions": "random, SIMPLE_MOVEMENT",
            "frame_skip": 4,
            "pixels": "84×84 grey, stack of 4",
            "rounds": rounds,
            "seconds": seconds,
            "warmup_seconds": 1.0,
        },
        "contestants": speeds,
        "ratios": ratios,
    }
    report.write(result_json, out, console)


if __name__ == "__main__":
    typer.run(main)
