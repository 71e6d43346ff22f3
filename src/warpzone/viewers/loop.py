"""The one loop in which something is shown frame by frame, as a person at the keys wants it.

What is shown is a `Show`: an agent, a person's own game, an episode. Where it is seen is a
`Display`: a window or a terminal. Neither knows the other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warpzone.nes.console import FRAMES_PER_SECOND
from warpzone.viewers.controls import Controls

HELP_FRAMES = round(4 * FRAMES_PER_SECOND)
"""How long a window shows the keys at the start."""
PAUSED_FPS = 30


@dataclass(frozen=True, slots=True)
class Picture:
    """Holds what is to be seen at one moment.

    Attributes:
        frame: uint8[240, 256] NES palette indices or uint8[240, 256, 3] RGB.
        status: what holds for a while: level, policy, speed …
        buttons: that are held: changes all the time, and so stands last.
        message: lines that stand over the picture, or in the status where there is no room.
        help: lines about the keys; empty where they are not asked for.
    """

    frame: NDArray[np.uint8]
    status: Sequence[str]
    buttons: str = ""
    message: Sequence[str] = ()
    help: Sequence[str] = ()


class Display(ABC):
    """Is where pictures are seen and keys are pressed."""

    help_frames = 0
    """Frames for which the keys are shown at the start without being asked for."""

    @abstractmethod
    def listen(self, controls: Controls) -> None:
        """Puts what the user did since the last call into `controls`."""

    @abstractmethod
    def wait(self, speed: float) -> bool:
        """Waits until the next frame is due, at `speed` times the console's own rate; returns
        whether to draw it."""

    @abstractmethod
    def draw(self, picture: Picture) -> None:
        """Draws one picture."""


class Show(ABC):
    """Is what is shown, a frame at a time."""

    help: Sequence[str] = ()
    """What its keys do."""
    goes_back = False
    """Whether it has a `back`."""

    @property
    def ended(self) -> bool:
        """Whether there is no next frame."""
        return False

    @abstractmethod
    def obey(self, controls: Controls) -> None:
        """Does what the user asked for since the last call, but for pause, speed, and end."""

    @abstractmethod
    def advance(self) -> None:
        """Goes on by one frame."""

    def back(self) -> None:
        """Goes back by one frame, where it `goes_back`."""
        raise NotImplementedError

    @abstractmethod
    def picture(self) -> Picture:
        """Returns what is to be seen now, without speed, pause and help."""


def run(
    show: Show,
    display: Display,
    *,
    most_frames: int | None = None,
    most_pictures: int | None = None,
) -> tuple[int, int]:
    """Shows something until the user quits.

    Args:
        show: what is shown.
        display: where it is seen.
        most_frames: ends after going on by so many frames; None waits for the user.
        most_pictures: ends after so many turns, pauses among them; None waits for the user.

    Returns:
        How many frames were played, and how many turns there were.
    """
    controls = Controls()
    frames = pictures = 0
    while most_frames is None or frames < most_frames:
        if most_pictures is not None and pictures >= most_pictures:
            break
        display.listen(controls)
        if controls.quit:
            break
        show.obey(controls)
        moving = (controls.one_frame or not controls.paused) and not show.ended
        controls.one_frame = False
        if controls.one_back and show.goes_back:
            controls.paused, moving = True, False
            show.back()
        controls.one_back = False
        if moving:
            show.advance()
            frames += 1
        due = display.wait(controls.speed if moving else PAUSED_FPS / FRAMES_PER_SECOND)
        if due or not moving:
            keys = controls.help or pictures < display.help_frames
            paused = controls.paused and not moving
            display.draw(_complete(show, controls, paused=paused, keys=keys))
        pictures += 1
    return frames, pictures


def _complete(show: Show, controls: Controls, *, paused: bool, keys: bool) -> Picture:
    """Returns the picture with what the loop knows of it."""
    picture = show.picture()
    status = list(picture.status)
    if controls.speed != 1.0:
        status.append(f"×{controls.speed:g}")
    if paused:
        status.append("paused")
    return Picture(
        picture.frame,
        status,
        picture.buttons,
        picture.message,
        show.help if keys else (),
    )
