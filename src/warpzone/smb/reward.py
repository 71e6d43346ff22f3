"""Rewards of a user's own: functions over signals, and over RAM for those that ask for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from warpzone.errors import ConfigError
from warpzone.own_code import described, imported
from warpzone.smb.memory import MEMORY
from warpzone.smb.signals import SIGNALS, SignalArrays, ram_number

RewardFunction: TypeAlias = Callable[[SignalArrays, SignalArrays], NDArray[np.floating]]
"""A reward of one's own: called with the signals after and before a step, each an array over the
games, it returns one number for each of them.

    def speed(now, before):
        return np.minimum(now["progress"] - before["progress"], 16) / 10 - 5.0 * (now["death"] > 0)
"""

Variables: TypeAlias = dict[str, tuple[int, ...]]
"""Addresses of the bytes that make each number, the highest first."""

RAM, RAM_BYTES = "ram", 0x800
_READS = "reads_ram_variables"

F = TypeVar("F", bound=RewardFunction)


@overload
def reads_ram(function: F, /) -> F: ...
@overload
def reads_ram(*names: str, **addresses: int | tuple[int, ...]) -> Callable[[F], F]: ...
def reads_ram(*given: Any, **addresses: Any) -> Any:
    """Marks a reward function that reads work RAM beside the signals, after and before a step.

    >>> @reads_ram                                  # now["ram"]: uint8[N, 2048]
    ... def big(now, before):
    ...     return (now["ram"][:, MEMORY["power"]] > 0) * 1.0

    >>> @reads_ram("power", frame=0x0009)             # now["power"], now["frame"]: int64[N]
    ... def stronger(now, before):
    ...     return now["power"] - before["power"]

    Args:
        given: the function; or names of `warpzone.smb.memory.MEMORY`, whose bytes are wanted.
        addresses: numbers by a name of your own: the address of a byte, 0 to 0x7FF, or those of
            several that make one number, the highest first.

    Returns:
        The function itself, or what marks one. As it ended the step's RAM is that of the episode
        that the step belonged to, not of the next one.

    Raises:
        ConfigError: an unknown name, the name of a signal, or an address outside RAM.
    """
    if len(given) == 1 and not addresses and callable(given[0]):
        setattr(given[0], _READS, {})
        return given[0]
    wanted: dict[str, Any] = {}
    for name in given:
        if name not in MEMORY:
            raise ConfigError(
                f"reads_ram: there is no {name!r} in warpzone.smb.memory.MEMORY; name the address:"
                f" reads_ram({name}=0x0009)"
            )
        wanted[name] = MEMORY[name]
    variables = _variables({**wanted, **addresses})
    if not variables:
        raise ConfigError("reads_ram is written without brackets, or with what is to be read")

    def mark(function: F) -> F:
        setattr(function, _READS, variables)
        return function

    return mark


def ram_read_by(function: RewardFunction | None) -> Variables | None:
    """Returns what of RAM a reward function reads, {}: all of it as it is; None: nothing."""
    found: Variables | None = getattr(function, _READS, None)
    return found


def with_ram(signals: SignalArrays, ram: NDArray[np.uint8], variables: Variables) -> SignalArrays:
    """Returns signals of n games, and beside them what a reward function reads of their RAM."""
    if not variables:
        return {**signals, RAM: ram}
    numbers = {name: ram_number(ram, *addresses) for name, addresses in variables.items()}
    return {**signals, **numbers}


def reward_named(code: str) -> RewardFunction:
    """Imports the reward function that the user has named as `module:function`.

    Raises:
        ConfigError: there is none, or it is no function.
    """
    found = imported(code, "reward")
    if not callable(found):
        raise ConfigError(f"the reward {code!r} is {found!r}, not a function of (now, before)")
    function: RewardFunction = found
    return function


def checked_rewards(
    function: RewardFunction, now: SignalArrays, before: SignalArrays
) -> NDArray[np.float32]:
    """Returns what a reward function gives for a step of n games, float32[n].

    Raises:
        ConfigError: it fails, or does not give one finite number for each of them.
    """
    name = getattr(function, "__name__", type(function).__name__)
    try:
        given = np.asarray(function(now, before))
    except Exception as error:
        remedy = ""
        if isinstance(error, KeyError):
            remedy = f". It is given {', '.join(now)}"
        raise ConfigError(
            f"the reward function {name} failed: {described(error)}{remedy}"
        ) from error
    games = len(now["steps"])
    if given.shape != (games,) or given.dtype.kind not in "fiub":
        raise ConfigError(
            f"the reward function {name} returned shape {given.shape} of {given.dtype}; there must"
            f" be one reward for each game: numbers of shape ({games},)"
        )
    with np.errstate(over="ignore"):
        rewards = given.astype(np.float32)
    if not np.isfinite(rewards).all():
        game = int(np.flatnonzero(~np.isfinite(rewards))[0])
        raise ConfigError(
            f"the reward function {name} returned {given[game]} for game {game} of the {games} that"
            f" were stepped: rewards must be finite numbers"
        )
    return rewards


def _variables(given: Mapping[str, Any]) -> Variables:
    variables: Variables = {}
    for name, addresses in given.items():
        each = addresses if isinstance(addresses, tuple | list) else (addresses,)
        if name in (*SIGNALS, RAM):
            raise ConfigError(
                f"reads_ram: {name!r} is the name of what a reward function is given anyway; take"
                f" another for RAM, e.g. {name}_byte"
            )
        inside = all(
            isinstance(a, int) and not isinstance(a, bool) and 0 <= a < RAM_BYTES for a in each
        )
        if not each or len(each) > 7 or not inside:
            raise ConfigError(
                f"reads_ram: {name}={addresses!r} is neither an address in RAM, 0 to"
                f" {RAM_BYTES - 1}, nor a tuple of at most seven of them"
            )
        variables[name] = tuple(each)
    return variables
