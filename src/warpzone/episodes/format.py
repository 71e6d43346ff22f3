"""The file of an episode: how the console began and which buttons were held in each frame since.

The console has no chance in it, so that is the whole game. A file is JSON, see docs/episodes.md.
It may come from anywhere: it is read only up to a size, and believed only as far as it is checked.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from warpzone.console_text import one_line
from warpzone.episodes.outcome import Outcome
from warpzone.errors import EpisodeError
from warpzone.files import check_output_path, read_regular_file, write_atomically
from warpzone.nes.console import FRAMES_PER_SECOND
from warpzone.nes.rom import Rom
from warpzone.settings import describe
from warpzone.smb.levels import LEVELS

FORMAT: Literal["warpzone episode"] = "warpzone episode"
VERSION: Literal[1] = 1
SUFFIX = ".json"
POWER_ON = "power-on"
"""The start of an episode that begins when the console is switched on; others name a level."""
MOST_FRAMES = 24 * 60 * 60 * 61
"""A day: what claims to be longer is damaged, and would fill the memory."""
MOST_SNAPSHOT = 1 << 18
"""Bytes of a console's state, twice what the largest one has."""
MOST_BYTES = 64 << 20
"""Of a file: one of training has 10 KB, and that of a day of play, which is packed, fits."""


def _pack(buttons: bytes) -> str:
    return base64.b64encode(zlib.compress(buttons, 9)).decode()


def _unpack(given: Any) -> bytes:
    if isinstance(given, bytes):
        return given
    if not isinstance(given, str):
        raise ValueError("buttons must be text in base64")
    try:
        inflater = zlib.decompressobj()
        buttons = inflater.decompress(base64.b64decode(given, validate=True), MOST_FRAMES)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"the buttons are damaged: {error}") from None
    if not inflater.eof or inflater.unused_data:
        raise ValueError("the buttons are damaged: they do not end where they should")
    return buttons


Buttons = Annotated[
    bytes, PlainValidator(_unpack), PlainSerializer(_pack, return_type=str, when_used="json")
]


def _printable(text: str) -> str:
    """Refuses what must not stand in terminals and in lines of other formats."""
    if not text.isprintable():
        raise ValueError("must be one line of printable characters")
    return text


def _small(snapshot: bytes) -> bytes:
    """Refuses what no console's state is as large as."""
    if len(snapshot) > MOST_SNAPSHOT:
        raise ValueError(f"has {len(snapshot):,} bytes, at most {MOST_SNAPSHOT:,} are possible")
    return snapshot


