"""What vector environments are given with `reset`, and give back as `infos`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warpzone.errors import ConfigError
from warpzone.nes.checks import checked_seed, require, whole_number


def options_of(given: Any) -> dict[str, Any]:
    """Returns the options of a reset as a dict of their own. Raises `ConfigError` for others."""
    require(given is None or isinstance(given, Mapping), "options", given, "a dict, or None")
    return dict(given or {})


def mask_of(given: Any, games: int) -> NDArray[np.bool_]:
    """Returns bool[games]: those that `options["reset_mask"]` names, all for None.

    Raises:
        ConfigError: an array of another shape.
    """
    if given is None:
        return np.ones(games, dtype=np.bool_)
    mask = np.asarray(given, dtype=np.bool_)
    if mask.shape != (games,):
        raise ConfigError(f"options['reset_mask'] must have shape ({games},), not {mask.shape}")
    return mask


def each_of(given: Any, name: str, kinds: tuple[type, ...], games: int) -> list[Any]:
    """Returns one value of `options[name]` for each game, None where there is none.

    Raises:
        ConfigError: neither one value nor as many as there are games.
    """
    values: list[Any] = []
    if given is None or isinstance(given, kinds):
        values = [given] * games
    elif isinstance(given, Iterable):
        values = list(given)
    if len(values) != games or not all(
        value is None or isinstance(value, kinds) for value in values
    ):
        raise ConfigError(
            f"options[{name!r}] must be {kinds[0].__name__}, or one or None for each of "
            f"{games} games"
        )
    if any(isinstance(value, bytes | bytearray) and not value for value in values):
        raise ConfigError(f"options[{name!r}]: a state of 0 bytes is no snapshot")
    return values


def seeds_of(
    seed: int | Sequence[int | None] | None, games: int, first: Any = None
) -> list[tuple[int, int] | None]:
    """Returns of each game its seed and the number of its stream; none: go on with the old ones.
    `first`: the option `first_game`, the number of the first game's stream of one seed.

    Raises:
        ConfigError: an impossible seed, or not one for each game; a first game without one seed.
    """
    one_seed = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if first is not None and not one_seed:
        raise ConfigError("options['first_game'] is for one seed of all games: give a number")
    begin = 0 if first is None else whole_number(first, "options['first_game']")
    if not 0 <= begin < 1 << 62:
        raise ConfigError(f"options['first_game'] is {begin}: it must be 0 to 2**62")
    if seed is None:
        return []
    if isinstance(seed, int | np.integer):
        number = checked_seed(seed)
        return [(number, begin + index) for index in range(games)]
    each: Any = seed
    if isinstance(each, str | bytes | bytearray | Mapping) or not isinstance(each, Iterable):
        each = [checked_seed(each)]  # it is none, and says so
    seeds = [None if one is None else checked_seed(one) for one in each]
    if len(seeds) != games:
        raise ConfigError(f"seed has {len(seeds)} numbers for {games} games")
    return [None if one is None else (one, 0) for one in seeds]


def infos_after(
    reached: Mapping[str, NDArray[Any]],
    begun: Mapping[str, NDArray[Any]],
    ended: NDArray[np.bool_],
    finals: Sequence[Any],
) -> dict[str, Any]:
    """Returns `infos` of a step after which episodes have begun anew: of the games as they stand,
    and beside them what the steps that ended episodes have led to.

    Args:
        reached: what the step has led to.
        begun: the same of the games as they stand.
        ended: bool[games]: whose episode has ended.
        finals: the last observation of each of these.
    """
    infos = infos_of(begun)
    final_obs = np.full(len(ended), None, dtype=object)
    for game, last in zip(np.flatnonzero(ended), finals, strict=True):
        final_obs[game] = last
    infos["final_obs"], infos["_final_obs"] = final_obs, ended
    infos["final_info"], infos["_final_info"] = infos_of(reached, ended), ended.copy()
    return infos


def infos_of(
    signals: Mapping[str, NDArray[Any]], mask: NDArray[np.bool_] | None = None
) -> dict[str, Any]:
    """Returns arrays as Gymnasium's `infos` has them: with one beside each that says of which games
    it tells, all for None."""
    infos: dict[str, Any] = {}
    for name, values in signals.items():
        if mask is None:  # once for all of them: a step of a few games is not much longer
            mask = np.ones(len(values), np.bool_)
        infos[name] = values
        infos[f"_{name}"] = mask
    return infos
