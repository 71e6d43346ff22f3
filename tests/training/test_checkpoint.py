from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from warpzone.errors import AgentError, CheckpointError
from warpzone.files import write_atomically
from warpzone.ppo.policy import Policy, Shapes
from warpzone.smb.config import EnvConfig
from warpzone.training.checkpoint import (
    AgentInfo,
    Checkpoints,
    Snapshot,
    load_agent,
    save_agent,
)
from warpzone.training.config import NetworkConfig

SHAPES: Shapes = {"scalars": (2,), "tiles": (3, 2, 2)}


def snapshot(step: int) -> Snapshot:
    tensors = {"policy.w": torch.full((3, 2), float(step)), "games": torch.arange(9).byte()}
    return Snapshot(tensors, {"step": step, "beta": 0.1 + 0.2, "stats": {"1-1": [[True, 5]]}})


def test_a_snapshot_comes_back_bit_for_bit() -> None:
    written = snapshot(7)
    read = Snapshot.unpack(written.pack(), "it")
    assert read.values == written.values
    assert read.tensors.keys() == written.tensors.keys()
    for name, tensor in written.tensors.items():
        assert read.tensors[name].dtype == tensor.dtype
        assert torch.equal(read.tensors[name], tensor)
    assert torch.equal(read.weights["w"], written.tensors["policy.w"])


def test_the_last_three_are_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=3)
    for step in (100, 200, 1_000, 20_000):
        checkpoints.save(snapshot(step))
    assert [path.name for path in checkpoints.paths()] == [
        "step-000000000200.ckpt",
        "step-000000001000.ckpt",
        "step-000000020000.ckpt",
    ]
    newest = checkpoints.newest(pytest.fail)
    assert newest is not None
    assert newest.values["step"] == 20_000


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    if how == "truncated":
        data = data[: len(data) // 2]
    elif how == "empty":
        data = b""
    elif how == "flipped":
        data = data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]
    else:
        data = b"\x80\x04." + data
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["truncated", "empty", "flipped", "foreign"])
def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(tmp_path: Path, how: str) -> None:
    checkpoints = Checkpoints(tmp_path, keep=3)
    for step in (1, 2):
        checkpoints.save(snapshot(step))
    damage(checkpoints.paths()[-1], how)
    warnings: list[str] = []
    found = checkpoints.newest(warnings.append)
    assert found is not None
    assert found.values["step"] == 1
    assert len(warnings) == 1
    assert "step-000000000002.ckpt" in warnings[0]
    damage(checkpoints.paths()[0], how)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        checkpoints.newest(warnings.append)


def test_no_checkpoint_at_all(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "none", keep=3).newest(pytest.fail) is None


def test_a_full_disk_leaves_what_was_saved_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_on_a_full_disk_the_oldest_checkpoint_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = Checkpoints(tmp_path, keep=3)
    for step in (1, 2, 3):
        checkpoints.save(snapshot(step))
    real = os.fsync
    present: list[int] = []

    def nearly_full(descriptor: int) -> None:
        present.append(len(checkpoints.paths()))
        if present == [3]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", nearly_full)
    checkpoints.save(snapshot(4))
    assert present[:2] == [3, 2]
    assert [int(path.stem[5:]) for path in checkpoints.paths()] == [2, 3, 4]


def agent(tmp_path: Path, **changes: Any) -> Path:
    torch.manual_seed(0)
    network = NetworkConfig(hidden=(8,))
    info = AgentInfo(
        env=EnvConfig(levels={"1-2": 1.0}),
        network=network,
        shapes=SHAPES,
        actions=4,
        preset="tiles",
        seed=1,
        steps=2,
        **changes,
    )
    path = tmp_path / "agent.safetensors"
    save_agent(path, Policy(network, SHAPES, 4).state_dict(), info)
    return path


def test_an_agent_acts_after_loading_as_before_saving(tmp_path: Path) -> None:
    path = agent(tmp_path, clear_rate=0.75)
    torch.manual_seed(0)
    original = Policy(NetworkConfig(hidden=(8,)), SHAPES, 4)
    loaded, info = load_agent(path)
    observation = {
        "scalars": torch.randn(5, 2),
        "tiles": torch.randint(0, 256, (5, 3, 2, 2), dtype=torch.uint8),
    }
    for ours, theirs in zip(loaded(observation), original(observation), strict=True):
        assert torch.equal(ours, theirs)
    assert info.env.levels == {"1-2": 1.0}
    assert info.clear_rate == 0.75


def test_errors_of_agents_name_the_file_and_the_fault(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="there is no agent"):
        load_agent(tmp_path / "none.safetensors")
    path = agent(tmp_path, format=99)
    with pytest.raises(AgentError, match="format 99"):
        load_agent(path)
    whole = agent(tmp_path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AgentError, match="not a whole"):
        load_agent(path)
    path.write_bytes(safetensors.torch.save({"a": torch.zeros(1)}))
    with pytest.raises(AgentError, match="not an agent"):
        load_agent(path)
    network = NetworkConfig(hidden=(9,))
    info = load_agent(agent(tmp_path))[1]
    save_agent(path, Policy(network, SHAPES, 4).state_dict(), info)
    with pytest.raises(AgentError, match="own description"):
        load_agent(path)


def test_half_precision_halves_the_file_and_keeps_the_actions(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = NetworkConfig(hidden=(64, 64))
    policy = Policy(network, SHAPES, 4)
    # Logits as far apart as those of a trained policy, not as those of a new one.
    with torch.no_grad():
        policy.heads.weight.mul_(100)
    info = load_agent(agent(tmp_path))[1].model_copy(update={"network": network})
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    save_agent(whole, policy.state_dict(), info)
    save_agent(half, policy.state_dict(), info, half=True)
    tensors = safetensors.torch.load_file(half)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    loaded, read = load_agent(half)
    assert read == info
    assert {tensor.dtype for tensor in loaded.state_dict().values()} == {torch.float32}
    observation = {
        "scalars": torch.randn(2000, 2),
        "tiles": torch.randint(0, 256, (2000, 3, 2, 2), dtype=torch.uint8),
    }
    same = loaded(observation)[0].argmax(1) == policy(observation)[0].argmax(1)
    assert same.float().mean() >= 0.99


def test_files_of_before_agents_told_where_they_come_from(tmp_path: Path) -> None:
    info = load_agent(agent(tmp_path))[1]
    assert (info.seconds, info.threads, info.commit, info.command) == (None, None, None, None)
