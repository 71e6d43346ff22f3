"""Files of episodes: whole ones come back as they were, all others are refused."""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.support.episodes import make_decisions, recorded, values_of
from tests.support.mutations import JSON, places, replaced

from warpzone.episodes.format import (
    Decisions,
    Episode,
    check_episode_path,
)
from warpzone.episodes.replay import ram_digest
from warpzone.errors import ConfigError, EpisodeError
from warpzone.nes.console import Console
from warpzone.nes.rom import Rom
from warpzone.smb.starts import start_level


@pytest.mark.parametrize("keep", [0, 1, 100, -40])
def test_a_file_cut_short(file: Path, keep: int) -> None:
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(EpisodeError, match=r"game\.json.*no episode, or cut short"):
        Episode.load(file)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "version 2, this warpzone reads version 1"),
        ({"format": "something"}, "no episode"),
        ({"start": "9-9"}, "start is '9-9'"),
        ({"frames": 51}, "frames is 51, but there are buttons for 50"),
        ({"frames": 10**12}, "frames"),
        ({"ram_sha256": "abc"}, "ram_sha256"),
        ({"player": {"kind": "ghost"}}, "player"),
        ({"player": {"kind": "movie", "author": "me\n|1|"}}, "one line of printable"),
        ({"player": {"kind": "movie", "author": "\ud800"}}, "unicode"),
        ({"colour": "red"}, "colour"),
        ({"buttons": 5}, "buttons must be text"),
        ({"buttons": "!"}, "the buttons are damaged"),
        ({"buttons": base64.b64encode(b"no zlib").decode()}, "the buttons are damaged"),
        ({"buttons": base64.b64encode(zlib.compress(bytes(50))[:-3]).decode()}, "do not end"),
    ],
)
def test_a_damaged_file(file: Path, changes: dict[str, Any], message: str) -> None:
    file.write_text(json.dumps({**values_of(file), **changes}))
    with pytest.raises(EpisodeError, match=message) as caught:
        Episode.load(file)
    assert "game.json" in str(caught.value)
    assert len(str(caught.value)) < 800


def test_a_bomb_does_not_fill_the_memory(file: Path) -> None:
    packer = zlib.compressobj()
    data = b"".join(packer.compress(bytes(10**6)) for _ in range(20)) + packer.flush()
    file.write_text(json.dumps({**values_of(file), "buttons": base64.b64encode(data).decode()}))
    with pytest.raises(EpisodeError, match="do not end where they should"):
        Episode.load(file)


