"""What each choice is worth: the preset `tiles` with one thing changed at a time, several seeds.

    python -m benchmarks.ablations run --jobs 2             # runs/ablations; the same line goes on
    python -m benchmarks.ablations run --jobs 2 --pixels    # pictures too, which takes hours
    python -m benchmarks.ablations run --level 1-1 --only base --only starts --seeds 5
    python -m benchmarks.ablations report --json ablations.json --table docs/ablations.md \\
        --plot docs/ablations.png                           # matplotlib: pip install '.[plots]'

`run` trains each variant on each of 1-1, 1-2 and 1-3 for a fixed number of agent steps (600,000; no
run stops earlier), seed by seed: OUT/<level>/<variant>/seed<N>. What is finished is left as it is,
what was interrupted goes on (and what is finished too, where `--steps` is larger now); a run that
fails is reported and does not stop the others. Every process has one thread, so what is learnt does
not depend on `--jobs`; seconds would, and are not reported. `report` reads what is finished there.

Compared are the clear rate of the last 100 training episodes from the level's own start, and the
clear rate and mean progress of 100 measured episodes (sampled actions, 0–30 no-ops) of the final
agent. None depends on the reward, which the variants of it change. `best_x` in the JSON is the
farthest x of any game in a rollout.

    base            preset tiles. The tables in docs/ were made when it had reward `progress`, γ and
                    λ 0.95, rollouts of 128 steps and no piecewise-linear features
    reward-tutorial env.reward=tutorial, the recipe of the preset `tutorial`, which is a Chinese
                    tutorial of 2022: (sum over a step's frames of gym-super-mario-bros' reward,
                    which is px moved, seconds of the clock lost and -25 in death, cut to ±15,
                    + 50 for the flag, - 50 for another end) / 10. A step at full speed is worth
                    about 1, an end ±5 and death some more. Ours: px of new-best x / 20 (about 0.5 a
                    step), -0.01 a step, -2.5 for another end, +5 for the flag. Advantages are
                    normalised in both; the scale acts through the value loss alone. The rest of
                    that preset (pictures, γ 0.99, one-step targets, raw advantages) stays out.
    objective-kl    objective=kl: a penalty that adapts (Schulman et al. 2017, section 4)
    gamma-0.9, gamma-0.99
    starts          curriculum.share=0.8 env.start_steps=96: fragments along a way that a search has
                    found. The search's own steps (20 million at the most) are not counted, and
                    `best_x` contains what is reached from within the level.
    constant        schedule=constant: step size and entropy bonus do not fall with competence
    pixels          preset pixels, with `--pixels` only, for `--pixel-steps` agent steps
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer
from benchmarks import curves
from benchmarks.curves import COLOURS, Curve
from benchmarks.options import RomOption

from warpzone.bench import report as reporting
from warpzone.bench.report import Spread
from warpzone.errors import WarpzoneError
from warpzone.smb.levels import LEVELS, parse_levels
from warpzone.smb.rom import find_rom
from warpzone.training.interrupt import Interrupt, Interrupted
from warpzone.training.run_settings import read_config
from warpzone.training.sweep import Entry, command

GRID = 10_000
"""Agent steps between two points of a curve in the report."""
POLL = 0.2
RATES = (0.5, 0.9)
"""Clear rates whose first time is reported."""


class Variant(NamedTuple):
    """A run other than the base."""

    label: str
    """In its group's panel of the plot."""
    settings: tuple[str, ...] = ()
    preset: str = "tiles"


class Group(NamedTuple):
    """Variants that answer one question, beside the base."""

    title: str
    base: str
    """What the base is in it."""
    variants: dict[str, Variant]


BASE = "base"
GROUPS = (
    Group(
        "reward",
        "landed",
        {"reward-tutorial": Variant("tutorial", ("env.reward=tutorial",))},
    ),
    Group("objective", "clip", {"objective-kl": Variant("KL penalty", ("objective=kl",))}),
    Group(
        "discount",
        "γ 0.97",
        {
            "gamma-0.9": Variant("γ 0.9", ("gamma=0.9",)),
            "gamma-0.99": Variant("γ 0.99", ("gamma=0.99",)),
        },
    ),
    Group(
        "starts",
        "level's own",
        {"starts": Variant("along a searched way", ("curriculum.share=0.8", "env.start_steps=96"))},
    ),
    Group(
        "step size",
        "falls with competence",
        {"constant": Variant("constant", ("schedule=constant",))},
    ),
    Group("observation", "tiles", {"pixels": Variant("pixels", preset="pixels")}),
)
VARIANTS: dict[str, Variant] = {
    BASE: Variant("preset tiles"),
    **{name: variant for group in GROUPS for name, variant in group.variants.items()},
}
LINES = ("-", "--", "-.", ":")
FIXED = ("target_clear_rate=null",)
"""Settings of every run."""


