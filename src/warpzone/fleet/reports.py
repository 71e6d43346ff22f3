"""What Ray Tune tells of trials while they train: lines for people, and what is kept of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.stopper import Stopper

from warpzone.errors import FileError
from warpzone.fleet.cluster import RESTARTS
from warpzone.fleet.plan import FleetPlan, state_of
from warpzone.fleet.populations import name_of
from warpzone.fleet.trial import FAILED
from warpzone.training.interrupt import Interrupt

TOLD_EVERY = 60.0
"""Seconds between two lines about all trials."""


# Ray is not installed everywhere, so mypy looks at it nowhere.
class StopAll(Stopper):  # type: ignore[misc]
    """Ends all trials once an end is requested."""

    def __init__(self, interrupt: Interrupt) -> None:
        self._interrupt: Interrupt | None = interrupt

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._interrupt is not None and self._interrupt.requested

    def __getstate__(self) -> dict[str, Any]:
        # Tune writes down what it was given; signal handlers are of this process alone.
        return {"_interrupt": None}


# As above.
class Reports(tune.Callback):  # type: ignore[misc]
    """Tells of ends and failures, and notes failures in `fleet.json`.

    Args:
        plan: the fleet.
        directory: of the fleet.
        log: receives lines.
    """

    def __init__(self, plan: FleetPlan, directory: Path, log: Callable[[str], None]) -> None:
        self._plan, self._directory, self._log = plan, directory, log
        self._told_at = time.monotonic()
        self._unsaved = False

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if result[FAILED]:
            self._failed(name_of(trial), str(result[FAILED]))
        if time.monotonic() >= self._told_at + TOLD_EVERY:
            self._told_at = time.monotonic()
            self._save()
            counts: dict[str, int] = {}
            for each in trials:
                counts[each.status] = counts.get(each.status, 0) + 1
            self._log(", ".join(f"{count} {state.lower()}" for state, count in counts.items()))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        planned = self._plan.trial(name_of(trial))
        if planned.failed:
            return
        told = state_of(self._plan, planned, self._directory)
        rate = told["best_clear_rate"]
        measured = "not measured" if rate is None else f"best {rate:.0%}"
        self._log(f"{planned.name}: {told['state']}, {told['steps']:,} steps, {measured}")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        last = str(trial.error_file and _last_line(Path(trial.error_file)))
        self._failed(
            name_of(trial),
            f"its worker was lost {RESTARTS + 1} times; the last time: {last}",
        )

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._log(f"{name_of(trial)}: its worker was lost; begun anew from its checkpoint")

    def finish(self) -> None:
        """Writes what could not be written before."""
        self._save()

    def _failed(self, name: str, reason: str) -> None:
        self._plan.trial(name).failed = reason
        self._log(f"{name}: failed: {reason.splitlines()[0] if reason else ''}")
        self._unsaved = True
        self._save()

    def _save(self) -> None:
        if not self._unsaved:
            return
        try:
            self._plan.save(self._directory)
            self._unsaved = False
        except FileError as error:  # the other trials go on; it is tried again
            self._log(str(error))


def _last_line(file: Path) -> str:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return "nothing is known"
    return lines[-1] if lines else "nothing is known"
