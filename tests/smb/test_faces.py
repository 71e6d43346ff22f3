"""What Gymnasium and its users ask of environments beyond reset and step."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from tests.support.scripts import ACTIONS, INDEX, WALK

import warpzone
from warpzone.errors import ConfigError, DisplayError
from warpzone.nes.console import FRAMES_PER_SECOND
from warpzone.smb.human import HumanWindow
from warpzone.smb.signals import ram_number
from warpzone.video.record_video import cubes


def test_names_of_actions_and_keys() -> None:
    env = warpzone.make("1-1", actions="COMPLEX_MOVEMENT")
    assert env.get_action_meanings()[:3] == ["nothing", "right", "right + A"]
    assert len(env.get_action_meanings()) == 12
    keys = env.get_keys_to_action()
    assert keys[(ord("d"),)] == 1
    assert all(env.action_space.contains(action) for action in keys.values())


def test_call_get_attr_and_set_attr() -> None:
    envs = warpzone.make_vec("1-1", 3, render_mode="rgb_array")
    envs.reset()
    assert envs.autoreset_mode == envs.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    assert envs.call("get_action_meanings") == (envs.action_meanings,) * 3
    assert envs.get_attr("render_mode") == ("rgb_array",) * 3
    assert [picture.shape for picture in envs.call("render")] == [(240, 256, 3)] * 3
    assert [np.shares_memory(ram, envs.ram(i)) for i, ram in enumerate(envs.call("ram"))] == [
        True
    ] * 3
    envs.set_attr("task", ["a", "b", "c"])
    assert envs.get_attr("task") == ("a", "b", "c")
    envs.set_attr("task", 5)
    assert envs.call("task") == (5, 5, 5)
    states = envs.call("save_state")
    envs.load_state(states[0], 2)
    for call, words in (
        (lambda: envs.get_attr("nothing"), "a game has no attribute 'nothing': it has"),
        (lambda: envs.call("_envs"), "a game has no attribute '_envs'"),
        (lambda: envs.set_attr("rom", None), "'rom' of a game cannot be set"),
        (lambda: envs.set_attr("_index", 0), "'_index' of a game cannot be set"),
        (lambda: envs.set_attr("task", [1, 2]), "2 values for 3 games"),
    ):
        with pytest.raises(ConfigError, match=words):
            call()


def test_a_film_is_recorded_by_gymnasium(tmp_path: Path) -> None:
    pytest.importorskip("moviepy")
    env: Any = warpzone.make("1-1", render_mode="rgb_array", max_steps=20)
    env = gymnasium.wrappers.RecordVideo(env, str(tmp_path), episode_trigger=lambda n: True)
    env.reset()
    for _ in range(20):
        env.step(1)
    env.close()
    assert list(tmp_path.glob("*.mp4"))


class Pictures:
    """Takes what would be written as films."""

    def __init__(self) -> None:
        self.films: dict[str, list[Any]] = {}

    def __call__(self, path: Path, frames: Any, **_: Any) -> int:
        self.films[path.name] = list(frames)
        return len(self.films[path.name])


def test_a_film_shows_every_emulated_frame_and_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames of the start, of each step, and of cutscenes, as `frames` has them."""
    films = Pictures()
    monkeypatch.setattr("warpzone.video.record_video.write_film", films)
    plain = warpzone.make("1-1", keep_frames=True, max_steps=5)
    env: Any = warpzone.RecordVideo(
        gymnasium.wrappers.RecordEpisodeStatistics(
            warpzone.make("1-1", keep_frames=True, max_steps=5)
        ),
        tmp_path,
        episode_trigger=lambda episode: episode != 1,
    )
    expected: list[list[Any]] = []
    for episode in range(3):
        for one in (plain, env):
            one.reset(seed=episode)
        expected.append(list(plain.frames()))
        for step in range(5 if episode < 2 else 2):
            for one in (plain, env):
                *_, truncated, _ = one.step(INDEX[WALK])
            expected[-1] += list(plain.frames())
            assert truncated is (step == 4)
    assert list(films.films) == ["rl-video-episode-0.mp4"], "written where the episode ends"
    env.close()
    assert list(films.films) == ["rl-video-episode-0.mp4", "rl-video-episode-2.mp4"]
    for name, episode in (("rl-video-episode-0.mp4", 0), ("rl-video-episode-2.mp4", 2)):
        shown = films.films[name]
        assert len(shown) == len(expected[episode]) == (21 if episode == 0 else 9)
        assert all(np.array_equal(a, b) for a, b in zip(shown, expected[episode], strict=True))


