"""Whether what a training will save can be read again: found out before it plays."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from warpzone.errors import AgentError, ConfigError
from warpzone.ppo.policy import as_dict
from warpzone.training import checkpoint
from warpzone.training.agent_file import require_readable
from warpzone.training.learner import Learner
from warpzone.training.ranked_games import NumberedGames

RESERVE = 64 << 20
"""Bytes of a checkpoint for what grows in the course of a run: statistics, moments of practice,
what was played in the episodes that go on."""


def require_readable_later(learner: Learner, *, resumes: bool) -> None:
    """Refuses a training whose agent or whose checkpoints would be too large to be read again.

    Args:
        learner: before its first rollout.
        resumes: whether the run has begun before; then nothing is kept in reserve.

    Raises:
        ConfigError: the text says which file is over which limit, and what to lower.
    """
    config = learner.config
    of_games = "env" if config.game.name is None else "game"
    smaller = f"network.hidden, network.embeddings or {of_games}.size"
    weights = learner.policy.state_dict()
    try:
        require_readable(weights, learner.agent_info())
    except AgentError as error:
        raise ConfigError(f"{error}: lower {smaller}, or begin at fewer start_states") from None
    parts = checkpoint_parts(learner)
    size = sum(parts.values())
    limit = checkpoint.LARGEST - (0 if resumes else RESERVE)
    if size > limit:
        advice = {
            "weights with the optimiser's state": smaller,
            "games as they stand": f"num_envs, or {of_games}.size",
            "rows of corrections": "corrections.kept",
        }
        ordered = sorted(parts, key=lambda part: -parts[part])
        told = ", ".join(f"{part} {parts[part] / 1e6:,.0f} MB" for part in ordered if parts[part])
        raise ConfigError(
            f"a checkpoint of this training would have {size / 1e6:,.0f} MB ({told}), and one of"
            f" more than {limit / 1e6:,.0f} MB could not be read again: lower {advice[ordered[0]]}"
        )


def checkpoint_parts(learner: Learner) -> dict[str, int]:
    """Returns bytes of what is large in a checkpoint, once there have been updates."""
    config, env = learner.config, learner.env
    policy, optimised = learner.policy.state_dict().values(), learner.policy.parameters()
    if isinstance(env, NumberedGames):
        games = len(env.save_state(0)) * config.num_envs
    else:
        games = len(env.save_state()) * learner.ranks.size
    if learner.player is not None:
        games += learner.player.memory.state.nbytes
    rows = 0
    if config.corrections.share > 0:
        shown = sum(array[:1].nbytes for array in as_dict(env.observations()).values())
        rows = config.corrections.kept * (shown + 4 * int(env.single_action_space.n))
    return {
        "weights with the optimiser's state": _bytes(policy) + 2 * _bytes(optimised),
        "games as they stand": games,
        "rows of corrections": rows,
    }


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)
