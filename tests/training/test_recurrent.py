"""A network with a memory: it is played with as it is learnt from, and solves what needs one."""

from __future__ import annotations

import json
from contextlib import closing
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from tests.support.toy import Corridor, Step, corridors, toy_config

from warpzone.agents.agent import Agent
from warpzone.agents.described import DescribedPlayback, evaluate_described
from warpzone.agents.export import export_agent
from warpzone.agents.playback import GamePlayback, Playback
from warpzone.agents.team import Team, TeamMemory
from warpzone.errors import AgentError, ConfigError
from warpzone.games.catch.cartridge import cartridge
from warpzone.ppo.update import Coefficients, batch_of
from warpzone.smb.config import EnvConfig
from warpzone.training.agent_file import load_agent
from warpzone.training.checkpoint import Checkpoints
from warpzone.training.config import NetworkConfig, PracticeConfig, TrainConfig
from warpzone.training.gymnasium_adapter import gymnasium_games
from warpzone.training.learner import Learner
from warpzone.training.presets import resolve
from warpzone.training.recurrent import Memory, RecurrentPolicy, RecurrentUpdater
from warpzone.training.trainer import train

GRU = NetworkConfig(kind="gru", hidden=(16, 8))


@pytest.fixture(autouse=True)
def _one_thread(one_torch_thread: None) -> None:
    pass


def learner_of(config: TrainConfig | None = None, groups: int = 2) -> Learner:
    """Returns a learner whose critic says something of every state."""
    config = config or toy_config(network=GRU, entropy_coef=0.0, amp=False)
    learner = Learner(config, Corridor(config.env, config.num_envs, groups))
    with torch.no_grad():
        learner.policy.heads.weight.mul_(30)
    return learner


class Recall:
    """Three steps: a cue, nothing, and the question which it was. Two of each three episodes ask
    what cannot be seen any more."""

    rom = None
    LENGTH, CUES = 3, 2

    def __init__(self, num_envs: int, num_groups: int, seed: int) -> None:
        self.num_envs = num_envs
        bounds = np.linspace(0, num_envs, num_groups + 1).astype(int)
        self.groups = [slice(int(a), int(b)) for a, b in pairwise(bounds)]
        box = gymnasium.spaces.Box
        self.single_observation_space: gymnasium.Space[Any] = gymnasium.spaces.Dict(
            scalars=box(0, 1, (1,), np.float32), tiles=box(0, 255, (self.CUES, 1, 1), np.uint8)
        )
        self.single_action_space = gymnasium.spaces.Discrete(self.CUES)
        self.actions: dict[int, np.ndarray] = {}
        self.reset(seed=seed)

    def tasks(self) -> list[str]:
        return ["recall"]

    def reset(self, *, seed: int | None = None) -> None:
        if seed is not None:
            self.random = np.random.default_rng(seed)
        self.cue = self.random.integers(self.CUES, size=self.num_envs)
        self.time = np.zeros(self.num_envs, np.int64)

    def observations(self) -> Any:
        tiles = np.where(self.cue[:, None] == np.arange(self.CUES), 255, 0)
        tiles[self.time > 0] = 0
        return {
            "scalars": (self.time[:, None] / self.LENGTH).astype(np.float32),
            "tiles": tiles.astype(np.uint8).reshape(-1, self.CUES, 1, 1),
        }

    def send(self, group: int, actions: np.ndarray, out: Any = None) -> None:
        self.actions[group] = actions

    def recv(self, group: int) -> Step:
        rows, actions = self.groups[group], self.actions.pop(group)
        self.time[rows] += 1
        ended = self.time[rows] == self.LENGTH
        right = ended & (actions == self.cue[rows])
        final = {name: array[rows][ended] for name, array in self.observations().items()}
        steps = self.time[rows].copy()
        self.cue[rows] = np.where(
            ended, self.random.integers(self.CUES, size=len(ended)), self.cue[rows]
        )
        self.time[rows] = np.where(ended, 0, self.time[rows])
        reward = right.astype(np.float32)
        return Step(
            {name: array[rows] for name, array in self.observations().items()},
            reward,
            ended,
            np.zeros_like(ended),
            np.flatnonzero(ended),
            final,
            task=np.zeros(len(ended), np.int64),
            success=right,
            score=reward,
            signals={
                "steps": steps,
                "frames": steps,
                "episode_return": reward,
                "start": np.full(len(ended), -1),
                "x": steps,
            },
        )

    def save_state(self) -> bytes:
        state = [self.cue.tolist(), self.time.tolist(), self.random.bit_generator.state]
        return json.dumps(state).encode()

    def load_state(self, state: bytes) -> None:
        cue, time, random = json.loads(state)
        self.cue, self.time = np.array(cue), np.array(time)
        self.random.bit_generator.state = random

    def close(self) -> None:
        pass


