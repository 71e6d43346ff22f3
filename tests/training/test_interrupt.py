"""Signals become a request; who works decides when to answer it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from warpzone.training.interrupt import Interrupt, Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_a_request_and_nothing_else(number: signal.Signals) -> None:
    before = [signal.getsignal(n) for n in SIGNALS]
    with Interrupt() as interrupt:
        interrupt.check()
        signal.raise_signal(number)
        assert interrupt.requested
        with pytest.raises(Interrupted):
            interrupt.check()
    assert [signal.getsignal(n) for n in SIGNALS] == before


def test_only_a_second_ctrl_c_ends_at_once() -> None:
    with Interrupt() as interrupt:
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM):
            signal.raise_signal(number)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert interrupt.requested


def test_work_that_can_be_thrown_away_is_ended_at_once() -> None:
    done: list[str] = []

    def work() -> None:
        with interrupt.at_once():
            signal.raise_signal(signal.SIGINT)
            done.append("more")

    with Interrupt() as interrupt:
        for _ in range(2):
            with pytest.raises(Interrupted):
                work()
    assert done == []


def test_after_work_that_can_be_thrown_away_a_signal_waits_again() -> None:
    with Interrupt() as interrupt:
        with interrupt.at_once():
            pass
        signal.raise_signal(signal.SIGINT)
        assert interrupt.requested


def test_what_nohup_ignores_stays_ignored() -> None:
    program = (
        "import signal\n"
        "from warpzone.training.interrupt import Interrupt\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "with Interrupt() as interrupt:\n"
        "    signal.raise_signal(signal.SIGHUP)\n"
        "    print(interrupt.requested)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
