"""Run directories that were damaged, hostile or in use: one clear error, and nothing destroyed."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from tests.support.toy import toy_config
from tests.training.test_trainer import BATCH, CHILD, ROOT, Log, newest, play

from warpzone.errors import (
    AgentError,
    CheckpointError,
    ConfigError,
    EpisodeError,
    FileError,
    RunError,
    TrainingError,
)
from warpzone.smb.config import EnvConfig
from warpzone.training import trainer
from warpzone.training.checkpoint import Checkpoints, Snapshot
from warpzone.training.config import CurriculumConfig, TrainConfig
from warpzone.training.learner import Learner
from warpzone.training.metrics import MetricsWriter
from warpzone.training.run_directory import RunDirectory
from warpzone.training.run_settings import check_directory, read_config

LONGER = {"total_steps": 8 * BATCH}
CURRICULUM: dict[str, Any] = {
    "env": EnvConfig(start_steps=4),
    "curriculum": CurriculumConfig(share=0.6),
}
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs files of POSIX")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a curriculum that has ended, with checkpoints of updates 2, 4 and 6."""
    run = tmp_path_factory.mktemp("damage") / "run"
    play(toy_config(**CURRICULUM), run)
    return run


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def contents(run: Path) -> dict[str, bytes]:
    names = {path.relative_to(run).as_posix(): path for path in run.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in sorted(names.items())
        if not name.startswith((".lock", "events."))
    }


def go_on(run: Path, log: Log | None = None, **changes: Any) -> Any:
    return play(toy_config(**{**CURRICULUM, **LONGER, **changes}), run, log, resume=True)


# Checkpoints that were edited and summed anew


def without(name: str) -> Callable[[dict[str, Any]], None]:
    def change(values: dict[str, Any]) -> None:
        *path, last = name.split(".")
        for part in path:
            values = values[part]
        del values[last]

    return change


