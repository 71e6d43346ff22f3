"""A distillation policy that sees tiles where the agent in training sees pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import warpzone
from warpzone.errors import ConfigError, EngineError
from warpzone.ppo.policy import SCALARS
from warpzone.smb.config import EnvConfig
from warpzone.smb.levels import LEVELS
from warpzone.training.agent_file import load_agent
from warpzone.training.checkpoint import Snapshot
from warpzone.training.config import TrainConfig
from warpzone.training.distillation import TILE_SHAPES
from warpzone.training.learner import Learner
from warpzone.training.presets import resolve
from warpzone.training.resolve_agent import resolve_agent

GAMES, STEPS = 6, 24
SHOWN: dict[str, Any] = {"observation": "tiles", "show_level": True, "show_paths": True}
# Short episodes of levels with enemies, firebars, a cutscene at the start, water.
ENV = EnvConfig(
    levels=dict.fromkeys(("1-1", "1-2", "5-2", "6-4"), 1.0),
    observation="pixels",
    size=(24, 24),
    frame_stack=2,
    actions="down",
    noop_max=30,
    repeat_action_probability=0.25,
    sticky_share=0.5,
    row_share=0.5,
    life_share=0.5,
    max_steps=9,
)


def small(**changes: Any) -> TrainConfig:
    """A short run of the preset, with small pictures."""
    settings: dict[str, Any] = {
        "env": ENV.model_dump(),
        "network": {"embeddings": (8, 8), "hidden": (32,)},
        "curriculum": {"share": 0.0},
        "practice": {"share": 0.0},
        "num_envs": GAMES,
        "rollout_steps": STEPS,
        "minibatch_size": 48,
        "device": "cpu",
        "threads": 1,
    }
    return resolve("pixels-generalist", **{**settings, **changes})


def games(config: EnvConfig, seed: int = 3) -> Any:
    return warpzone.make_vec(num_envs=GAMES, num_groups=2, threads=2, seed=seed, config=config)


def learner(config: TrainConfig) -> Learner:
    return Learner(config, games(config.env))


def tiles_of(rows: slice) -> dict[str, np.ndarray]:
    count = rows.stop - rows.start
    return {
        name: np.zeros((count, *shape), np.float32 if name == SCALARS else np.uint8)
        for name, shape in TILE_SHAPES.items()
    }


@pytest.mark.parametrize("observation", ["pixels", "rgb", "ram", "tiles"])
def test_tiles_are_those_of_games_that_show_tiles(observation: str) -> None:
    plain: dict[str, Any] = {"observation": observation}
    if observation != "pixels":
        fields = EnvConfig.model_fields
        plain |= {name: fields[name].default for name in ("frame_stack", "size")}
    env = games(EnvConfig(**{**ENV.model_dump(), **plain}))
    of_pixels = {name: EnvConfig.model_fields[name].default for name in ("frame_stack", "size")}
    twin = games(EnvConfig(**{**ENV.model_dump(), **of_pixels, **SHOWN}))
    env.reset(seed=5)
    twin.reset(seed=5)
    random, ended = np.random.default_rng(0), 0
    for _ in range(40):
        for group, rows in enumerate(env.groups):
            out = tiles_of(rows)
            env.observe_tiles(group, out)
            for name, array in twin.observations().items():
                np.testing.assert_array_equal(out[name], array[rows], name)
            actions = random.integers(env.single_action_space.n, size=rows.stop - rows.start)
            for played in (env, twin):
                played.send(group, actions)
                ended += len(played.recv(group).finished)
    assert ended > 2 * GAMES


def test_it_is_given_what_was_decided_on(tmp_path: Path) -> None:
    config = small()
    trained = learner(config)
    trained.env.reset(seed=7)
    trained._play()
    assert trained.beside is not None
    kept, actions = trained.beside.arrays, trained.rollout.actions.numpy()
    twin = games(EnvConfig(**{**ENV.model_dump(exclude={"frame_stack", "size"}), **SHOWN}))
    twin.reset(seed=7)
    for t in range(STEPS):
        for group, rows in enumerate(twin.groups):
            for name, array in twin.observations().items():
                np.testing.assert_array_equal(kept[name][t, rows], array[rows], (t, name))
            twin.send(group, actions[t, rows])
            twin.recv(group)
    # What it says is what the packaged agent says of these.
    levels = trained.rollout.tasks.flatten()
    assert trained.distillation is not None
    said, mask = trained.distillation.log_probs(trained.rollout.samples, levels)
    policy, _ = load_agent(resolve_agent("generalist").file)
    with torch.no_grad():
        expected = policy(trained.beside.samples)[0].log_softmax(1)
    torch.testing.assert_close(said, expected, rtol=1e-4, atol=1e-4)
    assert (mask == 1).all()


def test_an_agent_that_sees_pictures_moves_towards_one_that_sees_tiles() -> None:
    env = {**ENV.model_dump(), "levels": {"1-1": 1.0}, "row_share": 0.0, "max_steps": None}
    trained = learner(small(env=env, policy_coef=0.0, value_coef=0.0, lr=3e-3))
    distances = [trained.improve()["losses/distillation_kl"] for _ in range(30)]
    assert np.mean(distances[-5:]) < 0.75 * np.mean(distances[:5])


def test_resumed_equals_uninterrupted() -> None:
    config = small(practice={"share": 0.2}, env={**ENV.model_dump(), "start_steps": 40})
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


def test_one_that_is_told_the_level_teaches_one_that_is_not() -> None:
    config = resolve(
        "generalist",
        env={**ENV.model_dump(exclude={"frame_stack", "size"}), "observation": "tiles"},
        network={"hidden": (16,), "piecewise_linear": False},
        curriculum={"share": 0.0},
        practice={"share": 0.0},
        distillation_policies="generalist",
        num_envs=GAMES,
        rollout_steps=STEPS,
        minibatch_size=48,
        device="cpu",
        threads=1,
    )
    config = config.model_copy(
        update={"env": config.env.model_copy(update={"show_level": False, "show_paths": False})}
    )
    trained = learner(config)
    trained.improve()
    assert trained.native_play is None
    assert trained.beside is not None
    levels = trained.beside.arrays[SCALARS][..., -len(LEVELS) :]
    assert (levels.sum(-1) == 1).all()
    assert (trained.rollout.observations[SCALARS][..., -len(LEVELS) :] == 0).all()


def test_tiles_of_a_group_that_steps_or_does_not_exist_are_refused() -> None:
    env = games(ENV)
    env.reset(seed=0)
    out = tiles_of(env.groups[0])
    with pytest.raises(ConfigError, match="there is no group 2"):
        env.observe_tiles(2, out)
    with pytest.raises(ConfigError, match="do not have the size of this group's"):
        env.observe_tiles(0, tiles_of(slice(0, GAMES)))
    with pytest.raises(ConfigError, match="must be C-contiguous and writable"):
        env.observe_tiles(0, {**out, SCALARS: out[SCALARS].astype(np.float64)})
    env.send(0, np.zeros(GAMES // 2, np.int64))
    with pytest.raises(EngineError, match="this group is stepping"):
        env.observe_tiles(0, out)
    env.observe_tiles(1, out)
    env.recv(0)
    env.observe_tiles(0, out)
    env.close()
    with pytest.raises(EngineError, match="closed"):
        env.observe_tiles(0, out)
