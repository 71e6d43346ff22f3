"""Whole runs: what they leave behind, how they stop, and how they go on."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tests.support.toy import Corridor, corridors, toy_config

import warpzone
from warpzone.errors import (
    AgentError,
    CheckpointError,
    ConfigError,
    EngineError,
    TrainingError,
)
from warpzone.smb.config import EnvConfig
from warpzone.training import interrupt, trainer
from warpzone.training.agent_file import load_agent
from warpzone.training.checkpoint import Checkpoints, Snapshot
from warpzone.training.config import CurriculumConfig, TrainConfig
from warpzone.training.evaluation import EvalResult
from warpzone.training.evaluation_schedule import EvaluationSchedule
from warpzone.training.presets import resolve
from warpzone.training.progress import LineDisplay
from warpzone.training.run_directory import RunDirectory
from warpzone.training.run_settings import read_status
from warpzone.training.trainer import SAVING, RunResult, train

ROOT = Path(__file__).parents[2]
BATCH = 16 * 32


class Log:
    """Keeps what a run says."""

    def __init__(self) -> None:
        self.file = io.StringIO()
        self.display = LineDisplay(Console(file=self.file, width=400), interval=0.0)

    @property
    def text(self) -> str:
        return self.file.getvalue()


def play(config: TrainConfig, out: Path, log: Log | None = None, **settings: Any) -> RunResult:
    settings.setdefault("make_env", corridors)
    return train(config, out, display=(log or Log()).display, **settings)


def newest(out: Path) -> Snapshot:
    found = Checkpoints(out / "checkpoints", 3).newest(pytest.fail)
    assert found is not None
    return found


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def assert_same_state(one: Snapshot, other: Snapshot) -> None:
    assert one.tensors.keys() == other.tensors.keys()
    for name, tensor in one.tensors.items():
        assert torch.equal(tensor, other.tensors[name]), name
    times = {"seconds", "metrics_bytes"}
    for name in one.values.keys() - times:
        assert one.values[name] == other.values[name], name


def assert_same_curves(one: Path, other: Path) -> None:
    """The same metrics at the same steps, each once; only those of time may differ."""
    for ours, theirs in zip(lines(one), lines(other), strict=True):
        assert ours.keys() == theirs.keys()
        for name in ours:
            if name not in ("charts/SPS", "charts/rollout_seconds", "charts/update_seconds"):
                assert ours[name] == theirs[name], name


class Stopping(Corridor):
    """Sends this process signals in the middle of a rollout."""

    def __init__(self, *args: Any, after: int, number: signal.Signals, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.after, self.number = after, number

    def recv(self, group: int) -> Any:
        self.after -= 1
        if self.after == 0:
            signal.raise_signal(self.number)
        return super().recv(group)


def stopping(after: int, number: signal.Signals = signal.SIGINT) -> Any:
    def make(config: EnvConfig, games: int, groups: int, seed: int) -> Corridor:
        if games != 16:
            return Corridor(config, games, groups, seed)  # for a measurement
        return Stopping(config, games, groups, seed, after=after, number=number)

    return make


def test_what_a_run_leaves_behind(tmp_path: Path) -> None:
    config, out, log = toy_config(), tmp_path / "run", Log()
    result = play(config, out, log)
    assert result.steps == config.total_steps
    assert not result.interrupted
    assert set(result.measured) == {"1-1"}
    assert result.measured["1-1"].episodes == config.eval_episodes
    assert TrainConfig.model_validate_json((out / "config.json").read_bytes()) == config
    status = json.loads((out / "status.json").read_text())
    assert status["state"] == "finished"
    assert status["measured"]["1-1"]["clear_rate"] == result.measured["1-1"].clear_rate
    assert [path.name for path in sorted((out / "checkpoints").iterdir())] == [
        f"step-{BATCH * updates:012d}.ckpt" for updates in (2, 4, 6)
    ]
    policy, info = load_agent(out / "agent.safetensors")
    assert info.steps == config.total_steps
    assert info.clear_rate == result.measured["1-1"].clear_rate
    weights = newest(out).weights
    assert all(torch.equal(tensor, weights[name]) for name, tensor in policy.state_dict().items())
    assert load_agent(out / "best.safetensors")[1].clear_rate == result.best_clear_rate
    assert f"warpzone watch {out}" in log.text
    assert "of 20 episodes cleared (95 % interval" in log.text


def test_metrics_have_stable_names_in_both_files(tmp_path: Path) -> None:
    play(toy_config(env=EnvConfig(levels={"1-1": 1.0, "1-2": 1.0})), tmp_path)
    names = {
        "charts/SPS",
        "charts/learning_rate",
        "losses/policy_loss",
        "losses/value_loss",
        "losses/entropy",
        "losses/kl",
        "losses/clipfrac",
        "losses/explained_variance",
        "rollout/clear_rate",
        "rollout/clear_rate/1-1",
        "rollout/clear_rate/1-2",
        "rollout/best_x",
        "rollout/episode_return",
        "rollout/episode_length",
    }
    written = lines(tmp_path)
    assert [line["step"] for line in written if "charts/SPS" in line] == [
        BATCH * updates for updates in range(1, 7)
    ]
    assert names <= written[0].keys()
    assert {"eval/clear_rate", "eval/clear_rate/1-2"} <= written[-1].keys()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert names <= set(events.Tags()["scalars"])
    curve = events.Scalars("losses/entropy")
    assert [event.value for event in curve] == pytest.approx(
        [line["losses/entropy"] for line in written if "losses/entropy" in line]
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("after", [1, 2 * 32 * 3 + 17])
def test_interrupted_and_resumed_equals_uninterrupted(
    tmp_path: Path, number: signal.Signals, after: int
) -> None:
    config = toy_config()
    play(config, tmp_path / "whole")
    out, log = tmp_path / "parts", Log()
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    stopped = play(config, out, log, make_env=stopping(after, number))
    assert stopped.interrupted
    assert stopped.steps == (after // 64 + 1) * BATCH  # the update was finished
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert f"warpzone train --resume --out {out}" in log.text
    assert json.loads((out / "status.json").read_text())["state"] == "interrupted"
    assert load_agent(out / "agent.safetensors")[1].steps == stopped.steps
    result = play(config, out, resume=True)
    assert not result.interrupted
    assert_same_state(newest(out), newest(tmp_path / "whole"))
    assert_same_curves(out, tmp_path / "whole")


def test_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    received: list[int] = []

    class Impatient(Corridor):
        def recv(self, group: int) -> Any:
            received.append(group)
            if len(received) in (64 * 2 + 10, 64 * 2 + 12):
                signal.raise_signal(signal.SIGINT)
            return super().recv(group)

    def make(config: EnvConfig, games: int, groups: int, seed: int) -> Corridor:
        return (Impatient if games == 16 else Corridor)(config, games, groups, seed)

    log = Log()
    with pytest.raises(KeyboardInterrupt):
        play(toy_config(), tmp_path / "run", log, make_env=make)
    assert len(received) == 64 * 2 + 12
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert (status["state"], status["step"]) == ("interrupted", 2 * BATCH)
    assert f"ended at once; saved up to step {2 * BATCH:,}" in log.text
    play(toy_config(), tmp_path / "run", resume=True)
    play(toy_config(), tmp_path / "whole")
    assert_same_state(newest(tmp_path / "run"), newest(tmp_path / "whole"))


@pytest.mark.parametrize(("patience", "told"), [(60.0, False), (0.1, True)])
def test_a_long_update_says_that_it_is_finished_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: float, told: bool
) -> None:
    monkeypatch.setattr(interrupt, "PATIENCE", patience)
    log = Log()

    class Slow(Stopping):
        def recv(self, group: int) -> Any:
            step = super().recv(group)
            if self.after == 0:
                time.sleep(0.5)  # an update that takes longer than somebody waits
            return step

    def make(config: EnvConfig, games: int, groups: int, seed: int) -> Corridor:
        return Slow(config, games, groups, seed, after=70, number=signal.SIGTERM)

    assert play(toy_config(), tmp_path, log, make_env=make).steps == 2 * BATCH
    assert (SAVING in log.text) == told


def test_interrupted_while_searching(tmp_path: Path) -> None:
    class Searching(Corridor):
        def explorer(self, level: str, seed: int = 0) -> Any:
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("it searches on")

    config = toy_config(env=EnvConfig(start_steps=4), curriculum=CurriculumConfig(share=0.6))
    stopped = play(config, tmp_path, make_env=lambda *made: Searching(*made))
    assert (stopped.interrupted, stopped.steps) == (True, 0)
    assert play(config, tmp_path, resume=True).steps == config.total_steps


def test_interrupted_while_measuring(tmp_path: Path) -> None:
    config = toy_config()

    def make(env: EnvConfig, games: int, groups: int, seed: int) -> Corridor:
        if games == 16:
            return Corridor(env, games, groups, seed)
        return Stopping(env, games, groups, seed, after=3, number=signal.SIGINT)

    play(config, tmp_path / "whole")
    stopped = play(config, tmp_path / "parts", make_env=make)
    assert stopped.interrupted
    play(config, tmp_path / "parts", resume=True)
    assert_same_state(newest(tmp_path / "parts"), newest(tmp_path / "whole"))
    assert_same_curves(tmp_path / "parts", tmp_path / "whole")


def test_a_finished_run_can_be_prolonged(tmp_path: Path) -> None:
    play(toy_config(), tmp_path / "parts")
    longer = toy_config(total_steps=BATCH * 8)
    assert play(longer, tmp_path / "parts", resume=True).steps == BATCH * 8
    play(longer, tmp_path / "whole")
    ours, theirs = newest(tmp_path / "parts"), newest(tmp_path / "whole")
    for name, tensor in ours.tensors.items():
        assert torch.equal(tensor, theirs.tensors[name]), name


def measuring(monkeypatch: pytest.MonkeyPatch, rates: list[float]) -> None:
    """Lets measurements find these clear rates, one after the other."""

    def play(schedule: EvaluationSchedule, *_: Any) -> dict[str, EvalResult]:
        rate = rates.pop(0)
        return {"1-1": EvalResult(rate, 10, (0.0, 1.0), 100.0, None)}

    monkeypatch.setattr(EvaluationSchedule, "play", play)


def measured(out: Path) -> list[tuple[int, float]]:
    return [(m["step"], m["eval/clear_rate"]) for m in lines(out) if "eval/clear_rate" in m]


@pytest.mark.parametrize(
    "first",
    [
        {"total_steps": BATCH * 3, "eval_every": 100},  # measured at its end
        {"total_steps": BATCH * 20, "eval_every": 2, "target_clear_rate": 0.5},  # good enough
    ],
)
def test_a_run_that_is_prolonged_knows_its_last_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: dict[str, Any]
) -> None:
    measuring(monkeypatch, [0.6, 0.2])
    reached = play(toy_config(**first), tmp_path).steps // BATCH
    best = (tmp_path / "best.safetensors").read_bytes()
    judge = newest(tmp_path).values["judge"]
    assert (judge["measured_at"], judge["best"]) == (reached, 0.6)
    longer = {"total_steps": BATCH * (reached + 2), "eval_every": 100, "target_clear_rate": None}
    play(toy_config(**longer), tmp_path, resume=True)
    assert (tmp_path / "best.safetensors").read_bytes() == best
    assert read_status(tmp_path)["best_clear_rate"] == 0.6
    assert measured(tmp_path) == [(BATCH * reached, 0.6), (BATCH * (reached + 2), 0.2)]


def test_a_run_goes_on_without_the_agent_that_it_began_with(tmp_path: Path) -> None:
    first, run = tmp_path / "first", tmp_path / "run"
    play(toy_config(total_steps=BATCH), first)
    config = toy_config(total_steps=BATCH * 2, init=str(first))
    play(config, run)
    begun = load_agent(run / "agent.safetensors")[1].earlier
    assert [stage.steps for stage in begun] == [BATCH]
    play(toy_config(total_steps=BATCH * 3), first, resume=True)  # it trains on, and then it goes
    play(config.model_copy(update={"total_steps": BATCH * 3}), run, resume=True)
    assert load_agent(run / "agent.safetensors")[1].earlier == begun
    shutil.rmtree(first)
    play(config.model_copy(update={"total_steps": BATCH * 4}), run, resume=True)
    assert load_agent(run / "agent.safetensors")[1].earlier == begun
    with pytest.raises(AgentError, match="first"):
        play(config, tmp_path / "new")


def test_whether_there_is_a_curriculum_stays_with_practice(tmp_path: Path) -> None:
    practice = {"share": 0.2}
    started = resolve(
        "tiles", curriculum={"share": 0.0}, practice=practice, env={"start_steps": 96}
    )
    RunDirectory(tmp_path, started).open()
    other = started.model_copy(update={"curriculum": CurriculumConfig(share=0.5)})
    with pytest.raises(ConfigError, match=r"curriculum\.share: 0\.0 then, 0\.5 now: with practice"):
        RunDirectory(tmp_path, other).check(resume=True)
    RunDirectory(tmp_path, started).check(resume=True)


def test_without_lr_kl_a_run_goes_on_at_its_learning_rate(tmp_path: Path) -> None:
    play(toy_config(lr=0.02, lr_kl=1e-6, total_steps=BATCH * 3), tmp_path)
    play(toy_config(lr=0.02, lr_kl=None, total_steps=BATCH * 5), tmp_path, resume=True)
    rates = [line["charts/learning_rate"] for line in lines(tmp_path) if "charts/SPS" in line]
    assert rates[2] < rates[1] < rates[0] == pytest.approx(0.02)
    assert rates[3:] == pytest.approx([0.02, 0.02])


def test_what_a_run_failed_with_does_not_hide_its_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measuring(monkeypatch, [0.6] * 9)
    config = toy_config(eval_every=2, total_steps=BATCH * 20, target_clear_rate=None)
    monkeypatch.setattr(trainer, "FRESH", 0.0)

    def fail() -> None:
        raise EngineError("game 3 went away")

    def make(config: EnvConfig, games: int, groups: int, seed: int) -> Corridor:
        env = Corridor(config, games, groups, seed)
        calls = iter(range(10_000))
        env.on_step = lambda: fail() if next(calls) == 12 * 64 + 10 else None
        return env

    with pytest.raises(EngineError):
        play(config, tmp_path, make_env=make)
    status = read_status(tmp_path)
    assert (status["state"], status["best_clear_rate"]) == ("failed", 0.6)


def test_resume_uses_the_checkpoint_before_a_damaged_one(tmp_path: Path) -> None:
    config = toy_config()
    play(config, tmp_path / "whole")
    play(config, tmp_path / "parts", make_env=stopping(64 * 5))
    damaged = Checkpoints(tmp_path / "parts" / "checkpoints", 3).paths()[-1]
    damaged.write_bytes(damaged.read_bytes()[:-100])
    log = Log()
    play(config, tmp_path / "parts", log, resume=True)
    assert f"{damaged} is damaged" in log.text
    assert_same_state(newest(tmp_path / "parts"), newest(tmp_path / "whole"))
    assert_same_curves(tmp_path / "parts", tmp_path / "whole")


CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.support.toy import corridors, toy_config
from warpzone.training import train
train(toy_config(), Path(sys.argv[2]), make_env=corridors, resume=len(sys.argv) > 3)
"""


