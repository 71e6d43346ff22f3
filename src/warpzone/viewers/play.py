"""A person plays: the bare console in a window, started at a level."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from warpzone.episodes.play_recorder import PlayRecorder
from warpzone.nes.console import FRAMES_PER_SECOND, Console
from warpzone.viewers.controls import HELP, Controls
from warpzone.viewers.gamepad import KEYBOARD_HELP, Gamepad, pressed_buttons
from warpzone.viewers.loop import Picture, Show, run
from warpzone.viewers.window_display import open_display

PLAY_HELP = (*KEYBOARD_HELP, *HELP)
HELP_FRAMES = round(6 * FRAMES_PER_SECOND)
"""How long the keys are shown at the start: there are more of them."""


def play(
    console: Console,
    levels: Sequence[str],
    *,
    scale: int = 3,
    max_frames: int | None = None,
    read_buttons: Callable[[Sequence[Gamepad]], int] = pressed_buttons,
    recorder: PlayRecorder | None = None,
) -> int:
    """Lets a person play until the window is closed; returns how many frames were played.

    The game goes on as on a real console: after a level the next one follows, after a death Mario
    begins again.

    Args:
        console: with the game.
        levels: that the keys N and P go through, from the first one on; `POWER_ON` among them is
            the game from its title screen on.
        scale: screen pixels per NES pixel, 1-8.
        max_frames: close after so many frames; None waits for the user.
        read_buttons: gives the buttons held now, from keyboard and the gamepads it is given.
        recorder: of `console`; afterwards, also when Ctrl-C ends the game, it has what was played
            since the last start.

    Raises:
        DisplayError: no window can be opened.
    """
    instead = "To play, run this where there is a screen"
    title = f"warpzone {levels[0]}"
    with open_display(title, scale=scale, instead=instead, help_frames=HELP_FRAMES) as display:
        game = _OwnGame(
            recorder or PlayRecorder(console),
            levels,
            lambda: read_buttons(display.window.gamepads()),
        )
        frames, _ = run(game, display, most_frames=max_frames)
    return frames


class _OwnGame(Show):
    help = PLAY_HELP

    def __init__(
        self, recorder: PlayRecorder, levels: Sequence[str], read_buttons: Callable[[], int]
    ) -> None:
        self._recorder, self._levels, self._read = recorder, levels, read_buttons
        self._place = 0
        recorder.begin(levels[0])

    def obey(self, controls: Controls) -> None:
        if controls.interrupted:
            self._place = (self._place + controls.take_level_change()) % len(self._levels)
            self._recorder.begin(self._levels[self._place])

    def advance(self) -> None:
        self._recorder.step(self._read())

    def picture(self) -> Picture:
        return Picture(self._recorder.console.screen(), [self._levels[self._place]])
