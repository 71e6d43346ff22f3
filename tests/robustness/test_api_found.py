"""What the API fuzzer has found, each by itself: what was given, and what is said of it now."""

from __future__ import annotations

import copy
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tests.support.api_envs import catch
from tests.support.api_fuzz import interrupted_at
from tests.support.episodes import recorded

import warpzone
from warpzone import Agent, Console, evaluate
from warpzone.compat import gym_super_mario_bros
from warpzone.compat.nes_py import v9
from warpzone.compat.nes_py.wrappers import JoypadSpace
from warpzone.episodes.replay import Replay, snapshot_at
from warpzone.errors import ConfigError, EngineError, EpisodeError, WarpzoneError
from warpzone.games.catch import GAME
from warpzone.nes import GameVectorEnv
from warpzone.smb.search import Trajectory

ACTIONS = np.zeros(2, np.int64)


@pytest.fixture(scope="module")
def envs() -> Iterator[warpzone.MarioVectorEnv]:
    made = warpzone.make_vec("1-1", 2, num_groups=2, threads=1)
    made.reset(seed=0)
    yield made
    made.close()


@pytest.fixture(scope="module")
def one() -> Iterator[warpzone.MarioEnv]:
    made = warpzone.make("1-1", keep_frames=True)
    made.reset(seed=0)
    yield made
    made.close()


def test_numbers_that_a_console_does_not_take() -> None:
    """They came out as a TypeError of the binding, with its signatures, or in silence."""
    console = Console()
    before = console.save()
    for given in (
        {"buttons": 1.5}, {"buttons": "a"}, {"frames": 2**40}, {"frames": 1.5}, {"frames": None},
        {"second": None}, {"second": 1},
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=r"must be 0|controller"):
            console.step(**given)
    for snapshot in (None, "x", 5, memoryview(before)):
        with pytest.raises(ConfigError, match=r"snapshot is .*: it must be bytes of save"):
            console.load(snapshot)  # type: ignore[arg-type]  # wrong on purpose
    assert console.save() == before
    console.load(bytearray(before))  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda console: pickle.loads(pickle.dumps(console))]
)
def test_a_console_is_copied(copied: Callable[[Console], Console]) -> None:
    """`copy.copy` shared the machine; the others raised TypeError."""
    console = Console(engine="interpreter")
    console.step(8, 50)
    other = copied(console)
    other.step(0, 10)
    assert (console.frame, other.frame) == (50, 60)
    console.step(0, 10)
    assert console.save() == other.save()


def test_a_second_thread_is_kept_away_from_a_console() -> None:
    """It went in, since `step` runs without the GIL, and changed the state that was played in."""
    console = Console(engine="interpreter")
    expected = Console(engine="interpreter")
    expected.step(0, 12_000)
    stepping = threading.Thread(target=console.step, args=(0, 12_000))
    stepping.start()
    refusals: set[str] = set()
    calls: list[Callable[[], Any]] = [
        console.save, console.reset, console.screen, lambda: console.step(1),
        lambda: console.load(b""), lambda: console.frame,
    ]  # fmt: skip
    while stepping.is_alive() and len(refusals) == 0:
        try:
            console.screen()
        except EngineError:
            for use in calls:
                try:
                    use()
                except EngineError as error:
                    refusals.add(str(error))
    stepping.join()
    assert all(text.startswith("another thread is using this console") for text in refusals)
    assert refusals
    assert console.save() == expected.save()


