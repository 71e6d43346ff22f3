"""Films: what is written can be read back, and a failure leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from warpzone.agents.agent import Agent
from warpzone.agents.playback import Playback
from warpzone.errors import ConfigError
from warpzone.nes.console import PALETTE as CONSOLE_PALETTE
from warpzone.video.film import FilmError, check_film_path, write_film

PALETTE = np.random.default_rng(0).integers(0, 256, (64, 3), dtype=np.uint8)


def scrolling(count: int) -> list[NDArray[np.uint8]]:
    """Pictures of large blocks that move two pixels a frame, like a level does."""
    blocks = np.random.default_rng(1).integers(0, 64, (15, 16 + count // 8 + 1), dtype=np.uint8)
    world = blocks.repeat(16, axis=0).repeat(16, axis=1)
    return [world[:, 2 * i : 2 * i + 256] for i in range(count)]


def test_mp4_has_every_frame_and_plays_everywhere(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    assert write_film(path, scrolling(45), palette=PALETTE, scale=2) == 45

    reader = imageio_ffmpeg.read_frames(str(path))
    facts = next(reader)
    pictures = [np.frombuffer(data, np.uint8).reshape(480, 512, 3) for data in reader]
    assert len(pictures) == 45
    assert facts["fps"] == 60
    assert facts["size"] == (512, 480)
    assert facts["pix_fmt"].startswith("yuv420p")
    assert facts["codec"] == "h264"


def noise_ratio(path: Path, frames: NDArray[np.uint8], scale: int) -> list[float]:
    """PSNR in dB of some pictures of a film, against each NES pixel enlarged to a square."""
    reader = imageio_ffmpeg.read_frames(str(path))
    assert next(reader)["size"] == (256 * scale, 240 * scale)
    ratios = []
    for number, data in enumerate(reader):
        if number % 7 == 0:
            seen = np.frombuffer(data, np.uint8).reshape(240, scale, 256, scale, 3)
            wanted = CONSOLE_PALETTE[frames[number] & 63][:, None, :, None]
            error = np.square(seen.astype(np.float32) - wanted).mean()
            ratios.append(10 * float(np.log10(255**2 / max(error, 1e-9))))
    return ratios


@pytest.mark.parametrize("level", ["1-1", "3-2"])
def test_a_film_of_play_is_small_and_looks_like_the_game(level: str, tmp_path: Path) -> None:
    agent = Agent.load(level)
    pictures: list[NDArray[np.uint8]] = []
    with closing(Playback(agent, level, policy=agent.policy_mode)) as playback:
        for moment in playback.episode(0):
            pictures += list(moment.frames)
            if len(pictures) >= 300:
                break
    frames = np.array(pictures[:300])
    path = tmp_path / "clip.mp4"
    write_film(path, frames, palette=CONSOLE_PALETTE)
    # 1.5 MB for 20 seconds.
    assert path.stat().st_size < 1.5e6 * 5 / 20
    ratios = noise_ratio(path, frames, 4)
    assert len(ratios) == 43
    assert min(ratios) > 40


def test_mp4_shows_the_colours_of_the_palette(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    palette = np.zeros((64, 3), np.uint8)
    palette[7] = (200, 40, 90)
    write_film(path, [np.full((240, 256), 7, np.uint8)] * 3, palette=palette)

    reader = imageio_ffmpeg.read_frames(str(path))
    next(reader)
    colours = np.frombuffer(next(reader), np.uint8).reshape(-1, 3).astype(int)
    assert np.abs(colours.mean(axis=0) - (200, 40, 90)).max() < 6


def test_gif_keeps_one_frame_in_three_exactly(tmp_path: Path) -> None:
    path = tmp_path / "clip.gif"
    frames = scrolling(10)
    assert write_film(path, frames, palette=PALETTE) == 10

    with Image.open(path) as film:
        pictures = [np.asarray(p.convert("RGB")) for p in ImageSequence.Iterator(film)]
        assert film.info["loop"] == 0
        assert film.info["duration"] == 50
    assert len(pictures) == 4
    for picture, frame in zip(pictures, frames[::3], strict=True):
        np.testing.assert_array_equal(picture, PALETTE[frame])


def test_gif_scale_is_nearest_neighbour(tmp_path: Path) -> None:
    path = tmp_path / "clip.gif"
    frame = scrolling(1)[0]
    write_film(path, [frame], palette=PALETTE, scale=2)
    with Image.open(path) as film:
        picture = np.asarray(film.convert("RGB"))
    np.testing.assert_array_equal(picture[::2, ::2], PALETTE[frame])
    np.testing.assert_array_equal(picture[1::2, 1::2], PALETTE[frame])


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_failed_recording_keeps_the_older_film(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    path.write_bytes(b"a good film")

    def broken() -> Iterator[NDArray[np.uint8]]:
        yield from scrolling(5)
        raise RuntimeError("the game stopped")

    with pytest.raises(RuntimeError, match="the game stopped"):
        write_film(path, broken(), palette=PALETTE)
    assert path.read_bytes() == b"a good film"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of POSIX")
@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_full_disk_is_reported_and_keeps_the_older_film(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    path.write_bytes(b"a good film")
    script = f"""
import resource, signal
import numpy as np
from pathlib import Path
from warpzone.video.film import FilmError, write_film

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
noise = np.random.default_rng(0).integers(0, 64, (20, 240, 256), dtype=np.uint8)
palette = np.arange(192, dtype=np.uint8).reshape(64, 3)
try:
    write_film(Path({str(path)!r}), noise, palette=palette)
except FilmError as error:
    print("error:", error)
"""
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert f"error: could not write {str(path)!r}" in result.stdout
    assert path.read_bytes() == b"a good film"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_no_frames_is_an_error_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(FilmError, match="no frames"):
        write_film(tmp_path / "clip.mp4", [], palette=PALETTE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scale", [0, 9, -1])
def test_scale_out_of_range(tmp_path: Path, scale: int) -> None:
    with pytest.raises(ConfigError, match=f"scale is {scale}"):
        write_film(tmp_path / "clip.gif", scrolling(1), palette=PALETTE, scale=scale)


@pytest.mark.parametrize("name", ["clip.avi", "clip", "clip.mp4.txt"])
def test_unknown_suffix(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"\.mp4 or \.gif"):
        check_film_path(tmp_path / name)


def test_missing_folder_and_folder_as_film(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no folder"):
        check_film_path(tmp_path / "nowhere" / "clip.mp4")
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(ConfigError, match="is a folder"):
        check_film_path(tmp_path / "folder.mp4")


def test_suffix_in_capitals_is_known(tmp_path: Path) -> None:
    write_film(tmp_path / "CLIP.GIF", scrolling(3), palette=PALETTE)
    with Image.open(tmp_path / "CLIP.GIF") as film:
        assert film.format == "GIF"
