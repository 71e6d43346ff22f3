"""Episodes that begin where earlier ones failed: which moments, how they are drawn and judged."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tests.support.scripts import ACTIONS, FLAGPOLE, INDEX
from tests.support.scripts import steps as steps_of
from tests.support.toy import toy_config

import warpzone
from warpzone.errors import ConfigError
from warpzone.smb.config import EnvConfig
from warpzone.smb.search import Trajectory
from warpzone.smb.transition import InputLog
from warpzone.smb.vector_env import MarioVectorEnv
from warpzone.training import resolve
from warpzone.training.checkpoint import (
    FailureValues,
    PracticeValues,
    RunValues,
    Snapshot,
    checked_values,
)
from warpzone.training.config import PracticeConfig, TrainConfig
from warpzone.training.curriculum import LEAST_WEIGHT, Curriculum
from warpzone.training.learner import Learner
from warpzone.training.practice import FARTHER, HOPELESS, MARGIN, SAMPLES_PER_FAILURE, Practice

GAMES = 4
STACK, SKIP = 4, 4


class Games:
    """Four games whose logs are given, and that keep what they are told."""

    num_envs = GAMES
    leading_frames = STACK * SKIP

    def __init__(self, logs: dict[int, list[Any]]) -> None:
        self.logs = logs
        self.watched: list[int] = []
        self.recorded: list[tuple[str, int, int]] = []
        self.variations: list[int] = []
        self.starts: list[Any] = []
        self.weights, self.share = np.zeros(0), 0.0

    def watch_games(self, games: Any) -> None:
        self.watched = list(games)

    def ended_input_logs(self, game: int, *, varied: bool = False) -> list[Any]:
        assert varied
        return self.logs.get(game, [])

    def record_moments(
        self, level: str, buttons: bytes, moments: Any, variation: int = 0
    ) -> list[Any]:
        self.variations.append(variation)
        self.recorded += [(level, *moment) for moment in moments]
        world, stage = map(int, level.split("-"))
        number = 4 * (world - 1) + stage - 1
        return [SimpleNamespace(level=number, step=step, progress=step) for _, step in moments]

    def set_initial_states(self, starts: list[Any]) -> None:
        self.starts = list(starts)

    def put_initial_state(self, index: int, start: Any) -> None:
        assert index <= len(self.starts)
        self.starts[index : index + 1] = [start]

    def set_start_weights(self, weights: np.ndarray, share: float) -> None:
        assert weights.shape == (len(self.starts),)
        self.weights, self.share = weights, share


def config_of(stuck: int | None = 150, batch: int = SAMPLES_PER_FAILURE, **changes: Any) -> Any:
    settings = {"share": 0.5, "nearest": 20, "farthest": 60, **changes}
    env = EnvConfig(start_steps=96, no_progress_steps=stuck)
    return SimpleNamespace(env=env, practice=PracticeConfig(**settings), seed=3, batch=batch)


def log_of(steps: int, level: str = "1-1", cutscene: int | None = None, **changes: Any) -> Any:
    """What was played in so many steps, after ten idle frames, with a cutscene of 200 frames in one
    of them."""
    long = np.full(steps, SKIP)
    if cutscene is not None:
        long[cutscene] += 200
    decided = (10 + np.cumsum(long) - long).astype(np.uint32)
    log = InputLog(level, changes.get("own_start", True), bytes(10 + int(long.sum())), decided)
    return log, bytes(2048)


def ended(
    games: list[int], *, start: int = -1, score: int = 500, steps: int = 200, **changes: Any
) -> Any:
    count = len(games)
    row = np.zeros(GAMES, np.int32)
    return SimpleNamespace(
        finished=np.array(games),
        terminated=np.full(GAMES, changes.get("terminated", True)),
        truncated=np.full(GAMES, not changes.get("terminated", True)),
        success=np.full(GAMES, changes.get("success", False)),
        score=row + score,
        signals={"start": row + start, "steps": row + steps},
        count=count,
    )


def failed(games: Games, config: Any = None, first: int = 0, **end: Any) -> Practice:
    """After one rollout in which the episode of game 0 ended."""
    practice = Practice(config or config_of(), games, first)  # type: ignore[arg-type]  # a fake
    practice.observe(0, ended([0], **end))
    practice.apply(None, 0.0, 400)
    return practice


def test_a_death_gives_moments_some_steps_before_it() -> None:
    for seed in range(20):
        games = Games({0: [log_of(200)]})
        config = config_of()
        config.seed = seed
        practice = failed(games, config)
        assert games.watched == [0, 1, 2, 3]
        assert games.recorded
        for level, frames, step in games.recorded:
            assert (level, frames) == ("1-1", 10 + SKIP * step)
            assert 20 <= 200 - step <= 60
        assert len(games.starts) == len(practice.moments) == len(games.recorded)


def test_who_is_stuck_went_wrong_when_he_made_his_last_progress() -> None:
    games = Games({0: [log_of(400)]})
    failed(games, steps=400, terminated=False)
    assert all(20 <= 400 - 150 - step <= 60 for _, _, step in games.recorded)
    games = Games({0: [log_of(400)]})
    failed(games, config_of(stuck=None), steps=400, terminated=False)
    assert all(20 <= 400 - step <= 60 for _, _, step in games.recorded)


def test_no_moment_lies_farther_back_than_an_episode_lasts() -> None:
    games = Games({0: [log_of(400)]})
    practice = failed(games, config_of(farthest=1000))
    assert practice.farthest == 96 - 20


def test_steps_that_lead_to_a_moment_have_no_cutscene() -> None:
    for at in range(130, 190, 7):
        games = Games({0: [log_of(200, cutscene=at)]})
        failed(games)
        for _, _, step in games.recorded:
            assert not step - STACK <= at < step


def test_nothing_is_taken_of_successes_of_partial_episodes_and_of_what_is_not_known() -> None:
    assert failed(Games({0: [log_of(200)]}), success=True).moments == []
    assert failed(Games({0: [log_of(200)]}), start=0, first=1).moments == []
    assert failed(Games({0: [None]})).moments == []
    assert failed(Games({0: [log_of(15)]}), steps=15).moments == []


def test_progress_into_a_later_level_is_that_of_its_own_episode() -> None:
    """The fake's recorded progress is the step's: 7,000 where the episode of this log began."""
    log, ram = log_of(200, own_start=False)
    games = Games({0: [(log, ram)]})
    record = games.record_moments

    def whole_game(level: str, buttons: bytes, moments: Any, variation: int = 0) -> list[Any]:
        found = record(level, buttons, moments, variation)
        for start in found:
            start.progress += 7000
        return found

    games.record_moments = whole_game  # type: ignore[method-assign]  # counts
    practice = failed(games, score=500)
    assert practice.moments
    for moment in practice.moments:
        assert moment.goal == 500 - moment.step + MARGIN


def test_a_rollout_gives_so_many_failures_and_each_the_log_of_its_own_episode() -> None:
    first, second = log_of(200), log_of(300, level="1-2")
    games = Games({0: [first, second], 1: [log_of(400, level="1-3")]})
    practice = Practice(config_of(batch=3 * SAMPLES_PER_FAILURE), games, 0)  # type: ignore[arg-type]  # a fake
    both = ended([0, 1, 0])
    # Two steps of all games in one call: the second end of game 0 is in the second of them.
    both.finished = np.array([0, 1, 4])
    for name in ("terminated", "truncated", "success", "score"):
        setattr(both, name, np.tile(getattr(both, name), 2))
    both.signals = {name: np.tile(value, 2) for name, value in both.signals.items()}
    practice.observe(0, both)
    practice.apply(None, 0.0, 400)
    assert [level for level, _, _ in games.recorded[::2]] == ["1-1", "1-3", "1-2"]
    few = Practice(config_of(batch=SAMPLES_PER_FAILURE), games, 0)  # type: ignore[arg-type]  # a fake
    games.recorded.clear()
    few.observe(0, both)
    few.apply(None, 0.0, 400)
    assert {level for level, _, _ in games.recorded} == {"1-1"}


def test_an_episode_is_a_success_if_it_gets_past_the_place_of_the_failure() -> None:
    games = Games({0: [log_of(200)]})
    practice = failed(games, score=500)
    moment = practice.moments[0]
    assert moment.goal == 500 - moment.step + MARGIN
    now = 10 * GAMES * 100

    def rate(**end: Any) -> float:
        moment.rate, moment.episodes = 0.5, 0
        practice.observe(now, ended([1], start=0, steps=50, **end))
        assert moment.episodes == 1
        return moment.rate

    assert rate(score=moment.goal, terminated=False) == 1
    assert rate(score=moment.goal - 1, terminated=False) == 0
    assert rate(score=moment.goal + FARTHER - 1, terminated=True) == 0
    assert rate(score=moment.goal + FARTHER, terminated=True) == 1
    assert rate(score=10, terminated=True, success=True) == 1


def test_an_episode_from_a_moment_that_was_replaced_does_not_count() -> None:
    games = Games({0: [log_of(200)]})
    practice = failed(games)  # put in its place when each game had played 100 steps
    moment = practice.moments[0]
    for steps, counted in ((31, 0), (30, 1)):
        practice.observe(GAMES * 130, ended([0], start=0, steps=steps))
        assert moment.episodes == counted


def test_the_newest_moments_of_each_level_are_kept() -> None:
    games = Games({0: [log_of(200)], 1: [log_of(300, level="2-1")]})
    practice = Practice(config_of(moments=3), games, 0)  # type: ignore[arg-type]  # a fake
    for rollout in range(1, 6):
        practice.observe(0, ended([0] if rollout < 5 else [1]))
        practice.apply(None, 0.0, 400 * rollout)
    assert [moment.level for moment in practice.moments] == ["1-1"] * 3 + ["2-1"] * 2
    assert sorted(moment.born for moment in practice.moments[:3]) == [300, 400, 400]
    assert practice.starts == games.starts


def test_moments_are_drawn_by_how_often_episodes_from_there_fail() -> None:
    games = Games({0: [log_of(200)]})
    practice = failed(games)
    easy, hard = practice.moments
    easy.rate, easy.episodes, hard.rate, hard.episodes = 1.0, 30, 0.25, 30
    practice.apply(None, 0.0, 800)
    assert games.weights[1] / games.weights[0] == pytest.approx(
        (0.75 + LEAST_WEIGHT) / LEAST_WEIGHT
    )
    assert games.share == 0.5
    hard.rate, hard.episodes = 0.0, HOPELESS
    assert hard.weight == LEAST_WEIGHT


def test_practice_and_curriculum_share_the_episodes() -> None:
    games = Games({0: [log_of(200)]})
    games.starts = ["of the curriculum"] * 2
    weights = np.array([1.0, 3.0])
    curriculum: Any = SimpleNamespace(
        weights=lambda levels: weights,
        share=lambda competence: 0.8 - 0.5 * competence,
        apply=lambda competence, levels: games.set_start_weights(weights, 0.8 - 0.5 * competence),
    )
    practice = Practice(config_of(share=0.25), games, 2)  # type: ignore[arg-type]  # a fake
    practice.apply(curriculum, 1.0, 0)
    assert games.share == pytest.approx(0.3)  # nothing has failed
    practice.observe(0, ended([0]))
    practice.apply(curriculum, 1.0, 400)
    assert games.share == pytest.approx(0.25 + 0.75 * 0.3)
    drawn = games.weights / games.weights.sum() * games.share
    assert drawn[:2] == pytest.approx([0.75 * 0.3 / 4, 0.75 * 0.3 * 3 / 4])
    assert drawn[2:].sum() == pytest.approx(0.25)
    curriculum.share = lambda competence: 0.0
    practice.apply(curriculum, 1.0, 800)
    assert games.share == pytest.approx(0.25)
    assert (games.weights[:2] == 0).all()


def test_the_curriculum_passes_over_episodes_of_practice() -> None:
    env: Any = SimpleNamespace(
        set_initial_states=lambda starts: None,
        record_initial_states=lambda level, way: [],
        set_progress_masks=lambda ways: None,
    )
    config = toy_config(env=EnvConfig(start_steps=96))
    curriculum = Curriculum(config, env, searched={"1-1": Trajectory(b"")})
    curriculum.observe(ended([0], start=0))
    assert len(curriculum.rates) == 0


def test_what_does_not_go_together_is_refused() -> None:
    def text(**practice: Any) -> str:
        with pytest.raises(ConfigError) as caught:
            resolve("tiles", practice={"share": 0.3, **practice}, env={"start_steps": 60})
        return str(caught.value)

    assert "below 1" in text(share=1.0)
    assert "more than" in text(nearest=30, farthest=20)
    assert "too short" in text(nearest=31)
    with pytest.raises(ConfigError, match="its partial episodes"):
        resolve("tiles", practice={"share": 0.3})


# --- the real game ----------------------------------------------------------------------------

HARD = EnvConfig(
    levels={"1-1": 1.0, "1-2": 1.0},
    noop_max=30,
    repeat_action_probability=0.25,
    no_progress_steps=60,
    start_steps=60,
)


@pytest.fixture
def games() -> Any:
    env = MarioVectorEnv(config=HARD, num_envs=8, threads=2, seed=4, num_groups=1)
    yield env
    env.close()


def random_steps(env: MarioVectorEnv, count: int, seed: int) -> Any:
    """Yields the transitions of random play to the right."""
    draws = np.random.default_rng(seed)
    for _ in range(count):
        env.send(0, draws.choice([1, 2, 3, 4, 4], env.num_envs))
        yield env.recv(0)


def test_a_moment_is_the_game_as_it_stood(games: MarioVectorEnv) -> None:
    """Idle frames and sticky buttons included: against the games' own saved states."""
    games.reset(seed=4)
    games.watch_games(range(8))
    games.reset(seed=4)
    seen: dict[int, list[tuple[bytes, dict[str, np.ndarray]]]] = {game: [] for game in range(8)}
    compared = 0
    for transition in random_steps(games, 400, 1):
        for game in transition.finished:
            if transition.signals["start"][game] < 0 and len(seen[game]) > 20:
                log, _ = games.ended_input_logs(int(game))[-1] or (None, b"")
                assert log is not None
                step = len(seen[game]) - 10
                (start,) = games.record_moments(
                    log.level, log.buttons, [(int(log.decided[step]), step)]
                )
                games_at = MarioVectorEnv(config=HARD, num_envs=1, threads=1, seed=0)
                games_at.put_initial_state(0, start)
                games_at.set_start_weights(np.ones(1), 1.0)
                games_at.reset(seed=9)
                ram, observation = seen[game][step - 1]
                assert games_at.ram(0).tobytes() == ram
                for name, values in games_at.observations().items():  # type: ignore[union-attr]
                    assert np.array_equal(values[0], observation[name]), name
                games_at.close()
                compared += 1
            seen[int(game)] = []
        for game in set(range(8)) - set(transition.finished.tolist()):
            observation = {name: values[game].copy() for name, values in transition.obs.items()}
            seen[game].append((games.ram(game).tobytes(), observation))
    assert compared > 5


