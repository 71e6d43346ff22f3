"""Many games as Gymnasium's vector environments have them: what does not depend on the game."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from warpzone.console_text import shown
from warpzone.errors import ConfigError
from warpzone.nes.action_masks import ACTION_MASK, ActionMasks, checked_masks
from warpzone.nes.arrays import Arrays, copy_of, rows_of
from warpzone.nes.checks import native_errors
from warpzone.nes.console import FRAMES_PER_SECOND
from warpzone.nes.env_fields import AUTORESET_MODES
from warpzone.nes.exclusive import exclusive
from warpzone.nes.game_groups import GameGroups
from warpzone.nes.game_view import GameView, attribute, set_attribute
from warpzone.nes.vector_options import each_of, infos_of, mask_of, options_of, seeds_of


class VectorGames(GameGroups, VectorEnv[Any, NDArray[np.int64], NDArray[Any]]):
    """`GameGroups` with Gymnasium's way to reset and step."""

    _place: ClassVar[str]
    """The option of `reset` that says where episodes begin."""
    action_masks: ActionMasks | None = None
    """Which actions may be chosen, as `info["action_mask"]` tells; None: all, and it does not."""
    _told: tuple[str, ...] = ()
    """Names of what `info` has when an episode begins."""

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """With render_mode "rgb_array": the picture of each game, uint8[240, 256, 3]."""
        if self.render_mode is None:
            return None
        return tuple(self.picture(i) for i in range(self.num_envs))

    def close_extras(self, **_: Any) -> None:
        """Ends the threads. `close` calls it; after that, games can neither be reset nor stepped,
        and only arrays that were handed out may still be read."""
        if not hasattr(self, "_batch"):
            return  # never opened: older versions of Gymnasium close it all the same
        self.end_threads()

    @exclusive
    def end_threads(self) -> None:
        """As `close`, of games that are open. Raises `EngineError`: another thread uses them."""
        with native_errors():
            self._batch.close()

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Calls a method of each game, or gets an attribute of each: see `GameView`.

        Raises:
            ConfigError: games have no such method or attribute.
        """
        found = [attribute(view, name) for view in self._game_views]
        return tuple(one(*args, **kwargs) if callable(one) else one for one in found)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Returns an attribute of each game. Raises `ConfigError` where there is none."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Sets an attribute of each game: a list or tuple has a value for each, anything else is
        the value of all.

        Raises:
            ConfigError: not one value for each, or an attribute that is the environment's.
        """
        each = list(values) if isinstance(values, list | tuple) else [values] * self.num_envs
        if len(each) != self.num_envs:
            raise ConfigError(f"set_attr({name!r}): {len(each)} values for {self.num_envs} games")
        for view, value in zip(self._game_views, each, strict=True):
            set_attribute(view, name, value)

    def game_view(self, game: int) -> GameView:
        """Returns what of a single environment one of the games has too.

        Raises:
            ConfigError: there is no such game.
        """
        return self._game_views[self.checked_game(game)]

    def clone(self) -> Self:
        """Returns other games that go on as these do, as `copy.deepcopy` makes them.

        Raises:
            EngineError: a group is stepping, or the games are closed.
        """
        return copy.deepcopy(self)

    # --- for those that know the game: each kind has its own, here they are only declared ---------

    def send(self, group: int, actions: NDArray[np.int64], out: Any = None) -> None:
        """Begins to step the games of a group."""
        raise NotImplementedError

    def recv(self, group: int) -> Any:
        """Waits until a group has been stepped; returns what came of it."""
        raise NotImplementedError

    def console_state(self, game: int) -> bytes:
        """Returns a snapshot of a game's console."""
        raise NotImplementedError

    def _place_number(self, name: str) -> int:
        """Returns the number of a place where episodes begin. Raises `ConfigError`."""
        raise NotImplementedError

    def _shown(self) -> dict[str, NDArray[Any]]:
        """Returns what `info` has of games that have just begun."""
        raise NotImplementedError

    def _arrived(self, group: int) -> Any:
        """Waits for a group. Returns what came of its step."""
        raise NotImplementedError

    def _open(self, batch: Any) -> None:
        super()._open(batch)
        self._game_views = [GameView(self, index) for index in range(self.num_envs)]

    def _show_as(self, render_mode: str | None) -> None:
        """Says how games are shown. Raises `ConfigError`."""
        if render_mode not in (None, "rgb_array"):
            raise ConfigError(f"render_mode {render_mode!r}: there is None or 'rgb_array'")
        self.render_mode = render_mode
        self.autoreset_mode = AUTORESET_MODES[self.config.autoreset]
        self.metadata = {
            "render_modes": ["rgb_array"],
            "render_fps": render_fps(self.config.frame_skip),
            "autoreset_mode": self.autoreset_mode,
        }

    def _reset(
        self, seed: int | Sequence[int | None] | None, options: dict[str, Any] | None
    ) -> tuple[Any, dict[str, Any]]:
        self._recover()
        options = options_of(options)
        mask = mask_of(options.pop("reset_mask", None), self.num_envs)
        places = each_of(options.pop(self._place, None), self._place, (str,), self.num_envs)
        states = each_of(options.pop("state", None), "state", (bytes, bytearray), self.num_envs)
        first = options.pop("first_game", None)
        if options:
            raise ConfigError(
                f"reset has no option {', '.join(map(repr, options))}: there are 'reset_mask', "
                f"'first_game', {self._place!r} and 'state'"
            )
        if any(a is not None and b is not None for a, b in zip(places, states, strict=True)):
            raise ConfigError(
                f"give a game either options[{self._place!r}] or options['state'], not both"
            )
        numbers = [-1 if name is None else self._place_number(name) for name in places]
        seeds = seeds_of(seed, self.num_envs, first)
        if isinstance(seed, int | np.integer):
            self._np_random = None
        self._begin(
            mask,
            seeds,
            numbers if max(numbers) >= 0 else [],
            [b"" if s is None else bytes(s) for s in states] if any(states) else [],
        )
        shown = self._shown()
        self._told = tuple(shown)
        return copy_of(self._obs), self._masked(infos_of(shown), shown)

    def _masked(self, infos: dict[str, Any], shown: dict[str, NDArray[Any]]) -> dict[str, Any]:
        """Puts into `infos` which actions may be chosen in games of which `shown` is told."""
        if self.action_masks is not None:
            actions = int(self.single_action_space.n)
            told = {name: shown[name] for name in self._told}
            masks = checked_masks(self.action_masks, told, self.num_envs, actions)
            infos |= infos_of({ACTION_MASK: masks.astype(np.int8)})
        return infos

    def _step_all(self, actions: NDArray[np.int64], out: Arrays | None = None) -> list[Any]:
        """Steps all games. Returns what `_arrived` says of each group."""
        self._recover()
        try:
            actions = np.asarray(actions)
        except ValueError:
            raise ConfigError(f"actions are no array: {shown(actions)}") from None
        if actions.shape != (self.num_envs,):
            raise ConfigError(f"actions must have shape ({self.num_envs},), not {actions.shape}")
        if len(self.groups) > 1:  # of one group, send does it
            self._check_actions(actions)
        for group, rows in enumerate(self.groups):
            self._left.add(group)  # Ctrl-C may come at any moment from here on
            try:
                self.send(group, actions[rows], None if out is None else rows_of(out, rows))
            except Exception:
                self._left.discard(group)
                self._recover()
                raise
        results, failure = [], None
        for group in range(len(self.groups)):  # all of them, or a group would be left stepping
            try:
                results.append(self._arrived(group))
            except Exception as error:
                failure = failure or error
            self._left.discard(group)
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # its traceback has this frame, which would keep all games alive
        return results


def render_fps(frame_skip: int) -> int:
    """Returns how many steps make a second of the console's time, to the nearest whole number,
    which writers of films want."""
    return max(1, round(FRAMES_PER_SECOND / frame_skip))
