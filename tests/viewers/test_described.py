"""A person plays other games than Super Mario Bros., in a window of SDL's dummy driver."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pygame
import pytest
from tests.support.commands import error_of, plain, run

from warpzone.episodes.format import POWER_ON, Episode, Person
from warpzone.episodes.play_recorder import PlayRecorder
from warpzone.episodes.replay import Replay
from warpzone.errors import EpisodeError
from warpzone.games.catch import GAME, cartridge
from warpzone.nes.console import Console
from warpzone.nes.game_start import Startup
from warpzone.viewers.gamepad import LEFT
from warpzone.viewers.pacer import Pacer
from warpzone.viewers.play import play


def later(startup: Startup) -> None:
    GAME.starts["game"](startup)  # type: ignore[operator]
    startup.wait(40)


TWO = dataclasses.replace(GAME, starts={**GAME.starts, "later": later})
PADDLE = 0x10


@pytest.fixture
def rom(tmp_path: Path) -> Path:
    path = tmp_path / "catch.nes"
    cartridge(path)
    return path


@pytest.fixture(autouse=True)
def dummy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(Pacer, "wait", lambda pacer, speed: True)
    yield
    pygame.quit()


@pytest.mark.parametrize("start", ["game", "later", POWER_ON])
def test_a_game_begins_at_its_start_and_is_recorded(rom: Path, tmp_path: Path, start: str) -> None:
    recorder = PlayRecorder(Console(rom), TWO)
    frames = play(
        recorder.console, [start], max_frames=9, read_buttons=lambda pads: LEFT, recorder=recorder
    )
    assert frames == recorder.frames == 9
    twin = Console(rom)
    if start != POWER_ON:
        TWO.starts[start](Startup(twin, TWO.variables))  # type: ignore[operator]
    paddle = twin.ram[PADDLE]
    twin.step(LEFT, 9)
    assert recorder.console.save() == twin.save()
    assert start == POWER_ON or twin.ram[PADDLE] < paddle
    recorder.episode(Person()).save(tmp_path / "game.json")
    again = Replay(Episode.load(tmp_path / "game.json"), Console(rom))
    again.verify()
    assert again.console.save() == twin.save()
    assert (again.episode.described is None) is (start == POWER_ON)
    assert ("described" in json.loads((tmp_path / "game.json").read_text())) is (start != POWER_ON)


def test_keys_go_through_the_starts(rom: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    begin = PlayRecorder.begin

    def spy(recorder: PlayRecorder, start: str) -> None:
        shown.append(start)
        begin(recorder, start)

    def press_next(pads: object) -> int:
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=ord("n"), unicode="n"))
        return 0

    monkeypatch.setattr(PlayRecorder, "begin", spy)
    recorder = PlayRecorder(Console(rom), TWO)
    play(recorder.console, [*TWO.starts], max_frames=3, read_buttons=press_next, recorder=recorder)
    assert shown == ["game", "later", "game"]


def test_a_damaged_start_is_refused(rom: Path) -> None:
    recorder = PlayRecorder(Console(rom), GAME)
    recorder.begin("game")
    recorder.step(0)
    values = recorder.episode(Person()).model_dump(mode="json")
    described = recorder.episode(Person()).described
    assert described is not None
    for snapshot in (b"", described.snapshot[:-1], b"x" + described.snapshot[1:]):
        changed = described.model_copy(update={"snapshot": snapshot}).model_dump(mode="json")
        episode = Episode.model_validate({**values, "described": changed})
        with pytest.raises(EpisodeError, match="where the episode begins is damaged"):
            Replay(episode, Console(rom))
    huge = described.model_copy(update={"snapshot": bytes(1 << 19)}).model_dump(mode="json")
    with pytest.raises(EpisodeError, match="damaged episode"):
        Episode.parse(json.dumps({**values, "described": huge}).encode(), "huge.json")


@pytest.mark.parametrize(
    ("words", "orders"),
    [
        (["catch", "--rom", "catch.nes"], ["game"]),
        (["catch", "--rom", "catch.nes", "--power-on"], [POWER_ON, "game"]),
        (["mine.py", "--rom", "catch.nes", "--start", "later"], ["later", "game"]),
        (["catch.nes"], [POWER_ON]),
    ],
)
def test_on_the_command_line(
    words: list[str],
    orders: list[str],
    rom: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from warpzone.viewers import play as viewer

    def play_a_little(
        console: Console, order: list[str], *, recorder: PlayRecorder, scale: int
    ) -> None:
        opened.append(order)
        recorder.begin(order[0])
        for _ in range(20):
            recorder.step(LEFT)

    opened: list[list[str]] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(viewer, "play", play_a_little)
    Path("mine.py").write_text(
        "import dataclasses\n"
        "from warpzone.games.catch import GAME as CATCH\n"
        "starts = {'game': CATCH.starts['game'], 'later': lambda play: play.wait(200)}\n"
        "GAME = dataclasses.replace(CATCH, name='mine', starts=starts)\n"
    )
    told = run("play", *words, "--record", "game.json")
    assert told.exit_code == 0, told.output
    assert opened == [orders]
    assert f"game.json from {orders[0]}, 20 frames" in plain(told.output)
    assert run("replay", "game.json", "--rom", rom, "--check").exit_code == 0
    assert run("replay", "game.json", "--rom", rom, "-o", "game.png").exit_code == 0
    movie = run("replay", "game.json", "--rom", rom, "-o", "game.fm2")
    assert (movie.exit_code == 0) is (orders[0] == POWER_ON), movie.output


def test_what_does_not_apply_is_refused(rom: Path) -> None:
    assert "catch has no start '1-1': there are game" in error_of(
        "play", "catch", "--start", "1-1", "--rom", rom
    )
    assert "--start is for described games, and '1-1' is none" in error_of(
        "play", "1-1", "--start", "1-2"
    )
    assert "two beginnings are named, --power-on and --start game" in error_of(
        "play", "catch", "--start", "game", "--power-on", "--rom", rom
    )
    assert "two cartridges are named" in error_of("play", rom, "--rom", rom)
    assert "does not exist" in error_of("play", rom.with_name("none.nes"))
