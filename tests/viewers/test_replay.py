"""Episodes seen again: the window, films and sheets show the game's own pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pygame
import pytest
from PIL import Image, ImageSequence

from warpzone.episodes.format import POWER_ON, Episode, Person
from warpzone.episodes.play_recorder import PlayRecorder
from warpzone.episodes.replay import Replay
from warpzone.errors import ConfigError, EpisodeError
from warpzone.nes.console import PALETTE, Console
from warpzone.nes.rom import Rom
from warpzone.video.film import SHEET_GAP
from warpzone.viewers.pacer import Pacer
from warpzone.viewers.replay import Shown, export, read_episode, show
from warpzone.viewers.window import Window

RIGHT, A = 128, 1


def recorded(start: str, frames: int) -> Episode:
    recorder = PlayRecorder(Console())
    recorder.begin(start)
    for frame in range(frames):
        recorder.step(RIGHT | (A if frame % 40 > 20 else 0))
    return recorder.episode(Person())


@pytest.fixture(scope="module")
def episode() -> Episode:
    return recorded("1-1", 60)


@pytest.fixture
def replay(episode: Episode) -> Replay:
    return Replay(episode, Console())


# --- files --------------------------------------------------------------------------------------


def test_a_film_has_every_frame(replay: Replay, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    export(replay, path, scale=1)
    reader = imageio_ffmpeg.read_frames(str(path))
    next(reader)
    pictures = [np.frombuffer(data, np.uint8).reshape(240, 256, 3) for data in reader]
    assert len(pictures) == 60
    for picture, frame in zip(pictures, replay.pictures(), strict=True):
        assert np.abs(picture.astype(int) - PALETTE[frame].astype(int)).mean() < 6


def test_a_gif_has_one_frame_in_three(replay: Replay, tmp_path: Path) -> None:
    path = tmp_path / "clip.gif"
    export(replay, path)
    with Image.open(path) as film:
        pictures = [np.asarray(p.convert("RGB")) for p in ImageSequence.Iterator(film)]
    frames = list(replay.pictures())[::3]
    np.testing.assert_array_equal(pictures[0], PALETTE[frames[0]])
    np.testing.assert_array_equal(pictures[-1], PALETTE[frames[-1]])


@pytest.mark.parametrize(
    ("pictures", "chosen", "columns"),
    [(1, [0], 1), (2, [0, 59], 2), (7, [0, 10, 20, 30, 39, 49, 59], 5), (100, range(60), 5)],
)
def test_a_sheet_shows_frames_at_equal_distances(
    replay: Replay, tmp_path: Path, pictures: int, chosen: Any, columns: int
) -> None:
    path = tmp_path / "sheet.png"
    export(replay, path, pictures=pictures)
    with Image.open(path) as image:
        sheet = np.asarray(image)
    rows = -(-len(chosen) // columns)
    height, width = 240 + SHEET_GAP, 256 + SHEET_GAP
    assert sheet.shape == (rows * height - SHEET_GAP, columns * width - SHEET_GAP, 3)
    frames = list(replay.pictures())
    for number, frame in enumerate(chosen):
        row, column = divmod(number, columns)
        part = sheet[row * height :, column * width :][:240, :256]
        np.testing.assert_array_equal(part, PALETTE[frames[frame]])


def test_formats_lead_into_each_other(tmp_path: Path, rom: Rom) -> None:
    episode = recorded(POWER_ON, 200)
    movie, file = tmp_path / "movie.fm2", tmp_path / "game.json"
    export(Replay(episode, Console()), movie)
    export(Replay(read_episode(movie, rom), Console()), file)
    read = read_episode(file, rom)
    assert (read.buttons, read.ram_sha256) == (episode.buttons, episode.ram_sha256)
    assert read.start == POWER_ON


@pytest.mark.parametrize("name", ["clip.mp4", "clip.gif", "sheet.png", "game.json"])
def test_nothing_is_written_of_another_game_than_was_recorded(
    episode: Episode, tmp_path: Path, name: str
) -> None:
    changed = episode.model_copy(update={"ram_sha256": "0" * 64})
    with pytest.raises(EpisodeError, match="another way"):
        export(Replay(changed, Console()), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written(replay: Replay, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must end in \.mp4 or \.gif or \.png or \.fm2"):
        export(replay, tmp_path / "clip.webm")
    with pytest.raises(ConfigError, match="there is no folder"):
        export(replay, tmp_path / "none" / "clip.mp4")
    with pytest.raises(EpisodeError, match="begins at level 1-1"):
        export(replay, tmp_path / "movie.fm2")
    with pytest.raises(ConfigError, match="a scale is for films"):
        export(replay, tmp_path / "sheet.png", scale=2)
    with pytest.raises(ConfigError, match="pictures are for sheets"):
        export(replay, tmp_path / "clip.gif", pictures=2)
    with pytest.raises(ConfigError, match="pictures is 0"):
        export(replay, tmp_path / "sheet.png", pictures=0)
    assert list(tmp_path.iterdir()) == []


# --- the window ---------------------------------------------------------------------------------


class Spy:
    """Notes what the window shows, and presses keys when so many pictures have been shown."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, keys: dict[int, str] | None = None) -> None:
        self.frames: list[np.ndarray] = []
        self.places: list[int] = []
        self.overlays: list[str] = []
        real = Window.show

        def show(
            window: Window, frame: np.ndarray, *, status: str, overlay: tuple[str, ...]
        ) -> None:
            real(window, frame, status=status, overlay=overlay)
            self.frames.append(frame.copy())
            self.places.append(int(status.split("frame ")[1].split()[0]))
            self.overlays.append(" ".join(overlay))
            key = (keys or {}).get(len(self.frames))
            if key:
                event = pygame.event.Event(pygame.KEYDOWN, key=ord(key), unicode=key)
                pygame.event.post(event)

        monkeypatch.setattr(Window, "show", show)


