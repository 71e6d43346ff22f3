"""The panel beside a film: it shows the buttons, the value and the probabilities of the moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image
from tests.support.playback import PALETTE, FakePlayback

from warpzone.agents.agent import Agent
from warpzone.agents.playback import Moment
from warpzone.episodes.outcome import Outcome
from warpzone.errors import ConfigError
from warpzone.ppo.policy import to_tensors
from warpzone.video.overlay import CHOSEN, GROUND, LIT, OTHER, VALUE, Overlay
from warpzone.video.record import record

NAMES = ["nothing", "right", "right + A", "A", "left", "down"]


def fake(**options: Any) -> Any:
    """It only has what is asked of a `Playback` here."""
    return FakePlayback(**options)


def overlay(scale: int = 2) -> Overlay:
    playback = fake()
    playback.action_names = NAMES
    return Overlay(playback, scale)


def moment(action: int = 0, value: float = 1.0, odds: list[float] | None = None) -> Moment:
    probabilities = np.array(odds or [1 / len(NAMES)] * len(NAMES), np.float32)
    return Moment(action, np.zeros((4, 240, 256), np.uint8), {}, False, value, probabilities)


def where(panel: np.ndarray, colour: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels of a colour."""
    rows, columns = np.nonzero((panel == colour).all(axis=2))
    return rows, columns


def test_the_pad_lights_the_buttons_of_the_action() -> None:
    drawing = overlay()
    counts = [len(where(drawing.panel(moment(i)), LIT)[0]) for i in range(len(NAMES))]
    nothing, right, right_a, a, left, down = counts
    assert nothing == 0
    assert min(right, a) > 100
    assert right == left == down
    assert right_a == right + a
    assert (
        where(drawing.panel(moment(4)), LIT)[1].max()
        < where(drawing.panel(moment(1)), LIT)[1].min()
    )


def test_bars_are_as_long_as_the_probabilities() -> None:
    panel = overlay().panel(moment(1, odds=[0.1, 0.6, 0.3, 0, 0, 0]))
    chosen, others = where(panel, CHOSEN), where(panel, OTHER)

    def length(rows: np.ndarray, columns: np.ndarray, row: int) -> int:
        return int((rows == row).sum())

    longest = length(*chosen, int(np.median(chosen[0])))
    assert longest == pytest.approx(0.6 * 33 * 2, abs=1)
    lengths = {length(*others, row) for row in np.unique(others[0])}
    assert sorted(lengths) == pytest.approx([0.1 * 33 * 2, 0.3 * 33 * 2], abs=1)


def test_the_value_is_measured_by_the_largest_so_far() -> None:
    drawing = overlay()
    full = len(where(drawing.panel(moment(value=20.0)), VALUE)[0])
    assert len(where(drawing.panel(moment(value=5.0)), VALUE)[0]) == pytest.approx(
        full / 4, rel=0.02
    )
    negative = drawing.panel(moment(value=-20.0))
    assert len(where(negative, VALUE)[0]) == 0
    assert len(where(negative, LIT)[0]) == full


def test_nothing_is_pressed_and_nothing_thought_after_the_end() -> None:
    outcome = Outcome(cleared=True, death=0, progress=3000, frames=1200)
    panel = overlay().panel(None, outcome)
    for colour in (LIT, VALUE, CHOSEN, OTHER):
        assert len(where(panel, colour)[0]) == 0
    assert (panel[140:170] != GROUND).any(), "the outcome is written there"
    assert (panel[240:] == GROUND).all()


def test_the_game_is_enlarged_and_the_panel_drawn_at_that_size() -> None:
    frame = np.arange(240 * 256, dtype=np.uint32).reshape(240, 256).astype(np.uint8) & np.uint8(63)
    for scale in (1, 3):
        drawing = overlay(scale)
        picture = drawing.beside(frame, drawing.panel(moment()))
        assert picture.shape == (240 * scale, 400 * scale, 3)
        assert (picture[::scale, : 256 * scale : scale] == PALETTE[frame]).all()
    text = drawing.panel(moment())[200:220]
    blocks = text[: 18 // 3 * 3 : 3, ::3].repeat(3, axis=0).repeat(3, axis=1)
    assert (blocks != text[:18]).any(), "text is not made of enlarged pixels"


def test_a_film_with_overlay(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    recording = record(fake(clears=(0,)), path, scale=1, overlay=True)
    reader = imageio_ffmpeg.read_frames(str(path))
    assert next(reader)["size"] == (400, 240)
    assert sum(1 for _ in reader) == recording.frames == 18


def test_a_gif_with_overlay_is_large_enough_to_read(tmp_path: Path) -> None:
    path = tmp_path / "clip.gif"
    record(fake(), path, tries=1, overlay=True)
    with Image.open(path) as film:
        assert film.size == (800, 480)
        shown = np.asarray(film.convert("RGB"))[0, 0].astype(int)
    assert np.abs(shown - PALETTE[0]).max() < 8


def test_a_bad_scale_is_found_before_anything_is_played(tmp_path: Path) -> None:
    playback = fake()
    with pytest.raises(ConfigError, match="scale is 9"):
        record(playback, tmp_path / "clip.mp4", scale=9, overlay=True)
    assert playback.played == []


def test_a_decision_tells_what_the_network_said(agent: Agent) -> None:
    env = agent.make_env("1-1", noop_max=0, repeat_action_probability=0.0)
    observation, _ = env.reset(seed=0)
    env.close()
    assert isinstance(observation, dict)
    batch = {name: array[None] for name, array in observation.items()}
    logits, values = agent.policy(to_tensors(batch, agent.device))

    decision = agent.decide(observation, "argmax", agent.random(0))
    np.testing.assert_allclose(decision.probabilities, logits[0].softmax(0).numpy(), rtol=1e-5)
    assert decision.value == pytest.approx(float(values[0]))
    assert decision.action == int(logits.argmax())
    sampled = agent.decide(observation, "sample", agent.random(3))
    assert sampled.action == agent.act(batch, "sample", agent.random(3))[0]
