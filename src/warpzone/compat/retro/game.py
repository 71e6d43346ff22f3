"""An integration of stable-retro as a game that `warpzone.nes.make_vec` plays."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from warpzone.compat.retro.integration import Integration, load_integration
from warpzone.compat.retro.types import CODINGS, RamNumber
from warpzone.errors import ConfigError
from warpzone.nes.game import RESERVED, Function, Game, Start
from warpzone.nes.variables import Values, Variable

GROUPS: tuple[tuple[tuple[str, ...], ...], ...] = (
    ((), ("UP",), ("DOWN",)),
    ((), ("LEFT",), ("RIGHT",)),
    ((), ("A",), ("B",), ("A", "B")),
)
"""What stable-retro lets be held together where a scenario says nothing: one of each group."""


def game_of(
    integration: str | Path | Integration,
    start: Start,
    *,
    reward: Function | None = None,
    done: Function | None = None,
    cartridge: str | None = None,
    any_revision: bool = False,
) -> Game:
    """Returns a game that stable-retro knows as `warpzone.nes.make_vec` takes it.

    Args:
        integration: its name, the path of its folder, or what `load_integration` has read.
        start: where episodes begin: a snapshot of `Console.save`, a file of one, or a function that
            plays there. The savestates of the folder are of another emulator.
        reward: in place of the scenario's, which may be a script.
        done: likewise.
        cartridge: the ROM: a file, or a name that `warpzone rom --list` shows; None: the one that
            stable-retro has put into the folder.
        any_revision: take other cartridges too than those whose hash is in the folder.

    Raises:
        ConfigError: there is no such integration, it cannot be understood, or a script says what is
            not given here.
    """
    if not isinstance(integration, Integration):
        integration = load_integration(integration)
    if reward is None and integration.reward_script:
        raise ConfigError(integration.scripted("reward", integration.reward_script))
    if done is None and integration.done_script:
        raise ConfigError(integration.scripted("done", integration.done_script))
    if cartridge is None and integration.rom is not None:
        cartridge = str(integration.rom)
    seen = _Seen(integration.variables)
    return Game(
        name=integration.name,
        variables={seen.name(name): variable(n) for name, n in integration.variables.items()},
        actions=held_together(integration.actions or GROUPS),
        starts={integration.default_state or "start": start},
        reward=reward or (lambda now, before: integration.rewards(seen(now), seen(before))),
        done=done or (lambda now, before: integration.dones(seen(now), seen(before))),
        info=lambda now, before: seen.masked(now),
        cartridge=cartridge,
        contents=() if any_revision else integration.contents,
    )


class _Seen(dict[str, RamNumber]):
    """Makes the integration's variables of the game's: some have another name there, or bits that
    do not count."""

    def name(self, name: str) -> str:
        """Returns the game's name of a variable. What begins with "_" is not shown as it is."""
        if self[name].mask is not None:
            return f"_{name}"
        return f"{name}_" if name in RESERVED else name

    def __call__(self, values: Values) -> dict[str, NDArray[np.int64]]:
        named = {name: values[self.name(name)] for name in self}
        return named | self.masked(values)

    def masked(self, values: Values) -> dict[str, NDArray[np.int64]]:
        """Returns those with bits that do not count, without them."""
        return {
            name: values[self.name(name)] & number.mask
            for name, number in self.items()
            if number.mask is not None
        }


def variable(number: RamNumber) -> Variable:
    """Returns a number in RAM as games describe it, whatever its mask."""
    return Variable(
        address=number.address,
        width=number.size,
        order="big" if number.big else "little",
        coding=CODINGS[number.format],
        signed=number.format == "i",
        above_nine="kept" if CODINGS[number.format] == "binary" else "modulo",
    )


def held_together(groups: tuple[tuple[tuple[str, ...], ...], ...]) -> list[list[str]]:
    """Returns all actions that take one of each group, the buttons by our names."""
    found: dict[tuple[str, ...], None] = {}
    for chosen in itertools.product(*groups):
        names = [name for one in chosen for name in one]
        found[tuple(n if n in "AB" else n.lower() for n in dict.fromkeys(names))] = None
    return [list(action) for action in found]
