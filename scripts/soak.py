"""Trains, plays, measures, films and looks at it for hours, and tells what grows meanwhile.

    python scripts/soak.py --hours 3 --out soak                # samples, judgement: soak/soak.json
    python scripts/soak.py --hours 24 --out soak --plot docs/soak.png --report docs/soak.json
    python scripts/soak.py --judge soak/soak.json --plot docs/soak.png        # again, of samples

One process works (`scripts/soak_work.py`): five trainings in turn, each gone on with, interrupted
by Ctrl-C and now and then begun anew, games with every observation and every kind of autoreset,
measuring, films.
A second is the dashboard of these runs, a third looks at it (`scripts/soak_visit.py`), in Chromium
where there is one. Every few seconds each is sampled: memory, in all and its own, open files,
threads, children; and the disk that each kind of file takes. The two that repeat turns also say
what they hold after each: objects, blocks, heap, or of the page heap, nodes and listeners.

A slope is the median of the slopes of all pairs of points (Theil–Sen), which a few outliers do not
move, with its 95 % interval by Kendall's statistic, both after a warm-up (`--warm-up`); of more
than 200 points, medians of 200 stretches are taken. It is told for a day and must not be above
its bound. Speed, agent steps for each second of the processor, may not have sunk by more than its
bound over the soak itself, as far as the interval is sure of it: other processes slow it too.
Exit status: 0 where all bounds hold, 1 where one does not, where a process ended by itself or a
page reported an error, 2 for wrong arguments. It runs on Linux, whose /proc it reads.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import psutil
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
DAY = 86_400.0
MB = 1e6
WARM_UP = 0.2
"""Of the time."""
POINTS = 200
"""That slopes are found of, at the most."""
FEWEST = 8
"""Points of which a slope says anything."""
UPDATES, STEPS = 4, 60
"""Of each training, and of each set of games, in a turn."""
PATIENCE = 300.0
"""Seconds for a process to begin, or to end when it is told to."""

BOUNDS = {
    "work: own memory": 256 * MB,
    "work: memory after a turn": 256 * MB,
    "work: C heap after a turn": 64 * MB,
    "work: objects after a turn": 100_000.0,
    "work: blocks after a turn": 200_000.0,
    "work: open files": 4.0,
    "work: threads": 4.0,
    "work: children": 4.0,
    "dashboard: own memory": 128 * MB,
    "dashboard: open files": 4.0,
    "dashboard: threads": 4.0,
    "dashboard: children": 4.0,
    "browser: own memory": 512 * MB,
    "page: heap": 64 * MB,
    "page: nodes": 10_000.0,
    "page: listeners": 1_000.0,
    "disk: runs": 4_000 * MB,
    "disk: films": 64 * MB,
    "disk: cache": 64 * MB,
    "disk: temporary files": 16 * MB,
}
"""How much each may grow in a day. Runs grow by what they keep: metrics, episodes, milestones."""
SLOWER = 0.1
"""Share of its speed that a part may lose over the soak."""
SPEEDS = ("train", "games", "measure")
OF_A_BROWSER = ("browser: ", "page: ")
KINDS = {"own": "own memory", "fds": "open files"}
HELD = {
    "work": {
        "rss": "memory after a turn",
        "heap": "C heap after a turn",
        "objects": "objects after a turn",
        "blocks": "blocks after a turn",
    },
    "page": {"heap": "heap", "nodes": "nodes", "listeners": "listeners"},
}
DISK = {"runs": "runs", "films": "films", "cache": "cache", "tmp": "temporary files"}


class Slope(NamedTuple):
    """A robust slope, per second, and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


class Verdict(NamedTuple):
    """What became of one quantity."""

    name: str
    level: float
    """Its median after the warm-up."""
    growth: float
    """A day; of a speed, the share gained over the soak."""
    low: float
    high: float
    bound: float
    points: int
    holds: bool


Numbers = Sequence[float] | NDArray[np.float64]


