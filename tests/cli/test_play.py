"""`warpzone watch`, `play` and `replay`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.commands import error_of, plain, run

from warpzone.cli.options import EXIT_INTERRUPTED
from warpzone.episodes.format import Person
from warpzone.episodes.play_recorder import PlayRecorder
from warpzone.nes.console import Console


def test_watch_without_screen_points_to_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    text = error_of("watch", "1-1")
    assert "warpzone record 1-1 -o clip.mp4" in text
    assert "warpzone watch 1-1 --terminal" in text
    text = error_of("watch", "--game")
    assert "warpzone record --game -o clip.mp4" in text
    assert "warpzone watch --game --terminal" in text
    assert "leave out 1-2" in error_of("watch", "1-1", "1-2", "--game")
    assert "give --game too" in error_of("watch", "1-1", "--warps")
    assert "or --game" in error_of("watch")
    assert "no screen" in error_of("play", "1-1")
    game = tmp_path / "game.json"
    recorder = PlayRecorder(Console())
    recorder.begin("1-1")
    recorder.step(128)
    recorder.episode(Person()).save(game)
    assert f"warpzone replay {game} -o clip.mp4" in error_of("replay", game)
    # What another screen would not mend is told first.
    game.write_text("{")
    assert "cut short or damaged" in error_of("replay", game)
    assert "there is no episode" in error_of("replay", tmp_path / "none.json")
    for screen in ((), ("--terminal",)):
        assert "is not a run: it holds neither" in error_of("watch", tmp_path, *screen)
    assert "no level '9-9'" in error_of("play", "9-9")


def test_what_does_not_apply_to_a_replay_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    recorder = PlayRecorder(Console())
    recorder.begin("1-1")
    recorder.step(128)
    game, state, film = (tmp_path / name for name in ("game.json", "here.state", "clip.gif"))
    recorder.episode(Person()).save(game)
    scale, pictures = ("--scale", "3"), ("--pictures", "5")
    for words in (["--check"], ["--at", "1", "-o", state], ["--at", "1", "-o", state, "--check"]):
        assert "--scale is 3, and is for a window or a film" in error_of(
            "replay", game, *words, *scale
        )
        assert "--pictures is 5, and is for a sheet" in error_of("replay", game, *words, *pictures)
    assert "--pictures is 5, and is for a sheet" in error_of("replay", game, *pictures)
    assert "pictures are for sheets" in error_of("replay", game, "-o", film, *pictures)
    assert list(tmp_path.iterdir()) == [game]
    assert run("replay", game, "--at", "1", "-o", state, "--check").exit_code == 0
    assert state.is_file()


def test_watch_in_what_is_no_terminal() -> None:
    assert "--scale is 7, and is for a window" in error_of(
        "watch", "1-1", "--terminal", "--scale", "7"
    )
    assert "the output is not a terminal" in error_of("watch", "1-1", "--terminal")


@pytest.mark.parametrize("end", [KeyboardInterrupt, None])
def test_a_persons_game_is_recorded_and_becomes_a_movie(
    end: type[BaseException] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from warpzone.viewers import play

    def play_a_little(console: object, order: list[str], *, recorder: Any, scale: int) -> None:
        recorder.begin(order[0])
        for frame in range(120):
            recorder.step(8 if frame == 60 else 0)
        if end is not None:
            raise end

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(play, "play", play_a_little)
    game, movie, again = (tmp_path / name for name in ("game.json", "movie.fm2", "again.json"))
    told = run("play", "--power-on", "--record", game)
    assert told.exit_code == (EXIT_INTERRUPTED if end else 0)
    assert "game.json from power-on, 120 frames" in plain(told.output)
    assert run("replay", game, "-o", movie).exit_code == 0
    assert run("replay", movie, "-o", again).exit_code == 0
    first, second = (json.loads(path.read_text()) for path in (game, again))
    assert second["player"]["kind"] == "movie"
    assert {**first, "player": None} == {**second, "player": None}
