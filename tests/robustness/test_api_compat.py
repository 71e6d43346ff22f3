"""The API fuzzer on the faces that other projects' users know: each beside the console or the games
that it stands on."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from tests.support.api_envs import catch
from tests.support.api_fuzz import (
    DAMAGE,
    HUGE,
    NEGATIVE,
    NO_BYTES,
    NO_NUMBERS,
    Damage,
    budget,
    call,
    case,
    interrupted_at,
    must,
    refused,
    together,
)

import warpzone
from warpzone.compat.nes_py import NESEnv, v9
from warpzone.compat.nes_py.emulator import Emulator
from warpzone.compat.nes_py.wrappers import JoypadSpace

BYTES = st.integers(0, 255)
NO_ACTIONS = NO_NUMBERS | NEGATIVE | HUGE | st.sampled_from([256, 300])


class NesPy(RuleBasedStateMachine):
    """Environments of nes_py 8 and 9, and an emulator of many: all show the same."""

    @initialize(banked=st.booleans())
    def begin(self, banked: bool) -> None:
        case()
        rom = catch(banked)
        self.old, self.new = NESEnv(rom), v9.NESEnv(rom, render_mode="rgb_array")
        self.many = v9.VectorNESEmulator(rom, 2)
        self.plain = Emulator(rom)
        refused(self.old.step, 0)
        self.reset()

    @rule()
    def reset(self) -> None:
        pictures = [must(self.old.reset), must(self.new.reset)[0], must(self.many.reset)[0]]
        self.plain.reset()
        self.agree(pictures)

    @rule(action=BYTES, count=st.integers(1, 20))
    def step(self, action: int, count: int) -> None:
        for _ in range(count):
            answers = [
                call(self.old.step, action),
                call(self.new.step, action),
                call(self.many.step, np.full(2, action, np.uint8)),
                call(self.plain.step, action),
            ]
            assert len({answer.refused for answer in answers}) == 1
        self.agree([self.old.screen, self.new.screen, self.many.screens[0]])

    def agree(self, pictures: list[Any]) -> None:
        expected = self.plain.rgb()
        for picture in pictures:
            assert np.array_equal(picture, expected)
        assert np.array_equal(self.new.observation("grayscale"), self.plain.greys())
        state = self.plain.save()
        assert self.new.dump_state() == state == self.many.dump_state(0)
        assert np.array_equal(self.old.ram, self.plain.ram)

    @rule(address=st.integers(0, 2047), value=BYTES)
    def poke(self, address: int, value: int) -> None:
        for ram in (self.old.ram, self.new.ram, *self.many.rams, self.plain.ram):
            ram[address] = value

    @rule(action=NO_ACTIONS)
    def step_wrongly(self, action: Any) -> None:
        before = self.plain.save()
        refused(self.old.step, action)
        refused(self.new.step, action)
        refused(self.many.step, action)
        refused(self.many.step_one, 0, action)
        assert self.new.dump_state() == before == self.many.dump_state(0)

    @rule(index=NO_NUMBERS | st.sampled_from([-1, 2, 99, 2**70]))
    def index_wrongly(self, index: Any) -> None:
        for name in ("reset_one", "dump_state", "observation_one"):
            refused(getattr(self.many, name), index, also=IndexError)
        refused(self.many.step_one, index, 0, also=IndexError)

    @rule(
        mode=st.sampled_from(["", "human", "grayscale", "rgb_array_contiguous", None, 3]),
        output=st.sampled_from(
            [np.zeros(3, np.uint8), np.zeros((240, 256)), "x", 5, np.zeros((240, 256, 3), np.int8)]
        ),
    )
    def observe_wrongly(self, mode: Any, output: Any) -> None:
        refused(self.new.observation, mode, output)
        refused(self.many.observation, mode, output)
        call(self.old.render, "rgb_array")
        refused(self.old.render, "nothing")

    @rule(value=NO_BYTES | st.binary(max_size=50), damage=DAMAGE)
    def load_wrongly(self, value: Any, damage: Damage) -> None:
        before = self.plain.save()
        for load in (self.new.load_state, self.plain.load, lambda v: self.many.load_state(0, v)):
            refused(load, value)
        assert self.new.dump_state() == before
        answer = call(self.new.load_state, damage.to(before))
        assert not answer.refused or self.new.dump_state() == before
        must(self.new.load_state, before)

    @rule(specs=st.sampled_from([[], [1], "a", 5, None, [{"address": 70000}], [(1, 2, 3, 4, 5)]]))
    def ram_values(self, specs: Any) -> None:
        call(self.new.ram_values, specs)
        call(self.many.ram_values, specs)

    @rule(how=st.sampled_from([copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))]))
    def copied(self, how: Callable[[Any], Any]) -> None:
        """A copy goes on by itself."""
        other = must(how, self.new)
        before = self.new.dump_state()
        assert other.dump_state() == before
        must(other.reset)
        assert self.new.dump_state() == before
        must(other.close)

    @rule(line=st.integers(1, 90))
    def ctrl_c(self, line: int) -> None:
        before = self.plain.save()

        def use() -> None:
            for _ in range(20):
                call(self.new.step, 1)

        interrupted_at(line, use)
        must(self.new.load_state, before)

    @rule(
        actions=st.sampled_from([[["right"], ["A", "B"]], [["jump"]], [], [[1]], "right", None, 5])
    )
    def joypad(self, actions: Any) -> None:
        answer = call(JoypadSpace, self.new, actions)
        if not answer.refused:
            refused(answer.value.step, len(actions) or -1)

    @rule()
    def closed(self) -> None:
        for env in (NESEnv(catch(False)), v9.NESEnv(catch(False))):
            must(env.reset)
            must(env.close)
            for broken in (env.close, env.reset, lambda env=env: env.step(0)):
                refused(broken)
            assert env.screen.shape == (240, 256, 3)
        many = v9.VectorNESEmulator(catch(False), 1)
        must(many.close)
        refused(many.close)
        refused(many.step, np.zeros(1, np.uint8))

    @rule(
        works=st.lists(
            st.lists(st.sampled_from(["step", "reset", "dump", "screen", "observe"]), min_size=1),
            min_size=2,
            max_size=3,
        )
    )
    def threads(self, works: list[list[str]]) -> None:
        env = v9.NESEnv(catch(False))
        env.reset()
        uses: dict[str, Callable[[], Any]] = {
            "step": lambda: env.step(1),
            "reset": env.reset,
            "dump": env.dump_state,
            "screen": lambda: env.screen.sum(),
            "observe": lambda: env.observation("grayscale"),
        }
        together([[uses[name] for name in each] for each in works])
        must(env.reset)
        must(env.step, 0)


NesPy.TestCase.settings = budget(10, 10)
TestNesPy = NesPy.TestCase


@budget(5)
@given(
    id=st.sampled_from(
        [
            "SuperMarioBros-v0",
            "SuperMarioBros-1-1-v0",
            "SuperMarioBros-9-9-v0",
            "",
            "mario",
            None,
            5,
        ]
    ),
    kwargs=st.dictionaries(
        st.sampled_from(
            ["apply_api_compatibility", "render_mode", "stages", "rom_mode", "target", "nothing"]
        ),
        st.sampled_from([None, True, "human", "rgb", (1, 1), (9, 9), (1,), 3, [], "vanilla"]),
        max_size=2,
    ),
    actions=st.lists(st.integers(-1, 256), max_size=20),
)
def test_the_games_of_gym_super_mario_bros(
    id: Any, kwargs: dict[str, Any], actions: list[int]
) -> None:
    from warpzone.compat import gym_super_mario_bros

    case()
    answers = [call(gym_super_mario_bros.make, id, **kwargs) for _ in range(2)]
    if any(answer.refused for answer in answers):
        assert all(answer.refused for answer in answers)
        return
    envs = [answer.value for answer in answers]
    seen = [call(env.reset) for env in envs]
    if any(one.refused for one in seen):
        assert all(one.refused for one in seen)
        return
    for action in actions:
        found = [call(env.step, action) for env in envs]
        assert found[0].refused == found[1].refused
        if not found[0].refused:
            assert np.array_equal(found[0].value[0], found[1].value[0])
            assert repr(found[0].value[1:]) == repr(found[1].value[1:])
    for env in envs:
        must(env.close)


class StableBaselines3(RuleBasedStateMachine):
    """A `VecEnv` beside a vector environment of ours that is given the same."""

    @initialize(games=st.integers(1, 3), seed=st.integers(0, 2**32))
    def begin(self, games: int, seed: int) -> None:
        from warpzone.compat.sb3 import make_vec_env

        case()
        settings: dict[str, Any] = {"observation": "ram", "max_steps": 5, "noop_max": 9}
        self.games = games
        self.one = must(make_vec_env, "1-1", games, seed, threads=1, **settings)
        self.twin = warpzone.make_vec("1-1", games, threads=1, **settings)
        self.seeds: list[int] | None = [seed + game for game in range(games)]
        self.reset()

    def teardown(self) -> None:
        if hasattr(self, "one"):
            must(self.one.close)
            must(self.one.close)
            refused(self.one.reset)
            self.twin.close()

    @rule()
    def reset(self) -> None:
        obs = must(self.one.reset)
        again, _ = must(self.twin.reset, seed=self.seeds)
        self.seeds = None
        assert np.array_equal(obs, again)

    @rule(seed=st.integers(0, 2**32))
    def seed(self, seed: int) -> None:
        self.seeds = list(must(self.one.seed, seed))

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        actions = np.array(
            data.draw(st.lists(st.integers(0, 6), min_size=self.games, max_size=self.games))
        )
        obs, rewards, ended, told = must(self.one.step, actions)
        again = must(self.twin.step, actions)
        assert np.array_equal(obs, again[0])
        assert np.array_equal(rewards, again[1])
        assert np.array_equal(ended, again[2] | again[3])
        assert [("episode" in info) for info in told] == ended.tolist()

    @rule(actions=st.sampled_from([None, 3, "a", [], [99] * 9, [[0]], object(), [0.5], [-1]]))
    def step_wrongly(self, actions: Any) -> None:
        before = self.one.envs.save_state()
        refused(self.one.step, actions)
        assert self.one.envs.save_state() == before

    @rule(
        name=st.sampled_from(["", "ram", "save_state", "nothing", "_envs", "render_mode", None, 5]),
        indices=st.sampled_from([None, 0, [0], [], 99, -7, "a", [99], 1.5]),
    )
    def attributes(self, name: Any, indices: Any) -> None:
        for use in (self.one.get_attr, self.one.env_method):
            call(use, name, indices=indices)
        call(self.one.set_attr, name, 5, indices=indices)
        call(self.one.env_is_wrapped, object, indices=indices)

    @rule(
        options=st.sampled_from(
            [{"level": "1-1"}, {"level": "x"}, {"nothing": 1}, [], {"state": 1}]
        )
    )
    def options(self, options: Any) -> None:
        call(self.one.set_options, options)
        call(self.one.reset)
        call(self.one.set_options, None)
        self.seeds = list(must(self.one.seed, 3))
        self.reset()


def test_stable_baselines3() -> None:
    pytest.importorskip("stable_baselines3")
    StableBaselines3.TestCase.settings = budget(8, 10)
    StableBaselines3.TestCase("runTest").debug()
