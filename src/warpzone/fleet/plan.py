"""Which trainings a fleet has, and the file that holds it: `fleet.json`.

Levels × seeds × settings give a trial each. What becomes of a trial is in its run directory, beside
`fleet.json`; that file only adds what the run directory cannot know: why the last attempt failed.
Knows no Ray.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from warpzone.errors import CheckpointError, ConfigError
from warpzone.files import read_regular_file, write_atomically
from warpzone.fleet.explored import Explored, parse_explored, parse_values, split_setting
from warpzone.settings import describe, format_override, merge, parse_overrides
from warpzone.smb.levels import LEVELS
from warpzone.training.config import MOST_SEED, TrainConfig
from warpzone.training.presets import lay_over, resolve
from warpzone.training.run_settings import (
    fixed_because,
    lookup,
    read_config,
    read_status,
)

FILE = "fleet.json"
MOST_TRIALS = 10_000
LARGEST = 1 << 26
"""Bytes of `fleet.json`."""
LONGEST_NAME = 120

_UNUSUAL = re.compile(r"[^0-9A-Za-z.+_-]+")


class TrialPlan(BaseModel):
    """A training of a fleet.

    Attributes:
        name: of its run directory.
        levels: that it is trained on, as `warpzone train` takes them.
        seed: of everything random.
        settings: by dotted name, what is otherwise than in other trials.
        population: trials with the same text exchange checkpoints, if settings are explored.
        failed: why the last attempt failed; "": it did not.
    """

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[0-9A-Za-z+_][0-9A-Za-z.+_-]*$", max_length=LONGEST_NAME + 8)
    levels: str
    seed: int = Field(ge=0, le=MOST_SEED)
    settings: dict[str, Any]
    population: str = ""
    failed: str = ""


class FleetPlan(BaseModel):
    """What `fleet.json` holds.

    Attributes:
        format: of the file.
        preset: of every trial.
        settings: of every trial, as `--set` has them.
        threads: CPUs of a trial.
        gpus: of a trial; below 1: several trials share one.
        explored: settings that populations explore; empty: trials know nothing of each other.
        interval: agent steps between two times that a population compares its members.
        trials: in the order in which they begin.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    format: Literal[1] = 1
    preset: str
    settings: list[str] = []
    threads: int = Field(1, ge=1)
    gpus: float = Field(0.0, ge=0.0)
    explored: list[Explored] = []
    interval: int = Field(1_000_000, ge=1)
    trials: list[TrialPlan] = Field(min_length=1, max_length=MOST_TRIALS)

    def trial(self, name: str) -> TrialPlan:
        """Returns the trial of that name. Raises: KeyError: there is none."""
        for trial in self.trials:
            if trial.name == name:
                return trial
        raise KeyError(name)

    def config(self, trial: TrialPlan, explored: dict[str, Any] | None = None) -> TrainConfig:
        """Returns all settings of a trial.

        Args:
            trial: one of `trials`.
            explored: values of explored settings by dotted name; None: those that it begins with.

        Raises:
            ConfigError: they do not fit each other.
        """
        lines = self.overrides(trial, explored, every=None)
        given = merge(
            parse_overrides(lines, TrainConfig),
            {"env": {"levels": dict.fromkeys(trial.levels.split(","), 1.0)}},
        )
        return resolve(self.preset, **given)

    def overrides(
        self, trial: TrialPlan, explored: dict[str, Any] | None, *, every: int | None
    ) -> list[str]:
        """Returns what `--set` is given for a trial.

        Args:
            trial: one of `trials`.
            explored: see `config`.
            every: updates between two checkpoints; None: as the settings say.
        """
        values = trial.settings | (explored or {}) | {"seed": trial.seed}
        if every is not None:
            values["checkpoint_every"] = every
        return [*self.settings, *(format_override(n, value) for n, value in values.items())]

    def updates(self, config: TrainConfig) -> int:
        """Returns the updates of a trial with these settings between two comparisons."""
        return max(1, round(self.interval / config.batch))

    def save(self, directory: Path) -> None:
        """Raises: FileError: `fleet.json` cannot be written."""
        write_atomically(directory / FILE, self.model_dump_json(indent=1).encode())

    @staticmethod
    def load(directory: Path) -> FleetPlan:
        """Raises: CheckpointError: no `fleet.json` there, or a damaged one."""
        file = directory / FILE
        try:
            return FleetPlan.model_validate_json(read_regular_file(file, LARGEST))
        except FileNotFoundError:
            raise CheckpointError(
                f"{str(directory)!r} holds no fleet: there is no {FILE} in it. Name its directory"
                " by --out, or leave out --resume to begin one"
            ) from None
        except (OSError, ValueError) as error:
            what = describe(error) if isinstance(error, ValidationError) else str(error)
            raise CheckpointError(
                f"cannot read {file}: {what}. Put it back from a copy; the runs beside it can also"
                " go on one by one with `warpzone train --resume --out`"
            ) from error