def put(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(values: dict[str, Any]) -> None:
        *path, last = name.split(".")
        for part in path:
            values = values[part]
        values[last] = value

    return change


NAMES = ["updates", "seconds", "beta", "lr_scale", "stats", "curriculum", "judge", "metrics_bytes"]
VALUE_DAMAGE = {
    **{f"no {name}": without(name) for name in NAMES},
    **{f"{name} is text": put(name, "many") for name in NAMES},
    **{f"{name} is a list": put(name, [1]) for name in [*NAMES, "ends_bytes", "version"]},
    **{
        f"{name} is {value}": put(name, value)
        for name in ("updates", "metrics_bytes", "ends_bytes", "judge.measured_at")
        for value in (-1, 1.5, True, None, 10**30)
    },
    **{
        f"{name} is {value}": put(name, value)
        for name in ("seconds", "beta", "lr_scale")
        for value in (math.nan, math.inf, -1.0, None)
    },
    "best of 5": put("judge.best", 5.0),
    "other levels": put("stats.recent", {"8-4": []}),
    "episodes of the wrong form": put("stats.recent", {"1-1": [[True, 5]]}),
    "episodes of the wrong type": put("stats.recent", {"1-1": [["a", "b", "c", "d"]]}),
    "no hexadecimal digits": put("curriculum.ways", {"1-1": "xyz"}),
    "a way of another level": put("curriculum.ways", {"8-4": "00"}),
    "too few rates": put("curriculum.rates", [0.5] * 99),
    "rates beyond 1": put("curriculum.rates", [7.0]),
    "no ways": without("curriculum.ways"),
    "curriculum is text": put("curriculum", "none"),
}


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    snapshot = Snapshot.read(path)
    values = json.loads(json.dumps(snapshot.values))
    change(values)
    path.write_bytes(Snapshot(snapshot.tensors, values).pack())


@pytest.mark.parametrize("how", VALUE_DAMAGE)
def test_values_that_make_no_sense_give_way_to_the_checkpoint_before(run: Path, how: str) -> None:
    paths = Checkpoints(run / "checkpoints", 3).paths()
    rewrite(paths[-1], VALUE_DAMAGE[how])
    log = Log()
    assert go_on(run, log, total_steps=6 * BATCH + 1).steps == 7 * BATCH
    assert log.text.count("trying the one before") == 1
    assert f"cannot go on from step {6 * BATCH:,}" in log.text
    assert f"going on from step {4 * BATCH:,}" in log.text


def tensor(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(tensors: dict[str, Any]) -> None:
        found = next(key for key in tensors if key.startswith(name))
        if value is None:
            del tensors[found]
        else:
            tensors[found] = value(tensors[found]) if callable(value) else value

    return change


TENSOR_DAMAGE = {
    "no first moment": tensor("adam.0.exp_avg", None),
    "no second moment": tensor("adam.1.exp_avg_sq", None),
    "no count of steps": tensor("adam.0.step", None),
    "moments of one number": tensor("adam.0.exp_avg", torch.zeros(1)),
    "moments that are transposed": tensor("adam.0.exp_avg", lambda old: old.T.contiguous()),
    "moments of integers": tensor("adam.0.exp_avg", lambda old: old.long()),
    "a step of two numbers": tensor("adam.0.step", torch.zeros(2)),
    "weights of another shape": tensor("policy.", torch.zeros(3)),
    "no weights": tensor("policy.", None),
    "no games": tensor("games", None),
    "games cut short": tensor("games", lambda old: old[:40].clone()),
    "no games but numbers": tensor("games", torch.zeros(9)),
    "no random state": tensor("shuffling", None),
    "a random state of another size": tensor("shuffling", lambda old: old[:9].clone()),
    "a random state of floats": tensor("shuffling", torch.zeros(9)),
}


@pytest.mark.parametrize("how", TENSOR_DAMAGE)
def test_tensors_that_do_not_fit_give_way_to_the_checkpoint_before(run: Path, how: str) -> None:
    path = Checkpoints(run / "checkpoints", 3).paths()[-1]
    snapshot = Snapshot.read(path)
    tensors = dict(snapshot.tensors)
    TENSOR_DAMAGE[how](tensors)
    path.write_bytes(Snapshot(tensors, snapshot.values).pack())
    log = Log()
    assert go_on(run, log, total_steps=6 * BATCH + 1).steps == 7 * BATCH
    assert f"cannot go on from step {6 * BATCH:,}" in log.text
    assert f"going on from step {4 * BATCH:,}" in log.text


def sealed(payload: bytes) -> bytes:
    import hashlib

    digest = hashlib.sha256(payload).hexdigest().encode()
    return b"warpzone checkpoint 1 " + digest + b"\n" + payload


def holding(text: bytes, **others: torch.Tensor) -> bytes:
    values = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    return sealed(safetensors.torch.save({"values.json": values, **others}))


FILE_DAMAGE = {
    "no payload": sealed(b""),
    "a payload of a few bytes": sealed(b"abc"),
    "a header of 2^60 bytes": sealed((1 << 60).to_bytes(8, "little") + b"{}"),
    "a header that is no JSON": sealed((4).to_bytes(8, "little") + b"{{{{"),
    "a header of a wrong type": sealed((2).to_bytes(8, "little") + b"[]"),
    "nothing in it": sealed(safetensors.torch.save({})),
    "no values": sealed(safetensors.torch.save({"a": torch.zeros(1)})),
    "values of floats": sealed(safetensors.torch.save({"values.json": torch.zeros(3)})),
    "values that are no JSON": holding(b"{"),
    "values that are no object": holding(b"[1]"),
    "values that are a number": holding(b"1"),
    "values nested 100,000 deep": holding(b"[" * 100_000),
    "values nested 100,000 deep in an object": holding(b'{"step":' * 100_000),
    "values that are not UTF-8": holding(b'{"step": "\xff"}'),
    "no step": holding(b"{}"),
    "a step that is text": holding(b'{"step": "1"}'),
    "a step below 0": holding(b'{"step": -1}'),
    "a step beyond 64 bits": holding(b'{"step": 1' + b"0" * 30 + b"}"),
    "a step of 5,000 digits": holding(b'{"step": 1' + b"0" * 5_000 + b"}"),
}


@pytest.mark.parametrize("how", FILE_DAMAGE)
def test_files_that_are_no_checkpoints(tmp_path: Path, how: str) -> None:
    path = tmp_path / "step-000000000001.ckpt"
    path.write_bytes(FILE_DAMAGE[how])
    with pytest.raises(CheckpointError, match="is damaged") as caught:
        Snapshot.read(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 800
    with pytest.raises(CheckpointError, match="no checkpoint in"):
        Checkpoints(tmp_path, 3).newest(pytest.fail)


@POSIX
@pytest.mark.timeout(60)
@pytest.mark.parametrize("what", ["pipe", "folder", "endless", "too large"])
def test_what_is_no_file_gives_way_to_the_checkpoint_before(run: Path, what: str) -> None:
    path = Checkpoints(run / "checkpoints", 3).paths()[-1]
    if what == "too large":
        os.truncate(path, 20 << 30)  # of which nothing is on the disk
    else:
        path.unlink()
        if what == "pipe":
            os.mkfifo(path)
        elif what == "folder":
            path.mkdir()
        else:
            path.symlink_to("/dev/zero")
    log = Log()
    found = Checkpoints(run / "checkpoints", 3).newest(log.display.log)
    assert found is not None
    assert found.values["step"] == 4 * BATCH
    assert "cannot read" in log.text


@POSIX
@pytest.mark.timeout(60)
def test_files_of_other_names_are_left_alone(run: Path) -> None:
    names = [
        "milestones/step-abc.safetensors",
        "checkpoints/step-abc.ckpt",
        "checkpoints/step-.ckpt",
    ]
    for name in names:
        (run / name).write_bytes(b"")
    os.mkfifo(run / "milestones" / "step-1.safetensors")
    assert go_on(run).steps == 8 * BATCH
    assert all((run / name).exists() for name in names)


@POSIX
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "name", ["config.json", "status.json", "changes.jsonl", "metrics.jsonl", "best.safetensors"]
)
def test_documents_that_are_no_files(run: Path, name: str) -> None:
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    before = contents(run)
    if name == "config.json":
        with pytest.raises(CheckpointError, match=r"config\.json: it is a pipe, not a file"):
            read_config(run)
    with pytest.raises(CheckpointError, match=rf"{name}.* is not a file"):
        go_on(run, lr=0.5)
    assert contents(run) == before


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{", b"[" * 200_000, b"\xff", b'{"env": 5}', b'{"env": {"levels": 5}}']
)
def test_settings_that_make_no_sense(run: Path, text: bytes) -> None:
    (run / "config.json").write_bytes(text)
    with pytest.raises(CheckpointError, match=r"cannot read .*config\.json"):
        read_config(run)


@POSIX
@pytest.mark.timeout(60)
@pytest.mark.parametrize("what", ["pipe", "endless", "too large"])
def test_what_a_run_begins_with_are_files_up_to_a_size(tmp_path: Path, what: str) -> None:
    agent, episode = tmp_path / "agent.safetensors", tmp_path / "game.json"
    for path in (agent, episode):
        if what == "pipe":
            os.mkfifo(path)
        elif what == "endless":
            path.symlink_to("/dev/zero")
        else:
            path.write_bytes(b"")
            os.truncate(path, 20 << 30)  # of which nothing is on the disk
    reason = "at most" if what == "too large" else "not a file|neither a file"
    curriculum = CurriculumConfig(share=0.5, demonstrations=({"file": str(episode)},))
    for changes, kind in (
        ({"init": str(agent)}, AgentError),
        ({"distillation_policies": {"1-1": str(agent)}}, AgentError),
        ({"env": EnvConfig(start_steps=4), "curriculum": curriculum}, EpisodeError),
    ):
        with pytest.raises(kind, match=reason):
            play(toy_config(**changes), tmp_path / "run")
        assert not (tmp_path / "run").exists()


# Going on where something is missing


@pytest.mark.parametrize("emptied", [True, False])
def test_without_checkpoints_a_run_is_not_begun_anew(run: Path, emptied: bool) -> None:
    shutil.rmtree(run / "checkpoints")
    if emptied:
        (run / "checkpoints").mkdir()
    before = contents(run)
    with pytest.raises(CheckpointError, match=r"no checkpoint to go on from.*--set init=\S*best"):
        go_on(run)
    assert contents(run) == before


@pytest.mark.parametrize(
    "name", ["metrics.jsonl", "agent.safetensors", "best.safetensors", "milestones"]
)
def test_whatever_a_run_has_written_counts(run: Path, tmp_path: Path, name: str) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for kept in ("config.json", name):
        copy = shutil.copytree if (run / kept).is_dir() else shutil.copy
        copy(run / kept, other / kept)
    with pytest.raises(
        CheckpointError, match=f"has {name[:9]}.*no checkpoint to go on from|has step"
    ):
        go_on(other)
    (other / "config.json").unlink()
    before = contents(other)
    for resume in (True, False):
        with pytest.raises(CheckpointError, match=r"but no config\.json"):
            play(toy_config(**CURRICULUM), other, resume=resume)
    assert contents(other) == before


def test_a_run_killed_before_its_first_update_goes_on(tmp_path: Path) -> None:
    log = Log()
    program = CHILD.replace("from warpzone.training import train", KILLED_AT_ONCE)
    child = subprocess.run([sys.executable, "-c", program, str(ROOT), str(tmp_path)], check=False)
    assert child.returncode == -signal.SIGKILL
    assert (tmp_path / "metrics.jsonl").stat().st_size > 0
    play(toy_config(), tmp_path, log, resume=True)
    assert "going on from step 0" in log.text
    first = Checkpoints(tmp_path / "checkpoints", 3).paths()[0]
    assert first.name == f"step-{2 * BATCH:012d}.ckpt"


KILLED_AT_ONCE = """
import os, signal
from warpzone.training import train
from warpzone.training.metrics import MetricsWriter
write = MetricsWriter.write
def killed(self, step, metrics):
    write(self, step, metrics)
    os.kill(os.getpid(), signal.SIGKILL)
MetricsWriter.write = killed
"""


def test_a_finished_run_answers_at_once(run: Path) -> None:
    before, log = contents(run), Log()

    def no_games(*_: Any) -> Any:
        raise AssertionError("games are made")

    result = play(toy_config(**CURRICULUM), run, log, resume=True, make_env=no_games)
    assert contents(run) == before
    assert "is finished: 3,072 steps" in log.text
    assert "--steps N" in log.text
    assert result.steps == 6 * BATCH
    assert result.measured["1-1"].episodes == 20
    assert result.best_clear_rate == json.loads(before["status.json"])["best_clear_rate"]


def test_a_run_that_reached_its_target_answers_at_once(tmp_path: Path) -> None:
    config = toy_config(total_steps=BATCH * 300, target_clear_rate=0.5, eval_every=1)
    steps = play(config, tmp_path).steps
    log = Log()
    assert play(config, tmp_path, log, resume=True).steps == steps
    assert "is finished" in log.text
    further = config.model_copy(update={"target_clear_rate": None, "total_steps": steps + BATCH})
    assert play(further, tmp_path, resume=True).steps == steps + BATCH


def test_old_names_of_files_are_understood_and_given_up(run: Path) -> None:
    (run / "milestones").rename(run / "history")
    (run / "episode_ends.jsonl").write_text("{}\n")
    (run / "episode_ends.jsonl").rename(run / "ends.jsonl")
    kept = [path.name for path in (run / "history").iterdir()]
    directory = RunDirectory(run, read_config(run))
    assert sorted(path.name for path in directory.milestones.paths()) == sorted(kept)
    go_on(run)
    assert not (run / "history").exists()
    assert not (run / "ends.jsonl").exists()
    assert set(kept) <= {path.name for path in (run / "milestones").iterdir()}


# Going on with other settings


def test_what_may_change_changes_and_is_written_down(run: Path) -> None:
    log = Log()
    changes = {"lr": 1e-4, "entropy_coef": 0.5, "schedule": "linear", "threads": 2}
    assert go_on(run, log, **changes).steps == 8 * BATCH
    assert "--set lr=0.0001" in log.text
    assert read_config(run).lr == 1e-4
    (line,) = (run / "changes.jsonl").read_text().splitlines()
    told = json.loads(line)
    assert told["step"] == 6 * BATCH
    assert told["settings"]["lr"] == [0.002, 0.0001]
    assert told["settings"]["schedule"] == ["constant", "linear"]
    assert told["settings"]["total_steps"] == [6 * BATCH, 8 * BATCH]
    rows = [json.loads(row) for row in (run / "metrics.jsonl").read_text().splitlines()]
    rates = {row["step"]: row["charts/learning_rate"] for row in rows if "losses/entropy" in row}
    assert rates[6 * BATCH] == 0.002
    assert rates[7 * BATCH] < 1e-4


def test_an_agent_tells_what_was_changed_on_its_way(run: Path) -> None:
    from warpzone.training.agent_file import load_agent

    go_on(run, lr=1e-4)
    command = load_agent(run / "agent.safetensors")[1].command
    assert command is not None
    line, _, comment = command.partition("  # ")
    assert "lr=" not in line, "the preset's own"
    assert f"--steps {6 * BATCH}" in line
    assert f"from step {6 * BATCH} on" in comment
    assert "--set lr=0.0001" in comment


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seed": 5}, "seed: 0 then, 5 now: random numbers go on"),
        ({"num_envs": 8}, "num_envs: 16 then, 8 now: a checkpoint holds that many games"),
        ({"rollout_steps": 64}, "rollout_steps: 32 then, 64 now: updates are counted"),
        ({"gamma": 0.9}, r"gamma: 0\.97 then, 0\.9 now: the critic has learnt"),
        ({"network": {"hidden": (8,)}}, r"network\.hidden: .*: the weights in the checkpoints"),
        ({"env": EnvConfig(start_steps=4, frame_skip=2)}, r"env\.frame_skip: 4 then, 2 now: "),
        ({"init": "1-1"}, "init: None then, '1-1' now: the weights have gone on"),
        ({"preset": "pixels"}, "preset: 'tiles' then, 'pixels' now: it only says"),
    ],
)
def test_what_may_not_change_says_why(run: Path, changes: dict[str, Any], reason: str) -> None:
    before = contents(run)
    with pytest.raises(ConfigError, match=reason):
        go_on(run, **changes)
    assert contents(run) == before


def test_every_reason_is_about_a_setting() -> None:
    from warpzone.settings import setting_names
    from warpzone.training.run_settings import FIXED

    assert set(FIXED) <= set(setting_names(TrainConfig))


# One training at a time


@contextmanager
def training_elsewhere(out: Path) -> Iterator[subprocess.Popen[bytes]]:
    program = CHILD.replace("train(toy_config()", "train(toy_config(total_steps=10**9)")
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(ROOT), str(out)], stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while not [*out.glob("checkpoints/step-*[1-9]*.ckpt")] and time.monotonic() < deadline:
            time.sleep(0.02)
        yield child
    finally:
        child.kill()
        child.wait()


