"""What is written down about measured agents: results.json, by level.

`docs/results.json` is that of the agents that come with warpzone; a campaign has one of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from warpzone.agents.packaged import score
from warpzone.errors import AgentError
from warpzone.files import read_regular_file
from warpzone.settings import describe
from warpzone.smb.levels import LEVELS, parse_levels
from warpzone.training.agent_file import PolicyMode, Stage
from warpzone.training.evaluation import EvalResult
from warpzone.training.packaged_index import ConditionName, NetworkName, PackagedEntry

T = TypeVar("T")

MOST_BYTES = 64 << 20
"""Of results.json; that of all levels has 0.3 MB."""

GameName = Literal["three_lives", "one_life", "three_lives_sticky"]

Choice = Literal["specialist", NetworkName]
"""Which of the agents that were measured on a level is packaged for it."""


class AgentRecord(BaseModel):
    """Says how an agent came about."""

    model_config = ConfigDict(frozen=True)

    file: str
    """The name that it has, or would have, in the package; by its contents, one of a kind."""
    trained_on: list[str]
    """Levels; `steps` and `seconds` are of all of them together."""
    preset: str
    observation: str
    rom_revision: str | None
    rom_sha1: str | None
    seed: int
    steps: int
    """Agent steps until the agent was saved, which its run then measured as its best."""
    seconds: float | None
    """Of training until then, measurements aside."""
    threads: int | None
    commit: str | None
    command: str | None
    earlier: tuple[Stage, ...] = ()
    """Trainings before that one, each of which began with the agent of the one before."""

    @property
    def stages(self) -> list[Stage]:
        """All trainings, in their order."""
        fields = {name: getattr(self, name) for name in Stage.model_fields}
        return [*self.earlier, Stage(**fields)]

    @property
    def all_steps(self) -> int:
        """Agent steps of all trainings."""
        return sum(stage.steps for stage in self.stages)

    @property
    def all_seconds(self) -> float | None:
        """Seconds of all trainings; None where one of them does not tell."""
        known = [stage.seconds for stage in self.stages if stage.seconds is not None]
        return sum(known) if len(known) == len(self.stages) else None


class LevelRecord(BaseModel):
    """Says how well an agent plays a level."""

    model_config = ConfigDict(frozen=True)

    policy: PolicyMode
    """That it was measured with."""
    rates: dict[ConditionName, EvalResult]
    """As measured, by what was random."""
    ends: dict[ConditionName, dict[str, int]] = {}
    """How many of those episodes that were not cleared ended where (see `measuring.place`)."""
    selection: dict[PolicyMode, dict[ConditionName, float]]
    """Clear rates by which the agent and its policy were chosen. They are of other episodes than
    `rates`: the best of several measurements is on average better than what was measured."""
    eval_seed: int
    """Of the episodes in `rates`; those of `selection` have the next one."""
    date: str
    """Of the measurement, YYYY-MM-DD."""

    @property
    def score(self) -> tuple[float, float]:
        """What it is compared with others by."""
        return score(self.selection[self.policy])

    @property
    def mean(self) -> float:
        """The mean of the clear rates that it was chosen by."""
        return self.score[1]

    @property
    def episodes(self) -> int:
        """How many each measurement had."""
        return self.rates["noops"].episodes


class Record(LevelRecord, AgentRecord):
    """Says how the best specialist of a level came about, and how well it plays."""


@dataclass(frozen=True, slots=True)
class GameConditions:
    """How a whole game is played.

    Attributes:
        lives: the console's three, or one.
        repeat_action_probability: probability per frame that the last buttons stay pressed.
        noop_max: 0 to this many frames without buttons pass whenever Mario can be played again.
    """

    lives: Literal[1, 3]
    repeat_action_probability: float = 0.0
    noop_max: int = 30


GAMES: dict[GameName, GameConditions] = {
    "three_lives": GameConditions(lives=3),
    "one_life": GameConditions(lives=1),
    "three_lives_sticky": GameConditions(lives=3, repeat_action_probability=0.25),
}
"""The three ways in which whole games are measured."""


class GameRecord(BaseModel):
    """Says how whole games went; see `warpzone.agents.evaluate_game.GameEvaluation`."""

    model_config = ConfigDict(frozen=True)

    games: int
    saved: int
    """Games in which the princess was saved."""
    ci95: tuple[float, float]
    """Wilson's interval of their share."""
    mean_frames: float | None
    """Emulated frames to the princess, mean of those games."""
    mean_levels: float
    mean_lives_lost: float
    mean_lives_won: float | None = None
    """Extra lives; None in records of before they were counted."""
    ended: dict[str, int]
    """Games that ended without her, by level."""
    deaths: dict[str, int]
    """Lives lost, by level."""
    seed: int


