"""Episodes in which what the game counts by is drawn anew, against the console's own counting."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.scripts import ACTIONS, INDEX, RUN

import warpzone
from warpzone.errors import ConfigError
from warpzone.nes.console import Console
from warpzone.smb.starts import start_level

RANDOM, FRAME, TICK = slice(0x7A7, 0x7AE), 0x09, 0x77F
"""Where in RAM the random numbers are, the counter of frames, and that of slow timers."""
COUNTERS = [*range(RANDOM.start, RANDOM.stop), FRAME, TICK]
PERIOD = 32767


def make_vec(num_envs: int, **settings: Any) -> warpzone.MarioVectorEnv:
    settings = {"threads": 1, "observation": "ram", "seed": 5, **settings}
    return warpzone.make_vec("1-1", num_envs, actions=ACTIONS, **settings)


def rams(envs: warpzone.MarioVectorEnv) -> NDArray[np.uint8]:
    return np.stack([envs.ram(game) for game in range(envs.num_envs)])


def at_start() -> Console:
    console = Console()
    start_level(console, "1-1")
    return console


@pytest.fixture(scope="module")
def own_numbers() -> set[bytes]:
    """All states of the game's random numbers, as it goes through them at the title."""
    console, seen = Console(), set()
    console.step(0, 60)
    for _ in range(2 * PERIOD):  # it stands still while the title is being drawn
        console.step()
        seen.add(console.ram[RANDOM].tobytes())
    assert len(seen) == PERIOD
    return seen


def test_a_level_begins_in_any_phase_that_the_game_can_be_in(own_numbers: set[bytes]) -> None:
    envs = make_vec(200, phase_share=1.0)
    envs.reset()
    memories = rams(envs)
    own = at_start().ram
    others = np.setdiff1d(np.arange(len(own)), COUNTERS)
    np.testing.assert_array_equal(memories[:, others], np.tile(own[others], (200, 1)))
    numbers = {row[RANDOM].tobytes() for row in memories}
    assert numbers <= own_numbers
    assert len(numbers) > 190
    assert len(set(memories[:, FRAME])) > 100
    assert set(memories[:, TICK]) == set(range(18))


def test_ticks_are_those_of_the_game() -> None:
    console, seen = at_start(), set()
    for _ in range(100):
        console.step()
        seen.add(int(console.ram[TICK]))
    assert seen >= set(range(18))


def test_only_that_share_of_episodes_is_drawn_anew() -> None:
    envs = make_vec(400, phase_share=0.25)
    envs.reset()
    other = (rams(envs)[:, RANDOM] != at_start().ram[RANDOM]).any(axis=1)
    assert 0.18 < other.mean() < 0.32


def test_a_start_that_is_asked_for_is_as_it_is() -> None:
    envs = make_vec(1, phase_share=1.0)
    envs.reset(options={"level": "1-1"})
    np.testing.assert_array_equal(envs.ram(0), at_start().ram)


def test_an_episode_within_a_level_is_in_another_phase_too() -> None:
    envs = make_vec(8, phase_share=1.0)
    moments = envs.record_moments("1-1", bytes(40), [(40, 10)])
    envs.set_initial_states(moments)
    envs.set_start_weights(np.ones(1), 1.0)
    _, infos = envs.reset()
    assert list(infos["start"]) == [0] * 8
    console = at_start()
    console.step(0, 40)
    memories = rams(envs)
    others = np.setdiff1d(np.arange(len(console.ram)), COUNTERS)
    np.testing.assert_array_equal(memories[:, others], np.tile(console.ram[others], (8, 1)))
    assert len({row[RANDOM].tobytes() for row in memories}) == 8


def test_buttons_alone_do_not_lead_to_another_phase() -> None:
    for share, known in ((1.0, False), (0.0, True)):
        envs = make_vec(1, phase_share=share)
        envs.watch_games([0])
        envs.reset()
        for _ in range(200):  # into the first Goomba
            _, _, terminated, _, _ = envs.step(np.array([INDEX[RUN]]))
            if terminated[0]:
                break
        assert (envs.input_log(0) is not None) is known
        (ended,) = envs.ended_input_logs(0)
        assert (ended is not None) is known
        (varied,) = envs.ended_input_logs(0, varied=True)
        assert varied is not None
        assert (varied[0].variation == 0) is known


def test_a_variation_that_no_start_has_is_refused() -> None:
    with closing(make_vec(1)) as envs, pytest.raises(ConfigError, match="no start is varied so"):
        envs.record_moments("1-1", bytes(40), [(40, 10)], 2**32 - 1)


@pytest.mark.parametrize("settings", [{"phase_share": 1.0}, {"power_share": 1.0}, {}])
def test_with_what_was_drawn_anew_an_episode_is_played_again(settings: dict[str, float]) -> None:
    draws = np.random.default_rng(3)
    settings = {"noop_max": 30, **settings}
    with (
        closing(make_vec(4, **settings)) as envs,
        closing(make_vec(1, autoreset="disabled")) as again,
    ):
        envs.watch_games(range(4))
        envs.reset()
        steps: list[list[int]] = [[] for _ in range(4)]
        compared = 0
        while compared < 6:
            actions = draws.integers(len(ACTIONS), size=4)
            _, _, terminated, truncated, _ = envs.step(actions)
            for game in range(4):
                steps[game].append(int(actions[game]))
                if not terminated[game] and not truncated[game]:
                    continue
                (ended,) = envs.ended_input_logs(game, varied=True)
                assert ended is not None
                log, ram = ended
                assert len(log.decided) == len(steps[game])
                assert (log.variation != 0) is (len(settings) > 1)
                if len(steps[game]) > 12:
                    number = len(steps[game]) - 6
                    at = (int(log.decided[number]), number)
                    again.set_initial_states(
                        again.record_moments(log.level, log.buttons, [at], log.variation)
                    )
                    again.set_start_weights(np.ones(1), 1.0)
                    again.reset()
                    for action in steps[game][number:]:
                        _, _, over, cut, _ = again.step(np.array([action]))
                        if over[0] or cut[0]:
                            break
                    assert over[0] == terminated[game]
                    assert again.ram(0).tobytes() == ram
                    compared += 1
                steps[game] = []


def test_a_way_is_played_in_the_levels_own_phase_whatever_is_drawn() -> None:
    """Else it leads nowhere, and with it the places where progress counts."""
    plain, drawn = make_vec(1, phase_share=0.0), make_vec(1, phase_share=1.0)
    way = plain.explorer("1-1").search(60_000)
    assert drawn.explorer("1-1").search(60_000).inputs == way.inputs
    steps = [
        [(start.step, start.progress) for start in envs.record_initial_states("1-1", way)]
        for envs in (plain, drawn)
    ]
    assert len(steps[0]) > 20
    assert steps[0] == steps[1]
    reached = []
    for envs in (plain, drawn):
        envs.set_progress_masks({"1-1": [way]})
        envs.reset(options={"level": "1-1"})
        for action in way.inputs:
            _, _, terminated, truncated, infos = envs.step(np.array([action]))
            if terminated[0] or truncated[0]:
                break
            progress = int(infos["progress"][0])
        reached.append(progress)
    assert reached[0] == reached[1] > 300
