"""Measures trained agents and packages the best: networks for all levels, and specialists.

    python scripts/package_agents.py runs/all-generalist-seed0 runs/campaign/*/ --jobs 2
    python scripts/package_agents.py runs/*                      # again and again, keeps the best
    python scripts/package_agents.py --again src/warpzone/trained/*.safetensors    # after a change

How agents are measured and chosen is said in `warpzone.agents.measuring`, which of them are
packaged in `warpzone.agents.packaging`. What is known of a file already is not measured again.
Writes src/warpzone/trained and docs/results.json; `scripts/write_results.py` makes docs/results.md
of that.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from warpzone.agents.game_records import with_games
from warpzone.agents.measuring import Settings, best_of
from warpzone.agents.packaging import MARGIN, MOST_BYTES, choose, file_sizes, stage, write
from warpzone.agents.results import read_results
from warpzone.errors import WarpzoneError
from warpzone.smb.levels import parse_levels
from warpzone.training import name_network
from warpzone.training.packaged_index import GAMES

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "src" / "warpzone" / "trained"
RESULTS = ROOT / "docs" / "results.json"
LOG = ROOT / "runs" / "measurements.jsonl"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="directories, or agents")
    parser.add_argument("--levels", help="only these of those that specialists were trained on")
    parser.add_argument("--episodes", type=int, default=100, help="of each measurement")
    parser.add_argument("--seed", type=int, default=0, help="of what is written down")
    parser.add_argument("--jobs", type=int, default=1, help="measured at once")
    parser.add_argument("--again", action="store_true", help="measure what is known again")
    parser.add_argument(
        "--margin", type=float, default=MARGIN, help="by which a specialist must be better"
    )
    parser.add_argument("--rom", type=Path)
    parser.add_argument(
        "--network",
        type=Path,
        metavar="RUN",
        help="the network for all levels to package, whatever its clear rates: one that plays the"
        " whole game better",
    )
    parser.add_argument(
        "--code",
        metavar="MODULE:CLASS",
        help="of agents with a network of your own: its code, which is imported only if named",
    )
    given = parser.parse_args(arguments)
    if given.code is not None:
        name_network(given.code)
    levels = None if given.levels is None else list(parse_levels(given.levels))
    results = read_results(RESULTS)
    with tempfile.TemporaryDirectory() as temporary:
        folder, files = Path(temporary), []
        for run in given.runs:
            try:
                files.append(stage(run, folder, FOLDER))
            except WarpzoneError as error:  # one that is only just in training, for example
                print(f"left out: {error}")
        network = None
        if given.network is not None:
            network = stage(given.network, folder, FOLDER)
            files.append(network)
        settings = Settings(folder, given.episodes, given.seed, given.jobs, given.rom, LOG)
        results = best_of(
            results, files, settings, levels=levels, again=given.again, network=network
        )
        sizes = file_sizes(folder, FOLDER)
        others = sum(file_sizes(FOLDER / GAMES).values())
        results = choose(results, sizes, margin=given.margin, most_bytes=MOST_BYTES - others)

        def find(name: str) -> Path:
            return folder / name if (folder / name).exists() else FOLDER / name

        results = with_games(results, find, settings, again=given.again)
        write(results, RESULTS, FOLDER, folder)
    own = sum(choice == "specialist" for choice in results.packaged.values())
    print(
        f"packaged: {len(results.networks)} networks for all levels, specialists for {own} of"
        f" {len(results.packaged)} levels, {results.bytes / 1e6:.1f} MB and {others / 1e6:.1f} MB"
        f" of other games, of at most {MOST_BYTES / 1e6:g} MB"
    )


if __name__ == "__main__":
    main()
