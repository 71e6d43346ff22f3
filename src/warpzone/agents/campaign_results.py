"""What a campaign's agents reach: measured, packaged in a folder of their own, and written down."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from warpzone.agents.game_records import with_games
from warpzone.agents.measuring import Settings, best_of
from warpzone.agents.packaging import choose, file_sizes, stage, write
from warpzone.agents.results import Results, read_results
from warpzone.agents.results_page import Frame, text_of
from warpzone.errors import FileError
from warpzone.files import make_directory, require_no_link, write_atomically
from warpzone.training.campaign import NETWORK
from warpzone.training.resolve_agent import AGENT_FILES

HEAD = """\
# What the agents of this campaign reach

Of {levels}, trained and measured by

    {command}

The agents are in `agents/`, with weights in float16; the same in figures is `results.json`.
"""


def measure_campaign(
    runs: Iterable[Path],
    levels: Sequence[str],
    out: Path,
    command: str,
    *,
    episodes: int = 100,
    seed: int = 0,
    jobs: int = 1,
    rom: Path | None = None,
    log: Callable[[str], None] = print,
) -> Results:
    """Measures the agents of a campaign; writes `agents/`, `results.json`, `results.md` in `out`.

    What was measured before is not measured again, also where that was interrupted.

    Args:
        runs: directories of its runs; those without an agent are passed over.
        levels: of the table; an agent that was trained on all of them is a network for all levels.
        out: the campaign's directory.
        command: the line that was given.
        episodes, seed, jobs, rom: see `measuring.Settings`.
        log: receives a line for each agent.

    Raises:
        AgentError: an agent or `results.json` is damaged.
        FileError: something cannot be written.
    """
    folder, file = out / "agents", out / "results.json"
    staged = out / "staged"
    for path in (staged, folder):  # in which files are deleted
        try:
            require_no_link(path)
            make_directory(path)
        except OSError as error:
            raise FileError(
                f"cannot write {str(path)!r}: {error.strerror or error}", error.errno
            ) from error
    names, trained = [], []
    for run in runs:
        # The last agent of a run may be better than the best one that it measured.
        files = [run / name for name in AGENT_FILES if (run / name).is_file()]
        names += [stage(path, staged) for path in files]
        if files:
            trained.append(run)
        else:
            log(f"{run} has no agent yet")
    results = read_results(file)
    if results.table != tuple(levels):
        results = Results(table=tuple(levels))  # of other levels: another table
    settings = Settings(staged, episodes, seed, jobs, rom, out / "measurements.jsonl")
    results = best_of(results, names, settings, say=log)
    results = choose(results, file_sizes(staged, folder), most_bytes=None, say=log)
    results = with_games(
        results,
        lambda name: staged / name if (staged / name).exists() else folder / name,
        settings,
        say=log,
    )
    write(results, file, folder, staged)
    for old in staged.iterdir():
        old.unlink()
    staged.rmdir()
    told = levels[0] if len(levels) == 1 else f"{len(levels)} levels"
    shown = next((run for run in (out / NETWORK, *trained) if run in trained), out / NETWORK)
    network = f"warpzone eval {shlex.quote(str(shown))}"
    frame = Frame(
        head=HEAD.format(levels=told, command=command),
        measured="of the network, and those of a specialist with its run in place of this one",
        measuring=network,
        playing=network,
        packaging=command,
    )
    page = text_of(results, frame)
    write_atomically(out / "results.md", page.encode())
    return results
