"""What the server answers to those who watch games."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect
from tests.dashboard.test_episode_stream import unpack
from tests.support.episodes import (
    CLEAR,
    NAMES,
    make_episode,
    make_run_with,
    pictures,
    random_buttons,
)

from warpzone.dashboard import games
from warpzone.dashboard.app import create
from warpzone.dashboard.episode_stream import PICTURES, ObservationView
from warpzone.dashboard.games import routes
from warpzone.episodes.format import Episode, TrainingPlayer
from warpzone.episodes.play_recorder import PlayRecorder
from warpzone.games.catch import GAME as CATCH
from warpzone.games.catch import cartridge
from warpzone.nes.console import Console
from warpzone.runs.library import Library

STORED = "episodes/000001000-000.json"
OTHER = "episodes/000002000-003.json"
LIVE = "live/003.json"
STREAM = "ws://127.0.0.1:1985/api/stream?run=run"


@pytest.fixture(scope="module")
def stored() -> dict[str, Episode]:
    return {
        STORED: make_episode(CLEAR, cleared=True),
        OTHER: make_episode(random_buttons(150, 1), level="4-1", step=2000, game=3),
        LIVE: make_episode(random_buttons(70, 2), step=2500, game=3),
    }


@pytest.fixture
def run(tmp_path: Path, stored: dict[str, Episode]) -> Path:
    return make_run_with(tmp_path / "run", stored)


def visit(folder: Path) -> TestClient:
    library = Library(folder)
    return TestClient(create(library, routes(library)), base_url="http://127.0.0.1:1985")


def test_games_of_a_description_are_shown(tmp_path: Path) -> None:
    rom = tmp_path / "catch.nes"
    cartridge(rom)
    recorder = PlayRecorder(Console(rom), CATCH)
    recorder.begin("game")
    for frame in range(70):
        recorder.step(64 if frame < 30 else 128)
    episode = recorder.episode(TrainingPlayer(run="run", step=5, game=0))
    make_run_with(tmp_path / "run", {STORED: episode, LIVE: make_episode()})
    config = {"game": {"name": "catch", "observation": "ram"}}
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    library = Library(tmp_path)
    app = create(library, routes(library, rom))
    with TestClient(app, base_url="http://127.0.0.1:1985") as client:
        listed = client.get("/api/episodes?run=run").json()
        assert [one["level"] for one in listed["episodes"]] == ["game"]
        with client.websocket_connect(STREAM) as session:
            viewer = Viewer(session)
            assert viewer.hello["observation"] == {"kind": "ram", "rows": 32, "columns": 64}
            shown = viewer.open(STORED)
            seen, ram, _ = unpack(viewer.segment(shown["key"], 2), ObservationView("ram", 32, 64))
            console = Console(rom)
            assert episode.described is not None
            console.load(episode.described.snapshot)
            for frame, held in enumerate(episode.buttons, start=1):
                console.step(held)
                if frame >= 60:
                    assert np.array_equal(seen[frame - 60], console.screen())
                    assert np.array_equal(ram[frame - 60].ravel(), console.ram)
            assert "ROM" in viewer.open(LIVE)["error"]


@pytest.fixture
def client(run: Path) -> Iterator[TestClient]:
    with visit(run.parent) as client:
        yield client


class Viewer:
    """One page's connection."""

    def __init__(self, session: WebSocketTestSession) -> None:
        self._session = session
        self.hello = session.receive_json()
        self._asked = 0

    def open(self, file: str, after: str | None = None) -> dict[str, Any]:
        self._asked += 1
        self._session.send_json({"ask": self._asked, "open": file, "after": after})
        answer: dict[str, Any] = self._session.receive_json()
        assert answer["ask"] == self._asked
        return answer

    def segment(self, key: str, index: int, stride: int = 1) -> bytes:
        self._asked += 1
        self._session.send_json(
            {"ask": self._asked, "key": key, "segment": index, "stride": stride}
        )
        data = self._session.receive_bytes()
        assert int.from_bytes(data[:4], "little") == self._asked
        return data[4:]

    def refused(self, key: str, index: int) -> str:
        self._session.send_json({"ask": 7, "key": key, "segment": index})
        return str(self._session.receive_json()["error"])