def test_a_second_training_is_refused_with_the_process_of_the_first(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with training_elsewhere(out) as child:
        for resume in (True, False):
            with pytest.raises(RunError) as caught:
                play(toy_config(), out, resume=resume)
            assert f"process {child.pid} on {socket.gethostname()!r} trains in" in str(caught.value)
        child.kill()
        child.wait()
        # However it ended, nobody holds the directory any more.
        config = toy_config(total_steps=newest(out).values["step"] + BATCH)
        assert play(config, out, resume=True).steps == config.total_steps
    assert not (out / ".lock.json").exists()


def test_leftovers_of_killed_writes_are_removed_by_whoever_trains(run: Path) -> None:
    leftovers = [
        "checkpoints/.step-000000000512.ckpt-a1b2c3d4",
        "checkpoints/.step-000000000512.ckpt-a1b2c3d4.part.ckpt",
        "milestones/.step-000000000512.safetensors-0123abcd.part.safetensors",
        ".agent.safetensors-0123abcd.part.safetensors",
        ".status.json-xyz_0123",
    ]
    for name in leftovers:
        (run / name).write_bytes(bytes(1000))
    (run / ".mine").write_bytes(b"")
    go_on(run)
    assert not [name for name in leftovers if (run / name).exists()]
    assert (run / ".mine").exists()


@POSIX
@pytest.mark.parametrize("name", ["x" * 256, "a/b/" + "x" * 256, "file/run", "file"])
def test_a_directory_that_cannot_be_made_leaves_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot write a run to"):
        play(toy_config(), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_run_that_is_refused_leaves_no_directory(tmp_path: Path) -> None:
    def no_games(*_: Any) -> Any:
        raise ConfigError("no such games")

    with pytest.raises(ConfigError, match="no such games"):
        play(toy_config(), tmp_path / "a" / "b", make_env=no_games)
    assert [*tmp_path.iterdir()] == []


# A full disk, and a directory that goes away


def test_a_directory_removed_in_the_middle_is_told_once(tmp_path: Path) -> None:
    out = tmp_path / "run"

    class Removing(Log):
        def remove(self, text: str) -> None:
            if "step 1,024" in text:
                shutil.rmtree(out)

    log = Removing()
    real = log.display.log

    def told(text: str) -> None:
        log.remove(text)
        real(text)

    log.display.log = told  # type: ignore[method-assign]
    began = time.monotonic()
    with pytest.raises(TrainingError, match=r"has been removed.*--resume --out") as caught:
        play(toy_config(), out, log)
    assert time.monotonic() - began < 30
    assert caught.value.__cause__ is None
    # What was in memory is there again, and goes on.
    assert json.loads((out / "status.json").read_text())["state"] == "failed"
    assert play(toy_config(), out, resume=True).steps == 6 * BATCH


def test_a_full_disk_is_told_once_and_status_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From some moment on nothing can be written but what takes the place of a file."""
    real, full = os.open, False

    def limited(path: Any, flags: int, *mode: int, **others: Any) -> int:
        if full and flags & os.O_CREAT and str(path).startswith(str(tmp_path)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return real(path, flags, *mode, **others)

    write = MetricsWriter.write

    def filling(self: MetricsWriter, step: int, metrics: dict[str, float]) -> None:
        nonlocal full
        full = step == 3 * BATCH
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, step, metrics)

    monkeypatch.setattr(os, "open", limited)
    monkeypatch.setattr(MetricsWriter, "write", filling)
    with pytest.raises(TrainingError, match=r"No space left on device.*--resume --out"):
        play(toy_config(), tmp_path / "run")
    monkeypatch.undo()
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert status["state"] == "failed"
    assert newest(tmp_path / "run").values["step"] == 2 * BATCH
    assert play(toy_config(), tmp_path / "run", resume=True).steps == 6 * BATCH


def test_memory_that_runs_out_is_told_and_what_was_learnt_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, out = Learner.improve, tmp_path / "run"

    def greedy(self: Learner) -> dict[str, float]:
        if self.updates == 3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried …")
        return real(self)

    monkeypatch.setattr(Learner, "improve", greedy)
    monkeypatch.setattr(trainer, "FRESH", 0.0)
    with pytest.raises(TrainingError, match=r"^out of memory\. End .*--resume --out"):
        play(toy_config(), out)
    monkeypatch.undo()
    status = json.loads((out / "status.json").read_text())
    assert (status["state"], status["error"], status["step"]) == ("failed", "out of memory", 1536)
    assert play(toy_config(), out, resume=True).steps == 6 * BATCH


def test_a_fault_of_ours_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: Learner) -> dict[str, float]:
        raise ZeroDivisionError

    log, out = Log(), tmp_path / "run"
    monkeypatch.setattr(Learner, "improve", failing)
    with pytest.raises(ZeroDivisionError):
        play(toy_config(), out, log)
    assert f"saved at step 0. Go on: warpzone train --resume --out {out}" in log.text


def test_a_run_whose_last_word_cannot_be_written_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = RunDirectory.write_status

    def full(self: RunDirectory, state: str, **values: Any) -> None:
        if state == "finished":
            raise FileError("cannot write", errno.ENOSPC, "No space left on device")
        real(self, state, **values)

    monkeypatch.setattr(RunDirectory, "write_status", full)
    with pytest.raises(TrainingError, match=r"No space left on device.*--resume --out"):
        play(toy_config(), tmp_path / "run")
    monkeypatch.undo()
    assert play(toy_config(), tmp_path / "run", resume=True).steps == 6 * BATCH


def test_what_was_killed_before_it_was_begun_can_be_begun_and_not_be_gone_on_with(
    tmp_path: Path,
) -> None:
    for name in (".lock", ".config.json-0123abcd.part.json", "..lock.json-0123abcd.part.json"):
        (tmp_path / name).write_bytes(b"")
    check_directory(tmp_path, resume=False)
    with pytest.raises(ConfigError, match="there is no run to go on with"):
        check_directory(tmp_path, resume=True)
    (tmp_path / "config.json").write_bytes(b"{}")
    with pytest.raises(ConfigError, match="already holds something"):
        check_directory(tmp_path, resume=False)


def test_closing_on_a_full_disk_raises_nothing_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def close(self) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def writing() -> None:
        with MetricsWriter(tmp_path, offset=0, step=0) as metrics:
            monkeypatch.setattr(metrics, "_events", Full())
            raise KeyError("the first fault")

    with pytest.raises(KeyError, match="the first fault") as caught:
        writing()
    assert caught.value.__context__ is None


FULL = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.support.toy import corridors, toy_config
from warpzone.cli.app import app
import warpzone.training
from warpzone.training import train

def limited(config, out, **settings):
    # Every file may have so many bytes: the metrics are the first to reach it.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
    return train(toy_config(total_steps=10**9), out, make_env=corridors)

warpzone.training.train = limited
app(["train", "1-1", "--out", sys.argv[2]])
"""


@POSIX
@pytest.mark.parametrize("limit", [20_000, 100_000])
def test_the_command_ends_with_one_message_where_nothing_more_can_be_written(
    tmp_path: Path, limit: int
) -> None:
    out = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(ROOT), str(out), str(limit)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error:") == 1
    assert "File too large" in done.stderr
    if limit > 50_000:  # less than a checkpoint: it ends before there is something to go on with
        assert done.returncode == 1
        assert f"warpzone train --resume --out {out}" in " ".join(done.stderr.split())
        assert json.loads((out / "status.json").read_text())["state"] == "failed"


PIPED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.support.toy import corridors, toy_config
from warpzone.cli.app import app
import warpzone.training
from warpzone.training import train

def quick(config, out, **settings):
    return train(toy_config(epoch_lines=True), out, make_env=corridors)

warpzone.training.train = quick
app(["train", "1-1", "--out", sys.argv[2]])
"""


@POSIX
def test_who_reads_one_line_and_leaves_ends_the_display_alone(tmp_path: Path) -> None:
    """`warpzone train … | head -1`."""
    out = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", PIPED, str(ROOT), str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline()
        child.stdout.close()
        told = child.stderr.read()
    assert "Traceback" not in told
    assert "Exception ignored" not in told
    assert child.returncode == 0
    assert json.loads((out / "status.json").read_text())["state"] == "finished"
    assert newest(out).values["step"] == 6 * BATCH
