"""Levels never seen: a network trained on 24 levels, measured on the other 8.

    python -m benchmarks.unseen_levels splits                        # which levels are held out
    python -m benchmarks.unseen_levels run --steps 20000000 --threads 2    # the same line goes on
    python -m benchmarks.unseen_levels report --table unseen.md --json unseen.json

There are two splits, stated before any network was trained: `SPLITS`, which `draw_splits` draws by
a seed. The held-out levels of each split are of all kinds and of six worlds at the least, and none
is in both. Five maps are used for two levels each (1-3 and 5-3, 1-4 and 6-4, 2-2 and 7-2, 2-3 and
7-3, 2-4 and 5-4: the game loads the same data and adds enemies), so that these are held out or
trained on together: else a level would have been seen by another name. The two levels of water are
such a pair. What lies behind pipes, bonus rooms for the most part, is shared by many levels and is
not counted.

`run` trains `OUT/<split>`, an ordinary run directory, with the preset `generalist` on 24 levels.
`show_level` is off: the input of a level never seen has never been trained. Nothing of the held-out
levels is played, since episodes go on (`row_share`) into levels of the run only. Then every level
is measured, with 0 to 30 idle frames at its start, by likeliest and by sampled actions, and so is
what does not look at all: actions drawn evenly. Measurements are kept in `OUT/<split>.json` as they
are made. `report` tells what is there.

    share        of the level's length that an episode has reached, mean of all episodes; the length
                 is the progress (px) of an episode that clears the level, median of those that the
                 agent packaged for it clears. A clear rate of 0 says little, this says more
"""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import typer
from benchmarks.options import RomOption
from numpy.typing import NDArray

from warpzone.agents.agent import Agent
from warpzone.agents.evaluate import evaluate
from warpzone.bench import report as reporting
from warpzone.errors import ConfigError, RunError, WarpzoneError
from warpzone.files import write_atomically
from warpzone.nes.arrays import Arrays
from warpzone.nes.rom import Rom
from warpzone.settings import parse_overrides
from warpzone.smb.levels import LEVELS, level_kind
from warpzone.smb.rom import find_rom
from warpzone.training.agent_file import PolicyMode
from warpzone.training.config import TrainConfig
from warpzone.training.evaluation import wilson
from warpzone.training.interrupt import Interrupt, Interrupted
from warpzone.training.recurrent import Memory
from warpzone.training.run_settings import read_config, read_status
from warpzone.training.sweep import POLL, train_command
from warpzone.training.time_slice import TimeSlice

HELD_OUT = 8
"""Levels of a split that are not trained on."""
FEWEST_WORLDS = 6
"""Among them."""
SAME_MAPS: tuple[tuple[str, str], ...] = (
    ("1-3", "5-3"), ("1-4", "6-4"), ("2-2", "7-2"), ("2-3", "7-3"), ("2-4", "5-4"),
)  # fmt: skip
"""Levels for which the game loads one and the same map."""
QUOTAS: dict[str, dict[str, int]] = {
    "a": {"overground": 3, "athletic": 2, "castle": 2, "underground": 1},
    "b": {"overground": 3, "athletic": 1, "castle": 2, "water": 2},
}
"""Held-out levels of each kind: about a quarter of all. There are two levels below the ground and
two of water, and the latter share a map."""
SPLIT_SEED = 0
SPLITS: dict[str, tuple[str, ...]] = {
    "a": ("2-3", "3-1", "4-2", "4-4", "5-1", "7-3", "8-2", "8-4"),
    "b": ("2-1", "2-2", "2-4", "3-3", "5-4", "6-1", "7-2", "8-3"),
}
"""The held-out levels, as `draw_splits(SPLIT_SEED)` gives them."""

PRESET = "generalist"
FIXED = ("env.show_level=false",)
"""Settings of every run."""
REFUSED = ("init", "distillation_policies")
"""Settings that would let a network learn from one that may have seen the held-out levels."""
EVAL_SEED = 2000
"""Episodes that no run has measured itself by."""
NOOPS = 30

PlayedBy = Literal["argmax", "sample", "random"]
PLAYED_BY: tuple[PlayedBy, ...] = ("argmax", "sample", "random")


