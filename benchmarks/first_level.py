"""Level 1-1 from nothing: how long `warpzone train 1-1` takes, and how good the agent is then.

    python -m benchmarks.first_level --seeds 5              # table on stderr, JSON on stdout
    python -m benchmarks.first_level --seeds 5 --keep runs/first-level --json first-level.json \\
        --plot docs/first-level.png                         # matplotlib: pip install '.[plots]'
    python -m benchmarks.first_level --seeds 3 --preset pixels --keep runs/first-level-pixels
    python -m benchmarks.first_level --seeds 5 --against b05a411

For each seed, one after the other, the whole command in a new process and a new run directory, as
a user would type it; it stops by itself when 95 % of its last 100 training episodes and then of 100
measured ones clear the level. After it `warpzone eval`: 100 other episodes, 0–30 no-op frames at
their start, sampled actions. `--keep DIR` keeps the runs and takes those that are there already.

`--against REV` measures another commit in the same run, built by itself and by its own copy of this
script. Seed by seed the one runs after the other, in turns first, so that a machine that changes
its speed changes it for both; ratios are taken seed by seed.

    command      seconds of the whole process: start, training, measurements, saving
    training     seconds of playing and learning in it
    own          clear rate in the run's own last measurement, which is also its reason to stop
    eval         clear rate in the separate evaluation, with Wilson's 95 % interval

Native code of the cartridge is made before the first run (`warpzone.nes.recompiler`, once for a
ROM and a computer); a first run ever takes some ten seconds longer. The plot has
the clear rate of the last 100 training episodes against agent steps and against seconds of
training, a line for each seed, and a mark where a measurement first reached 95 %.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from benchmarks import curves, revisions
from benchmarks.curves import COLOURS
from benchmarks.options import RomOption
from benchmarks.revisions import Revision
from rich.console import Console
from rich.table import Table

from warpzone.bench import report
from warpzone.bench.report import Spread
from warpzone.errors import EngineError, WarpzoneError
from warpzone.nes.cartridge import cartridge_of
from warpzone.smb.rom import find_rom
from warpzone.training.presets import PRESETS

TARGET = 0.95
EVAL_SEED = 1000
"""Episodes that no run has measured itself by."""

COLUMNS = {
    "steps": ("agent steps", ",.0f"),
    "training_seconds": ("training s", ",.1f"),
    "command_seconds": ("command s", ",.1f"),
    "steps_per_second": ("steps/s", ",.0f"),
    "own_clear_rate": ("own", ".0%"),
    "eval_clear_rate": ("eval", ".0%"),
}
"""Figures of a seed: heading and form."""

GOALS = {"training_seconds": "≤ 10", "command_seconds": "≤ 15", "eval_clear_rate": "≥ 95%"}
RATIO_GOALS = {"training_seconds": "≥ 2.4"}
"""Wanted of the medians of 1-1 with tiles, on two cores of a processor with AVX-512 and bfloat16;
of the ratios against the commit before native learning."""

RATIOS = {
    "training_seconds": "training",
    "command_seconds": "command",
    "steps_per_second": "steps/s",
    "steps": "steps",
}
"""Figures that are compared with another commit's, and what their ratio is called."""


def train_command(level: str, preset: str, seed: int, settings: list[str]) -> list[str]:
    """What is measured, but for the run directory."""
    line = ["warpzone", "train", level, "--preset", preset, "--seed", str(seed)]
    return line + [word for setting in settings for word in ("--set", setting)]


def measure(line: list[str], run: Path, episodes: int, rom: Path) -> dict[str, Any]:
    """Train and evaluate in `run`, unless that has been done; return `record.json` of it.

    Raises:
        WarpzoneError: a command failed, or `run` holds something else.
    """
    record = run.with_name(f"{run.name}.json")
    asked = {"command": line, "eval_episodes": episodes}
    saved: dict[str, Any] = json.loads(record.read_text()) if record.exists() else {}
    if saved and {name: saved[name] for name in asked} != asked:
        raise WarpzoneError(f"{record} is of other settings: choose another --keep")
    if "eval" in saved:
        return saved
    if run.exists():
        if not saved:
            raise WarpzoneError(f"{run} is not of this benchmark: choose another --keep")
        # It was stopped; to go on with that run would not measure the whole command.
        shutil.rmtree(run)
    record.write_text(json.dumps(asked, indent=2) + "\n")
    began = time.perf_counter()
    _call([*line, "--out", str(run), "--rom", str(rom)])
    seconds = time.perf_counter() - began
    evaluate = ["warpzone", "eval", str(run), "--episodes", str(episodes), "--noop-max", "30"]
    text = _call([*evaluate, "--seed", str(EVAL_SEED), "--json", "--rom", str(rom)])
    saved = {**asked, "command_seconds": seconds, "eval": json.loads(text)}
    record.write_text(json.dumps(saved, indent=2) + "\n")
    return saved


