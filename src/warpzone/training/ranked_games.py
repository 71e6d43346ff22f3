"""The games of several ranks: which one plays which, how their states become one checkpoint's and
are divided anew, and what they tell each other of episodes that ended.

A game has a number in the whole run. Its random streams, its place in a checkpoint and the draws of
its actions are by that number, so that it is played the same in whichever rank it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from warpzone.errors import CheckpointError, ConfigError, EngineError
from warpzone.ppo.rollout import VectorEnv
from warpzone.training.checkpoint import Snapshot
from warpzone.training.config import TrainConfig
from warpzone.training.ranks import Ranks
from warpzone.training.step_result import StepResult

GAMES, EACH_GAME = "games", "each_game"
"""In a checkpoint: the state of all games as one process has them, or uint8 [N, b], of each."""


@runtime_checkable
class NumberedGames(VectorEnv, Protocol):
    """Games that can be a part of a larger set, as those of warpzone are."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> object: ...
    def save_state(self, game: int | None = None) -> bytes: ...
    def load_state(self, state: bytes, game: int | None = None) -> None: ...
    def ram(self, game: int) -> Any: ...


def check_settings(config: TrainConfig, ranks: Ranks) -> None:
    """Refuses settings under which several ranks cannot learn together.

    Raises:
        ConfigError: the text says which, and what to do.
    """
    if ranks.size == 1:
        return
    ranks.part(config.num_envs, "num_envs")
    if config.algorithm != "ppo":
        raise ConfigError(
            f"algorithm is {config.algorithm}, and there are {ranks.size} ranks: together they"
            " learn by ppo. Set it to ppo, or train in one process, without torchrun"
        )
    for setting, used in (
        ("practice.share", config.practice.share > 0),
        ("corrections.share", config.corrections.share > 0),
    ):
        if used:
            raise ConfigError(
                f"{setting} is above 0, and there are {ranks.size} ranks: what failed in one cannot"
                " be practised in another. Set it to 0, or train in one process, without torchrun"
            )


def numbered(env: VectorEnv) -> NumberedGames:
    """Returns `env`, for several ranks.

    Raises:
        ConfigError: its games cannot be divided among them.
    """
    if isinstance(env, NumberedGames):
        return env
    raise ConfigError(
        f"games of {type(env).__name__} cannot be divided among ranks: these must save and load"
        " each game by itself, and draw by its number, as those of warpzone.make_vec do. Train in"
        " one process, without torchrun"
    )


def begin(env: VectorEnv, seed: int, ranks: Ranks) -> None:
    """Begins the games of a run, of which `env` has this rank's.

    Raises:
        ConfigError: they cannot be divided.
    """
    if ranks.size == 1:
        env.reset(seed=seed)
    else:
        first = ranks.rank * env.num_envs
        numbered(env).reset(seed=seed, options={"first_game": first})


# --- checkpoints ----------------------------------------------------------------------------------


def saved(env: VectorEnv, ranks: Ranks) -> dict[str, Tensor]:
    """Returns the state of all games as a checkpoint has it; of several ranks only in the first."""
    if ranks.size == 1:
        return {GAMES: torch.frombuffer(bytearray(env.save_state()), dtype=torch.uint8)}
    found = ranks.collect(_each(numbered(env)))
    return {} if found is None else {EACH_GAME: found}


def load(env: VectorEnv, tensors: Mapping[str, Tensor]) -> None:
    """Goes on from `saved`, or from this rank's part of it.

    Raises:
        KeyError: there is neither.
        EngineError, ConfigError: it is of other games.
        ValueError: it is of more or fewer games.
    """
    if EACH_GAME not in tensors:
        env.load_state(tensors[GAMES].numpy().tobytes())
        return
    each = tensors[EACH_GAME]
    if each.dim() != 2 or len(each) != env.num_envs:
        raise ValueError(f"states {tuple(each.shape)} for {env.num_envs} games")
    games = numbered(env)
    for game, state in enumerate(each.numpy()):
        games.load_state(state.tobytes(), game)


