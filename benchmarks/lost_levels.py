"""The Lost Levels, never seen: how far an agent for Super Mario Bros. comes on the other cartridge.

    python -m benchmarks.lost_levels run                   # runs/lost-levels.json; goes on
    python -m benchmarks.lost_levels report --table lost.md --json lost.json

The agent (by default that which comes with warpzone for 1-1) plays the 16 levels of the cartridge
`lost-levels` without having been trained on any, with 0 to 30 idle frames at the start: by
likeliest and by sampled actions; told the level that has the same number in the game it was trained
on, as `warpzone eval --rom lost-levels` plays, and untold, with that input left at 0; and, to
compare, by actions drawn evenly.

The program of the cartridge is that of Super Mario Bros., but of its other revision: Mario jumps
and falls by other numbers than on the European one that agents are trained on.

    share        of the level's length that an episode has reached, mean of all episodes; the length
                 is the progress (px) of the way that a search over snapshots finds through it
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from benchmarks.unseen_levels import EVAL_SEED, NOOPS, Ends, EvenAgent, keep, means, read, summary

from warpzone.agents.agent import Agent
from warpzone.agents.evaluate import evaluate
from warpzone.bench import report as reporting
from warpzone.errors import WarpzoneError
from warpzone.nes.rom import Rom
from warpzone.smb.known_cartridges import KNOWN, LOST_LEVELS
from warpzone.smb.rom import find_known
from warpzone.smb.vector_env import MarioVectorEnv

WAYS: dict[str, tuple[str, bool]] = {
    "argmax, told": ("argmax", True),
    "sample, told": ("sample", True),
    "argmax, untold": ("argmax", False),
    "sample, untold": ("sample", False),
    "even draws": ("random", True),
}
"""How the levels are played: who decides, and whether the level's number is told."""


def agent_for(agent: Agent, told: bool) -> Agent:
    """Returns the agent as it plays when it is told the level, or not."""
    env = agent.info.env.model_copy(update={"show_level": told and agent.info.env.show_level})
    info = agent.info.model_copy(update={"env": env})
    return Agent(agent.policy, info, agent.path, policy_mode=agent.policy_mode)


def measure(agent: Agent, level: str, way: str, episodes: int, rom: Rom) -> dict[str, list[int]]:
    """Returns `progress` (px) and `cleared` (0 or 1) of each episode."""
    by, told = WAYS[way]
    player = agent_for(agent, told)
    ends = Ends()
    evaluate(
        EvenAgent.like(player) if by == "random" else player,
        [level],
        episodes=episodes,
        noop_max=NOOPS,
        policy="argmax" if by == "argmax" else "sample",
        seed=EVAL_SEED,
        threads=1,
        rom=rom,
        on_episode=ends,
    )
    return {"progress": ends.progress, "cleared": [int(one) for one in ends.cleared]}


def search(level: str, steps: int, rom: Rom) -> dict[str, int]:
    """Returns what a search found within so many agent steps: `length`, px of progress as far as it
    came, and whether that `clears` the level."""
    envs = MarioVectorEnv(level, 1, rom=rom, threads=1, actions="down")
    explorer = envs.explorer(level)
    explorer.search(steps)
    found = {"length": explorer.progress, "clears": int(explorer.cleared)}
    envs.close()
    return found


