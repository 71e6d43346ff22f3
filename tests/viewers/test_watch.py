"""The window, with SDL's dummy driver: no screen is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pygame
import pytest
from tests.support.playback import AFTERMATH_FRAMES, PALETTE, FakePlayback

from warpzone.agents.playback import Moment
from warpzone.agents.saliency import Heat
from warpzone.errors import DisplayError
from warpzone.viewers.controls import SPEEDS, Controls
from warpzone.viewers.pacer import Pacer
from warpzone.viewers.watch import Stats, watch
from warpzone.viewers.window import BAR_HEIGHT, Window


@pytest.fixture
def dummy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    yield
    pygame.quit()


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pacer, "wait", lambda pacer, speed: True)


def open_window(scale: int = 2) -> Window:
    return Window("test", PALETTE, scale=scale, instead="Do something else")


def key(code: int, text: str = "") -> Any:
    return pygame.event.Event(pygame.KEYDOWN, key=code, unicode=text)


def typed(text: str) -> Any:
    return key(ord(text), text)


def screen() -> Any:
    surface = pygame.display.get_surface()
    assert surface is not None
    return pygame.surfarray.array3d(surface).swapaxes(0, 1)


@pytest.mark.usefixtures("dummy")
def test_picture_is_the_frame_in_the_palettes_colours() -> None:
    frame = np.random.default_rng(3).integers(0, 64, (240, 256), dtype=np.uint8)
    with open_window(scale=2) as window:
        window.show(frame)
        assert screen().shape == (480 + BAR_HEIGHT, 512, 3)
        np.testing.assert_array_equal(screen()[:480:2, ::2], PALETTE[frame])
        np.testing.assert_array_equal(screen()[1:480:2, 1::2], PALETTE[frame])


@pytest.mark.usefixtures("dummy")
def test_pictures_in_rgb() -> None:
    frame = np.random.default_rng(4).integers(0, 256, (240, 256, 3), dtype=np.uint8)
    with open_window(scale=2) as window:
        window.show(frame)
        np.testing.assert_array_equal(screen()[:480:2, ::2], frame)


@pytest.mark.usefixtures("dummy")
def test_status_and_overlay_are_drawn() -> None:
    frame = np.zeros((240, 256), np.uint8)
    with open_window() as window:
        window.show(frame)
        plain = screen().copy()
        window.show(frame, status="hello")
        with_status = screen().copy()
        window.show(frame, overlay=("one", "two"))
        with_overlay = screen().copy()
    assert (plain[:480] == with_status[:480]).all()
    assert (plain[480:] != with_status[480:]).any()
    assert (plain[:480] != with_overlay[:480]).any()


@pytest.mark.usefixtures("dummy")
def test_an_overlay_larger_than_the_window_is_made_to_fit() -> None:
    frame = np.zeros((240, 256), np.uint8)
    with open_window(scale=1) as window:
        window.show(frame)
        plain = screen().copy()
        window.show(frame, overlay=["a key\twhat it does, in many words"] * 30)
        changed = np.argwhere((screen() != plain).any(axis=2))
    assert changed[:, 0].min() == 0
    assert 230 < changed[:, 0].max() < 240


@pytest.mark.usefixtures("dummy")
def test_size_keys_change_the_window() -> None:
    with open_window(scale=2) as window:
        Controls().handle([typed("4")], window)
        assert window.scale == 4
        window.show(np.zeros((240, 256), np.uint8))
        assert screen().shape == (960 + BAR_HEIGHT, 1024, 3)


@pytest.mark.usefixtures("dummy")
def test_the_picture_has_the_largest_whole_scale_that_the_window_has_room_for() -> None:
    frame = np.random.default_rng(3).integers(0, 64, (240, 256), dtype=np.uint8)
    with open_window(scale=2) as window:
        window.show(frame)
        pygame.display.set_mode((900, 800), pygame.RESIZABLE)  # as if it were pulled
        window.show(frame)
        assert window.scale == 3
        top, left = (800 - BAR_HEIGHT - 720) // 2, (900 - 768) // 2
        shown = screen()[: 800 - BAR_HEIGHT]
        np.testing.assert_array_equal(
            shown[top : top + 720 : 3, left : left + 768 : 3], PALETTE[frame]
        )
        shown[top : top + 720, left : left + 768] = 0
        assert not shown.any()


@pytest.mark.usefixtures("dummy")
@pytest.mark.parametrize("size", [(300, 200), (100, 40), (1, 1)])
def test_a_window_too_small_for_the_picture_shows_its_middle(size: tuple[int, int]) -> None:
    frame = np.full((240, 256), 5, np.uint8)
    with open_window() as window:
        pygame.display.set_mode(size, pygame.RESIZABLE)
        window.show(frame, status="hello\tH help", overlay=["a key\twhat it does"])
        assert window.scale == 1
        assert screen().shape == (size[1], size[0], 3)


@pytest.mark.usefixtures("dummy")
def test_full_screen_and_back() -> None:
    frame = np.zeros((240, 256), np.uint8)
    with open_window(scale=2) as window:
        (desktop,) = pygame.display.get_desktop_sizes()
        Controls().handle([typed("f")], window)
        window.show(frame)
        assert window.full_screen is True
        assert screen().shape == (desktop[1], desktop[0], 3)
        Controls().handle([key(pygame.K_F11)], window)
        window.show(frame)
        assert screen().shape == (480 + BAR_HEIGHT, 512, 3)

        Controls().handle([typed("f"), typed("3")], window)
        assert screen().shape == (720 + BAR_HEIGHT, 768, 3)


@pytest.mark.usefixtures("dummy")
def test_special_keys_do_what_letters_do() -> None:
    controls = Controls()
    with open_window() as window:
        controls.handle([key(pygame.K_F1), key(pygame.K_PAGEDOWN)], window)
        assert (controls.help, controls.take_level_change()) == (True, 1)
        controls.handle([key(pygame.K_PAGEUP), key(pygame.K_KP_PLUS)], window)
        assert (controls.level_change, controls.speed) == (-1, 2.0)
        controls.handle([key(pygame.K_ESCAPE)], window)
        assert controls.quit


@pytest.mark.usefixtures("dummy")
def test_keys() -> None:
    controls = Controls()
    with open_window() as window:

        def press(*events: Any) -> Controls:
            controls.handle(events, window)
            return controls

        assert press(typed(" ")).paused
        assert not press(typed(" ")).paused
        press(typed("."))
        assert (controls.paused, controls.one_frame) == (True, True)
        press(typed("h"))
        assert controls.help
        press(typed("+"), typed("+"))
        assert controls.speed == 4.0
        press(typed("-"))
        assert controls.speed == 2.0
        press(*[typed("-")] * 20)
        assert controls.speed == SPEEDS[0]
        press(*[typed("+")] * 20)
        assert controls.speed == SPEEDS[-1]
        assert not press(typed("h")).interrupted
        assert press(typed("r")).interrupted
        assert press(typed("p")).take_level_change() == -1
        assert not press(typed("h")).interrupted
        assert press(pygame.event.Event(pygame.QUIT)).quit


class Script:
    """Posts events when given numbers of frames have been shown."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, events: dict[int, Any]) -> None:
        self.colours: list[tuple[int, ...]] = []
        self._events = events
        show = Window.show

        def spy(window: Window, frame: Any, **texts: Any) -> None:
            show(window, frame, **texts)
            self.texts = texts
            self.colours.append(tuple(PALETTE[frame[0, 0]]))
            event = self._events.get(len(self.colours))
            if event is not None:
                pygame.event.post(event)

        monkeypatch.setattr(Window, "show", spy)


