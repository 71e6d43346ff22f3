"""A trial of a fleet: an actor that keeps a training running in its run directory.

The training is a process of its own, the same as `warpzone train`, so that it is not lost with the
actor: when that is gone, the system asks the process to save itself. Whatever goes wrong with the
training is told as a result; only what goes wrong with Ray or its machine is an error of the trial.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

from ray import tune

from warpzone.errors import CheckpointError, WarpzoneError
from warpzone.fleet import inherit
from warpzone.fleet.plan import FILE, FleetPlan
from warpzone.training.config import TrainConfig
from warpzone.training.run_settings import read_status
from warpzone.training.sweep import ATTEMPTS, PAUSE, train_command
from warpzone.training.time_slice import GRACE, TimeSlice

PATIENCE = 2.0
"""Seconds after which a step returns without news, so that Ray can end it."""
POLL = 0.1
WRONG = 2
"""Status of a process that nothing is gained by starting again: its settings do not fit."""

FLEET, TRIAL, ROM, INHERITED = "fleet", "trial", "rom", "inherited"
"""In the configuration that Ray hands on: the directory of the fleet; the name of the trial, or of
the one that it goes on from; the ROM; which time it goes on from another, "": none yet."""
STEPS, SCORE, FAILED = "steps", "score", "failed"
"""In results: agent steps, by which members are compared; how good they are; why it failed."""


# Ray is not installed everywhere, so mypy looks at it nowhere.
class Trial(tune.Trainable):  # type: ignore[misc]
    """Trains in DIR/<name of the trial>; steps are polls."""

    def setup(self, config: dict[str, Any]) -> None:
        """Reads what is to be trained; the process begins with the first step."""
        self._problem = ""
        self._process: TimeSlice | None = None
        self._failures, self._began_at = 0, 0
        self._told = (-1, -1)
        directory = Path(config[FLEET])
        self.run = directory / self.trial_name
        try:
            self.plan = FleetPlan.load(directory)
            self.trial = self.plan.trial(self.trial_name)
            names = [explored.name for explored in self.plan.explored]
            self.explored = {name: config[name] for name in names}
            self.settings: TrainConfig = self.plan.config(self.trial, self.explored)
        except (CheckpointError, KeyError) as error:
            self._problem = (
                f"{directory / FILE} cannot be read on {socket.gethostname()}: {error}. All"
                " machines of the cluster must see the same directory there"
            )
        except WarpzoneError as error:
            self._problem = str(error)

    def step(self) -> dict[str, Any]:
        """Waits for news of the training, at most `PATIENCE`."""
        until = time.monotonic() + PATIENCE
        try:
            while not self._problem and time.monotonic() < until:
                if self._process is None:
                    self._start()
                elif self._process.ended:
                    if self._process.code == 0:
                        return self._result(done=True)
                    self._failed(self._process)
                elif self._progress() != self._told:
                    break
                time.sleep(POLL)
        except (OSError, WarpzoneError) as error:
            self._problem = str(error)
        return self._result(done=bool(self._problem))

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Copies the newest checkpoint of the training, if there is one, for others to go on."""
        try:
            inherit.hand_over(self.run, Path(checkpoint_dir))
        except (OSError, WarpzoneError):  # none yet, or a full disk: who wants it stays as it is
            return

    def load_checkpoint(self, checkpoint: str) -> None:
        """Goes on from another trial's, unless that has been done or it is its own."""
        identity = self.config.get(INHERITED, "")
        origin = Path(checkpoint) / inherit.ORIGIN
        if self._problem or not identity or not origin.is_file():
            return
        try:
            with inherit.alone_in(self.run, GRACE):
                if not inherit.has_inherited(self.run, self.settings, identity):
                    inherit.take_over(Path(checkpoint), self.run, self.settings, identity)
        except (OSError, WarpzoneError) as error:
            self._problem = f"it could not go on from another trial: {error}"

    def cleanup(self) -> None:
        """Lets the training save itself, and waits for that."""
        if self._process is not None:
            self._process.ask_to_end()
            self._process.wait()

    def _start(self) -> None:
        every = self.plan.updates(self.settings) if self.plan.explored else None
        settings = self.plan.overrides(self.trial, self.explored, every=every)
        rom = self.config.get(ROM)
        with inherit.alone_in(self.run, GRACE):  # one that was cut off may still be saving
            pass
        self._began_at = inherit.newest_step(self.run)
        line = train_command(
            self.trial.levels, self.run, self.plan.preset, self.settings.total_steps,
            self.plan.threads, settings, None if rom is None else Path(rom),
        )  # fmt: skip
        self._process = TimeSlice(line, self.run.with_name(f"{self.run.name}.log"))

    def _failed(self, process: TimeSlice) -> None:
        """Decides whether the training is begun once more."""
        if inherit.newest_step(self.run) > self._began_at:
            self._failures = 0
        self._failures += 1
        reason = process.last_line()
        if process.code < 0:
            reason = f"its process was ended by signal {-process.code}; it last said: {reason}"
        if process.code == WRONG or self._failures >= ATTEMPTS:
            self._problem = reason
            return
        time.sleep(PAUSE)
        self._process = None

    def _progress(self) -> tuple[int, int]:
        """Returns the steps up to which there are metrics, and those that are saved."""
        line = inherit.last_line(self.run / "metrics.jsonl")
        return int(line.get("step", 0)), inherit.newest_step(self.run)

    def _result(self, *, done: bool) -> dict[str, Any]:
        trained, saved = self._told = self._progress()
        steps = saved if self.plan_explores else trained
        line = inherit.last_line(self.run / "metrics.jsonl", steps)
        return {
            STEPS: steps,
            SCORE: score(line),
            "clear_rate": float(line.get("rollout/clear_rate", 0.0)),
            "best_clear_rate": read_status(self.run).get("best_clear_rate"),
            FAILED: self._problem,
            "done": done,
        }

    @property
    def plan_explores(self) -> bool:
        """Returns whether others may go on from this trial: then only what is saved counts."""
        return bool(getattr(self, "plan", None) and self.plan.explored)


def score(line: dict[str, Any]) -> float:
    """Returns by what members of a population are compared: the clear rate in training, and of
    members with the same one, the mean return of an episode. Without either: NaN."""
    rate = line.get("rollout/clear_rate")
    if rate is None:
        return float("nan")
    mean = float(line.get("rollout/episode_return", 0.0))
    # Less than one episode of a hundred, whatever the return.
    return float(rate) + 1e-3 * mean / (1.0 + abs(mean))
