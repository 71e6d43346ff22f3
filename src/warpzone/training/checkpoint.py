"""Checkpoints that a training goes on from.

Nothing in them can execute code: tensors are safetensors, all else is JSON.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from warpzone.errors import CheckpointError, FileError
from warpzone.files import write_atomically
from warpzone.version import VERSION

_KIND = b"warpzone checkpoint "
_HEADER = _KIND + b"1 "
_VALUES = "values.json"


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

    def pack(self) -> bytes:
        text = json.dumps(self.values).encode()
        payload = safetensors.torch.save(
            {**self.tensors, _VALUES: torch.frombuffer(bytearray(text), dtype=torch.uint8)}
        )
        return _HEADER + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload

    @staticmethod
    def unpack(data: bytes, source: str) -> Snapshot:
        """Raises: CheckpointError: the bytes are damaged, or another format."""
        header, _, payload = data.partition(b"\n")
        if not header.startswith(_HEADER):
            if header.startswith(_KIND):
                number = header[len(_KIND) :].split(b" ")[0].decode(errors="replace")
                raise CheckpointError(
                    f"{source} has checkpoint format {number}, this warpzone reads format 1; go on"
                    " with the version that wrote it"
                )
            raise CheckpointError(f"{source} is not a checkpoint of warpzone, or its start is lost")
        if hashlib.sha256(payload).hexdigest().encode() != header[len(_HEADER) :]:
            raise CheckpointError(f"{source} is damaged: its checksum does not match")
        tensors = safetensors.torch.load(payload)
        return Snapshot(tensors, json.loads(tensors.pop(_VALUES).numpy().tobytes()))


class Checkpoints:
    """The checkpoints of one run, named by step, of which the newest few are kept."""

    def __init__(self, directory: Path, keep: int) -> None:
        self.directory, self.keep = directory, keep

    def paths(self) -> list[Path]:
        """Newest last."""
        return sorted(self.directory.glob("step-*.ckpt"))

    def save(self, snapshot: Snapshot) -> Path:
        """Write a checkpoint, then delete those that are too many."""
        path = self.directory / f"step-{snapshot.values['step']:012d}.ckpt"
        data = snapshot.pack()
        try:
            write_atomically(path, data)
        except FileError:
            # On a full disk the oldest checkpoint is worth less than the new one.
            for old in self.paths()[: 1 - self.keep]:
                old.unlink(missing_ok=True)
            write_atomically(path, data)
        for old in self.paths()[: -self.keep]:
            old.unlink(missing_ok=True)
        return path

    def newest(self, warn: Callable[[str], None]) -> Snapshot | None:
        """The newest checkpoint that is whole, with a warning for each that is not.

        Raises:
            CheckpointError: there are checkpoints, but none can be read.
        """
        paths, reason = self.paths(), ""
        for path in reversed(paths):
            try:
                return Snapshot.unpack(path.read_bytes(), str(path))
            except (CheckpointError, OSError) as error:
                reason = str(error)
                warn(f"{reason}; trying the one before")
        if paths:
            raise CheckpointError(
                f"no checkpoint in {self.directory} can be read; train again in another directory."
                f" The oldest: {reason}"
            )
        return None

    @contextmanager
    def going_on(self, snapshot: Snapshot) -> Iterator[None]:
        """While the state is taken over from `snapshot`, which an earlier version may have written.

        Raises:
            CheckpointError: it lacks something, or what is in it does not fit this version.
        """
        try:
            yield
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
            ours, writer = VERSION, snapshot.values.get("version")
            known = f"warpzone {writer}" if writer else "a warpzone that did not tell its version"
            if writer == ours:
                known += ", in an earlier state of it"
            lack = isinstance(error, KeyError)
            what = f"there is no {error.args[0]!r} in it" if lack else str(error).rstrip(".")
            agent = self.directory.parent / "agent.safetensors"
            raise CheckpointError(
                f"cannot go on from step {snapshot.values['step']:,} in {self.directory}:"
                f" {' '.join(what.split())}. It was written by {known}, and this is {ours}."
                f" Go on with that version, or begin a new run with its agent: --set init={agent}"
            ) from error
