from __future__ import annotations

import errno
import gc
import json
import os
from pathlib import Path

import pytest
import safetensors.torch
import torch

from warpzone.errors import CheckpointError, FileError
from warpzone.files import write_atomically
from warpzone.training import checkpoint
from warpzone.training.checkpoint import LAST, Checkpoints, Snapshot, checked_values


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


@pytest.mark.parametrize("last", [torch.float16, torch.bfloat16])
def test_tensors_are_as_safetensors_writes_them(last: torch.dtype) -> None:
    kinds = [torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool, last]
    tensors = {str(kind): torch.ones(3, 2, dtype=kind) for kind in kinds}
    tensors |= {"one": torch.tensor(3.0), "none": torch.zeros(0, 4)}
    payload = Snapshot(tensors, {"step": 5}).pack().partition(b"\n")[2]
    values = torch.frombuffer(bytearray(b'{"step": 5}'), dtype=torch.uint8)
    assert payload == safetensors.torch.save({**tensors, "values.json": values})


def test_nothing_is_held_of_what_was_packed() -> None:
    def objects() -> int:
        gc.collect()
        return len(gc.get_objects())

    def pack(size: int) -> None:
        Snapshot({"data": torch.zeros(size)}, {"step": 1, "text": "x" * size}).pack()

    pack(1000)
    before = objects()
    for size in range(1001, 1101):
        pack(size)
    assert objects() - before < 100


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
    with pytest.raises(FileError, match="No space left on device"):
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


def failing(monkeypatch: pytest.MonkeyPatch, name: str, times: int, number: int) -> None:
    """Lets a method of paths fail so many times."""
    real, left = getattr(Path, name), [times]

    def once(path: Path, *arguments: object, **named: object) -> object:
        if left[0] > 0:
            left[0] -= 1
            raise OSError(number, os.strerror(number), str(path))
        return real(path, *arguments, **named)

    monkeypatch.setattr(Path, name, once)


def test_on_a_disk_that_fails_no_checkpoint_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (1, 2):
        checkpoints.save(snapshot(step))
    failing(monkeypatch, "replace", 1, errno.EIO)
    checkpoints.save(snapshot(3))  # at the second attempt
    failing(monkeypatch, "replace", 2, errno.EIO)
    with pytest.raises(FileError, match="Input/output error"):
        checkpoints.save(snapshot(4))
    assert [int(path.stem[5:]) for path in checkpoints.paths()] == [2, 3]


def test_a_checkpoint_that_cannot_be_deleted_goes_after_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = Checkpoints(tmp_path, keep=1)
    for step in (0, 1):
        checkpoints.save(snapshot(step))
    for name in ("unlink", "iterdir"):
        failing(monkeypatch, name, 1, errno.EACCES)
        checkpoints.save(snapshot(2))
        monkeypatch.undo()
        assert [int(path.stem[5:]) for path in checkpoints.paths()] == [1, 2]
        checkpoints.save(snapshot(3))
        assert [int(path.stem[5:]) for path in checkpoints.paths()] == [3]
        (tmp_path / "step-000000000003.ckpt").unlink()
        checkpoints.save(snapshot(1))


@pytest.mark.parametrize(("keep", "kept"), [(1, [250]), (2, [200, 250]), (9, [100, 200, 250, 300])])
def test_a_run_that_has_gone_back_deletes_first_what_it_went_back_from(
    tmp_path: Path, keep: int, kept: list[int]
) -> None:
    for step in (100, 200, 300):
        Checkpoints(tmp_path, keep=3).save(snapshot(step))
    (tmp_path / "step-000000000300.ckpt").write_bytes(b"damaged")
    checkpoints = Checkpoints(tmp_path, keep=keep)
    assert checkpoints.save(snapshot(250)).is_file()
    assert [int(path.stem[5:]) for path in checkpoints.paths()] == kept
    found = checkpoints.newest(lambda text: None)
    assert found is not None
    assert found.values["step"] == 250


