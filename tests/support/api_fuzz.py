"""What the machines of the API fuzzer share: which errors may come out, budgets, Ctrl-C, threads.

`call` is the only way in which machines use what they drive: it counts, and lets nothing out but
what is documented. Budgets come from the environment: nothing set, a short run that is the same
each time; with `WARPZONE_FUZZ_CASES`, so many times as many cases, and new ones, which pytest's
`--hypothesis-seed` names (scripts/fuzz_api.py sets both).
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

import warpzone
from warpzone.errors import WarpzoneError

CASES = "WARPZONE_FUZZ_CASES"
"""How many times the short budget; set, cases are new ones."""
COUNTS_FILE = "WARPZONE_FUZZ_COUNTS"
"""A file to which a line is added: cases, calls, refused calls, interrupts."""
PATIENCE = 60.0
"""Seconds that threads of a case may take together: more is a hang."""

COUNTS: Counter[str] = Counter()
OUR_OWN = ("incompatible function arguments", "std::", "_native.", "nanobind", "terminate called")
"""Words of the native core's inside, which a message for a person does not have."""


def budget(cases: int, steps: int = 12) -> settings:
    """Returns how long a machine or a test runs: so many cases of so many calls by default."""
    times = os.environ.get(CASES)
    return settings(
        max_examples=max(1, round(cases * float(times or 1))),
        stateful_step_count=steps if times is None else 3 * steps,
        derandomize=times is None,
        deadline=None,
        database=None,
        phases=[Phase.generate],  # a case is a dozen calls: short enough to be read as it is
        suppress_health_check=list(HealthCheck),
    )


@dataclass(frozen=True)
class Answer:
    """Holds what a call returned, or the documented error that it raised."""

    value: Any = None
    error: BaseException | None = None

    @property
    def refused(self) -> bool:
        return self.error is not None


def call(function: Callable[..., Any], *args: Any, also: Any = (), **kwargs: Any) -> Answer:
    """Calls, and returns what came of it.

    Args:
        also: classes of errors beside `WarpzoneError` that this call is documented to raise.

    Raises:
        AssertionError: any other error, or a text that is not for people.
    """
    COUNTS["calls"] += 1
    documented: tuple[type[BaseException], ...] = (WarpzoneError, *_classes(also))
    try:
        return Answer(value=function(*args, **kwargs))
    except documented as error:
        _check_text(error)
        COUNTS["refused"] += 1
        return Answer(error=error.with_traceback(None))  # or its frames keep what was called
    except Exception as error:
        name = getattr(function, "__qualname__", repr(function))
        raise AssertionError(
            f"{name}{args!r:.300}{kwargs!r:.300} raised {type(error).__name__}, which it is not"
            f" documented to: {error}"
        ) from error


def _check_text(error: BaseException) -> None:
    text = str(error)
    assert text.strip(), f"{type(error).__name__} says nothing"
    assert not any(word in text for word in OUR_OWN), f"not for people: {text}"


def _classes(also: Any) -> tuple[type[BaseException], ...]:
    return also if isinstance(also, tuple) else (also,)