Run = Callable[..., tuple[Stats, list[FakePlayback]]]


@pytest.fixture
def run(dummy: None, no_waiting: None) -> Run:
    def start(max_frames: int | None, **options: Any) -> tuple[Stats, list[FakePlayback]]:
        opened: list[FakePlayback] = []

        def open_playback(level: str) -> Any:
            opened.append(FakePlayback(level, **options))
            return opened[-1]

        levels = ["1-1", "1-2", "1-3"]
        stats = watch(open_playback, levels, scale=1, max_frames=max_frames)
        return stats, opened

    return start


def test_every_emulated_frame_is_shown_and_episodes_counted(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script(monkeypatch, {})
    episode = 12 + AFTERMATH_FRAMES
    stats, (playback,) = run(2 * episode, clears=(1,))
    assert stats == Stats(frames=2 * episode, episodes=2, cleared=1)
    assert playback.played == [0, 1]
    assert playback.closed
    assert script.colours[:12] == [tuple(PALETTE[i]) for i in range(12)]
    assert script.colours[12:episode] == [tuple(PALETTE[62])] * AFTERMATH_FRAMES
    assert script.colours[episode] == tuple(PALETTE[1])


def test_the_window_can_be_closed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Script(monkeypatch, {5: pygame.event.Event(pygame.QUIT)})
    stats, (playback,) = run(None)
    assert stats.episodes == 0
    assert stats.frames == 5
    assert playback.closed


def test_next_level_and_restart(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pygame.init()
    events = {3: typed("n"), 6: typed("r"), 9: typed("p"), 12: typed("p")}
    Script(monkeypatch, events)
    _, opened = run(20)
    assert [p.level for p in opened] == ["1-1", "1-2", "1-1", "1-3"]
    assert [p.played for p in opened] == [[0], [1, 2], [3], [4]]
    assert all(p.closed for p in opened)


def test_pause_shows_the_same_frame_until_space(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(monkeypatch, {3: typed(" "), 8: typed("."), 12: typed(" ")})
    run(7)
    order = [script.colours.index(colour) for colour in dict.fromkeys(script.colours)]
    shown = [script.colours.count(tuple(PALETTE[i])) for i in range(7)]
    assert order == sorted(order)
    assert shown[:2] == [1, 1]
    assert shown[2] > 1
    assert sum(shown) == len(script.colours)


def test_policy_key_switches_and_survives_a_change_of_level(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    Script(monkeypatch, {2: typed("a"), 5: typed("n")})
    _, opened = run(10)
    assert [p.policy for p in opened] == ["argmax", "argmax"]


def test_saliency_key_switches_and_survives_a_change_of_level(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script(monkeypatch, {2: typed("s"), 5: typed("n"), 8: typed("s"), 9: typed("n")})
    _, opened = run(10)
    assert [p.saliency for p in opened[:2]] == [True, False]
    assert "saliency" not in script.texts["status"]
    script = Script(monkeypatch, {2: typed("s")})
    _, (playback,) = run(4)
    assert playback.saliency
    assert "saliency" in script.texts["status"]


@pytest.mark.usefixtures("dummy", "no_waiting")
def test_heat_is_seen_in_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the decision after the key on; the fake sees one cell, at 48 px and 64 px."""
    pygame.init()
    shown: list[np.ndarray] = []
    show = Window.show

    def spy(window: Window, frame: Any, **texts: Any) -> None:
        show(window, frame, **texts)
        shown.append(screen()[:240].copy())
        if len(shown) == 2:
            pygame.event.post(typed("s"))

    class Hot(FakePlayback):
        def episode(self, seed: int) -> Iterator[Moment]:
            scores = np.zeros((13, 16), np.float32)
            scores[2, 3] = 1
            heat = Heat(scores, 0, 32, 256, 208)
            for moment in super().episode(seed):
                yield replace(moment, heat=heat if self.saliency else None)

    monkeypatch.setattr(Window, "show", spy)
    monkeypatch.setattr("warpzone.viewers.loop.HELP_FRAMES", 0)

    def open_hot(level: str) -> Any:
        return Hot(level)

    watch(open_hot, ["1-1"], scale=1, max_frames=8)
    for number, picture in enumerate(shown):
        places = np.argwhere((picture != picture[0, 0]).any(axis=2))
        if number < 4:
            assert len(places) == 0
        else:
            assert places.min(axis=0).tolist() == [64, 48]
            assert places.max(axis=0).tolist() == [79, 63]


def test_each_level_keeps_its_own_policy_as_long_as_the_user_does_not_switch(
    monkeypatch: pytest.MonkeyPatch, dummy: None, no_waiting: None
) -> None:
    pygame.init()
    Script(monkeypatch, {2: typed("n"), 4: typed("n")})
    opened: list[FakePlayback] = []

    def open_playback(level: str) -> Any:
        opened.append(FakePlayback(level))
        opened[-1].policy = "argmax" if level == "1-1" else "sample"
        return opened[-1]

    watch(open_playback, ["1-1", "1-2"], scale=1, max_frames=9)
    assert [(p.level, p.policy) for p in opened] == [
        ("1-1", "argmax"),
        ("1-2", "sample"),
        ("1-1", "argmax"),
    ]


def test_machine_without_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(DisplayError, match=r"no screen.*warpzone record"):
        watch(lambda level: pytest.fail("played"), ["1-1"])


def test_video_system_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "no-such-driver")
    with pytest.raises(DisplayError, match="Do something else"):
        open_window()
