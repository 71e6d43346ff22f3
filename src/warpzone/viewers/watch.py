"""An agent plays, at the console's own frame rate and every frame of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warpzone.agents.playback import Playback
from warpzone.episodes.outcome import Outcome
from warpzone.training.agent_file import PolicyMode
from warpzone.video.glow import Glow
from warpzone.viewers.controls import HELP, Controls
from warpzone.viewers.loop import Display, Picture, Show, run
from warpzone.viewers.window_display import open_display

WATCH_HELP = (
    *HELP[:-2],
    "A\targmax or sample",
    "S\twhat decisions depend on",
    *HELP[-2:],
)


@dataclass(slots=True)
class Stats:
    """Counts what was shown.

    Attributes:
        frames: emulated frames.
        episodes: that came to their end.
        cleared: how many of them reached the flag or the axe.
    """

    frames: int = 0
    episodes: int = 0
    cleared: int = 0


def watch(
    open_playback: Callable[[str], Playback],
    levels: Sequence[str],
    *,
    title: str = "warpzone",
    scale: int = 3,
    seed: int = 0,
    max_frames: int | None = None,
) -> Stats:
    """Shows an agent's play in a window until it is closed.

    Args:
        open_playback: makes the player of a level.
        levels: the levels that the keys N and P go through, from the first one on.
        title: of the window.
        scale: screen pixels per NES pixel, 1-8.
        seed: of the first episode; the following ones count up.
        max_frames: close after so many frames; None waits for the user to close the window.

    Raises:
        DisplayError: no window can be opened.
    """
    instead = "To see the agent play without one, make a film: warpzone record … -o clip.mp4"
    with open_display(title, scale=scale, instead=instead) as display:
        return watch_on(display, open_playback, levels, seed=seed, max_frames=max_frames)


def watch_on(
    display: Display,
    open_playback: Callable[[str], Playback],
    levels: Sequence[str],
    *,
    seed: int,
    max_frames: int | None,
    keys: Sequence[str] = WATCH_HELP,
) -> Stats:
    """Shows an agent's play on any display; arguments as of `watch`, and what its keys do."""
    with closing(AgentShow(open_playback, levels, seed, keys)) as show:
        show.stats.frames, _ = run(show, display, most_frames=max_frames)
        return show.stats


class AgentShow(Show):
    """Plays episode after episode.

    Attributes:
        stats: what has happened; the frames are for the loop to count.
    """

    def __init__(
        self,
        open_playback: Callable[[str], Playback],
        levels: Sequence[str],
        seed: int,
        keys: Sequence[str] = WATCH_HELP,
    ) -> None:
        self.help = keys
        self.stats = Stats()
        self._open, self._levels = open_playback, levels
        self._seed = seed
        self._place = 0
        self._policy: PolicyMode | None = None
        """What the user switched to; until then each level's player keeps its own."""
        self._playback = open_playback(levels[0])
        self._frames = self._episode()
        self._picture: Picture | None = None

    def obey(self, controls: Controls) -> None:
        if controls.switch_policy:
            self._policy = "argmax" if self._playback.policy == "sample" else "sample"
            self._playback.policy = self._policy
            controls.switch_policy = False
        if controls.switch_saliency:
            wanted = not self._playback.saliency
            self._playback.saliency = wanted and self._playback.finds_saliency
            controls.switch_saliency = False
        if controls.interrupted:
            change = controls.take_level_change()
            self._seed += 1
            if change:
                self._place = (self._place + change) % len(self._levels)
                self._change_player()
            self._frames, self._picture = self._episode(), None

    def advance(self) -> None:
        picture = next(self._frames, None)
        if picture is None:
            self._seed += 1
            self._frames = self._episode()
            picture = next(self._frames)
        self._picture = picture

    def picture(self) -> Picture:
        if self._picture is None:  # paused before an episode's first frame
            self.advance()
        assert self._picture is not None
        playback, stats = self._playback, self.stats
        status = [
            playback.level,
            playback.policy,
            f"cleared {stats.cleared} of {stats.episodes}",
            *(["saliency"] if playback.saliency else []),
        ]
        shown = self._picture
        return Picture(shown.frame, status, shown.buttons, shown.message)

    def close(self) -> None:
        """Closes the game."""
        self._playback.close()

    def _change_player(self) -> None:
        saliency = self._playback.saliency
        self._playback.close()
        self._playback = self._open(self._levels[self._place])
        if self._policy is not None:
            self._playback.policy = self._policy
        self._playback.saliency = saliency

    def _episode(self) -> Iterator[Picture]:
        """Yields the frames of one episode and of what follows, with buttons and outcome."""
        playback = self._playback
        glow = Glow(playback.palette)
        for moment in playback.episode(self._seed):
            buttons = playback.action_names[moment.action]
            for frame in glow.frames(moment):
                yield Picture(frame, (), buttons)
        outcome = Outcome.from_signals(moment.signals)
        self.stats.episodes += 1
        self.stats.cleared += outcome.cleared
        frames: NDArray[np.uint8] = playback.aftermath(outcome)
        for frame in frames:
            yield Picture(frame, (), "", (str(outcome),))
