"""The index of the agents that come with warpzone: which file plays which level, how, and how well.

It lies in `warpzone/trained/agents.json` beside the files that it names.
"""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from warpzone.errors import AgentError
from warpzone.files import read_regular_file
from warpzone.settings import describe
from warpzone.smb.levels import LEVELS, parse_levels
from warpzone.training.agent_file import PolicyMode
from warpzone.training.evaluation import EvalResult

ConditionName = Literal["fixed", "noops", "sticky"]
NetworkName = Literal["generalist", "generalist-untold"]
"""Names of the agents for all levels: the one that is told which level it plays, and the one that
is not."""
NETWORKS: tuple[NetworkName, ...] = get_args(NetworkName)

INDEX_FILE = "agents.json"
GAMES = "games"
"""The folder, within that of the index, of agents that play other games: no level is theirs."""
MOST_INDEX_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is random in a measured game.

    Attributes:
        noop_max: an episode begins after 0 to this many frames without buttons.
        repeat_action_probability: probability per frame that the last buttons stay pressed.
    """

    noop_max: int
    repeat_action_probability: float


CONDITIONS: dict[ConditionName, Conditions] = {
    "fixed": Conditions(noop_max=0, repeat_action_probability=0.0),
    "noops": Conditions(noop_max=30, repeat_action_probability=0.0),
    "sticky": Conditions(noop_max=30, repeat_action_probability=0.25),
}
"""The three that packaged agents are measured under."""


class PackagedAgent(BaseModel):
    """An agent of the folder."""

    model_config = ConfigDict(frozen=True)

    file: str
    """The name of its file, in the folder of the index."""
    policy: PolicyMode
    """What it plays best with."""

    @field_validator("file")
    @classmethod
    def _in_the_folder(cls, file: str) -> str:
        if Path(file).name != file:
            raise ValueError("it must be the name of a file, without a folder")
        return file


class PackagedEntry(PackagedAgent):
    """The agent of one level."""

    rates: dict[ConditionName, EvalResult]
    """As measured, by what was random."""


class PackagedIndex(BaseModel):
    """What `agents.json` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    levels: dict[str, PackagedEntry] = {}
    networks: dict[NetworkName, PackagedAgent] = {}
    """The agents for all levels, whether they play one of `levels` best or not."""

    @field_validator("levels")
    @classmethod
    def _in_order(cls, levels: dict[str, PackagedEntry]) -> dict[str, PackagedEntry]:
        return {name: levels[name] for name in parse_levels(list(levels))} if levels else {}

    def __getitem__(self, level: str) -> PackagedEntry:
        """Raises: AgentError: no agent plays this level; the text says how to get one."""
        try:
            return self.levels[level]
        except KeyError:
            raise AgentError(_missing(level, list(self.levels))) from None

    def network(self, name: NetworkName) -> PackagedAgent:
        """Raises: AgentError: no such agent for all levels is packaged."""
        try:
            return self.networks[name]
        except KeyError:
            others = ", ".join(self.networks) or "none"
            raise AgentError(
                f"no agent {name!r} for all levels comes with this version of warpzone (there is:"
                f" {others}). Train one: warpzone train all --preset generalist"
            ) from None

    @property
    def agents(self) -> list[PackagedAgent]:
        """All entries: those of levels, then those of networks."""
        return [*self.levels.values(), *self.networks.values()]


def trained_folder() -> Path:
    """Returns the folder in which the packaged agents are installed."""
    # A module with native code is never imported from within an archive, so this is a real folder.
    return Path(str(importlib.resources.files("warpzone").joinpath("trained")))


def game_agents() -> dict[str, Path]:
    """Returns the packaged agents of other games, by name: the files in `GAMES`."""
    return {file.stem: file for file in sorted((trained_folder() / GAMES).glob("*.safetensors"))}


def read_index(folder: Path) -> PackagedIndex:
    """Returns what `agents.json` in `folder` says.

    Raises:
        AgentError: it is missing or damaged.
    """
    file = folder / INDEX_FILE
    try:
        return PackagedIndex.model_validate_json(read_regular_file(file, MOST_INDEX_BYTES))
    except OSError as error:
        raise AgentError(
            f"the packaged agents cannot be read: {file}: {error.strerror}. Install warpzone again"
        ) from error
    except ValidationError as error:
        raise AgentError(
            f"the index of packaged agents {file} is damaged: {describe(error)}"
        ) from error


def _missing(level: str, present: list[str]) -> str:
    if level not in LEVELS:
        return f"there is no level {level!r}"
    others = f"there are some for {', '.join(present)}" if present else "there is none for any"
    return (
        f"no agent for level {level} comes with this version of warpzone ({others}). Train one: "
        f"warpzone train {level}, then name its directory in runs/ instead of the level"
    )