def lists(client: TestClient) -> dict[str, Any]:
    answer = client.get("/api/episodes?run=run")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_the_list_tells_of_each_episode(client: TestClient, run: Path) -> None:
    found = lists(client)
    assert [episode["file"] for episode in found["episodes"]] == [STORED, OTHER]
    assert [episode["file"] for episode in found["live"]] == [LIVE]
    first = found["episodes"][0]
    assert first.pop("modified") == (run / STORED).stat().st_mtime
    assert first == {
        "file": STORED,
        "level": "1-1",
        "frames": len(CLEAR),
        "player": "run in training, step 1,000",
        "cleared": True,
        "progress": len(CLEAR),
        "outcome": f"cleared in {len(CLEAR) / 60.0988:.1f} s",
        "step": 1000,
        "game": 0,
        "own": True,
    }


def test_the_list_follows_the_folder(
    client: TestClient, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(games, "LIST_EVERY", 0.0)
    assert len(lists(client)["episodes"]) == 2
    (run / STORED).unlink()
    (run / OTHER).write_bytes((run / OTHER).read_bytes()[:1000])
    (run / "episodes" / ".half-written.json-x3").write_text("{")
    (only,) = lists(client)["episodes"]
    assert only["file"] == OTHER
    assert "cut short or damaged" in only["error"]
    (run / OTHER).unlink()
    make_episode(random_buttons(20, 5)).save(run / OTHER)
    assert lists(client)["episodes"][0]["frames"] == 20


def test_a_run_without_episodes_has_none(tmp_path: Path) -> None:
    make_run_with(tmp_path / "run", {})
    with visit(tmp_path) as client:
        assert lists(client) == {"live": [], "episodes": []}


def test_an_unknown_run_is_said(client: TestClient) -> None:
    answer = client.get("/api/episodes?run=other")
    assert answer.status_code == 404
    assert "no run 'other'" in answer.json()["error"]
    with client.websocket_connect(STREAM.replace("run=run", "run=other")) as session:
        assert "no run 'other'" in session.receive_json()["error"]


def test_an_opened_episode_brings_what_the_agent_thought(
    client: TestClient, stored: dict[str, Episode]
) -> None:
    with client.websocket_connect(STREAM) as session:
        answer = Viewer(session).open(STORED)
    outputs, decisions = answer["outputs"], stored[STORED].decisions
    assert decisions is not None
    assert outputs["names"] == NAMES
    assert outputs["first_frames"] == decisions.first_frames.tolist()
    assert outputs["actions"] == decisions.actions.tolist()
    assert np.allclose(outputs["values"], decisions.values, atol=1e-3)
    assert np.allclose(outputs["probabilities"], decisions.probabilities, atol=1e-4)


def test_values_that_are_no_numbers_are_left_out(client: TestClient, run: Path) -> None:
    episode = make_episode(CLEAR[:8])
    assert episode.decisions is not None
    values = np.array([np.nan, np.inf], "<f2").tobytes()
    decisions = episode.decisions.model_copy(update={"packed_values": values})
    episode.model_copy(update={"decisions": decisions}).save(run / LIVE)
    make_episode(CLEAR[:8], thinks=False).save(run / OTHER)
    with client.websocket_connect(STREAM) as session:
        viewer = Viewer(session)
        assert viewer.open(LIVE)["outputs"]["values"] == [None, None]
        assert viewer.open(OTHER)["outputs"] is None


def test_several_viewers_see_the_same_frames_at_places_of_their_own(
    client: TestClient, stored: dict[str, Episode]
) -> None:
    random = np.random.default_rng(0)
    with (
        client.websocket_connect(STREAM) as one,
        client.websocket_connect(STREAM) as two,
        client.websocket_connect(STREAM) as three,
    ):
        viewers = [Viewer(session) for session in (one, two, three)]
        for _ in range(12):
            file = [STORED, OTHER, LIVE][random.integers(3)]
            viewer = viewers[random.integers(3)]
            episode = stored[file]
            key = viewer.open(file)["key"]
            place = int(random.integers(0, episode.frames + 1))
            shown, _, _ = unpack(viewer.segment(key, place // PICTURES))
            assert np.array_equal(shown[place % PICTURES], pictures(episode, [place])[0])


def test_an_episode_that_vanishes_is_said_and_the_rest_goes_on(
    client: TestClient, run: Path
) -> None:
    with client.websocket_connect(STREAM) as session:
        viewer = Viewer(session)
        key = viewer.open(STORED)["key"]
        (run / STORED).unlink()
        assert viewer.segment(key, 5)  # whoever watches it already sees it to its end
        assert "is gone" in viewer.open(STORED)["error"]
        (run / OTHER).write_text('{"format": "warpzone episode"')
        assert "cut short or damaged" in viewer.open(OTHER)["error"]
        assert "no episode" in viewer.open("../../secret.json")["error"]
        assert "no segment" in viewer.refused(key, 10_000)
        assert "put away" in viewer.refused("nothing", 0)
        assert viewer.segment(viewer.open(LIVE)["key"], 0)


def test_a_game_that_goes_on_continues(client: TestClient, run: Path) -> None:
    with client.websocket_connect(STREAM) as session:
        viewer = Viewer(session)
        make_episode(CLEAR[:40]).save(run / LIVE)
        first = viewer.open(LIVE)
        assert not viewer.open(LIVE, first["key"])["continues"]
        make_episode(CLEAR[:80]).save(run / LIVE)
        second = viewer.open(LIVE, first["key"])
        assert second["continues"]
        make_episode(random_buttons(80, 9)).save(run / LIVE)
        assert not viewer.open(LIVE, second["key"])["continues"]
        assert not viewer.open(LIVE, "forgotten")["continues"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"ask": 1}', '{"ask": -1, "open": "live/0.json"}', '{"ask": 1, "open": 2}'],
)
def test_what_is_no_question_ends_the_connection(client: TestClient, text: str) -> None:
    with client.websocket_connect(STREAM) as session:
        session.receive_json()
        session.send_text(text)
        assert "error" in session.receive_json()
        with pytest.raises(WebSocketDisconnect):
            session.receive_json()


def test_bytes_and_long_texts_are_no_question(client: TestClient) -> None:
    for send in ("bytes", "text"):
        with client.websocket_connect(STREAM) as session:
            session.receive_json()
            if send == "bytes":
                session.send_bytes(b"\0" * 9)
            else:
                session.send_text(json.dumps({"ask": 1, "open": "live/" + "0" * 10_000}))
            assert "error" in session.receive_json()


def test_pages_of_other_sites_are_refused(client: TestClient) -> None:
    for origin in ("http://example.com", "null", "http://127.0.0.1", "http://127.0.0.1:1985.com"):
        with (
            pytest.raises(WebSocketDisconnect),
            client.websocket_connect(STREAM, headers={"origin": origin}),
        ):
            pass
    same = {"origin": "http://127.0.0.1:1985"}
    with client.websocket_connect(STREAM, headers=same) as session:
        assert session.receive_json()["pictures"] == PICTURES
    for headers in (
        {"host": "example.com"},
        {"host": "example.com", "origin": "http://example.com"},
    ):
        with (
            pytest.raises((WebSocketDisconnect, WebSocketDenialResponse)),
            client.websocket_connect(STREAM, headers=headers),
        ):
            pass


def test_there_is_an_end_to_the_number_of_viewers(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(games, "MOST_VIEWERS", 1)
    with client.websocket_connect(STREAM) as session:
        Viewer(session)
        with client.websocket_connect(STREAM) as second:
            with pytest.raises(WebSocketDisconnect) as caught:
                second.receive_json()
            assert caught.value.code == games.TOO_MANY
    with client.websocket_connect(STREAM) as third:
        Viewer(third)  # the first has left


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_among_the_episodes_is_told_and_stops_nobody(client: TestClient, run: Path) -> None:
    for folder in ("live", "episodes"):
        os.mkfifo(run / folder / "999.json")
    (run / "live/998.json").mkdir()
    answer = client.get("/api/episodes?run=run").json()
    told = {entry["file"]: entry.get("error") for entry in answer["live"] + answer["episodes"]}
    assert told[LIVE] is told[STORED] is told[OTHER] is None
    for file in ("live/999.json", "episodes/999.json"):
        assert told[file] == "999.json cannot be read: it is a pipe, not a file"
    assert "it is a folder" in told["live/998.json"]
    with client.websocket_connect(STREAM) as session:
        viewer = Viewer(session)
        assert "it is a pipe" in viewer.open("live/999.json")["error"]
        assert viewer.segment(viewer.open(LIVE)["key"], 0)


def test_a_folder_of_many_files_is_listed_so_far(
    client: TestClient, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(games, "MOST_LISTED", 1)
    told, newest = client.get("/api/episodes?run=run").json()["episodes"]
    assert newest["file"] == OTHER
    assert told["error"] == "1 older ones are not listed"
