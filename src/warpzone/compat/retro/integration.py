"""An integration of stable-retro as it lies in its folder: three JSON files, and what they name."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpzone.compat.retro.types import RamNumber
from warpzone.console_text import one_line
from warpzone.errors import ConfigError
from warpzone.files import read_regular_file

SUFFIX = "-Nes"
"""Of the folders of this console's games."""
MOST_BYTES = 1 << 20
"""Of a JSON file; the largest that stable-retro has is far smaller."""
LARGEST = 1e15
"""Of a reward for a variable: times any variable it is still a number of 32 bits."""
PACKAGES = ("stable_retro", "retro")
"""What stable-retro is imported as, newest first."""

Values = Mapping[str, NDArray[np.int64]]
"""Variables by name, int64[n] each."""


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that is worked out of a variable.

    Attributes:
        variable: its name.
        delta: the change in the last step, and not the value.
        op: what is made of it: "" leaves it as it is.
        reference: what comparisons compare with.
    """

    variable: str
    delta: bool
    op: str
    reference: int

    def of(self, now: Values, before: Values) -> NDArray[np.int64]:
        """Returns it, int64[n]."""
        value = now[self.variable]
        if self.delta:
            value = value - before[self.variable]
        made: NDArray[np.int64] = _OPERATIONS[self.op](value, self.reference).astype(np.int64)
        return made


_OPERATIONS: dict[str, Any] = {
    "": lambda value, _: value,
    "nonzero": lambda value, _: value != 0,
    "zero": lambda value, _: value == 0,
    "positive": lambda value, _: value > 0,
    "negative": lambda value, _: value < 0,
    "sign": lambda value, _: np.sign(value),
    "equal": lambda value, reference: value == reference,
    "negative-equal": lambda value, reference: value == -reference,
    "not-equal": lambda value, reference: value != reference,
    "less-than": lambda value, reference: value < reference,
    "greater-than": lambda value, reference: value > reference,
    "less-or-equal": lambda value, reference: value <= reference,
    "greater-or-equal": lambda value, reference: value >= reference,
}


@dataclass(frozen=True, slots=True)
class RewardTerm:
    """A part of the reward: a measure, times `reward` where it is positive, and times `penalty`
    where it is negative."""

    measure: Measure
    reward: float
    penalty: float

    def of(self, now: Values, before: Values) -> NDArray[np.float32]:
        """Returns it, float32[n]."""
        value = self.measure.of(now, before).astype(np.float32)
        return value * np.where(value < 0, np.float32(self.penalty), np.float32(self.reward))


@dataclass(frozen=True, slots=True)
class Condition:
    """Measures and conditions, of which one, or each (`every`), must be above 0."""

    measures: tuple[Measure, ...]
    nodes: tuple[Condition, ...]
    every: bool

    def of(self, now: Values, before: Values) -> NDArray[np.bool_]:
        """Returns whether it holds, bool[n]."""
        parts = [measure.of(now, before) > 0 for measure in self.measures]
        parts += [node.of(now, before) for node in self.nodes]
        if not parts:
            count = len(next(iter(now.values()))) if now else 0
            return np.full(count, self.every)
        combine = np.logical_and if self.every else np.logical_or
        found: NDArray[np.bool_] = combine.reduce(parts)
        return found

    def variables(self) -> set[str]:
        """Returns the names of the variables that it looks at."""
        names = {measure.variable for measure in self.measures}
        return names.union(*(node.variables() for node in self.nodes))


@dataclass(frozen=True, slots=True)
class Integration:
    """What stable-retro knows of a game.

    Attributes:
        name: of its folder, without "-Nes".
        folder: where it lies.
        variables: from `data.json`.
        reward: from `scenario.json`; none where a script says it.
        reward_per_step: added in each step.
        reward_script: the Lua function that says the reward, e.g. "correct_score", or "".
        done: when an episode ends; None where a script says it, or nothing does.
        done_script: the Lua function that says it, or "".
        actions: what may be held together, if that is limited: groups of lists of buttons.
        default_state: from `metadata.json`, or "".
        states: savestates in the folder. Only the emulator that wrote them reads them.
        contents: SHA-1 of the cartridges that it is for, without their headers.
        rom: the cartridge in the folder, which stable-retro puts there, or None.
    """

    name: str
    folder: Path
    variables: Mapping[str, RamNumber]
    reward: tuple[RewardTerm, ...]
    reward_per_step: float
    reward_script: str
    done: Condition | None
    done_script: str
    actions: tuple[tuple[tuple[str, ...], ...], ...]
    default_state: str
    states: tuple[str, ...]
    contents: tuple[str, ...]
    rom: Path | None

    def rewards(self, now: Values, before: Values) -> NDArray[np.float32]:
        """Returns the reward of a step, float32[n], of the variables after and before it.

        Raises:
            ConfigError: a script says it.
        """
        if self.reward_script:
            raise ConfigError(self.scripted("reward", self.reward_script))
        count = len(next(iter(now.values()))) if now else 0
        total = np.full(count, self.reward_per_step, np.float32)
        for term in self.reward:
            total += term.of(now, before)
        return total

    def dones(self, now: Values, before: Values) -> NDArray[np.bool_]:
        """Returns whether an episode is over, bool[n], of the variables after and before a step.

        Raises:
            ConfigError: a script says it.
        """
        if self.done_script:
            raise ConfigError(self.scripted("done", self.done_script))
        if self.done is None:
            return np.zeros(len(next(iter(now.values()))) if now else 0, np.bool_)
        return self.done.of(now, before)

    def scripted(self, what: str, script: str) -> str:
        """Returns what to say to whoever asks for something that a script says."""
        return (
            f"{self.name}: a Lua script says what {what} is ({script} in {self.folder}), and "
            f"warpzone runs none. Give a function of your own: {what}=…"
        )


def data_folders() -> list[Path]:
    """Returns the folders with the games of the stable-retro that is installed, e.g. "stable" and
    "experimental".

    Raises:
        ConfigError: it is not installed.
    """
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec is not None else []:
            folders = sorted(p for p in (Path(place) / "data").glob("*") if p.is_dir())
            folders = [p for p in folders if any(p.glob(f"*{SUFFIX}*/data.json"))]
            if folders:
                return folders
    raise ConfigError(
        "stable-retro is not installed here, so none of its games is known by name: "
        "`pip install stable-retro`, or give the path of a game's folder"
    )


def list_games() -> list[str]:
    """Returns the names of all NES games of the stable-retro that is installed.

    Raises:
        ConfigError: it is not installed.
    """
    found = {p.parent.name for folder in data_folders() for p in folder.glob("*/data.json")}
    return sorted(name for name in found if _is_nes(name))


def _is_nes(folder: str) -> bool:
    return re.search(rf"{SUFFIX}(-v\d+)?$", folder) is not None


def find_folder(game: str | Path) -> Path:
    """Returns the folder of a game: `game` itself if it is one, or that of an installed game by its
    name, with "-Nes" or without.

    Raises:
        ConfigError: there is none.
    """
    if (Path(game) / "data.json").is_file():
        return Path(game)
    if isinstance(game, Path) or "/" in game:
        raise ConfigError(f"{str(game)!r} is no folder of a stable-retro game: it has no data.json")
    folders = data_folders()
    for name in (game, f"{game}{SUFFIX}", f"{game}{SUFFIX}-v0"):
        for folder in reversed(folders):  # "stable" before "experimental"
            if _is_nes(name) and (folder / name / "data.json").is_file():
                return folder / name
    raise ConfigError(f"stable-retro has no NES game {game!r}; list_games() tells which it has")


def load_integration(game: str | Path) -> Integration:
    """Reads the integration of a game.

    Args:
        game: its folder, or its name where stable-retro is installed, e.g. "SuperMarioBros-Nes".

    Raises:
        ConfigError: there is none, or something in it cannot be understood.
    """
    try:
        return _load(find_folder(game))
    except OSError as error:  # of a folder that may not be looked into
        raise ConfigError(f"{str(game)!r} cannot be read: {error.strerror or error}") from error


def _load(folder: Path) -> Integration:
    data = _object(_read(folder / "data.json"), "", folder / "data.json")
    path = folder / "scenario.json"
    scenario = _object(_read(path), "", path) if path.is_file() else {}
    meta_path = folder / "metadata.json"
    meta = _object(_read(meta_path), "", meta_path) if meta_path.is_file() else {}
    variables = _variables(data, folder / "data.json")
    if "rewards" in scenario:
        raise ConfigError(f"{path}: rewards of several players cannot be read: one is played here")
    reward = _object(scenario.get("reward", {}), "reward", path)
    done = _object(scenario.get("done", {}), "done", path)
    reward_script = _script(reward)
    rom = folder / "rom.nes"
    return Integration(
        name=re.sub(rf"{SUFFIX}(-v\d+)?$", "", folder.name),
        folder=folder,
        variables=variables,
        reward=() if reward_script else _terms(reward, variables, path),
        reward_per_step=0.0 if reward_script else _per_step(reward, path),
        reward_script=reward_script,
        done=_condition(done, "done", variables, path) if "done" in scenario else None,
        done_script=_script(done),
        actions=_actions(scenario.get("actions", []), path),
        default_state=str(meta.get("default_state") or ""),
        states=tuple(sorted(p.stem for p in folder.glob("*.state"))),
        contents=_hashes(folder / "rom.sha"),
        rom=rom if rom.is_file() else None,
    )


def _read(path: Path) -> Any:
    try:
        return json.loads(read_regular_file(path, MOST_BYTES))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON: {error}") from None


def _hashes(path: Path) -> tuple[str, ...]:
    if not path.exists():
        return ()
    try:
        words = read_regular_file(path, MOST_BYTES).decode("ascii", "replace").lower().split()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    found = tuple(word for word in words if re.fullmatch("[0-9a-f]{40}", word))
    if not found:
        raise ConfigError(f"{path} holds no SHA-1 of a cartridge")
    return found


def _object(value: Any, where: str, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: {where or 'the file'} must be an object, not {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    """As it can stand in a message, whatever it is."""
    return one_line(repr(value), 60)


def _key(name: str) -> str:
    """Likewise, of a name."""
    return one_line(name, 60)


def _variables(data: dict[str, Any], path: Path) -> dict[str, RamNumber]:
    if "info" not in data:
        raise ConfigError(f"{path} has no section 'info'")
    found = {}
    for name, entry in _object(data["info"], "info", path).items():
        fields = _object(entry, f"info.{_key(name)}", path)
        for needed in ("address", "type"):
            if needed not in fields:
                raise ConfigError(f"{path}: info.{_key(name)} has no {needed}")
        unknown = fields.keys() - {"address", "type", "mask"}
        if unknown:
            raise ConfigError(
                f"{path}: info.{_key(name)} has an unknown key {_shown(min(unknown))}"
            )
        try:
            found[name] = RamNumber.parse(fields["address"], fields["type"], fields.get("mask"))
        except ConfigError as error:
            raise ConfigError(f"{path}: info.{_key(name)}: {error}") from None
    return found


def _measure(
    name: str,
    entry: Any,
    delta: bool,
    variables: Mapping[str, RamNumber],
    where: str,
    path: Path,
) -> Measure:
    where = f"{where}.variables.{_key(name)}"
    fields = _object(entry, where, path)
    if name not in variables:
        raise ConfigError(f"{path}: {where}: data.json has no such variable")
    measured = fields.get("measurement", "delta" if delta else "absolute")
    if measured not in ("delta", "absolute"):
        raise ConfigError(f"{path}: {where}.measurement is {_shown(measured)}: delta or absolute")
    op = fields.get("op", "")
    if not isinstance(op, str) or op not in _OPERATIONS:
        known = ", ".join(filter(None, _OPERATIONS))
        raise ConfigError(f"{path}: {where}.op is {_shown(op)}: there are {known}")
    reference = fields.get("reference", 0)
    if isinstance(reference, bool) or not isinstance(reference, int):
        raise ConfigError(f"{path}: {where}.reference must be an integer, not {_shown(reference)}")
    return Measure(name, measured == "delta", op, reference)


def _terms(
    reward: dict[str, Any], variables: Mapping[str, RamNumber], path: Path
) -> tuple[RewardTerm, ...]:
    entries = _object(reward.get("variables", {}), "reward.variables", path)
    found = []
    for name, entry in entries.items():
        measure = _measure(name, entry, True, variables, "reward", path)
        sizes = [
            _number(entry.get(key, 0), f"reward.variables.{_key(name)}.{key}", path)
            for key in ("reward", "penalty")
        ]
        found.append(RewardTerm(measure, *sizes))
    return tuple(found)


def _per_step(reward: dict[str, Any], path: Path) -> float:
    time = _object(reward.get("time", {}), "reward.time", path)
    unknown = time.keys() - {"reward"}
    if unknown:
        # stable-retro's manual tells of a penalty, and its program never takes it.
        name = _key(min(unknown))
        raise ConfigError(f"{path}: reward.time.{name} has no effect that could be copied")
    return _number(time.get("reward", 0), "reward.time.reward", path)


def _number(value: Any, where: str, path: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{path}: {where} must be a number, not {_shown(value)}")
    if not abs(value) <= LARGEST:
        raise ConfigError(
            f"{path}: {where} must be from -{LARGEST:g} to {LARGEST:g}, not {_shown(value)}"
        )
    return float(value)


def _condition(entry: Any, where: str, variables: Mapping[str, RamNumber], path: Path) -> Condition:
    fields = _object(entry, where, path)
    unknown = fields.keys() - {"condition", "variables", "nodes", "script"}
    if unknown:
        raise ConfigError(f"{path}: {where} has an unknown key {_shown(min(unknown))}")
    how = fields.get("condition", "any")
    if how not in ("any", "all"):
        raise ConfigError(f"{path}: {where}.condition is {_shown(how)}: any or all")
    measured = _object(fields.get("variables", {}), f"{where}.variables", path)
    nodes = _object(fields.get("nodes", {}), f"{where}.nodes", path)
    return Condition(
        tuple(
            _measure(name, part, False, variables, where, path) for name, part in measured.items()
        ),
        tuple(
            _condition(part, f"{where}.nodes.{_key(name)}", variables, path)
            for name, part in nodes.items()
        ),
        how == "all",
    )


def _script(section: dict[str, Any]) -> str:
    return str(section.get("script", "")).rpartition(":")[2]


def _actions(entry: Any, path: Path) -> tuple[tuple[tuple[str, ...], ...], ...]:
    groups = entry if isinstance(entry, list) else [entry]
    lists = all(isinstance(group, list) for group in groups)
    held = [one for group in groups for one in group] if lists else [None]
    if not all(isinstance(one, list) and all(isinstance(b, str) for b in one) for one in held):
        raise ConfigError(f"{path}: actions must be groups of lists of buttons")
    return tuple(tuple(tuple(one) for one in group) for group in groups)
