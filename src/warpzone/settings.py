"""`--set key=value`: settings by dotted name, checked against a pydantic model before use.

A model may tell, as `OTHER_NAMES`, what its settings are called elsewhere or were called once:
who uses such a name is told the right one. Knows no setting by name.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from warpzone.errors import ConfigError

Settings = TypeVar("Settings", bound=BaseModel)

LONGEST_VALUE = 80
"""Characters of a value in a message."""
MOST_FAULTS, LONGEST_FAULTS = 20, 3000
"""That a message tells of, and their characters; a file may have any number."""
LONGEST_BEGIN, LONGEST_END = 600, 200
"""Characters of what is wrong with one setting, from both ends: between may be a whole value."""


def parse_overrides(texts: Iterable[str], model: type[BaseModel]) -> dict[str, Any]:
    """Turn `["lr=3e-4", "env.noop_max=10"]` into `{"lr": 0.0003, "env": {"noop_max": 10}}`.

    Values are read as JSON (numbers, true, null, lists, objects) and otherwise taken as text.

    Raises:
        ConfigError: no `=`, or a name that `model` does not have; the text suggests the right one.
    """
    result: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise ConfigError(f"--set {text!r} is not of the form name=value, e.g. --set lr=0.0003")
        if name not in setting_names(model):
            raise ConfigError(f"unknown setting {name!r}.{_suggestion(name, model)}")
        *path, last = name.split(".")
        place = result
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise ConfigError(f"--set {text!r}: {part!r} was already set as a whole")
        place[last] = _value(value.strip())
    return result


def format_override(name: str, value: Any) -> str:
    """The inverse of `parse_overrides` for one setting: `"lr=0.0003"`, from what JSON can hold."""
    if isinstance(value, str) and _value(value.strip()) == value:
        return f"{name}={value}"
    return f"{name}={json.dumps(value, separators=(',', ':'))}"


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `changes` laid over it, nested mappings merged by key."""
    merged = dict(base)
    for name, value in changes.items():
        old = merged.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[name] = merge(old, value)
        else:
            merged[name] = value
    return merged


def apply(config: Settings, changes: Mapping[str, Any]) -> Settings:
    """Return `config` with `changes` laid over it.

    Raises:
        ConfigError: an unknown setting, or a value out of its range.
    """
    try:
        return type(config).model_validate(merge(config.model_dump(), changes))
    except ValidationError as error:
        raise ConfigError(describe(error, type(config))) from error


def describe(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """Returns a line for each fault that pydantic has found, up to `MOST_FAULTS`; `model` suggests
    the right names."""
    lines = []
    faults = error.errors(include_url=False)
    for fault in faults[:MOST_FAULTS]:
        name = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"].removeprefix("Value error, ")
        if len(message) > LONGEST_BEGIN + LONGEST_END:
            message = f"{message[:LONGEST_BEGIN]}…{message[-LONGEST_END:]}"
        if fault["type"] == "extra_forbidden":
            message = "there is no such setting"
            if model is not None:
                message += f".{_suggestion(name, model)}"
        # A whole object as the value says nothing about which part of it is wrong.
        given = "" if isinstance(fault["input"], dict) else f" (given: {_short(fault['input'])})"
        line = f"{_cut(name)}: {message}{given}" if name else message
        # Names and values come from files, too, and are to be shown in a terminal.
        lines.append("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line))
        if sum(map(len, lines)) > LONGEST_FAULTS:
            break
    if len(faults) > len(lines):
        lines.append(f"… and {len(faults) - len(lines):,} more")
    return "\n".join(lines)


def setting_names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """All names of settings of `model`, nested ones with dots."""
    for name, field in model.model_fields.items():
        yield prefix + name
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from setting_names(kind, f"{prefix}{name}.")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or numbers and lists beyond all reason
        return text


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        return "a number of too many digits"
    return _cut(text)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _suggestion(name: str, model: type[BaseModel]) -> str:
    known = list(setting_names(model))
    right = getattr(model, "OTHER_NAMES", {}).get(name)
    if right is not None:
        return f" It is called {right} here"
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    last_part = name.rsplit(".", 1)[-1]
    close += [k for k in known if k.rsplit(".", 1)[-1] == last_part and k not in close]
    if close:
        return f" Did you mean {' or '.join(close)}?"
    return f" Known settings: {', '.join(known)}"
