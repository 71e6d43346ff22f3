"""Packages agents: a folder of weights in float16, its index, and what was measured of them.

The networks for all levels are packaged, and a specialist where it is better than they are by a
margin, those that are better by most first, as long as all fit into the package. So each level has
an agent that plays it, and few files are needed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

from warpzone.agents.results import Choice, Results
from warpzone.errors import AgentError, CheckpointError
from warpzone.files import lines_of, make_directory, open_regular_file, write_atomically
from warpzone.training.agent_file import AgentInfo, load_agent, save_agent
from warpzone.training.packaged_index import INDEX_FILE, NetworkName, PackagedAgent, PackagedIndex
from warpzone.training.provenance import command_of
from warpzone.training.resolve_agent import resolve_agent
from warpzone.training.run_settings import read_config

MOST_BYTES = 12_000_000
"""Of all agents that come with warpzone together."""
MARGIN = 0.03
"""By which the mean of a specialist's clear rates, with no-ops and with sticky buttons too, must be
above a network's. Measured with 100 episodes each, the difference of two such means has a standard
error of 0.02 to 0.05."""


def stage(source: Path, folder: Path, packaged: Path | None = None) -> str:
    """Writes the agent of a run or a file into `folder` as it will be packaged: in float16.

    Its name tells the levels it was trained on, and by its contents is one of a kind.

    Args:
        source: a run directory or a file.
        folder: where to.
        packaged: a folder whose files are packaged already, and are copied as they are.

    Returns:
        Its name there.

    Raises:
        AgentError: no agent there.
    """
    file = resolve_agent(source).file
    if packaged is not None and file.resolve().parent == packaged.resolve():
        write_atomically(folder / file.name, file.read_bytes())
        return file.name
    policy, info = load_agent(file)
    draft = folder / "draft"
    save_agent(draft, policy.state_dict(), completed(info, file.parent), half=True)
    levels = list(info.env.levels)
    name = levels[0] if len(levels) == 1 else f"{len(levels)}-levels"
    digest = hashlib.sha256(draft.read_bytes()).hexdigest()[:8]
    return draft.rename(folder / f"{name}-{digest}.safetensors").name


def completed(info: AgentInfo, run: Path) -> AgentInfo:
    """Returns `info` with what agents of older versions do not tell and their run does."""
    found: dict[str, object] = {}
    if info.seconds is None:
        seconds = _seconds_until(run / "metrics.jsonl", info.steps)
        if seconds is not None:
            found["seconds"] = seconds
    if info.command is None or info.threads is None:
        with contextlib.suppress(CheckpointError):
            config = read_config(run)
            found["command"] = info.command or command_of(config)
            found["threads"] = info.threads or config.threads
    return info.model_copy(update=found)


def _seconds_until(file: Path, step: int) -> float | None:
    """What a run's metrics say of the time up to a step; None where they are not whole."""
    total = 0.0
    try:
        with open_regular_file(file) as lines:
            for line in lines_of(lines):
                told = json.loads(line)
                if told["step"] <= step and "charts/update_seconds" in told:
                    total += told["charts/rollout_seconds"] + told["charts/update_seconds"]
    except (OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return None
    return total if 0 <= total < math.inf else None


def choose(
    results: Results,
    sizes: Mapping[str, int],
    *,
    margin: float = MARGIN,
    most_bytes: int | None = MOST_BYTES,
    say: Callable[[str], None] = print,
) -> Results:
    """Returns `results` with the agents that are packaged.

    Args:
        results: what was measured.
        sizes: bytes of the files that can be packaged, by name.
        margin: see `MARGIN`.
        most_bytes: of all files together; None: any size.
        say: receives a line for each specialist that is better and finds no place.

    Raises:
        AgentError: networks, and specialists of levels that no network plays, are too large.
    """
    networks = {n: r for n, r in results.networks.items() if r.file in sizes}
    best = max(networks, key=lambda name: networks[name].score, default=None)
    specialists = {n: r for n, r in results.specialists.items() if r.file in sizes}
    packaged: dict[str, Choice] = {}
    files = {record.file for record in networks.values()}
    gains: dict[str, float] = {}
    for level in results.table:
        found = None if best is None else networks[best].levels.get(level)
        if best is not None and found is not None:
            packaged[level] = best
            if level in specialists:
                gains[level] = specialists[level].mean - found.mean
        elif level in specialists:
            packaged[level] = "specialist"
            files.add(specialists[level].file)
    total = sum(sizes[file] for file in files)
    if most_bytes is not None and total > most_bytes:
        raise AgentError(
            f"{total / 1e6:.1f} MB of agents, and {most_bytes / 1e6:g} MB is the most: {len(files)}"
            " files are needed. Package one network for all levels, smaller networks, or fewer"
            " levels"
        )
    for level in sorted(gains, key=lambda name: -gains[name]):
        file = specialists[level].file
        # Rates are of whole episodes: what is as large as the margin may be a little less here.
        if gains[level] < margin - 1e-9 or gains[level] <= 0:
            break
        size = 0 if file in files else sizes[file]
        if most_bytes is not None and total + size > most_bytes:
            say(f"{level}: {file} is better by {gains[level]:.1%}, but there is no place for it")
            continue
        packaged[level] = "specialist"
        files.add(file)
        total += size
    return Results.model_validate(
        {**dict(results), "packaged": packaged, "margin": margin, "bytes": total}
    )


def write(results: Results, results_file: Path, folder: Path, source: Path) -> None:
    """Brings a folder of agents and its results in step.

    An interruption leaves at most files that no level needs, and the next time they go.

    Args:
        results: of `choose`.
        results_file: where they are written.
        folder: with the agents; it gets the index too.
        source: where files lie that are not in `folder` yet.

    Raises:
        FileError: it cannot be written.
    """
    make_directory(folder)
    names = packaged_files(results)
    for name in names:
        if not (folder / name).exists():
            write_atomically(folder / name, (source / name).read_bytes())
    networks: dict[NetworkName, PackagedAgent] = {
        name: PackagedAgent(file=record.file, policy=record.policy)
        for name, record in results.networks.items()
        if record.file in names
    }
    index = PackagedIndex(levels=results.index_entries(), networks=networks)
    write_atomically(results_file, (results.model_dump_json(indent=2) + "\n").encode())
    write_atomically(folder / INDEX_FILE, (index.model_dump_json(indent=2) + "\n").encode())
    for file in folder.glob("*.safetensors"):
        if file.name not in names:
            file.unlink()


def packaged_files(results: Results) -> list[str]:
    """Returns the names of the files that belong into the package: those of the networks, and
    those of the levels."""
    networks = (record.file for record in results.networks.values())
    return sorted({*networks, *(agent.file for _, agent, _ in results.entries())})


def file_sizes(*folders: Path) -> dict[str, int]:
    """Returns the bytes of the agents in `folders`, by name."""
    files = (file for folder in folders for file in folder.glob("*.safetensors"))
    return {file.name: file.stat().st_size for file in files}
