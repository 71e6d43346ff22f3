"""Several threads, forked processes and closed environments: a clear error, and nothing touched."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import warpzone
from warpzone.errors import ConfigError, EngineError

CALLS: dict[str, Callable[[Any], Any]] = {
    "step": lambda envs: envs.step(np.ones(envs.num_envs, np.int64)),
    "reset": lambda envs: envs.reset(seed=1),
    "save_state": lambda envs: envs.save_state(),
    "load_state": lambda envs: envs.load_state(b""),
    "picture": lambda envs: envs.picture(0),
    "ram": lambda envs: envs.ram(0),
    "send": lambda envs: envs.send(0, np.ones(envs.num_envs, np.int64)),
    "input_log": lambda envs: envs.input_log(0),
    "recv": lambda envs: envs.recv(0),
    "play": lambda envs: envs.play(None, None, 0, 0),
    "set_initial_states": lambda envs: envs.set_initial_states([]),
    "put_initial_state": lambda envs: envs.put_initial_state(0, None),
    "set_start_weights": lambda envs: envs.set_start_weights(np.ones(0), 0.0),
    "set_level_weights": lambda envs: envs.set_level_weights({"1-1": 1.0}),
    "set_end_penalties": lambda envs: envs.set_end_penalties({"1-1": 1.0}),
    "set_progress_masks": lambda envs: envs.set_progress_masks({}),
    "record_moments": lambda envs: envs.record_moments("1-1", b"", []),
    "look": lambda envs: envs.look(np.ones(2, np.bool_), np.ones(2, np.bool_)),
    "observe_tiles": lambda envs: envs.observe_tiles(0, {}),
    "watch_games": lambda envs: envs.watch_games([]),
    "save_input_logs": lambda envs: envs.save_input_logs(),
    "load_input_logs": lambda envs: envs.load_input_logs(b""),
    "ended_input_logs": lambda envs: envs.ended_input_logs(0),
    "console_state": lambda envs: envs.console_state(0),
    "run_on": lambda envs: envs.run_on(1),
    "frames": lambda envs: envs.frames(),
    "close": lambda envs: envs.close(),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_second_thread_is_refused_while_one_steps(
    call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the door, also between the beginning and the end of a step, when no native code runs: it
    would take the games from under the step."""
    envs = warpzone.make_vec("1-1", 2, threads=1, seed=0)
    twin = warpzone.make_vec("1-1", 2, threads=1, seed=0)
    envs.reset()
    twin.reset()
    actions = np.ones(2, np.int64)
    begun, tried = threading.Event(), threading.Event()
    arrived = envs._arrived

    def paused(group: int) -> None:
        begun.set()
        tried.wait()
        arrived(group)

    monkeypatch.setattr(envs, "_arrived", paused)
    stepping = threading.Thread(target=envs.step, args=(actions,))
    stepping.start()
    begun.wait()
    try:
        with pytest.raises(EngineError, match="another thread is using these games"):
            CALLS[call](envs)
    finally:
        tried.set()
        stepping.join()
    twin.step(actions)
    assert envs.save_state() == twin.save_state(), "the step went on as if nobody had come"


def test_many_threads_at_once_do_no_harm() -> None:
    """Whatever the calls: each works or is refused."""
    envs = warpzone.make_vec("1-1", 8, threads=2, num_groups=2, seed=0)
    envs.reset()
    state, wrong = envs.save_state(), []

    def work(number: int) -> None:
        rng = np.random.default_rng(number)
        for _ in range(150):
            try:
                which = int(rng.integers(6))
                if which == 0:
                    envs.reset()
                elif which == 1:
                    envs.load_state(state)
                elif which == 2:
                    envs.picture(int(rng.integers(8)))
                elif which == 3:
                    envs.save_state()
                else:
                    envs.step(rng.integers(7, size=8))
            except EngineError:
                pass
            except BaseException as error:
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    envs.reset(seed=0)
    assert envs.step(np.ones(8, np.int64))[4]["steps"].tolist() == [1] * 8


def test_a_single_game_is_guarded_too() -> None:
    env = warpzone.make("1-1", keep_frames=True)
    env.reset()
    with env._games._in_use:
        found: list[BaseException] = []

        def step() -> None:
            try:
                env.step(1)
            except EngineError as error:
                found.append(error)

        other = threading.Thread(target=step)
        other.start()
        other.join()
    assert "another thread is using these games" in str(found[0])
    assert env.step(1)[4]["steps"] == 1


