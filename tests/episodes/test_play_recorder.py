"""What is played on a console, as an episode."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pygame
import pytest
from tests.support.scripts import FLAGPOLE, PIPE, steps

from warpzone.episodes.format import (
    POWER_ON,
    Person,
)
from warpzone.episodes.play_recorder import PlayRecorder
from warpzone.episodes.replay import Replay
from warpzone.errors import EpisodeError
from warpzone.nes.console import Console
from warpzone.viewers.gamepad import RIGHT, A
from warpzone.viewers.pacer import Pacer
from warpzone.viewers.play import play


def test_a_recorder_begins_anew() -> None:
    recorder = PlayRecorder(Console())
    recorder.begin("1-1")
    recorder.step(RIGHT)
    recorder.begin("1-2")
    with pytest.raises(EpisodeError, match="nothing was played"):
        recorder.episode(Person())
    recorder.step(A)
    episode = recorder.episode(Person())
    assert (episode.start, episode.buttons) == ("1-2", bytes([A]))


def test_a_frame_that_an_interrupt_kept_from_being_played_is_not_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorder = PlayRecorder(Console())
    recorder.begin("1-1")
    recorder.step(RIGHT)

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(recorder.console, "step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        recorder.step(A)
    episode = recorder.episode(Person())
    assert episode.buttons == bytes([RIGHT])
    Replay(episode, Console()).verify()


@pytest.fixture
def dummy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(Pacer, "wait", lambda pacer, speed: True)
    yield
    pygame.quit()


@pytest.mark.usefixtures("dummy")
@pytest.mark.parametrize("script", [FLAGPOLE, PIPE])
def test_a_persons_game_is_the_same_again(script: Any) -> None:
    held = iter([buttons for buttons in steps(script) for _ in range(4)] + [0] * 200)
    console = Console()
    recorder = PlayRecorder(console)

    def press(pads: object) -> int:
        buttons = next(held, None)
        if buttons is None:
            pygame.event.post(pygame.event.Event(pygame.QUIT))
        return buttons or 0

    play(console, ["1-1"], read_buttons=press, recorder=recorder)
    episode = recorder.episode(Person())
    assert episode.frames > 700
    replay = Replay(episode, Console())
    replay.verify()
    assert replay.console.save() == console.save()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Python's own Ctrl-C, which a process begun in the background by a shell goes without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("dummy", "interruptible")
def test_ctrl_c_keeps_the_game() -> None:
    recorder = PlayRecorder(Console())
    frames = 0

    def press(pads: object) -> int:
        nonlocal frames
        frames += 1
        if frames == 100:
            signal.raise_signal(signal.SIGINT)
        return RIGHT

    with pytest.raises(KeyboardInterrupt):
        play(recorder.console, [POWER_ON, "1-1"], read_buttons=press, recorder=recorder)
    episode = recorder.episode(Person())
    assert (episode.start, episode.frames) == (POWER_ON, 99)
    Replay(episode, Console()).verify()