class Task(NamedTuple):
    """A run that is wanted."""

    level: str
    variant: str
    seed: int
    steps: int

    @property
    def name(self) -> str:
        return f"{self.level} {self.variant} seed {self.seed}"

    def path(self, out: Path) -> Path:
        return out / self.level / self.variant / f"seed{self.seed}"

    def settings(self) -> list[str]:
        return [*VARIANTS[self.variant].settings, *FIXED, f"seed={self.seed}"]

    def line(self, out: Path, rom: Path) -> list[str]:
        """The process that trains it, with one thread; one that goes on where a run is there."""
        entry = Entry(self.level, self.path(out))
        preset = VARIANTS[self.variant].preset
        return command(entry, preset, self.steps, self.settings(), rom)

    def done(self, out: Path) -> bool:
        status = _status(self.path(out))
        return status.get("state") == "finished" and status["step"] >= self.steps


def tasks(
    levels: Sequence[str], variants: Sequence[str], seeds: int, steps: int, pixel_steps: int
) -> list[Task]:
    """A seed of everything before the next, so that an early report compares like with like."""
    return [
        Task(level, name, seed, pixel_steps if VARIANTS[name].preset == "pixels" else steps)
        for seed in range(seeds)
        for level in levels
        for name in variants
    ]


def run_all(wanted: Sequence[Task], out: Path, jobs: int, rom: Path, say: Any) -> dict[str, str]:
    """Train what is not done yet, `jobs` processes at once; return why runs failed, by name.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the runs have saved themselves.
    """
    waiting = deque(task for task in wanted if not task.done(out))
    total, ended = len(waiting), 0
    if total < len(wanted):
        say(f"{len(wanted) - total} of {len(wanted)} runs are finished already")
    running: dict[Task, tuple[subprocess.Popen[bytes], float]] = {}
    failures: dict[str, str] = {}
    with Interrupt() as interrupt:
        try:
            while waiting or running:
                interrupt.check()
                while waiting and len(running) < jobs:
                    task = waiting.popleft()
                    running[task] = _start(task, out, rom), time.monotonic()
                for task, (process, began) in list(running.items()):
                    if process.poll() is None:
                        continue
                    del running[task]
                    ended += 1
                    text = f"{task.name}: {time.monotonic() - began:.0f} s"
                    if process.returncode != 0 or not task.done(out):
                        failures[task.name] = _reason(_log(task, out))
                        text = f"{task.name}: FAILED, {failures[task.name]}"
                    say(f"{ended} of {total} · {text}")
                time.sleep(POLL)
        finally:
            for process, _ in running.values():
                process.terminate()
            for process, _ in running.values():
                process.wait()
    return failures


def _start(task: Task, out: Path, rom: Path) -> subprocess.Popen[bytes]:
    _log(task, out).parent.mkdir(parents=True, exist_ok=True)
    with _log(task, out).open("ab") as log:
        # In a group of its own, so that Ctrl-C reaches it through us alone.
        return subprocess.Popen(
            task.line(out, rom), stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            process_group=0 if sys.platform != "win32" else None,
        )  # fmt: skip


def _log(task: Task, out: Path) -> Path:
    path = task.path(out)
    return path.with_name(f"{path.name}.log")


def _reason(log: Path) -> str:
    """Why a run failed: its message, else the last line, as of a traceback."""
    text = log.read_text(errors="replace").strip()
    if "\nerror: " in f"\n{text}":
        return " ".join(f"\n{text}".rpartition("\nerror: ")[2].split())
    return text.splitlines()[-1] if text else f"it said nothing in {log}"


def _status(path: Path) -> dict[str, Any]:
    try:
        status: dict[str, Any] = json.loads((path / "status.json").read_text())
    except (OSError, ValueError):
        return {}
    return status


def read(out: Path) -> dict[str, dict[str, dict[int, Curve]]]:
    """Curves of the finished runs in `out` by level, variant and seed; of a variant on a level
    those of the largest number of steps."""
    found: dict[str, dict[str, dict[int, Curve]]] = {}
    for level in LEVELS:
        for name in VARIANTS:
            paths = {
                int(path.name.removeprefix("seed")): path
                for path in (out / level / name).glob("seed*")
                if _status(path).get("state") == "finished"
            }
            budgets = {seed: read_config(path).total_steps for seed, path in paths.items()}
            cell = {
                seed: curves.read_curve(paths[seed])
                for seed in sorted(paths)
                if budgets[seed] == max(budgets.values())
            }
            if cell:
                found.setdefault(level, {})[name] = cell
    return found


