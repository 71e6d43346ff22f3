"""What a service gets of a run, and that it takes nothing from the training whatever it does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import filelock
import pytest
from tests.support.agents import write_agent
from tests.support.toy import corridors, toy_config
from typer.testing import CliRunner

from warpzone.cli.app import app
from warpzone.errors import MissingPackageError
from warpzone.smb.config import EnvConfig
from warpzone.trackers import beside, follow
from warpzone.trackers.beside import Followers
from warpzone.trackers.follow import Follower, Request, Sent
from warpzone.trackers.services import About, Row
from warpzone.training.config import TrainConfig
from warpzone.training.trainer import train

FAKE = '''
"""A package named wandb that writes down what it is told, and fails where it is asked to."""
import json, os, sys, time
from pathlib import Path


def _do(call, **told):
    where, _, how = os.environ.get("FAKE_FAULT", "").partition(":")
    if where == call:
        if how == "raise":
            raise RuntimeError(f"no {call} today")
        if how == "exit":
            os._exit(3)
        while True:
            time.sleep(1000)
    with Path(os.environ["FAKE_LOG"]).open("a") as file:
        file.write(json.dumps({"call": call, **told}) + "\\n")


def login(prompt=True):
    return "FAKE_LOGIN" in os.environ


class Settings:
    def __init__(self, **settings):
        pass


class Artifact:
    def __init__(self, name, type):
        self.name, self.files = name, []

    def add_file(self, file):
        self.files.append(Path(file).name)


class _Summary(dict):
    def __setitem__(self, name, value):
        _do("summary", **{name: value})


class _Run:
    def __init__(self, id, url):
        self.id, self.url, self.summary = id, url, _Summary()

    def log(self, figures, step):
        _do("log", step=step, figures=figures)

    def log_artifact(self, artifact):
        _do("artifact", files=artifact.files)

    def finish(self, exit_code):
        _do("finish", exit_code=exit_code)


held = []


def teardown():
    held.clear()


def init(*, id, settings, mode=None, **others):
    if held:
        raise RuntimeError("the run is in use")
    if mode is None and "FAKE_UNREACHABLE" in os.environ:
        held.append(id)
        raise RuntimeError("nobody answers")
    _do("init", id=id, mode=mode, **others)
    return _Run(id, None if mode == "offline" else "https://example.org/run")


print("noise of a library")
_do("import")
'''


class Listening:
    """A service that keeps what it is told, and fails as often as it is asked to."""

    def __init__(self) -> None:
        self.remark: str | None = "begun"
        self.keys: list[str] = []
        self.rows: list[Row] = []
        self.failures = 0
        self.ended: tuple[str, int, dict[str, float], list[str]] | None = None

    def start(self, about: About, key: str) -> None:
        self.keys.append(key)

    def log(self, rows: Sequence[Row]) -> None:
        if self.failures > 0:
            self.failures -= 1
            raise ConnectionError("gone\naway")
        self.rows += rows

    def finish(
        self, state: str, step: int, summary: Mapping[str, float], files: Iterable[Path]
    ) -> None:
        self.ended = state, step, dict(summary), [file.name for file in files]


def write_lines(run: Path, steps: Iterable[int], mode: str = "a") -> None:
    with (run / "metrics.jsonl").open(mode) as file:
        for step in steps:
            file.write(json.dumps({"step": step, "loss": step / 10}) + "\n")


def follower(run: Path, service: Listening, told: list[str] | None = None) -> Follower:
    (run / follow.FOLDER).mkdir(exist_ok=True)
    say = (lambda text: None) if told is None else told.append
    return Follower(Request(str(run), "wandb", "warpzone"), service, say)


def test_lines_are_sent_once_and_in_order(tmp_path: Path) -> None:
    service, told = Listening(), list[str]()
    sending = follower(tmp_path, service, told)
    write_lines(tmp_path, range(1, 450))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 450, "lo')  # being written
    assert sending.try_to_send()
    assert service.rows == [(step, {"loss": step / 10}) for step in range(1, 450)]
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('ss": 45.0}\n')
    assert sending.try_to_send()
    assert service.rows[-1] == (450, {"loss": 45.0})
    assert len(service.rows) == 450
    assert told == ["begun"]


def test_another_process_goes_on_with_the_same_run(tmp_path: Path) -> None:
    first, second = Listening(), Listening()
    write_lines(tmp_path, [1, 2])
    follower(tmp_path, first).try_to_send()
    write_lines(tmp_path, [3])
    follower(tmp_path, second).try_to_send()
    assert second.keys == first.keys
    assert [step for step, _ in second.rows] == [3]


@pytest.mark.parametrize("again", [[4, 4, 6], [4, 4, 6, 6, 8, 10]])
def test_what_a_resumed_run_writes_anew_is_not_sent_twice(tmp_path: Path, again: list[int]) -> None:
    """From its checkpoint on a run writes the same steps once more: two lines of step 6 had been
    sent, the one of an update and the one of a measurement."""
    service = Listening()
    write_lines(tmp_path, [2, 4, 4, 6, 6])
    follower(tmp_path, service).try_to_send()
    write_lines(tmp_path, [2], mode="w")
    service = Listening()
    sending = follower(tmp_path, service)
    assert sending.try_to_send()
    write_lines(tmp_path, again)
    assert sending.try_to_send()
    write_lines(tmp_path, [12])
    assert sending.try_to_send()
    assert [step for step, _ in service.rows] == [step for step in [*again, 12] if step > 6]


def test_a_line_that_is_damaged_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('nothing\n[1]\n{"loss": 1}\n{"step": 5, "a": "b"}\n')
    write_lines(tmp_path, [7])
    service = Listening()
    assert follower(tmp_path, service).try_to_send()
    assert service.rows == [(5, {}), (7, {"loss": 0.7})]


def test_after_a_failure_everything_is_sent_later(tmp_path: Path) -> None:
    service, told = Listening(), list[str]()
    service.failures = 2
    write_lines(tmp_path, [1, 2])
    sending = follower(tmp_path, service, told)
    assert not sending.try_to_send()
    assert not sending.try_to_send()  # too early to try once more
    assert service.failures == 1
    sending._not_before = 0.0
    assert not sending.try_to_send()
    assert told == [
        "begun",
        "cannot be sent to yet: ConnectionError: gone away. The training goes on",
    ]
    (tmp_path / "status.json").write_text('{"state": "finished"}')
    assert sending.finish(tmp_path / "log")
    assert [step for step, _ in service.rows] == [1, 2]
    assert service.ended is not None
    assert service.ended[:2] == ("finished", 2)
    assert len(service.keys) == 1


def test_the_end_tells_measured_rates_and_hands_over_files(tmp_path: Path) -> None:
    service = Listening()
    write_lines(tmp_path, [9])
    for name in ("config.json", "best.safetensors", "agent.safetensors", "film.mp4"):
        (tmp_path / name).write_text("{}")
    status = {
        "state": "finished",
        "step": 9,
        "seconds": 4.5,
        "best_clear_rate": 0.75,
        "measured": {"1-1": {"clear_rate": 0.5, "episodes": 100, "ci95": [0.4, 0.6]}},
    }
    (tmp_path / "status.json").write_text(json.dumps(status))
    sending = follower(tmp_path, service)
    sending.files = [tmp_path / "film.mp4", tmp_path / "none.mp4"]
    assert sending.finish(tmp_path / "log")
    assert service.ended == (
        "finished",
        9,
        {
            "final/best_clear_rate": 0.75,
            "final/seconds": 4.5,
            "final/clear_rate/1-1": 0.5,
            "final/clear_rate_low/1-1": 0.4,
            "final/clear_rate_high/1-1": 0.6,
            "final/episodes/1-1": 100.0,
        },
        ["config.json", "best.safetensors", "film.mp4"],
    )


def test_a_damaged_state_begins_anew(tmp_path: Path) -> None:
    for text in ("", "[]", '{"key": "a", "more": 1}'):
        (tmp_path / "state.json").write_text(text)
        assert Sent.read(tmp_path / "state.json").offset == 0


# --- beside a training, with a package that fails -----------------------------------------------


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[dict[str, object]]]:
    """A package `wandb` that the processes find; returns what it was told."""
    folder, log = tmp_path / "packages", tmp_path / "told.jsonl"
    folder.mkdir()
    (folder / "wandb.py").write_text(FAKE)
    before = os.environ.get("PYTHONPATH")
    path = str(folder) if before is None else f"{folder}{os.pathsep}{before}"
    monkeypatch.setenv("PYTHONPATH", path)
    log.touch()
    monkeypatch.setenv("FAKE_LOG", str(log))
    monkeypatch.setenv("FAKE_LOGIN", "1")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.syspath_prepend(str(folder))
    return lambda: [json.loads(line) for line in log.read_text().splitlines()]


class Lines:
    """A display that keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, status: object) -> None:
        pass

    def log(self, text: str) -> None:
        self.lines.append(text)


