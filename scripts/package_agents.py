"""Measures trained agents and packages for each level the best one.

    python scripts/package_agents.py runs/1-1-tiles-seed0 runs/8-4-specialist-seed3 --jobs 2
    python scripts/package_agents.py runs/*                      # again and again, keeps the best
    python scripts/package_agents.py --again src/warpzone/trained/*.safetensors    # after a change

Each agent plays the levels it was trained on, as it will be packaged (float16), under the three
conditions of `warpzone.training.packaged_index` and with both policies. What counts is the worst of
the three clear rates, then their mean. If that is more than what the
packaged agent had, the new one takes its place, and is measured anew on other episodes, which are
those that are written down. Writes src/warpzone/trained and docs/results.json;
`scripts/write_results.py` makes docs/results.md of that.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import hashlib
import json
import multiprocessing
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from warpzone.agents.agent import Agent
from warpzone.agents.evaluate import evaluate
from warpzone.agents.packaged import score
from warpzone.agents.results import Record, Results, read_results
from warpzone.errors import CheckpointError, WarpzoneError
from warpzone.files import write_atomically
from warpzone.smb.levels import parse_levels
from warpzone.training.agent_file import AgentInfo, PolicyMode, load_agent, save_agent
from warpzone.training.evaluation import EvalResult
from warpzone.training.packaged_index import (
    CONDITIONS,
    ConditionName,
    PackagedEntry,
    PackagedIndex,
)
from warpzone.training.provenance import command_of
from warpzone.training.resolve_agent import resolve_agent
from warpzone.training.run_settings import read_config

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "src" / "warpzone" / "trained"
RESULTS = ROOT / "docs" / "results.json"
MOST_BYTES = 25_000_000
"""Of all packaged agents together."""

Rates = dict[ConditionName, EvalResult]


@dataclass(frozen=True)
class Job:
    """One agent to be measured on one level. With what it must beat it goes to another process."""

    file: Path
    level: str
    episodes: int
    seed: int
    rom: Path | None
    beats: tuple[float, float]
    """Score that is not enough."""


@dataclass(frozen=True)
class Measured:
    """What came out: what the choice is made by, and, if it beats the other, what is told."""

    selection: dict[PolicyMode, dict[ConditionName, float]]
    policy: PolicyMode
    rates: Rates | None


def measure(job: Job) -> Measured:
    """Play all episodes of a job: those for the choice have the seed after that of the others."""
    agent = Agent.load(job.file)

    def play(policy: PolicyMode, seed: int) -> Rates:
        rates: Rates = {}
        for name, start in CONDITIONS.items():
            evaluation = evaluate(
                agent,
                [job.level],
                episodes=job.episodes,
                noop_max=start.noop_max,
                repeat_action_probability=start.repeat_action_probability,
                policy=policy,
                seed=seed,
                threads=1,
                rom=job.rom,
            )
            rates[name] = evaluation.levels[job.level]
        return rates

    modes: tuple[PolicyMode, ...] = get_args(PolicyMode)
    selection = {
        mode: {name: rate.clear_rate for name, rate in play(mode, job.seed + 1).items()}
        for mode in modes
    }
    policy = max(modes, key=lambda mode: score(selection[mode]))
    wins = score(selection[policy]) > job.beats
    return Measured(selection, policy, play(policy, job.seed) if wins else None)


def stage(source: Path, folder: Path) -> Path:
    """Write the agent of a run or a file into `folder` as it will be packaged.

    Its name tells the levels it was trained on, and by its contents is one of a kind.

    Raises:
        AgentError: no agent there.
    """
    file = resolve_agent(source).file
    if file.resolve().parent == FOLDER:
        return Path(shutil.copy(file, folder))
    policy, info = load_agent(file)
    draft = folder / "draft"
    save_agent(draft, policy.state_dict(), completed(info, file.parent), half=True)
    levels = list(info.env.levels)
    name = levels[0] if len(levels) == 1 else f"{len(levels)}-levels"
    digest = hashlib.sha256(draft.read_bytes()).hexdigest()[:8]
    return draft.rename(folder / f"{name}-{digest}.safetensors")


def completed(info: AgentInfo, run: Path) -> AgentInfo:
    """`info` with what agents of older versions do not tell and their run directory does."""
    found: dict[str, object] = {}
    if info.seconds is None:
        with contextlib.suppress(FileNotFoundError):
            lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
            found["seconds"] = sum(
                line["charts/rollout_seconds"] + line["charts/update_seconds"]
                for line in lines
                if line["step"] <= info.steps and "charts/update_seconds" in line
            )
    if info.command is None or info.threads is None:
        with contextlib.suppress(CheckpointError):
            config = read_config(run)
            found["command"] = info.command or command_of(config)
            found["threads"] = info.threads or config.threads
    return info.model_copy(update=found)


def record(file: Path, job: Job, measured: Measured, rates: Rates) -> Record:
    """What is written down about an agent that was taken."""
    info = load_agent(file)[1]
    return Record(
        file=file.name,
        policy=measured.policy,
        rates=rates,
        selection=measured.selection,
        eval_seed=job.seed,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        trained_on=list(info.env.levels),
        preset=info.preset,
        observation=info.env.observation,
        rom_revision=info.rom_revision,
        rom_sha1=info.rom_sha1,
        seed=info.seed,
        steps=info.steps,
        seconds=info.seconds,
        threads=info.threads,
        commit=info.commit,
        command=info.command,
        earlier=info.earlier,
    )


def write(results: Results, source: Path) -> None:
    """Bring folder and results in step; agents that are new in `results` are taken from `source`.

    An interruption leaves at most files that no level needs, and the next time they go.

    Raises:
        CheckpointError: together they would be too large, or cannot be written.
    """
    names = sorted({entry.file for entry in results.levels.values()})
    files = [FOLDER / n if (FOLDER / n).exists() else source / n for n in names]
    size = sum(file.stat().st_size for file in files)
    if size > MOST_BYTES:
        raise CheckpointError(f"{size / 1e6:.1f} MB of agents; {MOST_BYTES / 1e6:.0f} is the most")
    for file in files:
        if file.parent != FOLDER:
            write_atomically(FOLDER / file.name, file.read_bytes())
    fields = set(PackagedEntry.model_fields)
    index = PackagedIndex(
        levels={
            level: PackagedEntry.model_validate(entry.model_dump(include=fields))
            for level, entry in results.levels.items()
        }
    )
    write_atomically(RESULTS, (results.model_dump_json(indent=2) + "\n").encode())
    write_atomically(FOLDER / "agents.json", (index.model_dump_json(indent=2) + "\n").encode())
    for file in FOLDER.glob("*.safetensors"):
        if file.name not in names:
            file.unlink()


def jobs_of(
    files: list[Path], results: Results, levels: set[str] | None, again: bool, job: Job
) -> Iterator[Job]:
    """What there is to measure; `job` gives what all have in common."""
    for file in files:
        for level in load_agent(file)[1].env.levels:
            old = results.levels.get(level)
            same = old is not None and old.file == file.name
            if levels is not None and level not in levels:
                continue
            if same and old is not None and old.episodes == job.episodes and not again:
                print(f"{level}: {file.name} is packaged already")
                continue
            # Nobody needs an agent that never clears; what is measured again need not be better.
            beats = (0.0, 0.0) if old is None else (-1.0, -1.0) if same else old.score
            yield Job(file, level, job.episodes, job.seed, job.rom, beats)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="directories, or agents")
    parser.add_argument("--levels", help="only these of those that they were trained on")
    parser.add_argument("--episodes", type=int, default=100, help="of each measurement")
    parser.add_argument("--seed", type=int, default=0, help="of what is written down")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--again", action="store_true", help="measure packaged ones again")
    parser.add_argument("--rom", type=Path)
    given = parser.parse_args(arguments)
    levels = None if given.levels is None else set(parse_levels(given.levels))
    results = read_results(RESULTS)
    with tempfile.TemporaryDirectory() as temporary:
        folder, files = Path(temporary), []
        for run in given.runs:
            try:
                files.append(stage(run, folder))
            except WarpzoneError as error:  # one that is only just in training, for example
                print(f"left out: {error}")
        common = Job(folder, "", given.episodes, given.seed, given.rom, (0.0, 0.0))
        # Another process must not inherit the threads of torch.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(given.jobs, mp_context=context) as pool:
            work = {
                pool.submit(measure, job): job
                for job in jobs_of(files, results, levels, given.again, common)
            }
            for done in as_completed(work):
                job, measured = work[done], done.result()
                chosen_by = measured.selection[measured.policy]
                text = ", ".join(f"{name} {rate:.0%}" for name, rate in chosen_by.items())
                text = f"{job.level}: {job.file.name}, {measured.policy}: {text}"
                old = results.levels.get(job.level)
                # Another one may have been taken since this job was given out.
                beaten = (
                    old is not None
                    and old.file != job.file.name
                    and (old.score >= score(chosen_by))
                )
                if measured.rates is None or beaten:
                    print(f"{text}; not better", flush=True)
                    continue
                entry = record(job.file, job, measured, measured.rates)
                candidate = Results(levels={**results.levels, job.level: entry})
                try:
                    write(candidate, folder)
                except CheckpointError as error:
                    print(f"{text}; not taken: {error}", flush=True)
                    continue
                results = candidate
                rates = ", ".join(f"{name} {r.clear_rate:.0%}" for name, r in entry.rates.items())
                print(f"{text}; taken, and on other episodes: {rates}", flush=True)


if __name__ == "__main__":
    main()
