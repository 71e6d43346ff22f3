"""Machines on environments: games of a vector environment, each beside a single one, and copies.

What is refused changes nothing. Copies that are given the same stay the same, byte for byte; some
are used badly (threads, Ctrl-C, damage, closed), after which they are usable or say why not.
"""

from __future__ import annotations

import copy
import pickle
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from numpy.typing import NDArray
from tests.support.api_fuzz import (
    DAMAGE,
    HUGE,
    NEGATIVE,
    NO_BYTES,
    NO_NUMBERS,
    Damage,
    call,
    case,
    in_a_fork,
    interrupted_at,
    must,
    refused,
    together,
)

from warpzone.games.catch import cartridge
from warpzone.nes.rom import Rom, load_rom

GAMES = 3
SEEDS = st.integers(0, 2**64 - 1)
COPIES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda envs: pickle.loads(pickle.dumps(envs)),
    "clone": lambda envs: envs.clone(),
}


@cache
def catch(banked: bool) -> Rom:
    """Returns the cartridge of Catch, or the same on a board with banks."""
    data = bytearray(cartridge())
    data[6] |= 0x20 if banked else 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catch.nes"
        path.write_bytes(data)
        return load_rom(path)


@dataclass(frozen=True)
class Kind:
    """Says how environments of one kind are made."""

    one: Callable[..., Any]
    many: Callable[..., Any]
    place: str
    """The option of `reset` that says where episodes begin."""
    places: Sequence[str]
    observations: Sequence[dict[str, Any]]


def flat(value: Any) -> Any:
    """Returns observations as something that can be compared."""
    if isinstance(value, dict):
        return {name: flat(each) for name, each in value.items()}
    return None if value is None else np.asarray(value).tolist()


def plain(info: dict[str, Any], game: int) -> dict[str, Any]:
    """Returns what `infos` tell of one game, as a single environment's `info` does."""
    return {
        name: values[game].item()
        for name, values in info.items()
        if not name.startswith(("_", "final_"))
    }


def as_new(envs: Any) -> Any:
    """Returns what a few steps after a reset show. Saved states also hold where things were in
    earlier episodes, which nobody reads."""
    found = [envs.reset(seed=[5, 6, 7])]
    found += [envs.step(np.full(GAMES, action % 2)) for action in range(2)]
    consoles = [envs.console_state(game) for game in range(GAMES)]
    return [[flat(one) for one in each[:-1]] for each in found], consoles


