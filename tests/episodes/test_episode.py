"""Episodes on the real game: what is played again is the same, byte for byte; files that are not
whole are refused."""

from __future__ import annotations

import base64
import json
import os
import signal
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pygame
import pytest
from pydantic import ValidationError
from tests.support.scripts import FLAGPOLE, PIPE, steps

from warpzone.agents.agent import Agent
from warpzone.agents.packaged import Collection
from warpzone.agents.playback import Moment, Playback
from warpzone.agents.record_episode import record_episode
from warpzone.episodes.format import (
    POWER_ON,
    Decisions,
    Episode,
    Person,
    RomIdentity,
    check_episode_path,
)
from warpzone.episodes.outcome import Outcome
from warpzone.episodes.play_recorder import PlayRecorder
from warpzone.episodes.replay import Replay, ram_digest
from warpzone.errors import ConfigError, EpisodeError
from warpzone.nes.console import Console
from warpzone.nes.rom import Rom
from warpzone.smb.starts import start_level
from warpzone.viewers.gamepad import RIGHT, A
from warpzone.viewers.pacer import Pacer
from warpzone.viewers.play import play


def recorded(start: str, frames: int = 400, seed: int = 0) -> tuple[Episode, Console]:
    """A game of random buttons, and the console that it was played on."""
    recorder = PlayRecorder(Console())
    recorder.begin(start)
    for buttons in np.random.default_rng(seed).integers(0, 256, frames // 5).repeat(5).tolist():
        recorder.step(buttons)
    return recorder.episode(Person()), recorder.console


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Of a short, good episode."""
    path = tmp_path / "game.json"
    recorded("1-1", frames=50)[0].save(path)
    return path


def values_of(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(path.read_text())
    return values


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


def test_a_recorder_begins_anew() -> None:
    recorder = PlayRecorder(Console())
    recorder.begin("1-1")
    recorder.step(RIGHT)
    recorder.begin("1-2")
    with pytest.raises(EpisodeError, match="nothing was played"):
        recorder.episode(Person())
    recorder.step(A)
    episode = recorder.episode(Person())
    assert (episode.start, episode.buttons) == ("1-2", bytes([A]))


def test_a_frame_that_an_interrupt_kept_from_being_played_is_not_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorder = PlayRecorder(Console())
    recorder.begin("1-1")
    recorder.step(RIGHT)

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(recorder.console, "step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        recorder.step(A)
    episode = recorder.episode(Person())
    assert episode.buttons == bytes([RIGHT])
    Replay(episode, Console()).verify()


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


# --- an agent's ---------------------------------------------------------------------------------


def check_recorded(playback: Playback, seed: int) -> Episode:
    """The episode of a seed, compared with the game that the agent plays in, picture by picture."""
    episode = record_episode(playback, seed)
    moments: list[Moment] = []
    frames: list[np.ndarray] = []
    for moment in playback.episode(seed):
        moments.append(moment)
        frames.extend(moment.frames.copy())
    assert episode.outcome == Outcome.from_signals(moments[-1].signals)
    assert episode.frames == moments[-1].signals["frames"]
    replay = Replay(Episode.model_validate_json(episode.model_dump_json()), Console())
    idle = episode.frames - len(frames)
    for number, picture in enumerate(replay.pictures()):
        assert number < idle or bool((picture == frames[number - idle]).all()), f"frame {number}"
    np.testing.assert_array_equal(replay.console.ram, playback.env.ram())
    assert replay.exact
    return episode


def test_an_agents_episode_is_exact_and_says_who_played(agent: Agent) -> None:
    with closing(Playback(agent, "1-1", noop_max=30)) as playback:
        episode = check_recorded(playback, 3)
    player = episode.player
    assert player.kind == "agent"
    assert (player.file, player.policy, player.seed) == ("agent.safetensors", "sample", 3)
    assert (player.noops, player.sticky) == (30, 0.0)


@pytest.mark.parametrize(("repeat_action_probability", "seed"), [(0.25, 1), (0.25, 2), (0.6, 3)])
def test_sticky_buttons_are_in_the_episode(
    agent: Agent, repeat_action_probability: float, seed: int
) -> None:
    with closing(
        Playback(agent, "1-1", repeat_action_probability=repeat_action_probability)
    ) as playback:
        check_recorded(playback, seed)


@pytest.mark.parametrize("repeat_action_probability", [0.0, 0.2])
def test_through_cutscenes_to_the_flag(repeat_action_probability: float) -> None:
    with closing(
        Playback(
            Collection().agent("1-2"), "1-2", repeat_action_probability=repeat_action_probability
        )
    ) as playback:
        outcomes = (check_recorded(playback, seed).outcome for seed in range(6))
        assert any(outcome and outcome.cleared for outcome in outcomes)


def test_a_game_that_cannot_be_followed_is_an_error(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Playback(agent, "1-1")) as playback:
        ram = playback.env.ram() ^ 1
        monkeypatch.setattr(playback.env, "ram", lambda: ram)
        with pytest.raises(EpisodeError, match=r"seed 0 cannot be written.*another game"):
            record_episode(playback, 0)


# --- a person's ---------------------------------------------------------------------------------


@pytest.fixture
def dummy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(Pacer, "wait", lambda pacer, speed: True)
    yield
    pygame.quit()


@pytest.mark.usefixtures("dummy")
@pytest.mark.parametrize("script", [FLAGPOLE, PIPE])
def test_a_persons_game_is_the_same_again(script: Any) -> None:
    held = iter([buttons for buttons in steps(script) for _ in range(4)] + [0] * 200)
    console = Console()
    recorder = PlayRecorder(console)

    def press(pads: object) -> int:
        buttons = next(held, None)
        if buttons is None:
            pygame.event.post(pygame.event.Event(pygame.QUIT))
        return buttons or 0

    play(console, ["1-1"], read_buttons=press, recorder=recorder)
    episode = recorder.episode(Person())
    assert episode.frames > 700
    replay = Replay(episode, Console())
    replay.verify()
    assert replay.console.save() == console.save()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Python's own Ctrl-C, which a process begun in the background by a shell goes without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("dummy", "interruptible")
def test_ctrl_c_keeps_the_game() -> None:
    recorder = PlayRecorder(Console())
    frames = 0

    def press(pads: object) -> int:
        nonlocal frames
        frames += 1
        if frames == 100:
            signal.raise_signal(signal.SIGINT)
        return RIGHT

    with pytest.raises(KeyboardInterrupt):
        play(recorder.console, [POWER_ON, "1-1"], read_buttons=press, recorder=recorder)
    episode = recorder.episode(Person())
    assert (episode.start, episode.frames) == (POWER_ON, 99)
    Replay(episode, Console()).verify()


# --- files --------------------------------------------------------------------------------------


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


# --- files from anywhere ------------------------------------------------------------------------


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
