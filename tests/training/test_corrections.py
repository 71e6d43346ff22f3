"""Search as a teacher: what is found, that it is robust, and that it is learnt from."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from warpzone.errors import ConfigError
from warpzone.noise import gumbel
from warpzone.ppo.update import Batch
from warpzone.smb.vector_env import MarioVectorEnv
from warpzone.training import resolve
from warpzone.training.checkpoint import Snapshot, checked_values
from warpzone.training.config import CorrectionsConfig, TrainConfig
from warpzone.training.correction_search import OWN, SAFE, CorrectionSearch, Found
from warpzone.training.corrections import TRIED, Corrections
from warpzone.training.learner import Learner
from warpzone.training.practice import Moment

WALK, DUCK, JUMP = range(3)
PX = 10
PIT, FAR = 12, 20


class Pit:
    """Games that walk towards a pit, 10 px a step, and see how far they are. `sticky`: share of the
    steps in which buttons stick. `ways`: of each action that leads over the pit, from which step on
    it must be done without a break up to the pit."""

    def __init__(
        self, games: int, ways: dict[int, int], length: int = 60, sticky: float = 0.1
    ) -> None:
        self.num_envs, self.ways, self.length, self.sticky = games, ways, length, sticky
        self.groups = [slice(0, games)]
        self.single_action_space: Any = SimpleNamespace(n=3)
        self.starts: list[Any] = []
        self.shown: list[int] | None = None
        self.pit = PIT
        self.played = 0
        self.reset(seed=0)

    def set_initial_states(self, starts: list[Any]) -> None:
        self.starts = starts

    def set_start_weights(self, weights: np.ndarray, share: float) -> None:
        assert (len(weights), share) == (len(self.starts), 1.0)

    def twin(self, config: Any, num_envs: int, seed: int) -> Pit:
        assert config.repeat_action_probability > 0
        assert (config.start_steps, config.no_progress_steps) == (None, None)
        return Pit(num_envs, self.ways)

    def reset(self, *, seed: int) -> None:
        self.draws = np.random.default_rng(seed)
        self.x = np.zeros(self.num_envs, np.int64)
        self.held = np.zeros(self.num_envs, np.int64)
        self.since = np.zeros(self.num_envs, np.int64)

    def observations(self) -> Any:
        return {"array": self.x[:, None].astype(np.uint8)}

    def send(self, group: int, actions: np.ndarray) -> None:
        assert group == 0
        self.played += self.num_envs
        sticks = self.draws.random(self.num_envs) < self.sticky
        actions = np.where(sticks, self.held, actions)
        self.since = np.where(actions == self.held, self.since, self.x)
        self.held = actions

    def recv(self, group: int) -> Any:
        over = np.zeros(self.num_envs, np.bool_)
        for action, latest in self.ways.items():
            over |= (self.held == action) & (self.since <= latest)
        self.x = self.x + 1
        fallen = (self.x == self.pit) & ~over
        flag = self.x == self.length
        step = SimpleNamespace(
            terminated=fallen | flag,
            truncated=np.zeros(self.num_envs, np.bool_),
            success=flag,
            score=PX * self.x,
        )
        self.x = np.where(fallen | flag, 0, self.x)
        return step

    def explorer_from(self, start: Any, seed: int) -> Any:
        """Finds the way, if it is shown one."""
        found = None if self.shown is None else bytes(self.shown)
        return SimpleNamespace(reach=lambda progress, most_steps: found, steps=100)

    def close(self) -> None:
        pass


def always(action: int, often: float = 20.0) -> Any:
    """An agent that does one thing."""

    def decide(shown: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        (array,) = shown.values()
        logits = torch.zeros(len(array), 3)
        logits[:, action] = often
        return logits, torch.zeros(len(array))

    return decide


def search_of(ways: dict[int, int], decide: Any = None, seed: int = 5, games: int = 256) -> Found:
    search = CorrectionSearch(Pit(games, ways), 3, torch.device("cpu"))
    return search.search(["here"], 15, PX * FAR, decide or always(WALK), seed)


def test_the_one_way_that_survives_is_found() -> None:
    found = search_of({JUMP: 8})
    assert found.own == 0
    assert found.corrected > 0.5
    assert len(found.actions) > 100
    seen = found.observations["array"][:, 0]
    assert len(seen) == len(found.actions)
    # It jumps from where it must on, up to the pit, in states that were seen, and little else.
    told = found.actions != OWN
    assert told.sum() >= (~told).sum() > 50
    assert found.log_probs.shape == (len(seen), 3)
    assert found.log_probs.argmax(1).max() == WALK
    assert (found.actions[(seen >= 8) & (seen < PIT)] == JUMP).all()


def test_of_several_ways_the_safest_is_taught() -> None:
    """Who begins in the last step that will do is too late whenever buttons stick then."""
    search = CorrectionSearch(Pit(256, {JUMP: 5}, sticky=0.4), 3, torch.device("cpu"))
    plans = np.full((256, 60), -1)
    plans[:, 5:PIT] = JUMP
    passed, _, _ = search._replay(plans, PX * FAR, always(WALK), 1)
    late = passed.mean()
    assert late < 0.7
    for seed in range(5):
        found = search.search(["here"], 15, PX * FAR, always(WALK), seed)
        assert found.corrected > 0.8
        assert found.observations["array"][found.actions == JUMP].min() < 5


def test_nothing_is_taught_where_nothing_gets_through_or_nearly_all_do() -> None:
    hopeless = search_of({})
    assert (hopeless.own, hopeless.corrected, len(hopeless.actions)) == (0, 0, 0)
    safe = search_of({WALK: 11})
    assert safe.own >= SAFE
    assert (safe.corrected, len(safe.actions)) == (0, 0)
    assert safe.observations["array"].shape == (0, 1)


def test_a_way_that_no_hold_leads_to_is_explored_and_tried() -> None:
    """Nobody holds a button for 18 steps by chance."""
    games = Pit(64, {JUMP: 0}, sticky=0.05)
    games.pit = 18
    search = CorrectionSearch(games, 3, torch.device("cpu"))
    assert search.search(["here"], 20, PX * 22, always(WALK), 1).corrected == 0
    games.shown = [JUMP] * 18
    found = search.search(["here"], 20, PX * 22, always(WALK), 1)
    assert found.corrected > 0.5
    assert (found.actions == JUMP).sum() > 100


def test_who_dies_soon_after_the_goal_has_not_got_through() -> None:
    search = CorrectionSearch(Pit(64, {}), 3, torch.device("cpu"))
    found = search.search(["here"], 11, PX * (PIT - 2), always(WALK), 1)
    assert (found.own, found.corrected) == (0, 0)


def test_the_flag_is_through() -> None:
    search = CorrectionSearch(Pit(64, {WALK: 11}, length=14), 3, torch.device("cpu"))
    assert search.search(["here"], 11, PX * 100, always(WALK), 1).own > 0.9


def test_a_seed_decides_all() -> None:
    a, b, c = (search_of({JUMP: 8}, always(WALK, often=2.0), seed=seed) for seed in (5, 5, 6))
    assert (a.own, a.corrected, a.steps) == (b.own, b.corrected, b.steps)
    assert np.array_equal(a.actions, b.actions)
    assert np.array_equal(a.observations["array"], b.observations["array"])
    assert not np.array_equal(a.observations["array"], c.observations["array"])


def test_steps_are_counted_as_played() -> None:
    games = Pit(64, {JUMP: 8})
    search = CorrectionSearch(games, 3, torch.device("cpu"))
    assert search.search(["here"], 15, PX * FAR, always(WALK), 5).steps == games.played
    games.played, games.ways = 0, {}
    assert search.search(["here"], 15, PX * FAR, always(WALK), 5).steps == games.played + 100


def test_a_plan_is_followed_and_all_else_is_the_agents_own_draw() -> None:
    games = Pit(64, {JUMP: 11})
    search = CorrectionSearch(games, 3, torch.device("cpu"))
    sent: list[np.ndarray] = []
    send = games.send

    def keep(group: int, actions: np.ndarray) -> None:
        sent.append(actions)
        send(group, actions)

    games.send = keep  # type: ignore[method-assign]  # looks on
    plans = np.full((64, 5), -1)
    plans[::2, 2] = DUCK
    search._replay(plans, PX * FAR, always(WALK, often=0.5), 7)
    noise = gumbel(7, 0, (5, 64, 3))
    own = (noise + np.array([0.5, 0, 0], np.float32)).argmax(2)
    for t, actions in enumerate(sent):
        assert np.array_equal(actions, np.where(plans[:, t] == -1, own[t], plans[:, t]))
    assert len(sent) == 5


# --- what is kept and learnt from ---------------------------------------------------------------


def corrections_of(over: bool = True, **settings: Any) -> tuple[Corrections, Pit]:
    given = {"share": 0.5, "games": 64, "kept": 64, **settings}
    config: Any = SimpleNamespace(
        corrections=CorrectionsConfig(**given),
        seed=3,
        batch=4096,
        env=resolve("specialist").env,
    )
    games: Any = Pit(4, {JUMP: 8} if over else {})
    shown = {"array": torch.zeros(4, 1, dtype=torch.uint8)}
    return Corrections(config, games, shown, torch.device("cpu")), games


def moment_of(rate: float = 0.0, episodes: int = TRIED) -> Moment:
    return Moment("1-1", "", 100, 15, PX * FAR, 0, rate, episodes)


def practice_of(*moments: Moment) -> Any:
    return SimpleNamespace(moments=list(moments), starts=["here"] * len(moments))


def found_of(own: float, corrected: float, rows: np.ndarray) -> Found:
    log_probs = np.full((len(rows), 3), np.log(1 / 3), np.float32)
    actions = np.zeros(len(rows), np.int64)
    return Found(own, corrected, 100, {"array": rows}, actions, log_probs)


def test_each_moment_is_searched_once_as_far_as_credit_goes() -> None:
    corrections, _ = corrections_of()
    practice = practice_of(*(moment_of() for _ in range(20)))
    corrections.look(practice, always(WALK))
    assert corrections.searches == 1  # a search takes more than half a rollout's steps
    assert corrections.credit == 0.5 * 4096 - corrections.steps < 0
    for _ in range(200):
        corrections.look(practice, always(WALK))
    assert corrections.searches == 20
    assert all(moment.searched and not moment.hopeless for moment in practice.moments)
    spent = corrections.steps
    corrections.look(practice, always(WALK))
    assert (corrections.steps, corrections.credit) == (spent, 0)


def test_moments_that_practice_gets_past_or_has_not_tried_are_not_searched() -> None:
    corrections, _ = corrections_of()
    practice = practice_of(moment_of(rate=0.21), moment_of(episodes=TRIED - 1), moment_of(rate=0.2))
    for _ in range(5):
        corrections.look(practice, always(WALK))
    assert [moment.searched for moment in practice.moments] == [False, False, True]


def test_a_moment_from_which_nothing_leads_on_is_hopeless() -> None:
    corrections, _ = corrections_of(over=False)
    practice = practice_of(moment_of())
    corrections.look(practice, always(WALK))
    (moment,) = practice.moments
    assert moment.hopeless
    assert moment.weight < moment_of().weight
    assert corrections.count == 0


def test_only_what_gains_enough_is_kept() -> None:
    corrections, _ = corrections_of(margin=0.25)
    rows = np.zeros((5, 1), np.uint8)
    corrections._count(found_of(0.5, 0.74, rows))
    assert (corrections.searches, corrections.found, corrections.count) == (1, 0, 0)
    corrections._count(found_of(0.5, 0.75, rows))
    assert (corrections.searches, corrections.found, corrections.count) == (2, 1, 5)
    assert (corrections.gain, corrections.own, corrections.steps) == (0.25, 0.5, 200)


def test_the_newest_rows_are_kept() -> None:
    corrections, _ = corrections_of(kept=10)

    def found(first: int, count: int) -> Found:
        rows = np.arange(first, first + count, dtype=np.uint8)[:, None]
        return found_of(0.0, 1.0, rows)

    corrections._count(found(0, 7))
    corrections._count(found(7, 5))
    assert sorted(corrections.kept["array"][:, 0].tolist()) == list(range(2, 12))
    corrections._count(found(12, 25))
    assert sorted(corrections.kept["array"][:, 0].tolist()) == list(range(27, 37))


def batch_of(count: int, taught: bool) -> Batch:
    generator = torch.Generator().manual_seed(1)

    def log_probs() -> Tensor:
        return torch.rand(count, 3, generator=generator).log_softmax(1)

    return Batch(
        {"array": torch.zeros(count, 1, dtype=torch.uint8)},
        torch.zeros(count, dtype=torch.int64),
        log_probs(),
        torch.rand(count, generator=generator),
        torch.rand(count, generator=generator),
        log_probs() if taught else None,
        torch.ones(count) if taught else None,
    )


@pytest.mark.parametrize("taught", [False, True])
def test_rows_stand_beside_a_rollout_and_move_nothing_but_the_policy(taught: bool) -> None:
    corrections, _ = corrections_of(rows=0.005, coef=3.0, pull=0.75)
    batch, decide = batch_of(50, taught), always(WALK, often=1.0)
    plain = corrections.beside(batch, decide, 0, 0.5)
    assert len(plain.actions) == 50
    assert (plain.distillation_mask is None) == (not taught)
    corrections.look(practice_of(moment_of()), decide)
    assert corrections.count > 20
    more = corrections.beside(batch, decide, 0, 0.5)
    added = round(0.005 * 4096)
    assert len(more.actions) == 50 + added
    assert torch.equal(more.log_probs[:50], batch.log_probs)
    assert torch.equal(more.targets[:50], batch.targets)
    assert more.distillation_mask is not None
    assert more.distillation_log_probs is not None
    assert more.distillation_mask.tolist() == [0.5 * taught] * 50 + [3.0] * added
    if taught:
        assert batch.distillation_log_probs is not None
        assert torch.equal(more.distillation_log_probs[:50], batch.distillation_log_probs)
    assert more.advantages[50:].abs().max() == 0
    assert more.targets[50:].abs().max() == 0  # what the critic says already
    own = decide({"array": torch.zeros(1, 1)})[0].log_softmax(1)[0].exp()
    kinds = set()
    for shown, wanted in zip(
        more.observations["array"][50:], more.distillation_log_probs[50:].exp(), strict=True
    ):
        said = 0.25 * own
        said[wanted.argmax()] += 0.75
        own_way = torch.allclose(wanted, own, atol=1e-4)
        kinds.add(own_way)
        assert own_way or torch.allclose(wanted, said, atol=1e-4)
        assert own_way or int(shown) < PIT + 12
    assert kinds == {True, False}
    again = corrections.beside(batch, decide, 0, 0.5)
    other = corrections.beside(batch, decide, 1, 0.5)
    assert torch.equal(again.observations["array"], more.observations["array"])
    assert not torch.equal(other.observations["array"], more.observations["array"])


def test_a_search_needs_moments_to_search_from() -> None:
    with pytest.raises(ConfigError, match="practice"):
        resolve("specialist", corrections={"share": 0.5})


# --- the real game ------------------------------------------------------------------------------


def config_of(**settings: Any) -> TrainConfig:
    changes: dict[str, Any] = {
        "env": {
            "levels": "1-1",
            "start_steps": 60,
            "no_progress_steps": 60,
            "repeat_action_probability": 0.25,
        },
        "network": {"hidden": (16,)},
        "num_envs": 16,
        "rollout_steps": 64,
        "minibatch_size": 256,
        "gae_lambda": 0.8,
        "lr": 3e-3,
        "lr_kl": None,
        "threads": 1,
        "practice": {"share": 0.5, "moments": 16},
        "corrections": {"share": 4.0, "games": 64, "rows": 0.5, "kept": 1024},
        **settings,
    }
    return resolve("tiles", **changes)


def learner_of(**settings: Any) -> Learner:
    """It only runs to the right, and dies of the first enemy or in the first pit."""
    config = config_of(**settings)
    env = MarioVectorEnv(
        config=config.env, num_envs=config.num_envs, num_groups=2, threads=config.threads, seed=0
    )
    learner = Learner(config, env)
    run = config.env.action_list.index(["right", "B"])
    with torch.no_grad():
        learner.policy.heads.bias[run] = 4.0
    return learner


def test_what_gets_over_a_hard_place_is_found_and_an_agent_that_learns_it_survives() -> None:
    """Imitation alone: rewards teach nothing here, and the critic is left as it is."""
    learner = learner_of(policy_coef=0.0, value_coef=0.0, entropy_coef=0.0, schedule="constant")
    learner.improve()
    for _ in range(20):
        if learner.practice is not None and learner.practice.moments:
            break
        learner.improve()
    assert learner.practice is not None
    assert learner.corrections is not None
    search, moments = learner.corrections.search, list(learner.practice.moments)
    starts = list(learner.practice.starts)

    def survive() -> float:
        """The share that gets past where it died, over all moments, without any correction."""
        plans = np.full((learner.config.corrections.games, 100), -1)
        shares = []
        learner._prepare(None)
        for moment, start in zip(moments, starts, strict=True):
            search.env.set_initial_states([start])
            search.env.set_start_weights(np.ones(1), 1.0)
            with learner._playing():
                passed, _, _ = search._replay(plans, moment.goal, learner.decider, 11)
            shares.append(passed.mean())
        return float(np.mean(shares))

    before = survive()
    for _ in range(25):
        learner.improve()
    assert learner.corrections.found > 0
    assert learner.corrections.gain > 0.2
    assert before < 0.4
    assert survive() > before + 0.3
    learner.close()


def weights_of(learner: Learner) -> list[Tensor]:
    return [tensor.clone() for tensor in learner.policy.state_dict().values()]


@pytest.mark.parametrize("kind", ["native", "torch"])
def test_a_run_that_goes_on_is_the_same_to_the_last_bit(kind: str) -> None:
    learner = learner_of(learner=kind)
    for _ in range(20):
        learner.improve()
        if learner.corrections is not None and learner.corrections.count > 0:
            break
    assert learner.corrections is not None
    assert learner.corrections.count > 0
    packed = learner.snapshot(
        judge={"measured_at": 0, "best": None}, metrics_bytes=0, ends_bytes=0
    ).pack()
    for _ in range(3):
        learner.improve()
    other = learner_of(learner=kind, threads=2)
    snapshot = Snapshot.unpack(packed, "memory")
    other.restore(Snapshot(snapshot.tensors, checked_values(snapshot)))
    for _ in range(3):
        other.improve()
    assert other.corrections is not None
    assert json.dumps(other.corrections.state()) == json.dumps(learner.corrections.state())
    for a, b in zip(weights_of(learner), weights_of(other), strict=True):
        assert torch.equal(a, b)
    learner.close()
    other.close()


def test_nothing_is_searched_when_an_agent_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = learner_of()
    learner.prepare()

    def fail(*_: Any, **__: Any) -> Any:
        raise AssertionError("a search while the agent plays")

    monkeypatch.setattr(CorrectionSearch, "search", fail)
    env = MarioVectorEnv("1-1", 4, num_groups=2, seed=1, no_progress_steps=20)
    assert learner.measure(env, 4, 1).episodes == 4
    learner.close()


def test_an_agent_that_plays_does_not_even_load_the_search() -> None:
    program = (
        "import sys, warpzone;"
        "agent = warpzone.Agent.load('1-1');"
        "warpzone.evaluate(agent, ['1-1'], episodes=1);"
        "assert not [name for name in sys.modules if 'correction' in name], 'loaded'"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
