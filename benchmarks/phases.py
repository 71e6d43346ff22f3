"""Where the time of a training goes: a clock that runs in one phase at a time."""

from __future__ import annotations

import concurrent.futures
import functools
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch

from warpzone.ppo import losses, rollout, update
from warpzone.ppo.policy import Policy
from warpzone.training import learner as training
from warpzone.training.learner import Learner
from warpzone.training.native_update import NativePolicy, NativeUpdater

PHASES = {
    "play": "games run, or are waited for",
    "infer": "the network decides, actions are drawn",
    "store": "observations and outcomes are put into the rollout",
    "targets": "advantages and value targets are estimated",
    "gather": "the samples of a minibatch are put beside each other",
    "forward": "the network and the losses",
    "backward": "gradients, and their sums over the threads",
    "optimise": "gradients are shortened, Adam",
    "wait": "a thread waits for another",
    "python": "all else: the loops in Python, statistics of episodes",
}


NATIVE = "native"
"""Of an update by native code, which tells by itself what it did."""
OF_NATIVE = {
    "gather": ("gather",),
    "forward": ("forward", "losses"),
    "backward": ("backward", "gradients"),
    "optimise": ("optimise",),
}
"""Our phases, and what native code calls them."""


class Clock:
    """Adds up the seconds of one thread by phase: those of a call within a call count for the
    inner one alone, so that all phases together are the time that passed."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._thread = threading.get_ident()
        self._phases = ["python"]
        self._since = time.perf_counter()

    def enter(self, phase: str) -> None:
        """Begins a phase within the current one."""
        self._add()
        self._phases.append(phase)

    def leave(self) -> None:
        """Goes back to the phase before."""
        self._add()
        self._phases.pop()

    def restart(self) -> None:
        """Forgets all seconds up to now."""
        self._add()
        self.seconds.clear()

    def stop(self) -> dict[str, float]:
        """Returns the seconds up to now by phase."""
        self._add()
        return dict(self.seconds)

    def timed(self, function: Callable[..., Any], phase: str, playing: str | None = None) -> Any:
        """Returns `function` as a function whose calls are a phase; calls of other threads are not
        looked at. `playing`: the phase where no gradients are wanted."""

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != self._thread:
                return function(*args, **kwargs)
            self.enter(playing if playing is not None and not torch.is_grad_enabled() else phase)
            try:
                return function(*args, **kwargs)
            finally:
                self.leave()

        return call

    def _add(self) -> None:
        now = time.perf_counter()
        self.seconds[self._phases[-1]] += now - self._since
        self._since = now


@contextmanager
def watched(learner: Learner) -> Iterator[Clock]:
    """A clock for the updates of `learner` in this thread. Where threads share a phase, this one's
    part takes as long as the others', or `wait` says by how much it does not."""
    clock = Clock()
    places: list[tuple[Any, str, str, str | None]] = [
        (learner.env, "send", "play", None),
        (learner.env, "recv", "play", None),
        (Policy, "forward", "forward", "infer"),
        (losses, "sample", "infer", None),
        (rollout, "_store_outcome", "store", None),
        (torch.Tensor, "__setitem__", "store", None),
        (training, "batch_of", "targets", None),
        (update.Batch, "rows", "gather", None),
        (update, "losses", "forward", None),
        (torch.autograd, "grad", "backward", None),
        (update.Updater, "compute_gradients", "backward", None),
        (NativePolicy, "__call__", "infer", None),
        (NativeUpdater, "update", NATIVE, None),
        (concurrent.futures.Future, "result", "wait", None),
        (torch.nn.utils, "clip_grad_norm_", "optimise", None),
        (learner.updater.optimizer, "step", "optimise", None),
    ]
    with ExitStack() as stack:
        for owner, name, phase, playing in places:
            replaced = clock.timed(getattr(owner, name), phase, playing)
            stack.enter_context(mock.patch.object(owner, name, replaced))
        if isinstance(learner.updater, NativeUpdater):
            learner.updater.learner.take_seconds()
        clock.restart()
        yield clock


def seconds_of(learner: Learner, clock: Clock) -> dict[str, float]:
    """Returns the seconds of the updates that `clock` has watched by phase. Those of native code
    are the means of its threads, and what is left of the time that passed is `wait`."""
    seconds = clock.stop()
    if isinstance(learner.updater, NativeUpdater):
        told = learner.updater.learner.take_seconds()
        whole, left = seconds.pop(NATIVE), told["wall"]
        seconds["python"] += whole - told["wall"]
        for phase, names in OF_NATIVE.items():
            share = sum(told[name] for name in names) / learner.threads
            seconds[phase] = seconds.get(phase, 0.0) + share
            left -= share
        seconds["wait"] = seconds.get("wait", 0.0) + left
    return seconds