def test_a_moment_in_a_level_that_the_game_went_on_into_is_the_game_as_it_stood() -> None:
    config = HARD.model_copy(update={"repeat_action_probability": 0.0, "row_share": 1.0})
    console = MarioVectorEnv(
        config=config.model_copy(update={"noop_max": 0}), num_envs=1, threads=1, seed=0
    )
    console.watch_games([0])
    way = console.explorer("1-1").search(400_000)
    assert way.cleared
    console.reset(options={"level": "1-1"})
    for action in way.inputs:
        console.send(0, np.array([action]))
        cleared = bool(console.recv(0).success[0])
    assert cleared
    running = console.input_log(0)
    assert running is not None
    assert (running.level, running.own_start) == ("1-1", False)
    for step in range(12):
        console.send(0, np.array([1 + step % 4]))
        assert not console.recv(0).finished.size
    saved, logs = console.save_state(), console.save_input_logs()
    ram = console.ram(0).tobytes()
    log = console.input_log(0)
    assert log is not None
    assert len(log.decided) == 12
    (start,) = console.record_moments(log.level, log.buttons, [(len(log.buttons), 12)])
    assert (start.level, start.step) == (1, 12)
    other = MarioVectorEnv(config=config, num_envs=1, threads=1, seed=0)
    other.put_initial_state(0, start)
    other.set_start_weights(np.ones(1), 1.0)
    other.reset(seed=9)
    assert other.ram(0).tobytes() == ram
    # It is still known when the games go on from a saved state.
    console.load_state(saved)
    console.load_input_logs(logs)
    again = console.input_log(0)
    assert again is not None
    assert (again.buttons, again.own_start) == (log.buttons, False)