def trained(run: Path, *, resume: bool = False, steps: int = 2000) -> list[str]:
    """Trains for a moment with the tracker `wandb`; returns what was said of it."""
    display = Lines()
    config = toy_config(total_steps=steps, trackers=["wandb"])
    result = train(config, run, make_env=corridors, display=display, resume=resume)
    assert result.steps >= steps
    assert not result.interrupted
    assert json.loads((run / "status.json").read_text())["state"] == "finished"
    return [line for line in display.lines if line.startswith("wandb: ")]


def test_a_training_is_shown_and_a_resumed_one_goes_on(
    tmp_path: Path, fake: Callable[[], list[dict[str, object]]]
) -> None:
    run = tmp_path / "run"
    assert trained(run) == ["wandb: https://example.org/run"]
    written = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    told = fake()
    assert [call["call"] for call in told[:2]] == ["import", "init"]
    assert told[1]["project"] == "warpzone"
    assert told[1]["name"] == "run"
    config = told[1]["config"]
    assert isinstance(config, dict)
    assert config["num_envs"] == toy_config().num_envs
    assert str(config["command"]).startswith("warpzone train")
    logged = [call for call in told if call["call"] == "log"]
    assert [
        {"step": call["step"], **dict(call["figures"])}  # type: ignore[call-overload]
        for call in logged
    ] == written
    assert {"call": "artifact", "files": ["best.safetensors"]} in told
    assert any("final/clear_rate/1-1" in call for call in told if call["call"] == "summary")
    assert told[-1] == {"call": "finish", "exit_code": 0}
    assert not list(run.glob("events*"))  # TensorBoard was not named
    assert "noise of a library" in (run / "trackers" / "wandb.log").read_text()

    before = len(told)
    trained(run, resume=True, steps=4000)
    told = fake()[before:]
    assert told[1]["id"] == next(call for call in fake() if call["call"] == "init")["id"]
    steps = [call["step"] for call in told if call["call"] == "log"]
    assert min(map(int, map(str, steps))) > int(written[-1]["step"])