class Environments(RuleBasedStateMachine):
    """Many games, a single environment beside each, and copies beside all."""

    kind: Kind

    # --- the beginning and the end ----------------------------------------------------------------

    @initialize(
        data=st.data(),
        autoreset=st.sampled_from(["same_step", "next_step", "disabled"]),
        groups=st.integers(1, 2),
        threads=st.integers(1, 2),
        noop_max=st.sampled_from([0, 7]),
        sticky=st.sampled_from([0.0, 0.3]),
        max_steps=st.integers(2, 9),
        frame_skip=st.sampled_from([1, 4]),
    )
    def begin(
        self,
        data: st.DataObject,
        autoreset: str,
        groups: int,
        threads: int,
        noop_max: int,
        sticky: float,
        max_steps: int,
        frame_skip: int,
    ) -> None:
        case()
        self.settings: dict[str, Any] = {
            **data.draw(st.sampled_from(self.kind.observations)),
            "noop_max": noop_max,
            "repeat_action_probability": sticky,
            "max_steps": max_steps,
            "frame_skip": frame_skip,
        }
        self.autoreset = autoreset
        self.many = self.fresh(groups, threads)
        self.singles = [
            self.kind.one(render_mode="rgb_array", **self.settings) for _ in range(GAMES)
        ]
        self.copies: list[Any] = []
        self.actions = int(self.many.single_action_space.n)
        self.saved: list[bytes] = []
        self.reset(data.draw(st.lists(SEEDS, min_size=GAMES, max_size=GAMES)), None)

    def fresh(self, groups: int = 1, threads: int = 1) -> Any:
        return self.kind.many(
            GAMES,
            num_groups=groups,
            threads=threads,
            autoreset=self.autoreset,
            render_mode="rgb_array",
            **self.settings,
        )

    def teardown(self) -> None:
        for envs in (
            getattr(self, "many", None),
            *getattr(self, "copies", ()),
            *getattr(self, "singles", ()),
        ):
            if envs is not None:
                must(envs.close)

    def same(self) -> None:
        """Copies are as the original."""
        state = self.many.save_state()
        for other in self.copies:
            assert other.save_state() == state, "a copy went another way"

    def unchanged(self, work: Callable[[], Any]) -> None:
        before = self.many.save_state()
        work()
        assert self.many.save_state() == before, "what was refused has changed something"

    def seen(self, obs: Any, game: int) -> Any:
        return (
            {name: rows[game] for name, rows in obs.items()} if isinstance(obs, dict) else obs[game]
        )

    # --- what is used as it should be -------------------------------------------------------------

    @rule(
        seeds=st.lists(SEEDS, min_size=GAMES, max_size=GAMES),
        data=st.data(),
    )
    def begin_anew(self, seeds: list[int], data: st.DataObject) -> None:
        place = data.draw(st.none() | st.sampled_from(self.kind.places))
        self.reset(seeds, place)

    def reset(self, seeds: list[int], place: str | None) -> None:
        options = None if place is None else {self.kind.place: place}
        obs, infos = must(self.many.reset, seed=seeds, options=options)
        self.ended = [False] * GAMES
        for game, single in enumerate(self.singles):
            found, info = must(single.reset, seed=seeds[game], options=options)
            self.compare(game, obs, found, infos, info)
        for other in self.copies:
            must(other.reset, seed=seeds, options=options)
        self.same()

    @rule(mask=st.lists(st.booleans(), min_size=GAMES, max_size=GAMES))
    def begin_some_anew(self, mask: list[bool]) -> None:
        options = {"reset_mask": np.array(mask)}
        obs, infos = must(self.many.reset, options=options)
        for game in np.flatnonzero(mask).tolist():
            found, info = must(self.singles[game].reset)
            self.compare(game, obs, found, infos, info)
            self.ended[game] = False
        for other in self.copies:
            must(other.reset, options=options)
        self.same()

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        actions = np.array(
            data.draw(st.lists(st.integers(0, self.actions - 1), min_size=GAMES, max_size=GAMES))
        )
        if self.autoreset == "disabled" and any(self.ended):
            self.unchanged(lambda: refused(self.many.step, actions))
            return
        obs, rewards, terminated, truncated, infos = must(self.many.step, actions)
        for other in self.copies:
            again = must(other.step, actions)
            assert flat(again[0]) == flat(obs)
            assert [flat(one) for one in again[1:4]] == [
                flat(one) for one in (rewards, terminated, truncated)
            ]
        for game, single in enumerate(self.singles):
            if self.ended[game]:  # the next step begins anew
                found, info = must(single.reset)
                told: tuple[float, bool, bool] = (0.0, False, False)
            else:
                found, *rest, info = must(single.step, int(actions[game]))
                told = (rest[0], rest[1], rest[2])
            assert told == (
                float(rewards[game]), bool(terminated[game]), bool(truncated[game])
            )  # fmt: skip
            over = told[1] or told[2]
            if over and self.autoreset == "same_step":
                assert flat(infos["final_obs"][game]) == flat(found)
                assert plain(infos["final_info"], game) == info
                found, info = must(single.reset)
            self.ended[game] = over and self.autoreset != "same_step"
            self.compare(game, obs, found, infos, info)
        self.same()

    def compare(self, game: int, obs: Any, found: Any, infos: dict[str, Any], info: Any) -> None:
        assert flat(self.seen(obs, game)) == flat(found), f"game {game} shows something else"
        assert plain(infos, game) == info
        assert self.many.console_state(game) == self.singles[game].console_state()

    @rule(game=st.integers(0, GAMES - 1))
    def look(self, game: int) -> None:
        picture = must(self.many.picture, game)
        assert np.array_equal(picture, must(self.singles[game].render))
        assert np.array_equal(picture, must(self.many.render)[game])
        assert np.array_equal(must(self.many.ram, game), must(self.singles[game].ram))

    @rule(game=st.integers(0, GAMES - 1), address=st.integers(0, 0x7FF), value=st.integers(0, 255))
    def poke(self, game: int, address: int, value: int) -> None:
        for ram in (
            self.many.ram(game),
            self.singles[game].ram(),
            *(other.ram(game) for other in self.copies),
        ):
            ram[address] = value
        self.same()

    @rule()
    def save(self) -> None:
        self.saved = [must(single.save_state) for single in self.singles]
        self.were = list(self.ended)

    @precondition(lambda self: bool(self.saved))
    @rule()
    def load(self) -> None:
        """What a single environment has saved, a game of many takes, and gives back."""
        for game, single in enumerate(self.singles):
            state = self.saved[game]
            must(single.load_state, state)
            for envs in (self.many, *self.copies):
                must(envs.load_state, state, game)
            assert self.many.save_state(game) == state == single.save_state()
        self.ended = list(self.were)
        self.same()

    @precondition(lambda self: len(self.copies) < 2)
    @rule(how=st.sampled_from([*COPIES, "load"]), which=st.booleans())
    def copied(self, how: str, which: bool) -> None:
        original = self.copies[-1] if which and self.copies else self.many
        if how == "load":
            made = self.fresh()
            must(made.load_state, original.save_state())
        else:
            made = must(COPIES[how], original)
        self.copies.append(made)
        self.same()

    @rule(game=st.integers(0, GAMES - 1), how=st.sampled_from(list(COPIES)))
    def copied_single(self, game: int, how: str) -> None:
        old = self.singles[game]
        self.singles[game] = must(COPIES[how], old)
        must(old.close)
        assert self.singles[game].save_state() == self.many.save_state(game)

    @precondition(lambda self: bool(self.copies))
    @rule()
    def in_groups(self) -> None:
        """`send` and `recv` are a `step` in parts."""
        if self.autoreset == "disabled" and any(self.ended):
            return
        actions, envs = np.zeros(GAMES, np.int64), must(copy.deepcopy, self.many)
        other = must(copy.deepcopy, self.many)
        must(other.step, actions)
        for group, rows in enumerate(envs.groups):
            must(envs.send, group, actions[rows])
        refused(envs.send, 0, actions[envs.groups[0]])
        for broken in (envs.reset, envs.save_state, lambda: envs.step(actions), envs.clone):
            refused(broken)
        for group in range(len(envs.groups)):
            must(envs.recv, group)
        refused(envs.recv, 0)
        assert envs.save_state() == other.save_state()
        envs.close()
        other.close()

    # --- wrong arguments --------------------------------------------------------------------------

    @rule(
        data=st.data(),
        wrong=st.integers(-(2**63), -1) | st.integers(40, 2**63 - 1),
        place=st.integers(0, GAMES - 1),
    )
    def step_wrongly(self, data: st.DataObject, wrong: int, place: int) -> None:
        actions: Any = np.zeros(GAMES, np.int64)
        actions[place] = wrong
        given = data.draw(
            st.sampled_from(
                [actions, None, "", 1, [], [0] * (GAMES + 1), [[0] * GAMES], [0.5] * GAMES, {},
                 [None] * GAMES, ["a"] * GAMES, [2**70] * GAMES, object()]
            )
        )  # fmt: skip
        # With next-step autoreset the action of an ended game is not looked at.
        if given is actions and self.ended[place]:
            return
        self.unchanged(lambda: refused(self.many.step, given))
        single = self.singles[place]
        before = single.save_state()
        for one in (wrong, None, "", 1.5, [], [0, 0], object(), 2**70):
            refused(single.step, one)
        assert single.save_state() == before

    @rule(data=st.data())
    def reset_wrongly(self, data: st.DataObject) -> None:
        seed = data.draw(
            NO_NUMBERS.filter(lambda value: value is not None) | NEGATIVE
            | st.sampled_from([2**64, 2**70, [1], [1, 2, "a"], [1, 2, -3], [1.5] * GAMES, True])
        )  # fmt: skip
        self.unchanged(lambda: refused(self.many.reset, seed=seed))
        place = self.kind.place
        options = data.draw(
            st.sampled_from(
                [{place: "nowhere"}, {place: 3}, {place: [None] * 2}, {place: ["", None, None]},
                 {"reset_mask": [True]}, {"reset_mask": "abc"}, {"reset_mask": object()},
                 {"state": b""}, {"state": b"x"}, {"state": 5}, {"state": [b"a", None, None]},
                 {"state": bytes(5000)}, {"other": 1}, {1: 1}, "options", 5, [1],
                 {"first_game": 1}, {"reset_mask": [[True] * GAMES]}]
            )
        )  # fmt: skip
        self.unchanged(lambda: refused(self.many.reset, options=options))
        single = self.singles[0]
        before = single.save_state()
        refused(single.reset, options=options)
        refused(single.reset, seed=seed)
        assert single.save_state() == before

    @rule(
        game=HUGE | NEGATIVE | st.integers(GAMES, 99) | NO_NUMBERS.filter(lambda v: v is not None)
    )
    def no_such_game(self, game: Any) -> None:
        for name in ("ram", "picture", "save_state", "console_state", "game_view"):
            self.unchanged(partial(refused, getattr(self.many, name), game))

    @rule(
        name=st.sampled_from(
            ["", "_batch", "__class__", "nothing", "ram", "save_state", "config", "step", "a b"]
        ),
        values=st.sampled_from([None, 1, [1], [1] * GAMES, (1, 2)]),
    )
    def attributes(self, name: str, values: Any) -> None:
        def use() -> None:
            call(self.many.get_attr, name)
            call(self.many.call, name)
            call(self.many.set_attr, name, values)

        self.unchanged(use)

    @rule(group=st.integers(-3, 9) | HUGE | NO_NUMBERS)
    def groups_wrongly(self, group: Any) -> None:
        def use() -> None:
            refused(self.many.recv, group)
            refused(self.many.send, group, np.zeros(99, np.int64))
            refused(self.many.send, group, None)
            refused(self.many.send, group, np.zeros(GAMES))

        self.unchanged(use)

    @rule(value=NO_BYTES | st.binary(max_size=99), game=st.none() | st.integers(0, GAMES - 1))
    def load_wrongly(self, value: Any, game: int | None) -> None:
        self.unchanged(lambda: refused(self.many.load_state, value, game))
        single = self.singles[0]
        before = single.save_state()
        refused(single.load_state, value)
        assert single.save_state() == before

    # --- rough use of a copy ----------------------------------------------------------------------

    def rough(self) -> Any:
        """Returns a copy that is used roughly."""
        return must(copy.deepcopy, self.many)

    def still_usable(self, envs: Any) -> None:
        """After all that, it is as a new one."""
        fresh = self.fresh()
        assert as_new(envs) == as_new(fresh)
        envs.close()
        fresh.close()

    @rule(damage=DAMAGE)
    def load_damaged(self, damage: Damage) -> None:
        envs = self.rough()
        state = damage.to(envs.save_state())
        before = envs.save_state()
        if call(envs.load_state, state).refused:
            assert envs.save_state() == before
        else:
            call(envs.step, np.zeros(GAMES, np.int64))
            call(envs.render)
        self.still_usable(envs)

    @rule(line=st.integers(1, 150), what=st.sampled_from(["step", "reset", "save", "copy"]))
    def ctrl_c(self, line: int, what: str) -> None:
        envs = self.rough()
        actions = np.zeros(GAMES, np.int64)

        def use() -> None:
            if what == "step":
                call(envs.step, actions)
            elif what == "reset":
                envs.reset(seed=3)
            elif what == "save":
                envs.load_state(envs.save_state())
            else:
                copy.deepcopy(envs).close()

        interrupted_at(line, use)
        self.still_usable(envs)

    @rule(
        works=st.lists(
            st.lists(
                st.sampled_from(
                    ["step", "reset", "save", "load", "picture", "ram", "send", "recv", "render",
                     "copy", "console", "close"]
                ),
                min_size=1,
                max_size=5,
            ),
            min_size=2,
            max_size=3,
        )
    )  # fmt: skip
    def threads(self, works: list[list[str]]) -> None:
        envs = self.rough()
        state, actions = envs.save_state(), np.zeros(GAMES, np.int64)

        def use(name: str) -> Any:
            if name == "step":
                return envs.step(actions)
            if name == "load":
                return envs.load_state(state)
            if name == "send":
                return envs.send(0, actions[envs.groups[0]])
            if name == "recv":
                return envs.recv(0)
            if name == "copy":
                return copy.deepcopy(envs).close()
            if name in ("picture", "ram"):
                return getattr(envs, name)(1).sum()
            return {
                "reset": lambda: envs.reset(seed=2),
                "save": envs.save_state,
                "render": envs.render,
                "console": lambda: envs.console_state(0),
                "close": envs.close,
            }[name]()

        together([[partial(use, name) for name in each] for each in works])
        if any("close" in each for each in works):
            refused(envs.step, actions) if call(envs.close).error is None else None
            envs.close()
            return
        if any("send" in each for each in works):
            call(envs.recv, 0)
        self.still_usable(envs)

    @rule()
    def fork(self) -> None:
        envs = self.rough()

        def child() -> bool:
            return bool(as_new(envs) == as_new(self.fresh()))

        assert in_a_fork(child)
        self.still_usable(envs)

    @rule()
    def closed(self) -> None:
        envs = self.rough()
        ram, obs = envs.ram(0), envs.observations()
        for _ in range(2):
            must(envs.close)
        actions: NDArray[np.int64] = np.zeros(GAMES, np.int64)
        for broken in (
            envs.reset,
            lambda: envs.step(actions),
            lambda: envs.send(0, actions[envs.groups[0]]),
            lambda: envs.recv(0),
            envs.save_state,
            lambda: envs.load_state(b"x"),
            lambda: envs.picture(0),
            envs.render,
            envs.clone,
            lambda: copy.deepcopy(envs),
            lambda: pickle.dumps(envs),
            lambda: envs.console_state(0),
        ):
            refused(broken)
        assert ram.sum() >= 0
        flat(obs)