def test_moments_along_a_way_are_those_of_the_curriculum(games: MarioVectorEnv) -> None:
    """`record_initial_states` is the other way to record them."""
    way = games.explorer("1-1").search(20_000)
    known = games.record_initial_states("1-1", way)
    skip = games.config.frame_skip
    buttons = bytes(games.config.native_rules().actions[action] for action in way.inputs)
    frames = np.repeat(np.frombuffer(buttons, np.uint8), skip).tobytes()
    chosen = [start for start in known if start.step < 60]
    assert len(chosen) > 10
    found = games.record_moments(
        "1-1", frames, [(skip * start.step, start.step) for start in chosen]
    )
    assert [start.__getstate__() for start in found] == [start.__getstate__() for start in chosen]


def test_moments_that_were_not_played_are_refused(games: MarioVectorEnv) -> None:
    with pytest.raises(ConfigError, match="outside"):
        games.record_moments("1-1", bytes(100), [(101, 20)])
    with pytest.raises(ConfigError, match="outside"):
        games.record_moments("1-1", bytes(100), [(games.leading_frames - 1, 3)])
    with pytest.raises(ConfigError, match="ends before"):
        games.record_moments("1-1", bytes([0x81]) * 4000, [(4000, 1000)])
    with pytest.raises(ConfigError, match="gap"):
        games.put_initial_state(1, games.record_moments("1-1", bytes(100), [(50, 9)])[0])