Text = Annotated[str, Field(max_length=200), AfterValidator(_printable)]
Sha = Annotated[str, Field(pattern="^[0-9a-f]+$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RomIdentity(_Part):
    """Says what was in the console: SHA-1 of the whole ROM file, and the revision's name."""

    sha1: Annotated[Sha, Field(min_length=40, max_length=40)]
    revision: Text


def rom_identity(rom: Rom) -> RomIdentity:
    """Returns how an episode names `rom`."""
    return RomIdentity(sha1=rom.sha1, revision=rom.revision)


class Person(_Part):
    """Stands for somebody with a keyboard or a gamepad."""

    kind: Literal["person"] = "person"

    def __str__(self) -> str:
        return "a person"


class AgentPlayer(_Part):
    """Names an agent, with what is needed to let it play the same again."""

    kind: Literal["agent"] = "agent"
    file: Text
    """Its name, without folders."""
    sha256: Annotated[Sha, Field(min_length=64, max_length=64)]
    policy: Literal["sample", "argmax"]
    seed: int
    noops: int
    sticky: float

    def __str__(self) -> str:
        return f"{self.file} ({self.policy}, seed {self.seed})"


class TrainingPlayer(_Part):
    """Names an agent in training, as it was then."""

    kind: Literal["training"] = "training"
    run: Text
    """The name of its run directory."""
    step: Annotated[int, Field(ge=0)]
    """Agent steps of training before the rollout in which this was written."""
    game: Annotated[int, Field(ge=0)]
    """Which of the games that it learns from."""
    own_start: bool = True
    """Whether it began where the level begins; else the frames before are those of a way there."""

    def __str__(self) -> str:
        return f"{self.run} in training, step {self.step:,}"


class MoviePlayer(_Part):
    """Names whoever made the movie that was imported."""

    kind: Literal["movie"] = "movie"
    author: Text | None = None

    def __str__(self) -> str:
        return f"a movie by {self.author}" if self.author else "a movie"


class Decisions(_Part):
    """Holds what an agent's policy gave out in each of its S decisions; see the properties.

    Raises:
        ValueError: the parts are not of the same number of decisions.
    """

    action_names: tuple[Text, ...]
    """As in `ACTION_SETS`: "right + A" …"""
    packed_first_frames: Buttons
    packed_actions: Buttons
    packed_values: Buttons
    packed_probabilities: Buttons

    @classmethod
    def of(
        cls,
        action_names: Sequence[str],
        first_frames: NDArray[Any],
        actions: NDArray[Any],
        values: NDArray[Any],
        probabilities: NDArray[Any],
    ) -> Decisions:
        """Packs arrays [S], [S], [S] and [S, A] as the properties return them."""
        return cls(
            action_names=tuple(action_names),
            packed_first_frames=np.asarray(first_frames, "<u4").tobytes(),
            packed_actions=np.asarray(actions, np.uint8).tobytes(),
            packed_values=np.asarray(values, "<f2").tobytes(),
            packed_probabilities=np.asarray(probabilities, "<f2").tobytes(),
        )

    @model_validator(mode="after")
    def _fits_together(self) -> Decisions:
        count = len(self.packed_actions)
        sizes = (4, 2, 2 * len(self.action_names))
        parts = (self.packed_first_frames, self.packed_values, self.packed_probabilities)
        if any(len(part) != count * size for part, size in zip(parts, sizes, strict=True)):
            raise ValueError(
                f"there are {count} actions, and other numbers of what belongs to them"
            )
        if count and int(self.actions.max()) >= len(self.action_names):
            raise ValueError("an action has no name")
        if (np.diff(self.first_frames.astype(np.int64)) <= 0).any():
            raise ValueError("the decisions are not in the order of their frames")
        return self

    @property
    def first_frames(self) -> NDArray[np.uint32]:
        """[S]: how many frames of the episode were played before the decision."""
        return np.frombuffer(self.packed_first_frames, "<u4")

    @property
    def actions(self) -> NDArray[np.uint8]:
        """[S]: index of the action chosen."""
        return np.frombuffer(self.packed_actions, np.uint8)

    @property
    def values(self) -> NDArray[np.float16]:
        """[S]: the value that the agent expected."""
        return np.frombuffer(self.packed_values, "<f2")

    @property
    def probabilities(self) -> NDArray[np.float16]:
        """[S, A]: what it gave to the actions."""
        return np.frombuffer(self.packed_probabilities, "<f2").reshape(-1, len(self.action_names))

    def at(self, place: int) -> int | None:
        """Returns the decision that the frame `place` (from 1, as `Replay.place`) belongs to; None
        before the first."""
        index = int(np.searchsorted(self.first_frames, place, side="left")) - 1
        return index if index >= 0 else None


class DescribedStart(_Part):
    """Holds where an episode of a described game begins."""

    game: Text
    """What the description is called."""
    snapshot: Annotated[Buttons, AfterValidator(_small)]
    """Of `Console.save`."""


class Episode(_Part):
    """Holds a start and the buttons held in each emulated frame after it.

    Attributes:
        format, version: tell the file from others.
        rom: the cartridge that it was played on.
        start: `POWER_ON` or a level, "1-1" to "8-4", as `start_level` begins it; or what a
            described game calls it, and then `described` has the moment itself.
        buttons: one byte a frame, bits as in `Console.step`.
        ram_sha256: SHA-256 of the RAM after the last frame, in hexadecimal; None: not known.
        player: who played.
        outcome: how an agent's episode ended; None where nobody judged.
        decisions: what the agent's policy gave out; None where that is not known.
    """

    format: Literal["warpzone episode"] = FORMAT
    version: Literal[1] = VERSION
    rom: RomIdentity
    start: Text
    described: DescribedStart | None = None
    frames: Annotated[int, Field(ge=1, le=MOST_FRAMES)]
    ram_sha256: Annotated[Sha, Field(min_length=64, max_length=64)] | None
    player: Annotated[
        Person | AgentPlayer | TrainingPlayer | MoviePlayer, Field(discriminator="kind")
    ]
    outcome: Outcome | None = None
    decisions: Decisions | None = None
    buttons: Buttons

    @model_validator(mode="after")
    def _fits_together(self) -> Episode:
        known = self.start == POWER_ON or self.start in LEVELS
        if self.described is None and not known:
            raise ValueError(f"start is {self.start!r}, must be {POWER_ON!r} or a level 1-1 to 8-4")
        if len(self.buttons) != self.frames:
            raise ValueError(
                f"frames is {self.frames}, but there are buttons for {len(self.buttons)}"
            )
        return self

    @model_serializer(mode="wrap")
    def _in_short(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out what only described games have."""
        values: dict[str, Any] = write(self)
        if self.described is None:
            del values["described"]
        return values

    @property
    def seconds(self) -> float:
        return self.frames / FRAMES_PER_SECOND

    def save(self, path: Path) -> None:
        """Writes the file, whole or not at all.

        Raises:
            ConfigError: see `check_episode_path`.
            FileError: the disk is full or the folder cannot be written.
        """
        check_episode_path(path)
        write_atomically(path, (self.model_dump_json(indent=2) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> Episode:
        """Reads what `save` wrote. Nothing in a file is executed.

        Raises:
            EpisodeError: missing, damaged, cut short, of another version, or no episode.
        """
        return cls.parse(read_bytes(path), str(path))

    @classmethod
    def parse(cls, data: bytes, name: str) -> Episode:
        """Returns the episode in a file of that name; raises what `load` does."""
        try:
            values = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise EpisodeError(
                f"{name!r} is no episode, or cut short or damaged: {error}. `warpzone record "
                "… --episode` and `warpzone play --record` write episodes"
            ) from None
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise EpisodeError(f'{name!r} is JSON, but no episode: no "format": "{FORMAT}"')
        if values.get("version") != VERSION:
            raise EpisodeError(
                f"{name!r} has episode version {one_line(repr(values.get('version')), 80)}, this "
                f"warpzone reads version {VERSION}; install the version that wrote it"
            )
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise EpisodeError(
                f"{name!r} is a damaged episode: {one_line(describe(error))}"
            ) from None


def read_bytes(path: Path, limit: int = MOST_BYTES) -> bytes:
    """Returns what is in a regular file of at most `limit` bytes.

    Raises:
        EpisodeError: there is no such file, or it is too large or cannot be read.
    """
    try:
        return read_regular_file(path, limit)
    except FileNotFoundError:
        raise EpisodeError(f"there is no episode {str(path)!r}") from None
    except OSError as error:
        raise EpisodeError(f"{str(path)!r} cannot be read: {error.strerror or error}") from error


def check_episode_path(path: Path) -> Path:
    """Returns `path` if an episode can be written there; called before anything is played.

    Raises:
        ConfigError: see `warpzone.files.check_output_path`.
    """
    return check_output_path(path, "an episode", (SUFFIX,))