def test_kill_9_loses_at_most_the_work_since_the_last_checkpoint(tmp_path: Path) -> None:
    out = tmp_path / "killed"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(ROOT), str(out)])
    while child.poll() is None and not list(out.glob("checkpoints/step-*[1-9]*.ckpt")):
        time.sleep(0.002)
    child.kill()
    child.wait()
    first = newest(out).values["step"]
    assert first > 0
    log = Log()
    play(toy_config(), out, log, resume=True)
    assert f"going on from step {first:,}" in log.text
    play(toy_config(), tmp_path / "whole")
    assert_same_state(newest(out), newest(tmp_path / "whole"))
    assert_same_curves(out, tmp_path / "whole")


def test_it_stops_when_training_and_then_a_measurement_reach_the_target(tmp_path: Path) -> None:
    config = toy_config(total_steps=BATCH * 300, target_clear_rate=0.9, eval_every=1)
    log = Log()
    result = play(config, tmp_path, log)
    assert result.steps < config.total_steps
    assert result.measured["1-1"].clear_rate >= 0.9
    curve = lines(tmp_path)
    # The last word is a measurement; each one was asked for by the training episodes before it.
    assert "eval/clear_rate" in curve[-1]
    assert curve[-2]["rollout/clear_rate"] > 0
    best = max(line["eval/clear_rate"] for line in curve if "eval/clear_rate" in line)
    assert result.best_clear_rate == best
    _, info = load_agent(tmp_path / "best.safetensors")
    assert info.clear_rate == best


