"""What is drawn, and by what: seeds, games, the number of the episode; never what was played."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.support.scripts import ACTIONS, INDEX, RUN

import warpzone
from warpzone.errors import ConfigError
from warpzone.nes.env_fields import Autoreset

MANY: dict[str, Any] = {"noop_max": 200, "actions": ACTIONS}


def starts(envs: warpzone.MarioVectorEnv, **reset: Any) -> list[tuple[int, int]]:
    infos = envs.reset(**reset)[1]
    return list(zip(infos["level"].tolist(), infos["frames"].tolist(), strict=True))


def test_without_a_seed_every_environment_is_different() -> None:
    vectors = [tuple(starts(warpzone.make_vec("all", 4, **MANY))) for _ in range(4)]
    assert len(set(vectors)) == 4
    singles = [[(i["level"], i["frames"]) for i in (env.reset()[1] for _ in range(4))]
               for env in (warpzone.make("all", **MANY) for _ in range(4))]  # fmt: skip
    assert len({tuple(one) for one in singles}) == 4


def test_a_reset_without_a_seed_goes_on_with_the_old_one() -> None:
    envs = warpzone.make_vec("all", 4, seed=3, **MANY)
    first, second = starts(envs), starts(envs)
    assert first != second
    assert starts(envs, seed=3) == first
    assert starts(envs) == second


def episodes(actions: int, seed: int, **settings: Any) -> list[tuple[int, int]]:
    """Where eight episodes begin, with steps of one action only between them."""
    env = warpzone.make("all", **MANY, **settings)
    found = []
    info = env.reset(seed=seed)[1]
    for episode in range(8):
        found.append((info["level"], info["frames"]))
        for _ in range(5 + 7 * (actions + episode) % 20):
            _, _, terminated, truncated, _ = env.step(actions)
            if terminated or truncated:
                break
        info = env.reset()[1]
    return found


@pytest.mark.parametrize("settings", [{}, {"repeat_action_probability": 0.25},
                                      {"repeat_action_probability": 0.25, "sticky_share": 0.5}],
                         ids=str)  # fmt: skip
def test_starts_do_not_depend_on_what_was_played(settings: dict[str, Any]) -> None:
    """Two agents under one seed meet the same episodes, sticky buttons or not."""
    first = episodes(INDEX[RUN], 11, **settings)
    assert len(set(first)) == 8
    assert episodes(INDEX[0], 11, **settings) == first
    assert episodes(INDEX[RUN], 12, **settings) != first


def test_starts_within_many_games_do_not_depend_on_what_was_played() -> None:
    def begun(action: int, mode: Autoreset) -> list[list[tuple[int, int]]]:
        envs = warpzone.make_vec(
            "all", 5, seed=4, max_steps=9, repeat_action_probability=0.25, autoreset=mode, **MANY
        )
        infos = envs.reset()[1]
        found: list[list[tuple[int, int]]] = [[] for _ in range(5)]
        for _ in range(60):
            for i in np.flatnonzero(infos["steps"] == 0):
                found[i].append((int(infos["level"][i]), int(infos["frames"][i])))
            *_, infos = envs.step(np.full(5, action))
        return [one[:5] for one in found]

    expected = begun(INDEX[RUN], "same_step")
    assert all(len(one) == 5 for one in expected)
    assert begun(INDEX[0], "same_step") == expected
    assert begun(INDEX[0], "next_step") == expected


def test_sticky_buttons_are_drawn_anew_in_each_episode_and_repeat_with_the_seed() -> None:
    def stuck(env: warpzone.MarioEnv, **reset: Any) -> tuple[bytes, ...]:
        env.reset(**reset)
        return tuple(env.step(i % 2 * INDEX[RUN])[0].tobytes() for i in range(30))

    settings: dict[str, Any] = {
        "observation": "ram", "actions": ACTIONS, "repeat_action_probability": 0.25,
    }  # fmt: skip
    env = warpzone.make("1-1", **settings)
    one, two = stuck(env, seed=0), stuck(env)
    assert one != two
    assert stuck(env, seed=0) == one
    assert stuck(env) == two


def test_a_list_of_seeds_makes_each_game_what_a_single_one_is_with_that_seed() -> None:
    settings: dict[str, Any] = {**MANY, "repeat_action_probability": 0.25, "observation": "ram"}
    envs = warpzone.make_vec("all", 3, **settings)
    seeds = [5, 6, 2**64 - 1]
    singles = [warpzone.make("all", **settings) for _ in seeds]
    obs, infos = envs.reset(seed=seeds)
    assert isinstance(obs, np.ndarray)
    for i, (env, seed) in enumerate(zip(singles, seeds, strict=True)):
        one, info = env.reset(seed=seed)
        assert np.array_equal(one, obs[i])
        assert info["frames"] == infos["frames"][i]
    for _ in range(10):
        obs, *_ = envs.step(np.full(3, INDEX[RUN]))
        assert isinstance(obs, np.ndarray)
        for i, env in enumerate(singles):
            assert np.array_equal(env.step(INDEX[RUN])[0], obs[i])


def test_a_game_without_a_seed_in_the_list_goes_on_with_its_stream() -> None:
    envs = warpzone.make_vec("all", 2, seed=1, **MANY)
    first, second = starts(envs), starts(envs)
    starts(envs, seed=1)
    again = starts(envs, seed=[None, 9])
    assert again[0] == second[0]
    assert again[1] != second[1]
    assert starts(envs, seed=1) == first


def test_only_games_that_are_reset_take_the_seed() -> None:
    envs = warpzone.make_vec("all", 3, seed=1, **MANY)
    starts(envs)
    second = starts(envs)
    first = starts(envs, seed=1)
    mask = np.array([True, False, False])
    assert starts(envs, seed=1, options={"reset_mask": mask}) == first
    assert starts(envs)[1:] == second[1:]


@pytest.mark.parametrize(
    ("seed", "words"),
    [
        (-1, "seed is -1: it must be at least 0 and below 2"),
        (2**64, "seed is 18446744073709551616: it must be at least 0"),
        ("7", "seed is '7': it must be a whole number"),
        (0.5, "seed is 0.5: it must be a whole number"),
    ],
)
def test_impossible_seeds_are_refused(seed: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        warpzone.make_vec("1-1", 2, seed=seed)
    env, envs = warpzone.make("1-1"), warpzone.make_vec("1-1", 2)
    for one in (env, envs):
        with pytest.raises(ConfigError, match=words):
            one.reset(seed=seed)
    with pytest.raises(ConfigError, match=words):
        envs.reset(seed=[0, seed])


def test_a_list_must_have_a_seed_for_each_game() -> None:
    with pytest.raises(ConfigError, match="seed has 3 numbers for 2 games"):
        warpzone.make_vec("1-1", 2).reset(seed=[1, 2, 3])
