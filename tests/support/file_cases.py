"""Runs cases of damaged files in a process of its own, which may crash, hang or use up its memory.

    python -m tests.support.file_cases ORDER     # JSON, see `Order`: what a `Runner` starts

For each case the process says beforehand, in a file that outlives it, which it is; tells what went
wrong with it; and counts. It measures the peak of its memory and its CPU time, case by case.
"""

from __future__ import annotations

import gc
import importlib
import json
import mmap
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from tests.support import objects

if TYPE_CHECKING:
    from tests.support.formats import Format, Formats

ROOT = Path(__file__).parents[2]
MOST_MEMORY = 256 << 20
"""Bytes that reading a file may need at once, beside `MEMORY_FOR_EACH` for each of its own."""
MEMORY_FOR_EACH = 40
"""JSON of many short parts, such as `[[],[],`, takes so many bytes as Python's objects."""
HARD_LIMIT = 3 << 30
"""Bytes of address space beyond what the process has at the beginning: there it ends."""
MOST_SECONDS = 10.0
"""CPU time of one case."""
PATIENCE = 240.0
"""Seconds that a case may take on a very busy machine before it counts as one that hangs."""
LONGEST_MESSAGE = 4_000


@dataclass
class Order:
    """What a process is to do.

    Attributes:
        module: whose `Formats` are meant.
        formats: their names; none: all.
        most: cases of each format of share 1, spread over all in turn; None: all of them.
        kinds: of systematic cases; none: all.
        objects: what is no file instead of what is a damaged one.
        draws: whether random cases follow, until the time is over.
        seconds: for the random ones.
        seed: of the first random case; each has the next number.
        only: of one format, one case: `kind/what`, or `drawn/SEED`.
        keep: where to write the file of the one case.
        skip: cases that have ended a process before.
        done: formats whose systematic cases have been run.
    """

    module: str = "tests.support.formats"
    formats: list[str] = field(default_factory=list)
    most: int | None = None
    kinds: list[str] = field(default_factory=list)
    objects: bool = False
    draws: bool = False
    seconds: float = 0.0
    seed: int = 0
    only: str | None = None
    keep: str | None = None
    skip: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)


@dataclass
class Count:
    """What became of the cases of one format and kind."""

    cases: int = 0
    taken: int = 0
    refused: int = 0
    passed_over: int = 0
    seconds: float = 0.0
    memory: int = 0


# In the process


def main() -> None:
    order = Order(**json.loads(sys.argv[1]))
    with (
        mmap.mmap(os.open(sys.argv[2], os.O_RDWR), 4096) as current,
        tempfile.TemporaryDirectory(prefix="warpzone-files-") as folder,
    ):
        Path(folder).chmod(0o755)  # for who is nobody, too
        # No power is cut here, and a disk may be slow.
        mock.patch.object(os, "fsync", return_value=None).start()
        module = importlib.import_module(order.module)
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)
        formats: Formats = module.Formats(Path(folder))
        chosen = [formats.all[name] for name in order.formats or formats.all]
        goods = {one.name: one.good() for one in chosen}
        space, _ = resource.getrlimit(resource.RLIMIT_AS)
        limit = _status("VmSize") + HARD_LIMIT
        resource.setrlimit(resource.RLIMIT_AS, (limit, space))
        gc.freeze()
        _tell(ready=True)
        cases = _Cases(formats, goods, order, current)
        for one in chosen:
            if one.name not in order.done:
                if order.objects:
                    cases.objects_of(one)
                else:
                    cases.all_of(one)
                cases.tell(done=one.name)
        if order.draws:
            cases.draw(chosen)
        cases.tell()
        _tell(end=True)


def _tell(**what: Any) -> None:
    print(json.dumps(what), flush=True)


