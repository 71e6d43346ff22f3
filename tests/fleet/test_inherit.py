"""A run that goes on from another's checkpoint."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import filelock
import pytest
import torch
from tests.support.commands import run as command

from warpzone.errors import CheckpointError, RunError
from warpzone.fleet import inherit
from warpzone.training import TrainConfig, resolve, train
from warpzone.training.agent_file import load_agent
from warpzone.training.checkpoint import Checkpoints, Snapshot
from warpzone.training.run_directory import RunDirectory
from warpzone.training.run_settings import LOCK, begun_with, read_config

BATCH = 4 * 16


def small(seed: int, steps: int, **changes: object) -> TrainConfig:
    return resolve(
        num_envs=4, rollout_steps=16, minibatch_size=32, eval_episodes=2, eval_every=1000,
        network={"hidden": [8]}, env={"no_progress_steps": 20}, target_clear_rate=None,
        checkpoint_every=2, total_steps=steps, threads=1, seed=seed, **changes,
    )  # fmt: skip


@pytest.fixture(scope="module")
def donor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "donor"
    train(small(1, 6 * BATCH), out)
    return out


def steps_of(path: Path) -> list[int]:
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [line["step"] for line in lines if "rollout/clear_rate" in line]


@pytest.mark.parametrize("own", [4, 9])
def test_a_run_goes_on_from_the_others_state_as_its_own(
    donor: Path, tmp_path: Path, own: int
) -> None:
    heir, between = tmp_path / "heir", tmp_path / "between"
    between.mkdir()
    train(small(2, own * BATCH), heir)
    config = small(2, 12 * BATCH, lr=1e-30)
    assert inherit.hand_over(donor, between).step == 6 * BATCH == inherit.newest_step(donor)
    assert not inherit.has_inherited(heir, config, "once")
    with inherit.alone_in(heir, 1):
        inherit.take_over(between, heir, config, "once")
    assert inherit.has_inherited(heir, config, "once")
    assert not inherit.has_inherited(heir, config, "twice")
    assert inherit.newest_step(heir) == 6 * BATCH
    assert len(list((heir / "checkpoints").iterdir())) == 1

    train(config, heir, resume=True)
    # With a learning rate of next to nothing the weights stay those of the other run.
    newest = Snapshot.read(Checkpoints(heir / "checkpoints", 3).paths()[-1])
    theirs = Snapshot.read(Checkpoints(donor / "checkpoints", 3).paths()[-1])
    assert newest.values["step"] == 12 * BATCH
    for name, weights in theirs.weights.items():
        assert torch.equal(newest.weights[name], weights)
    # Its own curve until then, without what it did after that step; and it goes on from there.
    kept = [n * BATCH for n in range(1, min(own, 6) + 1)]
    assert steps_of(heir) == kept + [n * BATCH for n in range(7, 13)]
    changes = [json.loads(line) for line in (heir / "changes.jsonl").read_text().splitlines()]
    assert changes[0]["inherited"] == {"run": "donor", "step": 6 * BATCH, "id": "once"}
    assert changes[1]["settings"]["lr"] == [small(2, BATCH).lr, 1e-30]
    told = load_agent(heir / "agent.safetensors")[1].command
    assert f"from step {6 * BATCH} on the state of donor at its step {6 * BATCH}" in str(told)
    assert command("report", heir, "-o", tmp_path / "report.html").exit_code == 0


def test_what_it_began_with_is_known_after_it_goes_on_from_an_earlier_step(
    donor: Path, tmp_path: Path
) -> None:
    heir, between = tmp_path / "heir", tmp_path / "between"
    between.mkdir()
    began, later = small(2, 8 * BATCH, lr=0.001), {"lr": 0.002, "entropy_coef": 0.02}
    train(began, heir)
    train(began.model_copy(update={**later, "total_steps": 9 * BATCH}), heir, resume=True)
    inherit.hand_over(donor, between)
    config = began.model_copy(update={**later, "total_steps": 9 * BATCH})
    inherit.take_over(between, heir, config, "once")

    def known(lr: float) -> None:
        changes = RunDirectory(heir, config).changes()
        assert all(change.step <= 6 * BATCH for change in changes)
        saved = read_config(heir)
        assert (saved.lr, saved.entropy_coef) == (lr, 0.02)
        begun = begun_with(saved, changes)
        assert begun.model_copy(update={"total_steps": 8 * BATCH}) == began

    known(0.002)
    changed = config.model_copy(update={"lr": 0.003})
    run = RunDirectory(heir, changed)
    change = run.log_changes(6 * BATCH)
    assert change is not None
    assert change.settings == {"lr": (0.002, 0.003)}
    run.open()
    known(0.003)


def test_the_better_of_two_best_agents_stays(donor: Path, tmp_path: Path) -> None:
    def with_best(path: Path, best: float | None) -> None:
        newest = Checkpoints(path / "checkpoints", 3).paths()[-1]
        snapshot = Snapshot.read(newest)
        judge = {**snapshot.values["judge"], "best": best}
        newest.write_bytes(Snapshot(snapshot.tensors, {**snapshot.values, "judge": judge}).pack())

    for ours, theirs, kept in ((0.25, 0.5, "theirs"), (0.5, 0.25, "ours"), (None, None, "ours")):
        place = tmp_path / f"{ours}-{theirs}"
        heir, between = place / "heir", place / "between"
        between.mkdir(parents=True)
        train(small(2, 2 * BATCH), heir)
        with_best(heir, ours)
        inherit.hand_over(donor, between)
        snapshot = Snapshot.read(between / inherit.CHECKPOINT)
        judge = {**snapshot.values["judge"], "best": theirs}
        packed = Snapshot(snapshot.tensors, {**snapshot.values, "judge": judge}).pack()
        (between / inherit.CHECKPOINT).write_bytes(packed)
        (between / inherit.AGENT).write_bytes(b"theirs")
        (heir / inherit.AGENT).write_bytes(b"ours")
        inherit.take_over(between, heir, small(2, 12 * BATCH), "once")
        newest = Snapshot.read(Checkpoints(heir / "checkpoints", 3).paths()[-1])
        best = [rate for rate in (ours, theirs) if rate is not None]
        assert newest.values["judge"]["best"] == max(best, default=None)
        assert (heir / inherit.AGENT).read_bytes() == kept.encode()


def test_what_is_damaged_leaves_the_run_as_it_was(donor: Path, tmp_path: Path) -> None:
    heir, between = tmp_path / "heir", tmp_path / "between"
    between.mkdir()
    config = small(2, 2 * BATCH)
    train(config, heir)
    before = {file: file.read_bytes() for file in sorted(heir.rglob("*")) if file.is_file()}
    with pytest.raises(CheckpointError, match="cannot read"):
        inherit.take_over(between, heir, config, "once")
    inherit.hand_over(donor, between)
    data = (between / inherit.CHECKPOINT).read_bytes()
    (between / inherit.CHECKPOINT).write_bytes(data[:-1])
    with pytest.raises(CheckpointError, match="damaged"):
        inherit.take_over(between, heir, config, "once")
    whole = Snapshot.unpack(data, "it")
    wrong: list[object] = [None, [], "best", {}, {"measured_at": 1, "best": "0.5"}]
    for judge in wrong:
        other = Snapshot(whole.tensors, {**whole.values, "judge": judge})
        (between / inherit.CHECKPOINT).write_bytes(other.pack())
        with pytest.raises(CheckpointError, match="what it tells of measurements is wrong"):
            inherit.take_over(between, heir, config, "once")
    assert before == {f: f.read_bytes() for f in sorted(heir.rglob("*")) if f.is_file()}
    with pytest.raises(CheckpointError, match="no checkpoint yet"):
        inherit.hand_over(tmp_path / "nothing", between)


def test_who_trains_is_waited_for(tmp_path: Path) -> None:
    lock = filelock.FileLock(tmp_path / LOCK, thread_local=False)
    lock.acquire()
    with pytest.raises(RunError, match="another process trains"), inherit.alone_in(tmp_path, 0.05):
        pass
    timer = threading.Timer(0.2, lock.release)
    timer.start()
    with inherit.alone_in(tmp_path, 10):
        assert not lock.is_locked
    timer.join()


def test_lines_up_to_a_step(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    assert inherit.bytes_until(file, 5) == 0
    assert inherit.last_line(file) == {}
    lines = [json.dumps({"step": n, "rollout/clear_rate": n / 10}) + "\n" for n in range(1, 6)]
    lines.insert(3, json.dumps({"step": 3, "eval/clear_rate": 0.5}) + "\n")
    file.write_text("".join(lines) + '{"step": 6, "roll')
    assert inherit.bytes_until(file, 3) == len("".join(lines[:4]))
    assert inherit.bytes_until(file, 100) == len("".join(lines))
    assert inherit.last_line(file)["step"] == 5
    assert inherit.last_line(file, 3) == {"step": 3, "rollout/clear_rate": 0.3}
