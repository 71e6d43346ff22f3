"""What a step of many games brings, and what was played in one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpzone.nes.arrays import Arrays
from warpzone.smb.signals import SignalArrays


@dataclass(slots=True, kw_only=True)
class StepResult:
    """What a step of n games brought, but for what is seen. Arrays are views."""

    reward: NDArray[np.float32]
    """[n]"""
    terminated: NDArray[np.bool_]
    """[n]: flag, death, or the level left by a warp."""
    truncated: NDArray[np.bool_]
    """[n]: a limit on steps or on steps without progress."""
    signals: SignalArrays
    """[n] each: of the state that the action led to, before any reset; see `SIGNALS`. With
    `episode_return`, float32[n], and where an episode ended with `map`, uint8[n]: which of the
    game's maps, 0-127, it ended in; unlike `area` that tells places behind pipes apart."""
    task: NDArray[Any]
    """int32 [n]: 0 to 31, the level, an index into `MarioVectorEnv.tasks()`."""
    success: NDArray[Any]
    """bool [n]: whether the flag or the axe is reached."""
    score: NDArray[Any]
    """int32 [n]: px of progress in the episode."""
    finished: NDArray[np.int64]
    """[k]: rows whose episode ended."""

    @property
    def partial(self) -> NDArray[Any]:
        """bool [n]: whether the episode began within a level, at one of the initial states."""
        start: NDArray[Any] = np.asarray(self.signals["start"], np.int32)
        return start >= 0

    @property
    def position(self) -> NDArray[Any]:
        """int32 [n]: Mario's, in px from the left."""
        return self.signals["x"]


@dataclass(slots=True, kw_only=True)
class Transition(StepResult):
    """What a step of a group of n games brought; valid until its next `send`."""

    obs: Arrays
    """[n, ...]: what to act on next, of the new episode where one has begun. The arrays that were
    given to `send`, if there were any."""
    final_obs: Arrays
    """[k, ...]: the last observation of each of the episodes that ended."""


@dataclass(frozen=True, slots=True)
class InputLog:
    """What was played in a watched game since its level began."""

    level: str
    """Where it began."""
    own_start: bool
    """Whether the episode began there too; not one that began within the level, or in a later level
    into which the game went on."""
    buttons: bytes
    """Of each emulated frame, as in `Console.step`, no-ops and the frames that led to a start
    within the level among them."""
    decided: NDArray[np.uint32]
    """[S]: how many frames there were before each action of the episode."""
    variation: int = 0
    """What was drawn anew of the level's start (`EnvConfig.phase_share`, `EnvConfig.power_share`),
    as `record_moments` takes it; 0: nothing, and the buttons alone tell all."""