def test_logs_of_running_episodes_are_saved_and_gone_on_with(games: MarioVectorEnv) -> None:
    games.watch_games(range(8))
    games.reset(seed=4)
    list(random_steps(games, 30, 1))
    saved, logs = games.save_state(), games.save_input_logs()
    list(random_steps(games, 20, 2))
    expected = [games.input_log(game) for game in range(8)]
    games.load_state(saved)
    assert all(games.input_log(game) is None for game in range(8))
    games.load_input_logs(logs)
    list(random_steps(games, 20, 2))
    for before, after in zip(expected, map(games.input_log, range(8)), strict=True):
        assert before is not None
        assert after is not None
        assert (before.level, before.buttons) == (after.level, after.buttons)
        assert np.array_equal(before.decided, after.decided)
    with pytest.raises(ConfigError, match="cut short"):
        games.load_input_logs(logs[:-1])
    with pytest.raises(ConfigError, match="no game"):
        games.load_input_logs(b"\xff" * 4 + bytes(12))


def test_games_that_are_watched_already_go_on(games: MarioVectorEnv) -> None:
    games.watch_games(range(8))
    games.reset(seed=4)
    list(random_steps(games, 10, 1))
    games.watch_games([2, 3])
    kept = games.input_log(2)
    assert kept is not None
    assert len(kept.decided) == 10
    with pytest.raises(ConfigError, match="not watched"):
        games.input_log(4)


