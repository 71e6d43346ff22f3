"""One game of many, as Gymnasium's `call`, `get_attr` and `set_attr` see it."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import gymnasium
import numpy as np
from numpy.typing import NDArray

from warpzone.errors import ConfigError
from warpzone.nes.buttons import keys_to_action
from warpzone.nes.checks import require

if TYPE_CHECKING:
    from warpzone.nes.rom import Rom


class Games(Protocol):
    """What a view needs of the environment that it looks into, a vector environment of ours."""

    metadata: dict[str, Any]
    render_mode: str | None
    spec: Any

    config: Any

    @property
    def rom(self) -> Rom: ...
    @property
    def single_observation_space(self) -> gymnasium.Space[Any]: ...
    @property
    def single_action_space(self) -> gymnasium.Space[Any]: ...
    @property
    def action_meanings(self) -> list[str]: ...
    @property
    def buttons(self) -> Sequence[Sequence[str]]: ...
    def picture(self, game: int, /) -> NDArray[np.uint8]: ...
    def ram(self, game: int, /) -> NDArray[np.uint8]: ...
    def save_state(self, game: int, /) -> bytes: ...
    def load_state(self, state: bytes, game: int, /) -> None: ...
    def console_state(self, game: int, /) -> bytes: ...


class GameView:
    """What of a single environment a game of a vector environment has too.

    Other attributes may be set to anything, as on any object, and are found again; those that are
    the vector environment's cannot be changed for one game.
    """

    def __init__(self, envs: Games, index: int) -> None:
        # Not one holding the other, or both would keep their memory until a garbage collection.
        self._envs: Games = weakref.proxy(envs)
        self._index = index

    @property
    def config(self) -> Any:
        return self._envs.config

    @property
    def rom(self) -> Rom:
        return self._envs.rom

    @property
    def metadata(self) -> dict[str, Any]:
        return self._envs.metadata

    @property
    def render_mode(self) -> str | None:
        return self._envs.render_mode

    @property
    def spec(self) -> Any:
        return self._envs.spec

    @property
    def observation_space(self) -> gymnasium.Space[Any]:
        return self._envs.single_observation_space

    @property
    def action_space(self) -> gymnasium.Space[Any]:
        space: gymnasium.Space[Any] = self._envs.single_action_space
        return space

    @property
    def action_meanings(self) -> list[str]:
        return self._envs.action_meanings

    def get_action_meanings(self) -> list[str]:
        return list(self._envs.action_meanings)

    def get_keys_to_action(self) -> dict[tuple[int, ...], int]:
        return keys_to_action(self._envs.buttons)

    def render(self) -> NDArray[np.uint8] | None:
        return None if self.render_mode is None else self._envs.picture(self._index)

    def ram(self) -> NDArray[np.uint8]:
        return self._envs.ram(self._index)

    def save_state(self) -> bytes:
        return self._envs.save_state(self._index)

    def load_state(self, state: bytes) -> None:
        self._envs.load_state(state, self._index)

    def console_state(self) -> bytes:
        return self._envs.console_state(self._index)


def attribute(view: GameView, name: str) -> Any:
    """Returns an attribute by its name.

    Raises:
        ConfigError: there is none, or its name begins with an underscore.
    """
    require(isinstance(name, str), "the name of an attribute", name, "a string")
    if name.startswith("_") or not hasattr(view, name):
        raise ConfigError(
            f"a game has no attribute {name!r}: it has {', '.join(sorted(_names(view)))}"
        )
    return getattr(view, name)


def set_attribute(view: GameView, name: str, value: Any) -> None:
    """Sets an attribute by its name.

    Raises:
        ConfigError: it is one of the vector environment's, or its name begins with an underscore.
    """
    require(isinstance(name, str), "the name of an attribute", name, "a string")
    if name.startswith("_") or hasattr(GameView, name):
        raise ConfigError(
            f"the attribute {name!r} of a game cannot be set: make another environment"
        )
    setattr(view, name, value)


def _names(view: GameView) -> set[str]:
    return {name for name in dir(view) if not name.startswith("_")}