def test_a_second_thread_is_kept_away_from_a_search(envs: warpzone.MarioVectorEnv) -> None:
    """Both added to the same lists, which crashed."""
    search, twin = envs.explorer("1-1", 1), envs.explorer("1-1", 1)
    begun, tried = threading.Event(), threading.Event()

    def between_slices() -> bool:  # where no native code runs, and who came in would stay in
        begun.set()
        tried.wait()
        return False

    searching = threading.Thread(target=search.search, args=(20_000, between_slices))
    searching.start()
    begun.wait()
    calls: list[Callable[[], Any]] = [
        lambda: search.search(10), lambda: search.reach(10, 10), lambda: search.cleared,
        lambda: search.progress, lambda: search.steps, lambda: search.places,
    ]  # fmt: skip
    try:
        for use in calls:
            with pytest.raises(EngineError, match="another thread is using this search"):
                use()
    finally:
        tried.set()
        searching.join()
    assert search.search(0) == twin.search(20_000)


@pytest.mark.parametrize("steps", [2.5, float("nan"), "a", None, -1])
def test_numbers_that_a_search_does_not_take(envs: warpzone.MarioVectorEnv, steps: Any) -> None:
    """2.5, nan and -1 were taken."""
    search = envs.explorer("1-1")
    with pytest.raises(ConfigError, match="most_steps"):
        search.search(steps)
    with pytest.raises(ConfigError, match="most_steps"):
        search.reach(5, steps)
    assert search.steps == 0


