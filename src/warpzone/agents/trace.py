"""Which buttons an agent's episode held, frame by frame."""

from __future__ import annotations

import hashlib
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from warpzone.agents.playback import Moment, Playback
from warpzone.episodes.episode import AgentPlayer, Episode, Outcome, cartridge_in, ram_digest
from warpzone.errors import EpisodeError
from warpzone.nes.console import Console
from warpzone.smb.actions import buttons_of
from warpzone.smb.starts import start_level

OPER_MODE, OPER_MODE_TASK, PLAYER_STATE = 0x0770, 0x0772, 0x000E
PLAYING = (1, 3)
"""Of the first two, where Mario is in a level; names as in native/smb/memory.h."""
ENTRANCE = 7
LAST_CUTSCENE = 5

_Ways: TypeAlias = dict[tuple[bytes, int], bytes]
"""The console's state and the buttons held last, and the buttons of all frames that led there."""


def trace(playback: Playback, seed: int) -> Episode:
    """Play the episode of `seed` and write down every frame of it, to its last one.

    Raises:
        EpisodeError: what was written down does not lead to the same game.
    """
    env = playback.env
    console = Console(env.rom)
    start_level(console, playback.level)
    tracer = _Tracer(console, env.config.skip_cutscenes, env.config.repeat_action_probability > 0)
    first = True
    for moment in playback.episode(seed):
        if first:
            tracer.idle(int(moment.signals["frames"]) - len(moment.frames))
            first = False
        tracer.follow(buttons_of(env.config.action_list[moment.action]), moment, env.ram())
    file = playback.agent.path
    buttons = tracer.finish()
    return Episode(
        rom=cartridge_in(console),
        start=playback.level,
        frames=len(buttons),
        ram_sha256=ram_digest(console),
        player=AgentPlayer(
            file=file.name,
            sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
            policy=playback.policy,
            seed=seed,
            noops=env.config.noop_max,
            sticky=env.config.repeat_action_probability,
        ),
        outcome=Outcome.from_signals(moment.signals),
        buttons=buttons,
    )


class _Tracer:
    """Finds the buttons by playing along on a console.

    An environment does not tell which frames stuck to the buttons before: every way that it may
    have gone is tried, and those are kept that lead to its RAM and its picture.
    """

    def __init__(self, console: Console, skips_cutscenes: bool, sticky: bool) -> None:
        self._console = console
        self._skips_cutscenes = skips_cutscenes
        self._sticky = sticky
        self._ways: _Ways = {(console.save(), 0): b""}

    def idle(self, frames: int) -> None:
        """The frames before the agent's first step."""
        self._console.step(0, frames)
        self._ways = {(self._console.save(), 0): bytes(frames)}

    def follow(self, buttons: int, moment: Moment, ram: NDArray[np.uint8]) -> None:
        """One step of the agent; `ram`, uint8[2048], is the environment's after it."""
        for frame in range(len(moment.frames)):
            self._ways = self._play_frame(buttons, first=frame == 0)
        self._ways = {
            (state, held): way
            for (state, held), way in self._ways.items()
            if self._matches(state, moment, ram)
        }
        if not self._ways:
            raise EpisodeError(
                f"the episode cannot be written: step {int(moment.signals['steps'])} of it could "
                "not be played again on a console. Please report this"
            )

    def finish(self) -> bytes:
        """The buttons of all frames; the console is left after the last one."""
        ((state, _), way), *_ = self._ways.items()
        self._console.load(state)
        return way

    def _play_frame(self, buttons: int, *, first: bool) -> _Ways:
        ways: _Ways = {}
        for (state, held), way in self._ways.items():
            self._console.load(state)
            # A step begins where the agent was asked, so that is no cutscene.
            if self._skips_cutscenes and not first and _is_cutscene(self._console):
                choices = {0}
            else:
                choices = {held, buttons} if self._sticky else {buttons}
            for choice in choices:
                self._console.load(state)
                self._console.step(choice)
                ways[self._console.save(), choice] = way + bytes([choice])
        return ways

    def _matches(self, state: bytes, moment: Moment, ram: NDArray[np.uint8]) -> bool:
        self._console.load(state)
        same_ram = np.array_equal(self._console.ram, ram)
        return same_ram and np.array_equal(self._console.screen(), moment.frames[-1])


def _is_cutscene(console: Console) -> bool:
    """Whether an environment that skips cutscenes would not ask the agent here."""
    ram = console.ram
    if (ram[OPER_MODE], ram[OPER_MODE_TASK]) != PLAYING:
        return True
    return bool(ram[PLAYER_STATE] <= LAST_CUTSCENE or ram[PLAYER_STATE] == ENTRANCE)
