"""Checkpoints that a training goes on from.

Nothing in them can execute code: tensors are safetensors, all else is JSON. Whatever a file holds,
reading it gives a `CheckpointError` or a snapshot that makes sense. Knows no game and no network.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import safetensors
import safetensors.numpy
import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json
from torch import Tensor

from warpzone.console_text import one_line, shown
from warpzone.errors import CheckpointError, FileError
from warpzone.files import by_number, read_regular_file, write_atomically
from warpzone.ppo.config import MOST
from warpzone.settings import describe
from warpzone.version import VERSION

LONGEST_REASON = 400
LONGEST_NAME = 80
FULL = (errno.ENOSPC, errno.EDQUOT)
"""What is said where a disk has no room left."""
LARGEST = 1 << 31
"""Bytes of a checkpoint. Settings that would come to more are refused before a training plays (see
`saved_sizes`), and none of more is written."""

_NAME = re.compile(r"step-(\d{12,})\.ckpt")
_KIND = b"warpzone checkpoint "
_HEADER = _KIND + b"1 "
_VALUES = "values.json"


LAST = 2 * MOST
"""The most of what is counted: a run of `MOST` steps plays its last rollout to the end."""
Counted = Annotated[int, Field(ge=0, le=LAST)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Scale = Annotated[float, Field(gt=0.0, le=1e9)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class StatsValues(_Part):
    """See `EpisodeStats.state`."""

    recent: dict[str, list[tuple[bool, int, float, Counted]]]
    episodes: Counted


class CurriculumValues(_Part):
    """See `Curriculum.state`."""

    ways: dict[str, Annotated[str, Field(pattern="^([0-9a-f]{2})*$")]]
    cleared: dict[str, bool] = {}
    rates: list[Share]
    episodes: list[Counted]


Variation = Annotated[int, Field(ge=0, lt=2**32)]


class MomentValues(_Part):
    """See `Practice.state`."""

    level: str
    buttons: Annotated[str, Field(pattern="^([0-9a-f]{2})*$")]
    step: Counted
    back: Annotated[Counted, Field(ge=1)] = 60
    goal: Annotated[Counted, Field(ge=1)]
    born: Counted
    rate: Share
    episodes: Counted
    searched: bool = False
    hopeless: bool = False
    variation: Variation = 0


class FailureValues(_Part):
    """See `Practice.state`."""

    level: str
    own_start: bool = True
    buttons: Annotated[str, Field(pattern="^([0-9a-f]{2})*$")]
    decided: list[Annotated[int, Field(ge=0, lt=2**32)]]
    end: int
    progress: Counted
    variation: Variation = 0

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        frames = len(self.buttons) // 2
        if not self.decided or self.decided != sorted(self.decided) or self.decided[-1] > frames:
            raise ValueError("decided must tell of frames that were played, in their order")
        if not 0 <= self.end <= len(self.decided):
            raise ValueError(f"end is {self.end}, and there are {len(self.decided)} steps")
        return self


class PracticeValues(_Part):
    """See `Practice.state`."""

    moments: list[MomentValues]
    failures: Counted
    new: list[FailureValues]


class CorrectionsValues(_Part):
    """See `Corrections.state`."""

    count: Counted
    credit: float
    steps: Counted
    searches: Counted
    found: Counted
    gain: float
    own: float


class ResultValues(_Part):
    """See `EvalResult`."""

    clear_rate: Share
    episodes: Annotated[Counted, Field(ge=1)]
    ci95: Annotated[list[Share], Field(min_length=2, max_length=2)]
    mean_progress: float
    mean_frames: float | None


class JudgeValues(_Part):
    """See `EvaluationSchedule.state`."""

    measured_at: Counted
    best: Share | None
    results: dict[str, ResultValues] = {}
    """Earlier versions did not tell them."""


class RunValues(_Part):
    """What a checkpoint tells besides tensors; what other versions tell as well is passed over."""

    version: str | None = None
    step: Counted
    updates: Counted
    seconds: Annotated[float, Field(ge=0.0)]
    beta: Scale
    lr_scale: Scale
    stats: StatsValues
    curriculum: CurriculumValues | None
    practice: PracticeValues | None = None
    corrections: CorrectionsValues | None = None
    judge: JudgeValues
    earlier: list[dict[str, Any]] | None = None
    """See `Learner.earlier`; earlier versions did not tell it."""
    metrics_bytes: Counted
    ends_bytes: Counted = 0


@dataclass(frozen=True)
class Snapshot:
    """The state of a run between two updates."""

    tensors: dict[str, Tensor]
    values: dict[str, Any]
    """What JSON can hold; `step` is always there."""

    @property
    def weights(self) -> dict[str, Tensor]:
        """Returns the `state_dict` of the policy."""
        prefix = "policy."
        return {k.removeprefix(prefix): v for k, v in self.tensors.items() if k.startswith(prefix)}

    def moments(self, parameters: Sequence[Tensor]) -> dict[int, dict[str, Tensor]]:
        """Adam's state by the number of a parameter, as its `state_dict` has it.

        Nothing before the first update.

        Raises:
            KeyError: some of it is missing.
            ValueError: a moment has another shape than its parameter.
        """
        if self.values["updates"] == 0:
            return {}
        result = {}
        for index, parameter in enumerate(parameters):
            shapes = {"step": (), "exp_avg": parameter.shape, "exp_avg_sq": parameter.shape}
            result[index] = {name: self.tensors[f"adam.{index}.{name}"] for name in shapes}
            for name, shape in shapes.items():
                found = result[index][name]
                if found.shape != shape or not found.is_floating_point():
                    raise ValueError(
                        f"adam.{index}.{name} is {found.dtype} {tuple(found.shape)}, not"
                        f" floats {tuple(shape)}"
                    )
        return result

    def pack(self) -> bytes:
        """Returns it as `unpack` reads it.

        Raises:
            CheckpointError: it is too large to be read again.
        """
        text = json.dumps(self.values).encode()
        size = len(text) + sum(t.nbytes + len(name) + 128 for name, t in self.tensors.items())
        if size > LARGEST:
            raise CheckpointError(
                f"the checkpoint of step {self.values['step']:,} would have {size / 1e6:,.1f} MB,"
                f" and one of more than {LARGEST / 1e6:,.1f} MB cannot be read again: go on from"
                " the one before with a lower practice.share, or begin another run with a smaller"
                " network, fewer games (num_envs), practice.moments or corrections.kept"
            )
        values = torch.frombuffer(bytearray(text), dtype=torch.uint8)
        payload = _as_safetensors({**self.tensors, _VALUES: values})
        return _HEADER + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload

    @staticmethod
    def unpack(data: bytes, source: str) -> Snapshot:
        """Raises: CheckpointError: the bytes are damaged, or another format."""
        header, _, payload = data.partition(b"\n")
        if not header.startswith(_HEADER):
            if header.startswith(_KIND):
                number = header[len(_KIND) :].split(b" ")[0].decode(errors="replace")
                number = one_line(number, LONGEST_NAME)
                raise CheckpointError(
                    f"{source} has checkpoint format {number}, this warpzone reads format 1; go on"
                    " with the version that wrote it"
                )
            raise CheckpointError(f"{source} is not a checkpoint of warpzone, or its start is lost")
        if hashlib.sha256(payload).hexdigest().encode() != header[len(_HEADER) :]:
            raise CheckpointError(f"{source} is damaged: its checksum does not match")
        try:
            tensors = safetensors.torch.load(payload)
            values = from_json(tensors.pop(_VALUES).numpy().tobytes())
            step = values["step"]
        except (
            *(safetensors.SafetensorError, KeyError, ValueError, TypeError, IndexError),
            *(RuntimeError, AttributeError, OverflowError),
        ) as error:
            raise CheckpointError(f"{source} is damaged: {_one_line(error)}") from error
        if type(step) is not int or not 0 <= step <= LAST:
            raise CheckpointError(f"{source} is damaged: its step is {shown(step, 50)}")
        return Snapshot(tensors, values)

    @staticmethod
    def read(path: Path) -> Snapshot:
        """Raises: CheckpointError: no such file, not a file, too large, damaged, another format."""
        try:
            data = read_regular_file(path, LARGEST)
        except OSError as error:
            raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
        return Snapshot.unpack(data, str(path))


def _as_safetensors(tensors: Mapping[str, Tensor]) -> bytes:
    """The bytes of `safetensors.torch.save`, which never forgets a size that it has saved a tensor
    of: by way of NumPy, where that knows all types of numbers."""
    try:
        arrays = {name: t.detach().cpu().contiguous().numpy() for name, t in tensors.items()}
    except TypeError:  # bfloat16, for example
        return safetensors.torch.save(dict(tensors))
    return safetensors.numpy.save(arrays)


class Checkpoints:
    """The checkpoints of one run, named by step, of which the newest few are kept."""

    def __init__(self, directory: Path, keep: int) -> None:
        self.directory, self.keep = directory, keep

    def paths(self) -> list[Path]:
        """Newest last.

        Raises:
            CheckpointError: the directory cannot be read, which may have some all the same.
        """
        try:
            found = (p for p in self.directory.iterdir() if _NAME.fullmatch(p.name))
            return sorted(found, key=by_number)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise CheckpointError(
                f"cannot read {self.directory}: {error.strerror or error}"
            ) from error

    def save(self, snapshot: Snapshot) -> Path:
        """Writes a checkpoint, then deletes those that are too many; one that cannot be deleted now
        goes after the next.

        Raises:
            FileError: it cannot be written. Those before are untouched, but for the oldest where
                the disk is full.
        """
        path = self.directory / f"step-{snapshot.values['step']:012d}.ckpt"
        data = snapshot.pack()
        try:
            write_atomically(path, data)
        except FileError as error:
            if error.errno in FULL:
                self._thin(self.keep - 1, path)  # the oldest is worth less than the new one
            write_atomically(path, data)
        self._thin(self.keep, path)
        if snapshot.values["step"] > 0:
            # A run begins with one, so that it can always go on. Later, to go back to it after some
            # damage would be to begin anew without a word.
            with suppress(OSError):
                (self.directory / f"step-{0:012d}.ckpt").unlink(missing_ok=True)
        return path

    def _thin(self, most: int, newest: Path) -> None:
        """Deletes all but `most`, as far as that can be done, and never `newest`: first those of
        later steps, which the run has gone back from, then the oldest."""
        with suppress(CheckpointError):
            paths = self.paths()
            later = [path for path in paths if by_number(path) > by_number(newest)]
            earlier = [path for path in paths if by_number(path) < by_number(newest)]
            for old in [*later, *earlier][: max(0, len(paths) - most)]:
                with suppress(OSError):
                    old.unlink(missing_ok=True)

    def newest(self, warn: Callable[[str], None]) -> Snapshot | None:
        """The newest checkpoint that is whole, with a warning for each that is not.

        Raises:
            CheckpointError: there are checkpoints, but none can be read.
        """
        return self.restore(lambda snapshot: None, warn)

    def restore(
        self, take: Callable[[Snapshot], None], warn: Callable[[str], None]
    ) -> Snapshot | None:
        """Goes back to the newest checkpoint that is whole and fits, with a warning for each not.

        Args:
            take: takes over the state of one, all of it whatever it took over before; may raise
                KeyError, TypeError, ValueError or RuntimeError where that does not fit.
            warn: receives a line for each that is passed over.

        Returns:
            The one that was taken; None: there are no checkpoints.

        Raises:
            CheckpointError: there are checkpoints, but none can be read, or none fits.
        """
        paths = self.paths()
        unreadable = misfit = None
        for path in reversed(paths):
            try:
                snapshot = Snapshot.read(path)
            except CheckpointError as error:
                unreadable = unreadable or error
                reason = str(error)
            else:
                try:
                    with self._going_on(snapshot):
                        take(snapshot)
                    return snapshot
                except CheckpointError as error:
                    misfit = misfit or error
                    reason = str(error)
            if path != paths[0]:
                warn(f"{reason}; trying the one before")
        if misfit is not None:
            raise misfit
        if unreadable is not None:
            raise CheckpointError(
                f"no checkpoint in {self.directory} can be read; train again in another directory."
                f" The newest: {unreadable}"
            )
        return None

    @contextmanager
    def _going_on(self, snapshot: Snapshot) -> Iterator[None]:
        """While the state is taken over from `snapshot`, which an earlier version may have written.

        Raises:
            CheckpointError: it lacks something, or what is in it does not fit this version.
        """
        try:
            yield
        except (LookupError, TypeError, ValueError, RuntimeError, OverflowError) as error:
            ours, writer = VERSION, snapshot.values.get("version")
            known = "a warpzone that did not tell its version"
            if writer:
                known = f"warpzone {one_line(str(writer), LONGEST_NAME)}"
            if writer == ours:
                known += ", in an earlier state of it"
            what = _one_line(error)
            agent = self.directory.parent / "agent.safetensors"
            raise CheckpointError(
                f"cannot go on from step {snapshot.values['step']:,} in {self.directory}:"
                f" {what}. It was written by {known}, and this is {ours}."
                f" Go on with that version, or begin a new run with its agent: --set init={agent}"
            ) from error


def checked_values(snapshot: Snapshot) -> dict[str, Any]:
    """Returns the values of a snapshot of a run, all of them there and of the right type.

    Raises:
        ValidationError: one is not.
    """
    return RunValues.model_validate_json(json.dumps(snapshot.values)).model_dump()


def _one_line(error: Exception) -> str:
    """What is wrong, for the middle of a sentence."""
    if isinstance(error, ValidationError):
        missing = [fault["loc"] for fault in error.errors() if fault["type"] == "missing"]
        if missing:
            error = KeyError(".".join(map(str, missing[0])))
    if isinstance(error, KeyError):
        return f"there is no {one_line(repr(error.args[0]), LONGEST_NAME)} in it"
    text = describe(error) if isinstance(error, ValidationError) else str(error)
    return one_line(" ".join(text.split()).rstrip("."), LONGEST_REASON)