def kind(level: str) -> str:
    """Returns which of the kinds of `QUOTAS` a level is."""
    found = level_kind(level)
    return {"bridges": "athletic", "treetops": "athletic", "castle maze": "castle"}.get(
        found, found
    )


def fits(held_out: Sequence[str]) -> bool:
    """Returns whether levels are of enough worlds, and levels of one map in or out together."""
    worlds = {level[0] for level in held_out}
    together = all((one in held_out) == (two in held_out) for one, two in SAME_MAPS)
    return together and len(worlds) >= FEWEST_WORLDS


def draw_splits(seed: int) -> dict[str, tuple[str, ...]]:
    """Returns the held-out levels of each split: `QUOTAS` of each kind, drawn evenly and anew until
    they fit and no level is in both."""
    drawn = random.Random(seed)
    splits: dict[str, tuple[str, ...]] = {}
    taken: set[str] = set()
    for name, quotas in QUOTAS.items():
        while True:
            chosen = {
                level
                for of, count in quotas.items()
                for level in drawn.sample([level for level in LEVELS if kind(level) == of], count)
            }
            if fits(sorted(chosen)) and not chosen & taken:
                break
        taken |= chosen
        splits[name] = tuple(level for level in LEVELS if level in chosen)
    return splits


def trained_levels(split: str) -> list[str]:
    """Returns the levels of a split that are trained on, in the order of the game."""
    return [level for level in LEVELS if level not in SPLITS[split]]


def line(
    split: str, out: Path, steps: int, threads: int, settings: Sequence[str], rom: Path
) -> list[str]:
    """Returns the command that trains the network of a split, or goes on with it.

    Raises:
        ConfigError: a setting that would let it learn from what may have seen held-out levels, or
            one that does not exist.
    """
    for name in parse_overrides(list(settings), TrainConfig):
        if name in REFUSED:
            raise ConfigError(
                f"{name}: an agent that this network learnt from may have seen the held-out"
                " levels. Leave it out"
            )
    levels = ",".join(trained_levels(split))
    given = [*settings, *FIXED]
    return train_command(levels, out / split, PRESET, steps, threads, given, rom)


def train(command: Sequence[str], run: Path, say: Callable[[str], None]) -> None:
    """Trains until the run's steps are over.

    Raises:
        Interrupted: an end was requested; the run has saved itself.
        RunError: the training failed.
    """
    run.parent.mkdir(parents=True, exist_ok=True)
    log = run.with_suffix(".log")
    with Interrupt() as interrupt:
        process = TimeSlice(command, log)
        try:
            told = 0.0
            while not process.ended:
                interrupt.check()
                if process.seconds > told + 60:
                    told = process.seconds
                    say(f"{run.name}: {read_status(run).get('step', 0):,} steps")
                time.sleep(POLL)
        finally:
            if not process.ended:
                process.ask_to_end()
                process.wait()
    if process.code != 0:
        raise RunError(f"the training of {run} failed: {process.last_line()}; see {log}")


class Ends:
    """Collects how the episodes of a measurement ended."""

    def __init__(self) -> None:
        self.progress: list[int] = []
        self.cleared: list[bool] = []

    def __call__(self, signals: dict[str, NDArray[Any]], game: int) -> None:
        self.progress.append(int(signals["progress"][game]))
        self.cleared.append(bool(signals["flag"][game]))


class EvenAgent(Agent):
    """Plays the games of another agent, and draws its actions evenly."""

    @classmethod
    def like(cls, agent: Agent) -> EvenAgent:
        return cls(agent.policy, agent.info, agent.path)

    def act(
        self,
        observation: Arrays,
        policy: PolicyMode,
        generator: torch.Generator,
        memory: Memory | None = None,
    ) -> NDArray[np.int64]:
        arrays = observation if isinstance(observation, np.ndarray) else observation["scalars"]
        drawn = torch.randint(self.info.actions, (len(arrays),), generator=generator)
        actions: NDArray[np.int64] = drawn.numpy()
        return actions


def measure(
    agent: Agent, level: str, by: PlayedBy, episodes: int, threads: int, rom: Rom
) -> dict[str, list[int]]:
    """Returns `progress` (px) and `cleared` (0 or 1) of each episode."""
    ends = Ends()
    evaluate(
        EvenAgent.like(agent) if by == "random" else agent,
        [level],
        episodes=episodes,
        noop_max=NOOPS,
        policy="sample" if by == "random" else by,
        seed=EVAL_SEED,
        threads=threads,
        rom=rom,
        on_episode=ends,
    )
    return {"progress": ends.progress, "cleared": [int(one) for one in ends.cleared]}


