"""The line that trains an agent again, and the commit of the code that did."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.support.toy import corridors, toy_config
from typer.testing import CliRunner

from warpzone import training
from warpzone.cli.app import app
from warpzone.nes.console import Console
from warpzone.nes.rom import Rom
from warpzone.smb.levels import LEVELS
from warpzone.smb.starts import start_level
from warpzone.training.agent_file import Stage, load_agent
from warpzone.training.config import TrainConfig
from warpzone.training.presets import PRESETS, resolve
from warpzone.training.provenance import code_commit, command_of
from warpzone.training.trainer import train


def trained_by(command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> TrainConfig:
    """The configuration that the command line makes of `command`."""
    seen: list[TrainConfig] = []

    class Done(Exception):
        pass

    def train(config: TrainConfig, *arguments: Any, **settings: Any) -> None:
        seen.append(config)
        raise Done

    monkeypatch.setattr(training, "train", train)
    name, *words = shlex.split(command)
    assert name == "warpzone"
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "run")])
    assert isinstance(result.exception, Done), result.output
    return seen[0]


@pytest.mark.parametrize(
    ("config", "command"),
    [
        (resolve("tiles"), "warpzone train 1-1"),
        (
            resolve("specialist", seed=3, env={"levels": "8-4"}, total_steps=7, threads=2),
            "warpzone train 8-4 --preset specialist --seed 3 --steps 7 --threads 2",
        ),
        (resolve("tiles", env={"levels": "all"}), "warpzone train all"),
        (
            resolve("tiles", env={"levels": {"1-2": 2.0, "1-1": 1.0}}),
            """warpzone train 1-1,1-2 --set 'env.levels={"1-1":1.0,"1-2":2.0}'""",
        ),
        (
            resolve("tiles", lr=1e-4, env={"noop_max": 0}, network={"hidden": [8, 8]}),
            "warpzone train 1-1 --set lr=0.0001 --set env.noop_max=0 --set 'network.hidden=[8,8]'",
        ),
        (
            resolve("tiles", target_clear_rate=None, schedule="linear", amp=False),
            "warpzone train 1-1 --set schedule=linear --set target_clear_rate=null --set amp=false",
        ),
        (
            resolve("tiles", env={"actions": [["right", "A"], []]}, device="cuda:0"),
            """warpzone train 1-1 --set 'env.actions=[["right","A"],[]]' --set device=cuda:0""",
        ),
        (
            resolve("tiles", distillation_policies={"1-1": "runs/1-1"}),
            """warpzone train 1-1 --set 'distillation_policies={"1-1":"runs/1-1"}'""",
        ),
        (resolve("pixels", env={"size": (42, 42)}, eval_noop_max=5), None),
        (TrainConfig(preset="of my own", gamma=0.5), None),
    ],
)
def test_the_command_gives_the_same_configuration(
    config: TrainConfig,
    command: str | None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    if command is not None:
        assert command_of(config) == command
    assert trained_by(command_of(config), monkeypatch, tmp_path) == config


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_by_itself_needs_no_settings(preset: str) -> None:
    assert "--set" not in command_of(resolve(preset))


def test_agents_tell_where_they_come_from(tmp_path: Path) -> None:
    config = toy_config(threads=1)
    make_env: Any = corridors
    result = train(config, tmp_path, make_env=make_env)
    _, info = load_agent(tmp_path / "agent.safetensors")
    assert info.seconds == result.seconds > 0
    assert info.threads == 1
    assert info.command == command_of(config)
    assert info.commit == code_commit()


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_commit_is_that_of_the_checkout_and_marks_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules[code_commit.__module__]
    file = tmp_path / "src" / "origin.py"
    file.parent.mkdir()
    notes = tmp_path / "notes.txt"
    notes.write_text("one")
    file.write_text("# one\n")
    monkeypatch.setattr(module, "__file__", str(file))

    def found() -> str | None:
        code_commit.cache_clear()
        return code_commit()

    try:
        git(tmp_path, "init", "-q")
        assert found() is None  # a repository, but this file is not of it
        git(tmp_path, "add", "src/origin.py")
        git(tmp_path, "add", "notes.txt")
        git(tmp_path, "commit", "-q", "-m", "one")
        notes.write_text("two")  # no part of the code
        assert found() == git(tmp_path, "rev-parse", "HEAD")
        file.write_text("# two\n")
        assert found() == git(tmp_path, "rev-parse", "HEAD") + "-dirty"
        monkeypatch.setenv("PATH", "")
        assert found() is None
    finally:
        code_commit.cache_clear()


@pytest.mark.parametrize(
    "given",
    [
        {"first.state": 1.0, "then.state": 1.0},
        {"first.state": 1.0, "then.state": 2.5},
        {"first.state": 1.0, "and, then.state": 1.0},
    ],
)
def test_start_states_are_named_by_their_files(
    given: dict[str, float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rom: Rom
) -> None:
    console = Console(rom)
    start_level(console, "1-1")
    for name in given:
        console.step(frames=20)
        (tmp_path / name).write_bytes(console.save())
    monkeypatch.chdir(tmp_path)
    config = resolve("tiles", env={"start_states": given})
    command = command_of(config)
    assert len(command) < 200
    assert trained_by(command, monkeypatch, tmp_path) == config


def test_a_command_that_an_agent_has_no_room_for_is_cut() -> None:
    files = {level: f"runs/{'far/' * 100}{level}" for level in LEVELS}
    command = command_of(resolve("generalist", distillation_policies=files))
    assert command.startswith("warpzone train ")
    assert command.endswith("…")
    described = {"command": command, "commit": None, "steps": 0, "seconds": 0, "threads": 1}
    assert Stage.model_validate(described).command == command
    with pytest.raises(ValidationError, match="at most"):
        Stage.model_validate({**described, "command": f"{command} "})


def test_paths_of_agents_on_this_machine_are_left_out(tmp_path: Path) -> None:
    config = toy_config(
        init=str(tmp_path / "first.safetensors"),
        distillation_policies={"1-1": str(tmp_path / "2"), "1-2": "3"},
    )
    command = command_of(config)
    assert str(tmp_path) not in command
    assert "init=first.safetensors" in command
    assert """distillation_policies={"1-1":"2","1-2":"3"}""" in command


def test_agents_tell_what_they_began_with(tmp_path: Path) -> None:
    make_env: Any = corridors
    steps = []
    for number in range(3):
        config = toy_config(init=None if number == 0 else str(tmp_path / str(number - 1)))
        steps.append(train(config, tmp_path / str(number), make_env=make_env).steps)
    infos = [load_agent(tmp_path / str(number) / "agent.safetensors")[1] for number in range(3)]
    best = [load_agent(tmp_path / str(number) / "best.safetensors")[1] for number in range(2)]
    assert infos[0].earlier == ()
    assert infos[1].earlier == (best[0].stage,)
    assert infos[2].earlier == (best[0].stage, best[1].stage)
    assert infos[2].stage.steps == steps[2]
    assert infos[2].earlier[1].command == command_of(toy_config(init=str(tmp_path / "0")))