def test_the_best_agent_is_the_best_measured_not_the_last(tmp_path: Path) -> None:
    config = toy_config(total_steps=BATCH * 20, eval_every=1)
    play(config, tmp_path)
    best = load_agent(tmp_path / "best.safetensors")[1]
    measurements = [line for line in lines(tmp_path) if "eval/clear_rate" in line]
    rates = [line["eval/clear_rate"] for line in measurements]
    assert len(rates) > 1
    assert best.clear_rate == max(rates)
    of_equals = [line["step"] for line in measurements if line["eval/clear_rate"] == max(rates)]
    assert best.steps == of_equals[-1]


def test_a_second_run_does_not_overwrite_the_first(tmp_path: Path) -> None:
    play(toy_config(), tmp_path)
    before = (tmp_path / "metrics.jsonl").read_bytes()
    with pytest.raises(ConfigError, match="holds a run already"):
        play(toy_config(), tmp_path)
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


def test_going_on_with_other_settings_is_an_error_that_names_them(tmp_path: Path) -> None:
    play(toy_config(), tmp_path)
    with pytest.raises(ConfigError, match=r"gamma: 0\.97 then, 0\.9 now"):
        play(toy_config(gamma=0.9), tmp_path, resume=True)
    with pytest.raises(ConfigError, match=r"env\.levels"):
        play(toy_config(env=EnvConfig(levels={"1-2": 1.0})), tmp_path, resume=True)


