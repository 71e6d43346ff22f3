"""A run keeps a few agents of its course: evenly spread, the same after an interruption."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch
from rich.console import Console
from tests.support.toy import corridors, toy_config

from warpzone.errors import FileError
from warpzone.ppo.policy import Shapes
from warpzone.training.agent_file import AgentInfo, load_agent
from warpzone.training.config import TrainConfig
from warpzone.training.milestones import MOST, Milestones
from warpzone.training.networks import make_policy
from warpzone.training.progress import LineDisplay
from warpzone.training.trainer import train

BATCH = 100
CONFIG = toy_config()
SHAPES: Shapes = {"scalars": (3,), "tiles": (2, 2, 2)}
POLICY = make_policy(CONFIG.network, SHAPES, 2)


def add(history: Milestones, step: int) -> None:
    if not history.due(step):
        return
    info = AgentInfo(
        env=CONFIG.env,
        network=CONFIG.network,
        shapes=SHAPES,
        actions=2,
        preset="tiles",
        seed=0,
        steps=step,
    )
    history.add(POLICY.state_dict(), info)


def steps(history: Milestones) -> list[int]:
    return [load_agent(path)[1].steps for path in history.paths()]


def test_few_agents_evenly_spread_however_long_the_run(tmp_path: Path) -> None:
    history = Milestones(tmp_path / "milestones", BATCH)
    add(history, 0)
    assert steps(history) == []
    for update in range(1, 70):
        add(history, update * BATCH)
        kept = steps(history)
        assert len(kept) <= MOST
        assert len(kept) == update or len(kept) > MOST // 2
        assert len({b - a for a, b in zip([0, *kept], kept, strict=False)}) == 1
    assert kept == [8 * BATCH * n for n in range(1, 9)]


def test_what_lies_after_the_point_of_return_is_forgotten(tmp_path: Path) -> None:
    history = Milestones(tmp_path, BATCH)
    for update in range(1, 6):
        add(history, update * BATCH)
    history.forget_after(3 * BATCH)
    assert steps(history) == [100, 200, 300]


def test_agents_are_small_and_play_alike(tmp_path: Path) -> None:
    history = Milestones(tmp_path, BATCH)
    add(history, BATCH)
    policy, _ = load_agent(history.paths()[0])
    for name, tensor in policy.state_dict().items():
        torch.testing.assert_close(tensor, POLICY.state_dict()[name], rtol=1e-3, atol=1e-4)


def run(config: TrainConfig, out: Path, *, resume: bool = False) -> None:
    train(config, out, resume=resume, display=LineDisplay(Console()), make_env=corridors)


@pytest.fixture
def short(tmp_path: Path) -> TrainConfig:
    config = toy_config(total_steps=16 * 32 * 3)
    run(config, tmp_path / "parts")
    return config


def test_a_run_that_was_interrupted_keeps_the_same_agents(
    short: TrainConfig, tmp_path: Path
) -> None:
    longer = toy_config(total_steps=16 * 32 * 11)
    run(longer, tmp_path / "parts", resume=True)
    run(longer, tmp_path / "whole")
    parts, whole = (
        Milestones(tmp_path / name / "milestones", short.batch) for name in ("parts", "whole")
    )
    assert steps(parts) == [2 * short.batch * n for n in range(1, 6)]
    for one, other in zip(parts.paths(), whole.paths(), strict=True):
        ours, theirs = (load_agent(path)[0].state_dict() for path in (one, other))
        assert all(torch.equal(ours[name], theirs[name]) for name in ours), one.name


def test_an_agent_that_cannot_be_deleted_goes_after_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    milestones = Milestones(tmp_path, 1)
    for step in range(1, MOST + 1):
        add(milestones, step)
    unlink = Path.unlink

    def failing(path: Path, missing_ok: bool = False) -> None:
        if path.parent == tmp_path:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", failing)
    add(milestones, MOST + 2)
    assert len(milestones.paths()) == MOST + 1
    with pytest.raises(FileError, match=r"cannot delete .*: Permission denied"):
        milestones.forget_after(MOST)
    monkeypatch.undo()
    add(milestones, MOST + 4)
    assert len(milestones.paths()) == MOST // 2 + 2
