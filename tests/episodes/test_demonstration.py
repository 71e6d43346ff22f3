"""Recorded games as ways through levels: what begins along them is the game that was recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.scripts import ACTIONS, FLAGPOLE, HOP, LEAP, PIPE, RUN, WALK, steps

import warpzone
from warpzone import _native
from warpzone.episodes.demonstration import LAST_FRAMES, Demonstration, demonstrations
from warpzone.episodes.format import POWER_ON, Episode, Person, RomIdentity
from warpzone.episodes.play_recorder import PlayRecorder
from warpzone.episodes.replay import Replay
from warpzone.errors import EpisodeError
from warpzone.nes.console import Console
from warpzone.smb.config import EnvConfig
from warpzone.smb.levels import LEVELS

START = 8
OPER_MODE, OPER_TASK, PAUSED, PLAYER_STATE = 0x0770, 0x0772, 0x0776, 0x000E

CLEAR = [buttons for buttons in steps(FLAGPOLE) for _ in range(4)]
"""Through 1-1 to the flagpole, frame by frame."""


def recorded(buttons: list[int], start: str = "1-1") -> Episode:
    recorder = PlayRecorder(Console())
    recorder.begin(start)
    for byte in buttons:
        recorder.step(byte)
    return recorder.episode(Person())


def make_vec(levels: Any = "1-1", **settings: Any) -> warpzone.MarioVectorEnv:
    # The stack, which RAM has none of, is how far a start looks back.
    settings = {"levels": levels, "observation": "ram", "frame_stack": 2, **settings}
    return warpzone.make_vec(threads=1, config=EnvConfig(actions=ACTIONS, **settings))


def course_of(envs: warpzone.MarioVectorEnv, level: str, found: Demonstration) -> NDArray[np.int64]:
    """Frames of the way after 0, 1, 2 … steps."""
    native = found.trajectory.native(envs.level_starts, level)
    followed = _native.follow(envs.level_starts, envs.config.native_rules(), native)
    return np.array([0, *followed.inputs])


def playing(console: Console) -> bool:
    ram = console.ram
    return bool(ram[OPER_MODE] == 1 and ram[OPER_TASK] == 3 and ram[PLAYER_STATE] == 8)


def rams(episode: Episode) -> list[bytes]:
    """After 0, 1, 2 … frames."""
    replay = Replay(episode, Console())
    found = [replay.console.ram.tobytes()]
    while not replay.ended:
        replay.step()
        found.append(replay.console.ram.tobytes())
    return found


def assert_starts_are_moments_of(
    episode: Episode, envs: warpzone.MarioVectorEnv, level: str, before: int = 0
) -> list[int]:
    """Whether the RAM with which each start begins is that of the recorded game, `before` frames of
    which come before the way. Returns the frames of the episode at which they are."""
    found = demonstrations(envs, episode)[level]
    assert (
        found.trajectory.inputs == episode.buttons[before : before + len(found.trajectory.inputs)]
    )
    ends, known = course_of(envs, level, found) + before, rams(episode)
    starts = envs.record_initial_states(level, found.trajectory)
    envs.set_initial_states(starts)
    places = [int(ends[start.step]) for start in starts]
    for index in range(0, len(starts), max(len(starts) // 25, 1)):
        weights = np.zeros(len(starts))
        weights[index] = 1
        envs.set_start_weights(weights, 1.0)
        obs, infos = envs.reset()
        assert isinstance(obs, np.ndarray)
        assert obs[0].tobytes() == known[places[index]]
        assert infos["level"].tolist() == [LEVELS.index(level)]
        assert infos["progress"].tolist() == [0]
    return places


@pytest.mark.parametrize("frame_skip", [1, 3, 4])
def test_a_whole_game_is_a_way_with_exact_starts(frame_skip: int) -> None:
    episode = recorded([*CLEAR, *[0] * 200])  # the person lets go after the flagpole
    envs = make_vec(frame_skip=frame_skip)
    found = demonstrations(envs, episode)["1-1"]
    assert found.trajectory.cleared
    assert found.outcome.cleared
    # The way ends on the frame that touches the flagpole.
    assert len(CLEAR) - 8 < len(found.trajectory.inputs) <= len(CLEAR)
    assert found.trajectory.begin is None
    places = assert_starts_are_moments_of(episode, envs, "1-1")
    assert (
        places
        == list(range(3 * frame_skip, len(found.trajectory.inputs), frame_skip))[: len(places)]
    )
    assert len(places) >= len(found.trajectory.inputs) // frame_skip - 4


def test_buttons_may_change_in_any_frame() -> None:
    random = np.random.default_rng(5)
    buttons = [int(b) for b in random.choice([RUN, LEAP, HOP, WALK, 0], 40) for _ in range(7)]
    episode = recorded(buttons)
    places = assert_starts_are_moments_of(episode, make_vec(), "1-1")
    assert len(places) > 10


def test_starts_behind_a_pipe_are_exact_too_and_none_looks_back_into_it() -> None:
    # B is held in the pipe, as people do; walking goes on in the room below.
    buttons = [b for b in steps(PIPE) for _ in range(4)]
    episode = recorded([*buttons, *[2] * 260, *[RUN] * 90])
    envs = make_vec()
    places = assert_starts_are_moments_of(episode, envs, "1-1")
    gaps = np.diff(places)
    assert gaps.max() > 60  # the pipe
    assert places[-1] > len(buttons) + 200


def test_pauses_are_no_moments_of_a_way() -> None:
    half = 389  # while he runs
    assert set(CLEAR[half - 8 : half + 8]) == {RUN}
    pause = [*[START] * 5, *[0] * 50, *[START] * 5]
    episode = recorded([*CLEAR[:half], *pause, *CLEAR[half:]])
    envs = make_vec()
    places = assert_starts_are_moments_of(episode, envs, "1-1")
    paused = [ram[PAUSED] & 1 for ram in rams(episode)]
    assert 40 < sum(paused) < 80
    assert not any(paused[place] for place in places)
    assert demonstrations(envs, episode)["1-1"].trajectory.cleared
    steps_back = 2 * 4  # of the stack of pictures
    assert not any(any(paused[place - steps_back : place]) for place in places)


def test_who_stops_half_way_shows_the_way_so_far() -> None:
    # Mario turns back a little before the end.
    episode = recorded([*CLEAR[:480], *[64] * 50])
    found = demonstrations(make_vec(), episode)["1-1"]
    assert not found.trajectory.cleared
    assert (found.outcome.cleared, found.outcome.death) == (False, 0)
    assert 480 <= len(found.trajectory.inputs) < 520
    assert 900 < found.outcome.progress < 1400
    assert_starts_are_moments_of(episode, make_vec(), "1-1")


def test_the_last_moments_before_a_death_are_left_out() -> None:
    buttons = [WALK] * 400  # into the first Goomba
    episode = recorded(buttons)
    envs = make_vec()
    found = demonstrations(envs, episode)["1-1"]
    death = next(i for i, ram in enumerate(rams(episode)) if ram[PLAYER_STATE] in (6, 0x0B))
    assert found.outcome.death == 1
    assert death - LAST_FRAMES - 4 <= len(found.trajectory.inputs) <= death - LAST_FRAMES
    assert str(found.outcome) == f"killed by an enemy at {found.outcome.progress} px"


def test_the_best_of_several_attempts_counts() -> None:
    # Dies at the first Goomba, comes again, and gets farther.
    console = Console()
    recorder = PlayRecorder(console)
    recorder.begin("1-1")
    again = 0
    for _ in range(1200):
        recorder.step(WALK)
        if console.ram[PLAYER_STATE] in (6, 0x0B):
            again = recorder.frames
        elif again and playing(console):
            break
    second = recorder.frames
    assert again < second < 1200
    for i in range(600):
        recorder.step(RUN if i % 40 < 16 else LEAP)
    episode = recorder.episode(Person())
    envs = make_vec()
    alone = demonstrations(envs, recorded([WALK] * 400))["1-1"]
    found = demonstrations(envs, episode)["1-1"]
    assert found.outcome.progress > alone.outcome.progress + 100
    assert found.trajectory.begin is not None
    console.load(found.trajectory.begin)
    before = rams(episode).index(console.ram.tobytes())
    assert before >= second
    places = assert_starts_are_moments_of(episode, envs, "1-1", before)
    assert places[0] > before


def test_a_game_from_power_on_and_through_several_levels_has_ways_in_each() -> None:
    recorder = PlayRecorder(Console())
    recorder.begin(POWER_ON)
    for i in range(900):
        if playing(recorder.console):
            break
        recorder.step(START if 60 < i < 70 else 0)
    begun = recorder.frames
    for _ in range(120):
        recorder.step(RUN)
    episode = recorder.episode(Person())
    envs = make_vec(["1-1", "1-2"])
    assert set(demonstrations(envs, episode)) == {"1-1"}
    places = assert_starts_are_moments_of(episode, envs, "1-1", before=begun)
    assert places[0] > begun

    on = recorded([*CLEAR, *[0] * 1200, *[RUN] * 240])
    assert set(demonstrations(envs, on)) == {"1-1", "1-2"}
    assert demonstrations(envs, on)["1-1"].trajectory.cleared
    found = demonstrations(envs, on)["1-2"]
    assert found.trajectory.begin is not None
    recorder.console.load(found.trajectory.begin)
    before = rams(on).index(recorder.console.ram.tobytes())
    assert_starts_are_moments_of(on, envs, "1-2", before)
    assert set(demonstrations(make_vec("1-2"), on)) == {"1-2"}
    assert before > len(CLEAR)
    assert demonstrations(make_vec("8-1"), on) == {}


def test_games_of_another_rom_or_another_course_are_refused() -> None:
    episode = recorded([RUN] * 100)
    other = episode.model_copy(update={"rom": RomIdentity(sha1="0" * 40, revision="another")})
    with pytest.raises(EpisodeError, match="played on the ROM revision 'another'"):
        demonstrations(make_vec(), other)
    changed = episode.model_copy(update={"buttons": bytes([WALK] * 100)})
    with pytest.raises(EpisodeError, match="the game went another way than when it was recorded"):
        demonstrations(make_vec(), changed)
