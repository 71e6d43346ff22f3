"""The agent that a run begins with."""

from __future__ import annotations

from warpzone.errors import ConfigError
from warpzone.ppo.policy import Policy
from warpzone.pqn.network import QNetwork
from warpzone.training.agent_file import AgentInfo, load_agent
from warpzone.training.networks import widen
from warpzone.training.resolve_agent import resolve_agent


def begin_with(policy: Policy, agent: str) -> AgentInfo:
    """Gives `policy` the weights of `agent`, a name for `resolve_agent`; returns its description.

    Raises:
        AgentError: no such agent, or a damaged one.
        ConfigError: its network is another one, or of another algorithm.
    """
    other, info = load_agent(resolve_agent(agent).file)
    if isinstance(other, QNetwork) != isinstance(policy, QNetwork):
        raise ConfigError(
            f"cannot begin with {agent}: it was taught by {info.algorithm}, whose network has"
            f" another head; set algorithm={info.algorithm}"
        )
    try:
        policy.load_state_dict(widen(policy, other.state_dict()))
    except RuntimeError:
        raise ConfigError(
            f"cannot begin with {agent}: it sees {info.shapes}, has {info.actions} actions and the"
            f" network {info.network}; set env and network as they were for it"
        ) from None
    return info