# --- a training -------------------------------------------------------------------------------


def learner_of(learner: str, threads: int = 1) -> Learner:
    config = resolve(
        "tiles",
        learner=learner,
        threads=threads,
        num_envs=16,
        rollout_steps=64,
        minibatch_size=256,
        update_epochs=1,
        network={"hidden": (16,)},
        practice={"share": 0.5, "moments": 4},
        env={
            "start_steps": 60,
            "no_progress_steps": 40,
            "levels": "1-1,1-2",
            "phase_share": 0.5,
            "power_share": 0.25,
            "start_halt_share": 0.5,
        },
    )
    return learner_with(config)


def learner_with(config: TrainConfig) -> Learner:
    env = MarioVectorEnv(
        config=config.env, num_envs=config.num_envs, num_groups=2, threads=config.threads, seed=0
    )
    return Learner(config, env)


def weights_of(learner: Learner) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in learner.policy.state_dict().values()]


@pytest.mark.parametrize("kind", ["native", "torch"])
def test_a_run_that_goes_on_is_the_same_to_the_last_bit(kind: str) -> None:
    learner = learner_of(kind)
    for _ in range(5):
        learner.improve()
    assert learner.practice is not None
    assert len(learner.practice.moments) >= 2
    packed = learner.snapshot(
        judge={"measured_at": 0, "best": None}, metrics_bytes=0, ends_bytes=0
    ).pack()
    for _ in range(5):
        learner.improve()
    assert any(moment.episodes > 0 for moment in learner.practice.moments)
    assert any(moment.variation for moment in learner.practice.moments)

    other = learner_of(kind, threads=2)
    snapshot = Snapshot.unpack(packed, "memory")
    other.restore(Snapshot(snapshot.tensors, checked_values(snapshot)))
    for _ in range(5):
        other.improve()
    assert other.practice is not None
    assert json.dumps(other.practice.state()) == json.dumps(learner.practice.state())
    for a, b in zip(weights_of(learner), weights_of(other), strict=True):
        assert torch.equal(a, b)


