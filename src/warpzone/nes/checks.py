"""Errors that say what is wrong with what games were given."""

from __future__ import annotations

import math
import re
import secrets
from typing import Any

import numpy as np

from warpzone.console_text import shown
from warpzone.errors import ConfigError, EngineError, WarpzoneError


class native_errors:
    """Turns what the native core says into `ConfigError` and `EngineError`; a context.

    A class, since a generator's frames stay beside the error until a garbage collection from Python
    3.12 on, and with them the games that were stepped.
    """

    def __enter__(self) -> None:
        """Does nothing."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if isinstance(error, WarpzoneError):
            return
        if isinstance(error, ValueError | IndexError):
            raise ConfigError(str(error)) from None
        if isinstance(error, TypeError) and _WRONG_TYPES in str(error):
            raise ConfigError(_wrong_types(str(error))) from None
        if isinstance(error, RuntimeError):
            raise EngineError(str(error)) from None


def _wrong_types(text: str) -> str:
    """Says for people what nanobind says where no signature fits: "recv takes (group: int), and not
    these types: str"."""
    name = text.partition("(")[0]
    takes = re.search(r"1\. \w+\(self(?:, )?(.*)\) ->", text)
    given = text.rpartition("Invoked with types: ")[2].split(", ")[1:]
    known = f" takes ({takes[1]}), and" if takes else " is"
    return f"{name}{known} not these types: {', '.join(given)}"


_WRONG_TYPES = "incompatible function arguments"
_MOST_DIGITS = 1_000


def crashed(cartridge: str) -> EngineError:
    """Returns what is said of a program that cannot go on, of the cartridge of this name."""
    return EngineError(
        f"the program of {shown(cartridge, 200)} has crashed: it ran into an opcode that halts the"
        " CPU"
    )


def seed_or_drawn(seed: int | None) -> int:
    """Returns a seed, drawn for None. Raises `ConfigError`."""
    return secrets.randbits(64) if seed is None else checked_seed(seed)


def require(fits: bool, name: str, value: Any, must: str) -> None:
    """Raises `ConfigError` unless `fits`: "NAME is VALUE: it must be …"."""
    if not fits:
        raise ConfigError(f"{name} is {shown(value)}: it must be {must}")


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number; True and False are none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def whole_number(value: Any, name: str) -> int:
    """Returns it. Raises `ConfigError` where it is none, or none that Python would write."""
    require(is_whole(value), name, value, "a whole number")
    number = int(value)
    require(abs(number) < 10**_MOST_DIGITS, name, value, f"of at most {_MOST_DIGITS:,} digits")
    return number


def checked_episodes(episodes: Any) -> int:
    """Returns how many episodes are to be played. Raises `ConfigError`."""
    number = whole_number(episodes, "episodes")
    require(1 <= number < 2**31, "episodes", episodes, "at least 1 and below 2**31")
    return number


def number_of(value: Any, name: str) -> float:
    """Returns a number that is finite. Raises `ConfigError` where it is none."""
    try:
        fits = isinstance(value, int | float | np.integer | np.floating) and math.isfinite(value)
    except OverflowError:  # a whole number beyond all others
        fits = False
    require(fits, name, value, "a finite number")
    return float(value)


def checked_seed(seed: Any) -> int:
    """Returns a seed of the native core's random streams. Raises `ConfigError`."""
    number = whole_number(seed, "seed")
    if not 0 <= number < 2**64:
        raise ConfigError(f"seed is {seed}: it must be at least 0 and below 2**64")
    return number