@pytest.mark.parametrize("login", [False, True])
def test_offline_the_run_is_kept_and_the_way_on_is_told(
    login: bool,
    tmp_path: Path,
    fake: Callable[[], list[dict[str, object]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FAKE_UNREACHABLE", "1")
    if not login:
        monkeypatch.delenv("FAKE_LOGIN")
    (line,) = trained(tmp_path / "run")
    assert ("nobody answers" if login else "no login") in line
    assert f"wandb sync {tmp_path / 'run' / 'wandb'}/offline-run-*" in line
    assert fake()[1]["mode"] == "offline"
    assert fake()[-1]["call"] == "finish"


@pytest.mark.parametrize("call", ["import", "init", "log", "summary", "artifact", "finish"])
def test_a_service_that_raises_costs_the_training_nothing(
    call: str,
    tmp_path: Path,
    fake: Callable[[], list[dict[str, object]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FAKE_FAULT", f"{call}:raise")
    told = trained(tmp_path / "run")
    assert any(f"RuntimeError: no {call} today" in line for line in told)
    assert told[-1] == f"wandb: send the rest with: warpzone track {tmp_path / 'run'} wandb"
    assert len(told) <= 4


@pytest.mark.parametrize("call", ["import", "init", "log", "summary", "artifact", "finish"])
def test_a_service_that_hangs_holds_the_training_for_the_stated_time(
    call: str,
    tmp_path: Path,
    fake: Callable[[], list[dict[str, object]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FAKE_FAULT", f"{call}:hang")
    monkeypatch.setattr(beside, "FINISH_SECONDS", 3.0)
    told = trained(tmp_path / "run")
    assert told[-2:] == [
        "wandb: it does not answer and is given up",
        f"wandb: send the rest with: warpzone track {tmp_path / 'run'} wandb",
    ]


def test_a_service_that_ends_its_process_is_told_of(
    tmp_path: Path,
    fake: Callable[[], list[dict[str, object]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FAKE_FAULT", "init:exit")
    told = trained(tmp_path / "run")
    log = tmp_path / "run" / "trackers" / "wandb.log"
    assert told[0] == f"wandb: its process has ended (see {log})"
    assert len(told) == 2


def test_what_was_not_sent_can_be_sent_later(
    tmp_path: Path,
    fake: Callable[[], list[dict[str, object]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = tmp_path / "run"
    monkeypatch.setenv("FAKE_FAULT", "log:raise")
    trained(run)
    monkeypatch.delenv("FAKE_FAULT")
    program = "import sys; from warpzone.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "track", str(run), "wandb"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    written = [json.loads(line)["step"] for line in (run / "metrics.jsonl").open()]
    assert [call["step"] for call in fake() if call["call"] == "log"] == written
    assert fake()[-1]["call"] == "finish"


def test_a_film_is_sent_where_one_is_asked_for(
    tmp_path: Path, fake: Callable[[], list[dict[str, object]]]
) -> None:
    run, env = tmp_path / "run", EnvConfig(levels=["1-1"], no_progress_steps=12)
    run.mkdir()
    write_agent(run / "best.safetensors", env)
    (run / "config.json").write_text(TrainConfig(env=env).model_dump_json())
    (run / "status.json").write_text('{"state": "finished", "step": 2}')
    write_lines(run, [1, 2])
    result = CliRunner().invoke(app, ["track", str(run), "wandb", "--film"])
    assert result.exit_code == 0, result.output
    files = [call["files"] for call in fake() if call["call"] == "artifact"]
    assert files == [["config.json"], ["best.safetensors"], ["1-1.mp4"]]
    assert (run / "1-1.mp4").stat().st_size > 1000


def test_a_process_whose_training_is_gone_ends(
    tmp_path: Path, fake: Callable[[], list[dict[str, object]]]
) -> None:
    write_lines(tmp_path, [1, 2])
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from warpzone.trackers.beside import Followers\n"
        "with Followers(Path(sys.argv[1]), ['wandb'], 'warpzone', {}, print) as followers:\n"
        "    print(followers._processes[0]._process.pid, flush=True)\n"
        "    time.sleep(1000)\n"
    )
    training = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert training.stdout is not None
    follower_id = int(training.stdout.readline())
    while not any(call["call"] == "log" for call in fake()):
        time.sleep(0.05)
    training.send_signal(signal.SIGKILL)
    training.wait()
    training.stdout.close()
    while not any(call["call"] == "finish" for call in fake()):
        time.sleep(0.05)
    assert fake()[-1] == {"call": "finish", "exit_code": 1}
    while True:
        try:
            os.kill(follower_id, 0)
        except ProcessLookupError:
            break
        if Path(f"/proc/{follower_id}/stat").read_text().split()[2] == "Z":
            break  # ended, and nobody has asked for its status
        time.sleep(0.05)


def test_one_process_sends_a_run(
    tmp_path: Path, fake: Callable[[], list[dict[str, object]]]
) -> None:
    write_lines(tmp_path, [1])
    told: list[str] = []
    with Followers(tmp_path, ["wandb"], "warpzone", {}, told.append):
        while not any(call["call"] == "log" for call in fake()):
            time.sleep(0.05)
        other: list[str] = []
        assert not beside.send(Request(str(tmp_path), "wandb", "warpzone", once=True), other.append)
        assert other[0] == "wandb: another process sends this run already"


def test_a_training_that_is_begun_again_waits_for_the_process_of_the_one_that_was_killed(
    tmp_path: Path, fake: Callable[[], list[dict[str, object]]]
) -> None:
    write_lines(tmp_path, [1, 2])
    told: list[str] = []
    shown = "wandb: https://example.org/run"
    earlier = locked_by_another(tmp_path)
    with Followers(tmp_path, ["wandb"], "warpzone", {}, told.append) as followers:
        wait_for_start(tmp_path)
        time.sleep(3 * follow.ASK_SECONDS)
        followers.tell()
        assert told == []
        assert fake() == []
        earlier.release()
        while not any(call["call"] == "log" for call in fake()):
            followers.tell()
            assert told in ([], [shown])
            time.sleep(0.05)
    assert fake()[-1]["call"] == "finish"
    assert told == [shown]


def test_who_waits_for_another_process_ends_with_the_training(
    tmp_path: Path, fake: Callable[[], list[dict[str, object]]]
) -> None:
    write_lines(tmp_path, [1])
    told: list[str] = []
    earlier = locked_by_another(tmp_path)
    with Followers(tmp_path, ["wandb"], "warpzone", {}, told.append):
        wait_for_start(tmp_path)
    assert told[0] == "wandb: another process sends this run already"
    assert told[1].startswith("wandb: send the rest with: warpzone track")
    assert fake() == []
    earlier.release()


def test_another_process_is_waited_for_so_long_and_no_longer(tmp_path: Path) -> None:
    earlier = locked_by_another(tmp_path)
    lock = filelock.FileLock(earlier.lock_file, is_singleton=False)
    over = threading.Event()
    began = time.monotonic()
    assert not follow.take_over(lock, over, 0.5)
    assert time.monotonic() - began >= 0.5
    over.set()
    assert not follow.take_over(lock, over, 1000.0)
    earlier.release()
    assert follow.take_over(lock, over, 0.0)  # free: what there is is sent at the end, too
    lock.release()
    assert follow.TAKE_OVER_SECONDS > follow.ALONE_SECONDS


def locked_by_another(run: Path) -> filelock.BaseFileLock:
    """Holds the lock of whoever sends a run to `wandb`."""
    folder = run / follow.FOLDER
    folder.mkdir()
    lock = filelock.FileLock(folder / "wandb.lock")
    lock.acquire(timeout=0)
    return lock


def wait_for_start(run: Path) -> None:
    """Until the process that follows a run has opened its log, shortly before it asks for the
    lock."""
    while not (run / follow.FOLDER / "wandb.log").exists():
        time.sleep(0.02)


def test_a_tracker_that_is_not_installed_is_refused_before_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'warpzone\[trackio\]'"):
        train(toy_config(trackers=["trackio"]), tmp_path / "run", make_env=corridors)
    assert not (tmp_path / "run").exists()


def test_without_tensorboard_the_figures_are_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    train(toy_config(total_steps=500), tmp_path / "run", make_env=corridors, display=Lines())
    assert (tmp_path / "run" / "metrics.jsonl").stat().st_size > 0
    assert not list((tmp_path / "run").glob("events*"))
    with pytest.raises(MissingPackageError, match=r"warpzone\[tensorboard\]"):
        train(toy_config(trackers=["tensorboard"]), tmp_path / "other", make_env=corridors)
