"""Going from power-on to where an episode of a game begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from warpzone.errors import EngineError
from warpzone.nes.buttons import buttons_of
from warpzone.nes.console import Console
from warpzone.nes.variables import Variable


class Startup:
    """A console that is on its way to a start.

    Args:
        console: just switched on.
        variables: those of the game, by name.
    """

    def __init__(self, console: Console, variables: Mapping[str, Variable]) -> None:
        self.console = console
        self.variables = variables

    def values(self) -> dict[str, int]:
        """Returns the variables as they stand."""
        ram, prg_ram = self.console.ram, self.console.prg_ram
        return {name: variable.read(ram, prg_ram) for name, variable in self.variables.items()}

    def wait(self, frames: int) -> None:
        """Lets so many frames pass with nothing held."""
        self.console.step(0, frames)

    def press(self, *buttons: str, frames: int = 2, release: int = 2) -> None:
        """Holds buttons for some frames, and nothing for some after that."""
        self.console.step(buttons_of(buttons), frames)
        self.console.step(0, release)

    def until(
        self,
        condition: Callable[[dict[str, int]], bool],
        *buttons: str,
        every: int = 20,
        limit: int = 3600,
    ) -> None:
        """Waits until the variables fulfil a condition, pressing buttons for two frames of every so
        many, if there are any.

        Raises:
            EngineError: they do not within `limit` frames.
        """
        held = buttons_of(buttons)
        for frame in range(limit):
            if condition(self.values()):
                return
            self.console.step(held if frame % every < 2 else 0)
        raise EngineError(
            f"the game does not get to its start: what is waited for has not come in {limit} frames"
        )
