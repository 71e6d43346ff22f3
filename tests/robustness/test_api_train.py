"""The API fuzzer on `train`: a run that is stopped and resumed, beside one that never was stopped.

A small game of a few numbers is learnt (tests/support/toy.py): an update takes milliseconds.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from tests.support.api_fuzz import (
    COUNTS,
    NO_NUMBERS,
    budget,
    call,
    case,
    must,
    refused,
    together,
)

torch = pytest.importorskip("torch")
from tests.support.toy import Corridor, corridors, toy_config  # noqa: E402  # needs torch

import warpzone  # noqa: E402
from warpzone.training import resolve  # noqa: E402
from warpzone.training.agent_file import load_agent  # noqa: E402
from warpzone.training.progress import NoDisplay  # noqa: E402

STEPS = 8 * 16
UPDATES = 5


def small(**changes: Any) -> Any:
    settings = {
        "num_envs": 8,
        "rollout_steps": 16,
        "minibatch_size": 64,
        "total_steps": STEPS * UPDATES,
        "checkpoint_every": 1,
        "eval_every": 2,
        "eval_episodes": 4,
    }
    return toy_config(**{**settings, **changes})


class Stopping(Corridor):
    """Sends this process signals in the middle of a rollout."""

    def __init__(self, *args: Any, after: int, signals: int) -> None:
        super().__init__(*args)
        self.after, self.signals = after, signals

    def recv(self, group: int) -> Any:
        self.after -= 1
        if self.after == 0:
            for _ in range(self.signals):
                signal.raise_signal(signal.SIGINT)
        return super().recv(group)


def weights(folder: Path) -> dict[str, Any]:
    policy, _ = load_agent(folder / "agent.safetensors", torch.device("cpu"))
    return {name: tensor.tolist() for name, tensor in policy.state_dict().items()}


class Trainings(RuleBasedStateMachine):
    """One run directory."""

    whole: dict[int, dict[str, Any]] = {}  # noqa: RUF012  # weights of the run that is not disturbed

    @initialize(seed=st.integers(0, 1))
    def begin(self, seed: int) -> None:
        case()
        self.folder = Path(tempfile.mkdtemp(prefix="fuzz-train-"))
        self.config = small(seed=seed)
        self.seed, self.begun, self.done = seed, False, False
        if seed not in self.whole:
            must(self.train, self.folder / "whole")
            self.whole[seed] = weights(self.folder / "whole")

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def train(self, out: Path, **given: Any) -> Any:
        given.setdefault("make_env", corridors)
        return warpzone.train(given.pop("config", self.config), out, display=NoDisplay(), **given)

    @property
    def out(self) -> Path:
        return self.folder / "run"

    @rule(
        after=st.integers(1, 2 * 16 * UPDATES + 9),
        signals=st.sampled_from([1, 1, 1, 2]),
    )
    def stop(self, after: int, signals: int) -> None:
        """Ctrl-C at some step, in a rollout or in a measurement; a second one ends at once."""

        def stopping(config: Any, games: int, groups: int, seed: int) -> Corridor:
            return Stopping(config, games, groups, seed, after=after, signals=signals)

        ended = False
        try:
            result = must(self.train, self.out, resume=self.begun, make_env=stopping)
            ended = not result.interrupted
        except KeyboardInterrupt:
            COUNTS["interrupts"] += 1
            assert signals == 2
        self.begun = (self.out / "checkpoints").exists() and any(
            (self.out / "checkpoints").iterdir()
        )
        if not self.begun:
            shutil.rmtree(self.out, ignore_errors=True)
        self.done = self.done or ended
        self.check()

    @rule()
    def finish(self) -> None:
        result = must(self.train, self.out, resume=self.begun)
        assert result.steps == STEPS * UPDATES
        self.begun = self.done = True
        self.check()

    def check(self) -> None:
        if self.done:
            assert weights(self.out) == self.whole[self.seed], "not as if it had never stopped"

    @rule(
        field=st.sampled_from(["num_envs", "network", "gamma", "lr", "seed", "rollout_steps"]),
    )
    def go_on_with_others(self, field: str) -> None:
        """Settings that make another training of it are refused, and nothing of the run is lost."""
        if not self.begun or self.done:
            return
        other = {"num_envs": 16, "network": {"hidden": [8]}, "rollout_steps": 32}.get(field)
        if other is not None:
            refused(
                self.train, self.out, resume=True, config=small(seed=self.seed, **{field: other})
            )

    @rule()
    def begin_again(self) -> None:
        if self.begun:
            refused(self.train, self.out)

    @rule(which=st.sampled_from(["file", "missing", "below", "empty"]), resume=st.booleans())
    def elsewhere(self, which: str, resume: bool) -> None:
        place = self.folder / "else"
        if which == "file":
            place.write_text("mine")
            refused(self.train, place, resume=resume)
            assert place.read_text() == "mine"
            place.unlink()
        elif which == "below":
            place.write_text("mine")
            refused(self.train, place / "run", resume=resume)
            place.unlink()
        elif resume:
            refused(self.train, place, resume=True)

    @rule(
        field=st.sampled_from(
            ["num_envs", "rollout_steps", "minibatch_size", "total_steps", "lr", "gamma", "clip",
             "network", "device", "threads", "seed", "eval_episodes", "preset", "nothing", "env"]
        ),
        value=NO_NUMBERS | st.sampled_from([-1, 2**70, "x", -0.5]),
    )  # fmt: skip
    def settings_wrongly(self, field: str, value: Any) -> None:
        call(resolve, **{field: value})

    @rule()
    def two_at_once(self) -> None:
        """Of two that train in one directory, one is refused or waits for nothing that is lost."""
        if self.done:
            return
        out = self.folder / "shared"
        works = [[lambda: self.train(out)], [lambda: self.train(out)]]
        answers = [one for each in together(works) for one in each]
        assert sum(not answer.refused for answer in answers) == 1
        assert weights(out) == self.whole[self.seed]
        shutil.rmtree(out)


Trainings.TestCase.settings = budget(4, 6)
TestTrainings = Trainings.TestCase
