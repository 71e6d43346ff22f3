"""Training on the real games."""

from __future__ import annotations

import io
import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

import warpzone
from warpzone.smb.config import EnvConfig
from warpzone.training import TrainConfig, resolve, train
from warpzone.training.checkpoint import Checkpoints, Snapshot
from warpzone.training.presets import PRESETS
from warpzone.training.progress import LineDisplay

SMALL: dict[str, Any] = {
    "num_envs": 4,
    "rollout_steps": 48,
    "minibatch_size": 128,
    "update_epochs": 2,
    "total_steps": 4 * 48 * 3,
    "eval_episodes": 2,
    "eval_every": 100,
    "checkpoint_every": 1,
    "device": "cpu",
    "threads": 2,
}


def play(config: TrainConfig, out: Path, **settings: Any) -> Snapshot:
    train(config, out, display=LineDisplay(Console(file=io.StringIO())), **settings)
    found = Checkpoints(out / "checkpoints", 3).newest(pytest.fail)
    assert found is not None
    return found


def interrupted_after(steps: int) -> Any:
    """Ctrl-C when so many steps of groups are received, or while they are played natively."""

    def make(config: EnvConfig, games: int, groups: int, seed: int) -> Any:
        env = warpzone.make_vec(
            num_envs=games, num_groups=groups, threads=2, seed=seed, config=config
        )
        left, recv, native = steps, env.recv, env.play

        def count(received: int) -> None:
            nonlocal left
            if 0 < left <= received:
                signal.raise_signal(signal.SIGINT)
            left -= received

        def counted(group: int) -> Any:
            count(1)
            return recv(group)

        def counted_whole(*given: Any, **draws: Any) -> None:
            count(groups * len(given[1].actions))
            native(*given, **draws)

        env.recv = counted  # type: ignore[method-assign]
        env.play = counted_whole  # type: ignore[method-assign]
        return env

    return make


@pytest.mark.parametrize(
    "preset", ["tiles", "specialist", "pixels", "pixels-generalist", "tutorial"]
)
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path: Path, preset: str) -> None:
    # Short episodes: some end in each part of the run, most of them by being cut short.
    searched = PRESETS[preset].curriculum.share > 0
    config = resolve(
        preset,
        **SMALL,
        env={"levels": {"1-1": 1.0, "5-2": 1.0}, "max_steps": 20, "repeat_action_probability": 0.1},
        curriculum={"search_steps": 10_000} if searched else {},
    )
    whole = play(config, tmp_path / "whole")
    stopped = play(config, tmp_path / "parts", make_env=interrupted_after(2 * (48 + 17)))
    assert stopped.values["step"] == 2 * 4 * 48
    resumed = play(config, tmp_path / "parts", resume=True)
    for name, tensor in whole.tensors.items():
        assert torch.equal(resumed.tensors[name], tensor), name
    assert resumed.values["stats"] == whole.values["stats"]
    assert resumed.values["curriculum"] == whole.values["curriculum"]
    assert (whole.values["curriculum"] is not None) == (config.curriculum.share > 0)


def test_the_tutorials_run_starts_logs_and_saves(tmp_path: Path) -> None:
    config = resolve(
        "tutorial", **{**SMALL, "checkpoint_every": 2}, env={"levels": "1-2", "max_steps": 40}
    )
    snapshot = play(config, tmp_path)
    assert snapshot.values["updates"] == 3
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines[0]["rollout/best_x"] > 0
    assert (tmp_path / "agent.safetensors").exists()
