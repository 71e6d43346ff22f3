"""Stored episodes as segments of pictures: byte for byte those of a plain replay."""

from __future__ import annotations

import os
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from tests.support.episodes import CLEAR, make_episode, pictures, random_buttons

from warpzone.dashboard import episode_stream as streaming
from warpzone.dashboard.episode_stream import PICTURES, EpisodeStream, ObservationView, Renderer
from warpzone.episodes.format import Episode, RomIdentity
from warpzone.episodes.replay import begin
from warpzone.errors import EpisodeError, RomError
from warpzone.nes.console import Console
from warpzone.smb.observations import grey, tiles

TILES = ObservationView.of({"env": {"observation": "tiles"}})


def unpack(data: bytes, view: ObservationView = TILES) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures [n, 240, 256], what the agent sees [n, rows, columns], buttons [n]."""
    raw = np.frombuffer(zlib.decompress(data), np.uint8)
    seen = view.rows * view.columns
    count, left = divmod(len(raw), 240 * 256 + seen + 1)
    assert left == 0
    parts = np.split(raw, [240 * 256 * count, (240 * 256 + seen) * count])
    return (
        parts[0].reshape(240, count, 256).swapaxes(0, 1),
        parts[1].reshape(view.rows, count, view.columns).swapaxes(0, 1),
        parts[2],
    )


@pytest.fixture(scope="module")
def episode() -> Episode:
    return make_episode(CLEAR, cleared=True)


@pytest.fixture
def renderer() -> Renderer:
    return Renderer()


def test_segments_are_the_pictures_of_a_plain_replay_in_any_order(episode: Episode) -> None:
    console = Console(engine="interpreter")
    stream = EpisodeStream(episode, console, TILES)
    other = EpisodeStream(make_episode(random_buttons(200, 1), level="4-1"), console, TILES)
    random = np.random.default_rng(0)
    for stride in (4, 1):
        last = episode.frames // (PICTURES * stride)
        for index in [last, 0, *random.integers(0, last + 1, 8).tolist()]:
            first = index * PICTURES * stride
            places = range(first, min(first + PICTURES * stride, episode.frames + 1), stride)
            shown, _, held = unpack(stream.segment(index, stride))
            assert np.array_equal(shown, pictures(episode, places))
            assert held.tolist() == [episode.buttons[place - 1] if place else 0 for place in places]
            other.segment(int(random.integers(2)), 1)  # the same console is elsewhere meanwhile


def test_the_last_segment_ends_with_the_last_frame(episode: Episode) -> None:
    stream = EpisodeStream(episode, Console(engine="interpreter"), TILES)
    index = episode.frames // PICTURES
    shown, _, _ = unpack(stream.segment(index, 1))
    assert len(shown) == episode.frames - index * PICTURES + 1
    for wrong in ((index + 1, 1), (-1, 1), (0, 2)):
        with pytest.raises(ValueError, match="no segment"):
            stream.segment(*wrong)


@pytest.mark.parametrize(
    "env",
    [
        {"observation": "tiles"},
        {"observation": "pixels"},
        {"observation": "pixels", "size": [60, 72], "crop_status_bar": True, "max_pool": True},
        {"observation": "ram"},
        {"observation": "rgb"},
        {"observation": "of a later version"},
    ],
)
def test_what_the_agent_sees_lies_beside(episode: Episode, env: dict[str, object]) -> None:
    view = ObservationView.of({"env": env})
    stream = EpisodeStream(episode, Console(engine="interpreter"), view)
    _, seen, _ = unpack(stream.segment(3, 1), view)
    console = Console(engine="interpreter")
    begin(console, episode.start)
    before = b""
    for held in episode.buttons[: 3 * PICTURES + 5]:
        before = console.save()
        console.step(held)
    if view.kind == "tiles":
        assert np.array_equal(seen[5].reshape(8, 13, 16), tiles(console))
    elif view.kind == "pixels":
        pooled = before if "max_pool" in env else None
        size = (60, 72) if "size" in env else (84, 84)
        expected = grey(console, size, crop_status_bar="size" in env, before=pooled)
        assert np.array_equal(seen[5], expected)
    elif view.kind == "ram":
        assert seen[5].tobytes() == console.ram.tobytes()
    else:
        assert view.kind == ("rgb" if env["observation"] == "rgb" else "none")
        assert seen.size == 0


def test_settings_that_cannot_be_read_are_no_observation() -> None:
    assert ObservationView.of({}).kind == ObservationView.of({"env": 3}).kind == "none"
    assert ObservationView.of({"env": {"observation": "pixels", "size": [0, 9]}}).kind == "none"


def test_a_stream_has_a_bounded_number_of_snapshots(
    episode: Episode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "MOST_SNAPSHOTS", 4)
    stream = EpisodeStream(episode, Console(engine="interpreter"), TILES)
    last = episode.frames // PICTURES
    for index in (last, 7, last - 1):
        shown, _, _ = unpack(stream.segment(index, 1))
        assert np.array_equal(shown[:1], pictures(episode, [index * PICTURES]))
    assert len(stream._snapshots) <= 5


def test_what_is_asked_for_again_is_not_played_again(
    episode: Episode, renderer: Renderer, tmp_path: Path
) -> None:
    path = tmp_path / "game.json"
    episode.save(path)
    key, _ = renderer.open(path, TILES).result()
    for _ in range(3):
        assert renderer.open(path, TILES).result()[0] == key
        renderer.segment(key, 2, 1).result()
    assert renderer.played == 1
    assert renderer.open(path, ObservationView("none")).result()[0] != key


def test_what_is_kept_has_an_end(
    episode: Episode, renderer: Renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "MOST_STREAMS", 2)
    monkeypatch.setattr(streaming, "MOST_BYTES", 100_000)
    keys = []
    for number in range(3):
        path = tmp_path / f"{number}.json"
        make_episode(random_buttons(100, number)).save(path)
        keys.append(renderer.open(path, TILES).result()[0])
    with pytest.raises(EpisodeError, match="put away"):
        renderer.segment(keys[0], 0, 1).result()
    path = tmp_path / "long.json"
    episode.save(path)
    key, _ = renderer.open(path, TILES).result()
    first = renderer.segment(key, 0, 1).result()
    for index in range(episode.frames // PICTURES):
        renderer.segment(key, index, 1).result()
    assert sum(map(len, renderer._segments.values())) == renderer._bytes <= 100_000
    assert renderer.segment(key, 0, 1).result() == first


def test_what_cannot_be_shown_is_said(
    episode: Episode, renderer: Renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def says(path: Path) -> str:
        with pytest.raises(EpisodeError) as caught:
            renderer.open(path, TILES).result()
        return str(caught.value)

    path = tmp_path / "game.json"
    assert "is gone" in says(path)
    episode.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-300])
    assert "cut short or damaged" in says(path)
    path.write_text("[]")
    assert "no episode" in says(path)
    other = episode.model_copy(update={"rom": RomIdentity(sha1="0" * 40, revision="another")})
    other.save(path)
    assert "'another'" in says(path)
    path.unlink()
    path.mkdir()
    assert "cannot be read" in says(path)
    path.rmdir()
    episode.save(path)
    monkeypatch.setattr(streaming, "MOST_FILE_BYTES", 100)
    assert "such a file has at most" in says(path)
    monkeypatch.undo()
    monkeypatch.setattr(streaming, "LONGEST", 100)
    assert "more than the 100" in says(path)
    monkeypatch.undo()
    key, _ = renderer.open(path, TILES).result()  # and the rest goes on
    assert renderer.segment(key, 0, 1).result()


def test_without_a_rom_that_is_said(episode: Episode, tmp_path: Path) -> None:
    path = tmp_path / "game.json"
    episode.save(path)
    renderer = Renderer(tmp_path / "none.nes")
    with pytest.raises(RomError):
        renderer.open(path, TILES).result()


def test_more_of_a_game_continues_it() -> None:
    console = Console(engine="interpreter")
    begun, more, other = (
        EpisodeStream(make_episode(buttons, thinks=False), console, TILES)
        for buttons in (CLEAR[:50], CLEAR[:90], random_buttons(90, 3))
    )
    assert more.continues(begun)
    assert not begun.continues(more)
    assert not other.continues(begun)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own on Linux")
def test_the_thread_gives_way(renderer: Renderer) -> None:
    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    assert renderer._thread.submit(priority).result() == max(streaming.NICE, priority())