class TeamRecord(BaseModel):
    """Says how whole games of the packaged agents went, each of which plays its levels."""

    model_config = ConfigDict(frozen=True)

    files: dict[str, str]
    """By level."""
    policies: dict[str, PolicyMode] = {}
    """By level; none in records of before they were written down."""
    games: dict[GameName, GameRecord] = {}

    def is_of(self, players: Mapping[str, tuple[str, PolicyMode]]) -> bool:
        """Returns whether `players`, file and policy by level, are those that played."""
        return players == {
            level: (file, self.policies.get(level)) for level, file in self.files.items()
        }


class NetworkRecord(AgentRecord):
    """Says how an agent for all levels came about, and how well it plays each."""

    policy: PolicyMode
    """That it plays with in all levels."""
    levels: dict[str, LevelRecord]
    games: dict[GameName, GameRecord] = {}

    @field_validator("levels")
    @classmethod
    def _in_order(cls, levels: dict[str, LevelRecord]) -> dict[str, LevelRecord]:
        return {name: levels[name] for name in parse_levels(list(levels))}

    @property
    def score(self) -> tuple[float, float]:
        """What it is compared with others by: means over its levels of their `score`."""
        worst, means = zip(*(level.score for level in self.levels.values()), strict=True)
        return sum(worst) / len(worst), sum(means) / len(means)


class Results(BaseModel):
    """Holds what is in results.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: tuple[str, ...] = LEVELS
    """The levels that are measured. An agent that was trained on all of them is a network for all
    levels, any other a specialist."""
    networks: dict[NetworkName, NetworkRecord] = {}
    """The best one that is told which level it plays, and the best one that is not."""
    specialists: dict[str, Record] = {}
    """The best one by level, packaged or not."""
    packaged: dict[str, Choice] = {}
    """By level."""
    team: TeamRecord | None = None
    """Whole games of the packaged agents; None: not measured, or one network is all of them."""
    margin: float = 0.0
    """By which a specialist's mean rate must be above a network's for it to be packaged."""
    bytes: int = 0
    """Of all packaged agents together."""

    @field_validator("specialists", "packaged")
    @classmethod
    def _in_order(cls, levels: dict[str, T]) -> dict[str, T]:
        return {name: levels[name] for name in parse_levels(list(levels))} if levels else {}

    def record(self, level: str, choice: Choice) -> LevelRecord | None:
        """Returns what is known of an agent on a level; None: it was not measured there."""
        if choice == "specialist":
            return self.specialists.get(level)
        network = self.networks.get(choice)
        return None if network is None else network.levels.get(level)

    def agent(self, level: str, choice: Choice) -> AgentRecord:
        """Returns how an agent that was measured on a level came about."""
        return self.specialists[level] if choice == "specialist" else self.networks[choice]

    def entries(self) -> Iterator[tuple[str, AgentRecord, LevelRecord]]:
        """Yields each level that has a packaged agent, with what is known of that."""
        for level, choice in self.packaged.items():
            record = self.record(level, choice)
            if record is not None:
                yield level, self.agent(level, choice), record

    def index_entries(self) -> dict[str, PackagedEntry]:
        """Returns what the index of packaged agents says, by level."""
        return {
            level: PackagedEntry(file=agent.file, policy=record.policy, rates=record.rates)
            for level, agent, record in self.entries()
        }


def read_results(file: Path) -> Results:
    """Returns the results in `file`; none where there is no such file.

    Raises:
        AgentError: it is damaged, or of another version.
    """
    try:
        return Results.model_validate_json(read_regular_file(file, MOST_BYTES))
    except FileNotFoundError:
        return Results()
    except OSError as error:
        raise AgentError(f"cannot read {file}: {error.strerror or error}") from error
    except ValidationError as error:
        raise AgentError(f"cannot read {file}: {describe(error)}") from error