def test_resuming_before_the_first_checkpoint_starts_from_the_beginning(tmp_path: Path) -> None:
    assert play(toy_config(), tmp_path, resume=True).steps == toy_config().total_steps


def test_all_checkpoints_damaged_is_an_error(tmp_path: Path) -> None:
    play(toy_config(), tmp_path)
    for path in (tmp_path / "checkpoints").iterdir():
        path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="no checkpoint"):
        play(toy_config(total_steps=8 * BATCH), tmp_path, resume=True)


@pytest.mark.parametrize(("fresh", "kept"), [(0.0, 3 * BATCH), (60.0, 2 * BATCH)])
def test_a_failing_game_saves_what_was_learnt_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: float, kept: int
) -> None:
    """The state before that update, or where updates are short one of the last second."""
    monkeypatch.setattr(trainer, "FRESH", fresh)
    made: list[Corridor] = []

    def fail() -> None:
        raise EngineError("game 3 went away")

    def make(config: EnvConfig, games: int, groups: int, seed: int) -> Corridor:
        env = Corridor(config, games, groups, seed)
        calls = iter(range(10_000))
        env.on_step = lambda: fail() if next(calls) == 3 * 64 + 10 else None
        made.append(env)
        return env

    with pytest.raises(EngineError, match="game 3 went away"):
        play(toy_config(), tmp_path / "run", make_env=make)
    assert newest(tmp_path / "run").values["step"] == kept
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "failed"
    assert all(env.closed for env in made)
    play(toy_config(), tmp_path / "run", resume=True)
    play(toy_config(), tmp_path / "whole")
    assert_same_state(newest(tmp_path / "run"), newest(tmp_path / "whole"))
    assert_same_curves(tmp_path / "run", tmp_path / "whole")