@pytest.mark.parametrize("kind", ["tiles", "gru"])
def test_what_must_be_remembered_is_learnt_with_a_memory_and_not_without(
    kind: str, tmp_path: Path
) -> None:
    config = toy_config(
        network=NetworkConfig(kind=kind, hidden=(16,)),
        rollout_steps=30,
        minibatch_size=120,
        total_steps=16 * 30 * 25,
        lr=1e-2,
        entropy_coef=0.0,
        eval_episodes=200,
    )
    result = train(
        config,
        tmp_path / "run",
        make_env=lambda env, games, groups, seed: Recall(games, groups, seed),
    )
    rate = result.measured["recall"].clear_rate
    assert rate > 0.95 if kind == "gru" else rate < 0.65


def test_learning_begins_with_what_was_said_in_playing() -> None:
    """Over whole rollouts, with episodes that end in them, from the second on with a memory."""
    learner = learner_of()
    player, rollout = learner.player, learner.rollout
    assert player is not None
    assert isinstance(learner.policy, RecurrentPolicy)
    for _ in range(2):
        learner._play()
    assert player.start.abs().sum() > 0
    assert rollout.ended.any()
    with torch.no_grad():
        logits, values = learner.policy.sequences(rollout.samples, player.start, player.begins)
        forgetful, _ = learner.policy.sequences(
            rollout.samples, torch.zeros_like(player.start), player.begins
        )
    played = rollout.log_probs.flatten(0, 1)
    torch.testing.assert_close(logits.log_softmax(1), played, atol=1e-5, rtol=0)
    torch.testing.assert_close(values, rollout.values[:-1].flatten(), atol=1e-5, rtol=0)
    assert not torch.allclose(forgetful.log_softmax(1), played, atol=1e-3)
    # The first gradient step is one on policy.
    assert isinstance(learner.updater, RecurrentUpdater)
    losses = learner.updater.compute_gradients(
        batch_of(rollout, learner.config), torch.arange(8), Coefficients(1e-3, 0.0)
    )
    assert float(losses["losses/kl"]) == pytest.approx(0, abs=1e-6)
    learner.close()