def measure_length(level: str, episodes: int, threads: int, rom: Rom) -> float:
    """Returns the length of a level in px of progress.

    Raises:
        WarpzoneError: the packaged agent clears it in none of the episodes.
    """
    agent = Agent.load(level)
    mode: PlayedBy = "sample" if agent.policy_mode == "sample" else "argmax"
    played = measure(agent, level, mode, episodes, threads, rom)
    clears = [px for px, clear in zip(played["progress"], played["cleared"], strict=True) if clear]
    if not clears:
        raise WarpzoneError(
            f"how long {level} is cannot be told: {agent.path.name} clears it in none of"
            f" {episodes} episodes; try more"
        )
    return statistics.median(clears)


def keep(path: Path, found: Mapping[str, Any]) -> None:
    write_atomically(path, (json.dumps(found, indent=1) + "\n").encode())


def read(path: Path) -> dict[str, Any]:
    """Returns what has been measured; nothing yet: an empty dictionary."""
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def summary(played: Mapping[str, Sequence[int]], length: float) -> dict[str, float]:
    """Returns `rate`, `low` and `high` of its 95 % interval, and `share` of some episodes."""
    count = len(played["cleared"])
    low, high = wilson(sum(played["cleared"]), count)
    # Through a pipe that nobody needs an episode may come farther than the level is long.
    shares = [
        1.0 if clear else min(px / length, 1.0)
        for px, clear in zip(played["progress"], played["cleared"], strict=True)
    ]
    return {
        "rate": sum(played["cleared"]) / count,
        "low": low,
        "high": high,
        "share": statistics.fmean(shares),
    }


def levels_of(found: Mapping[str, Any], lengths: Mapping[str, float]) -> dict[str, Any]:
    """Returns the summaries of a split: level → who played → see `summary`."""
    return {
        level: {by: summary(found[level][by], lengths[level]) for by in PLAYED_BY}
        for level in LEVELS
        if level in found and level in lengths and set(PLAYED_BY) <= set(found[level])
    }


def means(
    summaries: Mapping[str, Any], levels: Sequence[str], ways: Iterable[str] = PLAYED_BY
) -> dict[str, dict[str, float]]:
    """Returns the means of `rate` and `share` over those of `levels` that were measured."""
    rows = [summaries[level] for level in levels if level in summaries]
    return {
        by: {name: statistics.fmean(row[by][name] for row in rows) for name in ("rate", "share")}
        for by in ways
        if rows
    }