def test_a_full_disk_is_told_in_plain_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from warpzone.training.metrics import MetricsWriter

    real = MetricsWriter.write

    def write(self: MetricsWriter, step: int, metrics: dict[str, float]) -> None:
        if step == BATCH * 3:
            raise OSError(28, "No space left on device")
        real(self, step, metrics)

    monkeypatch.setattr(MetricsWriter, "write", write)
    with pytest.raises(TrainingError, match=r"No space left on device.*--resume"):
        play(toy_config(), tmp_path)
    assert newest(tmp_path).values["step"] == BATCH * 2
    monkeypatch.setattr(MetricsWriter, "write", real)
    play(toy_config(), tmp_path, resume=True)
    play(toy_config(), tmp_path / "whole")
    assert_same_state(newest(tmp_path), newest(tmp_path / "whole"))


def test_tutorial_lines_tell_the_farthest_and_the_nearest_position(tmp_path: Path) -> None:
    log = Log()
    play(toy_config(epoch_lines=True), tmp_path, log)
    updates = [line for line in lines(tmp_path) if "charts/SPS" in line]
    for epoch, line in enumerate(updates, 1):
        farthest, nearest = line["rollout/best_x"], line["rollout/nearest_end_x"]
        assert (
            f"epoch {epoch} of 6: max position {farthest:.0f}, min position {nearest:.0f}\n"
        ) in log.text


