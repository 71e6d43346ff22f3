"""Which actions may be chosen, in `info` of one game and of many."""

from __future__ import annotations

import copy
from typing import Any, Literal

import numpy as np
import pytest
from tests.support import own_rewards

import warpzone
from warpzone.errors import ConfigError
from warpzone.nes.game_env import GameEnv
from warpzone.nes.game_vector_env import GameVectorEnv

MODULE = "tests.support.own_rewards"
LEFT, RIGHT = 6, 3


@pytest.mark.parametrize("given", [f"{MODULE}:never_left", own_rewards.never_left])
def test_one_game_tells_what_its_action_space_samples_by(given: Any) -> None:
    env = warpzone.make("1-1", action_masks=given)
    _, info = env.reset(seed=0)
    env.action_space.seed(0)
    drawn = set()
    for _ in range(80):
        mask = info["action_mask"]
        assert (mask.dtype, mask.shape) == (np.int8, (7,))
        action = env.action_space.sample(mask)
        drawn.add(int(action))
        _, _, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            _, info = env.reset()
    assert drawn == set(range(7)) - {LEFT}


@pytest.mark.parametrize("autoreset", ["same_step", "next_step"])
@pytest.mark.parametrize("num_groups", [1, 2])
def test_many_games_tell_of_the_states_that_are_acted_on_next(
    autoreset: Literal["same_step", "next_step"], num_groups: int
) -> None:
    """After a same-step reset those of the new episodes."""
    function = own_rewards.no_jump_in_the_air
    envs = warpzone.make_vec(
        "1-1", 4, action_masks=function, autoreset=autoreset, num_groups=num_groups, max_steps=13
    )
    _, infos = envs.reset(seed=0)
    envs.action_space.seed(0)
    found, ends = [], 0
    for _ in range(40):
        masks = infos["action_mask"]
        assert (masks.dtype, masks.shape) == (np.int8, (4, 7))
        assert infos["_action_mask"].all()
        assert np.array_equal(masks, function(infos))
        found.append(masks.copy())
        actions = envs.action_space.sample(tuple(masks))
        assert masks[np.arange(4), actions].all()
        actions[:2] = RIGHT
        _, _, terminated, truncated, infos = envs.step(actions)
        ends += int((terminated | truncated).sum())
        if "final_info" in infos:
            assert "action_mask" not in infos["final_info"]
    assert ends > 4
    assert np.stack(found)[..., 2].min() == 0
    assert np.stack(found)[..., 5].min() == 0
    assert np.stack(found)[..., [2, 5]].max() == 1


def test_without_a_function_there_is_no_mask() -> None:
    env = warpzone.make("1-1")
    assert "action_mask" not in env.reset(seed=0)[1]
    assert "action_mask" not in env.step(RIGHT)[4]


def test_a_copy_has_the_same_masks() -> None:
    envs = warpzone.make_vec("1-1", 2, action_masks=own_rewards.never_left)
    envs.reset(seed=0)
    other = copy.deepcopy(envs)
    assert other.step(np.full(2, RIGHT))[4]["action_mask"][:, LEFT].tolist() == [0, 0]


def test_described_games_have_them_too() -> None:
    def no_move(info: dict[str, Any]) -> Any:
        masks = np.ones((len(next(iter(info.values()))), 3), np.bool_)
        masks[:, 0] = False
        return masks

    envs = GameVectorEnv(None, "catch", 2, action_masks=no_move)
    actions = int(envs.single_action_space.n)
    assert actions == 3
    assert envs.reset(seed=0)[1]["action_mask"].tolist() == [[0, 1, 1]] * 2
    for _ in range(60):
        infos = envs.step(np.ones(2, np.int64))[4]
        assert infos["action_mask"].tolist() == [[0, 1, 1]] * 2
    one = GameEnv(None, "catch", action_masks=no_move)
    assert one.reset(seed=0)[1]["action_mask"].tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda info: info["x"] > 0, r"must return bool\[2, 7\] .* returned bool\[2\]"),
        (lambda info: np.ones((2, 7)), r"returned float64\[2, 7\]"),
        (lambda info: np.arange(14).reshape(2, 7) < 7, "returned none for game 1"),
        (lambda info: info["nothing"], r"failed: KeyError: 'nothing' .*It is given x, y"),
        (5, "action_masks 5 is no function of info"),
        (f"{MODULE}:nothing", "the action_masks .* is not there: .* has no 'nothing'"),
        ("nothing", "the action_masks 'nothing' is not of the form module:name"),
    ],
)
def test_masks_that_are_none(function: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        warpzone.make_vec("1-1", 2, action_masks=function).reset()
