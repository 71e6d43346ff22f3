"""What a training saves can be read again, or the training is refused before it plays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.support.toy import corridors, toy_config

from warpzone.errors import AgentError, CheckpointError, ConfigError
from warpzone.training import TrainConfig, agent_file, checkpoint, resolve, train
from warpzone.training.agent_file import load_agent, require_readable, save_agent
from warpzone.training.checkpoint import Checkpoints, Snapshot
from warpzone.training.learner import Learner
from warpzone.training.mario_games import mario_games
from warpzone.training.saved_sizes import RESERVE, checkpoint_parts, require_readable_later

MAKE: Any = corridors
FEW: dict[str, Any] = {"num_envs": 8, "rollout_steps": 16, "minibatch_size": 16, "threads": 1}


@contextmanager
def learning(config: TrainConfig, make: Any = MAKE) -> Iterator[Learner]:
    with closing(make(config.env, config.num_envs, 2, 0)) as env:
        learner = Learner(config, env)
        learner.begin()
        with closing(learner):
            yield learner


def files(run: Path) -> list[Path]:
    return [path for path in run.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_what_is_reckoned_is_what_is_written(tmp_path: Path) -> None:
    with learning(toy_config()) as learner:
        parts, info = checkpoint_parts(learner), learner.agent_info()
        learner.improve()
        packed = len(learner.snapshot().pack())
        assert sum(parts.values()) < packed < sum(parts.values()) + 20_000  # and statistics
        weights = learner.policy.state_dict()
    path = tmp_path / "agent.safetensors"
    for half in (False, True):
        save_agent(path, weights, info, half=half)
        size = path.stat().st_size
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(agent_file, "MOST_BYTES", size - 1)
            with pytest.raises(AgentError, match="cannot be loaded again"):
                require_readable(weights, info, half=half)
            patch.setattr(agent_file, "MOST_BYTES", size + 4_000)
            require_readable(weights, info, half=half)
            load_agent(path)


def test_an_agent_that_would_be_too_large_is_told_before_it_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_file, "MOST_BYTES", 10_000)
    with pytest.raises(ConfigError, match=r"0\.0 MB cannot be loaded again: lower network\.hidden"):
        train(toy_config(), tmp_path / "run", make_env=MAKE)
    assert files(tmp_path) == []


def test_a_description_that_would_be_too_long_is_told_before_it_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_file, "MOST_HEADER_BYTES", 1_000)
    with pytest.raises(ConfigError, match=r"of more than 1,000 cannot .* fewer start_states"):
        train(toy_config(), tmp_path / "run", make_env=MAKE)
    assert files(tmp_path) == []


def test_a_checkpoint_that_would_be_too_large_is_told_before_it_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = toy_config()
    with learning(config) as learner:
        size = sum(checkpoint_parts(learner).values())
        monkeypatch.setattr(checkpoint, "LARGEST", size + RESERVE)
        require_readable_later(learner, resumes=False)
        monkeypatch.setattr(checkpoint, "LARGEST", size + RESERVE - 1)
        require_readable_later(learner, resumes=True)
    with pytest.raises(ConfigError, match="could not be read again: lower"):
        train(config, tmp_path / "run", make_env=MAKE)
    assert files(tmp_path) == []


def test_the_largest_part_is_what_is_to_be_lowered() -> None:
    """16,384 whole pictures are 3.0 GB, for which no memory is taken here."""
    corrections = {"share": 0.1, "kept": 16_384, "games": 16}
    changes: dict[str, Any] = {
        "env": {"observation": "rgb", "start_steps": 96},
        "network": {"hidden": [8], "embeddings": [4, 4]},
        "practice": {"share": 0.1},
        "corrections": corrections,
        **FEW,
    }
    made = mario_games(None, 1)
    with (
        learning(resolve("pixels", **changes), made) as learner,
        pytest.raises(ConfigError, match=r"rows of corrections 3,0.* MB.*lower corrections\.kept"),
    ):
        require_readable_later(learner, resumes=False)
    with learning(
        resolve("pixels", **{**changes, "corrections": {**corrections, "kept": 1_000}}), made
    ) as learner:
        require_readable_later(learner, resumes=False)
        parts = checkpoint_parts(learner)
        # 189 KB a game: the picture, and the console.
        assert parts["games as they stand"] == pytest.approx(8 * 189_303, rel=0.001)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(checkpoint, "LARGEST", 1_000)
            with pytest.raises(ConfigError, match=r"lower corrections\.kept"):
                require_readable_later(learner, resumes=True)


def test_nothing_is_written_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = Checkpoints(tmp_path, keep=3)
    small = Snapshot({"policy.w": torch.zeros(100)}, {"step": 1})
    large = Snapshot({"policy.w": torch.zeros(10_000)}, {"step": 2})
    monkeypatch.setattr(checkpoint, "LARGEST", 20_000)
    checkpoints.save(small)
    with pytest.raises(CheckpointError, match=r"of step 2 would have .* cannot be read again"):
        checkpoints.save(large)
    assert os.listdir(tmp_path) == ["step-000000000001.ckpt"]
    found = checkpoints.newest(print)
    assert found is not None
    assert found.values == {"step": 1}


def test_a_run_whose_checkpoints_outgrow_the_limit_says_so_and_keeps_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = toy_config()
    result = train(config, tmp_path / "run", make_env=MAKE)
    monkeypatch.setattr("warpzone.training.trainer.require_readable_later", lambda *_, **__: None)
    kept = sorted(os.listdir(tmp_path / "run" / "checkpoints"))
    longer = config.model_copy(update={"total_steps": 2 * result.steps})
    size = (tmp_path / "run" / "checkpoints" / kept[-1]).stat().st_size
    update = "warpzone.training.checkpoint.Snapshot.pack"
    assert size > 10_000
    pack = Snapshot.pack

    def grown(self: Snapshot) -> bytes:
        padding = torch.zeros(size)
        return pack(Snapshot({**self.tensors, "more": padding}, self.values))

    monkeypatch.setattr(update, grown)
    monkeypatch.setattr(checkpoint, "LARGEST", 2 * size)
    with pytest.raises(CheckpointError, match="cannot be read again: go on from the one before"):
        train(longer, tmp_path / "run", make_env=MAKE, resume=True)
    assert sorted(os.listdir(tmp_path / "run" / "checkpoints")) == kept