def make_plan(
    levels: Sequence[str],
    *,
    seeds: int = 1,
    first_seed: int = 0,
    together: bool = False,
    preset: str = "tiles",
    steps: int | None = None,
    grid: Sequence[str] = (),
    explored: Sequence[str] = (),
    interval: int = 1_000_000,
    settings: Sequence[str] = (),
    threads: int = 1,
    gpus: float = 0.0,
) -> FleetPlan:
    """Returns a fleet with a trial for each of levels × seeds × values of `grid`.

    Args:
        levels: names, "1-1" to "8-4".
        seeds: so many, from `first_seed` on.
        first_seed: the first of them.
        together: one training for all levels instead of one for each.
        preset: of every trial.
        steps: agent steps of each; None: as the preset has it.
        grid: settings and their values, e.g. "lr=0.001,0.002": all combinations are tried.
        explored: settings that populations explore, e.g. "lr=1e-4..1e-2", see `parse_explored`.
        interval: see `FleetPlan`.
        settings: of every trial, as `--set` has them.
        threads: CPUs of a trial.
        gpus: of a trial.

    Raises:
        ConfigError: an unknown setting or value, one that is given twice, too many trials, or no
            trial whose settings fit each other. A trial whose settings do not, among others whose
            settings do, is noted as failed.
    """
    base = parse_overrides(settings, TrainConfig)
    told = {setting.partition("=")[0].strip().replace("-", "_") for setting in settings}
    values = dict(split_setting("--grid", text) for text in grid)
    if len(values) < len(grid):
        raise ConfigError("a setting is given by --grid twice: list its values with commas")
    combinations = [
        dict(zip(values, chosen, strict=True))
        for chosen in itertools.product(
            *(parse_values("--grid", name, text) for name, text in values.items())
        )
    ]
    whole = lay_over(preset, base)  # beside which each trial has more
    explorations = [parse_explored(text, whole) for text in explored]
    names = [exploration.name for exploration in explorations]
    if len(set(names)) < len(names):
        raise ConfigError("a setting is given by --pbt twice: give one range, or all values in one")
    for name in (*names, *values):
        if name in told:
            raise ConfigError(f"{name} is set by --set for all; leave that out, or the other")
    if explorations and "checkpoint_every" in {*told, *values}:
        raise ConfigError(
            "checkpoint_every is not to be set with --pbt: there is a checkpoint each time that"
            " members are compared. Set --interval instead"
        )
    for name, option in (("seed", "--seeds and --seed"), ("env.levels", "LEVELS")):
        if name in {*told, *values, *names}:
            raise ConfigError(f"{name} is not to be set here: give {option}")
    if steps is not None:
        if "total_steps" in {*told, *values}:
            raise ConfigError("total_steps is given by --steps too; leave one of them out")
        settings = [*settings, f"total_steps={steps}"]
    groups = [",".join(levels)] if together else list(levels)
    count = len(groups) * len(combinations) * seeds
    if count > MOST_TRIALS:
        raise ConfigError(f"these are {count:,} trials; a fleet has {MOST_TRIALS:,} at the most")
    plan = FleetPlan.model_construct(
        format=1, preset=preset, settings=list(settings), threads=threads, gpus=gpus,
        explored=explorations, interval=interval, trials=[],
    )  # fmt: skip
    for played, chosen, seed in itertools.product(
        groups, combinations, range(first_seed, first_seed + seeds)
    ):
        plan.trials.append(_trial(plan, played, chosen, seed))
    if all(trial.failed for trial in plan.trials):
        raise ConfigError(plan.trials[0].failed)
    if explorations:
        sizes = [t.population for t in plan.trials if not t.failed]
        alone = next((name for name in sizes if sizes.count(name) == 1), None)
        if alone is not None:
            raise ConfigError(
                f"the population of {alone} has one member, which nobody can learn from: give"
                " --seeds 2 or more"
            )
    return FleetPlan.model_validate(plan.model_dump())


