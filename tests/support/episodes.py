"""Runs with episodes in them, as training writes them, without training."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tests.support.run_directories import make_run
from tests.support.scripts import FLAGPOLE, steps

from warpzone.episodes.format import Decisions, Episode, Person, TrainingPlayer, rom_identity
from warpzone.episodes.outcome import Outcome
from warpzone.episodes.play_recorder import PlayRecorder
from warpzone.episodes.replay import begin, ram_digest
from warpzone.nes.buttons import action_names
from warpzone.nes.console import Console
from warpzone.smb.actions import ACTION_SETS

NAMES = action_names(ACTION_SETS["simple"])
CLEAR = bytes(np.repeat(list(steps(FLAGPOLE)), 4).tolist())
"""The buttons of each frame of 1-1 up to the flagpole."""


def random_buttons(frames: int, seed: int) -> bytes:
    chosen = np.random.default_rng(seed).choice([128, 130, 131, 0, 64], -(-frames // 8))
    return bytes(chosen.repeat(8)[:frames].tolist())


def make_episode(
    buttons: bytes = CLEAR,
    *,
    level: str = "1-1",
    step: int = 1000,
    game: int = 0,
    cleared: bool = False,
    thinks: bool = True,
) -> Episode:
    """An episode with these buttons; what the agent thought is drawn at random."""
    console = Console(engine="interpreter")
    begin(console, level)
    for held in buttons:
        console.step(held)
    return Episode(
        rom=rom_identity(console.rom),
        start=level,
        frames=len(buttons),
        ram_sha256=ram_digest(console),
        player=TrainingPlayer(run="run", step=step, game=game),
        outcome=Outcome(cleared, 0 if cleared else 1, len(buttons), len(buttons)),
        decisions=make_decisions(len(buttons), seed=step) if thinks else None,
        buttons=buttons,
    )


def make_decisions(frames: int, seed: int) -> Decisions:
    first = np.arange(0, frames, 4)
    shares = np.random.default_rng(seed).dirichlet(np.full(len(NAMES), 0.3), len(first))
    return Decisions.of(NAMES, first, shares.argmax(1), np.sin(first / 40) * 5, shares)


def pictures(episode: Episode, places: Iterable[int]) -> list[np.ndarray]:
    """uint8[240, 256] at each of these places, which rise, by a plain replay."""
    console = Console(engine="interpreter")
    begin(console, episode.start)
    seen, place = [], 0
    for wanted in places:
        for held in episode.buttons[place:wanted]:
            console.step(held)
        place = wanted
        seen.append(console.screen())
    return seen


def make_run_with(path: Path, episodes: Mapping[str, Episode], observation: str = "tiles") -> Path:
    """A run directory that holds these episodes, by file below it."""
    make_run(path, env={"levels": {"1-1": 1.0}, "observation": observation})
    for file, episode in episodes.items():
        (path / file).parent.mkdir(exist_ok=True)
        episode.save(path / file)
    return path


def recorded(start: str, frames: int = 400, seed: int = 0) -> tuple[Episode, Console]:
    """A game of random buttons, and the console that it was played on."""
    recorder = PlayRecorder(Console())
    recorder.begin(start)
    for buttons in np.random.default_rng(seed).integers(0, 256, frames // 5).repeat(5).tolist():
        recorder.step(buttons)
    return recorder.episode(Person()), recorder.console


def values_of(path: Path) -> dict[str, Any]:
    """Returns what the file of an episode holds, as JSON has it."""
    values: dict[str, Any] = json.loads(path.read_text())
    return values
