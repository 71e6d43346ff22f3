"""Attacks a dashboard for as long as you like, with other damage each time.

    python -m scripts.attack_dashboard --minutes 60
    python -m scripts.attack_dashboard --seed 1234 --rounds 1      # a round once more

A dashboard of its own, over runs that are hostile too, is sent damaged requests and frames
(`tests/support/attacks.py`), clients that do not read, pings, half requests, more connections than
it takes, and questions about runs that change and vanish meanwhile, and a polite client asks
beside them. After each round the dashboard must be there, have answered the polite one, have
written nothing to its terminal, and not have grown: memory and descriptors are printed, and their
slopes at the end.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
from tests.support.attacks import (
    PING,
    TEXT,
    Dashboard,
    dashboard,
    frame,
    get,
    mutations,
    open_files,
    send_many,
    websocket,
)
from tests.support.hostile import hostile_runs
from tests.support.run_directories import make_run

DAMAGED = 400
"""Requests and connections with frames of a round."""
MOST_GROWTH = 64 << 20
"""Bytes that the dashboard may take more than after the first round."""
LIMITS = {"REQUEST_TIMEOUT": 2.0, "READ_TIMEOUT": 2.0, "CLOSING": 1.0}
"""Less patience than it has, so that a round is short."""


class Polite:
    """Asks as a page does, all the time; counts what was answered."""

    def __init__(self, target: Dashboard) -> None:
        self.answered = self.refused = 0
        self._target = target
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def _ask(self) -> None:
        while not self._over.wait(0.05):
            try:
                with urlopen(f"{self._target.url}/api/runs", timeout=60) as answer:
                    self.answered += b'"good"' in answer.read()
            except (URLError, OSError):  # no connection was free
                self.refused += 1

    def close(self) -> None:
        self._over.set()
        self._thread.join()


def damaged(target: Dashboard, chance: random.Random) -> int:
    """Sends damaged requests and frames; how many."""
    for _ in range(DAMAGED // 100):
        send_many(target, list(mutations(chance.randrange(2**32), 100)))
    return DAMAGED


def unread(target: Dashboard, chance: random.Random) -> int:
    """Asks for much and reads nothing of it."""
    question = frame(TEXT, b'{"ask": 1, "open": "%s"}' % (b"x" * 190))
    with ExitStack() as held:
        for _ in range(20):
            if chance.random() < 0.5:
                connection = held.enter_context(websocket(target, receive_buffer=4096))
                sent = chance.choice((question, frame(PING, b"x" * 125))) * 5000
            else:
                connection = held.enter_context(target.connect(receive_buffer=4096))
                path = chance.choice(
                    (b"/static/plotly.min.js", b"/api/runs", b"/api/curves?run=good")
                )
                sent = get(path).removesuffix(b"connection: close\r\n\r\n") + b"\r\n"
                sent *= chance.choice((1, 2000))
            connection.setblocking(False)
            for at in range(0, len(sent), 1 << 16):
                with suppress(OSError):
                    connection.send(sent[at : at + (1 << 16)])
        time.sleep(LIMITS["READ_TIMEOUT"] + 2)
    return 20


def half(target: Dashboard, chance: random.Random) -> int:
    """Begins requests and sends a byte of them now and then."""
    whole = get(b"/api/runs", b"a: " + b"b" * 200 + b"\r\n")
    with ExitStack() as held:
        opened = [held.enter_context(target.connect()) for _ in range(100)]
        for at in range(0, 40, 2):
            for connection in opened:
                with suppress(OSError):
                    connection.sendall(whole[at : at + 2])
            time.sleep(0.1 * chance.random())
    return len(opened)


def many(target: Dashboard, chance: random.Random) -> int:
    """Opens more connections than there is room for."""
    with ExitStack() as held:
        count = chance.randrange(300, 500)
        for _ in range(count):
            with suppress(OSError):
                held.enter_context(target.connect())
        time.sleep(0.5)
    return count


def changing(target: Dashboard, chance: random.Random, folder: Path) -> int:
    """Asks about runs that are made and removed meanwhile."""
    count = 0
    for number in range(10):
        run = folder / f"changing-{number}"
        make_run(run, updates=chance.randrange(1, 500))
        for path in ("curves", "config", "compare", "episodes"):
            with suppress(OSError), urlopen(f"{target.url}/api/{path}?run={run.name}", timeout=60):
                count += 1
            if chance.random() < 0.3:
                shutil.rmtree(run, ignore_errors=True)
        shutil.rmtree(run, ignore_errors=True)
    return count


def attack(minutes: float, rounds: int | None, seed: int) -> int:
    """Returns the exit status; prints a line for each round."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "runs"
        make_run(folder / "good")
        hostile_runs(folder, episodes=False)
        with dashboard(folder, Path(place) / "stderr", **LIMITS) as target:
            return _attack(target, folder, minutes, rounds, seed)


def _attack(target: Dashboard, folder: Path, minutes: float, rounds: int | None, seed: int) -> int:
    until = time.monotonic() + 60 * minutes
    curve: list[tuple[float, int, int]] = []
    total = 0
    number = 0
    while time.monotonic() < until if rounds is None else number < rounds:
        chance = random.Random(seed + number)
        polite = Polite(target)
        sent = 0
        for act in (damaged, unread, half, many):
            sent += act(target, chance)
        sent += changing(target, chance, folder)
        deadline = time.monotonic() + 30
        while polite.answered == 0 and time.monotonic() < deadline:
            time.sleep(0.1)
        polite.close()
        time.sleep(LIMITS["REQUEST_TIMEOUT"] + LIMITS["CLOSING"] + 1)
        total += sent
        number += 1
        memory, files = target.process.memory_info().rss, open_files(target.process)
        curve.append((time.monotonic(), memory, files))
        print(
            f"round {number}, seed {seed + number - 1}: {sent} attacks, {polite.answered} polite"
            f" answers ({polite.refused} without a connection), {memory / 2**20:.1f} MB,"
            f" {files} descriptors",
            flush=True,
        )
        problem = _problem(target, polite, curve)
        if problem:
            print(f"{problem}\nonce more: --seed {seed + number - 1} --rounds 1", file=sys.stderr)
            return 1
    print(f"{total:,} attacks in {number} rounds, nothing found{_slopes(curve)}")
    return 0


def _problem(target: Dashboard, polite: Polite, curve: list[tuple[float, int, int]]) -> str | None:
    if not polite.answered:
        return "nobody else was answered"
    _, memory, files = curve[0]
    if curve[-1][1] > memory + MOST_GROWTH:
        return "it has grown"
    if curve[-1][2] > files + 8:
        return "it holds connections that are gone"
    try:
        target.check()
    except (AssertionError, OSError) as error:
        return f"it is not well: {error}\n{target.errors.read_text()[-4000:]}"
    return None


def _slopes(curve: list[tuple[float, int, int]]) -> str:
    if len(curve) < 3:
        return ""
    at, memory, files = np.array(curve[1:], float).T
    hours = (at - at[0]) / 3600
    grows = np.polyfit(hours, memory / 2**20, 1)[0]
    return f"; memory {grows:+.1f} MB an hour, descriptors {np.polyfit(hours, files, 1)[0]:+.1f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long, in whole rounds")
    parser.add_argument("--rounds", type=int, help="so many instead")
    parser.add_argument(
        "--seed", type=int, default=None, help="of the first round; drawn if not given"
    )
    given = parser.parse_args()
    first = random.randrange(2**31) if given.seed is None else given.seed
    sys.exit(attack(given.minutes, given.rounds, first))
