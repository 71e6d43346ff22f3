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

from warpzone.ppo import rollout, update
from warpzone.ppo.policy import Policy
from warpzone.smb.vector_env import MarioVectorEnv
from warpzone.training import algorithm
from warpzone.training.frame_stacks import FrameStacks, StoredStacks
from warpzone.training.gpu_rollout import GpuPlayer
from warpzone.training.learner import Learner
from warpzone.training.native_update import NativePolicy, NativeUpdater

PHASES = {
    "play": "games run, or are waited for",
    "infer": "the network decides, actions are drawn",
    "store": "observations and outcomes are put into the rollout, and read to be decided on",
    "targets": "advantages and value targets are estimated",
    "gather": "the samples of a minibatch are put beside each other",
    "forward": "the network and the losses",
    "backward": "gradients, and their sums over the threads",
    "optimise": "gradients are shortened, Adam",
    "wait": "a thread waits for another",
    "python": "all else: the loops in Python, statistics of episodes",
}


PLAY, LEARN = "native play", "native learning"
"""Of native code, which tells by itself what it did."""
OF_NATIVE: dict[str, dict[str, tuple[str, ...]]] = {
    PLAY: {"play": ("step",), "infer": ("decide",), "store": ("store",)},
    LEARN: {
        "gather": ("gather",),
        "forward": ("forward", "losses"),
        "backward": ("backward", "gradients"),
        "optimise": ("optimise",),
    },
}
"""Our phases, and what native code calls them."""
IDLE = "idle"
"""Of helpers, between what they are asked for."""


class _Thread:
    """The seconds of one thread by phase."""

    def __init__(self, phase: str, settle: Callable[[], None]) -> None:
        self.settle = settle
        self.phases = [phase]
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.since = time.perf_counter()

    def add(self) -> None:
        """Adds the time since the last call to the current phase."""
        self.settle()
        now = time.perf_counter()
        self.seconds[self.phases[-1]] += now - self.since
        self.since = now


class Clock:
    """Adds up seconds by phase: those of a call within a call count for the inner one alone, so
    that all phases together are the time that passed in the thread that made the clock. What its
    helpers do meanwhile counts with the mean of them, in place of the wait for them."""

    def __init__(self, settle: Callable[[], None] = lambda: None) -> None:
        """`settle` returns when all that has been begun is done."""
        self.settle = settle
        self._main = _Thread("python", settle)
        self._owner = threading.get_ident()
        self._helpers: dict[int, _Thread] = {}

    def restart(self) -> None:
        """Forgets all seconds up to now, while no helper works."""
        self._main.add()
        self._main.seconds.clear()
        self._helpers.clear()

    def stop(self) -> dict[str, float]:
        """Returns the seconds up to now by phase, while no helper works."""
        self._main.add()
        seconds = dict(self._main.seconds)
        for helper in self._helpers.values():
            for phase, spent in helper.seconds.items():
                if phase != IDLE:
                    share = spent / len(self._helpers)
                    seconds[phase] = seconds.get(phase, 0.0) + share
                    seconds["wait"] = seconds.get("wait", 0.0) - share
        return seconds

    def timed(self, function: Callable[..., Any], phase: str, playing: str | None = None) -> Any:
        """Returns `function` as a function whose calls are a phase. `playing`: the phase where no
        gradients are wanted."""

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            thread = self._thread()
            thread.add()
            at = playing if playing is not None and not torch.is_grad_enabled() else phase
            thread.phases.append(at)
            try:
                return function(*args, **kwargs)
            finally:
                thread.add()
                thread.phases.pop()

        return call

    def _thread(self) -> _Thread:
        if threading.get_ident() == self._owner:
            return self._main
        return self._helpers.setdefault(threading.get_ident(), _Thread(IDLE, self.settle))


@contextmanager
def watched(learner: Learner, settle: Callable[[], None] = lambda: None) -> Iterator[Clock]:
    """A clock for the updates of `learner` in this thread. `settle` returns when a device has done
    what it was told; each phase begins and ends with it."""
    clock = Clock(settle)
    places: list[tuple[Any, str, str, str | None]] = [
        (learner.env, "send", "play", None),
        (learner.env, "recv", "play", None),
        (MarioVectorEnv, "play", PLAY, None),
        (Policy, "forward", "forward", "infer"),
        (rollout, "store_outcome", "store", None),
        (torch.Tensor, "__setitem__", "store", None),
        (torch.Tensor, "copy_", "backward", "store"),
        (StoredStacks, "__setitem__", "store", None),
        (FrameStacks, "__getitem__", "gather", "store"),
        (GpuPlayer, "_note", "store", None),
        (torch.cuda.Event, "synchronize", "wait", None),
        (algorithm, "batch_of", "targets", None),
        (update.Batch, "rows", "gather", None),
        (update, "losses", "forward", None),
        (torch.autograd, "grad", "backward", None),
        (update.Updater, "compute_gradients", "backward", None),
        (NativePolicy, "__call__", "infer", None),
        (NativeUpdater, "update", LEARN, None),
        (concurrent.futures.Future, "result", "wait", None),
        (torch.nn.utils, "clip_grad_norm_", "optimise", None),
        (learner.updater.optimizer, "step", "optimise", None),
    ]
    with ExitStack() as stack:
        for owner, name, phase, playing in places:
            replaced = clock.timed(getattr(owner, name), phase, playing)
            stack.enter_context(mock.patch.object(owner, name, replaced))
        _told(learner)
        clock.restart()
        yield clock


def seconds_of(learner: Learner, clock: Clock) -> dict[str, float]:
    """Returns the seconds of the updates that `clock` has watched by phase. Those of native code
    are the means of its threads, and what is left of the time that passed is `wait`."""
    seconds = clock.stop()
    for native, told in _told(learner).items():
        whole, left = seconds.pop(native, 0.0), told["wall"]
        seconds["python"] += whole - told["wall"]
        for phase, names in OF_NATIVE[native].items():
            share = sum(told[name] for name in names) / learner.threads
            seconds[phase] = seconds.get(phase, 0.0) + share
            left -= share
        seconds["wait"] = seconds.get("wait", 0.0) + left
    return seconds


def _told(learner: Learner) -> dict[str, dict[str, float]]:
    """Returns what native code has spent its time on since the last call."""
    told = {}
    if learner.native_play is not None:
        told[PLAY] = learner.native_play.env.take_play_seconds()
    if isinstance(learner.updater, NativeUpdater):
        told[LEARN] = learner.updater.learner.take_seconds()
    return told
