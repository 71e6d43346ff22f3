"""A fleet: the trials of a plan, trained side by side on a Ray cluster.

Ray Tune starts and ends trials, as far as there are CPUs, begins those anew whose machine is lost,
and decides in a population who goes on from whom. What must outlive all of that is in the directory
of the fleet: the plan, and a run directory for each trial. A fleet that goes on is a new experiment
for Tune, with the trials that are not finished, so that nothing of what Tune keeps is read again.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import filelock

from warpzone.errors import ConfigError, FileError, RunError, WarpzoneError
from warpzone.files import make_directory
from warpzone.fleet import inherit
from warpzone.fleet.cluster import RESTARTS, session
from warpzone.fleet.plan import FILE, FleetPlan, explored_now, is_finished, state_of
from warpzone.training.interrupt import Interrupt, Interrupted
from warpzone.training.run_settings import LOCK, require_utf8
from warpzone.training.time_slice import GRACE

SCRATCH = ".tune"
"""Where Ray Tune keeps checkpoints that members of a population exchange; removed at the end."""
KEPT = 4
"""Checkpoints of a trial that others may go on from."""


@dataclass(frozen=True)
class FleetOutcome:
    """What became of a fleet.

    Attributes:
        trials: a row for each, see `warpzone.fleet.plan.state_of`.
        interrupted: an end was requested.
        seconds: spent by this call.
    """

    trials: list[dict[str, Any]]
    interrupted: bool
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Returns its attributes."""
        return {
            "trials": self.trials,
            "interrupted": self.interrupted,
            "seconds": round(self.seconds),
        }