def test_lines_without_a_terminal(tmp_path: Path) -> None:
    log = Log()
    play(toy_config(), tmp_path, log)
    assert f"step {BATCH:,} of {BATCH * 6:,} · " in log.text
    assert "\x1b" not in log.text


@pytest.mark.parametrize("lost", ["lr_scale", "judge", "metrics_bytes", "games"])
@pytest.mark.parametrize("version", [None, "0.0.1", warpzone.__version__])
def test_a_checkpoint_of_another_version_is_told_with_what_it_lacks(
    tmp_path: Path, lost: str, version: str | None
) -> None:
    config = toy_config(total_steps=2 * BATCH)
    play(config, tmp_path)
    found = newest(tmp_path)
    assert found.values["version"] == warpzone.__version__
    values = {name: value for name, value in found.values.items() if name != lost}
    values["version"] = version
    tensors = {name: value for name, value in found.tensors.items() if name != lost}
    Checkpoints(tmp_path / "checkpoints", 3).save(Snapshot(tensors, values))
    with pytest.raises(CheckpointError) as raised:
        play(toy_config(total_steps=4 * BATCH), tmp_path, resume=True)
    text = str(raised.value)
    assert f"cannot go on from step {2 * BATCH:,} in {tmp_path / 'checkpoints'}" in text
    assert f"there is no {lost!r} in it" in text
    told = {None: "a warpzone that did not tell its version", "0.0.1": "warpzone 0.0.1, and this"}
    assert told.get(version, "in an earlier state of it") in text
    assert f"--set init={tmp_path / 'agent.safetensors'}" in text


def test_a_checkpoint_of_other_weights_or_games_is_told_without_a_traceback(tmp_path: Path) -> None:
    play(toy_config(total_steps=2 * BATCH), tmp_path)
    found = newest(tmp_path)
    tensors = {**found.tensors, "policy.heads.bias": torch.zeros(99)}
    Checkpoints(tmp_path / "checkpoints", 3).save(Snapshot(tensors, found.values))
    with pytest.raises(CheckpointError, match=r"cannot go on .*size mismatch for heads.bias"):
        play(toy_config(total_steps=4 * BATCH), tmp_path, resume=True)