FORK = """
import os, sys, threading
import numpy as np
import warpzone
warpzone.set_engine("interpreter")
envs = warpzone.make_vec("1-1", 8, threads=4, num_groups=2, seed=0)
envs.reset()
actions = np.ones(8, np.int64)
envs.step(actions)
{before}
child = os.fork()
if child == 0:
    {child}
_, status = os.waitpid(child, 0)
{after}
print(os.waitstatus_to_exitcode(status))
"""
CHILDREN = {
    "ends": ("", "sys.exit(0)", "", "0"),
    "deletes": ("", "del envs; sys.exit(0)", "", "0"),
    "closes": ("", "envs.close(); sys.exit(0)", "", "0"),
    "goes on": (
        "",
        "s = [envs.step(actions)[4]['x'].tolist() for _ in range(20)][-1]; "
        "sys.exit(0 if envs.step(actions)[4]['steps'].tolist() == [22] * 8 else 3)",
        "envs.step(actions)",
        "0",
    ),
    "while it steps": (
        "envs.send(0, actions[:4])",
        "\n    try:\n        envs.step(actions)\n    except warpzone.WarpzoneError as error:\n"
        "        sys.exit(7 if 'when this process was forked' in str(error) else 1)",
        "envs.recv(0)",
        "7",
    ),
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("child", CHILDREN)
def test_forked_processes_end_and_go_on_or_are_told(child: str) -> None:
    before, code, after, expected = CHILDREN[child]
    program = FORK.format(before=before, child=code, after=after)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.stdout.strip(), done.returncode) == (expected, 0), done.stderr


# --- refused before anything moves ----------------------------------------------------------------


@pytest.mark.parametrize("num_groups", [1, 2, 4])
def test_a_refused_action_moves_no_game(num_groups: int) -> None:
    envs = warpzone.make_vec("1-1", 4, num_groups=num_groups, observation="ram", seed=0)
    envs.reset()
    envs.step(np.ones(4, np.int64))
    state = envs.save_state()
    for actions in ([1, 1, 99, 1], [1, 1, 1, -1], [2**40, 1, 1, 1]):
        with pytest.raises(ConfigError, match=r"action .* of game . is outside 0\.\.6"):
            envs.step(np.array(actions))
        assert envs.save_state() == state
    with pytest.raises(ConfigError, match="actions must be integers"):
        envs.step(np.full(4, 0.5))
    assert envs.save_state() == state
    assert envs.step(np.ones(4, np.int64))[4]["steps"].tolist() == [2] * 4


def test_a_game_whose_episode_is_over_moves_no_other() -> None:
    envs = warpzone.make_vec("1-1", 2, num_groups=2, autoreset="disabled", observation="ram")
    envs.reset()
    envs.ram(1)[0x00B5] = 2  # below the screen
    envs.step(np.ones(2, np.int64))
    state = envs.save_state()
    with pytest.raises(EngineError, match="game 1 has no running episode"):
        envs.step(np.ones(2, np.int64))
    assert envs.save_state() == state


def test_closed_environments_say_so() -> None:
    env, envs = warpzone.make("1-1"), warpzone.make_vec("1-1", 4, threads=2)
    obs, _ = env.reset()
    ram = envs.ram(0)
    envs.reset()
    for one in (env, envs):
        one.close()
        one.close()
        with pytest.raises(EngineError, match="closed: make new ones"):
            one.reset()
    with pytest.raises(EngineError, match="closed"):
        env.step(0)
    for call in ("step", "save_state", "send", "picture"):
        with pytest.raises(EngineError, match="closed"):
            CALLS[call](envs)
    assert ram.sum() > 0, "what was handed out may still be read"
    assert obs["tiles"].shape == (8, 13, 16)


def test_numbers_out_of_range_are_named() -> None:
    envs = warpzone.make_vec("1-1", 4, num_groups=2)
    envs.reset()
    for game in (4, 99, -1, 2**70):
        for call in (
            envs.ram,
            envs.picture,
            envs.input_log,
            envs.ended_input_logs,
            envs.save_state,
        ):
            with pytest.raises(ConfigError, match=f"there is no game {game}: games are 0 to 3"):
                call(game)
    for group in (2, -1):
        with pytest.raises(ConfigError, match=f"there are 2 groups, there is no group {group}"):
            envs.send(group, np.zeros(2, np.int64))
        with pytest.raises(ConfigError, match=f"there is no group {group}"):
            envs.recv(group)
    env = warpzone.make("1-1", keep_frames=True)
    env.reset()
    for frames, buttons in ((3601, 0), (-1, 0), (1, 256)):
        with pytest.raises(ConfigError, match="frames must be 0 to 3,600"):
            env.run_on(frames, buttons)