def test_other_files_and_none(tmp_path: Path) -> None:
    with pytest.raises(EpisodeError, match="there is no episode"):
        Episode.load(tmp_path / "none.json")
    with pytest.raises(EpisodeError, match="cannot be read"):
        Episode.load(tmp_path)
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(EpisodeError, match="no episode"):
        Episode.load(tmp_path / "list.json")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(EpisodeError, match="no episode"):
        Episode.load(tmp_path / "deep.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(EpisodeError, match="no episode"):
        Episode.load(tmp_path / "bytes.json")


def test_where_an_episode_can_be_written(tmp_path: Path) -> None:
    assert check_episode_path(tmp_path / "a.json") == tmp_path / "a.json"
    with pytest.raises(ConfigError, match=r"must end in \.json"):
        check_episode_path(tmp_path / "3")
    with pytest.raises(ConfigError, match="there is no folder"):
        check_episode_path(tmp_path / "none" / "a.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(ConfigError, match="it is a folder"):
        check_episode_path(tmp_path / "folder.json")


def test_the_file_says_what_the_documentation_says(file: Path, rom: Rom) -> None:
    values = values_of(file)
    assert list(values) == [
        "format", "version", "rom", "start", "frames", "ram_sha256", "player", "outcome",
        "decisions", "buttons",
    ]  # fmt: skip
    assert values["rom"] == {"sha1": rom.sha1, "revision": rom.revision}
    console = Console()
    start_level(console, "1-1")
    for buttons in zlib.decompress(base64.b64decode(values["buttons"])):
        console.step(buttons)
    assert ram_digest(console) == values["ram_sha256"]


def test_decisions_are_kept_as_arrays(tmp_path: Path) -> None:
    episode = recorded("1-1", frames=50)[0]
    decisions = Decisions.of(
        ["noop", "right"], np.array([2, 6]), np.array([1, 0]), np.array([0.5, -2.0]),
        np.array([[0.25, 0.75], [1.0, 0.0]]),
    )  # fmt: skip
    path = tmp_path / "game.json"
    episode.model_copy(update={"decisions": decisions}).save(path)
    found = Episode.load(path).decisions
    assert found is not None
    assert found.actions.tolist() == [1, 0]
    assert found.values.tolist() == [0.5, -2.0]
    assert found.probabilities.tolist() == [[0.25, 0.75], [1.0, 0.0]]
    assert [found.at(place) for place in (0, 2, 3, 6, 7, 99)] == [None, None, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"actions": np.array([1])}, "other numbers"),
        ({"actions": np.array([1, 2])}, "no name"),
        ({"first_frames": np.array([6, 6])}, "order"),
    ],
)
def test_decisions_that_do_not_fit_together(changed: dict[str, Any], reason: str) -> None:
    arrays = {
        "first_frames": np.array([2, 6]),
        "actions": np.array([1, 0]),
        "values": np.zeros(2),
        "probabilities": np.zeros((2, 2)),
    }
    with pytest.raises(ValidationError, match=reason):
        Decisions.of(["noop", "right"], **{**arrays, **changed})


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_only_regular_files_are_read(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "pipe.json")
    with pytest.raises(EpisodeError, match="not a file"):
        Episode.load(tmp_path / "pipe.json")


def test_a_file_too_large_for_an_episode_is_not_read(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.truncate(20 << 30)  # takes no room on the disk
    with pytest.raises(EpisodeError, match="MB"):
        Episode.load(file)


@pytest.mark.parametrize(
    "change",
    [
        {"version": "\x1b[2J" * 1000},
        {"version": [[0] * 1000] * 100},
        {"\x1b]0;title\x07": 1},
        {"start": "\x1b[2J"},
        {"player": {"kind": "\x1b[2J"}},
        {"player": {"kind": "movie", "author": "\x1b[2J"}},
        {"rom": {"sha1": "0" * 40, "revision": "a\nb"}},
        {"frames": 10**40},
        {"frames": float("nan")},
        {"outcome": {"cleared": 1, "death": {}, "progress": None, "frames": -1}},
        {"decisions": {"action_names": ["\x07"]}},
        {"buttons": "\u00e9"},
        {"buttons": [1, 2]},
    ],
)
def test_what_is_said_of_a_damaged_file_is_short_and_printable(
    file: Path, change: dict[str, Any]
) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(EpisodeError) as caught:
        Episode.load(file)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "opening", ["[", '{"a":', '{"format":"warpzone episode","version":1,"a":[']
)
def test_deep_nesting_is_no_episode(file: Path, opening: str) -> None:
    for depth in (100, 990, 100_000):
        file.write_text(opening * depth)
        with pytest.raises(EpisodeError):
            Episode.load(file)
        file.write_text(
            '{"format":"warpzone episode","version":1,"a":' + "[" * depth + "]" * depth + "}"
        )
        with pytest.raises(EpisodeError):
            Episode.load(file)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_file_with_any_part_exchanged(file: Path, data: st.DataObject) -> None:
    """It is read, or refused in a line that can be printed; nothing else happens."""
    values: Any = values_of(file)
    values["decisions"] = json.loads(make_decisions(50, seed=0).model_dump_json())
    for _ in range(data.draw(st.integers(1, 2))):
        values = replaced(values, data.draw(st.sampled_from(places(values))), data.draw(JSON))
    text = json.dumps(values)
    if data.draw(st.booleans()):
        text = text[: data.draw(st.integers(0, len(text)))]
    try:
        episode = Episode.parse(text.encode(), "fuzzed.json")
    except EpisodeError as error:
        assert str(error).isprintable()  # noqa: PT017 (either is right, nothing else)
    else:
        Episode.parse(episode.model_dump_json().encode(), "again.json")