def levels_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the summaries of what is measured: level → way → see `unseen_levels.summary`."""
    return {
        level: {way: summary(one[way], one["search"]["length"]) for way in WAYS}
        for level in LOST_LEVELS
        if {"search", *WAYS} <= set(one := found["levels"].get(level, {}))
    }


def markdown(levels: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """Returns a line for each level and the means."""
    heads = "".join(f" {way} | share |" for way in WAYS)
    lines = [f"| level | px |{heads}", "|---|--:|" + "--:|" * 2 * len(WAYS)]
    for level, row in levels.items():
        searched = found["levels"][level]["search"]
        length = f"{searched['length']:,}" + ("" if searched["clears"] else " at least")
        lines.append(f"| {level} | {length} | {' | '.join(cells(row))} |")
    mean = means(levels, list(levels), WAYS)
    lines.append(f"| **mean** | | {' | '.join(cells(mean))} |")
    return "\n".join(lines) + "\n"


def cells(row: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Returns a rate, with its interval if it is above 0, and a share, for each way."""
    found = []
    for way in WAYS:
        one = row[way]
        shown = one["rate"] > 0 and "low" in one
        interval = f" ({one['low']:.0%}–{one['high']:.0%})" if shown else ""
        found += [f"{one['rate']:.1%}{interval}", f"{one['share']:.0%}"]
    return found


app = typer.Typer(no_args_is_help=True, help="The Lost Levels, never seen.")
OutOption = Annotated[Path, typer.Option("--out", metavar="JSON", help="Where results are kept.")]
DEFAULT_OUT = Path("runs/lost-levels.json")


@app.command()
def run(
    agent: Annotated[str, typer.Option(help="As `warpzone eval` names agents.")] = "1-1",
    episodes: Annotated[int, typer.Option(min=1, help="Of each measurement.")] = 100,
    search_steps: Annotated[int, typer.Option(min=1, help="Agent steps, a level.")] = 5_000_000,
    level: Annotated[
        list[str] | None, typer.Option(help="May be repeated.", show_default="all 16")
    ] = None,
    out: OutOption = DEFAULT_OUT,
) -> None:
    """Measure what has not been measured of this agent by as many episodes."""
    console = reporting.console()
    try:
        player = Agent.load(agent)
        rom = find_known(KNOWN["lost-levels"], log=console.print)
        known = {"agent": player.path.name, "episodes": episodes, "eval_seed": EVAL_SEED}
        found = read(out)
        if {name: found.get(name) for name in known} != known:
            found = {**known, "agent_steps": player.info.steps, "levels": {}}
        out.parent.mkdir(parents=True, exist_ok=True)
        for name in level or LOST_LEVELS:
            of_level = found["levels"].setdefault(name, {})
            for way in WAYS:
                if way not in of_level:
                    of_level[way] = measure(player, name, way, episodes, rom)
                    keep(out, found)
            if "search" not in of_level:
                of_level["search"] = search(name, search_steps, rom)
                keep(out, found)
            length = of_level["search"]["length"]
            texts = [summary(of_level[way], length) for way in WAYS]
            told = ", ".join(
                f"{way} {one['rate']:.0%}/{one['share']:.0%}"
                for way, one in zip(WAYS, texts, strict=True)
            )
            console.print(f"{name}: {told}", markup=False, soft_wrap=True)
    except WarpzoneError as error:
        console.print(str(error), markup=False, soft_wrap=True)
        raise typer.Exit(2) from None


@app.command()
def report(
    out: OutOption = DEFAULT_OUT,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="File for the JSON.", show_default="standard output"),
    ] = None,
    table: Annotated[
        Path | None, typer.Option(metavar="MD", help="File for the table, in Markdown.")
    ] = None,
) -> None:
    """Tell what has been measured."""
    console = reporting.console()
    found = read(out)
    levels = levels_of(found) if found else {}
    if not levels:
        console.print(f"nothing has been measured in {out}", markup=False)
        raise typer.Exit(2)
    text = markdown(levels, found)
    if table is None:
        console.print(text, markup=False, soft_wrap=True)
    else:
        table.write_text(text)
        console.print(f"written to {table}", markup=False)
    about = {name: value for name, value in found.items() if name != "levels"}
    result = {
        "benchmark": "lost_levels",
        "machine": reporting.machine(),
        **about,
        "levels": levels,
        "means": means(levels, list(levels), WAYS),
    }
    reporting.write(result, json_file, console)


if __name__ == "__main__":
    app()
