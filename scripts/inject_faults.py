"""Lets a training, and commands that read its run, meet the faults of a machine, one in each run.

    python -m scripts.inject_faults                              # all: some 15,000 runs
    python -m scripts.inject_faults --every 20 --seed 3          # one in twenty, drawn anew
    python -m scripts.inject_faults --only "train 417 ENOSPC"    # one of them again, in full
    python -m scripts.inject_faults --table docs/robustness.md   # writes what came out into a page

Each call of the C library that a command makes on its files fails in each way that it can, for once
or from then on; the process is sent signals at it; and in each phase of a training the clock jumps,
memory or cores go, whoever reads the output leaves, and workers, the encoder of a film and a
tracker's process die. What must hold is in `tests.support.faults`. Results are appended to a file,
and what is in it is not run again. Needs Linux and a C compiler. Exit status: 1, if something did
not hold.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.faults import (
    COMMANDS,
    PHASES,
    TRAIN,
    Command,
    Fault,
    Machine,
    Outcome,
    Training,
    acts,
    calls_to_fail,
    folder_in_memory,
)

BEGIN, END = "<!-- the table of scripts/inject_faults.py begins -->", "<!-- the table ends -->"
WORDS = {
    "unnoticed": "goes on",
    "goes on": "goes on, says so",
    "stops": "stops",
    "interrupted": "stops",
    "ended": "ends",
    "refused": "does not begin",
}
"""Outcomes as the table has them."""


class Scene:
    """What meets faults, and which."""

    def __init__(
        self,
        name: str,
        make: Callable[[Machine, Path, Path], Training | Command],
        *,
        act: bool = False,
    ) -> None:
        self.name, self.make, self.act = name, make, act

    def cases(self, subject: Training | Command) -> Iterator[tuple[str, str, str, Fault]]:
        """Yields the name of each case, what goes wrong, in which phase, and the fault."""
        for what, call, fault in calls_to_fail(subject.calls):
            lasting = "+" if fault.lasting else ""
            yield f"{self.name} {fault.at} {fault.what}{lasting}", what, call.phase, fault
        for what, phase, fault in acts() if self.act else ():
            yield f"{self.name} {phase} {what}", what, phase, fault


def scenes() -> Iterator[Scene]:
    yield Scene("train", lambda machine, folder, run: Training(machine, folder), act=True)
    yield Scene("resume", lambda machine, folder, run: Training(machine, folder, resumed=True))
    for name, (words, output) in COMMANDS.items():
        yield Scene(name, partial(Command, words=words, output=output))


def run_cases(arguments: argparse.Namespace) -> int:
    """Runs what is chosen; returns how many faults were found."""
    known = {entry["case"] for entry in read(arguments.results)}
    found = 0
    with arguments.results.open("a") as results:
        for scene in scenes():
            if not re.search(arguments.scenes, scene.name):
                continue
            folder = folder_in_memory()
            try:
                with Machine(folder) as machine:
                    run = folder / "finished"
                    done = machine.run(["train", "1-1", "--out", run, *TRAIN], run)
                    assert done.status == 0, done.text
                    subject = scene.make(machine, folder, run)
                    cases = [case for case in scene.cases(subject) if case[0] not in known]
                    random.Random(arguments.seed).shuffle(cases)
                    if arguments.only:
                        cases = [case for case in scene.cases(subject) if case[0] == arguments.only]
                    else:
                        calls = [case for case in cases if case[3].act is None]
                        others = [case for case in cases if case[3].act is not None]
                        cases = [*others, *calls[:: arguments.every]]
                    print(
                        f"{scene.name}: {len(subject.calls)} calls, {len(cases)} cases", flush=True
                    )
                    for case, what, phase, fault in cases:
                        outcome = subject.meet(fault)
                        entry = as_json(scene, case, what, phase, outcome)
                        results.write(json.dumps(entry) + "\n")
                        results.flush()
                        found += bool(outcome.problems)
                        if outcome.problems or arguments.only:
                            print(f"{case}: {outcome.how} {outcome.problems}")
                            print(f"    again: python -m scripts.inject_faults --only {case!r}")
                        if arguments.only:
                            print(outcome.done.text)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    return found


def as_json(scene: Scene, case: str, what: str, phase: str, outcome: Outcome) -> dict[str, Any]:
    return {
        "case": case,
        "scene": scene.name,
        "what": what,
        "phase": phase,
        "how": outcome.how,
        "status": outcome.done.status,
        "problems": outcome.problems,
    }


def read(results: Path) -> list[dict[str, Any]]:
    """Returns what is known, of each case the latest."""
    if not results.exists():
        return []
    entries = [json.loads(line) for line in results.read_text().splitlines()]
    return list({entry["case"]: entry for entry in entries}.values())


def row_of(what: str) -> str:
    """Returns in which row of the table a fault is counted."""
    kind, _, error = what.partition(": ")
    if not error or kind == "memory":
        return what
    return f"{kind}: {error if error in ('EINTR', 'short') else 'an error'}"


def table(entries: list[dict[str, Any]]) -> str:
    """Returns what became of trainings by fault and phase, and of other commands by fault."""
    trainings = [entry for entry in entries if entry["scene"] in ("train", "resume")]
    rows = sorted({row_of(entry["what"]) for entry in trainings}, key=_order)
    lines = [f"| fault | {' | '.join(PHASES)} |", f"|---|{'---|' * len(PHASES)}"]
    for row in rows:
        cells = []
        for phase in PHASES:
            here = [e for e in trainings if row_of(e["what"]) == row and e["phase"] == phase]
            cells.append(_cell(here))
        lines.append(f"| {row} | {' | '.join(cells)} |")
    lines += ["", "| command | calls that fail | signals |", "|---|---|---|"]
    for name in COMMANDS:
        own = [entry for entry in entries if entry["scene"] == name]
        signals = [entry for entry in own if entry["what"].startswith("SIG")]
        others = [entry for entry in own if not entry["what"].startswith("SIG")]
        lines.append(f"| `{name}` | {_cell(others)} | {_cell(signals)} |")
    wrong = sum(bool(entry["problems"]) for entry in entries)
    lines += ["", f"{len(entries):,} cases, of which {wrong} did not hold what is promised above."]
    return "\n".join(lines)


def _order(row: str) -> tuple[int, str]:
    calls = ": " in row and not row.startswith("memory")
    return (0 if calls else 1 if "from then on" in row else 2 if row.startswith("SIG") else 3), row


def _cell(entries: list[dict[str, Any]]) -> str:
    counted = Counter(
        "**wrong**" if entry["problems"] else WORDS[entry["how"]] for entry in entries
    )
    return ", ".join(f"{word} {count}" for word, count in counted.most_common()) or "—"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--every", type=int, default=1, help="of calls one in so many")
    parser.add_argument("--seed", type=int, default=0, help="of which ones")
    parser.add_argument("--scenes", default="", help="a regular expression: train, resume, eval …")
    parser.add_argument("--only", default="", help="a case, by its name")
    parser.add_argument("--results", type=Path, default=Path("build/faults.jsonl"))
    parser.add_argument("--table", type=Path, help="write the table into this page, run nothing")
    arguments = parser.parse_args()
    if arguments.table is not None:
        text = arguments.table.read_text()
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        written = table(read(arguments.results))
        arguments.table.write_text(f"{before}{BEGIN}\n\n{written}\n\n{END}{after}")
        return
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    if arguments.only and not arguments.scenes:
        arguments.scenes = f"^{re.escape(arguments.only.rsplit(' ', 2)[0])}$"
    sys.exit(1 if run_cases(arguments) else 0)


if __name__ == "__main__":
    main()