def _trial(plan: FleetPlan, played: str, chosen: dict[str, Any], seed: int) -> TrialPlan:
    label = played
    if "," in played:
        together = played.split(",")
        label = "all" if len(together) == len(LEVELS) else "+".join(together)
        if len(together) > 4 and label != "all":
            label = f"{len(together)}-levels"
    shown = [f"{name.rpartition('.')[2]}{_short(value)}" for name, value in chosen.items()]
    stem = _UNUSUAL.sub("_", "-".join([label, *shown]))[: LONGEST_NAME - 24]
    name, taken = f"{stem}-seed{seed}", {trial.name for trial in plan.trials}
    number = 2
    while name in taken:
        name = f"{stem}-{number}-seed{seed}"
        number += 1
    fixed = [
        format_override(setting, value)
        for setting, value in chosen.items()
        if fixed_because(setting) is not None
    ]
    trial = TrialPlan(
        name=name,
        levels=played,
        seed=seed,
        settings=dict(chosen),
        population=" ".join([label, *fixed]) if plan.explored else "",
    )
    stream = random.Random(f"{name} {seed}")
    for explored in plan.explored:
        if explored.name not in chosen:
            trial.settings[explored.name] = explored.draw(stream)
    try:
        plan.config(trial)
    except ConfigError as error:
        trial.failed = str(error)
    return trial


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def state_of(plan: FleetPlan, trial: TrialPlan, directory: Path) -> dict[str, Any]:
    """Returns what the run directory of a trial tells, as JSON can hold it.

    `state` is finished, interrupted, running, failed or waiting; `steps` are agent steps;
    `best_clear_rate` is the best measured one, 0 to 1, or None; `settings` are those that are
    otherwise than in other trials, as they are now; `failed` says why, where that is the state.
    """
    path = directory / trial.name
    status = read_status(path)
    step, best = status.get("step"), status.get("best_clear_rate")
    state = status.get("state") if isinstance(status.get("state"), str) else "waiting"
    if trial.failed:
        state = "failed"
    return {
        "trial": trial.name,
        "run": str(path),
        "levels": trial.levels,
        "seed": trial.seed,
        "settings": trial.settings | explored_now(plan, trial, directory),
        "state": state,
        "steps": step if isinstance(step, int) else 0,
        "best_clear_rate": best if isinstance(best, int | float) else None,
        **({"failed": trial.failed} if trial.failed else {}),
    }


def explored_now(plan: FleetPlan, trial: TrialPlan, directory: Path) -> dict[str, Any]:
    """Returns the values of explored settings by dotted name: the run's, or before it began those
    that it begins with."""
    values = {explored.name: trial.settings[explored.name] for explored in plan.explored}
    if plan.explored:
        try:
            settings = read_config(directory / trial.name).model_dump(mode="json")
        except CheckpointError:
            return values
        values = {name: lookup(settings, name) for name in values}
    return values


def is_finished(plan: FleetPlan, trial: TrialPlan, directory: Path) -> bool:
    """Returns whether there is nothing left to train: all steps, or the wanted clear rate."""
    status = read_status(directory / trial.name)
    if status.get("state") != "finished":
        return False
    config = plan.config(trial, explored_now(plan, trial, directory))
    step, best = status.get("step"), status.get("best_clear_rate")
    target = config.target_clear_rate
    enough = isinstance(step, int) and step >= config.total_steps
    return enough or (isinstance(best, int | float) and target is not None and best >= target)
