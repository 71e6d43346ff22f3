"""`gym.wrappers`: pictures in grey, made smaller, one over the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from warpzone.compat.gym.core import ObservationWrapper, RewardWrapper, Wrapper
from warpzone.errors import ConfigError

SHIFT = 15
GREY = np.array([9798, 19235, 3735], np.float32)
"""Of red, green and blue, in 2^-15: the luma of ITU-R BT.601, rounded as OpenCV does."""


class GrayScaleObservation(ObservationWrapper):
    """Shows pictures in grey: uint8[height, width], or with a channel behind, `keep_dim`."""

    def __init__(self, env: Any, keep_dim: bool = False) -> None:
        super().__init__(env)
        self.keep_dim = keep_dim
        shape = self.observation_space.shape
        if shape is None or len(shape) != 3 or shape[-1] != 3:
            raise ConfigError(f"observations of shape {shape} are no pictures in colour")
        shape = (*shape[:2], 1) if keep_dim else shape[:2]
        self.observation_space = Box(low=0, high=255, shape=shape, dtype=np.uint8)

    def observation(self, observation: Any) -> NDArray[np.uint8]:
        # All sums are integers below 2^24, so that 32-bit floats have them exactly.
        sums = np.asarray(observation).astype(np.float32) @ GREY
        grey = ((sums + (1 << (SHIFT - 1))) * np.float32(2.0**-SHIFT)).astype(np.uint8)
        return grey[..., None] if self.keep_dim else grey


class TransformObservation(ObservationWrapper):
    """Shows `f` of each observation."""

    def __init__(self, env: Any, f: Callable[[Any], Any]) -> None:
        super().__init__(env)
        self.f = f

    def observation(self, observation: Any) -> Any:
        return self.f(observation)


class TransformReward(RewardWrapper):
    """Gives `f` of each reward."""

    def __init__(self, env: Any, f: Callable[[float], float]) -> None:
        super().__init__(env)
        self.f = f

    def reward(self, reward: float) -> float:
        return self.f(reward)


class LazyFrames:
    """Observations that are put together when an array is made of them: a replay memory then holds
    each of them once.

    Attributes:
        shape: of that array.
        dtype: likewise.
    """

    __slots__ = ("_frames", "dtype", "shape")

    def __init__(self, frames: list[NDArray[Any]]) -> None:
        self._frames = frames
        self.shape = (len(frames), *frames[0].shape)
        self.dtype = frames[0].dtype

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("the frames lie apart: an array of them is a copy")
        made = np.stack(self._frames)
        return made if dtype is None else made.astype(dtype)

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        found: NDArray[Any] = np.stack(self._frames)[index]
        return found

    def __eq__(self, other: object) -> Any:
        return np.asarray(self) == other

    __hash__ = None  # type: ignore[assignment]  # it is as equal as its frames are


class FrameStack(Wrapper):
    """Shows the last observations, oldest first, as `LazyFrames`."""

    def __init__(self, env: Any, num_stack: int, lz4_compress: bool = False) -> None:
        super().__init__(env)
        if lz4_compress:
            raise ConfigError("lz4_compress: frames are not compressed here")
        self.num_stack = num_stack
        self.frames: deque[Any] = deque(maxlen=num_stack)
        space: Any = self.observation_space
        low, high = (np.repeat(x[None], num_stack, axis=0) for x in (space.low, space.high))
        self.observation_space = Box(low=low, high=high, dtype=space.dtype)

    def reset(self, **given: Any) -> Any:
        shown = self.env.reset(**given)
        self.frames.extend([shown] * self.num_stack)
        return LazyFrames(list(self.frames))

    def step(self, action: Any) -> Any:
        shown, *rest = self.env.step(action)
        self.frames.append(shown)
        return (LazyFrames(list(self.frames)), *rest)