def test_sequences_are_steps_one_after_the_other() -> None:
    """Gradients too, and an episode that begins knows nothing of the one before."""
    policy = learner_of().policy
    assert isinstance(policy, RecurrentPolicy)
    random = torch.Generator().manual_seed(0)
    steps, games = 7, 3
    seen = {
        "scalars": torch.rand(steps, games, 2 + 32, generator=random),
        "tiles": torch.randint(0, 256, (steps, games, 3, 2, 2), generator=random).byte(),
    }
    begins = torch.rand(steps, games, generator=random) < 0.3
    begins[0] = False
    start = torch.rand(games, policy.state_width, generator=random)
    flat = {name: array.flatten(0, 1) for name, array in seen.items()}
    logits, values = policy.sequences(flat, start, begins)
    state, one_by_one = start, []
    for t in range(steps):
        state = torch.where(begins[t][:, None], torch.zeros_like(state), state)
        observation = {name: array[t] for name, array in seen.items()}
        *said, state = policy.step(observation, state)
        one_by_one.append(said)
    parameters = list(policy.parameters())
    ours = torch.autograd.grad(logits.square().sum() + values.sum(), parameters)
    all_logits, all_values = (torch.cat(said) for said in zip(*one_by_one, strict=True))
    torch.testing.assert_close(logits, all_logits)
    torch.testing.assert_close(values, all_values)
    theirs = torch.autograd.grad(all_logits.square().sum() + all_values.sum(), parameters)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_an_episode_that_is_cut_short_is_valued_by_what_was_remembered_in_it() -> None:
    seen: list[tuple[int, int, Any]] = []
    learner = learner_of()
    policy, rollout = learner.policy, learner.rollout
    assert isinstance(policy, RecurrentPolicy)
    games = learner.env.num_envs

    def note(first: int, step: Any) -> None:
        for place, row in enumerate(step.finished):
            if step.truncated[row] and not step.terminated[row]:
                final = {name: array[place].copy() for name, array in step.final_obs.items()}
                seen.append((first // games, first % games + int(row), final))

    assert learner.player is not None
    learner.player.play(0, 0, note)
    assert len(seen) > 3
    for t, game, final in seen:
        ended = rollout.ended[:t, game].nonzero().flatten().tolist()
        state = torch.zeros(1, policy.state_width)
        with torch.no_grad():
            for when in range(ended[-1] + 1 if ended else 0, t + 1):
                shown = {name: a[when, game][None] for name, a in rollout.observations.items()}
                state = policy.step(shown, state)[2]
            last = {name: torch.from_numpy(array)[None] for name, array in final.items()}
            value = policy.step(last, state)[1]
            fresh = policy.step(last, torch.zeros_like(state))[1]
        assert float(rollout.truncated_values[t, game]) == pytest.approx(float(value), abs=1e-5)
        assert float(value) != pytest.approx(float(fresh), abs=1e-5)
    learner.close()


@pytest.mark.parametrize(
    "env",
    [
        EnvConfig(observation="tiles"),
        EnvConfig(observation="pixels", size=(8, 8), frame_stack=2),
    ],
    ids=["tiles", "pixels"],
)
def test_a_resumed_run_is_bit_for_bit_the_one_that_did_not_stop(
    env: EnvConfig, tmp_path: Path
) -> None:
    config = toy_config(network=GRU, total_steps=16 * 32 * 4, env=env)
    train(config, tmp_path / "whole", make_env=corridors)
    half = config.model_copy(update={"total_steps": 16 * 32 * 2})
    train(half, tmp_path / "parts", make_env=corridors)
    train(config, tmp_path / "parts", make_env=corridors, resume=True)
    found = [Checkpoints(tmp_path / name / "checkpoints", 3).newest(pytest.fail)
             for name in ("whole", "parts")]  # fmt: skip
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].tensors.keys() == found[1].tensors.keys()
    assert found[0].tensors["memory"].abs().sum() > 0
    for name, tensor in found[0].tensors.items():
        assert torch.equal(tensor, found[1].tensors[name]), name


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    weights = []
    for threads in (1, 3):
        learner = learner_of(toy_config(network=GRU, threads=threads, minibatch_size=512))
        for _ in range(2):
            learner.improve()
        weights.append(learner.policy.state_dict())
        learner.close()
    for name, tensor in weights[0].items():
        assert torch.equal(tensor, weights[1][name]), name


def test_a_curriculum_works_with_a_memory() -> None:
    config = toy_config(
        network=GRU,
        env=EnvConfig(observation="tiles", start_steps=4),
        curriculum={"share": 0.5, "segment": 1},
    )
    learner = Learner(config, Corridor(config.env, config.num_envs))
    learner.prepare()
    assert learner.curriculum is not None
    metrics = [learner.improve() for _ in range(3)]
    assert sum(learner.curriculum.state()["episodes"]) > 0
    assert all(np.isfinite(list(one.values())).all() for one in metrics)
    learner.close()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"learner": "native"}, "native learner is not for this run"),
        (
            {"algorithm": "pqn", "entropy_coef": 0.01, "lr_kl": 0.015},
            "'gru' has a memory, which is for the algorithm ppo, not pqn",
        ),
        ({"minibatch_size": 31}, "minibatch_size 31 is less than rollout_steps 32"),
        (
            {
                "corrections": {"share": 0.1},
                "practice": {"share": 0.1},
                "env": EnvConfig(observation="tiles", start_steps=96),
            },
            "corrections are not for a network with a memory",
        ),
        ({"network": NetworkConfig(kind="gru", options={"trunk": "cnn"})}, "trunk is 'cnn'"),
        ({"network": NetworkConfig(kind="gru", options={"width": 8})}, "argument 'width'"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], said: str) -> None:
    config = toy_config(**{"network": GRU, **changes})
    with pytest.raises(ConfigError, match=said):
        Learner(config, Corridor(config.env, config.num_envs))


