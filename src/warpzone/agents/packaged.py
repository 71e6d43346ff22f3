"""The agents that come with warpzone, as a collection by level, and how well they play.

They lie in `warpzone/trained`: weights in float16, and an index, see
`warpzone.training.packaged_index`. One file may play several levels. `scripts/package_agents.py`
measures agents and writes all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from warpzone.agents.agent import Agent
from warpzone.agents.evaluate import Evaluation, evaluate
from warpzone.nes.cartridge import RomSource, open_rom
from warpzone.training import packaged_index
from warpzone.training.agent_file import PolicyMode
from warpzone.training.evaluation import EvalResult
from warpzone.training.packaged_index import ConditionName, PackagedEntry


class Collection:
    """Holds the agents of a folder, by level; each file is loaded once, when it is first needed."""

    def __init__(self, folder: Path | None = None, device: str = "cpu") -> None:
        """
        Args:
            folder: with `agents.json`; None: the one that is installed.
            device: that the agents compute on: "auto", "cpu", "cuda", "cuda:1" …

        Raises:
            AgentError: no index there, or a damaged one.
        """
        self.folder = folder or packaged_index.trained_folder()
        self.index = packaged_index.read_index(self.folder)
        self._device = device
        self._loaded: dict[str, Agent] = {}

    @property
    def levels(self) -> list[str]:
        """The levels that have an agent, in the order of the game."""
        return list(self.index.levels)

    def __getitem__(self, level: str) -> PackagedEntry:
        """Returns the entry of a level.

        Raises:
            AgentError: no agent plays this level; the text says how to get one.
        """
        return self.index[level]

    def path(self, level: str) -> Path:
        """Returns the file of the agent that plays `level`. Raises what `[]` does."""
        return self.folder / self[level].file

    def agent(self, level: str) -> Agent:
        """Returns the agent that plays `level`. Levels with one file share its weights.

        Raises:
            AgentError: there is none, or its file is damaged.
            ConfigError: no such device.
        """
        entry = self[level]
        if entry.file not in self._loaded:
            self._loaded[entry.file] = Agent.load(self.path(level), self._device)
        loaded = self._loaded[entry.file]
        return Agent(
            loaded.policy, loaded.info, loaded.path, packaged_for=level, policy_mode=entry.policy
        )


@dataclass(frozen=True, slots=True)
class PackagedEvaluation:
    """Holds results of several agents by level, and how they came about."""

    evaluations: dict[str, Evaluation]
    """For each level one with the result of that level alone."""
    files: dict[str, str]
    rom: dict[str, str]

    @property
    def levels(self) -> dict[str, EvalResult]:
        return {level: found.levels[level] for level, found in self.evaluations.items()}

    def as_json(self) -> dict[str, Any]:
        """Returns `levels` → level → the fields of `EvalResult`, and `agents` and `protocols`
        → level → file and protocol; `rom` → `revision`, `sha1`."""
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
    log: Callable[[str], None] = lambda text: None,
    **settings: Any,
) -> PackagedEvaluation:
    """Measures on each of `levels` the agent that is packaged for it.

    Args:
        collection: the agents.
        levels: names, "1-1" to "8-4".
        policy: "sample" or "argmax"; None: for each agent the better one.
        rom: the ROM, or None to look for it.
        log: receives a line before each level.
        settings: the others of `warpzone.agents.evaluate.evaluate`.

    Raises:
        AgentError: no agent is packaged for one of `levels`.
        ConfigError: a number out of its range.
    """
    cartridge = open_rom(rom)
    chosen = {level: collection[level] for level in levels}  # all are there, or none is measured
    evaluations = {}
    for number, (level, entry) in enumerate(chosen.items(), start=1):
        log(f"level {level} ({number} of {len(chosen)}), {entry.file}")
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


def score(rates: Mapping[ConditionName, float]) -> tuple[float, float]:
    """Returns what agents are compared by, the larger the better: the lower of the clear rates with
    no-ops alone and with sticky buttons too, then their mean. From a fixed start likeliest actions
    play one and the same episode each time, which says nothing of others."""
    values = [rates["noops"], rates["sticky"]]
    return min(values), sum(values) / len(values)
