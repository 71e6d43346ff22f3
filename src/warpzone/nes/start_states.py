"""Moments of a user's own at which episodes begin: what `Console.save` returned, with a name."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
)

from warpzone.files import read_regular_file

MOST_BYTES = 1 << 18
"""Of a snapshot, twice what the largest one has."""
SUFFIX = ".state"
MAGIC = b"WZSTATE\0"
"""What a snapshot of a console begins with."""
_LONGEST_NAME = 200
_SAVED_GAMES = (b"WZBATCH\0", b"WZCONSO\0")
"""What bytes of `save_state` begin with."""


def _checked(snapshot: bytes) -> bytes:
    if len(snapshot) > MOST_BYTES:
        raise ValueError(f"has {len(snapshot):,} bytes, at most {MOST_BYTES:,} are possible")
    if snapshot[:8] in _SAVED_GAMES:
        raise ValueError(
            "is what save_state returned, for load_state alone: a start is what console_state() of"
            " an environment or Console.save() returned"
        )
    if snapshot[:8] != MAGIC:
        raise ValueError("is no snapshot of a console, as Console.save() returns it")
    return snapshot


def _unpack(given: Any) -> bytes:
    if isinstance(given, bytes | bytearray):
        return _checked(bytes(given))
    if not isinstance(given, str):
        raise ValueError("must be bytes, or text in base64")
    try:
        inflater = zlib.decompressobj()
        snapshot = inflater.decompress(base64.b64decode(given, validate=True), MOST_BYTES + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"is damaged: {error}") from None
    if not inflater.eof and len(snapshot) <= MOST_BYTES:
        raise ValueError("is damaged: it does not end where it should")
    return _checked(snapshot)


def _pack(snapshot: bytes) -> str:
    return base64.b64encode(zlib.compress(snapshot, 9)).decode()


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be one line of printable characters")
    return text


class StartState(BaseModel):
    """Holds a moment at which episodes may begin."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    name: Annotated[str, Field(min_length=1, max_length=_LONGEST_NAME), AfterValidator(_printable)]
    """That of its file, or what it is called in messages."""
    snapshot: Annotated[bytes, PlainValidator(_unpack), PlainSerializer(_pack, return_type=str)]
    """Of `Console.save`."""
    weight: float = Field(1.0, gt=0.0, le=1e9)
    """How often it is drawn, beside the others."""

    def __repr__(self) -> str:
        return f"StartState({self.name!r}, weight={self.weight:g})"

    __str__ = __repr__


Given = StartState | str | Path | bytes
"""A moment as it may be given: a file, or what `Console.save` returned."""
StartStates = Given | Sequence[Given] | Mapping[str, float]
"""Moments as they may be given: one, several, or a mapping from files to weights."""


def start_states(given: Any) -> Any:
    """Returns moments as `StartState` can be made of them; a text may name several files, with
    commas between.

    Raises:
        ValueError: a file cannot be read, or has no snapshot in it.
    """
    if given is None:
        return ()
    if isinstance(given, str):
        given = [name.strip() for name in given.split(",") if name.strip()]
    elif isinstance(given, Path | bytes | bytearray | StartState):
        given = [given]
    if isinstance(given, Mapping):
        items = enumerate(given.items(), start=1)
        return tuple(_state(name, number, weight) for number, (name, weight) in items)
    if not isinstance(given, Iterable):
        raise ValueError("must be a file, several, or a mapping from files to weights")
    return tuple(_state(one, number) for number, one in enumerate(given, start=1))


def distinct(states: tuple[StartState, ...]) -> tuple[StartState, ...]:
    """Returns them. Raises `ValueError` where two have one name."""
    names = [state.name for state in states]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two of them are called {name!r}: name one of the files otherwise")
    return states


def _state(given: Any, number: int, weight: Any = 1.0) -> Any:
    if isinstance(given, bytes | bytearray):
        snapshot, name = bytes(given), f"state {number}"
    elif isinstance(given, str | Path):
        name = Path(given).name[:_LONGEST_NAME]
        try:
            snapshot = read_regular_file(Path(given), MOST_BYTES)
        except OSError as error:
            raise ValueError(f"{str(given)!r} cannot be read: {error.strerror or error}") from None
    else:
        return given
    try:
        return {"name": name, "snapshot": _checked(snapshot), "weight": weight}
    except ValueError as error:
        raise ValueError(f"{name!r} {error}") from None


OwnStarts = Annotated[
    tuple[StartState, ...], BeforeValidator(start_states), AfterValidator(distinct)
]
"""The setting `start_states`."""
