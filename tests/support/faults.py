"""Commands of warpzone that meet one fault of the machine each, and what must hold after it.

Needs Linux and a C compiler. A `Machine` is a process that has imported everything and forks for
each command (`tests.support.fault_worker`), in which calls of the C library can fail
(`fault_shim.c`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import safetensors.torch

ROOT = Path(__file__).parents[2]
SHIM = Path(__file__).with_name("fault_shim.c")
LIMIT = 120.0
"""Seconds after which a command counts as hanging; undisturbed they take less than one."""
SHORT = "short"
ERRORS = ("ENOSPC", "EIO", "EROFS", "EINTR", "EACCES")
ERRORS_OF = {
    "open": (*ERRORS, "EMFILE"),
    "write": (*ERRORS, SHORT),
    "read": ("EIO", "EINTR", SHORT),
    "stat": ("EIO", "EACCES"),
    "close": ("EIO", "ENOSPC", "EINTR"),
    "lock": ("EIO", "ENOLCK", "EINTR"),
}
"""Of calls that fail in other ways than `ERRORS`."""
LASTING = ("ENOSPC", "EROFS", "EIO")
"""What can go on once it has begun."""
SIGNALS = ("SIGKILL", "SIGINT", "SIGTERM", "SIGHUP")


class Call(NamedTuple):
    """A call of the C library on a path."""

    kind: str
    phase: str
    path: str
    """Below the directory that is watched."""
    fired: int


@dataclass(frozen=True)
class Fault:
    """What goes wrong: the call with the number `at`, or what is done in a phase.

    Attributes:
        at: number of the call, from 0; -1: none.
        what: the name of an errno, `SHORT`: half is done, or the name of a signal.
        lasting: whether calls after that one fail as well, where they would on such a disk.
        act: name of an act of `fault_worker.ACTS`, phase, how many times it must be come to.
        arguments: of the act.
    """

    at: int = -1
    what: str = "EIO"
    lasting: bool = False
    act: tuple[str, str, int] | None = None
    arguments: tuple[Any, ...] = ()

    def as_json(self) -> dict[str, Any]:
        if self.what == SHORT:
            action, number = 1, 0
        elif self.what.startswith("SIG"):
            action, number = 2, int(getattr(signal, self.what))
        else:
            action, number = 0, getattr(errno, self.what)
        names = {"target": self.at, "action": action, "error": number}
        return {**names, "lasting": int(self.lasting)}


NOTHING = Fault()


@dataclass(frozen=True)
class Done:
    """What became of a command."""

    status: int
    """Of its exit; negative: the signal that ended it."""
    hung: bool
    fired: int
    """How many calls failed."""
    phase: str
    """In which it ended."""
    seconds: float
    calls: list[Call]
    out: str
    err: str

    @property
    def text(self) -> str:
        return f"status {self.status}\n--- output\n{self.out}\n--- messages\n{self.err}"


def build_shim(folder: Path) -> Path:
    """Returns the shim, compiled; raises FileNotFoundError where there is no C compiler."""
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), "")
    library = folder / "fault_shim.so"
    if not compiler:
        raise FileNotFoundError("no C compiler")
    line = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-o", str(library), str(SHIM), "-ldl"]
    subprocess.run(line, check=True)
    return library


class Machine:
    """Runs commands that meet faults, one after the other.

    Args:
        folder: for its own files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shim = build_shim(folder)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fault_worker", str(shim)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "LD_PRELOAD": str(shim), "COLUMNS": "200", "OMP_NUM_THREADS": "1"},
            text=True,
        )
        assert self._answer() == "ready"

    def run(
        self,
        command: Sequence[str | Path],
        watched: Path,
        fault: Fault = NOTHING,
        *,
        calls: bool = False,
        limit: float = LIMIT,
        environment: Mapping[str, str] | None = None,
        program: str = "",
    ) -> Done:
        """Runs `warpzone COMMAND`, in which calls on paths below `watched` can fail.

        Args:
            command: its words.
            watched: a directory; that above it is the current one.
            fault: what goes wrong.
            calls: whether all such calls are to be returned, not only those that failed.
            limit: seconds after which it hangs.
            environment: variables for it.
            program: a module whose function `prepare` is called before; "": none.
        """
        out, err = self.folder / "stdout", self.folder / "stderr"
        act = None if fault.act is None else [*fault.act, fault.arguments]
        request = {
            "command": [str(word) for word in command],
            "cwd": str(watched.parent),
            "prefix": str(watched),
            "stdout": str(out),
            "stderr": str(err),
            "fault": fault.as_json(),
            "act": act,
            "calls": calls,
            "limit": limit,
            "environment": dict(environment or {}),
            "program": program,
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        found = json.loads(self._answer())
        found["calls"] = [Call(*call) for call in found["calls"]]
        texts = [path.read_text(errors="replace") for path in (out, err)]
        return Done(**found, out=texts[0], err=texts[1])

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of commands has ended: {self._process.wait()}")
        return line.rstrip("\n")

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


TRAIN = shlex.split(
    "--engine interpreter --steps 160 --threads 2 --set device=cpu --set num_envs=4"
    " --set rollout_steps=8 --set minibatch_size=16 --set network.hidden=[16]"
    " --set env.no_progress_steps=8 --set env.max_steps=12 --set eval_episodes=2"
    " --set eval_every=3 --set checkpoint_every=2 --set keep_checkpoints=2 --set watched_games=2"
)
"""Five updates of the real games: checkpoints after the second, the fourth and the last, measured
after the third and the last."""
UNEQUAL = ("charts/SPS", "charts/rollout_seconds", "charts/update_seconds")
"""Metrics that two runs need not agree in."""
MISSING = "what is played cannot be written"
"""Said where episodes to look at may be missing."""


class Outcome(NamedTuple):
    """What became of a training that met a fault."""

    how: str
    problems: list[str]
    """What must not be; none: all is well."""
    done: Done
    fault: Fault


class Training:
    """A short training, as a command that can be run again and again.

    Args:
        machine: runs it.
        folder: for run directories.
        resumed: whether it is the second half of one that was interrupted in the third update.
    """

    def __init__(self, machine: Machine, folder: Path, *, resumed: bool = False) -> None:
        self.machine, self.folder, self.resumed = machine, folder, resumed
        self._run = folder / "run"
        self._half: Path | None = None
        whole = self._do(["train", "1-1", "--out", self._run, *TRAIN], NOTHING)
        assert whole.status == 0, whole.text
        self.wanted = contents(self._run)
        shutil.rmtree(self._run)
        if resumed:
            played = [number for number, call in enumerate(whole.calls) if call.phase == "play"]
            stop = Fault(at=played[len(played) // 2], what="SIGINT")
            stopped = self._do(self._begin, stop)
            assert stopped.status == 130, stopped.text
            self._half = self._run.rename(folder / "half")
            whole = self._again()
            assert whole.status == 0, whole.text
        self.calls = whole.calls
        """Of the undisturbed command."""
        self.undisturbed = whole
        shutil.rmtree(self._run, ignore_errors=True)

    def meet(self, fault: Fault, **options: Any) -> Outcome:
        """Runs the command with a fault, then goes on with what is left of the run."""
        try:
            return self._meet(fault, options)
        finally:
            shutil.rmtree(self._run, ignore_errors=True)

    @property
    def _begin(self) -> list[str | Path]:
        return ["train", "1-1", "--out", self._run, *TRAIN]

    @property
    def _resume(self) -> list[str | Path]:
        return ["train", "--resume", "--engine", "interpreter", "--out", self._run]

    def _do(self, command: list[str | Path], fault: Fault, **options: Any) -> Done:
        return self.machine.run(command, self._run, fault, calls=True, **options)

    def _again(self, fault: Fault = NOTHING, **options: Any) -> Done:
        if self._half is None:
            return self._do(self._begin, fault, **options)
        shutil.copytree(self._half, self._run)
        return self._do(self._resume, fault, **options)

    def _meet(self, fault: Fault, options: dict[str, Any]) -> Outcome:
        done = self._again(fault, **options)
        problems: list[str] = []
        if done.fired == 0:
            problems.append("the fault has not happened")
        if done.hung:
            problems.append("it hangs")
        ours = "RuntimeError" in fault.arguments  # which is told with its traceback, for a report
        if not ours and ("Traceback" in done.out + done.err or "Exception ignored" in done.err):
            problems.append("a traceback")
        if ours and "Go on: warpzone train --resume" not in done.out:
            problems.append("it does not say how to go on")
        problems += self._kept(done)
        failed = [call for call in done.calls if call.fired]
        allowed = {
            "missing": MISSING in done.out,
            "full": fault.what == "ENOSPC",
            "stays": any(call.kind in ("unlink", "list") for call in failed),
        }
        if done.status == 0:
            how = "goes on" if self._said(done) else "unnoticed"
            if self.resumed and "going on from step" not in done.out:
                problems.append("it has begun anew")
            problems += different(self.wanted, contents(self._run), **allowed)
            return Outcome(how, problems, done, fault)
        how = self._ended(fault, done, problems)
        after = self._do(self._resume, NOTHING)
        if after.status == 2 and not (self._run / "config.json").exists():
            how = "refused"
            if " error:" not in f" {after.err}":
                problems.append(f"going on ends without a message: {after.text}")
            after = self._do(self._begin, NOTHING)
        if after.status != 0:
            problems.append(f"it cannot be gone on with: {after.text}")
        else:
            problems += different(self.wanted, contents(self._run), **allowed)
        return Outcome(how, problems, done, fault)

    def _ended(self, fault: Fault, done: Done, problems: list[str]) -> str:
        """Says how it ended before its time."""
        deadly = fault.what if fault.what.startswith("SIG") else ""
        if done.status < 0:
            if -done.status != getattr(signal, deadly, None):
                problems.append(f"ended by signal {-done.status}")
            return "ended"
        if done.status == 130:
            if not deadly:
                problems.append("interrupted by nobody")
            return "interrupted"
        if "RuntimeError" in fault.arguments:
            return "stops"
        if done.err.count("error:") != 1 and "output" not in (fault.act or ()):
            problems.append("not one message")
        if done.status not in (1, 2):
            problems.append(f"status {done.status}")
        if done.status == 1 and "--resume --out" not in done.err:
            problems.append("it does not say how to go on")
        return "stops"

    def _said(self, done: Done) -> bool:
        """Whether it has said anything that the undisturbed command does not say."""
        usual = self.undisturbed.out.splitlines()
        return bool(done.err) or any(
            line not in usual and not line.startswith(("step ", "trained "))
            for line in done.out.splitlines()
        )

    def _kept(self, done: Done) -> list[str]:
        """What is wrong with work that was finished before."""
        from warpzone.errors import WarpzoneError
        from warpzone.training.agent_file import load_agent
        from warpzone.training.checkpoint import Checkpoints

        renamed = [call.path for call in done.calls if call.kind == "rename" and not call.fired]
        if self._half is not None:
            files = (path for path in self._half.rglob("*") if path.is_file())
            renamed += [f"/{path.relative_to(self._half)}" for path in files]
        problems: list[str] = []
        if any(path.endswith(".ckpt") for path in renamed):
            try:
                if Checkpoints(self._run / "checkpoints", 2).newest(problems.append) is None:
                    problems.append("no checkpoint is left")
            except WarpzoneError as error:
                problems.append(str(error))
        for name in ("agent.safetensors", "best.safetensors"):
            if f"/{name}" in renamed:
                try:
                    load_agent(self._run / name)
                except WarpzoneError as error:
                    problems.append(str(error))
        return problems


def contents(run: Path) -> dict[str, Any]:
    """Returns what a finished training must have left, by name; of what the clock measures
    nothing."""
    from warpzone.training.checkpoint import Snapshot

    found: dict[str, Any] = {}
    newest = sorted((run / "checkpoints").glob("step-*.ckpt"))
    found["checkpoints"] = [path.name for path in newest]
    found["milestones"] = sorted(path.name for path in (run / "milestones").iterdir())
    found["leftovers"] = sorted(str(path.name) for path in run.rglob(".*.part*"))
    snapshot = Snapshot.read(newest[-1])
    for name, tensor in snapshot.tensors.items():
        found[f"checkpoint {name}"] = hashlib.sha256(tensor.numpy().tobytes()).hexdigest()
    times = {"seconds", "metrics_bytes", "ends_bytes"}
    found |= {f"checkpoint {k}": v for k, v in snapshot.values.items() if k not in times}
    for name in ("agent", "best"):
        tensors = safetensors.torch.load((run / f"{name}.safetensors").read_bytes())
        found |= {
            f"{name} {k}": hashlib.sha256(t.numpy().tobytes()).hexdigest()
            for k, t in tensors.items()
        }
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found["metrics"] = [{k: v for k, v in line.items() if k not in UNEQUAL} for line in lines]
    status = json.loads((run / "status.json").read_text())
    found["status"] = {k: v for k, v in status.items() if k != "seconds"}
    found["config"] = json.loads((run / "config.json").read_text())
    found["changes"] = (run / "changes.jsonl").exists()
    ends = run / "episode_ends.jsonl"
    found["ends"] = ends.read_text().splitlines() if ends.exists() else []
    return found


def different(
    wanted: dict[str, Any], found: dict[str, Any], *, missing: bool, full: bool, stays: bool
) -> list[str]:
    """Returns in what a run differs from another.

    Args:
        missing: lines about episodes may be.
        full: the disk was full: older checkpoints may have made room.
        stays: what is not kept could not be removed, or not be looked for.
    """
    problems = [
        f"other {name}: {str(found.get(name))[:300]} instead of {str(wanted.get(name))[:300]}"
        for name in sorted(wanted.keys() | found.keys())
        if wanted.get(name) != found.get(name)
    ]
    excused = []
    if missing and all(line in wanted["ends"] for line in found["ends"]):
        excused.append("other ends:")
    if full and found["checkpoints"] == wanted["checkpoints"][-len(found["checkpoints"]) :]:
        excused.append("other checkpoints:")
    if stays:
        excused.append("other leftovers:")
        for name in ("checkpoints", "milestones"):
            if set(wanted[name]) <= set(found[name]):
                excused.append(f"other {name}:")
    return [text for text in problems if not text.startswith(tuple(excused))]


class Command:
    """A command that reads a run and writes something, to be run again and again.

    Args:
        machine: runs it.
        folder: for a copy of the run, `RUN`, and what is written.
        run: a finished one.
        words: the command, in which RUN stands for the run and OUT for `output`.
        output: the name of the file or folder that it writes; "": none.
    """

    def __init__(
        self, machine: Machine, folder: Path, run: Path, words: Sequence[str], output: str
    ) -> None:
        self.machine, self._source = machine, run
        self._work = folder / "work"
        self._output = self._work / output if output else None
        places = {"RUN": self._work / "run", "OUT": self._output}
        self._words = [str(places.get(word, word)) for word in words]
        done = self._prepared(NOTHING)
        assert done.status == 0, done.text
        self.calls, self.undisturbed = done.calls, done
        self._wanted = self._written()

    def meet(self, fault: Fault) -> Outcome:
        """Runs the command with a fault."""
        done = self._prepared(fault)
        problems = []
        if done.fired == 0:
            problems.append("the fault has not happened")
        if done.hung:
            problems.append("it hangs")
        if "Traceback" in done.out + done.err or "Exception ignored" in done.err:
            problems.append("a traceback")
        how = "goes on" if done.err != self.undisturbed.err else "unnoticed"
        written = self._written()
        if done.status == 0:
            if written.keys() != self._wanted.keys():
                problems.append(f"{sorted(written)} is written, not {sorted(self._wanted)}")
        else:
            how = "ended" if fault.what.startswith("SIG") else "stops"
            if how == "stops" and (done.status not in (1, 2) or done.err.count("error:") != 1):
                problems.append(f"not one message, status {done.status}")
            # What there was before, or what was to be written: nothing between.
            if self._output is not None and self._output.suffix:
                found = self._output.read_bytes()
                if found != OLD and self._wanted[self._output.name] != len(found):
                    problems.append("half a file")
        left = [path.name for path in self._work.rglob(".*.part*")]
        if left and how != "ended" and not any(c.fired and c.kind == "unlink" for c in done.calls):
            problems.append(f"left behind: {left}")
        if _digests(self._source) != _digests(self._work / "run"):
            problems.append("the run is changed")
        return Outcome(how, problems, done, fault)

    def _prepared(self, fault: Fault) -> Done:
        shutil.rmtree(self._work, ignore_errors=True)
        shutil.copytree(self._source, self._work / "run")
        if self._output is not None and self._output.suffix:
            self._output.write_bytes(OLD)
        return self.machine.run(self._words, self._work, fault, calls=True)

    def _written(self) -> dict[str, int]:
        """Sizes of what is there beside the run, by name."""
        return {
            path.relative_to(self._work).as_posix(): path.stat().st_size
            for path in sorted(self._work.rglob("*"))
            if path.is_file()
            and (self._work / "run") not in path.parents
            and ".part" not in path.name
        }


OLD = b"written before"


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


COMMANDS: dict[str, tuple[list[str], str]] = {
    "record (MP4)": (
        shlex.split("record RUN -o OUT --until-clear 1 --scale 1 --engine interpreter"),
        "clip.mp4",
    ),
    "record (GIF)": (
        shlex.split("record RUN -o OUT --until-clear 1 --scale 1 --engine interpreter"),
        "clip.gif",
    ),
    "record --episode": (
        shlex.split("record RUN -o clip.gif --episode OUT --until-clear 1 --scale 1"),
        "episode.json",
    ),
    "eval": (shlex.split("eval RUN --json --episodes 1 --engine interpreter"), ""),
    "report": (shlex.split("report RUN -o OUT --films 0 --engine interpreter"), "report.html"),
    "map": (shlex.split("map 1-1 --run RUN -o OUT"), "map.png"),
    "push --folder": (
        shlex.split("push RUN --folder OUT --episodes 1 --engine interpreter"),
        "shared",
    ),
}
"""Commands that read a run, and the names of what they write, by what they are called."""

PHASES = ("start", "play", "evaluation", "checkpoint", "end")
"""Of a training; see `fault_worker.PHASES`."""
PLAYED = "warpzone.training.learner:Learner._play"
"""What plays a rollout."""
MEASURED = "warpzone.training.learner:Learner.measure"
CLOCKS = {
    "the clock is put forward by 11 days": (1e6, 0.0),
    "the clock is put back by 11 days": (-1e6, 0.0),
    "the machine has slept for 11 days": (1e6, 1e6),
}
FREE = (0, 1 << 20, 16 << 20, 256 << 20)
"""Bytes of address space that a process gets where memory runs out."""


def acts() -> Iterator[tuple[str, str, Fault]]:
    """Yields what, in which phase, and the fault, of those that are no calls of the C library."""
    for phase in PHASES:
        nth = 1 if phase == "end" else 2

        def fault(act: str, *arguments: Any, phase: str = phase, nth: int = nth) -> Fault:
            return Fault(act=(act, phase, nth), arguments=arguments)

        for name, seconds in CLOCKS.items():
            yield name, phase, fault("clock", *seconds)
        for free in FREE:
            yield f"memory: {free >> 20} MiB more", phase, fault("memory", free)
        yield "one core is left", phase, fault("cores", 1)
        yield "nobody reads the output any more", phase, fault("output")
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE"):
            number = int(getattr(signal, name))
            yield name, phase, dataclasses.replace(fault("signal", number), what=name)
    for error in ("EngineError", "MemoryError", "RuntimeError"):
        for phase, where in (("play", PLAYED), ("evaluation", MEASURED)):
            yield (
                f"{error} in a worker",
                phase,
                Fault(act=("raise", phase, 1), arguments=(where, error)),
            )


def calls_to_fail(calls: Sequence[Call]) -> Iterator[tuple[str, Call, Fault]]:
    """Yields what, the call and the fault, for all calls of a command and all that can go wrong
    with each."""
    for number, call in enumerate(calls):
        for what in ERRORS_OF.get(call.kind, ERRORS):
            yield f"{call.kind}: {what}", call, Fault(at=number, what=what)
        for what in LASTING:
            yield f"{what} from then on", call, Fault(at=number, what=what, lasting=True)
        for what in SIGNALS:
            yield what, call, Fault(at=number, what=what)


def folder_in_memory() -> Path:
    """Returns a new folder, where there is such a thing of a file system in memory: a short
    training waits longer for a disk than it takes."""
    place = Path("/dev/shm")
    fitting = place.is_dir() and os.access(place, os.W_OK)
    return Path(tempfile.mkdtemp(prefix="warpzone-faults-", dir=place if fitting else None))


def covering(
    cases: Iterable[tuple[str, Call, Fault]], keys: Callable[[str, Call], Iterable[Any]]
) -> list[tuple[str, Call, Fault]]:
    """Returns some of the cases, always the same, so that each key that one of them has is that of
    one at least."""
    cases = list(cases)
    chosen, known = [], set[Any]()

    def rank(case: tuple[str, Call, Fault]) -> bytes:
        name, call, fault = case
        return hashlib.sha256(f"{name} {call.phase} {fault.at}".encode()).digest()

    # Those with most keys that no other has had come first, as far as one pass can tell.
    for fewest in (2, 1):
        for case in sorted(cases, key=rank):
            new = set(keys(*case[:2])) - known
            if len(new) >= fewest:
                known |= new
                chosen.append(case)
    return chosen
