"""Changes the code a little, many times, and counts how often its tests notice (mutmut).

    pip install "mutmut>=3.8,<4"                     # into the environment of the tests
    python scripts/mutants.py ppo --sample 60 --out mutants
    python scripts/mutants.py checkpoint --out mutants          # all of them
    python scripts/mutants.py smb --sample 80 --seed 1 --out mutants

A room's own tests, those that are quick, judge its mutants: `ROOMS` says which. Tests that read the
code are not among them, as what they read is changed in other ways than one. What is mutated is
a copy of the work tree with its compiled module, in the folder `--out`, which must not be there
yet. A sample is drawn of all mutants of a room, by `--seed`; without `--sample` all are tried.
Every mutant is tried in a process of its own, forked from one that has imported everything, and is
killed after a time limit: that counts as noticed too. `results.json` in the folder has all of them,
`survivors.txt` what the ones that nobody noticed change. Exit status 1 where there are any.

What survives is either of no consequence, or tells which test is missing: docs/robustness.md says
what became of those that were found.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
NOBODY = "no-such-mutant"


class Room(NamedTuple):
    """What is mutated, by globs, and the tests that judge it."""

    files: tuple[str, ...]
    tests: tuple[str, ...]


ROOMS = {
    "ppo": Room(
        ("src/warpzone/ppo/*.py",),
        ("tests/ppo/test_losses.py", "tests/ppo/test_rollout.py", "tests/ppo/test_update.py"),
    ),
    "checkpoint": Room(
        ("src/warpzone/training/checkpoint.py",),
        ("tests/training/test_checkpoint.py",),
    ),
    "smb": Room(
        ("src/warpzone/smb/*.py",),
        tuple(
            f"tests/smb/test_{name}.py"
            for name in (
                "actions",
                "cartridges",
                "config",
                "elsewhere",
                "env",
                "faces",
                "level_weights",
                "levels",
                "reward",
                "rom",
                "routes",
                "search",
                "seeds",
                "spaces",
                "start_states",
                "starts",
                "vector_env",
            )
        ),
    ),
}
VERDICTS = {0: "survived", 33: "not reached", 36: "too slow", -24: "too slow", 24: "too slow"}
"""By the exit status that mutmut keeps; any other is that of a test that failed."""


def copy_tree(out: Path) -> None:
    """Copies what git knows or would take, and the compiled module."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    compiled = [str(path.relative_to(ROOT)) for path in (ROOT / "src/warpzone").glob("_native*.*")]
    for name in {*listed, *compiled}:
        if (ROOT / name).is_file():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, out / name)


def settings(room: Room) -> str:
    """Returns the settings of mutmut."""
    lists = {
        "source_paths": ["src"],
        "only_mutate": room.files,
        "also_copy": ["docs", "scripts", "benchmarks", "examples", "README.md"],
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "-x", "-q"],
        "pytest_add_cli_args_test_selection": room.tests,
    }
    lines = ["[mutmut]"]
    for name, values in lists.items():
        lines += [f"{name}=", *(f"    {value}" for value in values)]
    # PyTorch's threads do not live on in a fork of a process that has begun them.
    lines += ["process_isolation=forkserver", "timeout_constant=30", "track_dependencies=false"]
    lines += ["use_git_change_detection=false"]
    return "\n".join(lines) + "\n"


def mutmut(out: Path, *arguments: str, quiet: bool = False) -> str:
    """Runs it in the copy; what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "mutmut", *arguments],
        cwd=out,
        env={**os.environ, "OMP_NUM_THREADS": "1", "SDL_VIDEODRIVER": "dummy"},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0 and not quiet:
        print(done.stdout[-4000:], done.stderr[-4000:], file=sys.stderr)
        raise SystemExit(f"mutmut {' '.join(arguments[:2])} ended with {done.returncode}")
    return done.stdout


def mutants_of(out: Path) -> dict[str, int | None]:
    """Returns the exit status of the tests with each mutant, None where it was not tried."""
    found: dict[str, int | None] = {}
    for path in sorted((out / "mutants").rglob("*.meta")):
        found |= json.loads(path.read_text())["exit_code_by_key"]
    return found


def verdict(code: int | None) -> str:
    return "not tried" if code is None else VERDICTS.get(code, "killed")


def module_of(mutant: str) -> str:
    """Returns the module of a mutant, whose name ends with those of class and function."""
    return mutant.rpartition(".")[0]


def report(results: dict[str, int]) -> list[str]:
    """Returns a table in Markdown: a row for each module, and their sum."""
    counts: dict[str, Counter[str]] = {}
    for name, code in results.items():
        counts.setdefault(module_of(name), Counter())[verdict(code)] += 1
    counts["all"] = sum(counts.values(), Counter[str]())
    rows = ["| module | mutants | killed | survived | not reached |", "|---|---:|---:|---:|---:|"]
    for module, found in counts.items():
        dead, tried = found["killed"] + found["too slow"], sum(found.values())
        share = f"{dead} ({dead / max(1, tried):.0%})"
        rows.append(
            f"| {module} | {tried} | {share} | {found['survived']} | {found['not reached']} |"
        )
    return rows


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("room", choices=sorted(ROOMS))
    parser.add_argument("--out", type=Path, required=True, help="a folder that is not there yet")
    parser.add_argument("--sample", type=int, help="how many mutants; not given: all")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--jobs", type=int, default=1, help="mutants that are tried at once")
    chosen = parser.parse_args(given)
    if chosen.out.exists():
        parser.error(f"--out must name a folder that is not there yet, not {chosen.out}")
    out = chosen.out.absolute()
    copy_tree(out)
    (out / "setup.cfg").write_text(settings(ROOMS[chosen.room]))
    # Makes the mutants and finds out which test reaches which function, and then tries none.
    mutmut(out, "run", NOBODY, quiet=True)
    names = sorted(mutants_of(out))
    if not names:
        raise SystemExit("no mutants were made")
    if chosen.sample is not None:
        names = sorted(random.Random(chosen.seed).sample(names, min(chosen.sample, len(names))))
    mutmut(out, "run", "--max-children", str(chosen.jobs), *names)
    tried = mutants_of(out)
    results = {name: code for name in names if (code := tried[name]) is not None}
    (out / "results.json").write_text(json.dumps(results, indent=1))
    alive = [name for name, code in results.items() if verdict(code) in ("survived", "not reached")]
    shown = [f"{name}: {verdict(results[name])}\n{mutmut(out, 'show', name)}" for name in alive]
    (out / "survivors.txt").write_text("\n".join(shown))
    print("\n".join(report(results)))
    if alive:
        print(f"\nwhat the {len(alive)} that nobody noticed change: {out / 'survivors.txt'}")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
