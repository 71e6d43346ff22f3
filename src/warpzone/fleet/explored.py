"""Settings that a population explores, and the bounds within which it does.

Knows names and values of settings, and no Ray.
"""

from __future__ import annotations

import math
import random
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from warpzone.errors import ConfigError
from warpzone.settings import parse_overrides, setting_names
from warpzone.training.config import TrainConfig
from warpzone.training.run_settings import fixed_because, lookup

MOST_CHOICES = 64
LOGARITHMIC = 10.0
"""A range whose ends are that far apart, as a factor, is drawn from evenly by magnitude."""
FACTORS = (0.8, 1.2)
"""By which a number is changed; of choices, the next lower or higher one is taken."""
RESAMPLED = 0.25
"""Probability with which a value is drawn anew instead of changed."""


class Explored(BaseModel):
    """A setting that is explored: from `low` to `high`, or one of `choices`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] = Field((), max_length=MOST_CHOICES)

    @model_validator(mode="after")
    def _is_one_of_the_two(self) -> Self:
        if self.choices:
            if self.low is not None or self.high is not None:
                raise ValueError("it has choices, and a range besides")
        elif self.low is None or self.high is None or self.low >= self.high:
            raise ValueError("it has neither choices nor a range from a lower to a higher number")
        return self

    def draw(self, random: random.Random) -> Any:
        """Returns a value: evenly from the range or, if it is wide, evenly by magnitude."""
        if self.choices:
            return random.choice(self.choices)
        assert self.low is not None
        assert self.high is not None
        if self.low > 0 and self.high / self.low >= LOGARITHMIC:
            drawn = math.exp(random.uniform(math.log(self.low), math.log(self.high)))
            return self._within(drawn)
        return self._within(random.uniform(self.low, self.high))

    def explore(self, value: Any, random: random.Random) -> Any:
        """Returns a value near `value`, within the bounds; now and then one drawn anew."""
        if random.random() < RESAMPLED:
            return self.draw(random)
        if self.choices:
            if value not in self.choices:
                return self.draw(random)
            place = self.choices.index(value) + random.choice((-1, 1))
            return self.choices[min(max(place, 0), len(self.choices) - 1)]
        return self._within(value * random.choice(FACTORS))

    def _within(self, value: float) -> float:
        assert self.low is not None
        assert self.high is not None
        # Four digits are enough to read, and to write on a command line.
        return min(max(float(f"{value:.4g}"), self.low), self.high)


def parse_explored(text: str, base: TrainConfig) -> Explored:
    """Returns what `"lr=1e-4..1e-2"` or `"update_epochs=1,2,4"` says.

    Args:
        text: a name and a range of two numbers, or several values with commas; a range of a setting
            that counts is one of whole numbers.
        base: settings that the trainings have otherwise.

    Raises:
        ConfigError: no such setting, one that must stay in the course of a run, or no such values.
    """
    name, values = split_setting("--pbt", text)
    if (reason := fixed_because(name)) is not None:
        raise ConfigError(
            f"{name} cannot be explored: a run must keep it, since {reason}. Compare its values by"
            " --grid"
        )
    if name == "checkpoint_every":
        raise ConfigError("checkpoint_every cannot be explored: populations go on from checkpoints")
    if ".." not in values:
        choices = tuple(parse_values("--pbt", name, values))
        if len(choices) < 2:
            raise ConfigError(
                f"--pbt {text!r} leaves nothing to explore: give a range, {name}=LOW..HIGH, or"
                " several values with commas"
            )
        _check(name, choices, base)
        return Explored(name=name, choices=choices)
    try:
        low, high = (float(end) for end in values.split(".."))
    except ValueError:
        raise ConfigError(f"--pbt {text!r}: a range is of two numbers, LOW..HIGH") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ConfigError(f"--pbt {text!r}: a range is from a lower to a higher number")
    present = lookup(base.model_dump(), name)
    if isinstance(present, int) and not isinstance(present, bool):
        if not low.is_integer() or not high.is_integer() or high - low >= MOST_CHOICES:
            raise ConfigError(
                f"--pbt {text!r}: {name} counts, so its range is of at most {MOST_CHOICES} whole"
                f" numbers; or give values with commas, {name}=1,2,4"
            )
        choices = tuple(range(int(low), int(high) + 1))
        _check(name, choices, base)
        return Explored(name=name, choices=choices)
    _check(name, (low, high), base)
    return Explored(name=name, low=low, high=high)


def split_setting(option: str, text: str) -> tuple[str, str]:
    """Returns the name and the values of `"lr=1e-3,2e-3"`.

    Raises:
        ConfigError: no `=`, or no such setting.
    """
    name, equals, values = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or not values.strip():
        raise ConfigError(f"{option} {text!r} is not of the form name=values, e.g. lr=0.001,0.002")
    if name not in setting_names(TrainConfig):
        parse_overrides([f"{name}=0"], TrainConfig)  # raises, and suggests the right one
    return name, values.strip()


def parse_values(option: str, name: str, text: str) -> list[Any]:
    """Returns the values of a setting that `text` lists with commas; lists are in brackets.

    Raises:
        ConfigError: a value is given twice, or one is missing between two commas.
    """
    parts, depth = [""], 0
    for character in text:
        depth += (character in "[{") - (character in "]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    if not all(part.strip() for part in parts):
        raise ConfigError(f"{option} {name}={text}: a value is missing beside a comma")
    values = []
    for part in parts:
        value: Any = parse_overrides([f"{name}={part}"], TrainConfig)
        for key in name.split("."):
            value = value[key]
        if value in values:
            raise ConfigError(f"{option} {name}={text}: the value {part.strip()} is given twice")
        values.append(value)
    return values


def nested(settings: dict[str, Any]) -> dict[str, Any]:
    """Returns settings by dotted name as `TrainConfig` has them, one in another."""
    result: dict[str, Any] = {}
    for name, value in settings.items():
        *path, last = name.split(".")
        place = result
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return result


def _check(name: str, values: tuple[Any, ...], base: TrainConfig) -> None:
    """Raises: ConfigError: `base` with one of `values` is no training."""
    from warpzone.settings import apply

    for value in values:
        apply(base, nested({name: value}))