def test_which_episodes_are_filmed_where_nobody_says() -> None:
    filmed = [episode for episode in range(3001) if cubes(episode)]
    assert filmed == [n**3 for n in range(10)] + [1000, 2000, 3000]


def test_a_film_is_written_with_as_many_frames(tmp_path: Path) -> None:
    import imageio_ffmpeg

    env: Any = warpzone.RecordVideo(
        warpzone.make("1-1", keep_frames=True, max_steps=5), tmp_path / "films", scale=1
    )
    env.reset()
    for _ in range(5):
        env.step(1)
    (film,) = (tmp_path / "films").glob("*.mp4")
    assert imageio_ffmpeg.count_frames_and_secs(str(film))[0] == 21
    env.close()


def test_a_film_needs_an_environment_that_keeps_frames(tmp_path: Path) -> None:
    for env in (warpzone.make("1-1"), gymnasium.make("CartPole-v1")):
        with pytest.raises(ConfigError, match="keep_frames=True"):
            warpzone.RecordVideo(env, tmp_path)
    with pytest.raises(ConfigError, match="scale is 9"):
        warpzone.RecordVideo(warpzone.make("1-1", keep_frames=True), tmp_path, scale=9)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="films cannot be written to"):
        warpzone.RecordVideo(warpzone.make("1-1", keep_frames=True), tmp_path / "file")


class Clock:
    """Time that passes while somebody sleeps."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, 0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += 1


def test_human_shows_every_frame_at_the_speed_of_the_console(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    clock = Clock()
    env = warpzone.make("1-1", render_mode="human", actions=ACTIONS)
    env._window = HumanWindow(clock, clock.sleep)
    shown: list[Any] = []
    draw = HumanWindow._draw

    def record(self: HumanWindow, frame: Any) -> None:
        shown.append(frame)
        draw(self, frame)

    monkeypatch.setattr(HumanWindow, "_draw", record)
    env.reset()
    for _ in range(30):
        env.step(INDEX[WALK])
        assert env.render() is None
    assert len(shown) == 1 + 30 * 4
    assert clock.now == pytest.approx(len(shown) / FRAMES_PER_SECOND, rel=0.01)
    assert len({frame.tobytes() for frame in shown}) > 20
    import pygame

    surface = pygame.display.get_surface()
    assert surface is not None
    assert surface.get_size() == (768, 720)
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    env.step(1)
    count = len(shown)
    env.step(1)
    assert len(shown) == count, "the game goes on unseen"
    env.close()


def test_human_without_a_screen_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(DisplayError, match=r"no screen.*rgb_array"):
        warpzone.make("1-1", render_mode="human")


def test_gymnasiums_play_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    import pygame
    from gymnasium.utils.play import play

    env = warpzone.make("1-1", render_mode="rgb_array", actions="SIMPLE_MOVEMENT")
    played: list[int] = []

    def callback(*step: Any) -> None:
        played.append(step[2])
        if len(played) == 1:
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=ord("d")))
        if len(played) == 5:
            pygame.event.post(pygame.event.Event(pygame.QUIT))

    play(env, callback=callback, fps=1000, seed=0)
    assert played[0] == 0
    assert 1 in played


def test_numbers_of_the_memory_do_not_overflow() -> None:
    ram = np.zeros((2, 2048), np.uint8)
    ram[:, 0x6D], ram[:, 0x86] = [1, 255], [200, 255]
    assert ram_number(ram, 0x6D, 0x86).tolist() == [456, 65535]
    assert (ram_number(ram[0], 0x86) - 250).item() == -50
    env = warpzone.make("1-1")
    _, info = env.reset()
    assert ram_number(env.ram(), 0x6D, 0x86) == info["x"]


def test_the_hundredth_coin_adds_to_the_total_as_every_other() -> None:
    """The game's two digits are written as it writes them."""
    env = warpzone.make("1-1")
    env.reset(seed=0)
    seen = []
    for tens, ones in [(0, 7), (5, 0), (9, 9), (0, 0), (0, 2)]:
        env.ram()[0x07ED:0x07EF] = tens, ones
        info = env.step(0)[4]
        seen.append((info["coins"], info["total_coins"]))
    assert seen == [(7, 7), (50, 50), (99, 99), (0, 100), (2, 102)]
    env.reset()
    assert env.step(0)[4]["total_coins"] == 0