def theil_sen(times: Numbers, values: Numbers) -> Slope:
    """Returns the median slope of all pairs of points (Theil 1950, Sen 1968).

    The interval is Sen's: the pairs' slopes at ranks that Kendall's statistic gives.

    Raises:
        ValueError: fewer than two moments.
    """
    t, v = np.asarray(times, np.float64), np.asarray(values, np.float64)
    first, second = np.triu_indices(len(t), 1)
    apart = t[second] - t[first]
    slopes = np.sort((v[second] - v[first])[apart != 0] / apart[apart != 0])
    if len(slopes) == 0:
        raise ValueError("a slope is of two moments at least")
    n = len(t)
    spread = 1.96 * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low = max(0, round((len(slopes) - spread) / 2))
    high = min(len(slopes) - 1, round((len(slopes) + spread) / 2))
    return Slope(float(np.median(slopes)), float(slopes[low]), float(slopes[high]))


def thinned(
    times: Numbers, values: Numbers, most: int = POINTS
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns medians of at most `most` stretches of equally many points."""
    t, v = np.asarray(times, np.float64), np.asarray(values, np.float64)
    if len(t) <= most:
        return t, v
    parts = np.array_split(np.arange(len(t)), most)
    return (
        np.array([np.median(t[part]) for part in parts]),
        np.array([np.median(v[part]) for part in parts]),
    )


Series = dict[str, tuple[list[float], list[float]]]


def series_of(record: dict[str, Any]) -> Series:
    """Returns times since the beginning, in seconds, and values of each quantity."""
    found: defaultdict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))

    def add(name: str, at: float, value: float) -> None:
        times, values = found[name]
        times.append(at - record["begun"])
        values.append(float(value))

    for sample in record["samples"]:
        for role, numbers in sample["processes"].items():
            for kind, value in numbers.items():
                add(f"{role}: {KINDS.get(kind, kind)}", sample["time"], value)
        for kind, value in sample["disk"].items():
            add(f"disk: {DISK[kind]}", sample["time"], value)
    speeds: defaultdict[tuple[str, int], list[tuple[float, float, float]]] = defaultdict(list)
    for mark in record["marks"]:
        for kind, value in mark.get("held", {}).items():
            add(f"{mark['role']}: {HELD[mark['role']][kind]}", mark["time"], value)
        part = mark.get("part", "").partition(":")[0]
        if part in SPEEDS:
            speeds[part, mark["turn"]].append((mark["time"], mark["cpu"], mark["steps"]))
    for (part, _), pieces in speeds.items():
        cpu = sum(spent for _, spent, _ in pieces)
        if cpu > 0:
            add(f"speed: {part}", pieces[0][0], sum(steps for *_, steps in pieces) / cpu)
    return dict(found)


def judged(series: Series, warm_up: float = WARM_UP) -> list[Verdict]:
    """Returns the verdicts on all quantities that have a bound and enough points."""
    end = max((times[-1] for times, _ in series.values()), default=0.0)
    verdicts = []
    for name, (times, values) in series.items():
        speed = name.startswith("speed: ")
        bound = SLOWER if speed else BOUNDS.get(name)
        later = [(t, v) for t, v in zip(times, values, strict=True) if t >= warm_up * end]
        if bound is None or len(later) < FEWEST:
            continue
        t, v = thinned([t for t, _ in later], [v for _, v in later])
        level, slope = float(np.median(v)), theil_sen(t, v)
        scale = (t[-1] - t[0]) / level if speed and level > 0 else DAY
        growth, low, high = (float(scale * one) for one in slope)
        holds = bool(high >= -bound if speed else growth <= bound)
        verdicts.append(Verdict(name, level, growth, low, high, bound, len(later), holds))
    return sorted(verdicts)


def failures(record: dict[str, Any], verdicts: Sequence[Verdict]) -> list[str]:
    """Returns what is wrong, in words; nothing: the soak is passed."""
    found = [f"{role} ended by itself with status {code}" for role, code in record["ended"].items()]
    found += [f"the page: {mark['error']}" for mark in record["marks"] if "error" in mark]
    for one in verdicts:
        if not one.holds and one.name.startswith("speed: "):
            found.append(f"{one.name} sank by {-one.growth:.1%}, allowed are {one.bound:.0%}")
        elif not one.holds:
            found.append(
                f"{one.name} grows by {amount(one.name, one.growth)} a day,"
                f" allowed are {amount(one.name, one.bound)}"
            )
    judged_names = {one.name for one in verdicts}
    wanted = [name for name in BOUNDS if not name.startswith(OF_A_BROWSER) or record["browser"]]
    wanted += [f"speed: {part}" for part in SPEEDS]
    missing = [name for name in wanted if name not in judged_names]
    if missing:
        found.append(f"too few points after the warm-up to judge {', '.join(missing)}")
    return found


def is_bytes(name: str) -> bool:
    """Returns whether a quantity is counted in bytes."""
    return name.startswith("disk: ") or "memory" in name or "heap" in name


def amount(name: str, value: float) -> str:
    """Returns a value for people."""
    return f"{value / MB:,.1f} MB" if is_bytes(name) else f"{value:,.0f}"


def table(verdicts: Sequence[Verdict]) -> str:
    """Returns the verdicts as a table in Markdown."""
    lines = [
        "| quantity | median | growth a day (95 % interval) | bound | |",
        "|---|---:|---:|---:|---|",
    ]
    for one in verdicts:
        if one.name.startswith("speed: "):
            level = f"{one.level:,.0f} steps/s"
            growth = f"{one.growth:+.1%} in all ({one.low:+.1%} to {one.high:+.1%})"
            bound = f"−{one.bound:.0%} in all"
        else:
            level, bound = amount(one.name, one.level), amount(one.name, one.bound)
            low, high = amount(one.name, one.low), amount(one.name, one.high)
            growth = f"{amount(one.name, one.growth)} ({low} to {high})"
        mark = "holds" if one.holds else "**broken**"
        lines.append(f"| {one.name} | {level} | {growth} | {bound} | {mark} |")
    return "\n".join(lines)


PANELS = {
    "own memory, MB": ("work: own memory", "dashboard: own memory"),
    "held after a turn, MB": ("work: memory after a turn", "work: C heap after a turn"),
    "after a turn": ("work: objects after a turn", "work: blocks after a turn"),
    "the page: heap, MB": ("page: heap",),
    "the page": ("page: nodes", "page: listeners"),
    "open files": ("work: open files", "dashboard: open files"),
    "threads": ("work: threads", "dashboard: threads"),
    "disk, MB": ("disk: runs", "disk: films", "disk: cache", "disk: temporary files"),
    "agent steps for each second of the processor": tuple(f"speed: {part}" for part in SPEEDS),
}


def plot(series: Series, path: Path) -> None:
    """Draws how the quantities went.

    Raises:
        WarpzoneError: matplotlib is missing.
    """
    from benchmarks.curves import figure

    drawing, axes = figure(3, 3, 4.2, 2.6, shared=False)
    for axis, (title, names) in zip((a for row in axes for a in row), PANELS.items(), strict=True):
        axis.set_title(title, fontsize=9)
        axis.yaxis.set_major_formatter("{x:,.0f}")
        top = 1.0
        for name in names:
            if name not in series:
                continue
            t, v = thinned(*series[name], most=2 * POINTS)
            shown = v / MB if is_bytes(name) else v
            top = max(top, float(shown.max()))
            axis.plot(t / 3600, shown, linewidth=1, label=name)
            axis.legend(fontsize=7, loc="lower right")
        axis.set_ylim(0, 1.15 * top)
        axis.set_xlim(left=0)
    for axis in axes[-1]:
        axis.set_xlabel("hours")
    drawing.savefig(path)


# --- running ------------------------------------------------------------------------------------


class Role:
    """A process of the soak, with what it says."""

    def __init__(self, name: str, arguments: Sequence[str], out: Path) -> None:
        own = out / "tmp" / name
        own.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.lines: list[str] = []
        self.log = (out / f"{name}.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-u", *arguments],
            stdout=subprocess.PIPE,
            stderr=self.log,
            stdin=subprocess.DEVNULL,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(own), "XDG_CACHE_HOME": str(out / "cache")},
            text=True,
        )
        self.watched = psutil.Process(self.process.pid)
        assert self.process.stdout is not None
        self.reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self.reader.start()

    def _read(self, said: IO[str]) -> None:
        for line in said:
            self.lines.append(line)

    def taken(self) -> list[str]:
        """Returns the lines since the last call."""
        count = len(self.lines)
        lines, self.lines[:count] = self.lines[:count], []
        return lines

    def sample(self) -> dict[str, int]:
        """Returns what the process uses; with children their number, which counts the dead ones
        that nobody has asked after."""
        with self.watched.oneshot():
            return {
                "rss": self.watched.memory_info().rss,
                "own": own_memory(self.watched.pid),
                "fds": self.watched.num_fds(),
                "threads": self.watched.num_threads(),
                "children": len(self.watched.children()),
            }

    def below(self) -> dict[str, int]:
        """Returns the memory of all that the process has begun, and how many processes they are."""
        found = self.watched.children(recursive=True)
        total = 0
        for process in found:
            with suppress(OSError, ValueError):  # it has just ended
                total += own_memory(process.pid)
        return {"own": total, "processes": len(found)}

    def end(self) -> None:
        """Asks the process to end, as often as it takes."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            if time.monotonic() < deadline:
                self.process.send_signal(signal.SIGTERM)
            else:
                self.process.kill()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(3)
        self.reader.join()
        self.log.close()


def own_memory(pid: int) -> int:
    """Returns the memory of a process in bytes that is of no file, where what it shares counts in
    parts. What is of a file, as a library, counts less the more programs have it open: that would
    tell of others."""
    kinds = ("Pss_Anon:", "Pss_Shmem:")
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    found = [1024 * int(line.split()[1]) for line in lines if line.startswith(kinds)]
    if len(found) != len(kinds):
        raise ValueError(f"no {' and '.join(kinds)} in smaps_rollup of process {pid}")
    return sum(found)


def taken_by(folder: Path) -> int:
    """Returns the bytes of the files in a folder that others write to."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(where, name)).st_size
    return total


def disk(out: Path) -> dict[str, int]:
    """Returns bytes by kind; what browsers and drivers write for themselves is not looked at."""
    parts = {"runs": ["runs"], "films": ["films"], "cache": ["cache/warpzone"]}
    parts["tmp"] = ["tmp/work", "tmp/dashboard"]
    return {kind: sum(taken_by(out / at) for at in where) for kind, where in parts.items()}


@contextmanager
def started(name: str, arguments: Sequence[str], out: Path) -> Iterator[Role]:
    role = Role(name, arguments, out)
    try:
        yield role
    finally:
        role.end()


def soak(
    out: Path, seconds: float, every: float, browser: bool, turns: int, updates: int, steps: int
) -> dict[str, Any]:
    """Runs for `seconds`, or until both that repeat turns have made `turns`; what was sampled.
    Ctrl-C and SIGTERM end it sooner, also where it was begun in the background."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    record: dict[str, Any] = {
        "begun": time.time(), "every": every, "browser": False, "samples": [], "marks": [],
        "ended": {}, "updates": updates, "steps": steps,
    }  # fmt: skip
    (out / "runs").mkdir(parents=True)
    with ExitStack() as stack:
        begin = stack.enter_context
        sizes = [str(number) for number in (updates, steps, turns)]
        roles = [begin(started("work", ["scripts/soak_work.py", str(out), *sizes], out))]
        arguments = ["-m", "warpzone", "dashboard", str(out / "runs"), "--port", "0"]
        dashboard = begin(started("dashboard", arguments, out))
        arguments = ["scripts/soak_visit.py", address_of(dashboard)]
        arguments += ["browser" if browser else "clients", str(turns)]
        roles += [dashboard, begin(started("visit", arguments, out))]
        with suppress(KeyboardInterrupt):
            while time.time() < record["begun"] + seconds:
                sample: dict[str, Any] = {"time": time.time(), "processes": {}, "disk": disk(out)}
                for role in roles:
                    listen(role, record)
                    code = role.process.poll()
                    if code is not None and not (turns and code == 0 and role is not dashboard):
                        record["ended"][role.name] = code
                    with suppress(psutil.Error, OSError, ValueError):  # it has just ended
                        sample["processes"][role.name] = role.sample()
                with suppress(psutil.Error):
                    sample["processes"]["browser"] = roles[2].below()
                record["samples"].append(sample)
                keep(record, out / "soak.json")
                done = [role.process.poll() is not None for role in roles]
                if record["ended"] or (done[0] and done[2]):
                    break
                time.sleep(max(0.0, sample["time"] + every - time.time()))
    for role in roles:
        listen(role, record)
    record["seconds"] = time.time() - record["begun"]
    keep(record, out / "soak.json")
    return record