def begin(plan: FleetPlan, directory: Path) -> None:
    """Writes a new plan to `directory`, which is made.

    Raises:
        ConfigError: it holds a fleet or something else already, or cannot be written.
        FileError: the disk is full.
    """
    require_utf8(directory)
    try:
        make_directory(directory)
        used = [entry.name for entry in directory.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise ConfigError(
            f"cannot write runs to {str(directory)!r}: {error.strerror or error}; choose another"
            " --out"
        ) from error
    if FILE in used:
        raise ConfigError(
            f"{str(directory)!r} holds a fleet already. Go on with it: warpzone fleet --resume"
            f" --out {directory}; or choose another --out"
        )
    if used:
        raise ConfigError(
            f"{str(directory)!r} already holds something; choose another --out for a fleet"
        )
    plan.save(directory)


def run(
    directory: Path,
    *,
    address: str | None = None,
    jobs: int | None = None,
    rom: Path | None = None,
    log: Callable[[str], None] = print,
) -> FleetOutcome:
    """Trains what is not finished of the fleet in `directory`.

    Args:
        directory: see `begin`; on a cluster all of its machines must see it under this name.
        address: of a Ray cluster, see `warpzone.fleet.cluster.session`.
        jobs: CPUs to use on this machine; None: all, or those of the cluster.
        rom: the ROM, under this name on all machines, or None to look for it there.
        log: receives lines on what happens.

    Raises:
        CheckpointError: there is no fleet, or `fleet.json` is damaged.
        MissingPackageError: Ray is not installed.
        RunError: another process runs this fleet, or there is no cluster.
        ConfigError: `jobs` are fewer than a trial needs, or given for a cluster.
    """
    directory = directory.absolute()
    plan = FleetPlan.load(directory)
    if jobs is not None and jobs < plan.threads:
        raise ConfigError(
            f"a trial of this fleet has {plan.threads} threads, and {jobs} jobs are fewer; give"
            f" --jobs {plan.threads} or more"
        )
    began = time.monotonic()
    with _alone(directory):
        waiting = []
        for trial in plan.trials:
            trial.failed = ""
            try:
                explored = explored_now(plan, trial, directory)
                plan.config(trial, explored)
                if not is_finished(plan, trial, directory):
                    waiting.append(trial.name)
            except WarpzoneError as error:
                trial.failed = str(error)
                log(f"{trial.name}: failed: {_first_line(trial.failed)}")
        plan.save(directory)
        done = len(plan.trials) - len(waiting)
        log(f"{len(waiting)} trials to train" + (f", {done} finished or failed" if done else ""))
        interrupted = False
        if waiting:
            with session(address, jobs) as ray, Interrupt() as interrupt:
                try:
                    _train(ray, plan, directory, waiting, rom, log, interrupt)
                    interrupt.check()
                except Interrupted:
                    interrupted = True
                _await_end(directory, waiting)
    if interrupted:
        log(
            "interrupted; the runs have saved themselves. Go on: warpzone fleet --resume --out"
            f" {directory}"
        )
    rows = [state_of(plan, trial, directory) for trial in plan.trials]
    return FleetOutcome(rows, interrupted, time.monotonic() - began)


def _train(
    ray: Any,
    plan: FleetPlan,
    directory: Path,
    names: list[str],
    rom: Path | None,
    log: Callable[[str], None],
    interrupt: Interrupt,
) -> None:
    from ray import tune

    from warpzone.fleet.populations import Populations
    from warpzone.fleet.reports import Reports, StopAll
    from warpzone.fleet.trial import FLEET, INHERITED, ROM, TRIAL, Trial

    needed = {"cpu": plan.threads, "gpu": plan.gpus}
    there = ray.cluster_resources()
    for kind, count in needed.items():
        if count > there.get(kind.upper(), 0):
            log(
                f"a trial needs {count:g} {kind.upper()}, and the cluster has"
                f" {there.get(kind.upper(), 0):g} now: waiting for more"
            )
    values = {name: explored_now(plan, plan.trial(name), directory) for name in names}
    space: dict[str, Any] = {
        TRIAL: tune.grid_search(names),
        FLEET: str(directory),
        ROM: None if rom is None else str(rom),
        INHERITED: "",
    }
    for explored in plan.explored:
        space[explored.name] = tune.sample_from(
            partial(_value_of, values=values, name=explored.name)
        )
    shutil.rmtree(directory / SCRATCH, ignore_errors=True)
    reports = Reports(plan, directory, log)
    # What is to be said of a trial that fails is said by the reports, without a traceback.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    tuner = tune.Tuner(
        tune.with_resources(Trial, needed),
        param_space=space,
        tune_config=tune.TuneConfig(
            scheduler=Populations(plan, log) if plan.explored else None,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=tune.RunConfig(
            name=SCRATCH,
            storage_path=str(directory),
            failure_config=tune.FailureConfig(max_failures=RESTARTS),
            checkpoint_config=tune.CheckpointConfig(
                num_to_keep=KEPT if plan.explored else None,
                checkpoint_at_end=False,
            ),
            stop=StopAll(interrupt),
            callbacks=[reports],
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    finally:
        reports.finish()
        shutil.rmtree(directory / SCRATCH, ignore_errors=True)


def _name(trial: Any) -> str:
    from warpzone.fleet.trial import TRIAL

    return str(trial.config[TRIAL])


def _value_of(spec: Any, *, values: dict[str, dict[str, Any]], name: str) -> Any:
    from warpzone.fleet.trial import TRIAL

    return values[spec["config"][TRIAL]][name]


def _await_end(directory: Path, names: list[str]) -> None:
    """Waits until the trainings that were ended have saved themselves, `GRACE` at most."""
    until = time.monotonic() + GRACE
    for name in names:
        if (directory / name / LOCK).exists():
            with (
                suppress(RunError, OSError),
                inherit.alone_in(directory / name, max(0.0, until - time.monotonic())),
            ):
                pass


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Raises: RunError: another process runs the fleet in `directory`."""
    lock = filelock.FileLock(directory / LOCK)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise RunError(
            f"another process runs the fleet in {str(directory)!r}. Wait for it, or end it with"
            " Ctrl-C there"
        ) from None
    except OSError as error:
        raise FileError(
            f"cannot write to {str(directory)!r}: {error.strerror or error}", error.errno
        ) from error
    try:
        yield
    finally:
        lock.release()


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else ""