def _call(line: list[str]) -> str:
    """Standard output of `warpzone …`, run by this Python."""
    done = subprocess.run(
        [sys.executable, "-m", *line], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        words = done.stderr.strip().splitlines() or ["it said nothing"]
        raise WarpzoneError(f"{' '.join(line)}: status {done.returncode}, {words[-1]}")
    return done.stdout


def result_of(seed: int, level: str, saved: dict[str, Any], run: Path) -> dict[str, Any]:
    """The figures of one seed."""
    curve = curves.read_curve(run)
    status = json.loads((run / "status.json").read_text())
    evaluation = saved["eval"]["levels"][level]
    return {
        "seed": seed,
        "steps": curve.steps[-1],
        "training_seconds": curve.seconds[-1],
        "command_seconds": saved["command_seconds"],
        "steps_per_second": curve.steps[-1] / curve.seconds[-1],
        "own_clear_rate": status["measured"][level]["clear_rate"],
        "eval_clear_rate": evaluation["clear_rate"],
        "eval_ci95": evaluation["ci95"],
        "reached": curve.measured_at(TARGET),
        "curve": {
            "steps": curve.steps,
            "seconds": curve.seconds,
            "clear_rate": curve.clear_rate,
        },
    }


def measure_other(
    other: Revision, seed: int, folder: Path, level: str, preset: str, words: list[str]
) -> dict[str, Any]:
    """Trains and evaluates another commit with `seed`; returns the figures.

    `folder` holds its runs of the seeds before, which its script takes as they are.

    Raises:
        WarpzoneError: it failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / "result.json"
    options = ["--seeds", str(seed + 1), "--preset", preset, "--level", level, *words]
    found = other.benchmark(
        "first_level", [*options, "--keep", str(folder), "--json", str(out)], out
    )
    results: list[dict[str, Any]] = [it for it in found["seeds"] if it["seed"] == seed]
    if not results:
        raise WarpzoneError(f"{other.name}, seed {seed}: {found['failures'].get(str(seed))}")
    return results[0]


def compare(ours: list[dict[str, Any]], others: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Returns for each seed that both have how many times as good ours is; 2 is twice as fast."""
    known = {result["seed"]: result for result in others}
    pairs = [(result, known[result["seed"]]) for result in ours if result["seed"] in known]
    return [
        {
            "seed": one["seed"],
            **{
                name: one[name] / two[name] if name == "steps_per_second" else two[name] / one[name]
                for name in RATIOS
            },
        }
        for one, two in pairs
    ]


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Runs, with seeds 0, 1, 2 …")] = 5,
    preset: Annotated[str, typer.Option(help="Of `warpzone train`.")] = "tiles",
    level: Annotated[str, typer.Option(help="The level that is learnt.")] = "1-1",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any setting, as `warpzone train` has."),
    ] = None,
    episodes: Annotated[int, typer.Option(min=1, help="Of each separate evaluation.")] = 100,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the runs, and take those there."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="PNG", help="Draw the curves.")] = None,
    against: Annotated[
        str | None, typer.Option(metavar="REV", help="Measure this commit in turns.")
    ] = None,
    rom: RomOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--json", help="File for the JSON.", show_default="standard output"),
    ] = None,
) -> None:
    """Measure training from nothing to a clear rate of 95 %."""
    console = report.console()
    if preset not in PRESETS:
        raise typer.BadParameter(f"{preset}: there are {', '.join(PRESETS)}")
    try:
        if plot is not None:
            curves.figure(1, 1, 1, 1)  # that matplotlib is missing is told before the runs
        game = find_rom(rom, log=console.print)
        engine = cartridge_of(game).engine
        other = None if against is None else revisions.build(against, console.print)
        if other is not None:
            other.warm_up(game.path, console.print)
    except WarpzoneError as error:
        console.print(str(error), markup=False)
        raise typer.Exit(2) from None
    if engine is not None:
        with suppress(EngineError):  # then the interpreter runs, here and in the commands
            engine.wait()

    facts = {**report.machine(), "torch": torch.__version__}
    for told in report.describe(facts, game):
        console.print(told, markup=False, soft_wrap=True)
    chosen = [word for setting in settings or [] for word in ("--set", setting)]
    words = ["--episodes", str(episodes), "--rom", str(game.path), *chosen]
    results: dict[str, list[dict[str, Any]]] = {"this": [], "other": []}
    failures: dict[str, str] = {}
    context = tempfile.TemporaryDirectory(prefix="warpzone-") if keep is None else nullcontext(keep)
    with context as kept:
        folder = Path(kept).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        for seed in range(seeds):
            turns = ["this"] if other is None else ["this", "other"]
            for side in turns if seed % 2 == 0 else turns[::-1]:
                of = f" of {other.name}" if other is not None and side == "other" else ""
                try:
                    if other is not None and side == "other":
                        there = folder / f"against-{other.name}"
                        found = measure_other(other, seed, there, level, preset, words)
                    else:
                        run = folder / f"{level}-{preset}-seed{seed}"
                        line = train_command(level, preset, seed, settings or [])
                        found = result_of(seed, level, measure(line, run, episodes, game.path), run)
                except WarpzoneError as error:
                    failures[f"{seed}{of}"] = str(error)
                    console.print(f"seed {seed}{of} failed: {error}", markup=False, soft_wrap=True)
                    continue
                results[side].append(found)
                _say(found, of, console)
    title = f"{level} from nothing, preset {preset}"
    ours, others = results["this"], results["other"]
    if ours:
        console.print(table(ours, title, wanted=(level, preset) == ("1-1", "tiles")))
        if plot is not None:
            draw(ours, plot)
            console.print(f"drawn to {plot}")
    compared: dict[str, Any] = {}
    if other is not None and others:
        console.print(table(others, f"{title}, {other.name}"))
        ratios = compare(ours, others)
        spreads = {name: Spread.of([it[name] for it in ratios]) for name in RATIOS if ratios}
        console.print(ratio_table(ratios, other.name))
        compared = {
            "commit": other.commit,
            "summary": summary(others),
            "seeds": others,
            "ratios": ratios,
            "ratio_summary": {name: spread._asdict() for name, spread in spreads.items()},
        }
    report.write(
        {
            "benchmark": "first_level",
            "machine": facts,
            "load_after": report.load(),
            "rom": report.rom_facts(game),
            "protocol": {
                "level": level,
                "preset": preset,
                "settings": settings or [],
                "eval_episodes": episodes,
                "eval_noop_max": 30,
                "eval_seed": EVAL_SEED,
            },
            "summary": summary(ours),
            "seeds": ours,
            "against": compared,
            "failures": failures,
        },
        out,
        console,
    )
    if failures:
        raise typer.Exit(1)


