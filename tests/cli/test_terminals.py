"""What a terminal can show is printed, what it lacks is written otherwise, nothing is obeyed."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.commands import plain, run

from warpzone import startup
from warpzone.cli.output import plain as escaped

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-P", "-m", "warpzone"]
TINY = shlex.split(
    "--set num_envs=4 --set rollout_steps=8 --set minibatch_size=16 --set eval_episodes=1"
    " --set network.hidden=[16] --set env.no_progress_steps=8 --set device=cpu"
)


def start(*arguments: str | Path, encoding: str = "utf-8") -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": encoding, "COLUMNS": "100"}
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env=environment,
        capture_output=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("encoding", ["ascii", "cp437"])
@pytest.mark.parametrize("words", ["--help", "train --help", "levels", "rom", "eval nowhere–×"])
def test_every_encoding_is_served(words: str, encoding: str) -> None:
    result = start(*words.split(), encoding=encoding)
    said = (result.stdout + result.stderr).decode(encoding)
    assert result.returncode == (2 if "nowhere" in words else 0), said
    assert "Traceback" not in said
    assert len(said) > 80


@pytest.mark.parametrize("encoding", ["ascii", "cp437"])
def test_a_training_is_shown_in_every_encoding(encoding: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = start("train", "1-1", "--out", out, "--steps", "64", *TINY, encoding=encoding)
    said = (result.stdout + result.stderr).decode(encoding)
    assert result.returncode == 0, said
    assert "step 32 of 64" in said
    assert json.loads((out / "status.json").read_text())["state"] == "finished"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_a_closed_pipe_ends_the_display_and_not_the_training(tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = shlex.join([*COMMAND, "train", "1-1", "--out", str(out), "--steps", "128", *TINY])
    done = subprocess.run(
        f"{words} --set epoch_lines=true | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1
    status = json.loads((out / "status.json").read_text())
    assert (status["state"], status["step"]) == ("finished", 128)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
@pytest.mark.parametrize("words", [["levels"], ["levels", "--json"], ["--help"]])
def test_output_that_cannot_be_written_is_told(words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode != 0
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_terminal_obeys_nothing_that_is_printed() -> None:
    assert escaped("a\x1b]0;t\x07[bold]b\n") == r"a\x1b]0;t\x07\[bold]b\n"
    assert escaped("two\nlines\r", keep="\n") == "two\nlines\\r"
    result = run("eval", "no\x1b[2Jwhere")
    assert result.exit_code == 2
    assert "\x1b[2J" not in result.output
    assert r"no\x1b[2Jwhere" in plain(result.output)


def test_control_characters_of_a_movie_are_escaped(tmp_path: Path) -> None:
    movie = tmp_path / "movie.fm2"
    movie.write_bytes(b"version 3\nromChecksum base64:\x1b]0;owned\x07\x1b[2J\n|0|........|||\n")
    result = run("replay", movie, "--check")
    assert "\x1b]0" not in result.output
    assert "\x07" not in result.output


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("module", ["gymnasium", "pydantic", "typer", "warpzone.cli.app", "rich"])
def test_an_interrupted_start_leaves_no_traceback(module: str) -> None:
    """Ctrl-C comes while `module` is being imported."""
    program = f"""
import os, runpy, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
sys.argv = ["warpzone", "levels"]
from warpzone.cli import main
main()
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")


def test_a_library_keeps_its_signals() -> None:
    program = (
        "import signal; before = signal.getsignal(signal.SIGINT); import warpzone;"
        " assert signal.getsignal(signal.SIGINT) is before; print('kept')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "kept\n", done.stderr


def test_while_it_starts_the_command_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "warpzone", "levels"])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        startup.begin()
        assert signal.getsignal(signal.SIGINT) is startup._leave
        startup.end()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "warpzone.dashboard.server"])
        startup.begin()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
