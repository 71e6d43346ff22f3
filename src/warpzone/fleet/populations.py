"""Population-based training by Ray Tune (Jaderberg et al. 2017), a population for each level.

Tune decides who goes on from whom: each time that a member has trained for an interval, it goes on
from one of the best quarter if it is among the worst quarter. Here is only what Tune does not know:
that trials of several levels train side by side, and the bounds of what is explored.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from typing import Any

from ray.tune.experiment import Trial as Member
from ray.tune.schedulers import FIFOScheduler, PopulationBasedTraining

from warpzone.fleet.plan import FleetPlan
from warpzone.fleet.trial import INHERITED, SCORE, STEPS, TRIAL

WAITING = (Member.PENDING, Member.PAUSED)


# Ray is not installed everywhere, so mypy looks at it nowhere.
class Populations(FIFOScheduler):  # type: ignore[misc]
    """Hands each trial on to the scheduler of its population.

    Args:
        plan: the fleet.
        log: receives a line each time that a trial goes on from another.
    """

    def __init__(self, plan: FleetPlan, log: Callable[[str], None]) -> None:
        super().__init__()
        self._log = log
        self._random = random.Random()
        self._explored = plan.explored
        self._steps: dict[str, int] = {}
        self._of: dict[str, PopulationBasedTraining] = {}
        """By name of a trial."""
        populations: dict[str, PopulationBasedTraining] = {}
        for trial in plan.trials:
            if trial.failed:
                continue
            if trial.population not in populations:
                config = plan.config(trial)
                populations[trial.population] = PopulationBasedTraining(
                    time_attr=STEPS,
                    metric=SCORE,
                    mode="max",
                    perturbation_interval=plan.updates(config) * config.batch,
                    custom_explore_fn=self._explore,
                    log_config=False,
                )
            self._of[trial.name] = populations[trial.population]

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        self._of[name_of(trial)].on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        name, before = name_of(trial), trial.config[INHERITED]
        self._steps[name] = result[STEPS]
        decision: str = self._of[name].on_trial_result(tune_controller, trial, result)
        if trial.config[INHERITED] != before:
            other = trial.config[TRIAL]
            # Tune has copied all of the other's settings, with its name.
            trial.config[TRIAL] = name
            told = ", ".join(f"{e.name} {trial.config[e.name]}" for e in self._explored)
            self._log(f"{name}: goes on from {other}, with {told}")
        return decision

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """Returns the trial that has trained least of those that wait; None: there is none."""
        waiting = [t for t in tune_controller.get_trials() if t.status in WAITING]
        return min(waiting, key=lambda trial: self._steps.get(name_of(trial), 0), default=None)

    def debug_string(self) -> str:
        return f"{len(set(map(id, self._of.values())))} populations"

    def _explore(self, config: dict[str, Any]) -> dict[str, Any]:
        changed = {e.name: e.explore(config[e.name], self._random) for e in self._explored}
        return {**config, **changed, INHERITED: uuid.uuid4().hex}


def name_of(trial: Any) -> str:
    """Returns the name of a trial's run directory."""
    return str(trial.custom_trial_name)
