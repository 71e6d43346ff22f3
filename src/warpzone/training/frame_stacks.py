"""Stacks of pictures on the CPU in memory that holds each picture once, and makes the stacks when
they are read.

A stack is the pictures that a game showed last, so that two stacks of one game that follow each
other differ by one picture. Where they do not, since an episode began, all pictures of the later
one are kept: what is read is bit for bit what was stored, whatever the games do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from warpzone.ppo.policy import ARRAY, Shapes
from warpzone.smb.config import EnvConfig


def shows_stacks(config: EnvConfig, shapes: Shapes) -> bool:
    """Returns whether observations of these shapes are stacks that go on by one picture a step."""
    shape = shapes.get(ARRAY, ())
    # Three in the last place are colours.
    return len(shape) == 3 and shape[0] > 1 and shape[2] != 3 and not config.consecutive


class _Pictures:
    """The memory, which may move when it grows."""

    def __init__(self, frames: Tensor) -> None:
        self.frames = frames

    def make_room(self, count: int) -> None:
        """Sees to it that there is room for `count` pictures."""
        if count > len(self.frames):
            frames = self.frames.new_zeros((count + count // 8, *self.frames.shape[1:]))
            frames[: len(self.frames)] = self.frames
            self.frames = frames


class FrameStacks:
    """Stacks uint8 [..., S, H, W], the oldest picture first, that are made when they are read.

    `stacks[t, rows]`, and whatever else is not a slice alone, is a tensor; `stacks[:-1]` and
    `stacks.flatten(0, 1)` are stacks again, of the same memory.
    """

    def __init__(self, pictures: _Pictures, places: Tensor) -> None:
        """`places`: int64 [..., S], which of the pictures is in each place."""
        self.pictures, self.places = pictures, places

    @property
    def frames(self) -> Tensor:
        """Returns all pictures, uint8 [F, H, W]."""
        return self.pictures.frames

    @property
    def shape(self) -> tuple[int, ...]:
        """Returns the shape that a tensor of all of this would have."""
        return (*self.places.shape, *self.frames.shape[1:])

    @property
    def device(self) -> torch.device:
        """Returns where the pictures are."""
        return self.frames.device

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Any:
        places = self.places[index]
        if isinstance(index, slice):
            return FrameStacks(self.pictures, places)
        # Several times as fast as `frames[places]`.
        return torch.from_numpy(np.take(self.frames.numpy(), places.numpy(), axis=0))

    def flatten(self, first: int, last: int) -> FrameStacks:
        """Returns the same stacks with the dimensions `first` to `last` as one."""
        return FrameStacks(self.pictures, self.places.flatten(first, last))

    @classmethod
    def __torch_function__(
        cls,
        function: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Fills a tensor with some of the stacks where `torch.index_select` is asked to; no other
        function of torch takes them."""
        if function is not torch.index_select:
            return NotImplemented
        return _index_select(*args, **kwargs or {})

    def new_empty(self, shape: tuple[int, ...]) -> Tensor:
        """Returns a tensor of pictures that is not filled yet."""
        return self.frames.new_empty(shape)


def _index_select(stacks: FrameStacks, dim: int, index: Tensor, *, out: Tensor) -> Tensor:
    places = stacks.places.index_select(dim, index).flatten()
    torch.index_select(stacks.frames, 0, places, out=out.flatten(0, 1))
    return out


class StoredStacks(FrameStacks):
    """The stacks of T steps of N games, [T, N, S, H, W], in the order in which they are seen:
    `stacks[0] = ...` of all games first, then `stacks[t, rows] = ...` of some of them."""

    @classmethod
    def zeros(cls, shape: tuple[int, ...], *, dtype: torch.dtype, device: torch.device) -> Self:
        """Makes room for stacks of `shape` [T, N, S, H, W], as `torch.zeros` would."""
        steps, games, depth, *picture = shape
        # The newest pictures of all stacks, then those before them of stacks that began something.
        room = steps * games + games * (depth - 1) * 2
        frames = torch.zeros((room, *picture), dtype=dtype, device=device)
        places = torch.zeros(steps, games, depth, dtype=torch.int64, device=device)
        return cls(_Pictures(frames), places)

    def __setitem__(self, index: int | tuple[int, slice], stacks: Tensor) -> None:
        step, rows = index if isinstance(index, tuple) else (index, slice(None))
        # A few rows are handled faster by NumPy.
        new, frames, places = stacks.numpy(), self.frames.numpy(), self.places.numpy()
        steps, games, depth = places.shape
        first, last, _ = rows.indices(games)
        newest = range(step * games + first, step * games + last)
        frames[newest.start : newest.stop] = new[:, -1]
        places[step, rows, -1] = newest
        if step == 0:
            self._used = steps * games
            begun = np.arange(games)
        else:
            goes_on = places[step - 1, rows, 1:]
            places[step, rows, :-1] = goes_on
            differ = np.take(frames, goes_on, axis=0) != new[:, :-1]
            begun = differ.any((1, 2, 3)).nonzero()[0]
        if len(begun):
            older = range(self._used, self._used + len(begun) * (depth - 1))
            self.pictures.make_room(older.stop)
            self.frames.numpy()[older.start : older.stop] = np.concatenate(new[begun, :-1])
            places[step, first + begun, :-1] = np.reshape(older, (len(begun), depth - 1))
            self._used = older.stop
