"""A game as data: which numbers in its memory say what, where play begins, and what they are worth.

Knows no cartridge by name, and steps nothing: `warpzone.nes.game_vector_env` plays what is
described here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from warpzone.errors import ConfigError, RomError
from warpzone.nes.buttons import buttons_of
from warpzone.nes.game_start import Startup
from warpzone.nes.rom import Rom
from warpzone.nes.variables import Memory, Values, Variable

Function: TypeAlias = Callable[[Values, Values], Any]
"""A function of the variables now and before the step that returns an array of n."""

Infos: TypeAlias = Callable[[Values, Values], Mapping[str, Any]]

Start: TypeAlias = bytes | Path | Callable[[Startup], None]
"""Where an episode begins: a snapshot of `Console.save`, a file of one, or a function that plays
there from power-on, once."""


RESERVED = {"steps", "frames", "progress", "best_progress", "episode_return", "success", "start"}
"""Names that are told beside the variables, the last one in training alone."""


def _no_success(now: Values, before: Values) -> NDArray[Any]:
    return np.zeros(len(now["steps"]), np.bool_)


@dataclass(frozen=True, kw_only=True, eq=False)
class Game:
    """A game that is played on a console. Functions get the variables after and before a step, each
    an int64 array over n games (see `Values`), and return an array of n.

    Args:
        name: what it is called in commands and files.
        cartridge: the ROM where none is given: a file, or a name that `warpzone rom --list` shows.
        contents: SHA-1 of program and pictures of the cartridges that it is known to describe;
            empty: any. `Rom.contents_sha1` is that of one.
        variables: numbers in memory by name. A name that begins with "_" is not shown in `info`.
        memory: stretches of memory that the functions get beside the variables, by name.
        actions: lists of buttons; each is an action.
        starts: by name where an episode may begin, the first one unless another is asked for.
        reward: of each game, as float32.
        done: whether the episode is over, e.g. a life lost.
        success: whether it is won, which ends it as well. Not given: no episode is.
        progress: how far it has come, in the game's own unit. It is among the variables of the
            other functions as `progress`, beside its best of the episode, `best_progress`: a
            difference of those rewards what is new. Not given: the score is the rewards so far.
        info: what else is shown beside the variables.
        observe: float32 [n, k], the observation "variables"; not given: each variable, divided by
            the highest value that it can have.
        status_bar: how many lines at the top of the picture show no play.
        settings: defaults of this game for fields of `GameConfig`.
    """

    name: str
    variables: Mapping[str, Variable]
    actions: Sequence[Sequence[str]]
    starts: Mapping[str, Start]
    reward: Function
    done: Function
    success: Function = _no_success
    progress: Function | None = None
    info: Infos | None = None
    observe: Function | None = None
    cartridge: str | None = None
    contents: Sequence[str] = ()
    memory: Mapping[str, Memory] = field(default_factory=dict)
    status_bar: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.variables:
            raise ConfigError(f"{self.name}: a game needs at least one variable")
        if not self.actions:
            raise ConfigError(f"{self.name}: a game needs at least one action")
        if not self.starts:
            raise ConfigError(f"{self.name}: a game needs a start")
        for names in self.actions:
            buttons_of(names)
        for name in (RESERVED | set(self.memory)) & set(self.variables):
            raise ConfigError(f"{self.name}: a variable must not be called {name!r}")
        for name in RESERVED & set(self.memory):
            raise ConfigError(f"{self.name}: a stretch of memory must not be called {name!r}")
        if not 0 <= self.status_bar < 240:
            raise ConfigError(f"{self.name}: status_bar is {self.status_bar}: it is 0 to 239 lines")

    def check_cartridge(self, rom: Rom) -> None:
        """Raises `RomError` for another cartridge than the one that is described."""
        if self.contents and rom.contents_sha1 not in self.contents:
            raise RomError(
                f"{rom.path} is not the cartridge that {self.name} describes: its program and"
                f" pictures have the SHA-1 {rom.contents_sha1}, not {' or '.join(self.contents)}"
            )


_games: dict[str, Callable[[], Game]] = {}


def register_game(name: str, load: Callable[[], Game]) -> None:
    """Lets a game be asked for by its name."""
    _games[name] = load


def game_names() -> list[str]:
    """Returns the names of games that are known."""
    return sorted(_games)


def game_named(name: str) -> Game:
    """Returns a game that was registered.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in _games:
        raise ConfigError(f"there is no game {name!r}: there are {', '.join(game_names())}")
    return _games[name]()
