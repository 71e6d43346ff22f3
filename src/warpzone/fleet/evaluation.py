"""Evaluations by actors on a Ray cluster, a level of an agent each.

What is measured is what `warpzone.agents.evaluate` measures, to the last episode: random numbers
are those of a level, whoever plays it. Agents travel as the bytes of their files, so that only this
machine has to have them; the ROM each machine has itself.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warpzone.errors import AgentError, ConfigError, RunError, WarpzoneError
from warpzone.fleet.cluster import session
from warpzone.training.agent_file import PolicyMode
from warpzone.training.resolve_agent import AgentSource, resolve_agent

if TYPE_CHECKING:
    from warpzone.agents.evaluate import Evaluation

RETRIES = 3
"""Times that a level is measured anew whose actor or machine is lost."""


@dataclass(frozen=True)
class Task:
    """A measurement: of which agent, and on which level."""

    agent: str
    level: str
    policy: PolicyMode


class Evaluator:
    """Loads agents, each once, and measures them; lives in an actor.

    Args:
        rom: the ROM's file, or None to look for it.
        settings: of `warpzone.agents.evaluate.evaluate`.
    """

    def __init__(self, rom: str | None, settings: Mapping[str, Any]) -> None:
        self._rom = None if rom is None else Path(rom)
        self._settings = dict(settings)
        self._agents: dict[str, Any] = {}

    def measure(self, task: Task, agent: bytes) -> tuple[Task, Evaluation | WarpzoneError]:
        """Returns what `task` gives, or what is wrong with it; `agent` is its file."""
        from warpzone.agents.agent import Agent
        from warpzone.agents.evaluate import evaluate

        try:
            if task.agent not in self._agents:
                with tempfile.TemporaryDirectory() as folder:
                    file = Path(folder) / "agent.safetensors"
                    file.write_bytes(agent)
                    self._agents[task.agent] = Agent.load(AgentSource(file))
            found = evaluate(
                self._agents[task.agent],
                [task.level],
                policy=task.policy,
                threads=1,
                rom=self._rom,
                **self._settings,
            )
        except WarpzoneError as error:
            return task, error
        return task, found


def evaluate_on_ray(
    agents: Iterable[str | Path],
    levels: Sequence[str] | None = None,
    *,
    policy: PolicyMode | None = None,
    address: str | None = None,
    jobs: int | None = None,
    rom: Path | None = None,
    log: Callable[[str], None] = lambda text: None,
    **settings: Any,
) -> dict[str, Evaluation]:
    """Measures each of `agents` on each of `levels`, side by side, one CPU each.

    Args:
        agents: as `resolve_agent` takes them: files, run directories, levels, "generalist" ….
        levels: names, "1-1" to "8-4"; None: of each agent the level that it is packaged for, or
            those that it was trained on.
        policy: "sample" or "argmax"; None: what a packaged agent plays best with, or "sample".
        address: of a Ray cluster, see `warpzone.fleet.cluster.session`.
        jobs: CPUs to use on this machine; None: all, or those of the cluster.
        rom: the ROM, under this name on all machines, or None to look for it there.
        log: receives a line for each level that is done.
        settings: `episodes`, `noop_max`, `repeat_action_probability`, `any_phase` and `seed` of
            `warpzone.agents.evaluate.evaluate`.

    Returns:
        By name of an agent, as it was given, what `evaluate` returns for it in one process.

    Raises:
        AgentError: no such agent, or one that does not fit this version's games.
        LevelError, ConfigError: as in `evaluate`.
        MissingPackageError: Ray is not installed.
        RunError: no cluster there, or its machines were lost too often.
    """
    from warpzone.agents.agent import Agent

    files: dict[str, bytes] = {}
    tasks: list[Task] = []
    for given in agents:
        name = str(given)
        if name in files:
            raise ConfigError(f"the agent {name!r} is named twice")
        source = resolve_agent(given)
        agent = Agent.load(source)
        agent.check_plays_levels()
        own = [agent.packaged_for] if agent.packaged_for else list(agent.levels)
        try:
            files[name] = source.file.read_bytes()
        except OSError as error:
            raise AgentError(f"cannot read {source.file}: {error.strerror or error}") from error
        chosen: PolicyMode = policy or agent.policy_mode
        tasks += [Task(name, level, chosen) for level in levels or own]
    found: dict[tuple[str, str], Evaluation] = {}
    if not tasks:
        return {}
    with session(address, jobs) as ray:
        from ray.exceptions import RayError
        from ray.util import ActorPool

        count = max(1, min(len(tasks), int(ray.cluster_resources().get("CPU", 1))))
        evaluator = ray.remote(num_cpus=1, max_restarts=RETRIES, max_task_retries=RETRIES)(
            Evaluator
        )
        path = None if rom is None else str(rom)
        actors = [evaluator.remote(path, settings) for _ in range(count)]
        shared = {name: ray.put(data) for name, data in files.items()}
        pool = ActorPool(actors)
        try:
            for task, result in pool.map_unordered(
                lambda actor, task: actor.measure.remote(task, shared[task.agent]), tasks
            ):
                if isinstance(result, WarpzoneError):
                    raise result
                found[task.agent, task.level] = result
                log(f"{task.agent} on {task.level}, {len(found)} of {len(tasks)} done")
        except RayError as error:
            text = " ".join(str(error).split())
            raise RunError(f"a level could not be measured by Ray: {text[:400]}") from error
        finally:
            for actor in actors:
                ray.kill(actor)
    return {name: _together(found, [t for t in tasks if t.agent == name]) for name in files}


def _together(found: Mapping[tuple[str, str], Evaluation], tasks: Sequence[Task]) -> Evaluation:
    parts = [found[task.agent, task.level] for task in tasks]
    levels = {level: result for part in parts for level, result in part.levels.items()}
    return replace(parts[0], levels=levels)