def address_of(dashboard: Role) -> str:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and dashboard.process.poll() is None:
        for line in list(dashboard.lines):
            if "http://" in line:
                return "http://" + line.split("http://")[1].split()[0]
        time.sleep(0.1)
    raise SystemExit(f"the dashboard did not begin: see {dashboard.log.name}")


def listen(role: Role, record: dict[str, Any]) -> None:
    """Puts what a process has said into the record."""
    for line in role.taken():
        if not line.startswith("{"):
            continue
        said = json.loads(line)
        if "browser" in said:
            record["browser"] = said["browser"]
        else:
            record["marks"].append({"role": "page" if role.name == "visit" else role.name, **said})


def keep(record: dict[str, Any], path: Path) -> None:
    whole = path.with_suffix(".part")
    whole.write_text(json.dumps(record))
    whole.replace(path)


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--hours", type=float, help="how long; Ctrl-C ends it sooner, and judges")
    what.add_argument("--judge", type=Path, metavar="FILE", help="samples to judge again")
    parser.add_argument("--out", type=Path, help="a folder that is not there yet")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two samples")
    parser.add_argument("--turns", type=int, default=0, help="end after so many; 0: by the clock")
    parser.add_argument("--updates", type=int, default=UPDATES, help="of each training in a turn")
    parser.add_argument("--steps", type=int, default=STEPS, help="of each set of games in a turn")
    parser.add_argument("--no-browser", action="store_true", help="only HTTP and WebSocket clients")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="a picture of the curves")
    parser.add_argument("--report", type=Path, metavar="FILE", help="the verdicts as JSON")
    parser.add_argument(
        "--warm-up", type=float, default=WARM_UP, metavar="SHARE",
        help=f"of the time that is not judged, while caches fill; default {WARM_UP:g}",
    )  # fmt: skip
    chosen = parser.parse_args(given)
    if not 0 <= chosen.warm_up < 1:
        parser.error(f"--warm-up must be 0 or more and below 1, not {chosen.warm_up:g}")
    if chosen.judge is not None:
        record = json.loads(chosen.judge.read_text())
    else:
        if chosen.out is None or chosen.out.exists():
            parser.error(f"--out must name a folder that is not there yet, not {chosen.out}")
        if not chosen.hours > 0 or not chosen.every > 0 or min(chosen.updates, chosen.steps) < 1:
            parser.error("--hours, --every, --updates and --steps must be above 0")
        record = soak(
            chosen.out.absolute(), 3600 * chosen.hours, chosen.every, not chosen.no_browser,
            chosen.turns, chosen.updates, chosen.steps,
        )  # fmt: skip
    series = series_of(record)
    verdicts = judged(series, chosen.warm_up)
    wrong = failures(record, verdicts)
    hours = record.get("seconds", 0) / 3600
    turns = 1 + max((mark["turn"] for mark in record["marks"] if "held" in mark), default=-1)
    print(f"{hours:.2f} hours, {len(record['samples'])} samples, {turns} turns\n")
    print(table(verdicts))
    print("\n" + ("\n".join(wrong) if wrong else "all bounds hold"))
    if chosen.report is not None:
        facts = {"hours": hours, "turns": turns, "samples": len(record["samples"])}
        told = [one._asdict() for one in verdicts]
        chosen.report.write_text(json.dumps({**facts, "verdicts": told, "wrong": wrong}, indent=1))
    if chosen.plot is not None:
        sys.path.insert(0, str(ROOT))
        plot(series, chosen.plot)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