class _Cases:
    def __init__(
        self, formats: Formats, goods: dict[str, bytes], order: Order, current: mmap.mmap
    ) -> None:
        self.formats, self.goods, self.order, self.current = formats, goods, order, current
        self.counts: dict[tuple[str, str], Count] = {}

    def tell(self, done: str | None = None) -> None:
        """What has been counted since."""
        for (name, kind), count in self.counts.items():
            _tell(count=[name, kind, asdict(count)])
        self.counts.clear()
        if done is not None:
            _tell(done=done)

    def strangers(self, one: Format) -> dict[str, bytes]:
        return {name: data for name, data in self.goods.items() if name != one.name}

    def all_of(self, one: Format) -> None:
        """Every systematic case of a format, or as many as are wanted."""
        from tests.support import damage

        order, good = self.order, self.goods[one.name]
        if order.only is not None:
            if order.only.startswith("drawn/"):
                self._drawn(one, int(order.only.partition("/")[2]))
            else:
                found = dict(damage.systematic(one.layout, good, self.strangers(one)))
                self.run(one, order.only, found[order.only]())
            return
        self.run(one, "good/as it was", good, good=True)
        cases = [
            case
            for case in damage.systematic(one.layout, good, self.strangers(one))
            if not order.kinds or case[0].partition("/")[0] in order.kinds
        ]
        if order.most is not None:
            # What is made by hand, or has found a fault, is always among them, and of the rest
            # a part that stays the same.
            wanted = max(int(order.most * one.share), 1)
            ours = set(one.found)
            always = [case for case in cases if case[0].startswith("special/") or case[0] in ours]
            if missing := ours - {what for what, _ in always}:
                raise LookupError(f"{one.name}: there are no cases {missing}")
            rest = [case for case in cases if case not in always]
            random.Random(one.name).shuffle(rest)
            cases = always + rest[: max(wanted - len(always), wanted // 2)]
        for what, make in cases:
            self.run(one, what, make())

    def draw(self, chosen: list[Format]) -> None:
        """Random cases until the time is over."""
        end = time.monotonic() + self.order.seconds
        seed, chance = self.order.seed, random.Random(self.order.seed)
        shares = [one.share for one in chosen]
        while time.monotonic() < end:
            (one,) = chance.choices(chosen, shares)
            self._drawn(one, seed)
            seed += 1

    def _drawn(self, one: Format, seed: int) -> None:
        from tests.support import damage

        what, data = damage.drawn(one.layout, self.goods[one.name], self.strangers(one), seed)
        self.run(one, f"drawn/{seed}", data, what)

    def run(self, one: Format, case: str, data: bytes, what: str = "", good: bool = False) -> None:
        """Lets a format read a file, and looks at what comes of it."""
        if f"{one.name}/{case}" in self.order.skip:
            return
        if self.order.keep is not None:
            Path(self.order.keep).write_bytes(data)
        self._say(f"{one.name}/{case}")
        path = self.formats.work / one.file
        path.parent.mkdir(parents=True, exist_ok=True)
        objects.remove(path)
        path.write_bytes(data)
        self._look(one, case, path, len(data), what, good)

    def objects_of(self, one: Format) -> None:
        """What is no file in the place of one."""
        for name, make in objects.OBJECTS.items():
            if one.handed_over or f"{one.name}/object/{name}" in self.order.skip:
                continue
            self._say(f"{one.name}/object/{name}")
            path = self.formats.work / one.file
            path.parent.mkdir(parents=True, exist_ok=True)
            objects.remove(path)
            with make(path, self.goods[one.name]):
                self._look(one, f"object/{name}", path, 0)
            objects.remove(path)

    def _look(
        self, one: Format, case: str, path: Path, size: int, what: str = "", good: bool = False
    ) -> None:
        kind = case.partition("/")[0]
        if sum(count.cases for count in self.counts.values()) >= 200:
            self.tell()  # in case that this one ends the process
        count = self.counts.setdefault((one.name, kind), Count())
        count.cases += 1
        before = _status("VmRSS")
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        began = time.process_time()
        wrong = ""
        try:
            taken = one.read(path)
            # Where nothing is raised, what is no good is passed over.
            if taken or one.errors:
                count.taken += 1
            else:
                count.passed_over += 1
            if good and not taken:
                wrong = "a good file is not taken"
        except Exception as error:
            count.refused += 1
            wrong = _judged(error, one, case, path, good)
        seconds = time.process_time() - began
        memory = max(_status("VmHWM") - before, 0)
        count.seconds, count.memory = max(count.seconds, seconds), max(count.memory, memory)
        if memory > MOST_MEMORY + MEMORY_FOR_EACH * size:
            wrong = wrong or f"{memory / 1e6:,.0f} MB for a file of {size:,} bytes"
        if seconds > MOST_SECONDS:
            wrong = wrong or f"{seconds:.1f} s of CPU time for a file of {size:,} bytes"
        if wrong:
            _tell(fault=[one.name, case, f"{wrong}{f'  ({what})' if what else ''}"])

    def _say(self, text: str) -> None:
        written = text.encode("utf-8", "replace")[:4000]
        self.current.seek(0)
        self.current.write(len(written).to_bytes(4, "little") + written)


def _judged(error: Exception, one: Format, case: str, path: Path, good: bool) -> str:
    """What is wrong with an error; "": nothing."""
    import traceback

    text = str(error)
    expected = (*one.errors, *one.unreadable) if case.startswith("object/") else one.errors
    if good or type(error) not in expected:
        lines = [line for line in traceback.format_tb(error.__traceback__) if "warpzone/" in line]
        last = lines[-1].strip().replace("\n", " ") if lines else ""
        return f"{type(error).__name__}: {text[:300]!r} {last}"
    if not text.strip():
        return f"{type(error).__name__} says nothing"
    if len(text) > LONGEST_MESSAGE:
        return f"a message of {len(text):,} characters"
    strange = [letter for letter in text if not letter.isprintable() and letter not in "\n"]
    if strange:
        return f"a message with {strange[0]!r}: {text[:300]!r}"
    # Of a folder that may not be entered another file may be wanted first.
    if one.named and path.name not in text and str(path.parent) not in text:
        return f"a message that does not name {path.name}: {text[:300]!r}"
    return ""


def _status(name: str) -> int:
    """Bytes, of /proc/self/status; 0 where there is none."""
    try:
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith(name):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


# Beside it


@dataclass
class Report:
    """What came of an order.

    Attributes:
        counts: by format and kind.
        faults: `format/case` and what was wrong.
    """

    counts: dict[tuple[str, str], Count] = field(default_factory=dict)
    faults: list[tuple[str, str]] = field(default_factory=list)

    @property
    def cases(self) -> int:
        return sum(count.cases for count in self.counts.values())


def carry_out(order: Order, *, patience: float = PATIENCE) -> Report:
    """Does what is ordered, in as many processes one after the other as it needs: one that crashes
    or hangs is a fault, and the next goes on behind it."""
    report, began = Report(), time.monotonic()
    left = Order(**asdict(order))
    while True:
        ended_by = _carry_out(left, report, patience)
        if ended_by is None or len(left.skip) >= 20:
            return report
        left.skip.append(ended_by)
        left.seconds = order.seconds - (time.monotonic() - began)
        if "/drawn/" in ended_by:
            left.seed = int(ended_by.rpartition("/")[2]) + 1


def _carry_out(order: Order, report: Report, patience: float) -> str | None:
    """The case that has ended the process; None: it did everything."""
    with tempfile.NamedTemporaryFile() as current, tempfile.TemporaryFile("w+") as said:
        current.write(bytes(4096))
        current.flush()
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.file_cases", json.dumps(asdict(order)),
             current.name],
            stdout=subprocess.PIPE, stderr=said, text=True, cwd=ROOT, env=environment,
        )  # fmt: skip
        watch = _Watch(process, Path(current.name), patience)
        ready = ended = False
        try:
            assert process.stdout is not None
            for told in map(json.loads, process.stdout):
                ready, ended = ready or "ready" in told, ended or "end" in told
                if "done" in told:
                    order.done.append(told["done"])
                if "fault" in told:
                    name, case, wrong = told["fault"]
                    report.faults.append((f"{name}/{case}", wrong))
                if "count" in told:
                    name, kind, values = told["count"]
                    count = report.counts.setdefault((name, kind), Count())
                    count.cases += values["cases"]
                    count.taken += values["taken"]
                    count.refused += values["refused"]
                    count.passed_over += values["passed_over"]
                    count.seconds = max(count.seconds, values["seconds"])
                    count.memory = max(count.memory, values["memory"])
        finally:
            watch.stop()
            code = process.wait()
        if code == 0 and ended:
            return None
        said.seek(0)
        last = said.read()[-3000:]
        if not ready:
            raise RuntimeError(f"the process did not begin:\n{last}")
        how = "it hangs" if watch.ended_it else f"the process ended with {code}"
        case = _current(Path(current.name))
        report.faults.append((case, f"{how}:\n{last}"))
        return case


def _current(file: Path) -> str:
    data = file.read_bytes()
    return data[4 : 4 + int.from_bytes(data[:4], "little")].decode(errors="replace")


class _Watch:
    """Ends a process that is at one case for too long, with a traceback of where it hangs."""

    def __init__(self, process: subprocess.Popen[str], current: Path, patience: float) -> None:
        import threading

        self.process, self.current, self.patience = process, current, patience
        self.ended_it = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        before, since = b"", time.monotonic()
        while not self._over.wait(0.5):
            now = self.current.read_bytes()
            if now != before:
                before, since = now, time.monotonic()
            elif now.strip(b"\0") and time.monotonic() > since + self.patience:
                self.ended_it = True
                self.process.send_signal(signal.SIGABRT)
                if not self._over.wait(5):
                    self.process.kill()
                return

    def stop(self) -> None:
        self._over.set()
        self._thread.join()


if __name__ == "__main__":
    main()
