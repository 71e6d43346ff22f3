"""A process in which commands of warpzone meet faults: it has imported everything, and forks for
each command.

    LD_PRELOAD=SHIM python -m tests.support.fault_worker SHIM

Each line of the input says in JSON what `Machine.run` of `tests.support.faults` was told, each line
of the output what became of it. The shim is `fault_shim.c`, which counts calls of the C library and
lets one fail; what it cannot reach (the clock, memory, cores, threads, other processes) is changed
here, where a training comes to a phase. Nothing else of warpzone is changed but what would make two
runs differ, which is pauses by the clock, and how many of its small files are kept.
"""

from __future__ import annotations

import ctypes
import faulthandler
import importlib
import itertools
import json
import mmap
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

NOTES, NAME = 8192, 120
PHASES = ("start", "play", "evaluation", "checkpoint", "end")
"""Of a training, in whose order it comes to them first; of any other command there is the first."""
KINDS = (
    *("open", "read", "write", "fsync", "close", "truncate", "rename", "mkdir", "rmdir", "unlink"),
    *("list", "stat", "lock"),
)
FAIL, SHORT, SIGNAL = range(3)


class Note(ctypes.Structure):
    _fields_ = [
        ("kind", ctypes.c_int),
        ("phase", ctypes.c_int),
        ("fired", ctypes.c_int),
        ("path", ctypes.c_char * NAME),
    ]


class Shared(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int) for name in ("armed", "phase", "count", "target", "action")),
        *((name, ctypes.c_int) for name in ("error", "lasting", "fired")),
        ("prefix", ctypes.c_char * 512),
        ("notes", Note * NOTES),
    ]


class Phases:
    """Knows in which phase a training is, and does something when it comes to one."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.act: Callable[[], None] = lambda: None
        self.awaited, self.times = "", 1

    def enter(self, phase: str) -> None:
        self.shared.phase = PHASES.index(phase)
        if phase == self.awaited:
            self.times -= 1
            if self.times == 0:
                self.shared.fired = 1
                self.act()

    def wrap(self, owner: Any, name: str, phase: str, after: Callable[[Any], str | None]) -> None:
        real = getattr(owner, name)

        def wrapped(this: Any, *arguments: Any, **named: Any) -> Any:
            self.enter(phase)
            result = real(this, *arguments, **named)
            following = after(this)
            if following is not None:
                self.enter(following)
            return result

        setattr(owner, name, wrapped)

    def instrument(self) -> None:
        """Follows a training, and takes the clock out of what it does."""
        from warpzone.training import episode_writer, metrics, milestones, trainer
        from warpzone.training.evaluation_schedule import EvaluationSchedule
        from warpzone.training.learner import Learner
        from warpzone.training.run_directory import RunDirectory

        def following(job: Any) -> str:
            over = job.learner.step >= job.run.config.total_steps
            return "end" if over else "play"

        self.wrap(RunDirectory, "__init__", "start", lambda run: None)
        self.wrap(trainer._Job, "save", "checkpoint", following)
        self.wrap(trainer._Job, "measure", "evaluation", following)
        self.wrap(Learner, "improve", "play", lambda learner: None)
        setattr(  # noqa: B010 (mypy takes a new method for an assignment)
            EvaluationSchedule,
            "due",
            lambda this, learner: learner.updates >= this.measured_at + this.config.eval_every,
        )
        episode_writer.PAUSE = episode_writer.LIVE_PAUSE = 0.0
        episode_writer.KEPT = milestones.MOST = 2
        metrics._EventFile.FLUSH_EVERY = 0.0


def shift_clock(wall: float, monotonic: float) -> None:
    """From now on the clocks show so many seconds more."""
    for name, seconds in (("time", wall), ("monotonic", monotonic), ("perf_counter", monotonic)):
        real = getattr(time, name)
        setattr(time, name, lambda real=real, seconds=seconds: real() + seconds)


def limit_memory(free: int) -> None:
    """From now on the process gets so many bytes of address space more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + free
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def take_cores(leave: int) -> None:
    """From now on all threads may use that many cores."""
    cores = sorted(os.sched_getaffinity(0))[:leave]
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), cores)


def close_output() -> None:
    """Whoever reads the output and the messages is gone."""
    reading, writing = os.pipe()
    os.close(reading)
    os.dup2(writing, 1)
    os.dup2(writing, 2)
    os.close(writing)


