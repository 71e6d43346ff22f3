"""`nes_py.wrappers`: a few combinations of buttons as actions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium

from warpzone.compat.nes_py.arrays import checked_action
from warpzone.errors import ConfigError
from warpzone.nes.buttons import BUTTONS
from warpzone.nes.checks import require


class JoypadSpace(gymnasium.Wrapper[Any, int, Any, int]):
    """Makes the index of a list of buttons the action.

    It works on environments of both kinds, whatever their `reset` and `step` give.

    Args:
        env: whose actions are bytes, see `NESEnv`.
        actions: lists of buttons: right, left, down, up, start, select, B, A, NOOP.

    Raises:
        ConfigError: there is no such button, or no list of lists.
    """

    def __init__(self, env: gymnasium.Env[Any, int], actions: Sequence[Sequence[str]]) -> None:
        fits = isinstance(actions, Sequence) and not isinstance(actions, str) and len(actions) > 0
        require(fits, "actions", actions, "a list of lists of buttons")
        for names in actions:
            require(isinstance(names, Sequence), "an action", names, "a list of buttons")
        super().__init__(env)
        space: Any = gymnasium.spaces.Discrete(len(actions))
        self.action_space = space
        self._bytes = [sum(_bit(name) for name in set(names)) for names in actions]
        self._meanings = [" ".join(names) for names in actions]

    @classmethod
    def buttons(cls) -> list[str]:
        """Returns the names of the buttons."""
        return ["right", "left", "down", "up", "start", "select", "B", "A", "NOOP"]

    def step(self, action: Any) -> Any:
        """Raises `ConfigError` for an action that there is not, else gives what `env.step` does."""
        return self.env.step(self._bytes[checked_action(action, len(self._bytes))])

    def reset(self, **given: Any) -> Any:
        return self.env.reset(**given)

    def get_keys_to_action(self) -> dict[tuple[int, ...], int]:
        """Returns which keys, as sorted codes, are which action."""
        unwrapped: Any = self.env.unwrapped
        keys = {byte: pressed for pressed, byte in unwrapped.get_keys_to_action().items()}
        return {keys[byte]: action for action, byte in enumerate(self._bytes)}

    def get_action_meanings(self) -> list[str]:
        """Returns the buttons of each action in a word or some."""
        return list(self._meanings)


def _bit(name: str) -> int:
    if name == "NOOP":
        return 0
    if name not in BUTTONS:
        raise ConfigError(
            f"there is no button {name!r}: there are {', '.join(JoypadSpace.buttons())}"
        )
    return BUTTONS[name]


__all__ = ["JoypadSpace"]