def test_an_episode_that_goes_on_from_a_partial_one_is_not_logged() -> None:
    """What led to a partial episode is not saved with the games, and resuming must change
    nothing."""
    envs = warpzone.make_vec(
        ["1-1", "1-2"], 1, actions=ACTIONS, observation="ram", threads=1, row_share=1.0
    )
    trajectory = bytes(INDEX[buttons] for buttons in steps_of(FLAGPOLE))
    starts = envs.record_initial_states("1-1", Trajectory(trajectory))
    envs.set_initial_states(starts)
    envs.watch_games([0])
    envs.set_start_weights(np.eye(len(starts))[-5], 1.0)
    _, infos = envs.reset()
    for action in trajectory[starts[-5].step :]:
        *_, infos = envs.step(np.array([action]))
    assert infos["final_info"]["flag"] == 1
    assert infos["level"] == 1
    assert envs.input_log(0) is None
    envs.close()


def test_both_ways_to_play_take_the_same_moments() -> None:
    """Native play sees a rollout at once, the other each step of half of the games."""
    practices = []
    for kind in ("native", "torch"):
        learner = learner_of(kind)
        learner.prepare()
        assert learner.practice is not None
        practices.append(learner.practice)
        learner._prepare(None)
        with torch.no_grad():  # the same draws decide: a policy that does not look
            for parameter in learner.policy.parameters():
                parameter.zero_()
            learner.policy.heads.bias[1:5] = 2.0  # to the right
        learner._prepare(None)
        for _ in range(5):
            learner.practice.apply(None, 0.0, learner.step)
            learner._play()
            learner.step += learner.config.batch
    assert practices[0].state() == practices[1].state()
    assert len(practices[0].moments) > 0


def test_what_was_drawn_anew_of_a_start_belongs_to_its_moments() -> None:
    log, ram = log_of(200)
    games = Games({0: [(replace(log, variation=77), ram)]})
    practice = failed(games)
    assert set(games.variations) == {77}
    state = json.loads(json.dumps(practice.state()))
    PracticeValues.model_validate(state)
    again = Games({})
    other = Practice(config_of(), again, 0)  # type: ignore[arg-type]  # a fake
    other.load_state(state)
    assert set(again.variations) == {77}
    assert [moment.variation for moment in other.moments] == [77] * len(practice.moments)


def test_a_damaged_state_is_refused() -> None:
    learner = learner_of("native")
    for _ in range(4):
        learner.improve()
    assert learner.practice is not None
    state = learner.practice.state()
    assert state["moments"]
    state["moments"][0] |= {"level": "1-1", "buttons": "81" * 4000, "variation": 0}
    with pytest.raises(ValueError, match="practise"):
        learner_of("native")._new_practice().load_state(state)
    with pytest.raises(ValueError, match="rate"):
        RunValues.model_validate(
            {"practice": {"moments": [{**state["moments"][0], "rate": 2.0}], "failures": 1}}
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"end": 4},
        {"end": -1},
        {"decided": [], "end": 0},
        {"decided": [8, 4, 12]},
        {"decided": [4, 8, 17]},
    ],
    ids=str,
)
def test_a_damaged_failure_is_refused(wrong: dict[str, Any]) -> None:
    sound = {"level": "1-1", "buttons": "00" * 16, "decided": [4, 8, 12], "end": 3, "progress": 7}
    FailureValues.model_validate(sound)
    with pytest.raises(ValidationError, match=r"decided|end"):
        FailureValues.model_validate({**sound, **wrong})
