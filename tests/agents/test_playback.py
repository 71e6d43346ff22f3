"""An agent playing the real game, frame by frame, into films and windows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pygame
import pytest

from warpzone.agents.agent import Agent
from warpzone.agents.playback import FAIL_FRAMES, Playback
from warpzone.episodes.outcome import Outcome
from warpzone.nes.console import PALETTE
from warpzone.video.record import record
from warpzone.viewers.pacer import Pacer
from warpzone.viewers.watch import Stats, watch


@pytest.fixture
def playback(agent: Agent) -> Iterator[Playback]:
    with closing(Playback(agent, "1-1")) as player:
        yield player


def play(playback: Playback, seed: int) -> tuple[list[int], list[np.ndarray], Outcome]:
    actions: list[int] = []
    frames: list[np.ndarray] = []
    for moment in playback.episode(seed):
        actions.append(moment.action)
        frames.extend(moment.frames.copy())
        signals = moment.signals
    assert moment.ended
    return actions, frames, Outcome.from_signals(signals)


def test_same_seed_same_episode(playback: Playback) -> None:
    actions, frames, outcome = play(playback, 3)
    play(playback, 4)
    again = play(playback, 3)
    assert (actions, outcome) == (again[0], again[2])
    np.testing.assert_array_equal(frames, again[1])
    assert actions != play(playback, 5)[0]


def test_every_emulated_frame_is_there(playback: Playback) -> None:
    _, frames, outcome = play(playback, 0)
    assert frames[0].shape == (240, 256)
    assert max(frame.max() for frame in frames) < 64
    steps = playback.agent.info.env.frame_skip
    assert outcome.frames - steps < len(frames) + 30 <= outcome.frames + 60
    changed = [bool((a != b).any()) for a, b in itertools.pairwise(frames)]
    assert np.mean(changed) > 0.5


def test_argmax_without_chance_is_always_the_same(agent: Agent) -> None:
    with closing(Playback(agent, "1-1", policy="argmax", noop_max=0)) as player:
        assert play(player, 1)[0] == play(player, 2)[0]


def test_a_film_shows_the_real_game(playback: Playback, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    recording = record(playback, path, tries=1, seed=2, scale=1)
    _, frames, outcome = play(playback, 2)
    (attempt,) = recording.attempts
    assert attempt.outcome == outcome
    assert recording.frames == len(frames) + FAIL_FRAMES

    reader = imageio_ffmpeg.read_frames(str(path))
    next(reader)
    pictures = [np.frombuffer(data, np.uint8).reshape(240, 256, 3) for data in reader]
    assert len(pictures) == recording.frames
    for i in (0, len(frames) // 2, len(frames) - 1):
        difference = np.abs(pictures[i].astype(int) - PALETTE[frames[i]].astype(int))
        assert difference.mean() < 6, f"frame {i} of the film is not the game's"


def test_the_window_shows_the_real_game(
    agent: Agent, playback: Playback, monkeypatch: pytest.MonkeyPatch
) -> None:
    episode = len(play(playback, 0)[1]) + FAIL_FRAMES
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(Pacer, "wait", lambda pacer, speed: True)

    def open_playback(level: str) -> Playback:
        return Playback(agent, level)

    tally = watch(open_playback, ["1-1"], scale=1, max_frames=episode + 10)
    pygame.quit()
    assert tally == Stats(frames=episode + 10, episodes=1, cleared=0)