def summary(cell: dict[int, Curve]) -> dict[str, Any]:
    """Of the seeds of one variant on one level."""
    runs = list(cell.values())
    at = curves.grid(runs, GRID)
    return {
        "seeds": list(cell),
        "steps": max(run.steps[-1] for run in runs),
        "final_clear_rate": Spread.of([run.clear_rate[-1] for run in runs])._asdict(),
        "measured_clear_rate": _measured(runs, "clear_rate"),
        "measured_progress": _measured(runs, "mean_progress"),
        "steps_to": {
            f"{rate:g}": [None if math.isinf(step) else step for step in _first(runs, rate)]
            for rate in RATES
        },
        "grid": at,
        "clear_rate": curves.band([(run.steps, run.clear_rate) for run in runs], at),
        "best_x": curves.band([(run.steps, run.best_x) for run in runs], at),
        "measurements": {seed: run.measured for seed, run in cell.items()},
    }


def _measured(runs: list[Curve], name: str) -> dict[str, float]:
    return Spread.of([run.measured[-1][name] for run in runs])._asdict()


def _first(runs: list[Curve], rate: float) -> list[float]:
    return [run.first_at(rate) for run in runs]


def first_text(steps: Sequence[float | None]) -> str:
    """`median (range)` of the seeds' steps in thousands, where None, never reached, is the most."""
    values = [math.inf if step is None else step for step in steps]
    reached = sum(map(math.isfinite, values))
    if not reached:
        return "–"
    if len(values) == 1:
        return _thousands(values[0])
    spread = f"{_thousands(min(values))} to {_thousands(max(values))}"
    return f"{_thousands(statistics.median(values))} ({spread})"


def _thousands(steps: float) -> str:
    return "never" if math.isinf(steps) else f"{steps / 1000:,.0f}k"


TOLD = """\
Measured on 25 November 2026: `base` is the preset `tiles` as it was then (γ and λ 0.95, 128 steps a
rollout, reward `progress`). [Settings](settings.md#presets) has today's,
[how levels are learnt](learning.md#what-the-preset-tiles-learns) what it reaches. The runs were
made by `python -m benchmarks.ablations run --jobs 2 --steps 500000 --only VARIANT`, as
[the log](experiments.md#2026-11-24-ablations) tells."""
"""Of the measurement in `docs/ablations.json`; a new one needs a text of its own."""