def test_a_directory_that_cannot_be_read_is_not_one_without_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the run would begin anew and overwrite them."""
    checkpoints = Checkpoints(tmp_path, keep=3)
    checkpoints.save(snapshot(1))
    failing(monkeypatch, "iterdir", 1, errno.EIO)
    with pytest.raises(CheckpointError, match=r"cannot read .*: Input/output error"):
        checkpoints.newest(pytest.fail)
    assert checkpoints.newest(pytest.fail) is not None


def test_a_run_that_has_just_begun_and_one_of_another_format_are_told_apart() -> None:
    assert Snapshot.unpack(snapshot(0).pack(), "it").values["step"] == 0
    other = snapshot(7).pack().replace(b"checkpoint 1 ", b"checkpoint 23 ", 1)
    with pytest.raises(CheckpointError) as raised:
        Snapshot.unpack(other, "it")
    assert str(raised.value) == (
        "it has checkpoint format 23, this warpzone reads format 1; go on with the version that"
        " wrote it"
    )


def test_a_terminal_obeys_nothing_of_what_a_checkpoint_holds(tmp_path: Path) -> None:
    number = b"\x1b[2J" + b"9" * 500
    other = snapshot(7).pack().replace(b"checkpoint 1 ", b"checkpoint " + number + b" ", 1)
    with pytest.raises(CheckpointError, match=r"it has checkpoint format \\x1b\[2J9{70,80}…, this"):
        Snapshot.unpack(other, "it")
    checkpoints = Checkpoints(tmp_path, keep=3)
    saved = snapshot(1)
    saved.values["version"] = "\x1b[31m" + "9" * 500
    checkpoints.save(saved)
    with pytest.raises(CheckpointError) as raised:
        checkpoints.restore(lambda found: found.values["\x1b[2J" * 100], pytest.fail)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 700 + len(str(tmp_path)) * 2


def test_what_does_not_fit_is_told_of_the_newest_in_one_line(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=3)
    for step in (1, 2):
        checkpoints.save(snapshot(step))
    warnings: list[str] = []

    def refuse(found: Snapshot) -> None:
        raise ValueError(f"of step {found.values['step']}\n  and " + 500 * "x" + ".")

    with pytest.raises(
        CheckpointError, match=r"cannot go on from step 2 in .*: of step 2 and x"
    ) as e:
        checkpoints.restore(refuse, warnings.append)
    assert f"{'x' * (400 - len('of step 2 and '))}…. It was written by" in str(e.value)
    (warning,) = warnings
    assert warning.endswith("; trying the one before")

    def lacks(found: Snapshot) -> None:
        raise KeyError("games")

    with pytest.raises(CheckpointError, match="there is no 'games' in it"):
        checkpoints.restore(lacks, warnings.append)

    def exact(found: Snapshot) -> None:
        raise ValueError(400 * "y" + ".")

    with pytest.raises(CheckpointError, match=r": y{400}[.] It was"):
        checkpoints.restore(exact, warnings.append)


def test_moments_are_those_of_adam_and_of_the_shape_of_their_parameter() -> None:
    parameter = torch.zeros(3, 2)
    names = {"step": torch.tensor(4.0), "exp_avg": parameter + 1, "exp_avg_sq": parameter + 2}
    tensors = {f"adam.0.{name}": tensor for name, tensor in names.items()}
    found = Snapshot(tensors, {"updates": 1}).moments([parameter])
    assert found.keys() == {0}
    assert found[0].keys() == names.keys()
    for name, tensor in names.items():
        assert torch.equal(found[0][name], tensor)
    assert Snapshot(tensors, {"updates": 0}).moments([parameter]) == {}
    wrong = {**tensors, "adam.0.exp_avg": torch.zeros(2, 3)}
    with pytest.raises(
        ValueError, match=r"adam.0.exp_avg is torch.float32 \(2, 3\), not floats \(3, 2\)"
    ):
        Snapshot(wrong, {"updates": 1}).moments([parameter])
    with pytest.raises(ValueError, match=r"adam.0.step is torch.int64"):
        Snapshot({**tensors, "adam.0.step": torch.tensor(4)}, {"updates": 1}).moments([parameter])
    for name in names:
        lacking = {key: value for key, value in tensors.items() if key != f"adam.0.{name}"}
        with pytest.raises(KeyError, match=f"adam.0.{name}"):
            Snapshot(lacking, {"updates": 1}).moments([parameter])


@pytest.mark.parametrize("step", [-1, LAST + 1, 1.0, True, "7", None, [7]])
def test_a_step_that_is_none_is_told(step: object) -> None:
    written = snapshot(7)
    data = Snapshot(written.tensors, {**written.values, "step": step}).pack()
    with pytest.raises(CheckpointError) as raised:
        Snapshot.unpack(data, "it")
    assert str(raised.value) == f"it is damaged: its step is {step!r}"


def test_one_too_large_to_be_read_again_says_what_makes_it_smaller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = snapshot(12_000)
    size = len(json.dumps(written.values)) + sum(
        tensor.nbytes + len(name) + 128 for name, tensor in written.tensors.items()
    )
    monkeypatch.setattr(checkpoint, "LARGEST", size)
    written.pack()
    written.tensors["policy.w"] = torch.zeros(500_000)
    with pytest.raises(CheckpointError) as raised:
        written.pack()
    assert str(raised.value) == (
        "the checkpoint of step 12,000 would have 2.0 MB, and one of more than 0.0 MB cannot be"
        " read again: go on from the one before with a lower practice.share, or begin another run"
        " with a smaller network, fewer games (num_envs), practice.moments or corrections.kept"
    )


def test_what_is_missing_is_told_by_its_name(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=3)
    checkpoints.save(snapshot(1))

    def take(found: Snapshot) -> None:
        checked_values(found)

    with pytest.raises(CheckpointError, match=r"from step 1 in .*: there is no 'updates' in it"):
        checkpoints.restore(take, pytest.fail)
