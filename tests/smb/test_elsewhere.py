"""Environments in other processes, and found by Gymnasium in one that has not imported them."""

from __future__ import annotations

import functools
import multiprocessing
import pickle
import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

import warpzone

ACTIONS = [1, 2, 2, 3, 1, 1]


def played(env: warpzone.MarioEnv) -> list[tuple[bytes, float, dict[str, Any]]]:
    """What comes of some actions."""
    found = []
    for action in ACTIONS:
        obs, reward, *_, info = env.step(action)
        found.append((obs.tobytes() + env.ram().tobytes(), reward, info))
    return found


def played_there(state: bytes) -> list[tuple[bytes, float, dict[str, Any]]]:
    return played(pickle.loads(state))


def test_a_pickled_game_goes_on_in_a_spawned_process() -> None:
    env = warpzone.make("1-1", observation="ram", repeat_action_probability=0.25)
    env.reset(seed=1)
    played(env)
    state = pickle.dumps(env)
    expected = played(env)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(played_there, (state,)) == expected


@pytest.mark.parametrize("context", ["spawn", "forkserver"])
def test_spawned_workers_of_gymnasium_play_as_one_process_does(context: str) -> None:
    if context not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {context} on this system")
    make = functools.partial(warpzone.make, "1-1", observation="pixels", noop_max=30, max_steps=4)
    workers: Any = AsyncVectorEnv([make] * 2, context=context)
    alone: Any = SyncVectorEnv([make] * 2)
    first, second = workers.reset(seed=[4, 5])[0], alone.reset(seed=[4, 5])[0]
    assert np.array_equal(first, second)
    for action in ACTIONS:
        one, two = (envs.step(np.full(2, action)) for envs in (workers, alone))
        for a, b in zip(one[:4], two[:4], strict=True):
            assert np.array_equal(a, b)
    workers.close()


def test_gymnasium_finds_the_games_by_the_name_of_the_package() -> None:
    """`module:id` imports the package; nothing else has to."""
    program = (
        "import sys, gymnasium\n"
        "env = gymnasium.make('warpzone:warpzone/Mario-v0', level='1-2', observation='ram')\n"
        "print(env.reset(seed=0)[1]['stage'])\n"
        "envs = gymnasium.make_vec('warpzone:warpzone/Mario-v0', num_envs=2, level='1-3')\n"
        "print(type(envs).__name__, envs.reset(seed=0)[1]['stage'].tolist())\n"
        "envs = gymnasium.make_vec('warpzone:warpzone/Mario-v0', num_envs=2,\n"
        "    vectorization_mode='async', vector_kwargs={'context': 'spawn'}, observation='ram')\n"
        "if __name__ == '__main__':\n"
        "    print(envs.reset(seed=0)[0].shape)\n"
        "    envs.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", program],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:3] == ["2", "MarioVectorEnv [3, 3]", "(2, 2048)"]


def test_a_wrapped_game_is_copied_with_its_wrappers() -> None:
    made: Any = gymnasium.make("warpzone/Mario-v0", observation="ram", max_episode_steps=20)
    wrapped = gymnasium.wrappers.RecordEpisodeStatistics(made)
    wrapped.reset(seed=0)
    for action in ACTIONS:
        wrapped.step(action)
    again = pickle.loads(pickle.dumps(wrapped))
    ends = []
    for env in (wrapped, again):
        for _ in range(14):
            *_, truncated, info = env.step(1)
        ends.append((truncated, info["episode"]["r"], info["episode"]["l"], info["x"]))
    assert ends[0] == ends[1]
    assert ends[0][0]