WRONG: dict[str, Callable[[warpzone.MarioVectorEnv], Any]] = {
    "recv of no number": lambda e: e.recv("a"),  # type: ignore[arg-type]  # wrong on purpose
    "recv of a list": lambda e: e.recv([]),  # type: ignore[arg-type]  # wrong on purpose
    "send to no number": lambda e: e.send(None, ACTIONS[:1]),  # type: ignore[arg-type]  # wrong on purpose
    "send with text": lambda e: e.send(0, ACTIONS[:1], "out"),  # type: ignore[arg-type]  # wrong on purpose
    "send with a dict": lambda e: e.send(0, ACTIONS[:1], {}),
    "watch none": lambda e: e.watch_games(None),  # type: ignore[arg-type]  # wrong on purpose
    "watch a word": lambda e: e.watch_games("ab"),  # type: ignore[arg-type]  # wrong on purpose
    "logs": lambda e: e.load_input_logs(None),  # type: ignore[arg-type]  # wrong on purpose
    "initial states": lambda e: e.set_initial_states(None),  # type: ignore[arg-type]  # wrong on purpose
    "no initial state": lambda e: e.put_initial_state(0, None),  # type: ignore[arg-type]  # wrong on purpose
    "a search from nowhere": lambda e: e.explorer_from(None),  # type: ignore[arg-type]  # wrong on purpose
    "level weights": lambda e: e.set_level_weights(None),  # type: ignore[arg-type]  # wrong on purpose
    "a level's weight": lambda e: e.set_level_weights({"1-1": "a"}),  # type: ignore[dict-item]
    "penalties": lambda e: e.set_end_penalties([]),  # type: ignore[arg-type]  # wrong on purpose
    "a penalty": lambda e: e.set_end_penalties({"1-1": None}),  # type: ignore[dict-item]
    "masks": lambda e: e.set_progress_masks("1-1"),  # type: ignore[arg-type]  # wrong on purpose
    "a mask": lambda e: e.set_progress_masks({"1-1": None}),  # type: ignore[dict-item]
    "no way": lambda e: e.record_initial_states("1-1", None),  # type: ignore[arg-type]  # wrong on purpose
    "buttons": lambda e: e.record_moments("1-1", None, []),  # type: ignore[arg-type]  # wrong on purpose
    "moments": lambda e: e.record_moments("1-1", b"a", None),  # type: ignore[arg-type]  # wrong on purpose
    "a moment": lambda e: e.record_moments("1-1", b"a", [("a", 1)]),  # type: ignore[list-item]
    "start weights": lambda e: e.set_start_weights("a", 0.5),  # type: ignore[arg-type]  # wrong on purpose
    "a share": lambda e: e.set_start_weights(np.zeros(0), None),  # type: ignore[arg-type]  # wrong on purpose
    "a share beyond all": lambda e: e.set_start_weights(np.zeros(0), 10**400),
    "views": lambda e: e.look(None, None),  # type: ignore[arg-type]  # wrong on purpose
    "tiles": lambda e: e.observe_tiles(0, {}),
    "seeds that are bytes": lambda e: e.reset(seed=b"ab"),
    "attribute": lambda e: e.get_attr(None),  # type: ignore[arg-type]  # wrong on purpose
    "attribute to set": lambda e: e.set_attr(b"x", 1),  # type: ignore[arg-type]  # wrong on purpose
    "ragged actions": lambda e: e.step([[1], [1, 2]]),  # type: ignore[arg-type]  # wrong on purpose
    "inputs of a way": lambda e: e.record_initial_states(
        "1-1", Trajectory("abc"),  # type: ignore[arg-type]  # wrong on purpose
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_wrong_types_are_told_for_people(envs: warpzone.MarioVectorEnv, what: str) -> None:
    """They came out as TypeError, AttributeError or KeyError from the inside, or were taken."""
    before = envs.save_state()
    with pytest.raises(ConfigError) as error:
        WRONG[what](envs)
    assert "incompatible function" not in str(error.value)
    assert envs.save_state() == before


def test_what_is_wrong_is_named(envs: warpzone.MarioVectorEnv) -> None:
    with pytest.raises(ConfigError, match="share is 'a': it must be a finite number"):
        envs.set_start_weights(np.zeros(0), "a")  # type: ignore[arg-type]  # wrong on purpose
    for out in ({}, {"tiles": None, "scalars": None}):
        with pytest.raises(
            ConfigError, match="out must be C-contiguous and writable arrays: tiles"
        ):
            envs.observe_tiles(0, out)  # type: ignore[arg-type]  # wrong on purpose


def test_a_list_of_one_seed_is_none_of_one_game(one: warpzone.MarioEnv) -> None:
    """The game had begun anew when Gymnasium refused it, with an error of its own."""
    before = one.save_state()
    for seed in ([5], b"x", "1", 1.5):
        with pytest.raises(ConfigError, match=r"seed is .*: it must be a whole number"):
            one.reset(seed=seed)  # type: ignore[arg-type]  # wrong on purpose
    assert one.save_state() == before
    for frames in (1.5, None, "a"):
        with pytest.raises(ConfigError, match="frames must be 0 to"):
            one.run_on(frames)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("kind", ["mario", "catch"])
@pytest.mark.parametrize("groups", [1, 2])
def test_after_ctrl_c_in_a_step_games_can_be_reset(kind: str, groups: int) -> None:
    """A group was left stepping, and every call refused for good: `recv it first`, of a `step`."""

    def made() -> Any:
        if kind == "mario":
            return warpzone.make_vec("1-1", 3, num_groups=groups, threads=1, observation="ram")
        return GameVectorEnv(catch(False), GAME, 3, num_groups=groups, threads=1, observation="ram")

    envs, fresh = made(), made()
    envs.reset(seed=1)
    actions = np.zeros(3, np.int64)
    hits = 0
    for line in range(1, 60, 2):
        hits += interrupted_at(line, envs.step, actions)
        for one in (envs, fresh):
            one.reset(seed=2)
            one.step(actions)
        assert [envs.console_state(game) for game in range(3)] == [
            fresh.console_state(game) for game in range(3)
        ]
    assert hits > 10
    envs.close()
    fresh.close()


def test_ctrl_c_between_send_and_recv_is_made_good() -> None:
    """The same, at the very moment."""
    envs = warpzone.make_vec("1-1", 4, num_groups=2, threads=1)
    envs.reset(seed=0)

    def come(group: int) -> Any:
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("not interrupted")

    envs._arrived = come  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        envs.step(np.zeros(4, np.int64))
    del envs._arrived
    envs.save_state()
    envs.step(np.zeros(4, np.int64))
    assert envs.reset(seed=0)[1]["steps"].tolist() == [0] * 4


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_faces_of_nes_py_are_copied(copied: Callable[[Any], Any]) -> None:
    """They raised TypeError: cannot pickle 'CutConsole'."""
    env, many = v9.NESEnv(catch(False)), v9.VectorNESEmulator(catch(False), 2)
    env.reset()
    env.step(1)
    for one, save in ((env, env.dump_state), (many, lambda: many.dump_state(1))):
        before = save()
        other = copied(one)
        other.reset()
        assert save() == before
    other = copied(env)
    other.ram[5] = env.ram[5] ^ 1
    assert other.ram[5] != env.ram[5]
    assert other.dump_state() != env.dump_state(), "it is the copy's own RAM"


def test_faces_of_nes_py_are_given_nonsense() -> None:
    """TypeErrors; and a step after `close` threw the last picture away."""
    env = v9.NESEnv(catch(False))
    env.reset()
    wrong: list[Any] = [None, 5, "right", [], [1], [["jump"]]]
    for actions in wrong:
        with pytest.raises(ConfigError):
            JoypadSpace(env, actions)
    with pytest.raises(ConfigError, match="specs is None"):
        env.ram_values(None)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ConfigError, match="id is 5"):
        gym_super_mario_bros.make(5)  # type: ignore[arg-type]  # wrong on purpose
    shown = env.screen
    env.close()
    with pytest.raises(ConfigError, match="closed"):
        env.step(0)
    assert np.array_equal(env.screen, shown)


def test_places_that_an_episode_does_not_have() -> None:
    """A ValueError that was not documented, a TypeError, and IndexError at the end."""
    episode = recorded("1-1", frames=20)[0]
    replay = Replay(episode, Console())
    wrong: list[Any] = [-1, 21, 1.5, None, "a"]
    for place in wrong:
        with pytest.raises(ConfigError, match="place must be 0-20"):
            replay.seek(place)
        with pytest.raises(ConfigError, match="there is no frame"):
            snapshot_at(episode, place)
    replay.seek(20)
    with pytest.raises(EpisodeError, match="the episode is over, after 20 frames"):
        replay.step()


@pytest.mark.parametrize("index", ["a", None, 1.5])
def test_no_console_of_many(index: Any) -> None:
    many = v9.VectorNESEmulator(catch(False), 2)
    with pytest.raises(ConfigError, match=r"env index is .*: it must be a whole number"):
        many.reset_one(index)
    with pytest.raises(ConfigError, match="env_count is"):
        v9.VectorNESEmulator(catch(False), index)


HUGE = 10**5000
TOO_LONG: dict[str, Callable[[], object]] = {
    "buttons": lambda: Console().step(HUGE),
    "frames": lambda: Console().step(0, HUGE),
    "games": lambda: warpzone.make_vec("1-1", HUGE),
    "more games than fit": lambda: warpzone.make_vec("1-1", 65_537),
    "a seed": lambda: warpzone.make_vec("1-1", 2, seed=HUGE),
    "a seed of a reset": lambda: warpzone.make("1-1").reset(seed=HUGE),
    "a setting": lambda: warpzone.make("1-1", frame_skip=HUGE),
    "episodes": lambda: evaluate(Agent.load("1-1"), ["1-1"], episodes=HUGE),
    "a device": lambda: Agent.load("1-1", device=HUGE),  # type: ignore[arg-type]  # wrong on purpose
    "a cartridge": lambda: Console(HUGE),  # type: ignore[arg-type]  # wrong on purpose
    "a level": lambda: warpzone.make(HUGE),  # type: ignore[arg-type]  # wrong on purpose
    "an action": lambda: warpzone.make("1-1").step(HUGE),
}


@pytest.mark.parametrize("call", TOO_LONG.values(), ids=TOO_LONG)
def test_a_number_that_python_does_not_write(call: Callable[[], object]) -> None:
    with pytest.raises(WarpzoneError):
        call()