def markdown(levels: dict[str, dict[str, dict[str, Any]]], machine: dict[str, Any] | None) -> str:
    """`docs/ablations.md`."""
    lines = [
        "# Ablations",
        "",
        "Made by `python -m benchmarks.ablations report`; what the variants are and how they were"
        " compared is said in [benchmarks/ablations.py](../benchmarks/ablations.py). Median"
        " (smallest–largest) over the seeds. Steps until 50 % and 90 %: of the last 100 training"
        " episodes; “never” is within the steps of the run, “–” is never for all seeds.",
        "",
        TOLD,
    ]
    if machine is not None:
        lines += [
            "",
            f"{machine['cpu']} · {machine['system']} · Python {machine['python']} ·"
            f" torch {machine['torch']} · revision {machine['revision']} ·"
            f" {machine['rom']['revision']} ROM.",
        ]
    for level, variants in levels.items():
        lines += [
            "",
            f"## {level}",
            "",
            "| variant | settings | seeds | steps | cleared at the end, last 100 training episodes"
            " | measured: cleared | measured: progress, px | until 50 % | until 90 % |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for name, row in variants.items():
            settings = " ".join(VARIANTS[name].settings)
            cells = [
                name,
                f"`{settings}`" if settings else f"preset {VARIANTS[name].preset}",
                str(len(row["seeds"])),
                _thousands(row["steps"]),
                Spread(**row["final_clear_rate"]).text(".0%"),
                Spread(**row["measured_clear_rate"]).text(".0%"),
                Spread(**row["measured_progress"]).text(",.0f"),
                *(first_text(row["steps_to"][f"{rate:g}"]) for rate in RATES),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(levels: dict[str, dict[str, dict[str, Any]]], path: Path) -> None:
    """A row for each level, a column for each group that has a run, to `path`."""
    present = {name for variants in levels.values() for name in variants}
    groups = [group for group in GROUPS if present & set(group.variants)]
    groups = groups or [Group("preset tiles", BASE, {})]
    drawing, axes = curves.figure(len(levels), len(groups), 2.3, 1.9)
    for (level, variants), row in zip(levels.items(), axes, strict=True):
        for group, panel in zip(groups, row, strict=True):
            labels = {BASE: group.base, **{name: v.label for name, v in group.variants.items()}}
            for index, (name, label) in enumerate(labels.items()):
                style, colour = LINES[index], COLOURS[index]
                if name not in variants:
                    # The legend stands above the first row, for all.
                    panel.plot([], [], style, color=colour, label=label)
                    continue
                at, curve = variants[name]["grid"], variants[name]["clear_rate"]
                panel.plot(at, curve["median"], style, color=colour, label=label)
                panel.fill_between(
                    at, curve["min"], curve["max"], color=colour, alpha=0.2, linewidth=0
                )
            curves.steps_axis(panel)
        row[0].set_ylabel(f"{level}: cleared")
    for group, top, bottom in zip(groups, axes[0], axes[-1], strict=True):
        top.legend(
            title=group.title, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2,
            title_fontproperties={"weight": "bold", "size": 9}, alignment="left", fontsize=8,
            frameon=False,
        )  # fmt: skip
        bottom.set_xlabel("agent steps")
    drawing.savefig(path)


app = typer.Typer(no_args_is_help=True, help="What each choice is worth.")
OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the runs are.")]
DEFAULT_OUT = Path("runs/ablations")


@app.command()
def run(
    level: Annotated[
        list[str] | None, typer.Option(help="May be repeated.", show_default="1-1, 1-2, 1-3")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="VARIANT", help="May be repeated.", show_default="all"),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="0, 1, 2 …")] = 3,
    steps: Annotated[int, typer.Option(min=1, help="Agent steps of a run.")] = 600_000,
    pixels: Annotated[bool, typer.Option("--pixels", help="Pictures too: hours.")] = False,
    pixel_steps: Annotated[int, typer.Option(min=1, help="Agent steps of such a run.")] = 300_000,
    jobs: Annotated[int, typer.Option(min=1, help="Processes at once, one thread each.")] = 1,
    out: OutOption = DEFAULT_OUT,
    rom: RomOption = None,
) -> None:
    """Train every variant on every level with every seed."""
    console = reporting.console()

    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    names = only or [name for name in VARIANTS if pixels or name != "pixels"]
    if unknown := [name for name in names if name not in VARIANTS]:
        raise typer.BadParameter(f"{', '.join(unknown)}: there are {', '.join(VARIANTS)}")
    try:
        levels = list(parse_levels(",".join(level or ["1-1", "1-2", "1-3"])))
        game = find_rom(rom, log=say)
    except WarpzoneError as error:
        say(str(error))
        raise typer.Exit(2) from None
    machine = {
        **reporting.machine(),
        "torch": torch.__version__,
        "rom": reporting.rom_facts(game),
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "machine.json").write_text(json.dumps(machine, indent=2) + "\n")
    wanted = tasks(levels, names, seeds, steps, pixel_steps)
    try:
        failures = run_all(wanted, out, jobs, game.path, say)
    except Interrupted:
        say("interrupted; the runs have saved themselves. The same command goes on")
        raise typer.Exit(130) from None
    if failures:
        say(f"{len(failures)} of {len(wanted)} runs failed:")
        for name, reason in failures.items():
            say(f"  {name}: {reason}")
        raise typer.Exit(1)


@app.command()
def report(
    out: OutOption = DEFAULT_OUT,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="File for the JSON.", show_default="standard output"),
    ] = None,
    table: Annotated[
        Path | None, typer.Option(metavar="MD", help="File for the tables, in Markdown.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="PNG", help="Draw the curves.")] = None,
) -> None:
    """Compare what is finished."""
    console = reporting.console()
    levels = {
        level: {name: summary(cell) for name, cell in variants.items()}
        for level, variants in read(out).items()
    }
    if not levels:
        console.print(f"no finished run in {out}", markup=False)
        raise typer.Exit(2)
    facts = out / "machine.json"
    machine = json.loads(facts.read_text()) if facts.exists() else None
    text = markdown(levels, machine)
    if table is None:
        console.print(text, markup=False, soft_wrap=True)
    else:
        table.write_text(text)
        console.print(f"written to {table}", markup=False)
    if plot is not None:
        try:
            draw(levels, plot)
        except WarpzoneError as error:
            console.print(str(error), markup=False)
            raise typer.Exit(2) from None
        console.print(f"drawn to {plot}", markup=False)
    result = {"benchmark": "ablations", "machine": machine, "levels": levels}
    reporting.write(result, json_file, console)


if __name__ == "__main__":
    app()
