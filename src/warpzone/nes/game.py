"""A game as data: which numbers in its memory say what, where play begins, and what they are worth.

Knows no cartridge by name, and steps nothing: `warpzone.nes.game_vector_env` plays what is
described here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, SupportsIndex, TypeAlias

import numpy as np
from numpy.typing import NDArray

from warpzone.console_text import shown
from warpzone.errors import ConfigError, RomError
from warpzone.nes.buttons import buttons_of
from warpzone.nes.cartridge import RomSource, open_rom
from warpzone.nes.checks import is_whole, require
from warpzone.nes.game_start import Startup
from warpzone.nes.rom import Rom, rom_of
from warpzone.nes.variables import Memory, Values, Variable

Function: TypeAlias = Callable[[Values, Values], Any]
"""A function of the variables now and before the step that returns an array of n."""

Infos: TypeAlias = Callable[[Values, Values], Mapping[str, Any]]

Start: TypeAlias = bytes | str | Path | Callable[[Startup], None]
"""Where an episode begins: a snapshot of `Console.save`, a file of one, or a function that plays
there from power-on, once."""


RESERVED = {"steps", "frames", "progress", "best_progress", "episode_return", "success"}
"""Names that are told beside the variables."""
RESERVED |= {"final_obs", "final_info"}  # Gymnasium's own


def _is_plain(name: Any) -> bool:
    """Whether a file and a folder can have that name, and a command take it."""
    if not isinstance(name, str) or not name.isprintable():
        return False
    return name.strip() == name != "" and name[0] not in ".-" and not set(name) & set("/\\:")


def _are_buttons(actions: Any) -> bool:
    lists = isinstance(actions, list | tuple) and all(isinstance(a, list | tuple) for a in actions)
    return lists and all(isinstance(name, str) for action in actions for name in action)


def _is_variable(value: Any) -> bool:
    return isinstance(value, Variable)


def _is_memory(value: Any) -> bool:
    return isinstance(value, Memory)


def _is_start(value: Any) -> bool:
    return isinstance(value, bytes | str | Path) or callable(value)


_KINDS: tuple[tuple[tuple[str, ...], Callable[[Any], bool], str], ...] = (
    (
        ("variables", "memory", "starts", "settings"),
        lambda value: isinstance(value, Mapping),
        "a dict",
    ),
    (("actions",), _are_buttons, "a list of lists of buttons, e.g. [[], ['right', 'A']]"),
    (("reward", "done", "success"), callable, "a function"),
    (
        ("progress", "info", "observe"),
        lambda value: value is None or callable(value),
        "a function, or None",
    ),
    (
        ("cartridge",),
        lambda value: value is None or isinstance(value, str | Path) or callable(value),
        "a file, a name, a function that makes it, or None",
    ),
    (
        ("contents",),
        lambda value: isinstance(value, Collection) and not isinstance(value, str | bytes),
        "a list of SHA-1s",
    ),
    (("status_bar",), is_whole, "a whole number"),
)
"""Fields of a description, what their values must be, and that for people."""


def _no_success(now: Values, before: Values) -> NDArray[Any]:
    return np.zeros(len(now["steps"]), np.bool_)


@dataclass(frozen=True, kw_only=True, eq=False)
class Game:
    """A game that is played on a console. Functions get the variables after and before a step, each
    an int64 array over n games (see `Values`), and return an array of n.

    Args:
        name: what it is called in commands and files.
        cartridge: the ROM where none is given: a file, a name that `warpzone rom --list` shows, or
            a function that makes the bytes of the file.
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
    cartridge: str | Path | Callable[[], bytes] | None = None
    contents: Sequence[str] = ()
    memory: Mapping[str, Memory] = field(default_factory=dict)
    status_bar: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(_is_plain(self.name), "name of a game", self.name, "one that a file could have")
        for fields, of_kind, must in _KINDS:
            for name in fields:
                value = getattr(self, name)
                require(of_kind(value), f"{self.name}: {name}", value, must)
        for what, parts, of_kind, must in (
            ("variable", self.variables, _is_variable, "a Variable(address=…)"),
            ("memory", self.memory, _is_memory, "a Memory(address=…, size=…)"),
            ("start", self.starts, _is_start, "a snapshot, its file, or a function"),
        ):
            for name, value in dict(parts).items():
                require(of_kind(value), f"{self.name}: {what} {name!r}", value, must)
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

    def __deepcopy__(self, memo: Any) -> Game:
        """Returns itself: nothing in it changes, and starts that were played to belong to it."""
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """A game that was registered is pickled by its name: its functions may have none."""
        if self.name in _games and _games[self.name]() is self:
            return game_named, (self.name,)
        return super().__reduce_ex__(protocol)

    def open_rom(self, rom: RomSource = None) -> Rom:
        """Returns the ROM that is named, or else the game's own.

        Raises:
            RomError: there is none, it cannot be used, or it is of another cartridge.
        """
        if rom is None:
            if self.cartridge is None:
                raise RomError(
                    f"{self.name} names no cartridge: give its ROM, e.g. rom='my.nes' (--rom my.nes"
                    " on the command line)"
                )
            if callable(self.cartridge):
                return rom_of(self.cartridge(), Path(f"{self.name}.nes"), "made by its description")
            rom = self.cartridge
        found = open_rom(rom)
        self.check_cartridge(found)
        return found

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


def meant_game(rom: Any, game: Any) -> Game:
    """Returns the description that is meant beside a ROM, which says what was mixed up with it.

    Raises:
        ConfigError: there is no game of that name, or it is neither a name nor a description.
    """
    if isinstance(game, str):
        return game_named(game)
    if not isinstance(game, Game):
        first = isinstance(rom, Game) or (isinstance(rom, str) and rom in game_names())
        named = repr(rom) if isinstance(rom, str) and first else "GAME"
        given = shown(game, 60)
        raise ConfigError(
            f"game is {given}: it must be a Game, or the name of one. The ROM comes first:"
            f" make_vec(rom, {named}, 8) or make(rom, {named}), with rom=None for the game's own"
        )
    return game
