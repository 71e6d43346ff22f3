"""`warpzone record`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.commands import error_of, plain, run


def test_record_with_an_unknown_suffix(tmp_path: Path) -> None:
    text = error_of("record", tmp_path, "-o", tmp_path / "clip.webm")
    assert "must end in .mp4 or .gif" in text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["all", "--overlay"], "film of one agent"),
        (["1-1", "1-2", "1-3", "--episodes", "2"], "film of one agent"),
        (["1-1", "runs/x.safetensors", "--progress"], "--progress shows one run"),
        (["all", "--progress"], "--progress shows one run"),
        (["all", "1-1"], "each agent on its own level"),
        (["nowhere", "--progress"], "holds no run"),
        (["1-1", "9-9"], "9-9"),
        (["1-1", "1-1,1-2"], "names 2 levels"),
        (["--game", "1-1", "1-2"], "--game films one agent that plays all levels"),
        (["--game", "--progress"], "--game films one agent that plays all levels"),
        (["1-1", "--lives", "1"], "give --game too"),
        ([], "or --game"),
        (["1-1", "runs/nowhere", "1-1"], "nowhere"),
    ],
)
def test_films_of_several_agents_that_cannot_be(
    arguments: list[str], text: str, tmp_path: Path
) -> None:
    assert text in error_of("record", *arguments, "-o", tmp_path / "clip.mp4")
    assert not list(tmp_path.iterdir())


def test_a_description_is_looked_at_with_game_too(tmp_path: Path) -> None:
    description = tmp_path / "none.py"
    words = ("record", "--game", "-o", tmp_path / "clip.gif", "--description")
    assert "cannot be read" in error_of(*words, description)
    description.write_text(
        "from warpzone.games.catch import GAME as CATCH\n"
        "import dataclasses\nGAME = dataclasses.replace(CATCH, name='mine')\n"
    )
    assert "--description is for an agent of a described game" in error_of(*words, description)
    assert "this agent plays tetris" in error_of("record", "tetris", "--game")
    assert not (tmp_path / "clip.gif").exists()


def test_the_whole_game_is_filmed(agent_file: Path, tmp_path: Path) -> None:
    film = tmp_path / "game.gif"
    arguments = ("--game", "--lives", "1", "--until-clear", "1", "--seed", "2", "-o", film)
    told = run("record", agent_file, *arguments)
    assert told.exit_code == 0, told.output
    assert "the whole game: " in plain(told.output)
    assert film.is_file()


def test_an_agents_episode_is_recorded_and_played_again(tmp_path: Path) -> None:
    film, game, sheet = (tmp_path / name for name in ("clip.gif", "game.json", "sheet.png"))
    told = run("record", "1-1", "-o", film, "--episode", game, "--seed", "3", "--until-clear", "1")
    assert told.exit_code == 0, told.output
    assert film.is_file()
    assert "game.json from 1-1" in plain(told.output)
    checked = run("replay", game, "--check")
    assert checked.exit_code == 0, checked.output
    assert "seed 3)" in plain(checked.output)
    assert "RAM after the last frame: as recorded" in plain(checked.output)
    made = run("replay", game, "-o", sheet, "--pictures", "6")
    assert made.exit_code == 0, made.output
    assert sheet.is_file()
    assert "begins at level 1-1" in error_of("replay", game, "-o", tmp_path / "movie.fm2")

    values = json.loads(game.read_text())
    game.write_text(json.dumps({**values, "ram_sha256": "0" * 64}))
    assert "another way" in error_of("replay", game, "--check")
    game.write_text(json.dumps(values)[:-20])
    assert "cut short" in error_of("replay", game, "--check")


def test_a_bad_name_for_an_episode_is_told_before_anything_is_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    missing = tmp_path / "none" / "game.json"
    assert "no folder" in error_of("record", "1-1", "-o", tmp_path / "a.gif", "--episode", missing)
    assert "must end in .json" in error_of("record", "1-1", "--episode", "3")
    several = error_of("record", "1-1", "--episode", "game.json", "--episodes", "2")
    assert "writes one episode" in several
    assert "no folder" in error_of("play", "1-1", "--record", missing)
    assert "there is no episode" in error_of("replay", missing)