def summary(results: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Median and range of each figure."""
    if not results:
        return {}
    return {name: Spread.of([r[name] for r in results])._asdict() for name in COLUMNS}


def table(results: list[dict[str, Any]], title: str, wanted: bool = False) -> Table:
    """A line for each seed, those for all, and what is `wanted` of their medians."""
    made = Table("seed", title=title)
    for heading, _ in COLUMNS.values():
        made.add_column(heading, justify="right")
    made.add_column("95 % interval", justify="right")
    for result in results:
        low, high = result["eval_ci95"]
        cells = [f"{result[name]:{form}}" for name, (_, form) in COLUMNS.items()]
        made.add_row(str(result["seed"]), *cells, f"{low:.0%}–{high:.0%}")
    made.add_section()
    spreads = summary(results)
    for of, heading in (("median", "median"), ("min", "smallest"), ("max", "largest")):
        made.add_row(heading, *(f"{spreads[n][of]:{form}}" for n, (_, form) in COLUMNS.items()), "")
    if wanted:
        made.add_row("wanted", *(GOALS.get(name, "") for name in COLUMNS), "")
    return made


def ratio_table(ratios: list[dict[str, float]], other: str) -> Table:
    """Returns a line for each seed, and one for all: how many times as good as `other`."""
    made = Table("seed", title=f"times as fast as {other}, or as few steps")
    for heading in RATIOS.values():
        made.add_column(heading, justify="right")
    for ratio in ratios:
        made.add_row(str(ratio["seed"]), *(f"{ratio[name]:.2f}" for name in RATIOS))
    made.add_section()
    if ratios:
        spreads = [Spread.of([it[name] for it in ratios]) for name in RATIOS]
        made.add_row("median", *(spread.text(".2f") for spread in spreads))
        made.add_row("wanted", *(RATIO_GOALS.get(name, "") for name in RATIOS))
    return made


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Clear rate against agent steps and against seconds, to `path`."""
    drawing, ((left, right),) = curves.figure(1, 2, 4.0, 2.8)
    for index, result in enumerate(results):
        curve = result["curve"]
        colour = COLOURS[index % len(COLOURS)]
        label = f"seed {result['seed']}"
        for panel, name, at in ((left, "steps", "step"), (right, "seconds", "seconds")):
            panel.plot(curve[name], curve["clear_rate"], color=colour, linewidth=1, label=label)
            if (reached := result["reached"]) is not None:
                panel.plot(reached[at], reached["clear_rate"], "o", color=colour, clip_on=False)
    if any(result["reached"] for result in results):
        left.plot([], [], "o", color="#999999", label=f"{TARGET:.0%} measured")
    left.set_ylabel("cleared, last 100 training episodes")
    left.set_xlabel("agent steps")
    curves.steps_axis(left)
    right.set_xlabel("seconds of training")
    right.set_xlim(left=0)
    left.legend(loc="lower right", fontsize=8)
    drawing.savefig(path)


def _say(result: dict[str, Any], of: str, console: Console) -> None:
    console.print(
        f"seed {result['seed']}{of}: {result['steps']:,} steps, {result['command_seconds']:.1f} s,"
        f" {result['own_clear_rate']:.0%} measured, {result['eval_clear_rate']:.0%} in eval"
    )


if __name__ == "__main__":
    typer.run(main)