@pytest.fixture(autouse=True)
def dummy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(Pacer, "wait", lambda pacer, speed: True)
    yield
    pygame.quit()


def test_the_window_shows_every_frame_and_then_the_last_one(
    replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = Spy(monkeypatch)
    assert show(replay, scale=1, max_pictures=65) == Shown(pictures=65, ended=True)
    frames = list(replay.pictures())
    np.testing.assert_array_equal(spy.frames, frames + [frames[-1]] * 5)


def test_keys_step_to_and_fro(replay: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {3: " ", 5: ".", 6: ",", 7: ",", 8: ".", 9: " ", 11: "r"}
    spy = Spy(monkeypatch, keys)
    assert show(replay, scale=1, max_pictures=13) == Shown(pictures=13, ended=False)
    assert spy.places == [1, 2, 3, 3, 3, 4, 3, 2, 3, 4, 5, 1, 2]
    frames = list(replay.pictures())
    np.testing.assert_array_equal(spy.frames, [frames[place - 1] for place in spy.places])


def test_back_from_the_end_and_before_the_start(
    replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = Spy(monkeypatch, {1: ",", 2: ",", 3: " ", 63: ","})
    show(replay, scale=1, max_pictures=65)
    assert spy.places[:4] == [1, 0, 0, 1]
    assert spy.places[62:] == [60, 59, 59]


def test_the_end_says_when_the_game_went_another_way(
    episode: Episode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warpzone.viewers.loop.HELP_FRAMES", 0)
    spy = Spy(monkeypatch)
    show(Replay(episode, Console()), scale=1, max_pictures=60)
    assert spy.overlays[-1] == "The end"
    changed = episode.model_copy(update={"ram_sha256": "0" * 64})
    show(Replay(changed, Console()), scale=1, max_pictures=60)
    assert "the RAM differs" in spy.overlays[-1]
