"""Episodes on the real game: what is played again is the same, byte for byte."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path

import pytest
from tests.support.episodes import recorded, values_of

from warpzone.episodes.format import (
    POWER_ON,
    Episode,
    RomIdentity,
)
from warpzone.episodes.replay import Replay
from warpzone.errors import EpisodeError
from warpzone.nes.console import Console
from warpzone.viewers.gamepad import RIGHT


@pytest.mark.parametrize("start", [POWER_ON, "1-1", "8-4"])
def test_a_replay_from_a_file_ends_in_the_same_state(start: str, tmp_path: Path) -> None:
    episode, console = recorded(start)
    path = tmp_path / "game.json"
    episode.save(path)
    read = Episode.load(path)
    assert read == episode
    replay = Replay(read, Console())
    replay.verify()
    assert replay.console.save() == console.save()
    assert path.stat().st_size < 1500


def test_going_back_is_exact() -> None:
    episode, _ = recorded("1-1", frames=60)
    replay = Replay(episode, Console())
    states = [replay.console.save()]
    while not replay.ended:
        replay.step()
        states.append(replay.console.save())
    for place in (59, 30, 0, 60):
        replay.seek(place)
        assert replay.console.save() == states[place]
    with pytest.raises(ValueError, match="0-60"):
        replay.seek(61)


def test_another_course_of_the_game_is_told(file: Path) -> None:
    values = values_of(file)
    buttons = bytearray(Episode.load(file).buttons)
    buttons[-1] ^= RIGHT
    values["buttons"] = base64.b64encode(zlib.compress(bytes(buttons))).decode()
    changed = Episode.model_validate(values)
    with pytest.raises(EpisodeError, match=f"not {changed.ram_sha256}"):
        Replay(changed, Console()).verify()


def test_another_rom_is_told(file: Path) -> None:
    other = RomIdentity(sha1="0" * 40, revision="World")
    episode = Episode.load(file).model_copy(update={"rom": other})
    with pytest.raises(EpisodeError, match=r"'World' \(SHA-1 0{40}\).*--rom"):
        Replay(episode, Console())