def must(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Calls what has to work, and returns its value."""
    answer = call(function, *args, **kwargs)
    if answer.error is not None:
        raise AssertionError(f"refused: {answer.error}") from answer.error
    return answer.value


def refused(function: Callable[..., Any], *args: Any, **kwargs: Any) -> BaseException:
    """Calls what has to be refused, and returns the error."""
    answer = call(function, *args, **kwargs)
    assert answer.error is not None, f"{args!r:.300}{kwargs!r:.300} was taken"
    return answer.error


def case() -> None:
    """Says that a case begins."""
    COUNTS["cases"] += 1


# --- arguments ------------------------------------------------------------------------------------

NO_NUMBERS: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", "1", b"1", 1.5, float("nan"), float("inf"), [], [1], {}, object(), 1j]
)
"""What is given for a whole number and is none."""
HUGE: st.SearchStrategy[int] = st.sampled_from(
    [2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**70, -(2**31) - 1, -(2**63) - 1]
)
NEGATIVE: st.SearchStrategy[int] = st.integers(-(2**33), -1)
NO_BYTES: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", "state", 0, 1.5, [], [1, 2], {}, object(), memoryview(b"123")]
)


@dataclass(frozen=True)
class Damage:
    """Damage to good bytes: cut short, lengthened, parts exchanged, or a few bytes changed."""

    kind: str
    place: float
    """From 0 to 1, of the bytes."""
    values: bytes

    def to(self, good: bytes) -> bytes:
        """Returns what becomes of them."""
        at = int(self.place * max(len(good) - 1, 0))
        if self.kind == "bytes":
            return good[:at] + self.values[: len(good) - at] + good[at + len(self.values) :]
        if self.kind == "bits":
            return good[:at] + bytes([good[at] ^ self.values[0] | 1]) + good[at + 1 :]
        return {
            "cut": good[:at],
            "more": good + self.values,
            "swapped": good[at:] + good[:at],
            "empty": b"",
        }[self.kind]


DAMAGE: st.SearchStrategy[Damage] = st.builds(
    Damage,
    st.sampled_from(["bytes", "bytes", "bytes", "bits", "bits", "cut", "more", "swapped", "empty"]),
    st.floats(0, 1),
    st.binary(min_size=1, max_size=8),
)


# --- Ctrl-C and threads ---------------------------------------------------------------------------


@contextmanager
def _alarm(after: float) -> Iterator[list[bool]]:
    """Raises `KeyboardInterrupt` once, in the main thread, after so many seconds of work."""
    armed, fired = [True], [False]

    def receive(number: int, frame: FrameType | None) -> None:
        if armed[0]:
            armed[0] = False
            fired[0] = True
            raise KeyboardInterrupt

    # pytest-timeout has SIGALRM.
    previous = signal.signal(signal.SIGVTALRM, receive)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, max(after, 1e-6))
        yield fired
    finally:
        armed[0] = False
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        signal.signal(signal.SIGVTALRM, previous)


def interrupted(after: float, function: Callable[..., Any], *args: Any, also: Any = ()) -> bool:
    """Calls `function` and interrupts it as Ctrl-C does, after so many seconds of work, to the next
    tick of the system's clock, if it takes as long. Returns whether it was."""
    try:
        with _alarm(after):
            call(function, *args, also=also)
    except KeyboardInterrupt:
        COUNTS["interrupts"] += 1
        return True
    return False


OUT_OF_REACH = ("exclusive.py",)
"""Files of which a line may stand where Python itself would not answer Ctrl-C any more: a lock's
release, at the end of a call."""


def interrupted_at(line: int, function: Callable[..., Any], *args: Any, also: Any = ()) -> bool:
    """Calls `function` and raises `KeyboardInterrupt` before the given line, from 1, of all that
    run in the package meanwhile, as Ctrl-C may. Returns whether it ran as many."""
    package, left = str(Path(warpzone.__file__).parent), [line]

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(package) or name.endswith(OUT_OF_REACH):
            return None
        if event == "line":
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    try:
        sys.settrace(trace)
        call(function, *args, also=also)
    except KeyboardInterrupt:
        COUNTS["interrupts"] += 1
        return True
    finally:
        sys.settrace(before)
    return False


def together(works: Sequence[Sequence[Callable[[], Any]]], also: Any = ()) -> list[list[Answer]]:
    """Runs each list of calls in a thread of its own, all at once; returns their answers.

    Raises:
        AssertionError: what `call` does not let out, or threads that do not end.
    """
    found: list[list[Answer]] = [[] for _ in works]
    wrong: list[BaseException] = []
    begin = threading.Barrier(len(works))

    def run(number: int) -> None:
        try:
            begin.wait(PATIENCE)
            for work in works[number]:
                found[number].append(call(work, also=also))
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "a thread hangs"
    if wrong:
        raise wrong[0]
    return found


def in_a_fork(work: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Returns whether `work` returned True in a forked process.

    Raises:
        AssertionError: it ended by a signal, by another error, or not at all.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 7
        with suppress(BaseException):
            try:
                status = 0 if work() else 1
            except BaseException as error:
                os.write(writing, repr(error)[:900].encode())
        os._exit(status)
    os.close(writing)
    ended = threading.Event()

    def end() -> None:
        if not ended.wait(seconds):
            os.kill(child, signal.SIGKILL)

    watchdog = threading.Thread(target=end, daemon=True)
    watchdog.start()
    try:
        _, status = os.waitpid(child, 0)
    finally:
        ended.set()
        watchdog.join()
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 1), f"the forked process ended with {code}: {said or 'killed or hanging'}"
    return code == 0


def _write_counts() -> None:
    if (path := os.environ.get(COUNTS_FILE)) is not None and COUNTS:
        with open(path, "a", encoding="utf-8") as file:
            names = ("cases", "calls", "refused", "interrupts")
            file.write(" ".join(str(COUNTS[name]) for name in names) + "\n")


atexit.register(_write_counts)
