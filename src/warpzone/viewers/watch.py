"""An agent plays, at the console's own frame rate and every frame of it: in a window, or wherever
a `Viewer` draws."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warpzone.agents.playback import Playback
from warpzone.episodes.outcome import Outcome
from warpzone.nes.console import FRAMES_PER_SECOND
from warpzone.training.agent_file import PolicyMode
from warpzone.video.glow import Glow
from warpzone.viewers.controls import HELP, Controls
from warpzone.viewers.window import Pacer, Window

WATCH_HELP = (
    *HELP[:-2],
    "A\targmax or sample",
    "S\twhat decisions depend on",
    *HELP[-2:],
)
HELP_FRAMES = round(4 * FRAMES_PER_SECOND)
"""How long the help is shown at the start."""
PAUSED_FPS = 30


@dataclass(slots=True)
class Tally:
    """What happened in the window."""

    frames: int = 0
    episodes: int = 0
    cleared: int = 0


def watch(
    open_playback: Callable[[str], Playback],
    levels: Sequence[str],
    *,
    palette: NDArray[np.uint8],
    title: str = "warpzone",
    scale: int = 3,
    seed: int = 0,
    max_frames: int | None = None,
) -> Tally:
    """Show an agent's play until the window is closed.

    Args:
        open_playback: makes the player of a level.
        levels: the levels that the keys N and P go through, from the first one on.
        palette: uint8[64, 3] RGB.
        title: of the window.
        scale: screen pixels per NES pixel, 1-8.
        seed: of the first episode; the following ones count up.
        max_frames: close after so many pictures; None waits for the user to close the window.

    Raises:
        DisplayError: no window can be opened.
    """
    instead = "To see the agent play without one, make a film: warpzone record … -o clip.mp4"
    with Window(title, palette, scale=scale, instead=instead) as window:
        watcher = _Watcher(window, seed, max_frames)
        watcher.run(open_playback, levels)
    return watcher.tally


class Viewer(ABC):
    """Plays episode after episode, frame by frame, as the user wants it; where it is seen is for
    subclasses.

    Attributes:
        tally: what has happened.
        controls: what the user wants.
    """

    def __init__(self, seed: int, max_frames: int | None) -> None:
        """
        Args:
            seed: of the first episode; the following ones count up.
            max_frames: end after so many emulated frames; None waits for the user.
        """
        self.tally = Tally()
        self.controls = Controls()
        self._seed = seed
        self._max_frames = max_frames
        self._policy: PolicyMode | None = None
        """What the user switched to; until then each level's player keeps its own."""
        self._saliency = False

    @abstractmethod
    def listen(self) -> None:
        """Put what the user did since the last call into `controls`."""

    @abstractmethod
    def wait(self, speed: float) -> bool:
        """Wait until the next frame is due, at `speed` times the console's own; return whether to
        draw it."""

    @abstractmethod
    def draw(
        self, playback: Playback, frame: NDArray[np.uint8], buttons: str, outcome: str
    ) -> None:
        """Draw one picture.

        Args:
            playback: who plays.
            frame: uint8[240, 256] NES palette indices or uint8[240, 256, 3] RGB.
            buttons: that are held.
            outcome: how the episode ended; empty while it goes on.
        """

    def run(self, open_playback: Callable[[str], Playback], levels: Sequence[str]) -> None:
        """Play until the user quits; arguments as of `watch`."""
        place = 0
        while not self.controls.quit:
            with closing(open_playback(levels[place])) as playback:
                if self._policy is not None:
                    playback.policy = self._policy
                playback.saliency = self._saliency
                while not (self.controls.quit or self.controls.level_change):
                    self.controls.restart = False
                    self._play_episode(playback)
                    self._seed += 1
            place = (place + self.controls.take_level_change()) % len(levels)

    def _play_episode(self, playback: Playback) -> None:
        glow = Glow(playback.palette)
        for moment in playback.episode(self._seed):
            buttons = playback.action_names[moment.action]
            for frame in glow.frames(moment):
                self._show(playback, frame, buttons)
                if self.controls.interrupted:
                    return
        outcome = Outcome.from_signals(moment.signals)
        self.tally.episodes += 1
        self.tally.cleared += outcome.cleared
        for frame in playback.aftermath(outcome):
            self._show(playback, frame, "", str(outcome))
            if self.controls.interrupted:
                return

    def _show(
        self, playback: Playback, frame: NDArray[np.uint8], buttons: str, outcome: str = ""
    ) -> None:
        """Show one frame for as long as it is due; while paused, until the user goes on."""
        controls = self.controls
        self.tally.frames += 1
        while True:
            self.listen()
            if controls.switch_policy:
                self._policy = "argmax" if playback.policy == "sample" else "sample"
                playback.policy = self._policy
                controls.switch_policy = False
            if controls.switch_saliency:
                self._saliency = playback.saliency = not self._saliency
                controls.switch_saliency = False
            waiting = controls.paused and not controls.one_frame
            due = self.wait(PAUSED_FPS / FRAMES_PER_SECOND if waiting else controls.speed)
            if waiting or due:
                self.draw(playback, frame, buttons, outcome)
            if not waiting or controls.interrupted:
                break
        controls.one_frame = False
        if self._max_frames is not None and self.tally.frames >= self._max_frames:
            controls.quit = True

    def state(self, playback: Playback) -> list[str]:
        """For the status: level, policy, episodes that cleared, speed, saliency, pause."""
        tally = self.tally
        parts = [playback.level, playback.policy, f"cleared {tally.cleared} of {tally.episodes}"]
        if self.controls.speed != 1.0:
            parts.append(f"×{self.controls.speed:g}")
        if playback.saliency:
            parts.append("saliency")
        if self.controls.paused:
            parts.append("paused")
        return parts


class _Watcher(Viewer):
    """In a window."""

    def __init__(self, window: Window, seed: int, max_frames: int | None) -> None:
        super().__init__(seed, max_frames)
        self._window = window
        self._pacer = Pacer()

    def listen(self) -> None:
        self.controls.handle(self._window.events(), self._window)

    def wait(self, speed: float) -> bool:
        return self._pacer.wait(speed)

    def draw(
        self, playback: Playback, frame: NDArray[np.uint8], buttons: str, outcome: str
    ) -> None:
        help_wanted = self.controls.help or self.tally.frames <= HELP_FRAMES
        # What changes all the time stands last, so that nothing else moves.
        status = "    ".join([*self.state(playback), buttons]) + "\tH help"
        overlay = WATCH_HELP if help_wanted else (outcome,) if outcome else ()
        self._window.show(frame, status=status, overlay=overlay)
