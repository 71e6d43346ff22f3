"""Runs that begin with recorded games: kept in the run directory, refused where they are no use."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.support.scripts import FLAGPOLE, RUN, steps
from tests.training.test_games import SMALL, interrupted_after, play

import warpzone
from warpzone.episodes.format import Episode, Person, RomIdentity
from warpzone.episodes.play_recorder import PlayRecorder
from warpzone.errors import ConfigError, EpisodeError
from warpzone.nes.console import Console
from warpzone.training import TrainConfig, resolve
from warpzone.training.demonstrations import FOLDER, Demonstrations
from warpzone.training.provenance import command_of
from warpzone.training.run_settings import read_config


def record(path: Path, buttons: list[int], start: str = "1-1") -> Path:
    recorder = PlayRecorder(Console())
    recorder.begin(start)
    for byte in buttons:
        recorder.step(byte)
    recorder.episode(Person()).save(path)
    return path


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody clears 1-1."""
    buttons = [byte for byte in steps(FLAGPOLE) for _ in range(4)]
    return record(tmp_path_factory.mktemp("games") / "game.json", buttons)


def config_of(*files: Path, levels: str = "1-1", **changes: Any) -> TrainConfig:
    curriculum = {"demonstrations": [str(file) for file in files], "search_steps": 10_000}
    env = {"levels": levels, "max_steps": 20}
    return resolve("specialist", **{**SMALL, "env": env, "curriculum": curriculum, **changes})


def error_of(*files: Path, levels: str = "1-1") -> str:
    """Why these are no demonstrations."""
    config = config_of(*files, levels=levels)
    env = warpzone.make_vec(num_envs=1, threads=1, config=config.env)
    with pytest.raises(EpisodeError) as raised:
        Demonstrations(config, Path("no-run")).trajectories(env)
    return str(raised.value)


def test_a_run_keeps_its_demonstrations_and_goes_on_with_them(game: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.json"
    shutil.copy(game, mine)
    config = config_of(mine)
    whole = play(config, tmp_path / "whole")
    stopped = play(config, tmp_path / "parts", make_env=interrupted_after(2 * (48 + 17)))
    assert stopped.values["step"] == 2 * 4 * 48
    digest = hashlib.sha256(game.read_bytes()).hexdigest()
    kept = tmp_path / "parts" / FOLDER / f"{digest[:16]}.json"
    assert kept.read_bytes() == game.read_bytes()
    (entry,) = read_config(tmp_path / "parts").curriculum.demonstrations
    assert (entry.file, entry.sha256) == (str(mine), digest)
    # Named once more, as a campaign does, it is the same.
    assert Demonstrations(config, tmp_path / "parts").config == read_config(tmp_path / "parts")

    mine.unlink()  # it is not needed any more
    resumed = play(read_config(tmp_path / "parts"), tmp_path / "parts", resume=True)
    for name, tensor in whole.tensors.items():
        assert torch.equal(resumed.tensors[name], tensor), name
    assert resumed.values["stats"] == whole.values["stats"]
    assert resumed.values["curriculum"] == whole.values["curriculum"]
    assert whole.values["curriculum"]["ways"] == {}  # nothing was searched
    assert sum(whole.values["curriculum"]["episodes"]) > 0

    kept.write_bytes(kept.read_bytes() + b"\n")
    again = read_config(tmp_path / "parts")
    with pytest.raises(EpisodeError, match=r"is not the demonstration that the run was begun with"):
        play(again, tmp_path / "parts", resume=True)
    kept.unlink()
    with pytest.raises(EpisodeError, match=r"there is no episode .*mine\.json', nor is there the"):
        play(again, tmp_path / "parts", resume=True)


def test_levels_that_nobody_shows_are_searched(game: Path, tmp_path: Path) -> None:
    found = play(config_of(game, levels="1-1,1-2", total_steps=48), tmp_path / "run")
    assert set(found.values["curriculum"]["ways"]) == {"1-2"}
    assert found.values["curriculum"]["cleared"] == {"1-2": False}  # 10,000 steps are few


def test_what_is_said_about_them(game: Path, tmp_path: Path) -> None:
    buttons = [byte for byte in steps(FLAGPOLE) for _ in range(4)]
    half = record(tmp_path / "half.json", buttons[:700])
    config = config_of(game, half)
    env = warpzone.make_vec(num_envs=1, threads=1, config=config.env)
    trajectories, lines = Demonstrations(config, tmp_path).trajectories(env)
    assert [trajectory.cleared for trajectory in trajectories["1-1"]] == [True, False]
    whole, part = lines
    assert whole.startswith(f"1-1 begins with {str(game)!r}: cleared in 2")
    assert part.endswith("px; it leads only so far")
    assert "gave up at 16" in part


def test_files_that_are_no_demonstrations_are_refused(game: Path, tmp_path: Path) -> None:
    missing = tmp_path / "none.json"
    assert f"there is no episode {str(missing)!r}" in error_of(missing)
    assert "`warpzone play LEVEL --record FILE`" in error_of(missing)

    damaged = tmp_path / "damaged.json"
    damaged.write_bytes(game.read_bytes()[:300])
    assert f"{str(damaged)!r} is no episode, or cut short or damaged" in error_of(damaged)

    movie = tmp_path / "movie.fm2"
    movie.write_text("version 3\n")
    assert "-o movie.json` makes one" in error_of(movie)

    text = error_of(game, levels="4-2,8-1")
    assert f"{str(game)!r} is no demonstration of 4-2, 8-1: it begins at 1-1" in text
    assert "warpzone play 4-2 --record FILE" in text

    still = record(tmp_path / "still.json", [0] * 15)
    assert f"{str(still)!r} is too short for a demonstration of 1-1: gave up at" in error_of(still)
    idle = record(tmp_path / "idle.json", [0] * 600)
    assert "gave up at 0 px. Record a game that gets farther" in error_of(idle)

    episode = Episode.load(game)
    other = tmp_path / "other.json"
    rom = RomIdentity(sha1="0" * 40, revision="another")
    episode.model_copy(update={"rom": rom}).save(other)
    assert f"{str(other)!r} cannot be a demonstration: the episode was played on the ROM" in (
        error_of(other)
    )
    changed = tmp_path / "changed.json"
    buttons = bytes([RUN] * episode.frames)
    episode.model_copy(update={"buttons": buttons}).save(changed)
    assert "the game went another way than when it was recorded" in error_of(changed)


def test_nothing_is_written_for_a_demonstration_that_is_refused(game: Path, tmp_path: Path) -> None:
    with pytest.raises(EpisodeError):
        play(config_of(game, levels="8-1"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_settings_name_them(game: Path) -> None:
    config = config_of(game)
    assert TrainConfig.model_validate_json(config.model_dump_json()) == config
    assert json.loads(config.model_dump_json())["curriculum"]["demonstrations"] == [
        {"file": str(game), "sha256": None}
    ]
    assert "warpzone train 1-1 --preset specialist --demonstration game.json" in command_of(config)
    with pytest.raises(ConfigError, match="begin with --preset specialist"):
        resolve("tiles", curriculum={"demonstrations": [str(game)]})
