"""What holds for every command: help, version, exit codes, interruption, a closed pipe."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from tests.support.commands import COMMANDS, error_of, plain, run

from warpzone.cli import machine
from warpzone.errors import EngineError


def test_help_lists_every_command_and_where_to_start() -> None:
    text = plain(run("--help").output)
    assert all(name in text for name in COMMANDS)
    assert "warpzone train 1-1 --watch" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert f"Example: warpzone {name}" in plain(result.output)


def test_version() -> None:
    from importlib.metadata import version

    assert plain(run("--version").output) == f"warpzone {version('warpzone')}"


def test_python_dash_m() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "warpzone", "--version"], capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith("warpzone ")


@pytest.mark.parametrize("arguments", [["--help"], ["levels"], ["rom", "--rom", "missing.nes"]])
def test_quick_commands_do_not_load_torch_or_pygame(arguments: list[str]) -> None:
    script = (
        "import sys\nfrom warpzone.cli.app import app\n"
        f"try:\n    app({arguments!r})\nexcept SystemExit:\n    pass\n"
        "print('loaded:', sorted({'torch', 'pygame', 'tensorboard'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "loaded: []"


def test_interrupt_has_its_own_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(machine, "find_rom", interrupt)
    result = run("rom")
    assert result.exit_code == 130
    assert plain(result.output) == "interrupted"


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(machine, "find_rom", fault)
    assert isinstance(run("rom").exception, ZeroDivisionError)


def test_output_into_a_closed_pipe_is_no_traceback() -> None:
    process = subprocess.run(
        f"{sys.executable} -m warpzone levels | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "80"},
    )
    assert "level" in process.stdout
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "train"])
def test_what_torchrun_would_do_once_for_each_rank_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    result = run(name)
    assert result.exit_code == 2
    text = " ".join(plain(result.output).split())
    assert f"torchrun has started `warpzone {name}`" in text
    assert "Start it without torchrun" in text


def test_torchrun_may_start_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert "which level?" in plain(run("train").output)  # asked by the command itself
    assert run("--version").exit_code == 0


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:128] can't allocate memory"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        EngineError("Resource temporarily unavailable"),  # of a thread that finds no room
    ],
)
def test_a_lack_of_memory_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def lacking() -> None:
        raise error

    monkeypatch.setattr(machine, "find_rom", lambda *_, **__: lacking())
    assert "out of memory. End other programs" in error_of("rom")
