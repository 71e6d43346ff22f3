"""Which try is filmed, and what is said about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence
from tests.support.playback import PALETTE, FakePlayback

from warpzone.episodes.outcome import Outcome
from warpzone.errors import ConfigError
from warpzone.video.record import record


def film(path: Path, playback: Any, **options: Any) -> Any:
    return record(playback, path, **options)


def test_keeps_the_first_clear_and_says_how_many_tries(tmp_path: Path) -> None:
    playback = FakePlayback(clears=(7, 8))
    said: list[str] = []
    recording = film(tmp_path / "clip.gif", playback, seed=5, tries=10, log=said.append)

    (attempt,) = recording.attempts
    assert (attempt.seed, attempt.tries, attempt.outcome.cleared) == (7, 3, True)
    assert str(attempt) == "cleared in 0.2 s (after 3 tries, seed 7)"
    assert playback.played == [5, 6, 7, 7]
    assert said == [
        "try 1: fell into a pit at 205 px",
        "try 2: fell into a pit at 206 px",
        "try 3: cleared in 0.2 s",
    ]
    assert recording.frames == 18
    with Image.open(tmp_path / "clip.gif") as gif:
        colours = [np.asarray(p.convert("RGB"))[0, 0] for p in ImageSequence.Iterator(gif)]
    np.testing.assert_array_equal(colours, PALETTE[[7, 10, 13, 16, 63]])


def test_without_a_clear_the_farthest_try_is_filmed(tmp_path: Path) -> None:
    playback = FakePlayback()
    (attempt,) = film(tmp_path / "clip.gif", playback, seed=0, tries=4).attempts
    assert (attempt.seed, attempt.tries, attempt.outcome.cleared) == (3, 4, False)
    assert "the farthest of 4 tries, none of which cleared" in str(attempt)
    assert playback.played == [0, 1, 2, 3, 3]


def test_scores_may_be_negative(tmp_path: Path) -> None:
    playback = FakePlayback(score=-1000)
    (attempt,) = film(tmp_path / "clip.gif", playback, seed=0, tries=3).attempts
    assert (attempt.seed, attempt.tries, attempt.outcome.progress) == (2, 3, -798)
    assert playback.played == [0, 1, 2, 2]
    (attempt,) = film(tmp_path / "clip.gif", FakePlayback(score=-1), tries=1).attempts
    assert (attempt.seed, attempt.outcome.frames) == (0, 12)


def test_one_try_films_what_comes(tmp_path: Path) -> None:
    playback = FakePlayback(clears=(1,))
    (attempt,) = film(tmp_path / "clip.gif", playback, seed=0, tries=1).attempts
    assert (attempt.seed, attempt.outcome.cleared) == (0, False)


def test_several_episodes_are_different_tries(tmp_path: Path) -> None:
    playback = FakePlayback(clears=(1, 4))
    recording = film(tmp_path / "clip.gif", playback, episodes=2, tries=5)
    assert [(t.seed, t.tries) for t in recording.attempts] == [(1, 2), (4, 3)]
    assert recording.frames == 36


@pytest.mark.parametrize("options", [{"episodes": 0}, {"tries": 0}])
def test_numbers_below_one(tmp_path: Path, options: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        film(tmp_path / "clip.gif", FakePlayback(), **options)


def test_a_bad_path_is_found_before_anything_is_played(tmp_path: Path) -> None:
    playback = FakePlayback()
    with pytest.raises(ConfigError, match="must end in"):
        film(tmp_path / "clip.webm", playback)
    assert playback.played == []


@pytest.mark.parametrize(
    ("death", "text"),
    [
        (0, "gave up at 812 px"),
        (1, "killed by an enemy at 812 px"),
        (3, "ran out of time at 812 px"),
        (4, "left the level by a warp at 812 px"),
    ],
)
def test_outcome_in_words(death: int, text: str) -> None:
    assert str(Outcome(cleared=False, death=death, progress=812, frames=500)) == text
