"""Rollouts that are played natively are those of the loop in Python, and are told of alike."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.support.toy import Corridor, toy_config
from torch import Tensor

import warpzone
import warpzone._native as _native
from warpzone.episodes.format import Episode
from warpzone.errors import ConfigError, EngineError
from warpzone.ppo.policy import Policy
from warpzone.ppo.rollout import Rollout, collect
from warpzone.smb.vector_env import MarioVectorEnv
from warpzone.training import TrainConfig, episode_writer, resolve
from warpzone.training.checkpoint import Snapshot
from warpzone.training.curriculum import Curriculum
from warpzone.training.episode_writer import EpisodeWriter
from warpzone.training.learner import Learner
from warpzone.training.metrics import EpisodeStats
from warpzone.training.native_play import NativePlay
from warpzone.training.step_result import StepResult

CPU = torch.device("cpu")
GAMES, STEPS, ROLLOUTS = 12, 40, 4

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {"env": {"noop_max": 30, "max_steps": 50}},
    "sticky": {
        "env": {
            "levels": {"1-1": 1.0, "1-2": 2.0},
            "repeat_action_probability": 0.25,
            "sticky_share": 0.5,
            "max_steps": 30,
            "no_progress_steps": 20,
        }
    },
    "cutscenes": {"env": {"levels": "1-2", "skip_cutscenes": False, "max_steps": 25}},
    "curriculum": {
        "env": {"levels": "1-1", "start_steps": 16, "max_steps": 60},
        "curriculum": {"share": 0.8, "last_share": 0.8, "search_steps": 20_000},
    },
    "ram": {"env": {"observation": "ram", "max_steps": 30}},
    "pixels": {"env": {"observation": "pixels", "size": [20, 20], "max_steps": 30}},
}


class Exact(Policy):
    """Sums of whole numbers: the same in every batch and on every processor."""

    def __init__(self, env: MarioVectorEnv) -> None:
        actions = int(env.single_action_space.n)
        super().__init__(torch.nn.Identity(), 1, actions)

    def forward(self, observation: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        inputs = [(v.float() * 64).round().long().flatten(1) for v in observation.values()]
        x = torch.cat(inputs, 1)
        number = torch.arange(x.shape[1])[:, None] * 31 + torch.arange(self.actions + 1)
        sums = x @ (number * 2654435761 % 65521)
        results = (sums % 4096).float() / 1024
        return results[:, :-1], results[:, -1]


def decider_of(policy: Policy, play: NativePlay, shapes: Mapping[str, Any]) -> _native.Decider:
    def decide(
        bytes_: np.ndarray, scalars: np.ndarray, logits: np.ndarray, values: np.ndarray
    ) -> None:
        given = {name: scalars if name == "scalars" else bytes_ for name in shapes}
        with torch.no_grad():
            found = policy({name: torch.from_numpy(np.array(v)) for name, v in given.items()})
        logits[:], values[:] = found[0].numpy(), found[1].numpy()

    return _native.FunctionDecider(*play.sizes, decide)


class Player:
    """What a learner plays a rollout with."""

    def __init__(self, config: TrainConfig, run: Path, threads: int) -> None:
        self.env = MarioVectorEnv(
            config=config.env, num_envs=GAMES, num_groups=2, threads=threads, seed=3
        )
        self.env.reset(seed=3)
        self.policy = Exact(self.env)
        self.rollout = Rollout(STEPS, self.env, CPU)
        self.play = NativePlay(self.env, self.rollout)
        self.decider = decider_of(self.policy, self.play, self.rollout.observations)
        self.stats = EpisodeStats(list(config.env.levels), self.env.tasks())
        self.curriculum = Curriculum(config, self.env) if config.curriculum.share else None
        if self.curriculum is not None:
            self.curriculum.apply(0.0)
        run.mkdir()
        self.writer = EpisodeWriter(run, self.env, 5, pytest.fail)
        self.step = 0

    def observe(self, first: int, step: StepResult) -> None:
        self.writer.observe(first, step)
        self.stats.observe(step)
        if self.curriculum is not None:
            self.curriculum.observe(step)

    def improve(self, native: bool) -> None:
        self.stats.start_rollout()
        if native:
            self.play.collect(self.decider, 5, self.step, self.observe)
        else:
            collect(self.env, self.policy, self.rollout, 5, self.step, self.observe)
        self.writer.keep(self.step, self.rollout)
        self.step += GAMES * STEPS


@pytest.mark.parametrize(
    ("settings", "threads"),
    [*((name, 3) for name in SETTINGS), ("curriculum", 1), ("curriculum", 2)],
)
def test_it_plays_what_the_loop_plays_and_tells_the_same_of_it(
    settings: str, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(episode_writer, "PAUSE", 0.0)
    monkeypatch.setattr(episode_writer, "LIVE_PAUSE", 0.0)
    preset = "pixels" if settings == "pixels" else "tiles"
    config = resolve(preset, num_envs=GAMES, minibatch_size=64, **SETTINGS[settings])
    # The name of its directory is told in every episode.
    runs = [tmp_path / kind / "run" for kind in ("loop", "native")]
    for run in runs:
        run.parent.mkdir()
    loop, native = Player(config, runs[0], 1), Player(config, runs[1], threads)
    ended = 0
    for _ in range(ROLLOUTS):
        loop.improve(native=False)
        native.improve(native=True)
        for name, array in loop.rollout.observations.items():
            assert torch.equal(array, native.rollout.observations[name]), name
        exact = ("actions", "values", "rewards", "ended", "tasks", "truncated_values")
        for name in exact:
            assert torch.equal(getattr(loop.rollout, name), getattr(native.rollout, name)), name
        torch.testing.assert_close(loop.rollout.log_probs, native.rollout.log_probs)
        assert loop.stats.state() == native.stats.state()
        assert loop.stats.summary() == native.stats.summary()
        if loop.curriculum is not None and native.curriculum is not None:
            assert loop.curriculum.state() == native.curriculum.state()
        assert loop.env.save_state() == native.env.save_state()
        ended += int(native.rollout.ended.sum())
    assert ended > 20
    assert len(torch.unique(native.rollout.actions)) == native.policy.actions
    files = [
        {path.relative_to(run): path.read_bytes() for path in sorted(run.rglob("*.json*"))}
        for run in runs
    ]
    assert files[0].keys() == files[1].keys()
    assert len(files[1]) > 10
    # Probabilities are rounded to bytes when they are written.
    for path, written in files[0].items():
        if path.suffix == ".jsonl":
            assert written == files[1][path]
        else:
            same_episode(written, files[1][path])


def learner(threads: int = 2, reward: Any = None, **settings: Any) -> Learner:
    env = {"repeat_action_probability": 0.2, "max_steps": 40}
    given = {"num_envs": GAMES, "rollout_steps": STEPS, "minibatch_size": 120, "env": env}
    config = resolve("tiles", threads=threads, **given, **settings)
    games = MarioVectorEnv(
        config=config.env, num_envs=GAMES, num_groups=2, threads=threads, seed=1, reward=reward
    )
    return Learner(config, games)


@pytest.mark.parametrize("hidden", [(256, 128), (40, 24, 17)])
def test_native_networks_decide_the_same_for_a_few_games_and_for_many(
    hidden: tuple[int, ...],
) -> None:
    native = learner(network={"hidden": hidden, "piecewise_linear": True})
    loop = learner(network={"hidden": hidden, "piecewise_linear": True})
    native.improve()
    loop.restore(Snapshot.unpack(native.snapshot().pack(), "memory"))
    assert native.native_play is not None
    loop.native_play = None
    for _ in range(3):
        for each in (native, loop):
            each._prepare(None)
            each._play()
            each.step += GAMES * STEPS
        for name in ("actions", "values", "rewards", "ended", "tasks", "truncated_values"):
            assert torch.equal(getattr(loop.rollout, name), getattr(native.rollout, name)), name
        torch.testing.assert_close(loop.rollout.log_probs, native.rollout.log_probs)
    assert native.rollout.ended.any()
    for each in (native, loop):
        each.close()


def test_a_training_is_the_same_with_any_number_of_threads() -> None:
    expected: dict[str, torch.Tensor] = {}
    for threads in (1, 2, 3):
        trained = learner(threads)
        for _ in range(3):
            trained.improve()
        tensors = trained.snapshot().tensors
        expected = expected or tensors
        assert tensors.keys() == expected.keys()
        for name, tensor in tensors.items():
            assert torch.equal(tensor, expected[name]), name
        trained.close()


def test_python_plays_what_only_python_can() -> None:
    assert learner().native_play is not None
    assert learner(learner="torch").native_play is None
    rewarded = learner(reward=lambda now, before: now["progress"] - before["progress"])
    assert rewarded.native_play is None
    rewarded.improve()
    other = Corridor(toy_config().env, 16, 2, 0)
    toy = Learner(toy_config(learner="native"), other)
    assert toy.native_play is None
    toy.improve()
    for each in (rewarded, toy):
        each.close()


def same_episode(one: bytes, other: bytes) -> None:
    a, b = (Episode.model_validate_json(data) for data in (one, other))
    assert a.decisions is not None
    assert b.decisions is not None
    np.testing.assert_allclose(a.decisions.probabilities, b.decisions.probabilities, atol=0.01)
    assert a.model_copy(update={"decisions": None}) == b.model_copy(update={"decisions": None})
    assert (a.decisions.actions == b.decisions.actions).all()
    assert (a.decisions.first_frames == b.decisions.first_frames).all()


def player(**settings: Any) -> tuple[MarioVectorEnv, NativePlay, _native.Decider]:
    env = warpzone.make_vec(num_envs=GAMES, num_groups=2, threads=2, seed=0, **settings)
    env.reset(seed=0)
    play = NativePlay(env, Rollout(STEPS, env, CPU))
    return env, play, decider_of(Exact(env), play, play.rollout.observations)


def ignore(first: int, step: StepResult) -> None:
    pass


def test_an_error_of_the_network_or_of_a_game_is_told_and_play_goes_on_after_it() -> None:
    env, play, decider = player()
    calls = []

    def failing(*arrays: np.ndarray) -> None:
        calls.append(1)
        if len(calls) == 50:
            raise KeyError("no weights")

    start = env.save_state()
    with pytest.raises(KeyError, match="no weights"):
        play.collect(_native.FunctionDecider(*play.sizes, failing), 0, 0, ignore)
    env.load_state(start)
    play.collect(decider, 0, 0, ignore)
    expected = play.rollout.actions.clone()
    env.load_state(start)
    play.collect(decider, 0, 0, ignore)
    assert torch.equal(play.rollout.actions, expected)


def test_what_does_not_fit_is_refused() -> None:
    env, play, decider = player()
    other = _native.FunctionDecider(play.sizes[0] + 1, *play.sizes[1:], lambda *arrays: None)
    with pytest.raises(ConfigError, match="the decider is made for 1665 bytes"):
        play.collect(other, 0, 0, ignore)
    _, rewarded, _ = player(reward=lambda now, before: now["x"])
    with pytest.raises(ConfigError, match="reward function"):
        rewarded.collect(decider, 0, 0, ignore)
    env.send(0, np.zeros(GAMES // 2, np.int64))
    with pytest.raises(EngineError, match="still stepping"):
        play.collect(decider, 0, 0, ignore)
    env.recv(0)
    env.close()
    with pytest.raises(EngineError, match="closed"):
        play.collect(decider, 0, 0, ignore)


def test_a_second_thread_is_refused_and_ctrl_c_is_heard_when_the_rollout_is_played() -> None:
    env, play, _ = player()
    refused: list[str] = []

    def look_in(*arrays: np.ndarray) -> None:
        if not refused:
            with pytest.raises(EngineError, match="another thread is using") as error:
                env.save_state()
            refused.append(str(error.value))
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        play.collect(_native.FunctionDecider(*play.sizes, look_in), 0, 0, ignore)
    assert refused
    play.collect(_native.FunctionDecider(*play.sizes, lambda *arrays: None), 0, 0, ignore)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_plays_the_same() -> None:
    _, play, _ = player()
    quiet = _native.FunctionDecider(*play.sizes, lambda *arrays: None)
    play.collect(quiet, 0, 0, ignore)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        play.collect(quiet, 0, 0, ignore)
        os.write(write, play.rollout.actions.numpy().tobytes()[:4096])
        os._exit(0)
    os.waitpid(pid, 0)
    play.collect(quiet, 0, 0, ignore)
    assert os.read(read, 4096) == play.rollout.actions.numpy().tobytes()[:4096]


def test_play_tells_what_it_spent_its_time_on() -> None:
    env = warpzone.make_vec("1-1", num_envs=GAMES, observation="tiles", threads=1)
    env.reset(seed=0)
    rollout = Rollout(STEPS, env, CPU)
    play = NativePlay(env, rollout)
    shapes = {name: array.shape for name, array in rollout.observations.items()}
    play.collect(decider_of(Exact(env), play, shapes), 0, 0, lambda *_: None)
    seconds = env.take_play_seconds()
    wall = seconds.pop("wall")
    assert set(seconds) == {"step", "decide", "store"}
    assert all(0 < spent < wall for spent in seconds.values())
    assert 0.5 * wall < sum(seconds.values()) <= wall  # by one thread
    assert set(env.take_play_seconds().values()) == {0.0}
    env.close()