def cells(row: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Returns a rate with its interval, if it has one, and a share, by each who played."""
    found = []
    for by in PLAYED_BY:
        one = row[by]
        interval = f" ({one['low']:.0%}–{one['high']:.0%})" if "low" in one else ""
        found += [f"{one['rate']:.1%}{interval}", f"{one['share']:.0%}"]
    return found


def markdown(splits: Mapping[str, Any]) -> str:
    """Returns a table for each split: the held-out levels, then the others, each with its means."""
    lines = []
    for name, split in splits.items():
        lines += [
            f"### Split {name}: {', '.join(SPLITS[name])} held out, {split['steps']:,} steps",
            "",
            "| level | kind | cleared, likeliest actions | share | cleared, sampled | share"
            " | cleared, even draws | share |",
            "|---|---|--:|--:|--:|--:|--:|--:|",
        ]
        for title, levels in (("held out", SPLITS[name]), ("trained", trained_levels(name))):
            for level in levels:
                if level in split["levels"]:
                    row = cells(split["levels"][level])
                    lines.append(f"| {level} | {kind(level)} | {' | '.join(row)} |")
            if mean := means(split["levels"], levels):
                row = [f"**{cell}**" for cell in cells(mean)]
                lines.append(f"| **mean, {title}** | | {' | '.join(row)} |")
        lines.append("")
    return "\n".join(lines)


app = typer.Typer(no_args_is_help=True, help="Levels never seen.")
OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the runs are.")]
DEFAULT_OUT = Path("runs/unseen")
LENGTHS = "lengths.json"


@app.command()
def splits() -> None:
    """State the splits."""
    for name, held_out in SPLITS.items():
        print(f"{name}: held out {', '.join(f'{level} ({kind(level)})' for level in held_out)}")
        print(f"   trained {', '.join(trained_levels(name))}")


@app.command()
def run(
    steps: Annotated[int, typer.Option(min=1, help="Agent steps of each network.")] = 20_000_000,
    only: Annotated[
        list[str] | None,
        typer.Option("--split", help="a or b; may be repeated.", show_default="both"),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="For games and learning.")] = 2,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any setting, as `warpzone train` has."),
    ] = None,
    episodes: Annotated[int, typer.Option(min=1, help="Of each measurement.")] = 100,
    level: Annotated[
        list[str] | None,
        typer.Option(help="Measure these only; may be repeated.", show_default="all"),
    ] = None,
    out: OutOption = DEFAULT_OUT,
    rom: RomOption = None,
) -> None:
    """Train the networks and measure them; what is done already is left as it is."""
    console = reporting.console()

    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    names = only or list(SPLITS)
    chosen = level or list(LEVELS)
    try:
        if unknown := [name for name in names if name not in SPLITS]:
            raise ConfigError(f"no split {', '.join(unknown)}: there are {', '.join(SPLITS)}")
        if unknown := [name for name in chosen if name not in LEVELS]:
            raise ConfigError(f"no level {', '.join(unknown)}: there are 1-1 to 8-4")
        game = find_rom(rom, log=say)
        lines = {name: line(name, out, steps, threads, settings or [], game.path) for name in names}
        for name, command in lines.items():
            status = read_status(out / name)
            if status.get("state") == "finished" and status.get("step", 0) >= steps:
                say(f"{name}: trained already, {status['step']:,} steps")
            else:
                train(command, out / name, say)
        lengths = read(out / LENGTHS)
        for name in names:
            _measure(out, name, chosen, lengths, episodes, threads, game, say)
    except Interrupted:
        say("interrupted; the run has saved itself. The same command goes on")
        raise typer.Exit(130) from None
    except WarpzoneError as error:
        say(str(error))
        raise typer.Exit(2) from None


def _measure(
    out: Path,
    split: str,
    levels: Sequence[str],
    lengths: dict[str, float],
    episodes: int,
    threads: int,
    rom: Rom,
    say: Callable[[str], None],
) -> None:
    """Measures what has not been measured of this network by as many episodes."""
    agent = Agent.load(out / split)
    known = {"agent_steps": agent.info.steps, "episodes": episodes, "eval_seed": EVAL_SEED}
    found = read(out / f"{split}.json")
    if {name: found.get(name) for name in known} != known:
        found = {**known, "levels": {}}
    for level in levels:
        if level not in lengths:
            lengths[level] = measure_length(level, episodes, threads, rom)
            keep(out / LENGTHS, lengths)
        of_level = found["levels"].setdefault(level, {})
        for by in PLAYED_BY:
            if by not in of_level:
                of_level[by] = measure(agent, level, by, episodes, threads, rom)
                keep(out / f"{split}.json", found)
        told = summary(of_level["argmax"], lengths[level])
        held = "held out" if level in SPLITS[split] else "trained"
        say(f"{split} {level} ({held}): {told['rate']:.1%}, share {told['share']:.0%}")


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
) -> None:
    """Tell what has been measured."""
    console = reporting.console()
    lengths = read(out / LENGTHS)
    found = {name: read(out / f"{name}.json") for name in SPLITS}
    told = {
        name: {
            "steps": split["agent_steps"],
            "settings": read_config(out / name).model_dump(mode="json"),
            "levels": levels_of(split["levels"], lengths),
        }
        for name, split in found.items()
        if split
    }
    if not told:
        console.print(f"nothing has been measured in {out}", markup=False)
        raise typer.Exit(2)
    text = markdown(told)
    if table is None:
        console.print(text, markup=False, soft_wrap=True)
    else:
        table.write_text(text)
        console.print(f"written to {table}", markup=False)
    result = {
        "benchmark": "unseen_levels",
        "machine": reporting.machine(),
        "held_out": SPLITS,
        "lengths": lengths,
        "splits": told,
    }
    reporting.write(result, json_file, console)


if __name__ == "__main__":
    app()
