"""The agents that one run went through, from the first to the last that it still has."""

from __future__ import annotations

from pathlib import Path

import torch

from warpzone.agents.agent import Agent
from warpzone.errors import CheckpointError
from warpzone.hardware import pick_device
from warpzone.ppo.policy import shapes_of
from warpzone.pqn.network import QNetwork
from warpzone.smb.spaces import observation_space
from warpzone.training.agent_file import AgentInfo
from warpzone.training.checkpoint import Snapshot
from warpzone.training.config import TrainConfig
from warpzone.training.networks import make_policy
from warpzone.training.resolve_agent import AGENT_FILES
from warpzone.training.run_directory import RunDirectory
from warpzone.training.run_settings import read_config

MOST = 8


def milestone_agents(run: Path, *, most: int = MOST, device: str = "cpu") -> list[Agent]:
    """Returns the agents of the run in directory `run`, by the steps they were trained for.

    They are the untrained one (not of a run that began with another agent), those that the run
    kept of its course, the best and the last. Runs of older versions kept only checkpoints, which
    take their place.

    Args:
        run: a run directory.
        most: of more stages than that only so many, at least 2, are taken: the first, the last
            and some evenly from between.
        device: that the agents compute on: "auto", "cpu", "cuda", "cuda:1" …

    Raises:
        CheckpointError: no run, or it has no agents, or a checkpoint is damaged.
        AgentError: an agent is damaged.
        ConfigError: no such device.
    """
    config = read_config(run)
    found: dict[int, Agent] = {}
    if config.init is None:
        found[0] = _agent(config, 0, None, run, device)
    directory = RunDirectory(run, config)
    kept = directory.milestones.paths()
    for path in [] if kept else directory.checkpoints.paths():
        snapshot = Snapshot.read(path)
        steps = int(snapshot.values["step"])
        found[steps] = _agent(config, steps, snapshot, path, device)
    for path in [*(run / name for name in AGENT_FILES), *kept]:
        if path.is_file():
            agent = Agent.load(path, device)
            found.setdefault(agent.info.steps, agent)
    if len(found) < 2:
        raise CheckpointError(
            f"the run {str(run)!r} has nothing yet to show progress with: neither a checkpoint nor "
            "an agent. Wait until it has, or go on with it: warpzone train --resume --out RUN"
        )
    chosen = [found[steps] for steps in sorted(found)]
    count = min(most, len(chosen))
    return [chosen[round(i * (len(chosen) - 1) / (count - 1))] for i in range(count)]


def _agent(
    config: TrainConfig, steps: int, snapshot: Snapshot | None, path: Path, device: str
) -> Agent:
    """Returns the agent in a checkpoint, or (None) the one that the run began with."""
    info = AgentInfo(
        env=config.env,
        network=config.network,
        algorithm=config.algorithm,
        epsilon=config.pqn.eval_epsilon,
        shapes=shapes_of(observation_space(config.env)),
        actions=len(config.env.action_list),
        preset=config.preset,
        seed=config.seed,
        steps=steps,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)  # as training does
        policy = make_policy(info.network, info.shapes, info.actions, info.algorithm)
    if snapshot is not None:
        try:
            policy.load_state_dict(snapshot.weights)
        except RuntimeError as error:
            raise CheckpointError(
                f"{path} does not fit the settings of its run: {error}"
            ) from error
    if isinstance(policy, QNetwork):
        policy.epsilon = info.epsilon
    policy = policy.to(pick_device(device))
    return Agent(policy.requires_grad_(False).eval(), info, path)
