"""A measurement of a trained agent: episodes of a level, how many it clears, where others end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from warpzone.agents.agent import Agent
from warpzone.agents.evaluate import evaluate
from warpzone.smb.signals import DEATHS, SignalArrays
from warpzone.training.agent_file import PolicyMode
from warpzone.training.evaluation import EvalResult
from warpzone.training.packaged_index import CONDITIONS, ConditionName

PAGE = 256
"""px: episodes that end in the same ones end in the same place."""


class Played(BaseModel):
    """What a measurement found."""

    model_config = ConfigDict(frozen=True)

    result: EvalResult
    ends: dict[str, int] = {}
    """How many episodes that were not cleared ended where, as `place` says it, most first."""


@dataclass(frozen=True)
class Measurement:
    """One agent on one level in one way.

    The name of a staged file tells its contents, see `warpzone.agents.packaging.stage`.
    """

    file: str
    level: str
    condition: ConditionName
    policy: PolicyMode
    episodes: int
    seed: int


def measure(measurement: Measurement, folder: Path, rom: Path | None) -> Played:
    """Plays all episodes of `measurement` with the agent in `folder`.

    Raises:
        AgentError: the file is damaged or does not fit.
    """
    start, ends = CONDITIONS[measurement.condition], Counter[str]()

    def note(signals: SignalArrays, game: int) -> None:
        if not signals["flag"][game]:
            ends[place(int(signals["death"][game]), int(signals["progress"][game]))] += 1

    evaluation = evaluate(
        _loaded(folder / measurement.file),
        [measurement.level],
        episodes=measurement.episodes,
        noop_max=start.noop_max,
        repeat_action_probability=start.repeat_action_probability,
        policy=measurement.policy,
        seed=measurement.seed,
        threads=1,
        rom=rom,
        on_episode=note,
    )
    return Played(result=evaluation.levels[measurement.level], ends=dict(ends.most_common()))


def place(death: int, progress: int) -> str:
    """Says where an episode ended and by what, by the signals of that name."""
    cause = DEATHS[death] if death else "stuck"
    return f"{cause}, {progress // PAGE * PAGE} px"


@lru_cache(maxsize=4)
def _loaded(file: Path) -> Agent:
    return Agent.load(file)
