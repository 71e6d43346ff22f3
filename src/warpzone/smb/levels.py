"""The 32 levels by name, and the ways to choose among them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from warpzone.console_text import shown
from warpzone.errors import LevelError

LEVELS: tuple[str, ...] = tuple(
    f"{world}-{stage}" for world in range(1, 9) for stage in range(1, 5)
)
"""Names of all levels, in the order of the game: "1-1" … "8-4"."""

LevelSpec: TypeAlias = str | Iterable[str] | Mapping[str, float]
"""A level, several of them, levels with weights, or "all"."""

_WATER = {"2-2", "7-2"}
_UNDERGROUND = {"1-2", "4-2"}
_BRIDGES = {"2-3", "7-3"}
_TREETOPS = {"1-3", "3-3", "4-3", "5-3", "6-3"}
_MAZES = {"4-4", "7-4", "8-4"}


def level_index(name: str) -> int:
    """The number 0-31 of a level. Raises `LevelError` for a name that is not one."""
    try:
        return LEVELS.index(name)
    except ValueError:
        close = difflib.get_close_matches(str(name).replace("_", "-"), LEVELS, n=1, cutoff=0.6)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise LevelError(f"there is no level {name!r}: levels are 1-1 to 8-4{hint}") from None


def level_kind(name: str) -> str:
    """What sort of level it is, in a word or two."""
    level_index(name)
    for kind, names in (
        ("water", _WATER),
        ("underground", _UNDERGROUND),
        ("bridges", _BRIDGES),
        ("treetops", _TREETOPS),
        ("castle maze", _MAZES),
    ):
        if name in names:
            return kind
    return "castle" if name.endswith("-4") else "overground"


def parse_levels(spec: LevelSpec) -> dict[str, float]:
    """Levels with their weights, in the order of the game.

    `spec` is a level ("1-1"), several separated by commas ("1-1,1-2"), "all", an iterable of
    names, or a mapping from names to weights (relative probabilities of an episode's level).

    Raises:
        LevelError: an unknown level, a negative or infinite weight, or nothing to choose from.
    """
    weights: dict[str, float]
    if isinstance(spec, str):
        names = LEVELS if spec.strip() == "all" else [part.strip() for part in spec.split(",")]
        weights = dict.fromkeys(names, 1.0)
    elif isinstance(spec, Mapping):
        weights = {str(name): _weight(str(name), weight) for name, weight in spec.items()}
    elif isinstance(spec, Iterable):
        weights = dict.fromkeys((str(name) for name in spec), 1.0)
    else:
        raise LevelError(
            f"{spec!r} are no levels: give one such as 1-1, a list of them, a mapping from "
            "levels to weights, or all"
        )
    for name, weight in weights.items():
        level_index(name)
        if not math.isfinite(weight) or weight < 0:
            raise LevelError(f"the weight of level {name} is {weight}; it must be 0 or more")
    chosen = {name: weights[name] for name in LEVELS if weights.get(name, 0.0) > 0}
    if not chosen:
        raise LevelError("no level is chosen: give one such as 1-1, several, or all")
    return chosen


def _weight(name: str, weight: Any) -> float:
    try:
        return float(weight)
    except (TypeError, ValueError, OverflowError):
        raise LevelError(
            f"the weight of level {name} is {shown(weight, 50)}; it must be a number, 0 or more"
        ) from None
