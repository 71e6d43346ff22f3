"""Games that come along as descriptions (`warpzone.nes.game.Game`), one folder each.

A folder holds all that is known of one game, and knows nothing of the others, of environments or of
training. Cartridges are not part of this project, but for `catch`, which is our own.
"""

from __future__ import annotations

from importlib import import_module

from warpzone.nes.game import Game, register_game

NAMES = ("catch", "super_mario_bros_2_usa", "super_mario_bros_3", "tetris", "zelda")
"""Each is a module here with a `GAME`."""


def load(name: str) -> Game:
    """Returns the description of one of `NAMES`."""
    game: Game = import_module(f"{__name__}.{name}").GAME
    return game


def names() -> list[str]:
    """Returns what they are called."""
    return [name.replace("_", "-") for name in NAMES]


for _name in NAMES:
    register_game(_name.replace("_", "-"), lambda name=_name: load(name))  # type: ignore[misc]
