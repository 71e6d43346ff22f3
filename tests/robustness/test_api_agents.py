"""The API fuzzer on agents and episodes: each beside a second one of the same file."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from tests.support.api_fuzz import (
    DAMAGE,
    NO_NUMBERS,
    Answer,
    Damage,
    budget,
    call,
    case,
    interrupted_at,
    must,
    refused,
    together,
)
from tests.support.episodes import recorded

import warpzone
from warpzone import Agent, Console
from warpzone.episodes.format import Episode
from warpzone.episodes.replay import Replay, snapshot_at

torch = pytest.importorskip("torch")
from tests.support.agents import write_agent  # noqa: E402  # needs torch

from warpzone.agents.playback import Playback  # noqa: E402

FILES: dict[str, Path] = {}
EPISODES: list[Episode] = []
MODES = st.sampled_from(["sample", "argmax"])
NO_MODES = st.sampled_from(["", "Sample", "greedy", None, 1, [], object()])
LEVEL = "1-1"


@pytest.fixture(scope="module", autouse=True)
def made(tmp_path_factory: pytest.TempPathFactory, one_torch_thread: None) -> None:
    folder = tmp_path_factory.mktemp("agents")
    FILES["agent"] = write_agent(folder / "agent.safetensors")
    EPISODES.extend(recorded(start, frames=60)[0] for start in (LEVEL, "power-on"))


@pytest.fixture(scope="module")
def one_torch_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Agents(RuleBasedStateMachine):
    """An agent and a copy of it see the same games and have to do the same."""

    @initialize(games=st.integers(1, 3))
    def begin(self, games: int) -> None:
        case()
        self.one: Agent = must(Agent.load, FILES["agent"])
        self.twin: Agent = must(Agent.load, str(FILES["agent"]))
        self.envs = must(
            self.one.make_envs, LEVEL, games, noop_max=9, repeat_action_probability=0.0, threads=1
        )
        must(self.envs.reset, seed=0)

    def teardown(self) -> None:
        if hasattr(self, "envs"):
            must(self.envs.close)

    def acted(self, mode: str, seed: int) -> Any:
        seen = self.envs.observations()
        found = [must(a.act, seen, mode, a.random(seed)) for a in (self.one, self.twin)]
        assert found[0].tolist() == found[1].tolist()
        return found[0]

    @rule(mode=MODES, seed=st.integers(0, 2**64 - 1), steps=st.integers(1, 4))
    def play(self, mode: str, seed: int, steps: int) -> None:
        for _ in range(steps):
            actions = self.acted(mode, seed)
            assert actions.dtype == np.int64
            for group, rows in enumerate(self.envs.groups):
                must(self.envs.send, group, actions[rows])
                must(self.envs.recv, group)

    @rule(mode=MODES, seed=st.integers(0, 99))
    def decide(self, mode: str, seed: int) -> None:
        seen = {name: rows[0] for name, rows in self.envs.observations().items()}
        found = [must(a.decide, seen, mode, a.random(seed)) for a in (self.one, self.twin)]
        assert found[0].action == found[1].action
        assert found[0].value == found[1].value
        assert abs(float(found[0].probabilities.sum()) - 1) < 1e-4

    @rule(data=st.data())
    def act_wrongly(self, data: st.DataObject) -> None:
        """Native code is given nothing that does not have the right shape and type."""
        seen = {name: np.array(rows) for name, rows in self.envs.observations().items()}
        name = data.draw(st.sampled_from(sorted(seen)))
        kind = data.draw(st.sampled_from(["shape", "type", "missing", "more", "other", "rows"]))
        given: Any = dict(seen)
        if kind == "shape":
            given[name] = seen[name][:, :-1]
        elif kind == "type":
            given[name] = seen[name].astype(
                data.draw(st.sampled_from([np.float64, np.int64, bool]))
            )
        elif kind == "missing":
            del given[name]
        elif kind == "more":
            given["more"] = seen[name]
        elif kind == "rows":
            given[name] = np.concatenate([seen[name], seen[name]])
        else:
            given = data.draw(st.sampled_from([None, 5, [], {}, "tiles", seen["tiles"], object()]))
        refused(self.one.act, given, "argmax", self.one.random(0))
        refused(self.one.act, given, "sample", self.one.random(0))

    @rule(
        mode=NO_MODES, generator=st.sampled_from([None, 1, "x"]), memory=st.sampled_from([1, "m"])
    )
    def ask_wrongly(self, mode: Any, generator: Any, memory: Any) -> None:
        seen = self.envs.observations()
        refused(self.one.act, seen, mode, self.one.random(0))
        refused(self.one.act, seen, "sample", generator)
        refused(self.one.act, seen, "argmax", self.one.random(0), memory)

    @rule(value=NO_NUMBERS | st.just(-1), seed=st.sampled_from([-1, 2**64, 2**70]))
    def numbers_wrongly(self, value: Any, seed: int) -> None:
        refused(self.one.random, seed)
        refused(self.one.random, value)
        refused(self.one.memory, value)

    @rule(
        name=st.sampled_from(
            ["", "nothing", "9-9", "/", ".", "x" * 300, "a\0b", None, 5, b"1-1", [], "../..",
             "nothing.safetensors", "hf:/x"]
        ),
        device=st.sampled_from(["cpu", "tpu", "", None, 3, "cuda:99", "meta", "cpu:-1"]),
    )  # fmt: skip
    def load_wrongly(self, name: Any, device: Any) -> None:
        refused(Agent.load, name)
        answer = call(Agent.load, FILES["agent"], device)
        assert answer.refused != (device == "cpu")

    @rule(
        how=st.sampled_from(
            [copy.deepcopy, copy.copy, lambda agent: pickle.loads(pickle.dumps(agent))]
        )
    )
    def copied(self, how: Any) -> None:
        self.twin = must(how, self.one)
        self.acted("argmax", 0)

    @rule(mode=MODES, seeds=st.lists(st.integers(0, 9), min_size=2, max_size=3))
    def many_threads(self, mode: Any, seeds: list[int]) -> None:
        """One agent may be asked by several threads."""
        seen = {name: np.array(rows) for name, rows in self.envs.observations().items()}
        works = [[lambda s=s: self.one.act(seen, mode, self.one.random(s))] * 3 for s in seeds]
        for seed, answers in zip(seeds, together(works), strict=True):
            alone = self.twin.act(seen, mode, self.twin.random(seed)).tolist()
            assert [answer.value.tolist() for answer in answers] == [alone] * 3

    @rule(
        setting=st.sampled_from(["levels", "episodes", "noop_max", "seed", "policy", "starts"]),
        value=NO_NUMBERS.filter(lambda value: value is not None)
        | st.sampled_from([-1, 0.5, 2**70]),
    )
    def evaluate_wrongly(self, setting: str, value: Any) -> None:
        settings = {"levels": [LEVEL], "episodes": 1, setting: value}
        if value not in ("", [], {}, "1", b"1"):  # measures nothing, or is a number in settings
            refused(warpzone.evaluate, self.one, **settings)


Agents.TestCase.settings = budget(8, 10)
TestAgents = Agents.TestCase


class Playbacks(RuleBasedStateMachine):
    """Episodes of a playback, some left in the middle, beside one that only plays whole ones."""

    whole: dict[tuple[int, str], list[int]] = {}  # noqa: RUF012  # what every case has to agree with

    @initialize()
    def begin(self) -> None:
        case()
        self.agent = must(Agent.load, FILES["agent"])
        self.one = must(Playback, self.agent, LEVEL, noop_max=5)
        self.open: list[Any] = []

    def teardown(self) -> None:
        if hasattr(self, "one"):
            must(self.one.close)

    def actions(self, seed: int) -> list[int]:
        known = self.whole.get((seed, self.one.policy))
        if known is None:
            playback = must(Playback, self.agent, LEVEL, noop_max=5, policy=self.one.policy)
            known = [moment.action for moment in playback.episode(seed)]
            playback.close()
            self.whole[seed, self.one.policy] = known
        return known

    @rule(seed=st.integers(0, 2), count=st.integers(1, 12))
    def some(self, seed: int, count: int) -> None:
        """Of an episode that begins now."""
        expected, episode = self.actions(seed), self.one.episode(seed)
        for action in expected[:count]:
            moment = must(next, episode)
            assert moment.action == action
            assert moment.frames.shape[1:] == (240, 256)
        self.open.append(episode)

    @rule(seed=st.integers(0, 2))
    def all(self, seed: int) -> None:
        assert [moment.action for moment in self.one.episode(seed)] == self.actions(seed)
        self.open.clear()

    @rule()
    def go_on_with_another(self) -> None:
        """Of two episodes in one game only the newer one goes on as it would."""
        if len(self.open) > 1:
            call(next, self.open[0], also=StopIteration)

    @rule(on=st.booleans())
    def saliency(self, on: bool) -> None:
        self.one.saliency = on

    @rule(mode=MODES)
    def mode(self, mode: Any) -> None:
        self.one.policy = mode

    @rule(line=st.integers(1, 900), seed=st.integers(0, 2))
    def ctrl_c(self, line: int, seed: int) -> None:
        interrupted_at(line, lambda: [None for _ in self.one.episode(seed)])
        self.open.clear()

    @rule(
        level=st.sampled_from([LEVEL, "", "9-9", None, 3]),
        setting=st.sampled_from(["noop_max", "repeat_action_probability", "rom"]),
        value=st.sampled_from([-1, "a", 2**40, 1.5, b"", object()]),
    )
    def made_wrongly(self, level: Any, setting: str, value: Any) -> None:
        refused(Playback, self.agent, level, **{setting: value})

    @rule()
    def closed(self) -> None:
        other = must(Playback, self.agent, LEVEL)
        must(other.close)
        must(other.close)
        refused(next, other.episode(0))


Playbacks.TestCase.settings = budget(5, 8)
TestPlaybacks = Playbacks.TestCase


class Episodes(RuleBasedStateMachine):
    """A replay that is sent anywhere, beside one that plays frame after frame."""

    @initialize(which=st.integers(0, 1))
    def begin(self, which: int) -> None:
        case()
        self.episode = EPISODES[which]
        self.replay = must(Replay, self.episode, Console())

    def at(self, place: int) -> bytes:
        """The console after so many frames, by the slow way."""
        replay = Replay(self.episode, Console(engine="interpreter"))
        for _ in range(place):
            replay.step()
        return replay.console.save()

    @rule(place=st.integers(0, 60))
    def seek(self, place: int) -> None:
        must(self.replay.seek, place)
        assert self.replay.console.save() == self.at(place)

    @rule(count=st.integers(1, 9))
    def step(self, count: int) -> None:
        for _ in range(count):
            if self.replay.ended:
                refused(self.replay.step)
            else:
                must(self.replay.step)
        assert self.replay.console.save() == self.at(self.replay.place)

    @rule(place=NO_NUMBERS | st.sampled_from([-1, 61, 2**31, 2**70]))
    def seek_wrongly(self, place: Any) -> None:
        before = self.replay.place, self.replay.console.save()
        refused(self.replay.seek, place)
        refused(snapshot_at, self.episode, place)
        assert (self.replay.place, self.replay.console.save()) == before

    @rule(place=st.integers(0, 60))
    def moment(self, place: int) -> None:
        state = must(snapshot_at, self.episode, place)
        assert state == self.at(place)
        env = must(warpzone.make, LEVEL, observation="ram")
        answer: Answer = call(env.reset, options={"state": state})
        assert not answer.refused or self.episode.start != LEVEL
        env.close()

    @rule()
    def verify(self) -> None:
        assert must(self.replay.verify) == self.episode

    @rule(damage=DAMAGE)
    def read_damaged(self, damage: Damage) -> None:
        text = damage.to(self.episode.model_dump_json(indent=2).encode())
        answer = call(Episode.parse, text, "damaged")
        if not answer.refused:
            replay = call(Replay, answer.value, Console())
            if not replay.refused:
                call(replay.value.verify)

    @rule(how=st.sampled_from([copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))]))
    def copied(self, how: Any) -> None:
        self.episode = must(how, self.episode)
        self.replay = must(how, self.replay)
        assert self.replay.console.save() == self.at(self.replay.place)


Episodes.TestCase.settings = budget(8, 8)
TestEpisodes = Episodes.TestCase
