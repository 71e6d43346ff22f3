"""An agent that is drawn towards agents that know a level each."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from tests.support.toy import CUES, Corridor, corridors, toy_config

import warpzone
from warpzone.errors import AgentError, ConfigError, LevelError
from warpzone.ppo.policy import Shapes, shapes_of
from warpzone.ppo.update import Batch, Coefficients, batch_of, losses
from warpzone.smb.config import EnvConfig
from warpzone.smb.levels import LEVELS, level_index
from warpzone.training.agent_file import AgentInfo, load_agent, save_agent
from warpzone.training.checkpoint import Snapshot
from warpzone.training.config import NetworkConfig, TrainConfig
from warpzone.training.distillation import TILE_SHAPES, DistillationPolicies
from warpzone.training.learner import Learner
from warpzone.training.networks import make_policy
from warpzone.training.presets import resolve
from warpzone.training.progress import LineDisplay
from warpzone.training.run_settings import read_config, resumed
from warpzone.training.trainer import train

CPU = torch.device("cpu")
COEFFICIENTS = Coefficients(lr=1e-3, entropy=0.01, distillation=1.0)
NETWORK = NetworkConfig(hidden=(16,))
PATCHES: dict[str, Any] = {"network": NetworkConfig(kind="patches", hidden=(16,))}
TWO = EnvConfig(levels={"1-1": 1.0, "8-4": 1.0}, show_level=True)
SHAPES = shapes_of(Corridor(TWO, 2).single_observation_space)
ACTIONS = CUES + 1


def expert(
    path: Path,
    seed: int,
    *,
    shapes: Shapes = SHAPES,
    count: int = ACTIONS,
    **env: Any,
) -> str:
    """Save an agent of `count` actions whose mind is made up, if not for any good reason; `env` are
    settings of the games that it was trained on."""
    torch.manual_seed(seed)
    policy = make_policy(NETWORK, shapes, count)
    with torch.no_grad():
        policy.heads.weight[:-1] *= 300
    info = AgentInfo(
        env=EnvConfig(**env),
        network=NETWORK,
        shapes=shapes,
        actions=count,
        preset="tiles",
        seed=seed,
        steps=1,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    save_agent(path, policy.state_dict(), info)
    return str(path)


def both(tmp_path: Path) -> dict[str, str]:
    """The second is named by its run directory."""
    expert(tmp_path / "run" / "best.safetensors", 2)
    return {"1-1": expert(tmp_path / "a.safetensors", 1), "8-4": str(tmp_path / "run")}


def policies_of(files: dict[str, str]) -> DistillationPolicies:
    return DistillationPolicies(files, Corridor(TWO, 2), TWO, 1, CPU)


def observations(count: int) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(4)
    return {
        name: torch.randint(0, 256, (count, *shape), generator=random, dtype=torch.uint8)
        if name == "tiles"
        else torch.randn(count, *shape, generator=random)
        for name, shape in SHAPES.items()
    }


def learner(config: TrainConfig) -> Learner:
    return Learner(config, Corridor(config.env, config.num_envs, 2, config.seed))


def imitation(files: dict[str, str], **changes: Any) -> TrainConfig:
    settings = {"policy_coef": 0.0, "value_coef": 0.0, "entropy_coef": 0.0, **changes}
    return toy_config(env=TWO, distillation_policies=files, total_steps=16 * 32 * 40, **settings)


def test_each_row_is_asked_of_the_policy_of_its_level(tmp_path: Path) -> None:
    files = both(tmp_path)
    policies = policies_of(files)
    seen = observations(30)
    levels = torch.tensor([level_index(["1-1", "4-2", "8-4"][i % 3]) for i in range(30)])
    copies = {name: array.clone() for name, array in seen.items()}
    log_probs, has = policies.log_probs(seen, levels)
    assert log_probs.shape == (30, ACTIONS)
    assert log_probs.dtype == torch.float32
    assert has.tolist() == [True, False, True] * 10
    copies["scalars"][:, -len(LEVELS) :] = 0
    paths = [Path(files["1-1"]), None, Path(files["8-4"]) / "best.safetensors"]
    for i, path in enumerate(paths):
        if path is None:
            assert (log_probs[i::3] == 0).all()
            continue
        with torch.no_grad():
            logits, _ = load_agent(path)[0](copies)
        torch.testing.assert_close(log_probs[i::3], logits.log_softmax(1)[i::3])


def test_only_a_policy_that_was_shown_its_levels_name_sees_it(tmp_path: Path) -> None:
    seen = observations(8)
    before = {name: array.clone() for name, array in seen.items()}
    levels = torch.zeros(8, dtype=torch.int64)
    said = {}
    for shown in (False, True):
        file = expert(tmp_path / f"{shown}.safetensors", 1, show_level=shown)
        said[shown] = policies_of({"1-1": file}).log_probs(seen, levels)[0]
    policy, _ = load_agent(tmp_path / "True.safetensors")
    with torch.no_grad():
        torch.testing.assert_close(said[True], policy(before)[0].log_softmax(1))
    assert not torch.allclose(said[True], said[False])
    for name, array in before.items():  # the student's own are as they were
        assert torch.equal(seen[name], array)


def test_only_a_policy_that_was_shown_paths_of_hazards_sees_them(tmp_path: Path) -> None:
    config = EnvConfig(show_paths=True)
    env = warpzone.make_vec(num_envs=1, threads=1, config=config)
    shapes, actions = shapes_of(env.single_observation_space), 7
    tiles = torch.zeros(2, *shapes["tiles"], dtype=torch.uint8)
    tiles[:, 5, 3, 4] = 192  # a firebar
    tiles[1, 5, 3, 5:9] = torch.tensor([112, 88, 64, 40], dtype=torch.uint8)
    seen, levels = (
        {"scalars": torch.zeros(2, 148), "tiles": tiles},
        torch.zeros(2, dtype=torch.int64),
    )
    for shown in (False, True):
        name = f"{shown}.safetensors"
        file = expert(tmp_path / name, 1, shapes=shapes, count=actions, show_paths=shown)
        policies = DistillationPolicies({"1-1": file}, env, config, 1, CPU)
        without, given = policies.log_probs(seen, levels)[0]
        assert torch.equal(without, given) != shown
        assert tiles[1, 5, 3, 8] == 40


def test_an_agent_moves_towards_its_distillation_policies(tmp_path: Path) -> None:
    trained = learner(imitation(both(tmp_path)))
    distances = [trained.improve()["losses/distillation_kl"] for _ in range(40)]
    assert distances[0] > 0.1
    assert distances[-1] < distances[0] / 3


def test_without_a_coefficient_it_does_not(tmp_path: Path) -> None:
    trained = learner(imitation(both(tmp_path), distillation_coef=0.0))
    before = {name: tensor.clone() for name, tensor in trained.policy.state_dict().items()}
    assert trained.improve()["losses/distillation_kl"] > 0
    for name, tensor in trained.policy.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_the_coefficient_falls_by_its_schedule(tmp_path: Path) -> None:
    config = imitation(both(tmp_path), distillation_coef=2.0, schedule="linear")
    trained = learner(config)
    given: list[float] = []
    real = trained.ppo.updater.update

    def note(batch: Batch, shuffle: Any, coefficients: Coefficients) -> dict[str, float]:
        given.append(coefficients.distillation)
        return real(batch, shuffle, coefficients)

    # It learns as ever; what it was told is noted.
    trained.ppo.updater.update = note  # type: ignore[method-assign]
    for _ in range(3):
        trained.improve()
    assert given == pytest.approx([2.0, 2.0 * 39 / 40, 2.0 * 38 / 40])


def test_rows_without_a_policy_are_learnt_from_as_if_there_were_none(tmp_path: Path) -> None:
    config = toy_config(env=TWO, distillation_policies={"8-4": both(tmp_path)["8-4"]})
    trained = learner(config)
    trained.improve()
    assert trained.distillation is not None
    batch = batch_of(trained.rollout, config, trained.distillation.log_probs)
    plain = batch_of(trained.rollout, config)
    assert batch.distillation_log_probs is not None
    assert batch.distillation_mask is not None
    assert plain.distillation_log_probs is plain.distillation_mask is None
    levels = trained.rollout.tasks.flatten()
    assert torch.equal(batch.distillation_mask == 1, levels == level_index("8-4"))
    spaces = [
        {name: torch.empty_like(array) for name, array in batch.observations.items()}
        for _ in range(2)
    ]

    def loss(samples: Batch, rows: torch.Tensor, space: int) -> tuple[Any, Any]:
        return losses(trained.policy, samples.rows(rows, spaces[space]), config, COEFFICIENTS)

    own = (batch.distillation_mask == 0).nonzero()[:, 0]
    with_policies, parts = loss(batch, own, 0)
    without, _ = loss(plain, own, 1)
    assert parts["losses/distillation_kl"] == 0
    torch.testing.assert_close(with_policies, without)
    rows = (batch.distillation_mask == 1).nonzero()[:, 0]
    with_policies, parts = loss(batch, rows, 0)
    without, _ = loss(plain, rows, 1)
    torch.testing.assert_close(with_policies, without + parts["losses/distillation_kl"])
    assert parts["losses/distillation_kl"] > 0


def test_policies_that_do_not_fit_are_refused_with_what_to_do(tmp_path: Path) -> None:
    other: Shapes = {"scalars": (7,), "tiles": (3, 2, 2)}
    file = expert(tmp_path / "other.safetensors", 1, shapes=other)
    with pytest.raises(ConfigError) as refusal:
        policies_of({"1-1": file})
    for words in (file, "of 1-1", str(other), str(SHAPES), "take one that sees"):
        assert words in str(refusal.value)
    file = expert(tmp_path / "more.safetensors", 1, count=9)
    with pytest.raises(ConfigError, match=f"has 9 actions, the agent in training {ACTIONS}"):
        policies_of({"1-1": file})
    others: tuple[dict[str, Any], ...] = ({"actions": "down"}, {"frame_skip": 2})
    for env in others:
        (setting,) = env
        file = expert(tmp_path / f"{setting}.safetensors", 1, **env)
        with pytest.raises(ConfigError, match=f"set env.{setting} as it was for it"):
            policies_of({"1-1": file})
    with pytest.raises(AgentError, match="no run, no agent, no level"):
        policies_of({"1-1": str(tmp_path / "none.safetensors")})
    with pytest.raises(LevelError, match="no level '1-5'"):
        policies_of({"1-5": both(tmp_path)["1-1"]})


def test_one_that_sees_tiles_needs_games_that_show_them(tmp_path: Path) -> None:
    config = toy_config(env=EnvConfig(observation="pixels", size=(24, 24)), **PATCHES)
    file = expert(tmp_path / "tiles.safetensors", 1, shapes=TILE_SHAPES)
    with pytest.raises(
        ConfigError, match=r"these games show \{'array': \(2, 24, 24\)\}"
    ) as refusal:
        learner(config.model_copy(update={"distillation_policies": {"1-1": file}}))
    assert "beside" not in str(refusal.value)


def test_one_name_is_for_all_levels_but_those_that_are_named(tmp_path: Path) -> None:
    files = both(tmp_path)
    config = toy_config(env=TWO, distillation_policies=files["8-4"])
    assert config.distillation_policies == {"all": files["8-4"]}
    alone = policies_of(config.distillation_policies)
    assert len(alone.teachers) == 1
    beside = policies_of({"all": files["8-4"], "1-1": files["1-1"]})
    seen = observations(6)
    levels = torch.tensor([level_index(["1-1", "4-2", "8-4"][i % 3]) for i in range(6)])
    log_probs, has = beside.log_probs(seen, levels)
    assert has.tolist() == [True, False, True] * 2  # 4-2 is not played
    expected, _ = policies_of(files).log_probs(seen, levels)
    assert torch.equal(log_probs, expected)
    alone_says, has = alone.log_probs(seen, levels)
    assert has.tolist() == [True, False, True] * 2
    assert torch.equal(alone_says[2::3], expected[2::3])
    assert not torch.allclose(alone_says[0::3], expected[0::3])


def test_those_that_are_given_replace_the_presets_and_the_runs(tmp_path: Path) -> None:
    assert resolve("pixels-generalist").distillation_policies == {"all": "generalist"}
    for given in ({"1-1": "a"}, {}):
        config = resolve("pixels-generalist", distillation_policies=given)
        assert config.distillation_policies == given
    config = toy_config(env=TWO, distillation_policies={"all": "a", "1-1": "b"})
    (tmp_path / "config.json").write_text(config.model_dump_json())
    assert resumed(tmp_path, {"lr": 0.1}).distillation_policies == {"all": "a", "1-1": "b"}
    for given in ({"8-4": "c"}, {}):
        going_on = resumed(tmp_path, {"distillation_policies": given})
        assert going_on.distillation_policies == given


def test_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    config = toy_config(env=TWO, distillation_policies=both(tmp_path))
    whole, first, second = learner(config), learner(config), learner(config)
    for _ in range(4):
        whole.improve()
    for _ in range(2):
        first.improve()
    second.restore(Snapshot.unpack(first.snapshot().pack(), "memory"))
    for _ in range(2):
        second.improve()
    for name, tensor in whole.policy.state_dict().items():
        assert torch.equal(second.policy.state_dict()[name], tensor)


def test_a_run_that_goes_on_has_its_distillation_policies_again(tmp_path: Path) -> None:
    out, files = tmp_path / "out", both(tmp_path)

    def play(steps: int, resume: bool) -> str:
        config = toy_config(env=TWO, distillation_policies=files, total_steps=steps)
        display = LineDisplay(Console(file=io.StringIO()))
        train(config, out, display=display, make_env=corridors, resume=resume)
        return (out / "metrics.jsonl").read_text()

    assert play(16 * 32 * 2, False).count("losses/distillation_kl") == 2
    assert read_config(out).distillation_policies == files
    assert play(16 * 32 * 4, True).count("losses/distillation_kl") == 4