def offer(
    snapshot: Snapshot,
    ranks: Ranks,
    make_games: Callable[[], VectorEnv],
    take: Callable[[Snapshot], None],
) -> None:
    """Lets all ranks go back to a snapshot: called in the first, while the others `accept`.

    Args:
        snapshot: of a run, written by any number of processes.
        ranks: the others are told by.
        make_games: makes as many games as the whole run has.
        take: takes over the state of this rank, and may raise what `Learner.restore` does.

    Raises:
        ValueError: it does not fit one of them.
    """
    if ranks.size == 1:
        take(snapshot)
        return
    tensors = dict(snapshot.tensors)
    if EACH_GAME not in tensors:
        with closing(make_games()) as games:
            load(games, tensors)
            tensors[EACH_GAME] = _each(numbered(games))
        del tensors[GAMES]
    each = tensors.pop(EACH_GAME)
    if each.dim() != 2 or len(each) % ranks.size:
        raise ValueError(f"states {tuple(each.shape)} for {ranks.size} ranks")
    ranks.broadcast(Snapshot(tensors, snapshot.values).pack())
    problem = _taken(Snapshot(tensors, snapshot.values), ranks.distribute(each), take)
    found = [text for text in ranks.gather(problem) if text is not None]
    if found:
        raise ValueError(found[0])


def offer_no_more(ranks: Ranks) -> None:
    """Says to the others that there is nothing to `accept` any more."""
    if ranks.size > 1:
        ranks.broadcast()


def accept(ranks: Ranks, take: Callable[[Snapshot], None]) -> bool:
    """Goes back to what the first rank offers, until it offers no more; returns whether one was
    taken by all."""
    accepted = False
    while data := ranks.broadcast():
        problem = _taken(Snapshot.unpack(data, "what rank 0 told"), ranks.distribute(None), take)
        accepted = not any(text is not None for text in ranks.gather(problem))
    return accepted


def _taken(snapshot: Snapshot, each: Tensor, take: Callable[[Snapshot], None]) -> str | None:
    """Returns what keeps this rank from going on from there; None: nothing does."""
    try:
        take(Snapshot({**snapshot.tensors, EACH_GAME: each}, snapshot.values))
    except (
        *(LookupError, TypeError, ValueError, RuntimeError, OverflowError),
        *(CheckpointError, EngineError),
    ) as error:
        return str(error) or repr(error)
    return None


def _each(env: NumberedGames) -> Tensor:
    """Returns the states of all its games, uint8 [n, b]."""
    states = [np.frombuffer(env.save_state(game), np.uint8) for game in range(env.num_envs)]
    return torch.from_numpy(np.stack(states))


# --- episodes -------------------------------------------------------------------------------------


class EndedEpisodes:
    """The ends of a rollout's episodes in all ranks, as the steps of all games: a `StepResult` of
    which only the finished rows are there, in the order in which one process would see them.

    Args:
        rows: float64 [k, 9], of `ended_rows`.
    """

    def __init__(self, rows: NDArray[np.float64]) -> None:
        self.score, self.position = rows[:, 1], rows[:, 2]
        self.task, steps, frames, start, flags = rows[:, 4:].astype(np.int64).T
        self.terminated, self.success = flags & 1 > 0, flags & 2 > 0
        self.partial = flags & 4 > 0
        self.finished = np.arange(len(rows))
        self.signals: dict[str, NDArray[Any]] = {
            "steps": steps,
            "frames": frames,
            "start": start,
            "episode_return": rows[:, 3],
        }


def ended_rows(first: int, step: StepResult, games: int, own: slice) -> NDArray[np.float64]:
    """Returns the episodes that ended in steps of a rank's games, float64 [k, 9]: for
    `EndedEpisodes`, which all ranks' rows make.

    Args:
        first: the sample of row 0 in this rank's rollout.
        step: what the steps led to.
        games: of all ranks.
        own: this rank's of them.
    """
    rows = step.finished
    signals = step.signals
    t, game = np.divmod(first + rows, own.stop - own.start)
    flags = step.terminated[rows] + 2 * step.success[rows] + 4 * step.partial[rows]
    start = signals["start"][rows] if "start" in signals else np.full(len(rows), -1)
    columns = (
        *(t * games + own.start + game, step.score[rows], step.position[rows]),
        *(signals["episode_return"][rows], step.task[rows]),
        *(signals["steps"][rows], signals["frames"][rows], start, flags),
    )
    return np.stack([np.asarray(column, np.float64) for column in columns], axis=1)


def ended_everywhere(parts: list[NDArray[np.float64]], ranks: Ranks) -> EndedEpisodes:
    """Returns the ends of a rollout in all ranks, of which `parts` are this one's."""
    rows = ranks.gather_rows(np.concatenate([np.zeros((0, 9)), *parts]))
    return EndedEpisodes(rows[np.argsort(rows[:, 0], kind="stable")])
