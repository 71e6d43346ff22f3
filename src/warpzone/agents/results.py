"""What is written down about packaged agents: docs/results.json, by level."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from warpzone.agents.packaged import score
from warpzone.errors import AgentError
from warpzone.settings import describe
from warpzone.smb.levels import parse_levels
from warpzone.training.agent_file import PolicyMode, Stage
from warpzone.training.packaged_index import ConditionName, PackagedEntry


class Record(PackagedEntry):
    """Says how one level's agent came about, and how well it plays."""

    selection: dict[PolicyMode, dict[ConditionName, float]]
    """Clear rates by which the agent and its policy were chosen. They are of other episodes than
    `rates`: the best of several measurements is on average better than what was measured."""
    eval_seed: int
    """Of the episodes in `rates`."""
    date: str
    """Of the measurement, YYYY-MM-DD."""
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

    @property
    def score(self) -> tuple[float, float]:
        """What it is compared with others by."""
        return score(self.selection[self.policy])

    @property
    def episodes(self) -> int:
        """How many each measurement had."""
        return self.rates["noops"].episodes


class Results(BaseModel):
    """Holds what is in docs/results.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    levels: dict[str, Record] = {}

    @field_validator("levels")
    @classmethod
    def _in_order(cls, levels: dict[str, Record]) -> dict[str, Record]:
        return {name: levels[name] for name in parse_levels(list(levels))} if levels else {}


def read_results(file: Path) -> Results:
    """Returns the results in `file`; none where there is no such file.

    Raises:
        AgentError: it is damaged, or of another version.
    """
    try:
        return Results.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return Results()
    except ValidationError as error:
        raise AgentError(f"cannot read {file}: {describe(error)}") from error
