"""One learner: it learns, and it goes on from a snapshot as if nothing had happened."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.support.toy import CUES, Corridor, corridors, toy_config

from warpzone.errors import WarpzoneError
from warpzone.ppo.update import Coefficients, batch_of, losses
from warpzone.smb.config import EnvConfig
from warpzone.training.checkpoint import Snapshot
from warpzone.training.config import CurriculumConfig, NetworkConfig, TrainConfig
from warpzone.training.curriculum import Curriculum
from warpzone.training.learner import Learner
from warpzone.training.metrics import EpisodeResult

PICTURES = {
    "env": EnvConfig(observation="pixels", size=(40, 40), frame_stack=2),
    "network": NetworkConfig(kind="tutorial", hidden=(16,)),
    "num_envs": 4,
    "minibatch_size": 64,
}
CURRICULUM = {
    "env": EnvConfig(levels={"1-1": 1.0, "8-4": 2.0}, start_steps=4),
    "curriculum": CurriculumConfig(share=0.6, last_share=0.3, segment=2),
    "schedule": "competence",
}


def learner(config: TrainConfig) -> Learner:
    env = Corridor(config.env, config.num_envs, 2, config.seed)
    return Learner(config, env)


def state(trained: Learner) -> dict[str, Any]:
    snapshot = trained.snapshot()
    values = {name: value for name, value in snapshot.values.items() if name != "seconds"}
    return {**snapshot.tensors, **values}


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, other[name]), name
        else:
            assert value == other[name], name


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"amp": True},
        {"objective": "kl", "schedule": "linear"},
        {"learner": "torch", "amp": False, "minibatch_size": 512},
        {"env": EnvConfig(levels={"1-1": 1.0, "8-4": 2.0})},
        CURRICULUM,
        {**CURRICULUM, "prioritize_levels": True, "last_end_penalty": 5.0},
        {"progress_gamma": 0.5},
        PICTURES,
        {**PICTURES, "amp": True},
    ],
    ids=[
        "plain",
        "bfloat16",
        "kl and schedule",
        "torch",
        "levels",
        "curriculum",
        "levels by failures",
        "discounts by progress",
        "pictures",
        "pictures bfloat16",
    ],
)
def test_resumed_equals_uninterrupted_bit_for_bit(changes: dict[str, Any]) -> None:
    """And whatever the number of threads, which may change."""
    whole = learner(toy_config(**changes, threads=1))
    for _ in range(4):
        whole.improve()
    first = learner(toy_config(**changes, threads=2))
    for _ in range(2):
        first.improve()
    data = first.snapshot(more={"a": 1}).pack()
    second = learner(toy_config(**changes, threads=16))
    second.improve()  # whatever it was, it is replaced
    snapshot = Snapshot.unpack(data, "memory")
    assert snapshot.values["more"] == {"a": 1}
    second.restore(snapshot)
    for _ in range(2):
        second.improve()
    assert_same(state(second), state(whole))


def test_going_back_to_before_the_search_searches_again() -> None:
    config = toy_config(**CURRICULUM)
    whole, other = learner(config), learner(config)
    first = whole.snapshot().pack()
    for _ in range(2):
        whole.improve()
        other.improve()
    other.restore(Snapshot.unpack(first, "memory"))
    assert other.curriculum is None
    for _ in range(2):
        other.improve()
    assert_same(state(other), state(whole))


def test_a_share_of_the_episodes_begins_within_the_level_and_is_not_counted() -> None:
    trained = learner(toy_config(**CURRICULUM))
    trained.improve()
    assert trained.curriculum is not None
    within, own = int(trained.curriculum.episodes.sum()), trained.stats.episodes
    assert 0.4 < within / (within + own) < 0.8
    plain = learner(toy_config())
    plain.improve()
    assert plain.curriculum is None


def test_settings_fall_with_competence() -> None:
    trained = learner(toy_config(lr=1e-3, schedule="competence"))
    assert trained.improve()["charts/learning_rate"] == 1e-3
    trained.stats.recent["1-1"].clear()
    trained.stats.recent["1-1"].extend(EpisodeResult(i < 80, 0, 0.0, 1) for i in range(100))
    assert trained.improve()["charts/learning_rate"] == pytest.approx(1e-3 * 0.28)


def test_competence_is_the_clear_rate_or_what_partial_episodes_promise() -> None:
    trained = learner(toy_config(**CURRICULUM))
    assert trained.competence == 0
    trained.improve()
    assert trained.curriculum is not None
    for level, cleared in [("1-1", 40), ("8-4", 60)]:
        trained.stats.recent[level].clear()
        trained.stats.recent[level].extend(
            EpisodeResult(i < cleared, 0, 0.0, 1) for i in range(100)
        )
    for rate, competence in [(0.0, 0.5), (0.5, 0.5), (0.9, 0.81), (1.0, 1.0)]:
        trained.curriculum.rates[:] = rate
        assert trained.competence == pytest.approx(competence)
    trained.curriculum.rates[:] = [0.8, 1.0] * (len(trained.curriculum.rates) // 2)
    trained.stats.recent["1-1"].clear()  # a level without an episode counts as 0
    assert trained.competence == pytest.approx(0.81, abs=0.05)
    assert trained.improve()["charts/competence"] == pytest.approx(0.81, abs=0.05)


def test_games_play_on_the_ways_and_more_whole_levels_with_competence() -> None:
    trained = learner(toy_config(**CURRICULUM))
    trained.improve()
    env, curriculum = trained.env, trained.curriculum
    assert isinstance(env, Corridor)
    assert isinstance(curriculum, Curriculum)
    assert env.trajectories == curriculum.trajectories
    assert env.share == pytest.approx(0.6)
    curriculum.rates[:] = 1.0
    trained.improve()
    assert env.share == pytest.approx(0.3)


def test_a_snapshot_does_not_change_when_training_goes_on() -> None:
    trained = learner(toy_config())
    trained.improve()
    snapshot = trained.snapshot()
    before = snapshot.pack()
    trained.improve()
    assert snapshot.pack() == before


def test_seeds_matter_and_nothing_else_does() -> None:
    runs: list[torch.Tensor] = []
    for seed in (0, 0, 1):
        trained = learner(toy_config(seed=seed))
        torch.manual_seed(123 + len(runs))  # the global generator plays no part
        trained.improve()
        runs.append(trained.snapshot().tensors["policy.heads.weight"])
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


@pytest.mark.parametrize(
    "changes", [{}, {"objective": "kl", "kl_target": 0.02}], ids=["clip", "kl"]
)
def test_it_learns(changes: dict[str, Any]) -> None:
    trained = learner(toy_config(total_steps=16 * 32 * 60, **changes))
    before = trained.measure(corridors(trained.config.env, 8, 2, 5), 40, seed=5).clear_rate
    for _ in range(60):
        metrics = trained.improve()
        if metrics["rollout/clear_rate"] == 1:
            break
    after = trained.measure(corridors(trained.config.env, 8, 2, 5), 40, seed=5).clear_rate
    assert before < 0.2
    assert after > 0.9


def test_measuring_does_not_disturb_training() -> None:
    plain, measured = learner(toy_config()), learner(toy_config())
    for _ in range(2):
        plain.improve()
        measured.measure(corridors(measured.config.env, 4, 2, 1), 8, seed=1)
        measured.improve()
    assert_same(state(plain), state(measured))


def test_the_ratio_is_one_before_the_first_step() -> None:
    trained = learner(toy_config(lr=1e-30, amp=False))
    with torch.no_grad():
        trained.policy.heads.weight[:-1] *= 300  # far from uniform
    trained.improve()
    batch = batch_of(trained.rollout, trained.config)
    _, parts = losses(trained.policy, batch, trained.config, Coefficients(lr=1e-3, entropy=0.0))
    assert parts["losses/entropy"] < 1.3
    assert parts["losses/kl"].item() == pytest.approx(0, abs=1e-6)
    assert parts["losses/clipfrac"] == 0
    expected = -batch.advantages.mean().item()
    assert parts["losses/policy_loss"].item() == pytest.approx(expected, abs=1e-5)


def test_loss_is_made_of_its_parts() -> None:
    config = toy_config(value_coef=0.7)
    trained = learner(config)
    trained.improve()
    batch = batch_of(trained.rollout, config)
    loss, parts = losses(trained.policy, batch, config, Coefficients(lr=1e-3, entropy=0.3))
    expected = (
        parts["losses/policy_loss"]
        + 0.7 * parts["losses/value_loss"]
        - 0.3 * parts["losses/entropy"]
    )
    torch.testing.assert_close(loss.detach(), expected)


def test_gradients_are_clipped() -> None:
    config = toy_config(max_grad_norm=1e-3, update_epochs=1, minibatch_size=512, learner="torch")
    trained = learner(config)
    trained.improve()
    gradients = [p.grad for p in trained.policy.parameters() if p.grad is not None]
    norm = torch.linalg.vector_norm(torch.cat([g.flatten() for g in gradients]))
    assert norm.item() == pytest.approx(1e-3, rel=1e-2)


def test_the_schedule_reaches_the_optimiser() -> None:
    trained = learner(toy_config(lr=1e-3, schedule="linear"))
    rates = [trained.improve()["charts/learning_rate"] for _ in range(3)]
    assert rates == pytest.approx([1e-3, 1e-3 * 5 / 6, 1e-3 * 4 / 6])
    assert trained.updater.optimizer.param_groups[0]["lr"] == rates[-1]


def test_a_loss_that_is_not_finite_is_an_error() -> None:
    trained = learner(toy_config(lr=1e6, max_grad_norm=None))

    def train() -> None:
        for _ in range(3):
            trained.improve()

    with pytest.raises(WarpzoneError, match="diverged"):
        train()


def test_a_minibatch_may_be_a_remainder() -> None:
    trained = learner(toy_config(minibatch_size=500))
    trained.improve()
    assert int(trained.snapshot().tensors["adam.0.step"]) == 3 * 2


def test_a_policy_that_saw_the_cue_knows_more_than_chance() -> None:
    trained = learner(toy_config(gamma=0.5))
    for _ in range(20):
        metrics = trained.improve()
    assert metrics["losses/explained_variance"] > 0.2
    assert metrics["losses/entropy"] < torch.log(torch.tensor(CUES + 1.0)).item()
