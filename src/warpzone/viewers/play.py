"""A person plays: the bare console in a window, started at a level."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from warpzone.episodes.play_recorder import PlayRecorder
from warpzone.nes.console import FRAMES_PER_SECOND, PALETTE, Console
from warpzone.viewers.controls import HELP, Controls
from warpzone.viewers.gamepad import KEYBOARD_HELP, Gamepad, pressed_buttons
from warpzone.viewers.window import Pacer, Window

PLAY_HELP = (*KEYBOARD_HELP, *HELP)
HELP_FRAMES = round(6 * FRAMES_PER_SECOND)
PAUSED_FPS = 30


def play(
    console: Console,
    levels: Sequence[str],
    *,
    scale: int = 3,
    max_frames: int | None = None,
    read_buttons: Callable[[Sequence[Gamepad]], int] = pressed_buttons,
    recorder: PlayRecorder | None = None,
) -> int:
    """Let a person play until the window is closed; return how many frames were played.

    The game goes on as on a real console: after a level the next one follows, after a death Mario
    begins again.

    Args:
        console: with the game.
        levels: that the keys N and P go through, from the first one on; `episode.POWER_ON` among
            them is the game from its title screen on.
        scale: screen pixels per NES pixel, 1-8.
        max_frames: close after so many pictures; None waits for the user.
        read_buttons: gives the buttons held now, from keyboard and the gamepads it is given.
        recorder: of `console`; afterwards, also when Ctrl-C ends the game, it has what was played
            since the last start.

    Raises:
        DisplayError: no window can be opened.
    """
    instead = "To play, run this where there is a screen"
    with Window(f"warpzone {levels[0]}", PALETTE, scale=scale, instead=instead) as window:
        return _run(window, recorder or PlayRecorder(console), levels, max_frames, read_buttons)


def _run(
    window: Window,
    recorder: PlayRecorder,
    levels: Sequence[str],
    max_frames: int | None,
    read_buttons: Callable[[Sequence[Gamepad]], int],
) -> int:
    controls = Controls()
    pacer = Pacer()
    frames = place = 0
    recorder.begin(levels[place])
    while max_frames is None or frames < max_frames:
        controls.handle(window.events(), window)
        if controls.quit:
            break
        if controls.interrupted:
            place = (place + controls.take_level_change()) % len(levels)
            recorder.begin(levels[place])
        playing = controls.one_frame or not controls.paused
        controls.one_frame = False
        if playing:
            recorder.step(read_buttons(window.gamepads()))
            frames += 1
        if pacer.wait(controls.speed if playing else PAUSED_FPS / FRAMES_PER_SECOND):
            showing_help = controls.help or frames <= HELP_FRAMES
            window.show(
                recorder.console.screen(),
                status=_status(levels[place], controls.speed, paused=not playing),
                overlay=PLAY_HELP if showing_help else (),
            )
    return frames


def _status(level: str, speed: float, *, paused: bool) -> str:
    parts = [level]
    if speed != 1.0:
        parts.append(f"×{speed:g}")
    if paused:
        parts.append("paused")
    return "    ".join(parts) + "\tH help"
