"""Where Mario was in stored episodes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.episodes import CLEAR, make_episode, random_buttons

from warpzone.episodes.format import Episode, RomIdentity
from warpzone.episodes.replay import begin
from warpzone.maps import traces as tracing
from warpzone.maps.cache import open_map
from warpzone.maps.traces import Traces
from warpzone.nes.console import Console
from warpzone.nes.rom import Rom


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "episodes").mkdir()
    make_episode(CLEAR, cleared=True).save(tmp_path / "episodes/000001000-000.json")
    make_episode(random_buttons(200, 1), step=2000).save(tmp_path / "episodes/000002000-001.json")
    make_episode(random_buttons(90, 2), level="4-1", step=3000).save(
        tmp_path / "episodes/000003000-000.json"
    )
    return tmp_path


def test_traces_are_where_mario_was(run: Path, rom: Rom) -> None:
    later, clear = Traces(run, rom).newest("1-1", 5)
    assert (later.step, clear.step) == (2000, 1000)
    assert (later.cleared, clear.cleared) == (False, True)
    assert clear.text.startswith("cleared")
    console = Console(rom, engine="interpreter")
    begin(console, "1-1")
    expected = []
    for frame, buttons in enumerate(random_buttons(200, 1), start=1):
        console.step(buttons)
        if frame % tracing.EVERY == 0 or frame == 200:
            ram = console.ram
            x, y = (
                256 * int(ram[page]) + int(ram[at]) for page, at in ((0x6D, 0x86), (0xB5, 0xCE))
            )
            expected.append((37, x, y - 256))
    assert later.points.tolist() == [list(point) for point in expected]

    level_map = open_map("1-1", rom)
    ((strip, points),) = clear.lines(level_map)
    assert strip == 0
    assert points[0][0] < 60
    assert 3150 < points[-1][0] < 3250  # the flagpole
    # He begins on the ground, whose upper edge is at row 11.
    assert points[0][1] == 11 * 16 - 8


def test_lines_are_broken_where_mario_is_moved(run: Path, rom: Rom) -> None:
    trace = Traces(run, rom).newest("1-1", 1)[0]
    points = trace.points.copy()
    points[20:, 1] += 400
    points[30:, 0] = 66  # the bonus room, in which only some of it lies
    points[30:, 1] = 40
    points[40:, 0] = 3
    lines = tracing.Trace("name", 1, None, "", points).lines(open_map("1-1", rom))
    assert [strip for strip, _ in lines] == [0, 0, 1]
    assert [len(line) for _, line in lines] == [20, 10, 10]


def test_an_episode_is_played_once(run: Path, rom: Rom, monkeypatch: pytest.MonkeyPatch) -> None:
    played = []
    follow = tracing.follow

    def noted(name: str, episode: Episode, rom: Rom) -> tracing.Trace:
        played.append(name)
        return follow(name, episode, rom)

    monkeypatch.setattr(tracing, "follow", noted)
    traces = Traces(run, rom)
    first = traces.newest("1-1", 5)
    assert traces.newest("1-1", 5) == first
    assert played == ["000002000-001.json", "000001000-000.json"]
    assert len(traces.newest("1-1", 1)) == 1
    (run / "episodes/000002000-001.json").unlink()
    assert [trace.step for trace in traces.newest("1-1", 5)] == [1000]
    assert len(played) == 2


def test_what_cannot_be_played_is_left_out(run: Path, rom: Rom) -> None:
    folder = run / "episodes"
    (folder / "000004000-000.json").write_text("{")
    (folder / "000005000-000.json").write_bytes(b"\xff\x00")
    (folder / "000006000-000.json").mkdir()
    (folder / "notes.txt").write_text("no episode")
    other = RomIdentity(sha1="0" * 40, revision="another")
    make_episode(random_buttons(60, 3), step=7000).model_copy(update={"rom": other}).save(
        folder / "000007000-000.json"
    )
    assert [trace.step for trace in Traces(run, rom).newest("1-1", 5)] == [2000, 1000]
    assert Traces(run / "missing", rom).newest("1-1", 5) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_and_an_endless_episode_are_passed_over(
    run: Path, rom: Rom, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(run / "episodes/999999999-000.json")
    assert [trace.step for trace in Traces(run, rom).newest("1-1", 12)] == [2000, 1000]
    monkeypatch.setattr(tracing, "LONGEST", 10)
    assert Traces(run, rom).newest("1-1", 12) == []
    monkeypatch.setattr(tracing, "LONGEST", 1000)
    monkeypatch.setattr(tracing, "MOST_FILES", 2)
    assert [trace.step for trace in Traces(run, rom).newest("4-1", 12)] == [3000]
    assert Traces(run, rom).newest("1-1", 12) == []  # of very many files the last are looked at