@pytest.fixture(scope="module")
def agent_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An agent of our games that has learnt a little."""
    out = tmp_path_factory.mktemp("gru") / "run"
    config = TrainConfig(
        network=NetworkConfig(kind="gru", hidden=(32, 16)),
        num_envs=4,
        rollout_steps=16,
        minibatch_size=64,
        total_steps=128,
        eval_episodes=2,
        threads=1,
    )
    train(config, out)
    return out / "agent.safetensors"


def test_an_agent_with_a_memory_wants_it(agent_file: Path) -> None:
    agent = Agent.load(agent_file)
    env = agent.make_env("1-1", noop_max=0, repeat_action_probability=0.0)
    observation, _ = env.reset(seed=0)
    random = agent.random(0)
    with pytest.raises(AgentError, match=r"begin with agent\.memory\(games\)"):
        agent.decide(observation, "sample", random)
    with pytest.raises(ConfigError, match="has a memory"):
        agent.policy({name: torch.from_numpy(array)[None] for name, array in observation.items()})
    memory = agent.memory(1)
    assert isinstance(memory, Memory)
    first = agent.decide(observation, "sample", random, memory)
    second = agent.decide(observation, "sample", random, memory)
    assert first.value != second.value
    memory.forget([0])
    assert agent.decide(observation, "sample", random, memory).value == first.value
    heat = agent.saliency(observation, env.ram(), agent.memory(1))
    assert heat is not None
    assert heat.scores.max() > 0
    with pytest.raises(AgentError, match="memory"):
        agent.saliency(observation, env.ram())
    env.close()


def test_many_games_and_one_are_decided_alike(agent_file: Path) -> None:
    """In groups of games, of which some begin anew, as if each were played alone."""
    agent = Agent.load(agent_file)
    with_ = agent.make_envs("1-1", 6, noop_max=30, repeat_action_probability=0.0, threads=1)
    with_.reset(seed=3)
    memory, alone = agent.memory(6), [agent.memory(1) for _ in range(6)]
    assert memory is not None
    random, ended = agent.random(0), 0
    for _ in range(250):
        seen = with_.observations()
        assert isinstance(seen, dict)
        for game, own in enumerate(alone):
            assert own is not None
            one = {name: array[game] for name, array in seen.items()}
            agent.decide(one, "argmax", random, own)
        actions = agent.act(seen, "sample", random, memory)
        stacked = torch.cat([own.state for own in alone if own is not None])
        torch.testing.assert_close(memory.state, stacked, atol=1e-5, rtol=0)
        _, _, terminated, truncated, _ = with_.step(actions)
        done = terminated | truncated
        ended += int(done.sum())
        memory.forget(done)
        for row in np.flatnonzero(done):
            mine = alone[row]
            assert mine is not None
            mine.forget([0])
    assert ended > 2
    with_.close()


def test_a_team_forgets_where_levels_and_lives_change(agent_file: Path) -> None:
    agent = Agent.load(agent_file)
    team = Team.of(agent)
    memory = team.memory(4)
    own = memory.of(agent)
    assert own is not None

    def after(levels: list[int], lost: list[int], ended: list[bool]) -> list[bool]:
        own.state[:] = 1
        signals = {"level": np.array(levels), "lives_lost": np.array(lost)}
        memory.observe(signals, np.array(ended))
        return [bool(row.any()) for row in own.state]

    assert after([0, 1, 0, 0], [0, 0, 1, 0], [False, False, False, False]) == [True, False, False,
                                                                               True]  # fmt: skip
    assert after([0, 1, 0, 0], [0, 0, 1, 0], [False, False, False, True]) == [True, True, True,
                                                                              False]  # fmt: skip
    assert after([0, 1, 0, 0], [0, 0, 1, 0], [False] * 4) == [True] * 4
    assert TeamMemory([], 3).of(agent) is None


def test_a_distillation_policy_with_a_memory_is_refused_and_one_without_teaches(
    agent_file: Path,
) -> None:
    config = toy_config(
        env=EnvConfig(levels=["1-1"], observation="tiles"),
        distillation_policies={"all": str(agent_file)},
    )
    with pytest.raises(ConfigError, match="cannot be a distillation policy: its network has a mem"):
        Learner(config, Corridor(config.env, config.num_envs))


def test_its_file_keeps_the_network(agent_file: Path) -> None:
    policy, info = load_agent(agent_file)
    assert isinstance(policy, RecurrentPolicy)
    assert policy.state_width == 16
    assert info.network.kind == "gru"


def test_it_is_exported_with_its_memory(agent_file: Path, tmp_path: Path) -> None:
    told = export_agent(Agent.load(agent_file), tmp_path / "agent.pt2")
    assert told["inputs"]["state"] == {"dtype": "float32", "shape": [16]}
    assert told["outputs"][-1] == "next_state"


def test_a_whole_game_is_shown_with_what_counts(agent_file: Path) -> None:
    agent = Agent.load(agent_file)
    with closing(GamePlayback(Team.of(agent), lives=1, saliency=True)) as playback:
        moments = list(islice(playback.episode(0), 12))
        again = list(islice(playback.episode(0), 12))
    assert all(moment.heat is not None for moment in moments)
    assert [moment.value for moment in moments] == [moment.value for moment in again]
    with closing(Playback(agent, "1-1", saliency=True)) as level:
        shown = [list(islice(level.episode(seed), 12)) for seed in (1, 1)]
    assert [moment.value for moment in shown[0]] == [moment.value for moment in shown[1]]
    with closing(Playback(agent, "1-1")) as level:
        plain = list(islice(level.episode(1), 12))
    assert [moment.value for moment in shown[0]] == [moment.value for moment in plain]


def test_a_described_game_is_learnt_measured_and_shown(tmp_path: Path) -> None:
    rom = tmp_path / "catch.nes"
    cartridge(rom)
    config = resolve(
        "tiles",
        game={"name": "catch", "observation": "variables"},
        network={"kind": "gru", "hidden": [16], "piecewise_linear": False},
        num_envs=4,
        rollout_steps=16,
        minibatch_size=64,
        total_steps=128,
        eval_episodes=2,
        threads=1,
    )
    train(config, tmp_path / "run", rom=rom)
    agent = Agent.load(tmp_path / "run")
    found = [evaluate_described(agent, episodes=3, rom=rom, threads=1) for _ in range(2)]
    assert found[0] == found[1]
    with closing(DescribedPlayback(agent, rom=rom)) as playback:
        values = [moment.value for moment in islice(playback.episode(0), 8)]
    assert len(set(values)) > 1


def test_environments_that_keep_no_state_are_gone_on_with_in_new_episodes() -> None:
    def cartpoles(count: int) -> Any:
        mode = {"autoreset_mode": AutoresetMode.SAME_STEP}
        return gymnasium.make_vec("CartPole-v1", count, "sync", vector_kwargs=mode)

    config = toy_config(network=NetworkConfig(kind="gru", hidden=(8,)))
    learner = Learner(config, gymnasium_games(cartpoles)(config.env, config.num_envs, 1, 0))
    learner.improve()
    assert learner.player is not None
    kept = learner.snapshot()
    assert kept.tensors["memory"].abs().sum() > 0
    learner.restore(kept)
    assert learner.player.memory.state.abs().sum() == 0
    learner.close()


def test_practice_and_distillation_policies_work_with_a_memory(tmp_path: Path) -> None:
    """What is imitated is without one, and sees the same games."""
    taught_by = Agent.load("generalist").info.env
    levels = {"levels": {"1-1": 1.0}, "start_steps": 96, "row_share": 0.0, "life_share": 0.0}
    config = TrainConfig(
        env=taught_by.model_copy(update=levels),
        network=NetworkConfig(kind="gru", hidden=(16,)),
        distillation_policies={"all": "generalist"},
        practice=PracticeConfig(share=0.3),
        num_envs=8,
        rollout_steps=64,
        minibatch_size=256,
        total_steps=8 * 64 * 6,
        eval_episodes=1,
        target_clear_rate=None,
        threads=1,
    )
    train(config, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").open()]
    told = [line for line in lines if "losses/distillation_kl" in line]
    assert len(told) == 6
    assert told[-1]["losses/distillation_kl"] < told[0]["losses/distillation_kl"]
    assert told[-1]["practice/moments"] > 0
