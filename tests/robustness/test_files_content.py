"""Damaged files of every format, and what is no file in the place of one: one error, in bounds.

The formats are in `tests/support/formats.py`, the damage in `tests/support/damage.py`; a process of
its own reads the files, and `scripts/fuzz_files.py` does the same for as long as one likes.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.support.damage import KINDS
from tests.support.file_cases import MOST_MEMORY, Order, Report, carry_out

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/warpzone"
CASES = 60
"""Of each format, beside those that are made by hand and those that have found a fault."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc"),
]

READERS = {
    "agents/measuring.py": ["measurements.jsonl"],
    "agents/packaging.py": ["metrics.jsonl"],
    "agents/results.py": ["results.json"],
    "cli/choose.py": ["game description"],
    "compat/retro/integration.py": [
        "data.json of stable-retro",
        "scenario.json of stable-retro",
        "metadata.json of stable-retro",
        "rom.sha of stable-retro",
    ],
    "dashboard/episode_stream.py": ["episode"],
    "episodes/format.py": ["episode", "episode of a described game", "demonstration", "FM2 movie"],
    "fleet/inherit.py": ["origin.json", "handed-over checkpoint", "metrics.jsonl"],
    "fleet/plan.py": ["fleet.json"],
    "maps/cache.py": ["map of a level"],
    "nes/game_starts.py": ["start state of catch"],
    "nes/recompiler/cache.py": ["native code", "places of code"],
    "nes/rom.py": ["rom"],
    "nes/start_states.py": ["start state", "start state of catch"],
    "runs/library.py": ["config.json, looked at", "status.json"],
    "runs/lines.py": ["metrics.jsonl", "episode_ends.jsonl"],
    "smb/rom.py": ["wheel with a ROM"],
    "trackers/follow.py": ["tracker's state", "metrics.jsonl"],
    "training/agent_file.py": ["agent", "agent that sees pictures"],
    "training/campaign.py": ["campaign.json"],
    "training/checkpoint.py": ["checkpoint"],
    "training/hub.py": ["shared agent's config.json"],
    "training/packaged_index.py": ["agents.json"],
    "training/run_directory.py": ["changes.jsonl", ".lock.json"],
    "training/run_settings.py": ["config.json", "status.json"],
    "training/time_slice.py": ["log of a training"],
}
"""Which module reads which formats. Beside them, bytes of users: "snapshot", "… state"."""
OTHER_READS = {
    "agents/packaging.py": 3,  # what was packaged or staged just now
    "agents/record_episode.py": 1,  # the agent that has just played
    "bench/report.py": 1,  # /proc/cpuinfo
    "bench/workers.py": 1,  # the ROM that is measured with
    "cpu.py": 4,  # /proc and /sys
    "fleet/evaluation.py": 1,  # an agent that has just been loaded
    "fleet/reports.py": 1,  # what Ray has just written
    "nes/recompiler/cache.py": 1,  # our own source
    "report/clips.py": 2,  # films that were made just now
    "report/sections.py": 2,  # our own pages
    "viewers/notebook.py": 1,  # a film that was made just now
}
"""What is read otherwise than through `warpzone.files`, how often, and why it may be."""


def told(report: Report) -> str:
    return "\n\n".join(f"{case}\n  {wrong}" for case, wrong in report.faults[:20])


@pytest.fixture(scope="module")
def report() -> Report:
    return carry_out(Order(most=CASES))


def test_a_damaged_file_is_taken_or_refused_with_one_error(report: Report) -> None:
    assert not report.faults, told(report)
    assert report.cases > 1900


def test_every_format_met_every_kind_of_damage(report: Report) -> None:
    met = {kind for _, kind in report.counts}
    assert met == {*KINDS, "good"}
    for (name, kind), count in report.counts.items():
        if kind == "good":
            assert (name, count.cases, count.refused) == (name, 1, 0)
    assert max(count.memory for count in report.counts.values()) < 2 * MOST_MEMORY


def test_what_is_no_file_is_told_apart() -> None:
    """Pipes, sockets, devices, folders, loops of links, a terabyte, what may not be read."""
    report = carry_out(Order(objects=True))
    assert not report.faults, told(report)
    assert report.cases > 400


def test_whoever_looks_for_faults_finds_each_kind() -> None:
    order = Order(module="tests.support.faulty_formats", most=2)
    found = {case.partition("/")[0]: wrong for case, wrong in carry_out(order, patience=6).faults}
    assert "good" not in found
    assert "KeyError" in found["it raises something else"]
    assert "does not name file.json" in found["it names no file"]
    assert "says nothing" in found["it says nothing"]
    assert "characters" in found["it says too much"]
    assert r"\x1b" in found["it says what a terminal obeys"]
    assert "ended with" in found["it crashes"]
    assert "ended with 0" in found["it exits"]
    assert found["it hangs"].startswith("it hangs")
    assert " MB for a file of " in found["it needs memory"]
    assert "MemoryError" in found["it needs all memory"]
    assert "a good file is not taken" in found["it takes no good one"]
    order = Order(module="tests.support.faulty_formats", objects=True,
                  formats=["it waits for a pipe"])  # fmt: skip
    found = dict(carry_out(order, patience=6).faults)
    assert found["it waits for a pipe/object/a pipe"].startswith("it hangs")


def test_every_reader_is_attacked(report: Report) -> None:
    """Whoever reads a file in a new place adds its format to the table, or says why not."""
    asked = re.compile(r"(?<!def )\b(read_regular_file|open_regular_file|read_bytes)\(")
    found, others = set(), {}
    for path in sorted(SOURCE.rglob("*.py")):
        name, text = path.relative_to(SOURCE).as_posix(), path.read_text()
        if name == "files.py":
            continue
        if asked.search(re.sub(r"\.read_bytes\(", "", text)) or "log_lines(" in text:
            found.add(name)
        count = len(re.findall(r"\.(?:read_bytes|read_text)\(|\.open\(\"r", text))
        if count:
            others[name] = count
    shared = {"training/demonstrations.py", "episodes/fm2.py", "agents/game_records.py"}
    assert found == READERS.keys() | shared
    assert others == OTHER_READS
    names = {name for name, _ in report.counts}
    assert {name for formats in READERS.values() for name in formats} <= names
