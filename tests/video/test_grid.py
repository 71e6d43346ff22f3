"""Many agents in one film: each in its place, and what is finished stands still."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import imageio_ffmpeg
import numpy as np
import pytest
from tests.support.playback import AFTERMATH_FRAMES, PALETTE, STEP_FRAMES, FakePlayback

from warpzone.agents.agent import Agent
from warpzone.agents.playback import Playback
from warpzone.errors import ConfigError
from warpzone.video import grid as gallery
from warpzone.video.grid import CROSS, HOLD_FRAMES, STRIP, TICK, GridEntry, grid, record_together
from warpzone.video.overlay import GROUND
from warpzone.video.record import Recording


def entry(label: str, playback: FakePlayback) -> GridEntry:
    return GridEntry(label, cast(Playback, playback))


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Receives what would be written to a film."""
    kept: list[np.ndarray] = []

    def keep(path: Path, frames: Iterable[np.ndarray], **options: object) -> int:
        kept.extend(frames)
        return len(kept)

    monkeypatch.setattr(gallery, "write_film", keep)
    return kept


def show(*entries: GridEntry, **options: Any) -> Recording:
    return record_together(entries, Path("film.mp4"), scale=1, **options)


@pytest.mark.parametrize(
    ("count", "size"),
    [(1, (1, 1)), (2, (2, 1)), (3, (3, 1)), (4, (2, 2)), (5, (3, 2)), (8, (4, 2)), (32, (8, 4))],
)
def test_the_grid_is_wide_and_has_a_place_for_each(count: int, size: tuple[int, int]) -> None:
    assert grid(count) == size


def test_every_grid_is_large_enough_without_an_empty_row() -> None:
    for count in range(1, 65):
        columns, rows = grid(count)
        assert columns * (rows - 1) < count <= columns * rows


def test_agents_play_at_once_and_the_finished_stand_still(pictures: list[np.ndarray]) -> None:
    short, long = FakePlayback(clears=(7,), steps=2), FakePlayback(steps=5)
    recording = show(entry("short", short), entry("long", long), seed=7)
    played = 5 * STEP_FRAMES + AFTERMATH_FRAMES
    assert len(pictures) == played + HOLD_FRAMES
    assert recording.frames == len(pictures)
    assert [attempt.outcome.cleared for attempt in recording.attempts] == [True, False]
    assert pictures[0].shape == (STRIP + 240, 512, 3)
    for number in range(2 * STEP_FRAMES):
        left, right = pictures[number][STRIP:, 1:255], pictures[number][STRIP:, 257:511]
        assert (pictures[number][:, 255:257] == GROUND).all(), "tiles are parted"
        assert (left == PALETTE[7 + number]).all()
        assert (right == PALETTE[7 + number]).all()

    ended = 2 * STEP_FRAMES + AFTERMATH_FRAMES
    still = pictures[ended][STRIP:, :256]
    assert (still == TICK).all(axis=2).any()
    assert (still[0, 1] == PALETTE[63] // 3).all(), "dimmed"
    assert (pictures[ended + 3][STRIP:, :256] == still).all()
    assert (pictures[ended + 3][STRIP:, 257:511] == PALETTE[7 + ended + 3]).all()
    last = pictures[-1]
    assert (last[STRIP:, 256:] == CROSS).all(axis=2).any()
    assert not (last[STRIP:, 256:] == TICK).all(axis=2).any()
    assert (pictures[-HOLD_FRAMES] == last).all()


def test_each_tile_has_its_name_and_from_the_end_on_its_outcome(
    pictures: list[np.ndarray],
) -> None:
    show(*(entry(label, FakePlayback(steps=1)) for label in ("1-1", "8-4", "8-4")))
    first = pictures[0][:STRIP].reshape(STRIP, 3, 256, 3)
    assert (first[:, 0] != first[:, 1]).any()
    assert (first[:, 1] == first[:, 2]).all()
    last = pictures[-1][:STRIP].reshape(STRIP, 3, 256, 3)
    assert (last[:, 0, :128] == first[:, 0, :128]).all()
    assert (last[:, 0, 128:] != first[:, 0, 128:]).any()


def test_each_agent_has_its_own_tries(pictures: list[np.ndarray]) -> None:
    said: list[str] = []
    recording = record_together(
        [entry("1-1", FakePlayback(clears=(2,))), entry("1-2", FakePlayback())],
        Path("film.mp4"),
        tries=4,
        log=said.append,
    )
    assert [(attempt.seed, attempt.tries) for attempt in recording.attempts] == [(2, 3), (3, 4)]
    assert said[0] == "1-1: cleared in 0.2 s (after 3 tries, seed 2)"
    assert "none of which cleared" in said[1]
    # The default scale is the largest that fits.
    assert pictures[0].shape == (256 * 4, 512 * 4, 3)


def test_thirty_two_fit_by_default_and_too_large_a_scale_is_told(
    pictures: list[np.ndarray],
) -> None:
    playbacks = [FakePlayback(steps=1) for _ in range(32)]
    entries = [entry(str(number), one) for number, one in enumerate(playbacks)]
    record_together(entries, Path("film.mp4"))
    assert pictures[0].shape == (1024, 2048, 3)
    with pytest.raises(ConfigError, match=r"scale 3 gives a picture of 6144 pixels.*choose 2"):
        record_together(entries, Path("film.mp4"), scale=3)
    with pytest.raises(ConfigError, match="scale is 9"):
        record_together(entries, Path("film.mp4"), scale=9)


@pytest.mark.parametrize("tries", [0, -1])
def test_tries_below_one(tries: int) -> None:
    playback = FakePlayback()
    with pytest.raises(ConfigError, match="tries"):
        show(entry("1-1", playback), tries=tries)
    assert playback.played == []


def test_the_real_game(agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with closing(Playback(agent, "1-1")) as one, closing(Playback(agent, "1-2")) as other:
        entries = [GridEntry("1-1", one), GridEntry("1-2", other)]
        recording = record_together(entries, path, scale=1)
        reader = imageio_ffmpeg.read_frames(str(path))
        assert next(reader)["size"] == (512, 256)
        films = [np.frombuffer(data, np.uint8).reshape(256, 512, 3) for data in reader]
        assert len(films) == recording.frames
        for number, playback in enumerate((one, other)):
            frame = next(playback.episode(0)).frames[0]
            shown = films[0][STRIP:, 256 * number :][:, :256].astype(int)
            assert np.abs(shown - playback.palette[frame]).mean() < 6