def fail_in(where: str, what: str, thread: str = "") -> None:
    """From now on a piece of work raises an exception.

    Args:
        where: "module:Class.function", which does the work.
        what: name of the exception.
        thread: how the names of the threads begin in which it does; "": in any.
    """
    from warpzone.errors import EngineError

    error = {
        "EngineError": EngineError("a worker thread failed"),
        "MemoryError": MemoryError(),
        "RuntimeError": RuntimeError("a fault of ours"),
    }[what]
    module, _, names = where.partition(":")
    *path, last = names.split(".")
    owner = importlib.import_module(module)
    for name in path:
        owner = getattr(owner, name)
    real = getattr(owner, last)

    def failing(*arguments: Any, **named: Any) -> Any:
        if threading.current_thread().name.startswith(thread):
            raise error
        return real(*arguments, **named)

    setattr(owner, last, failing)


def kill_children() -> None:
    """Ends all processes that this one has started."""
    for thread in os.listdir("/proc/self/task"):
        children = ""
        with suppress(FileNotFoundError):  # the thread has ended since
            children = Path(f"/proc/self/task/{thread}/children").read_text()
        for child in children.split():
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)


def kill_encoder(pictures: int) -> None:
    """After so many pictures of a film its encoder is gone."""
    from warpzone.video import film

    real, shown = film.colours, itertools.count(1)

    def colours(*arguments: Any) -> Any:
        if next(shown) == pictures:
            kill_children()
        return real(*arguments)

    setattr(film, "colours", colours)  # noqa: B010


ACTS: dict[str, Callable[..., None]] = {
    "clock": shift_clock,
    "memory": limit_memory,
    "cores": take_cores,
    "output": close_output,
    "raise": fail_in,
    "children": kill_children,
    "encoder": kill_encoder,
    "signal": lambda number: os.kill(os.getpid(), number),
}


def run(request: dict[str, Any], shared: Shared, phases: Phases) -> int:
    """Does what a request says, in the forked process; returns the exit status."""
    from warpzone.cli import main

    os.setpgid(0, 0)
    os.chdir(request["cwd"])
    for number, path in ((1, request["stdout"]), (2, request["stderr"])):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    # Processes in the background of a shell ignore the first, those of nohup the second.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.environ.update(request["environment"])
    sys.path[:0] = filter(None, request["environment"].get("PYTHONPATH", "").split(os.pathsep))
    if request["program"]:
        importlib.import_module(request["program"]).prepare()
    sys.argv = ["warpzone", *request["command"]]
    act = request["act"]
    if act is not None:
        name, phases.awaited, phases.times, arguments = act
        phases.act = lambda: ACTS[name](*arguments)
    shared.armed = 1
    try:
        phases.enter("start")
        main()
        status = 0
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 99
    finally:
        shared.armed = 0
    return status


def wait(child: int, limit: float) -> tuple[int, bool]:
    """Returns the exit status of a process, negative: the signal that ended it, and whether it had
    to be ended because it hung."""
    until, hung = time.monotonic() + limit, False
    pause = 0.001
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status), hung
        if time.monotonic() > until:
            if not hung:
                os.kill(child, signal.SIGUSR1)  # says where it stands
                until += 2.0
                hung = True
            else:
                os.killpg(child, signal.SIGKILL)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)


def main() -> None:
    shim = ctypes.CDLL(sys.argv[1])
    os.environ.pop("LD_PRELOAD", None)
    memory = mmap.mmap(-1, ctypes.sizeof(Shared))
    shared = Shared.from_buffer(memory)
    shim.fault_share(ctypes.byref(shared))
    phases = Phases(shared)
    phases.instrument()
    import tensorboard.compat.proto.event_pb2
    import tensorboard.summary.writer.record_writer
    import torch._dynamo

    from warpzone.cli.app import app
    from warpzone.training.provenance import code_commit

    del app, tensorboard, torch
    code_commit()
    assert threading.active_count() == 1, "a fork would lose threads"
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        ctypes.memset(ctypes.addressof(shared), 0, Shared.notes.offset)
        for name, value in request["fault"].items():
            setattr(shared, name, value)
        shared.prefix = request["prefix"].encode()
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            status = 98
            try:
                status = run(request, shared, phases)
            finally:
                os._exit(status)
        status, hung = wait(child, request["limit"])
        notes = [
            (KINDS[note.kind], PHASES[note.phase], note.path.decode(errors="replace"), note.fired)
            for note in shared.notes[: min(shared.count, NOTES)]
        ]
        print(
            json.dumps(
                {
                    "status": status,
                    "hung": hung,
                    "fired": shared.fired,
                    "phase": PHASES[shared.phase],
                    "seconds": time.monotonic() - began,
                    "calls": notes if request["calls"] else [n for n in notes if n[3]],
                }
            ),
            flush=True,
        )
    os._exit(0)  # taking all that has been imported apart takes longer than a training


if __name__ == "__main__":
    main()
