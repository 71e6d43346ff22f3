"""Agents that come with warpzone: which one plays which level, how, and how well.

They lie in `warpzone/trained`: weights in float16, and the index `agents.json`. One file may play
several levels. `scripts/package_agents.py` measures agents and writes all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from warpzone.agents.agent import Agent, PolicyMode
from warpzone.agents.evaluate import Evaluation, evaluate
from warpzone.errors import AgentError
from warpzone.nes.cartridge import RomSource, open_rom
from warpzone.settings import describe
from warpzone.smb.levels import LEVELS, parse_levels
from warpzone.training.agent_file import trained_folder
from warpzone.training.evaluation import EvalResult

StartName = Literal["fixed", "noops", "sticky"]


@dataclass(frozen=True, slots=True)
class Start:
    """What is random in a measured game.

    Attributes:
        noop_max: an episode begins after 0 to this many frames without buttons.
        repeat_action_probability: probability per frame that the last buttons stay pressed.
    """

    noop_max: int
    repeat_action_probability: float


STARTS: dict[StartName, Start] = {
    "fixed": Start(noop_max=0, repeat_action_probability=0.0),
    "noops": Start(noop_max=30, repeat_action_probability=0.0),
    "sticky": Start(noop_max=30, repeat_action_probability=0.25),
}
"""The three protocols that packaged agents are measured by."""


class Packaged(BaseModel):
    """The agent of one level."""

    model_config = ConfigDict(frozen=True)

    file: str
    """Name of its file in the folder."""
    policy: PolicyMode
    """What it plays best with."""
    rates: dict[StartName, EvalResult]
    """As measured, by protocol."""


class Index(BaseModel):
    """What `agents.json` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    levels: dict[str, Packaged] = {}

    @field_validator("levels")
    @classmethod
    def _in_order(cls, levels: dict[str, Packaged]) -> dict[str, Packaged]:
        return {name: levels[name] for name in parse_levels(list(levels))} if levels else {}


class Collection:
    """The agents of one folder, by level; each file is loaded once, when it is first needed."""

    def __init__(self, folder: Path | None = None, device: str = "cpu") -> None:
        """
        Args:
            folder: with `agents.json`; None: the one that is installed.
            device: that the agents compute on: "auto", "cpu", "cuda", "cuda:1" …

        Raises:
            AgentError: no index there, or a damaged one.
        """
        self.folder = folder or trained_folder()
        self.index = read_index(self.folder)
        self._device = device
        self._agents: dict[str, Agent] = {}

    @property
    def levels(self) -> list[str]:
        """Those that have an agent, in the order of the game."""
        return list(self.index.levels)

    def __getitem__(self, level: str) -> Packaged:
        """Raises: AgentError: no agent plays this level; the text says how to get one."""
        try:
            return self.index.levels[level]
        except KeyError:
            raise AgentError(_missing(level, self.levels)) from None

    def path(self, level: str) -> Path:
        """The file of the agent that plays `level`. Raises as `[]` does."""
        return self.folder / self[level].file

    def agent(self, level: str) -> Agent:
        """The agent that plays `level`.

        Raises:
            AgentError: there is none, or its file is damaged.
            ConfigError: no such device.
        """
        entry = self[level]
        if entry.file not in self._agents:
            self._agents[entry.file] = Agent.load(self.path(level), self._device)
        return self._agents[entry.file]


@dataclass(frozen=True, slots=True)
class PackagedEvaluation:
    """Results of several agents by level, and how they came about."""

    evaluations: dict[str, Evaluation]
    """For each level one with the result of that level alone."""
    files: dict[str, str]
    rom: dict[str, str]

    @property
    def levels(self) -> dict[str, EvalResult]:
        return {level: found.levels[level] for level, found in self.evaluations.items()}

    def as_json(self) -> dict[str, Any]:
        """`levels` → level → the fields of `EvalResult`, and `agents` and `protocols` → level →
        file and protocol; `rom` → `revision`, `sha1`."""
        return {
            "levels": {level: asdict(result) for level, result in self.levels.items()},
            "agents": self.files,
            "protocols": {
                level: asdict(found.protocol) for level, found in self.evaluations.items()
            },
            "rom": self.rom,
        }


def evaluate_packaged(
    collection: Collection,
    levels: Iterable[str],
    *,
    policy: PolicyMode | None = None,
    rom: RomSource = None,
    say: Callable[[str], None] = lambda text: None,
    **settings: Any,
) -> PackagedEvaluation:
    """Measure on each of `levels` the agent that is packaged for it.

    Args:
        collection: the agents.
        levels: names, "1-1" to "8-4".
        policy: "sample" or "argmax"; None: for each agent the better one.
        rom: the ROM, or None to look for it.
        say: receives a line before each level.
        settings: the others of `warpzone.agents.evaluate.evaluate`.

    Raises:
        AgentError: no agent is packaged for one of `levels`.
        ConfigError: a number out of its range.
    """
    cartridge = open_rom(rom)
    chosen = {level: collection[level] for level in levels}  # all are there, or none is measured
    evaluations = {}
    for number, (level, entry) in enumerate(chosen.items(), start=1):
        say(f"level {level} ({number} of {len(chosen)}), {entry.file}")
        evaluations[level] = evaluate(
            collection.agent(level),
            [level],
            policy=policy or entry.policy,
            rom=cartridge,
            **settings,
        )
    files = {level: entry.file for level, entry in chosen.items()}
    return PackagedEvaluation(
        evaluations, files, {"revision": cartridge.revision, "sha1": cartridge.sha1}
    )


def read_index(folder: Path) -> Index:
    """What `agents.json` in `folder` says.

    Raises:
        AgentError: it is missing or damaged.
    """
    file = folder / "agents.json"
    try:
        return Index.model_validate_json(file.read_bytes())
    except OSError as error:
        raise AgentError(
            f"the packaged agents cannot be read: {file}: {error.strerror}. Install warpzone again"
        ) from error
    except ValidationError as error:
        raise AgentError(
            f"the index of packaged agents {file} is damaged: {describe(error)}"
        ) from (error)


def score(rates: Mapping[StartName, float]) -> tuple[float, float]:
    """By what agents are compared, the larger the better: clear rates by protocol → the worst of
    the three, then their mean."""
    values = [rates[name] for name in STARTS]
    return min(values), sum(values) / len(values)


def _missing(level: str, present: list[str]) -> str:
    if level not in LEVELS:
        return f"there is no level {level!r}"
    others = f"there are some for {', '.join(present)}" if present else "there is none for any"
    return (
        f"no agent for level {level} comes with this version of warpzone ({others}). Train one: "
        f"warpzone train {level}, then name its directory in runs/ instead of the level"
    )
